"""The referee: right gradients pass, and each of the typical mistakes is caught."""

import pytest
from op_factory import normal

import minillm
from minillm import functional as F
from minillm.autograd import differentiable


def leaves(device, *shapes):
    arrays = normal(0, *shapes, ())[:-1]
    return [minillm.tensor(a, requires_grad=True, device=device) for a in arrays]


def with_backward(mistake):
    """y = tanh(x) W^T, its gradients handed through `mistake(dx, dW)`."""

    @differentiable
    def function(x, W):
        xp = minillm.backend.array_module(x)
        t = xp.tanh(x)

        def backward(dy):
            return mistake((dy @ W) * (1 - t * t), dy.T @ t)

        return t @ W.T, backward

    return function


def test_the_right_gradient_passes(device):
    x, W = leaves(device, (3, 3), (3, 3))
    assert minillm.gradcheck(with_backward(lambda dx, dW: (dx, dW)), [x, W]) is True
    assert x.grad is None  # the check works on copies


MISTAKES = {
    "a factor of 1.001": lambda dx, dW: (dx * 1.001, dW),
    "transposed": lambda dx, dW: (dx, dW.T),
    "zero": lambda dx, dW: (dx * 0, dW),
    "nothing": lambda dx, dW: (None, dW),
    "the sign": lambda dx, dW: (dx, -dW),
    "exchanged": lambda dx, dW: (dW, dx),
    "one wrong entry": lambda dx, dW: (dx, dW + dW * (dW == dW.max()) * 0.01),
    "not a number": lambda dx, dW: (dx * float("nan"), dW),
    "infinite": lambda dx, dW: (dx + float("inf"), dW),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e6])
def test_a_wrong_gradient_is_caught_whatever_its_size(device, name, scale):
    x, W = leaves(device, (3, 3), (3, 3))
    function = with_backward(MISTAKES[name])
    with pytest.raises(minillm.GradientError, match="input ., shape"):
        minillm.gradcheck(lambda x, W: function(x, W) * scale, [x, W])


def test_gradients_that_are_assigned_instead_of_added_are_caught(device):
    """x is used twice, but backward counts only one use."""

    @differentiable
    def square(x):
        return x * x, lambda dy: dy * x

    with pytest.raises(minillm.GradientError):
        minillm.gradcheck(square, leaves(device, (4,)))


def test_a_forward_that_forgets_the_tape_is_caught(device):
    (x,) = leaves(device, (4,))
    with pytest.raises(minillm.GradientError):
        minillm.gradcheck(lambda x: x * 2 + minillm.Tensor(x.data * x.data), [x])


def test_the_error_names_the_input_and_both_numbers(device):
    x, W = leaves(device, (3, 3), (2, 3))
    with pytest.raises(minillm.GradientError, match=r"input 1, shape \(2, 3\): .* gives .*differ"):
        minillm.gradcheck(with_backward(lambda dx, dW: (dx, 2 * dW)), [x, W])


def test_inputs_that_want_no_gradient_are_handed_on(device):
    (x,) = leaves(device, (3, 2))
    constant = minillm.tensor(normal(1, (3, 2)), device=device)
    assert minillm.gradcheck(lambda x, c, axis: (x * c).sum(axis), (x, constant, 1))
    assert minillm.gradcheck(F.tanh, x)  # one input needs no list


def test_float32_is_refused(device):
    x = minillm.tensor([1.0], requires_grad=True, device=device)
    with pytest.raises(TypeError, match="input 0 is float32; pass dtype=float64"):
        minillm.gradcheck(F.tanh, [x])


def test_nothing_to_check_is_refused(device):
    with pytest.raises(ValueError, match="no input has requires_grad=True"):
        minillm.gradcheck(F.tanh, [minillm.tensor([1.0], device=device)])


def test_a_function_with_random_numbers_fails_instead_of_passing_by_luck(device):
    (x,) = leaves(device, (50,))
    with pytest.raises(minillm.GradientError):
        minillm.gradcheck(lambda x: F.dropout(x, 0.5), [x])

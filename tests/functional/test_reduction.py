"""sum, mean, max, var: along no, one or several axes, kept or not; ties on purpose."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import assert_close, check_op, check_same, normal, seeds, shapes, to_host

import minillm
from minillm import functional as F


@st.composite
def shape_and_axis(draw, min_side=1):
    shape = draw(shapes(min_side=min_side))
    axes = st.none()
    if shape:
        one = st.integers(-len(shape), len(shape) - 1)
        several = st.sets(st.integers(0, len(shape) - 1), min_size=1).map(
            lambda chosen: tuple(a - len(shape) * (a % 2) for a in sorted(chosen))
        )  # some counted from the end
        axes = axes | one | several
    return shape, draw(axes)


def reduce_lists(function, x, axis, keepdims):
    """`function` of the list of all values that fall together."""
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = {a % x.ndim for a in axes} if x.ndim else set()
    kept = [n for a, n in enumerate(x.shape) if a not in axes]
    lines = np.moveaxis(x, sorted(axes), range(-len(axes), 0)) if axes else x
    count = math.prod(x.shape[a] for a in axes)
    values = [function(row.tolist()) for row in lines.reshape(math.prod(kept), count)]
    shape = [1 if a in axes else n for a, n in enumerate(x.shape)] if keepdims else kept
    return np.array(values, np.float64).reshape(shape)


REDUCTIONS = {
    F.sum: math.fsum,
    F.mean: lambda values: math.fsum(values) / len(values),
    F.max: lambda values: sorted(values)[-1],
}


@pytest.mark.parametrize("op", REDUCTIONS, ids=lambda op: op.__name__)
@given(drawn=shape_and_axis(), keepdims=st.booleans(), seed=seeds)
def test_reductions(device, op, drawn, keepdims, seed):
    shape, axis = drawn
    x = normal(seed, shape)
    expected = reduce_lists(REDUCTIONS[op], x, axis, keepdims)
    check_op(lambda x: op(x, axis, keepdims), x, device=device, expected=expected)


@given(
    drawn=shape_and_axis(), keepdims=st.booleans(), correction=st.sampled_from([0, 1]), seed=seeds
)
def test_var(device, drawn, keepdims, correction, seed):
    shape, axis = drawn
    x = normal(seed, shape)

    def variance(values):
        mean = math.fsum(values) / len(values)
        return math.fsum((v - mean) ** 2 for v in values) / (len(values) - correction)

    def op(x):
        return F.var(x, axis, correction=correction, keepdims=keepdims)

    counted = int(reduce_lists(len, x, axis, keepdims).flat[0])  # values that fall together
    if counted - correction > 0:
        check_op(op, x, device=device, expected=reduce_lists(variance, x, axis, keepdims))
        check_same(
            op,
            lambda x: ((x - x.mean(axis, True)) ** 2).sum(axis, keepdims) / (counted - correction),
            x,
            device=device,
        )
    else:  # one value has no spread to estimate: nan, as in PyTorch
        assert np.isnan(op(minillm.tensor(x, device=device)).numpy()).all()


def test_var_is_exact_far_from_zero(device):
    """E[x^2] - E[x]^2 would lose every digit here."""
    x = minillm.tensor([1e8, 1e8 + 1, 1e8 + 2], dtype=np.float64, device=device)
    assert x.var().item() == 1


def test_max_shares_the_gradient_among_equal_values(device):
    x = minillm.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], requires_grad=True, device=device)
    y = x.max(axis=1)
    y.backward(minillm.tensor([2.0, 3.0], device=device))
    np.testing.assert_array_equal(y.numpy(), [3, 2])
    np.testing.assert_array_equal(to_host(x.grad), [[0, 1, 1], [1, 1, 1]])


def test_sum_of_nothing_is_zero(device):
    x = minillm.tensor(np.zeros((0, 3)), requires_grad=True, device=device)
    y = x.sum(axis=0)
    np.testing.assert_array_equal(y.numpy(), [0, 0, 0])
    y.sum().backward()
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize("op", [F.sum, F.mean, F.max, F.var], ids=lambda op: op.__name__)
def test_pytorch_names_of_the_arguments(device, op):
    x = minillm.tensor(normal(0, (2, 3, 4)), device=device)
    for y in (op(x, dim=1, keepdim=True), getattr(x, op.__name__)(dim=1, keepdim=True)):
        assert_close(y.numpy(), op(x, axis=1, keepdims=True).numpy())
        assert y.shape == (2, 1, 4)


@pytest.mark.parametrize("op", [F.sum, F.mean, F.max, F.var], ids=lambda op: op.__name__)
def test_an_axis_that_is_not_there_is_refused(device, op):
    with pytest.raises((ValueError, IndexError), match="axis|index"):
        op(minillm.tensor([1.0, 2.0], device=device), axis=1)

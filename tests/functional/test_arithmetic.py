"""+ - * / ** exp log sqrt abs where masked_fill: with broadcasting, scalars, and every operator."""

import math
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes
from op_factory import (
    assert_close,
    away_from_zero,
    by_element,
    check_op,
    normal,
    seeds,
    shapes,
    to_host,
)

import minillm
from minillm import functional as F

pairs = mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3)
triples = mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3)


BINARY = {
    F.add: lambda x, y: x + y,
    F.subtract: lambda x, y: x - y,
    F.multiply: lambda x, y: x * y,
    F.divide: lambda x, y: x / y,
}


@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.__name__)
@given(drawn=pairs, seed=seeds)
def test_binary_operations_over_broadcast_shapes(device, op, drawn, seed):
    x, y = normal(seed, *drawn.input_shapes)
    x, y = away_from_zero(x), away_from_zero(y)
    check_op(op, x, y, device=device, expected=by_element(BINARY[op], x, y))


@given(drawn=pairs, seed=seeds)
def test_power_with_a_tensor_as_exponent(device, drawn, seed):
    x, p = normal(seed, *drawn.input_shapes)
    x = np.abs(x) + 0.5
    check_op(F.power, x, p, device=device, expected=by_element(math.pow, x, p))


@pytest.mark.parametrize("p", [2, 3, 1, 0, -1, 0.5, -1.5, 4, 2.0])
@given(shape=shapes(min_side=0), seed=seeds)
def test_power_with_a_number_as_exponent(device, p, shape, seed):
    x = np.abs(normal(seed, shape)) + 0.5
    if float(p).is_integer():
        x *= np.sign(normal(seed + 1, shape))
    expected = by_element(lambda v: math.pow(v, p), x)
    check_op(lambda x: F.power(x, p), x, device=device, expected=expected)


def test_power_at_zero(device):
    x = minillm.tensor([0.0, 2.0], requires_grad=True, dtype=np.float64, device=device)
    p = minillm.tensor([0.0, 1.0, 2.0], requires_grad=True, dtype=np.float64, device=device)
    (x**0).sum().backward()
    np.testing.assert_array_equal(to_host(x.grad), [0, 0])
    (minillm.tensor(0.0, dtype=np.float64, device=device) ** p).sum().backward()
    np.testing.assert_array_equal(to_host(p.grad), [0, 0, 0])
    zeros = minillm.tensor(np.zeros(3), requires_grad=True, device=device)
    (zeros**p).sum().backward()  # d x^p / dx at x = 0: 0 for p = 0, 1 for p = 1, 0 for p = 2
    np.testing.assert_array_equal(to_host(zeros.grad), [0, 1, 0])


UNARY = {
    F.negative: lambda x: -x,
    F.exp: math.exp,
    F.log: math.log,
    F.sqrt: math.sqrt,
    F.abs: lambda x: max(x, -x),
}


@pytest.mark.parametrize("op", UNARY, ids=lambda op: op.__name__)
@given(shape=shapes(min_side=0), seed=seeds)
def test_unary_operations(device, op, shape, seed):
    x = away_from_zero(normal(seed, shape))
    x = np.abs(x) if op in (F.log, F.sqrt) else x
    check_op(op, x, device=device, expected=by_element(UNARY[op], x))


def test_abs_has_gradient_zero_at_zero(device):
    x = minillm.tensor([-2.0, 0.0, 3.0], requires_grad=True, device=device)
    F.abs(x).backward(minillm.tensor([5.0, 5.0, 5.0], device=device))
    np.testing.assert_array_equal(to_host(x.grad), [-5, 0, 5])


@given(drawn=triples, seed=seeds)
def test_where_takes_each_value_and_its_gradient_from_the_side_chosen(device, drawn, seed):
    condition, x, y = normal(seed, *drawn.input_shapes)
    condition = condition > 0
    expected = by_element(lambda c, x, y: x if c else y, condition, x, y)
    check_op(F.where, condition, x, y, device=device, expected=expected)
    check_op(lambda c, x: F.where(c, x, 7.0), condition, x, device=device)
    check_op(lambda c, y: F.where(c, 7.0, y), condition, y, device=device)


@given(drawn=pairs, seed=seeds, value=st.sampled_from([0, -1e4, 2.5]))
def test_masked_fill(device, drawn, seed, value):
    x, mask = normal(seed, drawn.result_shape, drawn.input_shapes[1])
    mask = mask > 0
    expected = by_element(lambda x, m: value if m else x, x, mask)
    check_op(lambda x, m: F.masked_fill(x, m, value), x, mask, device=device, expected=expected)


def test_masked_fill_with_minus_infinity_keeps_float32(device):
    x = minillm.tensor([[1.0, 2.0]], requires_grad=True, device=device)
    y = x.masked_fill(minillm.tensor([True, False], device=device), -math.inf)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.numpy(), [[-math.inf, 2]])
    F.exp(y).sum().backward()
    assert_close(to_host(x.grad), [[0, math.exp(2)]], 1e-6)


def test_masked_fill_of_an_integer_mask_is_refused(device):
    x = minillm.tensor([1.0, 2.0], device=device)
    with pytest.raises(TypeError, match="int64"):
        F.masked_fill(x, minillm.tensor([1, 0], device=device), 0.0)


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
IN_PLACE = [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow]


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
@pytest.mark.parametrize("scalar", [2, 3, 0.5, True])
def test_operators_with_a_python_number_on_either_side(device, op, scalar):
    x = np.abs(normal(0, (2, 3))) + 0.5
    check_op(lambda x: op(x, scalar), x, device=device, expected=op(x, scalar))
    check_op(lambda x: op(scalar, x), x, device=device, expected=op(scalar, x))


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_python_number_never_changes_the_dtype(device, op, dtype):
    x = minillm.tensor([[1.0, 2.0]], dtype=dtype, requires_grad=True, device=device)
    for y in (op(x, 2), op(x, 0.1), op(2, x), op(0.1, x)):
        assert y.dtype == dtype
        x.grad = None
        y.sum().backward()
        assert x.grad.dtype == dtype


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
def test_array_operator_tensor_is_a_tensor(device, op):
    """`array * tensor` must not become an array of Tensors."""
    values = np.array([[1.5, 2.0], [0.5, 3.0]])
    x = minillm.tensor(values, device=device)
    for result in (op(x.data, x), op(x, x.data), op(x, x)):
        assert isinstance(result, minillm.Tensor)
        assert_close(result.numpy(), op(values, values))


@pytest.mark.parametrize("op", IN_PLACE, ids=lambda op: op.__name__)
def test_in_place_operators_make_a_new_tensor(device, op):
    """`h += x` rebinds h; the old array, which a gradient may need, is left alone."""
    x = minillm.tensor([1.5, 2.0], requires_grad=True, dtype=np.float64, device=device)
    h = before = x * 1
    kept = to_host(before.data)
    h = op(h, 2.0)
    assert h is not before and h.data is not before.data
    np.testing.assert_array_equal(to_host(before.data), kept)
    minillm.gradcheck(lambda x: op(x * x, 2.0), [x])


def test_assigning_to_elements_is_refused(device):
    x = minillm.tensor([1.0, 2.0], device=device)
    with pytest.raises(TypeError, match="masked_fill"):
        x[0] = 5.0


def test_shapes_that_do_not_broadcast_are_named(device):
    x, y = minillm.tensor(np.ones((2, 3)), device=device), minillm.tensor([1.0] * 4, device=device)
    with pytest.raises(ValueError, match=r"\(2, ?3\).*\(4,\)"):
        x + y


@given(drawn=pairs, seed=seeds)
def test_unbroadcast_is_the_transpose_of_broadcasting(device, drawn, seed):
    """<broadcast(x), g> == <x, unbroadcast(g)> for all x and g."""
    x, g = normal(seed, drawn.input_shapes[0], drawn.result_shape)
    array = minillm.tensor(g, device=device).data
    back = to_host(F.unbroadcast(array, minillm.tensor(x, device=device).data))
    assert back.shape == x.shape
    np.testing.assert_allclose(
        (back * x).sum(), (g * np.broadcast_to(x, g.shape)).sum(), atol=1e-12
    )

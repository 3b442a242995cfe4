"""Nonlinearities: values from Python's math module, kinks and extremes on purpose."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import (
    assert_close,
    away_from_zero,
    by_element,
    check_op,
    check_same,
    normal,
    seeds,
    shapes,
    to_host,
)

import minillm
from minillm import functional as F
from minillm.backend import BLOCK
from minillm.functional.activation import _gelu_float32, _gelu_tanh


def logistic(x):
    return 1 / (1 + math.exp(-x))


def gelu_tanh(x):
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


FORMULAS = {
    "tanh": (F.tanh, lambda x: (math.exp(x) - math.exp(-x)) / (math.exp(x) + math.exp(-x))),
    "sigmoid": (F.sigmoid, logistic),
    "relu": (F.relu, lambda x: x if x > 0 else 0.0),
    "silu": (F.silu, lambda x: x * logistic(x)),
    "gelu": (F.gelu, lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2))),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), gelu_tanh),
}


@pytest.mark.parametrize("name", FORMULAS)
@given(shape=shapes(min_side=0), seed=seeds, scale=st.sampled_from([1.0, 5.0]))
def test_elementwise_activations(device, name, shape, seed, scale):
    op, formula = FORMULAS[name]
    x = scale * normal(seed, shape)
    x = away_from_zero(x) if name == "relu" else x
    check_op(op, x, device=device, expected=by_element(formula, x))


@given(shape=shapes(min_side=0), seed=seeds, scale=st.sampled_from([1.0, 5.0]))
def test_swiglu(device, shape, seed, scale):
    gate, up = normal(seed, shape, shape)
    gate = np.asarray(scale * gate)
    expected = by_element(lambda g, u: g * logistic(g) * u, gate, up)
    check_op(F.swiglu, gate, up, device=device, expected=expected)
    check_same(F.swiglu, lambda gate, up: F.silu(gate) * up, gate, up, device=device)


def test_swiglu_block_by_block_is_swiglu_at_once(device):
    """More elements than one block of the fused loop holds."""
    gate, up = normal(0, (3, BLOCK // 2 + 1), (3, BLOCK // 2 + 1))
    check_same(F.swiglu, lambda gate, up: F.silu(gate) * up, gate, up, device=device)


def test_swiglu_of_two_shapes_is_refused(device):
    gate, up = (minillm.tensor(np.ones(n), device=device) for n in (3, 1))
    with pytest.raises(ValueError, match=r"swiglu: gate \(3,\) and up \(1,\)"):
        F.swiglu(gate, up)


def test_relu_has_gradient_zero_at_its_kink(device):
    x = minillm.tensor([-1.0, 0.0, 2.0], requires_grad=True, device=device)
    y = F.relu(x)
    y.backward(minillm.tensor([3.0, 3.0, 3.0], device=device))
    np.testing.assert_array_equal(y.numpy(), [0, 0, 2])
    np.testing.assert_array_equal(to_host(x.grad), [0, 0, 3])


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_inputs_neither_overflow_nor_warn(device, name, dtype):
    op, _ = FORMULAS[name]
    x = minillm.tensor([-1e4, -90.0, 90.0, 1e4], dtype=dtype, requires_grad=True, device=device)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = op(x)
        y.sum().backward()
    limits = {"tanh": ([-1, -1, 1, 1], [0] * 4), "sigmoid": ([0, 0, 1, 1], [0] * 4)}
    value, slope = limits.get(name, ([0, 0, 90, 1e4], [0, 0, 1, 1]))
    np.testing.assert_allclose(y.numpy(), value, atol=1e-12)
    np.testing.assert_allclose(to_host(x.grad), slope, atol=1e-12)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_in_float32_is_good_to_float32(device, approximate):
    """Value and derivative on a fine grid, against float64."""
    grid = np.linspace(-8, 8, 4001)
    results = {}
    for dtype in (np.float32, np.float64):
        x = minillm.tensor(grid, dtype=dtype, requires_grad=True, device=device)
        y = F.gelu(x, approximate=approximate)
        y.sum().backward()
        results[dtype] = y.numpy(), to_host(x.grad)
    for single, double in zip(results[np.float32], results[np.float64], strict=True):
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, rtol=3e-7, atol=1.5e-6)


def test_gelu_names_an_unknown_approximation(device):
    with pytest.raises(ValueError, match="'sigmoid'.*'none' or 'tanh'"):
        F.gelu(minillm.tensor([1.0], device=device), approximate="sigmoid")


@pytest.mark.parametrize("fused", [_gelu_float32, _gelu_tanh], ids=lambda f: f.__name__)
@pytest.mark.parametrize("shape", [(1,), (BLOCK - 1,), (BLOCK,), (BLOCK + 1,), (3, BLOCK + 7)])
def test_fused_bodies_equal_their_plain_form_across_blocks(device, fused, shape):
    x = minillm.tensor(normal(0, shape), dtype=np.float32, device=device)
    plain = fused.plain(minillm.backend.array_module(x.data), x.data)
    for array in (x.data, x.data[..., ::-1], x.data.T):
        reference = fused.plain(minillm.backend.array_module(array), array)
        for part, expected in zip(fused(array), reference, strict=True):
            assert part.dtype == np.float32 and part.shape == array.shape
            np.testing.assert_array_equal(to_host(part), to_host(expected))
    assert len(plain) == 2


# ------------------------------------------------------------------------------------- softmax


def along_axis(function, x, axis):
    """`function` of a list of floats, applied to every line of x along `axis`."""
    lines = np.moveaxis(x, axis, -1)
    rows = [function(row.tolist()) for row in lines.reshape(-1, x.shape[axis])]
    return np.moveaxis(np.array(rows).reshape(lines.shape), -1, axis)


def softmax_of_list(values):
    total = math.fsum(map(math.exp, values))
    return [math.exp(v) / total for v in values]


def log_softmax_of_list(values):
    total = math.fsum(map(math.exp, values))
    return [v - math.log(total) for v in values]


@pytest.mark.parametrize(
    ("op", "formula"),
    [(F.softmax, softmax_of_list), (F.log_softmax, log_softmax_of_list)],
    ids=["softmax", "log_softmax"],
)
@given(shape=shapes(min_dims=1), seed=seeds, data=st.data())
def test_softmax_along_any_axis(device, op, formula, shape, seed, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = 2 * normal(seed, shape)
    check_op(lambda x: op(x, axis=axis), x, device=device, expected=along_axis(formula, x, axis))


@given(shape=shapes(min_dims=1), seed=seeds, data=st.data())
def test_softmax_equals_its_composition(device, shape, seed, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))

    def composed(x):
        return F.exp(x) / F.exp(x).sum(axis=axis, keepdims=True)

    x = normal(seed, shape)
    check_same(lambda x: F.softmax(x, axis), composed, x, device=device)
    check_same(lambda x: F.log_softmax(x, axis), lambda x: F.log(composed(x)), x, device=device)


def test_softmax_is_unmoved_by_a_shift_and_by_extremes(device):
    x = minillm.tensor([[1e4, 1e4 - 1, -1e4]], dtype=np.float64, device=device)
    e = math.exp(-1)
    np.testing.assert_allclose(F.softmax(x).numpy(), [[1 / (1 + e), e / (1 + e), 0]])
    np.testing.assert_allclose(
        F.log_softmax(x).numpy()[0, :2], [-math.log1p(e), -1 - math.log1p(e)], rtol=1e-12
    )


def test_softmax_gives_masked_places_nothing_and_no_gradient(device):
    x = minillm.tensor([[0.0, -math.inf, 0.0]], requires_grad=True, device=device)
    y = F.softmax(x)
    np.testing.assert_array_equal(y.numpy(), [[0.5, 0, 0.5]])
    (y * minillm.tensor([[1.0, 5.0, 2.0]], device=device)).sum().backward()
    assert_close(to_host(x.grad), [[-0.25, 0, 0.25]], 1e-6)


@pytest.mark.parametrize("op", [F.softmax, F.log_softmax], ids=lambda op: op.__name__)
def test_axis_may_be_called_dim(device, op):
    x = minillm.tensor(normal(0, (2, 3)), device=device)
    assert_close(op(x, dim=0).numpy(), op(x, axis=0).numpy())
    assert_close(op(x).numpy(), op(x, dim=1).numpy())  # the last axis by default
    assert_close(getattr(x, op.__name__)(dim=0).numpy(), op(x, 0).numpy())

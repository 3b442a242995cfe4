"""layer_norm and rms_norm: row by row in Python, against its composition, at its extremes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import assert_close, check_op, check_same, normal, seeds, shapes, to_host

import minillm
from minillm import functional as F


def normalized(row, eps):
    mean = math.fsum(row) / len(row)
    variance = math.fsum((v - mean) ** 2 for v in row) / len(row)
    return [(v - mean) / math.sqrt(variance + eps) for v in row]


@st.composite
def layer_norm_cases(draw):
    batch = draw(shapes(max_dims=2, max_side=3))
    normalized_shape = draw(shapes(min_dims=1, max_dims=2, max_side=4))
    return batch, normalized_shape, draw(st.booleans()), draw(st.booleans())


@given(case=layer_norm_cases(), eps=st.sampled_from([1e-5, 1e-2]), seed=seeds)
def test_layer_norm(device, case, eps, seed):
    batch, shape, has_weight, has_bias = case
    x, weight, bias = normal(seed, (*batch, *shape), shape, shape)
    rows = np.array([normalized(row.tolist(), eps) for row in x.reshape(-1, math.prod(shape))])
    expected = rows.reshape(x.shape)
    expected = expected * weight if has_weight else expected
    expected = expected + bias if has_bias else expected

    def op(x, *parameters):
        parameters = list(parameters)
        w = parameters.pop(0) if has_weight else None
        b = parameters.pop(0) if has_bias else None
        return F.layer_norm(x, shape, w, b, eps)

    def composed(x, *parameters):
        parameters = list(parameters)
        axes = tuple(range(-len(shape), 0))
        y = (x - x.mean(axes, True)) / F.sqrt(x.var(axes, correction=0, keepdims=True) + eps)
        y = y * parameters.pop(0) if has_weight else y
        return y + parameters.pop(0) if has_bias else y

    arguments = [x, *[weight] * has_weight, *[bias] * has_bias]
    if math.prod(shape) == 1 or (rows.shape[1] == 2 and eps < 1e-3):
        # One or two values: the row is almost constant 0 or -1, 1, its curvature too strong for
        # differences with a fixed step.
        check_op(op, *arguments, device=device, expected=expected, gradient=False)
    else:
        check_op(op, *arguments, device=device, expected=expected, tolerance32=2e-4)
    check_same(op, composed, *arguments, device=device, tolerance=1e-8)


def test_a_constant_row_gives_the_bias_and_a_finite_gradient(device):
    x = minillm.tensor(np.full((2, 4), 7.0), requires_grad=True, device=device)
    weight, bias = (minillm.tensor(a, device=device) for a in normal(0, (4,), (4,)))
    y = F.layer_norm(x, 4, weight, bias)
    assert_close(y.numpy(), np.tile(bias.numpy(), (2, 1)))
    y.sum().backward()
    assert np.isfinite(to_host(x.grad)).all()


def test_layer_norm_far_from_zero_in_float32(device):
    """The mean is taken off before the squares: no catastrophic cancellation."""
    x = normal(0, (3, 64))
    y = F.layer_norm(minillm.tensor(x + 1000, dtype=np.float32, device=device), 64)
    expected = [normalized(row, 1e-5) for row in (x + 1000).astype(np.float32).tolist()]
    assert_close(y.numpy(), expected, 5e-4)


def test_shapes_that_do_not_fit_are_named(device):
    x = minillm.tensor(np.ones((2, 3)), device=device)
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(4,\)"):
        F.layer_norm(x, 4)
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(1, 2, 3\)"):
        F.layer_norm(x, (1, 2, 3))
    with pytest.raises(ValueError, match=r"weight.*\(2,\).*\(3,\)"):
        F.layer_norm(x, 3, minillm.tensor(np.ones(2), device=device))
    with pytest.raises(ValueError, match=r"bias.*\(6,\).*\(3,\)"):
        F.layer_norm(x, [3], None, minillm.tensor(np.ones(6), device=device))


def divided_by_root_mean_square(row, eps):
    scale = math.sqrt(math.fsum(v * v for v in row) / len(row) + eps)
    return [v / scale for v in row]


@given(case=layer_norm_cases(), eps=st.sampled_from([1e-5, 1e-2]), seed=seeds)
def test_rms_norm(device, case, eps, seed):
    batch, shape, has_weight, _ = case
    x, weight = normal(seed, (*batch, *shape), shape)
    rows = x.reshape(-1, math.prod(shape)).tolist()
    expected = np.reshape([divided_by_root_mean_square(row, eps) for row in rows], x.shape)
    expected = expected * weight if has_weight else expected

    def composed(x, *weight):
        axes = tuple(range(-len(shape), 0))
        y = x / F.sqrt((x * x).mean(axes, True) + eps)
        return y * weight[0] if weight else y

    arguments = [x, *[weight] * has_weight]
    check_op(
        lambda x, *weight: F.rms_norm(x, shape, weight[0] if weight else None, eps),
        *arguments,
        device=device,
        expected=expected,
        # One value: the row is almost its sign, too steep for differences with a fixed step.
        gradient=math.prod(shape) > 1,
        tolerance32=2e-4,
    )
    if math.prod(shape) > 1:
        check_same(
            lambda x, *weight: F.rms_norm(x, shape, weight[0] if weight else None, eps),
            composed,
            *arguments,
            device=device,
            tolerance=1e-8,
        )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rms_norm_without_eps_takes_the_epsilon_of_the_dtype(device, dtype):
    eps = float(np.finfo(dtype).eps)
    x = minillm.tensor(math.sqrt(eps) * normal(0, (2, 3)), dtype=dtype, device=device)
    np.testing.assert_array_equal(F.rms_norm(x, 3).numpy(), F.rms_norm(x, 3, None, eps).numpy())
    assert np.abs(F.rms_norm(x, 3).numpy()).max() < 1.5  # not 1.7: eps is as large as the values


def test_a_row_of_zeros_stays_zero_with_a_finite_gradient(device):
    x = minillm.tensor(np.zeros((2, 4)), requires_grad=True, device=device)
    y = F.rms_norm(x, 4)
    np.testing.assert_array_equal(y.numpy(), np.zeros((2, 4)))
    y.sum().backward()
    assert np.isfinite(to_host(x.grad)).all()


def test_shapes_that_do_not_fit_rms_norm_are_named(device):
    x = minillm.tensor(np.ones((2, 3)), device=device)
    with pytest.raises(ValueError, match=r"rms_norm.*\(2, 3\).*\(4,\)"):
        F.rms_norm(x, 4)
    with pytest.raises(ValueError, match=r"rms_norm: weight.*\(2,\).*\(3,\)"):
        F.rms_norm(x, 3, minillm.tensor(np.ones(2), device=device))

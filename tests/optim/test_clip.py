"""Clipping by the common norm."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import normal, seeds, to_host

import minillm
from minillm import nn, optim


def parameters(device, *gradients):
    made = []
    for gradient in gradients:
        p = nn.Parameter(minillm.tensor(np.zeros_like(gradient), device=device))
        p.grad = minillm.tensor(gradient, device=device).data
        made.append(p)
    return made


@given(seeds, st.floats(0.01, 10))
def test_the_common_norm_is_cut_and_the_direction_stays(device, seed, max_norm):
    gradients = normal(seed, (3, 2), (4,), ())
    params = parameters(device, *gradients)
    without = nn.Parameter(minillm.tensor([1.0], device=device))
    norm = math.sqrt(sum((g**2).sum() for g in gradients))
    returned = optim.clip_grad_norm_(iter([*params, without]), max_norm)
    assert returned.device == device and returned.shape == () and without.grad is None
    np.testing.assert_allclose(returned.item(), norm)
    scale = min(1, max_norm / (norm + 1e-6))
    for p, g in zip(params, gradients, strict=True):
        np.testing.assert_allclose(to_host(p.grad), g * scale)
    clipped = math.sqrt(sum((to_host(p.grad) ** 2).sum() for p in params))
    assert clipped <= max_norm


def test_gradients_are_scaled_in_place_in_their_dtype(device):
    (p,) = parameters(device, np.full((2, 2), 3.0, np.float32))
    storage = p.grad
    assert optim.clip_grad_norm_(p, 1.0).item() == 6.0  # one parameter will do
    assert p.grad is storage and p.grad.dtype == np.float32
    np.testing.assert_allclose(to_host(p.grad), 0.5, rtol=1e-6)


def test_an_infinite_limit_only_measures(device):
    (p,) = parameters(device, np.array([3.0, 4.0]))
    assert optim.clip_grad_norm_([p], math.inf).item() == 5.0
    np.testing.assert_array_equal(to_host(p.grad), [3, 4])


def test_without_gradients_the_norm_is_zero(device):
    assert optim.clip_grad_norm_(nn.Linear(2, 2).to(device).parameters(), 1.0).item() == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_norm_that_is_not_finite_is_returned_or_an_error_on_request(device, bad):
    params = parameters(device, np.array([1.0]), np.array([bad]))
    with pytest.raises(RuntimeError, match=f"the norm of the gradients is {bad}"):
        optim.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(to_host(params[0].grad), [1])
    with np.errstate(invalid="ignore"):
        assert not math.isfinite(optim.clip_grad_norm_(params, 1.0).item())


@pytest.mark.parametrize("max_norm", [-1.0, math.nan])
def test_the_limit_is_checked(device, max_norm):
    with pytest.raises(ValueError, match="max_norm must not be negative"):
        optim.clip_grad_norm_(parameters(device, np.ones(1)), max_norm)

"""LayerNorm and RMSNorm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import normal, seeds, shapes

import minillm
from minillm import nn


@given(seeds, shapes(1, 3, min_side=2), st.data(), st.sampled_from([(1, 1), (1, 0), (0, 1)]))
def test_layer_norm_has_mean_zero_and_variance_one_before_the_affine_map(
    check_module, seed, shape, data, options
):
    affine, bias = map(bool, options)
    normalized = shape[data.draw(st.integers(0, len(shape) - 1)) :]

    def formula(w, x):
        axes = tuple(range(-len(normalized), 0))
        deviation = x - x.mean(axes, keepdims=True)
        variance = (deviation**2).mean(axes, keepdims=True)
        return deviation / np.sqrt(variance + 1e-3) * w.get("weight", 1) + w.get("bias", 0)

    module = nn.LayerNorm(normalized, 1e-3, elementwise_affine=affine, bias=bias)
    assert list(module.state_dict()) == ["weight", "bias"][: affine + affine * bias]
    check_module(module, formula, normal(seed, shape), seed=seed)


def test_errors_are_in_words(device):
    with pytest.raises(ValueError, match="normalized_shape must be a positive integer, got 0"):
        nn.LayerNorm((2, 0))
    with pytest.raises(ValueError, match="eps must not be negative"):
        nn.LayerNorm(2, eps=-1)
    with pytest.raises(ValueError, match=r"last axes of \(2, 4\) are not \(3,\)"):
        nn.LayerNorm(3).to(device)(minillm.tensor(np.zeros((2, 4), np.float32), device=device))


@given(seeds, shapes(1, 3, min_side=2), st.data(), st.booleans())
def test_rms_norm_has_mean_square_one_before_the_affine_map(
    check_module, seed, shape, data, affine
):
    normalized = shape[data.draw(st.integers(0, len(shape) - 1)) :]

    def formula(w, x):
        axes = tuple(range(-len(normalized), 0))
        return x / np.sqrt((x**2).mean(axes, keepdims=True) + 1e-3) * w.get("weight", 1)

    module = nn.RMSNorm(normalized, 1e-3, elementwise_affine=affine)
    assert list(module.state_dict()) == ["weight"] * affine
    check_module(module, formula, normal(seed, shape), seed=seed)


def test_rms_norm_starts_with_ones_and_the_epsilon_of_the_dtype(device):
    module = nn.RMSNorm(3).to(device)
    np.testing.assert_array_equal(module.weight.numpy(), np.ones(3))
    x = np.float32([[3e-4, 0, 0]])
    expected = x / np.sqrt(np.float32(3e-8) + np.finfo(np.float32).eps)
    y = module(minillm.tensor(x, device=device)).numpy()
    np.testing.assert_allclose(y, expected, rtol=1e-5)


def test_errors_of_rms_norm_are_in_words(device):
    with pytest.raises(ValueError, match="normalized_shape must be a positive integer, got 0"):
        nn.RMSNorm((2, 0))
    with pytest.raises(ValueError, match="eps must not be negative"):
        nn.RMSNorm(2, eps=-1)
    with pytest.raises(ValueError, match=r"last axes of \(2, 4\) are not \(3,\)"):
        nn.RMSNorm(3).to(device)(minillm.tensor(np.zeros((2, 4), np.float32), device=device))

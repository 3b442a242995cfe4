"""Conv1d and MaxPool1d."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import normal, seeds

import minillm
from minillm import nn


@given(
    *(seeds, st.integers(1, 2), st.integers(1, 2), st.integers(1, 2), st.integers(1, 3)),
    *(st.integers(1, 2), st.integers(0, 2), st.integers(1, 2), st.booleans()),
)
def test_conv1d_is_a_sum_over_taps_and_channels(
    check_module, seed, groups, in_each, out_each, K, stride, padding, dilation, bias
):
    C_out, L = groups * out_each, 7

    def formula(w, x):
        padded = np.pad(x, ((0, 0), (0, 0), (padding, padding)))
        L_out = (padded.shape[-1] - dilation * (K - 1) - 1) // stride + 1
        y = np.zeros((len(x), C_out, L_out))
        for n, o, place in np.ndindex(*y.shape):
            group = o // out_each
            for c, k in np.ndindex(in_each, K):
                seen = padded[n, group * in_each + c, place * stride + k * dilation]
                y[n, o, place] += w["weight"][o, c, k] * seen
            y[n, o, place] += w["bias"][o] if bias else 0
        return y

    module = nn.Conv1d(groups * in_each, C_out, K, stride, padding, dilation, groups, bias)
    check_module(module, formula, normal(seed, (2, groups * in_each, L)), seed=seed)


@given(seeds, st.integers(1, 3), st.integers(1, 3), st.integers(0, 1))
def test_max_pool_takes_the_largest_of_each_window(check_module, seed, size, stride, padding):
    padding = min(padding, size // 2)

    def formula(w, x):
        padded = np.pad(x, ((0, 0), (0, 0), (padding, padding)), constant_values=-np.inf)
        starts = range(0, padded.shape[-1] - size + 1, stride)
        return np.stack([padded[..., s : s + size].max(-1) for s in starts], -1)

    check_module(nn.MaxPool1d(size, stride, padding), formula, normal(seed, (2, 3, 7)))


def test_the_stride_of_a_pool_defaults_to_its_size():
    assert nn.MaxPool1d(3).stride == 3


def test_errors_are_in_words(device):
    with pytest.raises(ValueError, match="kernel_size must be a positive integer, got 0"):
        nn.Conv1d(1, 1, 0)
    with pytest.raises(ValueError, match="must be multiples of groups 2"):
        nn.Conv1d(3, 4, 1, groups=2)
    with pytest.raises(ValueError, match="padding must be an integer >= 0, got 'same'"):
        nn.Conv1d(3, 4, 1, padding="same")
    with pytest.raises(ValueError, match="stride must be a positive integer, got 0"):
        nn.MaxPool1d(2, 0)
    with pytest.raises(ValueError, match=r"expected input \(N, C_in, L\)"):
        nn.Conv1d(3, 4, 1).to(device)(minillm.tensor(np.zeros((2, 5, 3), "f"), device=device))

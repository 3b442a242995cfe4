"""Linear."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import normal, seeds, shapes

import minillm
from minillm import nn


@given(seeds, shapes(1, 3), st.integers(1, 4), st.booleans())
def test_linear_is_x_times_w_transposed_plus_b(check_module, seed, shape, out_features, bias):
    def formula(w, x):
        return np.einsum("...i,oi->...o", x, w["weight"]) + w.get("bias", 0)

    check_module(nn.Linear(shape[-1], out_features, bias), formula, normal(seed, shape), seed=seed)


def test_errors_are_in_words(device):
    with pytest.raises(ValueError, match="in_features must be a positive integer, got 0"):
        nn.Linear(0, 3)
    with pytest.raises(ValueError, match=r"out_features must be a positive integer, got 2\.5"):
        nn.Linear(3, 2.5)
    layer = nn.Linear(3, 2).to(device)
    with pytest.raises(ValueError, match=r"4 features .* the weight expects 3"):
        layer(minillm.tensor(np.zeros((2, 4), np.float32), device=device))

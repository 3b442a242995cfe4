"""Dropout."""

import numpy as np
import pytest
from op_factory import to_host

import minillm
from minillm import nn


def test_while_training_elements_vanish_and_the_others_grow(device):
    layer = nn.Dropout(0.25).to(device)
    x = minillm.tensor(np.ones((100, 100)), requires_grad=True, device=device)
    y = layer(x)
    values = y.numpy()
    kept = values != 0
    assert abs(kept.mean() - 0.75) < 0.02
    np.testing.assert_allclose(values[kept], 1 / 0.75)
    y.sum().backward()  # the same elements pass the gradient, with the same factor
    np.testing.assert_array_equal(to_host(x.grad), values)
    assert not np.array_equal(layer(x).numpy(), values)  # a new mask each time


def test_at_evaluation_nothing_happens(device):
    x = minillm.tensor(np.ones(10), device=device)
    assert nn.Dropout(0.5).eval()(x) is x
    assert nn.Dropout(0.0)(x) is x
    assert (nn.Dropout(1.0)(x).numpy() == 0).all()


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_p_must_be_a_probability(p):
    with pytest.raises(ValueError, match=f"p must be a probability between 0 and 1, got {p}"):
        nn.Dropout(p)

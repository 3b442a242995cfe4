"""RMSprop, step by step as in the formulas."""

import numpy as np
import pytest

from minillm import nn, optim


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_rmsprop(follows, centered, momentum, weight_decay):
    def formula(p, gradients):
        v = a = b = 0.0
        for g in gradients:
            g = g + weight_decay * p
            v = 0.9 * v + 0.1 * g**2
            a = 0.9 * a + 0.1 * g
            move = g / (np.sqrt(v - a**2 if centered else v) + 1e-6)
            b = momentum * b + move
            p = p - 0.01 * b
            yield p

    follows(
        lambda ps: optim.RMSprop(ps, 0.01, 0.9, 1e-6, weight_decay, momentum, centered), formula
    )


def test_a_variance_of_zero_is_no_nan(device):
    """Equal gradients have the variance 0 up to rounding, which must not become negative."""
    layer = nn.Linear(3, 3).to(device)
    optimizer = optim.RMSprop(layer.parameters(), alpha=0.1, centered=True)
    for _ in range(30):
        for p in layer.parameters():
            p.grad = 0 * p.data + 0.1
        optimizer.step()
    assert all(np.isfinite(p.numpy()).all() for p in layer.parameters())


def test_options_are_checked():
    with pytest.raises(ValueError, match="alpha must be at least 0 and below 1, got 1"):
        optim.RMSprop(nn.Linear(2, 2).parameters(), alpha=1.0)
    with pytest.raises(ValueError, match="eps must not be negative, got -1"):
        optim.RMSprop(nn.Linear(2, 2).parameters(), eps=-1)

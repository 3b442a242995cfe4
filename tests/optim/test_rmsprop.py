"""RMSprop, step by step as in the formulas."""

import numpy as np
import pytest

import minillm
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
    p = nn.Parameter(minillm.tensor(np.zeros(1000, np.float32), device=device))
    p.grad = minillm.tensor(np.linspace(0.1, 1, 1000, dtype=np.float32), device=device).data
    optimizer = optim.RMSprop([p], alpha=0.1, centered=True)
    for _ in range(30):
        optimizer.step()
    assert np.isfinite(p.numpy()).all()


def test_options_are_checked():
    with pytest.raises(ValueError, match="alpha must be at least 0 and below 1, got 1"):
        optim.RMSprop(nn.Linear(2, 2).parameters(), alpha=1.0)
    with pytest.raises(ValueError, match="eps must not be negative, got -1"):
        optim.RMSprop(nn.Linear(2, 2).parameters(), eps=-1)

"""The activation modules are the functions of the same name."""

import numpy as np
import pytest

import minillm
from minillm import nn

X = np.linspace(-3, 3, 12).reshape(3, 4)


@pytest.mark.parametrize(
    ("module", "formula"),
    [
        (nn.ReLU(), lambda w, x: np.where(x > 0, x, 0)),
        (nn.Tanh(), lambda w, x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))),
        (nn.Sigmoid(), lambda w, x: 1 / (1 + np.exp(-x))),
        (nn.SiLU(), lambda w, x: x / (1 + np.exp(-x))),
        (
            nn.GELU("tanh"),
            lambda w, x: x / (1 + np.exp(-2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_and_gradients(check_module, module, formula):
    check_module(module, formula, X)


def test_gelu_is_x_times_the_normal_distribution_function(device):
    y = nn.GELU()(minillm.tensor([-2.0, 0.0, 1.0, 2.0], device=device)).numpy()
    # Phi(1) = 0.8413447, Phi(2) = 0.9772499
    np.testing.assert_allclose(y, [-0.0455003, 0, 0.8413447, 1.9544998], atol=2e-6)
    with pytest.raises(ValueError, match="approximate='fast': expected 'none' or 'tanh'"):
        nn.GELU("fast")

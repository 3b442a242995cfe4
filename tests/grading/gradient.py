"""A gradient checked by numbers: the slope along random directions, by central differences.

With L(x) = sum(dy * forward(x)) and a direction u,
    (L(x + eps u) - L(x - eps u)) / (2 eps)  =  <gradient, u> + O(eps^2).
"""

import numpy as np

from grading.compare import as_numbers
from grading.diagnose import diagnose

EPS = 1e-5


def check_gradient(forward, inputs, dy, gradients, names, rng, rtol=1e-5):
    """None, or (reason, likely mistake, the student's gradient, the true one) of a fault."""
    inputs = [np.asarray(x, np.float64) for x in inputs]
    dy = np.asarray(dy, np.float64)
    names = names or [chr(ord("x") + i) if i < 3 else f"input {i}" for i in range(len(inputs))]
    if len(inputs) == 1 and not _holds_one(gradients, inputs[0].shape):
        gradients = (gradients,)
    if gradients is None or len(inputs) > 1 and not isinstance(gradients, list | tuple):
        return f"expected a tuple of {len(inputs)} gradients", None, gradients, tuple(names)
    if len(gradients) != len(inputs):
        reason = f"{len(gradients)} gradients instead of {len(inputs)} ({', '.join(names)})"
        return reason, None, gradients, tuple(names)

    def loss(i, x):
        return float(np.sum(dy * forward(*inputs[:i], x, *inputs[i + 1 :])))

    for i, (x, name, gradient) in enumerate(zip(inputs, names, gradients, strict=True)):
        g = as_numbers(gradient)
        if g is None or g.shape != x.shape or g.dtype.kind not in "fiu":
            true = _whole(lambda z, i=i: loss(i, z), x)
            what = "is no array of numbers" if g is None else f"has shape {g.shape}, not {x.shape}"
            return f"the gradient of {name} {what}", diagnose(gradient, true), gradient, true
        exact = g.dtype.itemsize == 8
        for _ in range(3):
            u = rng.normal(size=x.shape)
            slope = (loss(i, x + EPS * u) - loss(i, x - EPS * u)) / (2 * EPS)
            claimed = float(np.sum(g * u))
            # Each term's size counts: a sum near zero has its terms' rounding.
            scale = np.sum(np.abs(g * u)) + abs(slope) + 1e-3
            if not abs(claimed - slope) <= (rtol if exact else max(rtol, 1e-3)) * scale:
                true = _whole(lambda z, i=i: loss(i, z), x)
                return f"the gradient of {name} is wrong", diagnose(gradient, true), gradient, true
    return None


def _holds_one(gradients, shape) -> bool:
    """(gradient,) rather than the gradient itself, which may be a list of one row."""
    if not isinstance(gradients, tuple | list) or len(gradients) != 1:
        return False
    whole = as_numbers(gradients)
    return whole is None or whole.shape != shape


def _whole(loss, x) -> np.ndarray:
    """The gradient number by number, rounded to what central differences can tell."""
    gradient = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = EPS
        gradient[i] = (loss(x + step) - loss(x - step)) / (2 * EPS)
    return np.round(gradient, 8)

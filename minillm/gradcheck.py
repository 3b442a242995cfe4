"""Checking a gradient against differences: the referee for every backward in this library.

For one random direction v in the space of all inputs and one random projection u of the output,

    <u, (f(x + h v) - f(x - h v)) / 2h>   must equal   <backward(u), v>,

in float64, up to rounding and the h^2 error of the central difference.  One pair of evaluations
checks the whole Jacobian at once: a wrong entry would have to be orthogonal to random vectors.
How large a disagreement may be is measured by the gradient itself, so that neither a zero in place
of a small gradient nor an error of 0.1 % in a large one gets through.
"""

import numpy as np

from minillm.autograd import Tensor
from minillm.backend import device_of
from minillm.grad_mode import no_grad


class GradientError(AssertionError):
    """The gradient and the difference disagree."""


def gradcheck(function, inputs, h: float = 1e-6, tolerance: float = 1e-6, seed: int = 0) -> bool:
    """Check backward() of `function(*inputs)` with respect to every input that wants a gradient.

    inputs: Tensors (float64 where requires_grad=True) and anything else, handed on unchanged;
    `function` returns one Tensor of any shape and must give the same value when called again.
    tolerance: largest |difference - <gradient, v>| relative to sum |gradient_i v_i|, above what
    rounding f to float64 does to the difference.
    Returns True; raises GradientError with both numbers and the input at fault, TypeError for an
    input in float32 (whose rounding would drown the difference).
    """
    inputs = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    checked = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError("gradcheck: no input has requires_grad=True, there is nothing to check")
    for i in checked:
        if inputs[i].dtype != np.float64:
            raise TypeError(f"gradcheck: input {i} is {inputs[i].dtype}; pass dtype=float64")
    generator = np.random.default_rng(seed)

    def direction(x):
        return device_of(x).from_numpy(generator.standard_normal(x.shape))

    leaves = [Tensor(x.data.copy()) if i in checked else x for i, x in enumerate(inputs)]
    for i in checked:
        leaves[i].requires_grad_()
    y = function(*leaves)
    u = direction(y.data)
    y.backward(u)
    # Each output is off by about eps (its intermediate results are taken to be near 1 or below y).
    rounding = 10 * np.finfo(np.float64).eps * float((abs(u) * (1 + abs(y.data))).sum()) / h

    for i in checked:
        x, gradient = leaves[i].data, leaves[i].grad
        v = direction(x)
        terms = 0 * v if gradient is None else gradient * v
        predicted = float(terms.sum())
        allowed = tolerance * float(abs(terms).sum()) + rounding
        with no_grad():
            ahead = function(*leaves[:i], Tensor(x + h * v), *leaves[i + 1 :])
            behind = function(*leaves[:i], Tensor(x - h * v), *leaves[i + 1 :])
        measured = float((u * (ahead.data - behind.data)).sum()) / (2 * h)
        if not abs(measured - predicted) <= allowed < np.inf:  # nan and inf fail, too
            raise GradientError(
                f"input {i}, shape {x.shape}: backward gives {predicted:.9g} along a random "
                f"direction, the central difference (h = {h:g}) {measured:.9g}"
            )
    return True

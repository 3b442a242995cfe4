"""L-BFGS: finding the minimum of a smooth function of a million numbers in a few dozen steps.

Newton's method steps by p = -H^-1 g, H the matrix of second derivatives: much better than along
-g, but H has V^2 numbers.  How the gradient changed over the last steps tells enough of H:

    s = x_new - x_old,  y = g_new - g_old        (y is about H s)

BFGS updates an estimate of H^-1 by each pair (s, y) so that H^-1 y = s; L-BFGS ("limited memory")
keeps the last few pairs only and computes H^-1 g from them by two loops over vectors.

Source: Nocedal and Wright 2006, "Numerical Optimization", algorithms 7.4 (two-loop recursion) and
7.5, with backtracking (algorithm 3.1).
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Minimum(NamedTuple):
    """x, f(x), the steps that were taken, and whether the gradient became as small as wanted."""

    x: np.ndarray
    value: float
    iterations: int
    converged: bool


def minimize_lbfgs(
    function: Callable[[np.ndarray], tuple[float, np.ndarray]],
    x: np.ndarray,
    tolerance: float = 1e-4,
    max_iterations: int = 500,
    history: int = 10,
) -> Minimum:
    """The minimum of a convex function from the start x (n,), which is not written to.

    function: x -> (f(x), its gradient (n,)).  It is found when no component of the gradient is
    larger than `tolerance` times the largest one at the start.  Deterministic.

    Raises FloatingPointError if f is not finite at the start.
    """
    value, g = function(x)
    if not np.isfinite(value) or not np.all(np.isfinite(g)):
        raise FloatingPointError(f"the function to minimize is {value} at the start")
    small_enough = tolerance * np.abs(g).max(initial=0.0)
    pairs: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=history)
    for iteration in range(max_iterations):
        if np.abs(g).max(initial=0.0) <= small_enough:
            return Minimum(x, value, iteration, True)
        p = -_inverse_hessian_times(g, pairs)
        slope = float(g @ p)
        # Go a whole step, or half, a quarter, ... until f falls by a part of what the slope says.
        # The first p is -g, whose length says nothing yet: begin with a step of length 1.
        step = 1.0 if pairs else 1 / max(1.0, float(np.sqrt(g @ g)))
        # Near the minimum f falls by less than it is rounded by: there the slope has to flatten.
        rounding = 1e-14 * abs(value)
        while True:
            x_new = x + step * p
            value_new, g_new = function(x_new)
            if value_new <= value + 1e-4 * step * slope:
                break
            if value_new <= value + rounding and abs(g_new @ p) < 0.9 * abs(slope):
                break
            step /= 2
            if step < 1e-12:  # as near as the precision of numbers allows
                return Minimum(x, value, iteration, False)
        s, y = x_new - x, g_new - g
        if s @ y > 1e-10 * float(np.sqrt((s @ s) * (y @ y))):  # curved upwards, as convex f is
            pairs.append((s, y))
        x, value, g = x_new, value_new, g_new
    return Minimum(x, value, max_iterations, bool(np.abs(g).max() <= small_enough))


def _inverse_hessian_times(g: np.ndarray, pairs: deque) -> np.ndarray:
    """H^-1 g by the two-loop recursion; g itself without pairs."""
    q = g.copy()
    alphas = []
    for s, y in reversed(pairs):  # newest first
        alpha = (s @ q) / (s @ y)
        q -= alpha * y
        alphas.append(alpha)
    if pairs:
        s, y = pairs[-1]
        q *= (s @ y) / (y @ y)  # the scale of H^-1 in the latest direction
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):  # oldest first
        beta = (y @ q) / (s @ y)
        q += (alpha - beta) * s
    return q

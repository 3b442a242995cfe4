"""L-BFGS: it finds minima that are known, and says so when it doesn't."""

import numpy as np
import pytest

from minillm.models.lbfgs import minimize_lbfgs


@pytest.mark.parametrize("condition", [1, 100, 1000])
def test_a_quadratic_function(condition):
    """f = 1/2 x^T A x - b^T x has its minimum at A^-1 b.

    The smallest curvature is 1, so x is as near to it as the gradient is to 0.  (Much nearer than
    this, f falls by less than a float64 can tell.)
    """
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.standard_normal((30, 30)))
    A, b = (Q * np.geomspace(1, condition, 30)) @ Q.T, rng.standard_normal(30)
    start = np.zeros(30)
    found = minimize_lbfgs(lambda x: (x @ A @ x / 2 - b @ x, A @ x - b), start, 1e-6, 1000)
    assert found.converged
    np.testing.assert_allclose(found.x, np.linalg.solve(A, b), atol=1e-5)
    assert not start.any()


def test_far_fewer_steps_than_gradient_descent():
    """Curvatures 1 to k = 10,000: gradient descent needs ln(1e6) k / 2, which is 69,000 steps."""
    scales = np.geomspace(1, 10_000, 30)
    found = minimize_lbfgs(lambda x: (x @ (scales * x) / 2, scales * x), np.ones(30), 1e-6, 1000)
    assert found.converged and found.iterations < 690


def test_the_value_falls_and_the_limit_is_kept():
    def f(x):
        return float(np.sum(np.cosh(x))), np.sinh(x)

    values = [minimize_lbfgs(f, np.full(3, 4.0), 1e-12, k).value for k in range(6)]
    assert values == sorted(values, reverse=True) and values[5] < values[0]
    found = minimize_lbfgs(f, np.full(3, 4.0), 1e-12, 2)
    assert found.iterations == 2 and not found.converged


def test_a_start_at_the_minimum():
    found = minimize_lbfgs(lambda x: (float(x @ x), 2 * x), np.zeros(2))
    assert found.converged and found.iterations == 0


def test_a_function_that_is_not_finite():
    with pytest.raises(FloatingPointError, match="nan at the start"):
        minimize_lbfgs(lambda x: (np.nan, x), np.ones(2))

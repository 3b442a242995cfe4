"""Running an optimizer along given gradients."""

import numpy as np
import pytest

from minillm import nn
from minillm.backend import get_device

STEPS = 100


@pytest.fixture(scope="session")
def trajectory(device):
    """trajectory(make, seed=0): the path of two parameters over 100 steps.

    make(params) gives the optimizer.  The first parameter gets a random gradient at every step,
    the second one at two steps of three (at the others its gradient is None).
    Returns (starts, gradients, path): path[t][k] is parameter k after step t.
    """

    def run(make, seed=0):
        generator = np.random.default_rng(seed)
        starts = [generator.standard_normal(shape) for shape in ((3, 2), ())]
        starts = [np.asarray(start) for start in starts]
        params = [nn.Parameter(get_device(device).from_numpy(start.copy())) for start in starts]
        optimizer = make(params)
        gradients, path = [], []
        for t in range(STEPS):
            row = [np.asarray(generator.standard_normal(p.shape)) for p in params]
            if t % 3 == 1:
                row[1] = None
            for p, g in zip(params, row, strict=True):
                p.grad = None if g is None else get_device(device).from_numpy(g.copy())
            optimizer.step()
            gradients.append(row)
            path.append([p.numpy().copy() for p in params])
        return starts, gradients, path

    return run


@pytest.fixture(scope="session")
def follows(trajectory):
    """follows(make, formula): assert that each parameter's path is the formula's.

    formula(p, gradients) is a generator of the parameter after each of its gradients.
    """

    def check(make, formula):
        starts, gradients, path = trajectory(make)
        for k, start in enumerate(starts):
            own = [(t, row[k]) for t, row in enumerate(gradients) if row[k] is not None]
            expected = dict(
                zip([t for t, _ in own], formula(start, [g for _, g in own]), strict=True)
            )
            before = start
            for t, row in enumerate(path):
                before = expected.get(t, before)
                np.testing.assert_allclose(
                    row[k], before, rtol=1e-10, atol=1e-12, err_msg=f"parameter {k}, step {t}"
                )

    return check

"""Adam and AdamW, step by step as in the papers' algorithms."""

import numpy as np
import pytest
from op_factory import to_host

import minillm
from minillm import nn, optim
from minillm.backend import BLOCK


def algorithm(lr, beta1, beta2, eps, weight_decay, decoupled):
    def formula(p, gradients):
        m = v = 0.0
        for t, g in enumerate(gradients, 1):
            if decoupled:
                p = p - lr * weight_decay * p
            else:
                g = g + weight_decay * p
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g**2
            mhat, vhat = m / (1 - beta1**t), v / (1 - beta2**t)
            p = p - lr * mhat / (np.sqrt(vhat) + eps)
            yield p

    return formula


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW])
def test_adam(follows, kind, weight_decay):
    follows(
        lambda params: kind(params, 0.02, (0.8, 0.95), 1e-4, weight_decay),
        algorithm(0.02, 0.8, 0.95, 1e-4, weight_decay, kind is optim.AdamW),
    )


def test_defaults(follows):
    follows(optim.Adam, algorithm(1e-3, 0.9, 0.999, 1e-8, 0.0, False))
    follows(optim.AdamW, algorithm(1e-3, 0.9, 0.999, 1e-8, 1e-2, True))


@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW])
def test_the_first_step_has_length_lr_whatever_the_gradients_scale(device, kind):
    """m / sqrt(v) is +-1 at first: without the corrections the step would be 3 times as long."""
    p = nn.Parameter(minillm.tensor([1.0, 1.0, 1.0], device=device))
    p.grad = minillm.tensor([1e-3, -1.0, 1e3], device=device).data
    kind([p], lr=0.1, weight_decay=0.0).step()
    np.testing.assert_allclose(p.numpy(), [0.9, 1.1, 0.9], rtol=1e-4)


@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW, optim.SGD])
def test_large_parameters_updated_block_by_block_move_like_small_ones(device, kind):
    n = 2 * BLOCK + 17
    start, gradient = np.random.default_rng(0).standard_normal((2, n)).astype(np.float32)
    options = {"momentum": 0.9} if kind is optim.SGD else {"weight_decay": 0.1}
    whole = nn.Parameter(minillm.tensor(start, device=device))
    pieces = [nn.Parameter(whole.data[i : i + BLOCK].copy()) for i in range(0, n, BLOCK)]
    optimizers = kind([whole], **options), kind(pieces, **options)
    for _ in range(3):
        whole.grad = minillm.tensor(gradient, device=device).data
        for i, piece in enumerate(pieces):
            piece.grad = whole.grad[i * BLOCK : (i + 1) * BLOCK].copy()
        for optimizer in optimizers:
            optimizer.step()
    assert whole.dtype == np.float32
    assert all(a.dtype == np.float32 for a in optimizers[0].state_dict()["state"].values())
    together = np.concatenate([piece.numpy() for piece in pieces])
    np.testing.assert_allclose(whole.numpy(), together, rtol=1e-6)


def test_a_gradient_in_another_memory_order_moves_the_same(device):
    start, gradient = np.random.default_rng(0).standard_normal((2, 300, 200))
    results = []
    for g in (minillm.tensor(gradient, device=device), minillm.tensor(gradient.T, device=device).T):
        p = nn.Parameter(minillm.tensor(start, device=device))
        p.grad = g.data
        optim.AdamW([p]).step()
        results.append(p.numpy())
        np.testing.assert_array_equal(to_host(p.grad), gradient)  # only read
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("betas", [(0.9, 1.0), (-0.1, 0.9), (0.9,)])
def test_options_are_checked(betas):
    with pytest.raises(ValueError, match="betas must be two numbers at least 0 and below 1"):
        optim.Adam(nn.Linear(2, 2).parameters(), betas=betas)
    with pytest.raises(ValueError, match="weight_decay must not be negative, got -1"):
        optim.AdamW(nn.Linear(2, 2).parameters(), weight_decay=-1)

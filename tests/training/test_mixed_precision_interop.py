"""Beside PyTorch: the scale follows the same faults, and float16 layers give the same numbers."""

import numpy as np
import pytest

import minillm
from minillm import checkpoint, nn, optim
from minillm import functional as F
from minillm.training import GradScaler

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.interop
torch.set_num_threads(1)


def test_the_scale_and_the_weights_are_pytorchs():
    """60 steps, one gradient in six not finite: the same scales, the same weights."""
    rng = np.random.default_rng(0)
    start = rng.standard_normal(4).astype(np.float32)
    ours, theirs = minillm.tensor(start.copy(), requires_grad=True), torch.tensor(start.copy())
    theirs.requires_grad_()
    settings = {"init_scale": 256.0, "growth_interval": 4}
    scaler, their_scaler = GradScaler(**settings), torch.amp.GradScaler("cpu", **settings)
    optimizer, their_optimizer = optim.SGD([ours], 0.1), torch.optim.SGD([theirs], 0.1)
    scales = []
    for _ in range(60):
        factor = rng.standard_normal(4).astype(np.float32)
        if rng.random() < 1 / 6:
            factor[rng.integers(4)] = rng.choice([np.inf, np.nan])
        ours.grad = theirs.grad = None
        loss = (ours * minillm.tensor(factor)).sum()
        scaler.scale(loss).backward()
        their_scaler.scale((theirs * torch.tensor(factor)).sum()).backward()
        scaler.step(optimizer)
        their_scaler.step(their_optimizer)
        scaler.update()
        their_scaler.update()
        scales.append(scaler.get_scale())
        assert scales[-1] == their_scaler.get_scale()
        np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-6, atol=1e-6)
    assert min(scales) < 256 < max(scales)


@pytest.mark.parametrize("checkpointed", [False, True])
def test_a_small_network_in_float16_has_pytorchs_types_and_gradients(checkpointed):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 16)).astype(np.float32)
    linear, norm, head = nn.Linear(16, 32), nn.LayerNorm(32), nn.Linear(32, 5)
    modules = [torch.nn.Linear(16, 32), torch.nn.LayerNorm(32), torch.nn.Linear(32, 5)]
    for mine, other in zip((linear, norm, head), modules, strict=True):
        other.load_state_dict({n: torch.tensor(a) for n, a in mine.state_dict().items()})
    labels = rng.integers(5, size=6)

    def block(h):
        return F.gelu(linear(h))

    with minillm.autocast(minillm.float16):
        a = checkpoint(block, minillm.tensor(x)) if checkpointed else block(minillm.tensor(x))
        b = norm(a)
        c = head(b)
        loss = F.cross_entropy(c, minillm.tensor(labels))
    (loss * 1024.0).backward()

    with torch.autocast("cpu", dtype=torch.float16):
        A = torch.nn.functional.gelu(modules[0](torch.tensor(x)))
        B = modules[1](A)
        C = modules[2](B)
        their_loss = torch.nn.functional.cross_entropy(C, torch.tensor(labels))
    (their_loss * 1024).backward()

    assert (a.dtype, c.dtype, loss.dtype) == (np.float16, np.float16, np.float32)
    assert (A.dtype, C.dtype, their_loss.dtype) == (torch.float16, torch.float16, torch.float32)
    assert loss.item() == pytest.approx(their_loss.item(), rel=1e-3)
    for mine, other in zip((linear, norm, head), modules, strict=True):
        for name, parameter in mine.named_parameters():
            expected = getattr(other, name).grad.numpy()
            error = np.linalg.norm(parameter.grad - expected) / np.linalg.norm(expected)
            assert parameter.grad.dtype == expected.dtype == np.float32
            assert error < 5e-3, f"{name}: {error:.2%}"

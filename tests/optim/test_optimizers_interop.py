"""Every optimizer, the clipping and the schedules against PyTorch (and transformers)."""

import numpy as np
import pytest
from op_factory import to_host

import minillm
from minillm import nn, optim

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.interop
torch.set_num_threads(1)

OPTIONS = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1, "nesterov": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-5, "weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_the_trajectory_of_100_steps_is_pytorchs(trajectory, name, options):
    def make(params):
        half = {"params": params[1:], "weight_decay": 0.01}
        return getattr(optim, name)([{"params": params[:1]}, half], **options)

    starts, gradients, path = trajectory(make)
    theirs = [torch.nn.Parameter(torch.tensor(start)) for start in starts]
    groups = [{"params": theirs[:1]}, {"params": theirs[1:], "weight_decay": 0.01}]
    optimizer = getattr(torch.optim, name)(groups, **options)
    for t, row in enumerate(gradients):
        for p, g in zip(theirs, row, strict=True):
            p.grad = None if g is None else torch.tensor(g)
        optimizer.step()
        for ours, p in zip(path[t], theirs, strict=True):
            np.testing.assert_allclose(ours, p.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam", "AdamW"])
def test_defaults_are_pytorchs(name):
    ours = getattr(optim, name)(nn.Linear(2, 2).parameters()).defaults
    theirs = getattr(torch.optim, name)(torch.nn.Linear(2, 2).parameters()).defaults
    assert ours == {key: theirs[key] for key in ours}


@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clipping_is_pytorchs(device, max_norm):
    values = [
        np.random.default_rng(k).standard_normal(shape) for k, shape in enumerate([(3, 2), 4])
    ]
    ours, theirs = [], []
    for value in values:
        ours.append(nn.Parameter(minillm.tensor(value, device=device)))
        ours[-1].grad = minillm.tensor(value, device=device).data
        theirs.append(torch.nn.Parameter(torch.tensor(value)))
        theirs[-1].grad = torch.tensor(value)
    norm = optim.clip_grad_norm_(ours, max_norm)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm)
    np.testing.assert_allclose(norm.item(), expected.item())
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(to_host(p.grad), q.grad.numpy())


def rates(scheduler, steps):
    """The rates with which a scheduler lets its optimizer make its first steps."""
    found = []
    for _ in range(steps):
        found.append(scheduler.get_last_lr()[0])
        scheduler.optimizer.step()
        scheduler.step()
    return found


def torch_optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda t: optim.constant(t, 0.3), ("ConstantLR", {"factor": 1.0})),
        (lambda t: optim.exponential_decay(t, 0.3, 0.9), ("ExponentialLR", {"gamma": 0.9})),
        (lambda t: optim.step_decay(t, 0.3, 7, 0.5), ("StepLR", {"step_size": 7, "gamma": 0.5})),
        (
            lambda t: optim.linear_warmup_decay(t, 0.3, 0, 20, 0.03),
            ("LinearLR", {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 20}),
        ),
        (
            lambda t: optim.cosine_warmup_decay(t, 0.3, 0, 30, 0.03),
            ("CosineAnnealingLR", {"T_max": 30, "eta_min": 0.03}),
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_schedules_are_pytorchs(ours, theirs):
    name, options = theirs
    scheduler = getattr(torch.optim.lr_scheduler, name)(torch_optimizer(), **options)
    assert [ours(t) for t in range(30)] == pytest.approx(rates(scheduler, 30))


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_warm_up_and_decay_are_those_of_transformers(shape):
    optimization = pytest.importorskip("transformers.optimization")
    make = getattr(optimization, f"get_{shape}_schedule_with_warmup")
    scheduler = make(torch_optimizer(), num_warmup_steps=5, num_training_steps=25)
    ours = getattr(optim, f"{shape}_warmup_decay")
    # Up to the last step: beyond it transformers' cosine rises again, ours stays at the final rate.
    assert [ours(t, 0.3, 5, 25) for t in range(26)] == pytest.approx(rates(scheduler, 26))

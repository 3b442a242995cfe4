"""What all optimizers share: groups, checks, saving and continuing."""

import json

import numpy as np
import pytest
from op_factory import to_host

import minillm
from minillm import functional as F
from minillm import nn, optim

KINDS = [
    lambda ps: optim.SGD(ps, 0.1, momentum=0.9),
    lambda ps: optim.RMSprop(ps, 0.01, momentum=0.9, centered=True),
    lambda ps: optim.Adam(ps, 0.01, weight_decay=0.1),
    lambda ps: optim.AdamW(ps, 0.01),
]
kinds = pytest.mark.parametrize("make", KINDS, ids=["SGD", "RMSprop", "Adam", "AdamW"])


def regression(device, seed=0):
    """A small network and a function that computes its loss on one fixed batch."""
    minillm.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).to(device)
    x = np.random.default_rng(0).standard_normal((16, 3)).astype(np.float32)
    x, y = (minillm.tensor(a, device=device) for a in (x, x[:, :1] * x[:, 1:2]))
    return model, lambda: F.mse_loss(model(x), y)


def train(optimizer, loss, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
    return value.item()


@kinds
def test_training_learns(device, make):
    model, loss = regression(device)
    before = loss().item()
    assert train(make(model.parameters()), loss, 200) < 0.3 * before


@kinds
def test_parameters_are_moved_in_place_and_moments_made_once(device, make):
    model, loss = regression(device)
    storage = [p.data for p in model.parameters()]
    optimizer = make(model.parameters())
    assert optimizer.state_dict()["state"] == {}
    train(optimizer, loss, 1)
    moments = optimizer.state_dict()["state"]
    train(optimizer, loss, 2)
    assert all(p.data is before for p, before in zip(model.parameters(), storage, strict=True))
    later = optimizer.state_dict()["state"]
    assert later.keys() == moments.keys() and len(later) >= 4
    assert all(later[key] is moments[key] for key in moments)
    assert optimizer.state_dict()["steps"] == [3] * 4


@kinds
def test_a_run_continued_from_its_saved_state_is_the_uninterrupted_one_bit_for_bit(device, make):
    model, loss = regression(device)
    optimizer = make(model.parameters())
    train(optimizer, loss, 5)
    weights = {name: to_host(array) for name, array in model.state_dict().items()}
    state = optimizer.state_dict()
    arrays = {name: to_host(array) for name, array in state.pop("state").items()}
    text = json.dumps(state)  # all the rest goes into JSON
    train(optimizer, loss, 5)

    other, other_loss = regression(device, seed=1)
    other.load_state_dict(weights)
    other_optimizer = make(other.parameters())
    other_optimizer.param_groups[0]["lr"] = 123.0  # the saved one counts
    other_optimizer.load_state_dict({**json.loads(text), "state": arrays})
    train(other_optimizer, other_loss, 5)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert other_optimizer.param_groups[0].keys() == optimizer.param_groups[0].keys()
    for key, value in optimizer.param_groups[0].items():
        if key != "params":
            assert other_optimizer.param_groups[0][key] == value


def test_a_loaded_state_is_a_copy(device):
    model, loss = regression(device)
    optimizer = optim.AdamW(model.parameters())
    train(optimizer, loss, 1)
    other = optim.AdamW(model.parameters())
    other.load_state_dict(optimizer.state_dict())
    for key, moment in optimizer.state_dict()["state"].items():
        assert other.state_dict()["state"][key] is not moment


def test_groups_have_options_of_their_own(device):
    a, b, c = (nn.Parameter(minillm.tensor([1.0], device=device)) for _ in range(3))
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5, "name": "fast"}], lr=0.1)
    optimizer.add_param_group({"params": [c], "weight_decay": 1.0})
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5, 0.1]
    for p in (a, b, c):
        p.grad = minillm.tensor([1.0], device=device).data
    optimizer.step()
    np.testing.assert_allclose([p.item() for p in (a, b, c)], [0.9, 0.5, 0.8], rtol=1e-6)
    optimizer.param_groups[1]["lr"] = 0.0  # what a schedule does
    optimizer.step()
    np.testing.assert_allclose(b.item(), 0.5)
    groups = optimizer.state_dict()["groups"]
    assert [group["params"] for group in groups] == [[0], [1], [2]]


def test_zero_grad_forgets_and_parameters_without_gradient_stay(device):
    model, loss = regression(device)
    loss().backward()
    optimizer = optim.AdamW(model.parameters(), weight_decay=0.1)
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    before = [p.numpy().copy() for p in model.parameters()]
    optimizer.step()
    for p, value in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.numpy(), value)
    assert optimizer.state_dict()["steps"] == [0] * 4


def test_what_is_no_list_of_parameters_is_refused(device):
    layer = nn.Linear(2, 2).to(device)
    with pytest.raises(TypeError, match="got one Tensor"):
        optim.SGD(layer.weight)
    with pytest.raises(ValueError, match="the list of parameters is empty"):
        optim.SGD(nn.ReLU().parameters())
    with pytest.raises(TypeError, match=r"params\[1\] must be a leaf Tensor .*, got str"):
        optim.SGD([layer.weight, "bias"])
    with pytest.raises(TypeError, match=r"params\[0\] .* got a computed Tensor"):
        optim.SGD([layer.weight * 2])
    with pytest.raises(ValueError, match=r"params\[1\], shape \(2, 2\), was given before"):
        optim.SGD([layer.weight, layer.weight])
    with pytest.raises(ValueError, match=r"params\[0\], shape \(2,\), was given before"):
        optim.SGD([{"params": [layer.bias]}, {"params": [layer.bias]}])
    with pytest.raises(ValueError, match="SGD has no option weigth_decay: expected lr, momentum"):
        optim.SGD([{"params": [layer.bias], "weigth_decay": 0.1}])
    with pytest.raises(ValueError, match="lr must not be negative"):
        optim.SGD([{"params": [layer.bias], "lr": -1}])


def test_a_gradient_that_does_not_fit_is_refused_before_anything_moves(device):
    model, loss = regression(device)
    optimizer = optim.AdamW(model.parameters())
    loss().backward()
    before = [p.numpy().copy() for p in model.parameters()]
    last = list(model.parameters())[-1]
    good = last.grad
    for bad, message in (
        (good.astype(np.float64), r"parameter 3 is float32 .* gradient float64"),
        (good.reshape(1, 1), r"shape \(1,\), but its gradient float32 of shape \(1, 1\)"),
    ):
        last.grad = bad
        with pytest.raises(ValueError, match=message):
            optimizer.step()
        for p, value in zip(model.parameters(), before, strict=True):
            np.testing.assert_array_equal(p.numpy(), value)
    last.grad = good
    optimizer.step()
    model.to(minillm.float64)
    with pytest.raises(ValueError, match=r"exp_avg float32 .*make the optimizer after module\.to"):
        optimizer.step()


def test_a_state_of_other_parameters_is_refused_and_changes_nothing(device):
    model, loss = regression(device)
    optimizer = optim.AdamW(model.parameters())
    train(optimizer, loss, 1)
    state = optimizer.state_dict()
    before = {key: to_host(array) for key, array in state["state"].items()}

    def refused(message, **changes):
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict({**state, **changes})
        for key, array in optimizer.state_dict()["state"].items():
            np.testing.assert_array_equal(to_host(array), before[key])
        assert optimizer.param_groups[0]["lr"] == 1e-3

    group = {**state["groups"][0], "lr": 1.0}
    few = {**group, "params": [0]}
    refused(r"groups of \[1\] parameters, this optimizer has groups of \[4\]", groups=[few])
    arrays = state["state"]
    wrong = {**arrays, "0.exp_avg": arrays["1.exp_avg"]}
    refused(r"0\.exp_avg is \(8,\), its parameter \(8, 3\)", state=wrong, groups=[group])
    for key in ("9.exp_avg", "exp_avg", "0."):
        refused("unknown entry", state={**arrays, key: arrays["0.exp_avg"]}, groups=[group])
    refused("lr must not be negative", groups=[{**group, "lr": -1.0}])

"""Sequential and ModuleList."""

import numpy as np
import pytest

import minillm
from minillm import nn


def layers(n):
    return [nn.Linear(2, 2) for _ in range(n)]


def test_sequential_applies_its_modules_in_order(device):
    a, b = layers(2)
    model = nn.Sequential(a, nn.Tanh(), b).to(device)
    x = minillm.tensor([[1.0, 2.0]], device=device)
    hidden = np.tanh(x.numpy() @ a.weight.numpy().T + a.bias.numpy())
    expected = hidden @ b.weight.numpy().T + b.bias.numpy()
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert nn.Sequential()(x) is x


def test_sequential_takes_names():
    model = nn.Sequential({"first": nn.Linear(2, 3), "second": nn.Linear(3, 1)})
    assert list(model.state_dict()) == [
        *("first.weight", "first.bias", "second.weight", "second.bias")
    ]
    assert model[1] is model.second


@pytest.mark.parametrize("make", [lambda m: nn.Sequential(*m), nn.ModuleList])
def test_both_are_lists_whose_modules_count(make):
    modules = layers(3)
    held = make(modules)
    assert len(held) == 3 and list(held) == modules
    assert held[0] is modules[0] and held[-1] is modules[2]
    part = held[1:]
    assert type(part) is type(held) and list(part) == modules[1:]
    extra = nn.Linear(2, 2)
    assert held.append(extra) is held and held[3] is extra
    assert list(held.state_dict())[-1] == "3.bias"
    with pytest.raises(IndexError, match="index 4 into a .* of 4"):
        held[4]


def test_module_list_extends_and_takes_generators():
    held = nn.ModuleList(nn.Linear(2, 2) for _ in range(2))
    assert len(held.extend(layers(2))) == 4
    assert held.num_parameters() == 4 * 6


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"got function at place 1 .*nn\.ReLU\(\)"):
        nn.Sequential(nn.Linear(2, 2), lambda x: x)

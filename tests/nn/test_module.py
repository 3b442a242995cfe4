"""Module: what it finds in its attributes, and what it does to all of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import seeds, to_host

import minillm
from minillm import functional as F
from minillm import nn


class Tied(nn.Module):
    """Two embeddings' worth of names, one weight: what a language model's decoder does."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Embedding(5, 3)
        self.hidden = nn.Linear(3, 3)
        self.decoder = nn.Linear(3, 5)
        self.decoder.weight = self.encoder.weight

    def forward(self, ids):
        return self.decoder(self.hidden(self.encoder(ids)))


def small():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 2, bias=False)))


def test_parameters_come_in_the_order_of_their_definition_own_ones_first():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.child = nn.Linear(2, 3)
            self.late = nn.Parameter(np.zeros(2))
            self.early = nn.Parameter(np.zeros(1))

    assert [name for name, _ in Mixed().named_parameters()] == [
        *("late", "early", "child.weight", "child.bias")
    ]
    assert [name for name, _ in Mixed().named_parameters("model", recurse=False)] == [
        *("model.late", "model.early")
    ]


def test_modules_are_walked_parents_first_and_shared_ones_once():
    shared = nn.Linear(2, 2)
    model = nn.Sequential(shared, nn.Sequential(nn.ReLU(), shared))
    assert [name for name, _ in model.named_modules()] == ["", "0", "1", "1.0"]
    assert list(model.modules())[1] is shared
    assert [name for name, _ in model.named_children()] == ["0", "1"]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.1.weight", "1.1.bias"]


def test_a_tied_parameter_is_listed_and_counted_once_but_saved_under_both_names():
    model = Tied()
    names = [name for name, _ in model.named_parameters()]
    assert names == ["encoder.weight", "hidden.weight", "hidden.bias", "decoder.bias"]
    assert model.num_parameters() == 15 + 9 + 3 + 5
    assert "decoder.weight" in model.state_dict()
    assert model.state_dict()["decoder.weight"] is model.state_dict()["encoder.weight"]


def test_a_tied_parameter_collects_the_gradients_of_both_uses(device):
    model = Tied().to("float64", device)
    ids = minillm.tensor([[0, 1], [4, 1]], device=device)
    model(ids).sum().backward()
    tied = to_host(model.encoder.weight.grad)

    apart = Tied().to("float64", device)
    apart.decoder.weight = nn.Parameter(minillm.tensor(model.decoder.weight))
    apart.load_state_dict(model.state_dict())
    apart(ids).sum().backward()
    both = to_host(apart.encoder.weight.grad) + to_host(apart.decoder.weight.grad)
    np.testing.assert_allclose(tied, both, rtol=1e-12)


def test_a_tie_survives_a_move_and_a_load(device):
    model = Tied().to(device)
    assert model.decoder.weight is model.encoder.weight
    state = {name: 0 * array + 2 for name, array in model.state_dict().items()}
    model.load_state_dict(state)
    assert model.decoder.weight is model.encoder.weight
    assert (to_host(model.decoder.weight.data) == 2).all()


def test_a_parameter_cannot_be_hidden_by_a_plain_tensor():
    layer = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"Linear\.weight is a Parameter.*write into weight\.data"):
        layer.weight = layer.weight * 2
    layer.bias = None  # to go without is allowed, and so is another Parameter
    layer.weight = nn.Parameter(np.ones((2, 2)))
    assert layer.num_parameters() == 4


def test_a_parameter_wants_a_gradient_and_so_a_floating_dtype():
    assert nn.Parameter(np.zeros(2)).requires_grad
    assert repr(nn.Parameter(np.zeros(2, np.float32))) == (
        "Parameter containing:\ntensor([0., 0.], requires_grad=True)"
    )
    with pytest.raises(TypeError, match="floating dtype"):
        nn.Parameter(np.zeros(2, np.int64))


@given(seed=seeds, bias=st.booleans())
def test_state_dict_round_trip_gives_an_equal_model(device, seed, bias):
    minillm.manual_seed(seed)
    model, other = (nn.Sequential(nn.Linear(3, 4, bias), nn.LayerNorm(4)).to(device) for _ in "ab")
    keys = other.load_state_dict(model.state_dict())
    assert keys == ([], []) and keys.missing_keys == keys.unexpected_keys == []
    x = minillm.tensor(np.ones((2, 3), np.float32), device=device)
    np.testing.assert_array_equal(other(x).numpy(), model(x).numpy())
    for name, array in model.state_dict().items():
        assert other.state_dict()[name] is not array  # copied, not shared


def test_state_dict_holds_the_models_own_arrays(device):
    model = small().to(device)
    for name, parameter in model.named_parameters():
        assert model.state_dict()[name] is parameter.data


def test_load_converts_dtype_and_device_and_writes_into_the_existing_storage(device):
    model = small().to(device)
    storage = {name: p.data for name, p in model.named_parameters()}
    numbers = {n: np.full(a.shape, 0.5, np.float64) for n, a in storage.items()}
    numbers["0.bias"] = minillm.tensor(numbers["0.bias"], device=device)  # Tensors do as well
    model.load_state_dict(numbers)
    for name, parameter in model.named_parameters():
        assert parameter.data is storage[name]
        assert parameter.dtype == np.float32 and parameter.device == device
        assert (to_host(parameter.data) == 0.5).all()


def test_strict_load_names_everything_that_is_wrong_and_writes_nothing(device):
    model = small().to(device)
    before = {name: to_host(array) for name, array in model.state_dict().items()}
    bad = {
        "0.weight": np.zeros((4, 3)),
        "2.0.weight": np.zeros((4, 2)),  # transposed
        "2.0.bias": np.zeros(2),
    }
    with pytest.raises(ValueError) as error:
        model.load_state_dict(bad)
    message = str(error.value)
    assert "missing: 0.bias (4,)" in message
    assert "unexpected: 2.0.bias" in message
    assert "wrong shape: 2.0.weight is (4, 2), expected (2, 4)" in message
    assert "0.weight" not in message.replace("2.0.weight", "")
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(to_host(array), before[name])


def test_load_refuses_what_is_no_array_of_numbers():
    with pytest.raises(ValueError, match=r"not an array of numbers: 0\.weight is list"):
        small().load_state_dict({"0.weight": [1, 2]}, strict=False)
    with pytest.raises(ValueError, match=r"not an array of numbers: 0\.bias is <U1"):
        small().load_state_dict({"0.bias": np.array(["a"] * 4)}, strict=False)


def test_a_load_that_is_not_strict_returns_names_but_still_refuses_shapes(device):
    model = small().to(device)
    keys = model.load_state_dict({"0.bias": np.ones(4), "extra": np.ones(1)}, strict=False)
    assert keys.missing_keys == ["0.weight", "2.0.weight"]
    assert keys.unexpected_keys == ["extra"]
    assert (to_host(model[0].bias.data) == 1).all()
    with pytest.raises(ValueError, match=r"wrong shape: 0\.bias is \(5,\), expected \(4,\)"):
        model.load_state_dict({"0.bias": np.ones(5)}, strict=False)


def test_train_and_eval_reach_every_module():
    model = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5)))
    assert model.training and all(m.training for m in model.modules())
    assert model.eval() is model
    assert not any(m.training for m in model.modules())
    assert model.train() is model
    assert all(m.training for m in model.modules())


def test_to_moves_values_and_gradients_and_keeps_the_parameter_objects(device):
    model = small()
    parameters = list(model.parameters())
    before = [p.numpy().copy() for p in parameters]
    model(minillm.tensor(np.ones((2, 3), np.float32))).sum().backward()
    gradients = [p.grad.copy() for p in parameters]
    assert model.to(device, minillm.float64) is model
    for p, q, value, gradient in zip(
        model.parameters(), parameters, before, gradients, strict=True
    ):
        assert p is q and p.device == device and p.dtype == np.float64
        np.testing.assert_array_equal(p.numpy(), value)
        assert p.grad.dtype == np.float64
        np.testing.assert_array_equal(to_host(p.grad), gradient)


def test_to_refuses_integers_and_unknown_targets_and_changes_nothing():
    model = small()
    with pytest.raises(TypeError, match="floating dtype, not int64"):
        model.to(minillm.int64)
    with pytest.raises(ValueError, match="'gpu' is neither a known device nor a dtype"):
        model.to("gpu")
    assert all(p.dtype == np.float32 for p in model.parameters())


def test_zero_grad_and_requires_grad(device):
    model = small().to(device)
    x = minillm.tensor(np.ones((2, 3), np.float32), device=device)
    model[0].requires_grad_(False)
    model(x).sum().backward()
    assert model[0].weight.grad is None
    assert model[2][0].weight.grad is not None
    assert model.num_parameters() == 24 and model.num_parameters(only_trainable=True) == 8
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_apply_visits_children_before_parents():
    visited = []
    model = small()
    assert model.apply(lambda m: visited.append(type(m).__name__)) is model
    assert visited == ["Linear", "ReLU", "Linear", "Sequential", "Sequential"]


def test_repr_shows_the_tree_and_counts():
    assert repr(nn.Sequential(nn.Linear(1000, 2), nn.Sequential(nn.Tanh(), nn.Dropout(0.1)))) == (
        "Sequential(  # 2,002 parameters\n"
        "  (0): Linear(in_features=1000, out_features=2, bias=True)  # 2,002 parameters\n"
        "  (1): Sequential(\n"
        "    (0): Tanh()\n"
        "    (1): Dropout(p=0.1)\n"
        "  )\n"
        ")"
    )
    assert repr(nn.Linear(1, 1, bias=False)).endswith("# 1 parameter")


def test_every_repr_names_its_options():
    assert "LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=False)" in repr(
        nn.LayerNorm(3, bias=False)
    )
    assert "Embedding(4, 2, padding_idx=0)" in repr(nn.Embedding(4, 2, padding_idx=0))
    assert "Conv1d(2, 4, kernel_size=3, padding=1, groups=2, bias=False)" in repr(
        nn.Conv1d(2, 4, 3, padding=1, groups=2, bias=False)
    )
    assert repr(nn.MaxPool1d(2)) == "MaxPool1d(kernel_size=2, stride=2, padding=0)"
    assert "LSTM(2, 3, num_layers=2, dropout=0.1, bidirectional=True)" in repr(
        nn.LSTM(2, 3, 2, dropout=0.1, bidirectional=True)
    )
    assert "norm_first=True\n" in repr(nn.TransformerEncoderLayer(4, 2, 8, norm_first=True))
    assert repr(nn.GELU("tanh")) == "GELU(approximate='tanh')"
    assert repr(nn.MSELoss(reduction="sum")) == "MSELoss(reduction='sum')"


def test_functions_and_modules_compose_in_a_forward_of_ones_own(device):
    class Residual(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x, scale=1.0):
            return x + F.tanh(self.inner(x)) * scale

    model = Residual(nn.Linear(2, 2)).to(device)
    x = minillm.tensor([[1.0, -2.0]], device=device)
    np.testing.assert_array_equal(model(x, scale=0.0).numpy(), x.numpy())
    assert [name for name, _ in model.named_parameters()] == ["inner.weight", "inner.bias"]

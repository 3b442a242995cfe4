"""Every module against PyTorch: the same state_dict keys, values, and gradients of everything."""

import numpy as np
import pytest
from op_factory import assert_close, normal, to_host

import minillm
from minillm import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.interop
torch.set_num_threads(1)


def tensors(value):
    """The tensors in nested tuples, in order."""
    if isinstance(value, tuple):
        return [t for part in value for t in tensors(part)]
    return [] if value is None else [value]


def assert_equal_to_pytorch(
    device, ours, theirs, *inputs, run=lambda m, *x: m(*x), run_theirs=None, seed=0
):
    """Copy random weights; compare all outputs, and the gradients of all inputs and parameters.

    inputs: NumPy arrays, the float ones wanting a gradient.
    """
    theirs = theirs.double()
    with torch.no_grad():
        for k, p in enumerate(theirs.parameters()):
            p.copy_(torch.tensor(0.7 * normal(seed + k, tuple(p.shape))))
    ours.to(device, minillm.float64)
    state = {name: array.numpy() for name, array in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    assert ours.load_state_dict(state) == ([], [])

    floats = [x.dtype.kind == "f" for x in inputs]
    our_inputs = [
        minillm.tensor(x, requires_grad=f, device=device)
        for x, f in zip(inputs, floats, strict=True)
    ]
    their_inputs = [torch.tensor(x, requires_grad=f) for x, f in zip(inputs, floats, strict=True)]
    our_outputs = tensors(run(ours, *our_inputs))
    their_outputs = tensors((run_theirs or run)(theirs, *their_inputs))
    our_loss = their_loss = 0
    for k, (y, z) in enumerate(zip(our_outputs, their_outputs, strict=True)):
        assert_close(y.numpy(), z.detach().numpy(), 1e-10, f"output {k}")
        u = normal(100 + k, tuple(z.shape))
        our_loss = our_loss + (y * minillm.tensor(u, device=device)).sum()
        their_loss = their_loss + (z * torch.tensor(u)).sum()
    our_loss.backward()
    their_loss.backward()
    for k, (x, y) in enumerate(zip(our_inputs, their_inputs, strict=True)):
        if floats[k]:
            assert_close(to_host(x.grad), y.grad.numpy(), 1e-10, f"gradient of input {k}")
    their_parameters = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        if p.requires_grad:
            expected = their_parameters[name].grad.numpy()
            assert_close(to_host(p.grad), expected, 1e-10, f"gradient of {name}")


IDS = np.array([[0, 3, 3], [1, 2, 0]])
SIMPLE = [
    ("Linear", (3, 4), {}, [normal(0, (2, 5, 3))]),
    ("Linear", (3, 4), {"bias": False}, [normal(0, (3,))]),
    ("Embedding", (4, 3), {"padding_idx": 3}, [IDS]),
    ("LayerNorm", ((5, 3), 1e-3), {}, [normal(0, (2, 5, 3))]),
    ("LayerNorm", (3,), {"bias": False}, [normal(0, (2, 5, 3))]),
    ("LayerNorm", (3,), {"elementwise_affine": False}, [normal(0, (2, 5, 3))]),
    ("RMSNorm", ((5, 3), 1e-3), {}, [normal(0, (2, 5, 3))]),
    ("RMSNorm", (3,), {"elementwise_affine": False}, [normal(0, (2, 5, 3))]),
    ("Conv1d", (4, 6, 3, 2, 1, 2, 2), {}, [normal(0, (2, 4, 9))]),
    ("Conv1d", (4, 6, 2), {"bias": False}, [normal(0, (2, 4, 9))]),
    ("MaxPool1d", (3,), {}, [normal(0, (2, 4, 10))]),
    ("MaxPool1d", (3, 2, 1), {}, [normal(0, (2, 4, 10))]),
    *((name, (), {}, [normal(0, (3, 4))]) for name in ("ReLU", "GELU", "Tanh", "Sigmoid", "SiLU")),
    ("GELU", ("tanh",), {}, [normal(0, (3, 4))]),
]


@pytest.mark.parametrize(("name", "args", "options", "inputs"), SIMPLE)
def test_simple_layers(device, name, args, options, inputs):
    ours, theirs = (getattr(library, name)(*args, **options) for library in (nn, torch.nn))
    assert_equal_to_pytorch(device, ours, theirs, *inputs)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["CrossEntropyLoss", "BCELoss", "BCEWithLogitsLoss", "MSELoss"])
def test_losses(device, name, reduction):
    options, target = {"reduction": reduction}, normal(1, (5, 3))
    x = normal(0, (5, 3))
    if name == "CrossEntropyLoss":
        target = np.array([0, 2, -1, 1, 2])
        options |= {"ignore_index": -1, "label_smoothing": 0.2, "weight": np.array([1.0, 2, 3])}
    elif name != "MSELoss":
        target = (target > 0).astype(np.float64)
        options["weight"] = np.array([0.5, 1.0, 2.0])
    if name == "BCELoss":
        x = 1 / (1 + np.exp(-x))
    if name == "BCEWithLogitsLoss":
        options["pos_weight"] = np.array([1.0, 3.0, 2.0])
    torch_options = {
        key: torch.tensor(v) if isinstance(v, np.ndarray) else v for key, v in options.items()
    }
    ours, theirs = getattr(nn, name)(**options), getattr(torch.nn, name)(**torch_options)
    y, z = torch.tensor(target), minillm.tensor(target, device=device)
    assert_equal_to_pytorch(
        *(device, ours, theirs, x),
        run=lambda module, x: module(x, z),
        run_theirs=lambda module, x: module(x, y),
    )


@pytest.mark.parametrize("kind", ["LSTM", "RNN", "RNN relu"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
def test_recurrent_networks_of_two_layers(device, kind, batch_first, bidirectional, ragged):
    """With initial states, and with lengths against packed (unsorted) sequences."""
    options = {"batch_first": batch_first, "bidirectional": bidirectional}
    if kind == "RNN relu":
        options["nonlinearity"] = "relu"
    ours, theirs = (getattr(m, kind.split()[0])(3, 4, 2, **options) for m in (nn, torch.nn))
    lengths, T = [2, 5, 1], 5
    x = normal(0, (3, T, 3) if batch_first else (T, 3, 3))
    states = normal(1, *[(2 * (1 + bidirectional), 3, 4)] * (2 if kind == "LSTM" else 1))
    states = states if isinstance(states, tuple) else (states,)

    def state(parts):
        return parts if kind == "LSTM" else parts[0]

    def run(module, x, *parts):
        return module(x, state(parts), lengths=lengths if ragged else None)

    def run_theirs(module, x, *parts):
        if not ragged:
            return module(x, state(parts))
        pack, unpack = (
            getattr(torch.nn.utils.rnn, name)
            for name in ("pack_padded_sequence", "pad_packed_sequence")
        )
        packed = pack(x, torch.tensor(lengths), batch_first, enforce_sorted=False)
        output, last = module(packed, state(parts))
        return unpack(output, batch_first, total_length=T)[0], last

    assert_equal_to_pytorch(device, ours, theirs, x, *states, run=run, run_theirs=run_theirs)


B, L, E, HEADS = 3, 4, 6, 2
PADDING = np.array([[0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 1]]) == 1
LATER = np.triu(np.ones((L, L)), 1) == 1


@pytest.mark.parametrize(
    "masks",
    [
        {},
        {"key_padding_mask": PADDING},
        {"attn_mask": LATER},
        {"attn_mask": np.repeat(PADDING[:, None, :] & ~np.eye(L, dtype=bool), HEADS, axis=0)},
        {"attn_mask": normal(5, (L, L))},
        {"attn_mask": LATER, "key_padding_mask": PADDING},
        {"attn_mask": LATER, "is_causal": True},
    ],
    ids=lambda masks: "+".join(masks) or "no mask",
)
@pytest.mark.parametrize("need_weights", [False, True, "each head"])
@pytest.mark.parametrize(("batch_first", "to_itself", "bias"), [(0, 1, 1), (1, 1, 0), (1, 0, 1)])
def test_multihead_attention(device, masks, need_weights, batch_first, to_itself, bias):
    ours, theirs = (
        library.MultiheadAttention(E, HEADS, bias=bool(bias), batch_first=bool(batch_first))
        for library in (nn, torch.nn)
    )
    x, other = normal(0, (B, L, E), (B, L, E))
    inputs = [x] if to_itself else [x, other, other + 1]
    if not batch_first:
        inputs = [x.swapaxes(0, 1).copy() for x in inputs]
    options = {
        "need_weights": bool(need_weights),
        "average_attn_weights": need_weights != "each head",
    }

    def runner(convert):
        converted = {k: convert(m) if isinstance(m, np.ndarray) else m for k, m in masks.items()}

        def run(module, *inputs):
            inputs = inputs * 3 if to_itself else inputs
            return module(*inputs, **converted, **options)

        return run

    assert_equal_to_pytorch(
        *(device, ours, theirs, *inputs),
        run=runner(lambda mask: minillm.tensor(mask, device=device)),
        run_theirs=runner(torch.tensor),
    )


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_transformer_encoder_layer(device, norm_first, batch_first, activation):
    args = (E, HEADS, 8, 0.0, activation, 1e-3, batch_first, norm_first)
    ours, theirs = (library.TransformerEncoderLayer(*args) for library in (nn, torch.nn))
    x = normal(0, (B, L, E) if batch_first else (L, B, E))
    for masks in ({}, {"src_mask": LATER, "src_key_padding_mask": PADDING}):
        assert_equal_to_pytorch(
            *(device, ours, theirs, x),
            run=lambda module, x, masks=masks: module(
                x, **{k: minillm.tensor(m, device=device) for k, m in masks.items()}
            ),
            run_theirs=lambda module, x, masks=masks: module(
                x, **{k: torch.tensor(m) for k, m in masks.items()}
            ),
        )
        ours.zero_grad()
        theirs.zero_grad()


def test_transformer_encoder_without_biases_and_with_a_last_norm(device):
    def make(library, **options):
        layer = library.TransformerEncoderLayer(E, HEADS, 8, 0.0, bias=False)
        return library.TransformerEncoder(layer, 2, norm=library.LayerNorm(E), **options)

    x = normal(0, (L, B, E))
    assert_equal_to_pytorch(device, make(nn), make(torch.nn, enable_nested_tensor=False), x)


def test_a_sequential_of_everything_moves_back_to_pytorch(device):
    """The other direction: our weights in PyTorch's module."""

    def make(library):
        return library.Sequential(
            library.Embedding(10, E), library.LayerNorm(E), library.Linear(E, 2)
        )

    ours, theirs = make(nn).to(device), make(torch.nn)
    state = {name: torch.tensor(to_host(array)) for name, array in ours.state_dict().items()}
    theirs.load_state_dict(state)
    y, z = ours(minillm.tensor(IDS, device=device)), theirs(torch.tensor(IDS))
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "args"),
    [("Linear", (50, 60)), ("Conv1d", (8, 60, 5)), ("LSTM", (20, 50)), ("RNN", (20, 50)),
     ("Embedding", (100, 50)), ("LayerNorm", (50,)), ("RMSNorm", (50,)),
     ("MultiheadAttention", (60, 4)), ("TransformerEncoderLayer", (48, 4, 64))],
)  # fmt: skip
def test_initial_values_are_distributed_as_pytorchs(name, args):
    """For each parameter the same spread and the same largest value, up to chance."""
    torch.manual_seed(0)
    ours, theirs = getattr(nn, name)(*args), getattr(torch.nn, name)(*args)
    for key, array in ours.state_dict().items():
        other = theirs.state_dict()[key].numpy()
        assert array.shape == other.shape and array.dtype == other.dtype
        assert abs(array.std() - other.std()) <= 4 * other.std() / np.sqrt(array.size), key
        tail = 0.3 if name == "Embedding" else 12 / array.size
        assert (
            abs(abs(array).max() / max(abs(other).max(), 1e-30) - 1) < tail
            or (array == other).all()
        ), key

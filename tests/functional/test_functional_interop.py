"""Every function against PyTorch: values and gradients in float64, over its options."""

import functools
import math

import numpy as np
import pytest
from op_factory import assert_close, get_device, is_leaf, leaf_arrays, normal, replace_leaves

import minillm
from minillm import functional as F

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.interop
TF = torch.nn.functional


def compare(device, ours, theirs, *arguments, tolerance=1e-9):
    """The same value and, for one random dy, the same gradients."""
    leaves = [minillm.tensor(a, requires_grad=True, device=device) for a in leaf_arrays(arguments)]
    y = ours(*replace_leaves(arguments, leaves, device))
    twins = iter([torch.tensor(a, requires_grad=True) for a in leaf_arrays(arguments)])
    twin_list = []

    def twin(argument):
        if is_leaf(argument):
            twin_list.append(next(twins))
            return twin_list[-1]
        if isinstance(argument, list) and argument and is_leaf(argument[0]):
            return [twin(a) for a in argument]
        return torch.tensor(argument) if isinstance(argument, np.ndarray) else argument

    z = theirs(*[twin(a) for a in arguments])
    assert y.shape == tuple(z.shape)
    assert_close(y.numpy(), z.detach().numpy(), tolerance, "value")
    dy = normal(99, y.shape)
    y.backward(minillm.tensor(dy, device=device))
    z.backward(torch.tensor(dy))
    for i, (a, b) in enumerate(zip(leaves, twin_list, strict=True)):
        theirs_grad = np.zeros(a.shape) if b.grad is None else b.grad.numpy()
        ours_grad = get_device(device).to_numpy(a.grad)
        assert_close(ours_grad, theirs_grad, tolerance, f"gradient {i}")


def on(device, array):
    return None if array is None else get_device(device).from_numpy(array)


x, y, positive = normal(0, (3, 4)), normal(1, (3, 1)), np.abs(normal(2, (3, 4))) + 0.3

ELEMENTWISE = {
    "add": (F.add, torch.add, x, y),
    "subtract": (F.subtract, torch.subtract, x, y),
    "multiply": (F.multiply, torch.multiply, x, y),
    "divide": (F.divide, torch.divide, x, y),
    "power": (F.power, torch.pow, positive, y),
    "power of a number": (lambda p: 2.5**p, lambda p: 2.5**p, x),
    "power 3": (lambda x: x**3, lambda x: x**3, x),
    "power -1.5": (lambda x: x**-1.5, lambda x: x**-1.5, positive),
    "number - x": (lambda x: 1 - x, lambda x: 1 - x, x),
    "number / x": (lambda x: 1 / x, lambda x: 1 / x, x),
    "exp": (F.exp, torch.exp, x),
    "log": (F.log, torch.log, positive),
    "sqrt": (F.sqrt, torch.sqrt, positive),
    "abs": (F.abs, torch.abs, x),
    "where": (F.where, torch.where, x > 0, x, y),
    "masked_fill": (
        lambda x: x.masked_fill(on_mask(x), -5.0),
        lambda x: x.masked_fill(torch.tensor(normal(3, (1, 4)) > 0), -5.0),
        x,
    ),
    "tanh": (F.tanh, torch.tanh, x),
    "sigmoid": (F.sigmoid, torch.sigmoid, x),
    "relu": (F.relu, torch.relu, x),
    "silu": (F.silu, TF.silu, x),
    "gelu": (F.gelu, TF.gelu, x),
    "gelu tanh": (
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: TF.gelu(x, approximate="tanh"),
        x,
    ),
    "softmax": (lambda x: F.softmax(x, 0), lambda x: TF.softmax(x, 0), x),
    "log_softmax": (lambda x: F.log_softmax(x, dim=-1), lambda x: TF.log_softmax(x, dim=-1), x),
    "dropout": (lambda x: F.dropout(x, 0.5, False), lambda x: TF.dropout(x, 0.5, False), x),
}


def on_mask(x):
    return on(x.device, normal(3, (1, 4)) > 0)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(device, name):
    compare(device, *ELEMENTWISE[name])


def test_kinks_and_ties_are_shared_as_in_pytorch(device):
    ties = np.array([[1.0, 0.0, 0.0, 1.0], [2.0, 2.0, 2.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
    compare(device, F.relu, torch.relu, ties)
    compare(device, F.abs, torch.abs, ties)
    compare(device, lambda x: F.max(x, 1), lambda x: torch.amax(x, 1), ties)
    compare(device, lambda x: F.max_pool1d(x, 2, 1), lambda x: TF.max_pool1d(x, 2, 1), ties[None])


@pytest.mark.parametrize("dim", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("keepdim", [False, True])
def test_reductions(device, dim, keepdim):
    x = normal(0, (2, 3, 4))
    pairs = [(F.sum, torch.sum), (F.mean, torch.mean), (F.var, torch.var), (F.max, torch.amax)]
    for ours, theirs in pairs:
        theirs_dim = (0, 1, 2) if dim is None else dim
        compare(
            device,
            functools.partial(ours, dim=dim, keepdim=keepdim),
            functools.partial(theirs, dim=theirs_dim, keepdim=keepdim),
            x,
        )
    compare(
        device,
        lambda x: F.var(x, dim, correction=0, keepdim=keepdim),
        lambda x: torch.var(x, dim, correction=0, keepdim=keepdim),
        x,
    )


ids = np.array([[1, 0], [1, 1]])
SHAPE = {
    "reshape": lambda L, x: x.reshape(4, -1),
    "flatten": lambda L, x: x.flatten(1, -1),
    "unsqueeze": lambda L, x: x.unsqueeze(-2),
    "squeeze": lambda L, x: x[:1].squeeze(0),
    "transpose": lambda L, x: x.transpose(0, -1),
    "permute": lambda L, x: x.permute(2, 0, 1),
    "broadcast_to": lambda L, x: L.broadcast_to(x[:, :1], (5, 2, 3, 4)),
    "cat": lambda L, x: L.cat([x, x[:, 1:], x], dim=1),
    "stack": lambda L, x: L.stack([x, x * 2], -2),
    "split": lambda L, x: L.cat([p * (i + 1) for i, p in enumerate(x.split(3, 2))], 2),
    "split sections": lambda L, x: L.cat(x.split([1, 2], dim=1)[::-1], 1),
    "slices": lambda L, x: x[:, 1:, ::2],
    "integer and ellipsis": lambda L, x: x[1, ..., None, 0],
}


@pytest.mark.parametrize("name", SHAPE)
def test_shape_functions_with_the_very_same_calls(device, name):
    call = SHAPE[name]
    compare(
        device, functools.partial(call, F), functools.partial(call, torch), normal(0, (2, 3, 4))
    )


def test_indexing_with_arrays(device):
    x, mask = normal(0, (2, 3, 4)), normal(1, (2, 3)) > 0
    index = np.random.default_rng(0).integers(0, 3, (2, 5, 4))
    compare(device, lambda x, i: x[i], lambda x, i: x[i], x, ids)
    compare(device, lambda x, i: x[:, i], lambda x, i: x[:, i], x, ids)
    compare(device, lambda x, m: x[m], lambda x, m: x[m], x, mask)
    compare(device, lambda x, i: F.gather(x, 1, i), lambda x, i: torch.gather(x, 1, i), x, index)


@pytest.mark.parametrize(
    "shapes", [((3,), (3,)), ((3,), (2, 3, 4)), ((2, 3), (3,)), ((5, 1, 2, 3), (4, 3, 2))]
)
def test_matmul(device, shapes):
    compare(device, F.matmul, torch.matmul, *normal(0, *shapes))


def test_linear_and_embedding(device):
    compare(device, F.linear, TF.linear, *normal(0, (2, 3, 4), (5, 4), (5,)))
    compare(device, F.embedding, TF.embedding, ids, normal(0, (3, 4)))
    compare(
        device,
        lambda i, w: F.embedding(i, w, padding_idx=1),
        lambda i, w: TF.embedding(i, w, padding_idx=1),
        *(ids, normal(0, (3, 4))),
    )


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_layer_norm(device, shape):
    x, weight, bias = normal(0, (2, 3, 4), shape, shape)
    compare(
        device,
        lambda x, w, b: F.layer_norm(x, shape, w, b, 1e-3),
        lambda x, w, b: TF.layer_norm(x, shape, w, b, 1e-3),
        *(x, weight, bias),
    )


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
@pytest.mark.parametrize("eps", [None, 1e-3])
def test_rms_norm(device, shape, eps):
    x, weight = normal(0, (2, 3, 4), shape)
    compare(
        device,
        lambda x, w: F.rms_norm(x, shape, w, eps),
        lambda x, w: TF.rms_norm(x, shape, w, eps),
        *(x, weight),
    )


@pytest.mark.parametrize(
    "stride, padding, dilation, groups", [(1, 0, 1, 1), (2, 3, 2, 2), (3, 1, 1, 4)]
)
def test_conv1d(device, stride, padding, dilation, groups):
    x, weight, bias = normal(0, (2, 4, 11), (8, 4 // groups, 3), (8,))
    options = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    compare(
        device,
        functools.partial(F.conv1d, **options),
        functools.partial(TF.conv1d, **options),
        *(x, weight, bias),
    )


@pytest.mark.parametrize("options", [(2,), (3, 1, 1), (4, 3, 2)])
def test_max_pool1d(device, options):
    compare(
        device,
        lambda x: F.max_pool1d(x, *options),
        lambda x: TF.max_pool1d(x, *options),
        normal(0, (2, 3, 11)),
    )


@pytest.mark.parametrize("mask", [None, "bool", "float", "key"])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_attention(device, mask, scale):
    q, k, v = normal(0, (2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7))
    values = normal(1, (2, 1, 1, 6) if mask == "key" else (4, 6))
    values = values if mask == "float" else values > -1
    values = None if mask is None else values
    ours, theirs = on(device, values), None if values is None else torch.tensor(values)
    compare(
        device,
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, ours, scale=scale),
        lambda q, k, v: TF.scaled_dot_product_attention(q, k, v, theirs, scale=scale),
        *(q, k, v),
    )


@pytest.mark.parametrize("keys", [3, 4, 6])
def test_causal_attention(device, keys):
    compare(
        device,
        lambda *qkv: F.scaled_dot_product_attention(*qkv, is_causal=True),
        lambda *qkv: TF.scaled_dot_product_attention(*qkv, is_causal=True),
        *normal(0, (2, 4, 5), (2, keys, 5), (2, keys, 3)),
    )


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("heads", [4, 6])
def test_grouped_attention(device, heads, is_causal):
    options = {"is_causal": is_causal, "enable_gqa": True}
    compare(
        device,
        lambda *qkv: F.scaled_dot_product_attention(*qkv, **options),
        lambda *qkv: TF.scaled_dot_product_attention(*qkv, **options),
        *normal(0, (2, heads, 3, 5), (2, 2, 3, 5), (2, 2, 3, 4)),
    )


def torch_layer(kind, weights, **options):
    """PyTorch's recurrent layer as a function of its weights."""

    def call(x, h0, *rest):
        states, weights = (rest[:1], rest[1:]) if kind is torch.nn.LSTM else ((), rest)
        layer = kind(x.shape[-1], h0.shape[-1], **options).double()
        names = [name for name, _ in layer.named_parameters()]
        initial = tuple(s[None] for s in (h0, *states))
        inputs = (x, initial if kind is torch.nn.LSTM else initial[0])
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), inputs)[0]

    return call


def test_lstm(device):
    T, B, D, H = 5, 3, 2, 4
    arrays = normal(0, (T, B, D), (B, H), (B, H), (4 * H, D), (4 * H, H), (4 * H,), (4 * H,))
    compare(device, lambda *a: F.lstm(*a)[0], torch_layer(torch.nn.LSTM, 4), *arrays)
    compare(
        device, lambda *a: F.lstm(*a)[0], torch_layer(torch.nn.LSTM, 2, bias=False), *arrays[:5]
    )


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_rnn(device, nonlinearity):
    T, B, D, H = 5, 3, 2, 4
    compare(
        device,
        functools.partial(F.rnn, nonlinearity=nonlinearity),
        torch_layer(torch.nn.RNN, 4, nonlinearity=nonlinearity),
        *normal(0, (T, B, D), (B, H), (H, D), (H, H), (H,), (H,)),
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_lstm_over_packed_sequences(device, reverse):
    """On the real steps; past its end PyTorch shows zeros, minillm the last state."""
    T, B, D, H = 5, 3, 2, 4
    arrays = normal(0, (T, B, D), (4 * H, D), (4 * H, H), (4 * H,), (4 * H,))
    lengths = np.array([5, 2, 3])
    real = (np.arange(T)[:, None] < lengths)[..., None].astype(float)
    zeros = on(device, np.zeros((B, H)))

    def ours(x, *weights):
        states = F.lstm(x, zeros, zeros, *weights, lengths=on(device, lengths), reverse=reverse)
        return states[0] * on(device, real)

    def theirs(x, *weights):
        layer = torch.nn.LSTM(D, H, bidirectional=reverse).double()
        names = [n for n, _ in layer.named_parameters() if n.endswith("reverse") == reverse]
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.tensor(lengths), enforce_sorted=False
        )
        replaced = dict(zip(names, weights, strict=True))
        states, _ = torch.func.functional_call(layer, replaced, (packed,))
        states, _ = torch.nn.utils.rnn.pad_packed_sequence(states)
        return states[..., H:] if reverse else states

    compare(device, ours, theirs, *arrays)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(5,), (6, 5), (2, 5, 3), (2, 5, 3, 2)])
def test_cross_entropy(device, reduction, smoothing, weighted, shape):
    targets_shape = shape[:1] + shape[2:] if len(shape) > 1 else ()
    targets = np.asarray(np.random.default_rng(0).integers(0, 5, targets_shape))
    if targets.size > 1:
        targets.reshape(-1)[1] = -100
    weight = np.abs(normal(1, (5,))) if weighted else None
    options = dict(reduction=reduction, label_smoothing=smoothing)
    compare(
        device,
        lambda z, t: F.cross_entropy(z, t, on(device, weight), **options),
        lambda z, t: TF.cross_entropy(
            z, t, weight if weight is None else torch.tensor(weight), **options
        ),
        *(normal(0, shape), targets),
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_binary_and_squared_losses(device, reduction):
    z, weight, pos_weight = normal(0, (3, 4)), np.abs(normal(1, (3, 4))), np.abs(normal(2, (4,)))
    t = np.random.default_rng(0).uniform(0, 1, (3, 4))
    p = 1 / (1 + np.exp(-z))
    ours, theirs = on(device, t), torch.tensor(t)
    compare(
        device,
        lambda p: F.binary_cross_entropy(p, ours, on(device, weight), reduction),
        lambda p: TF.binary_cross_entropy(p, theirs, torch.tensor(weight), reduction=reduction),
        p,
    )
    compare(
        device,
        lambda z: F.binary_cross_entropy_with_logits(
            z, ours, on(device, weight), reduction, on(device, pos_weight)
        ),
        lambda z: TF.binary_cross_entropy_with_logits(
            *(z, theirs, torch.tensor(weight)),
            reduction=reduction,
            pos_weight=torch.tensor(pos_weight),
        ),
        z,
    )
    compare(
        device,
        lambda x, t: F.mse_loss(x, t, reduction=reduction),
        lambda x, t: TF.mse_loss(x, t, reduction=reduction),
        *(z, t),
    )


def test_losses_at_their_extremes(device):
    z, t = np.array([80.0, -80.0, 0.0, 800.0]), np.array([0.0, 1.0, 1.0, 1.0])
    ours, theirs = on(device, t), torch.tensor(t)
    compare(
        device,
        lambda z: F.binary_cross_entropy_with_logits(z, ours),
        lambda z: TF.binary_cross_entropy_with_logits(z, theirs),
        z,
    )
    edge = np.array([0.0, 1.0, 0.5, 1.0])
    compare(
        device,
        lambda p: F.binary_cross_entropy(p, ours),
        lambda p: TF.binary_cross_entropy(p, theirs),
        edge,
    )
    logits = np.array([[1e3, -1e3, 0.0], [-math.inf, 0.0, 1.0]])
    compare(device, F.cross_entropy, TF.cross_entropy, logits, np.array([1, 2]))

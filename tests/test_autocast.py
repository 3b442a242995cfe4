"""Mixed precision: which function computes in what, and that float32 is not far."""

import math
import threading

import numpy as np
import pytest
from op_factory import normal, to_host

import minillm
from minillm import autocast, float16, float32, float64
from minillm import functional as F
from minillm.autocast import FLOAT16, FLOAT32
from minillm.backend import fuse, get_device, product
from minillm.models import BertConfig, BertForPreTraining, GPTConfig, GPTForCausalLM

# Neither products nor sums of many numbers: they compute in what comes.
AS_IT_COMES = {
    *("abs", "add", "divide", "masked_fill", "max", "multiply", "negative", "sqrt", "subtract"),
    *("gelu", "relu", "sigmoid", "silu", "swiglu", "tanh", "dropout", "where"),
    *("broadcast_to", "concatenate", "gather", "getitem", "permute", "reshape", "stack"),
    *("transpose", "embedding", "max_pool1d", "rotary_embedding"),
}


def leaf(device, *shape, seed=0, dtype=np.float32):
    array = normal(seed, shape).astype(dtype)
    return minillm.tensor(array, requires_grad=True, device=device)


def array(device, values):
    return get_device(device).from_numpy(np.asarray(values))


# ------------------------------------------------------------------------- who computes in what


def test_every_differentiable_function_has_its_place():
    public = {name: f for name, f in vars(F).items() if not name.startswith("_")}
    functions = {name for name, f in public.items() if hasattr(f, "__wrapped__")} - {"cat"}
    assert FLOAT16 | FLOAT32 | AS_IT_COMES == functions
    assert len(FLOAT16) + len(FLOAT32) + len(AS_IT_COMES) == len(functions)


def arguments(device):
    """For functions of float Tensors: how to call each, with leaves of moderate values."""
    x, y, w = leaf(device, 4, 6), leaf(device, 4, 6, seed=1), leaf(device, 5, 6, seed=2)
    positive = minillm.tensor(np.abs(x.numpy()) + 0.5, requires_grad=True, device=device)
    bias, row = leaf(device, 5, seed=3), leaf(device, 6, seed=4)
    q, k, v = (leaf(device, 2, 3, 5, 8, seed=s) for s in (5, 6, 7))
    qkv = leaf(device, 2, 5, 24, seed=8)
    ids = minillm.tensor(np.array([1, 0, 3, 3]), device=device)
    half = minillm.tensor(np.full((4, 6), 0.5, np.float32), device=device)
    seen = array(device, np.tril(np.ones((5, 5), bool)))
    states = [leaf(device, 2, 3, seed=s) for s in (9, 10)]
    recurrent = [leaf(device, *shape, seed=11) for shape in ((12, 6), (12, 3), (12,), (12,))]
    plain = [leaf(device, *shape, seed=12) for shape in ((3, 6), (3, 3), (3,), (3,))]
    steps = leaf(device, 4, 2, 6, seed=13)
    return {
        "linear": (F.linear, x, w, bias),
        "matmul": (F.matmul, x, F.transpose(y, 0, 1)),
        "scaled_dot_product_attention": (F.scaled_dot_product_attention, q, k, v, seen),
        "multi_head_attention": (lambda t: F.multi_head_attention(t, 2, is_causal=True), qkv),
        "softmax": (F.softmax, x),
        "log_softmax": (F.log_softmax, x),
        "exp": (F.exp, x),
        "log": (F.log, positive),
        "power": (lambda t: t**3, x),
        "sum": (F.sum, x),
        "mean": (F.mean, x),
        "var": (F.var, x),
        "layer_norm": (lambda t, w, b: F.layer_norm(t, 6, w, b), x, row, leaf(device, 6, seed=5)),
        "rms_norm": (lambda t, w: F.rms_norm(t, 6, w), x, row),
        "cross_entropy": (lambda t: F.cross_entropy(t, ids), x),
        "binary_cross_entropy": (lambda t: F.binary_cross_entropy(F.sigmoid(t), half), x),
        "binary_cross_entropy_with_logits": (
            lambda t: F.binary_cross_entropy_with_logits(t, half),
            x,
        ),
        "mse_loss": (F.mse_loss, x, y),
        "embedding_bag": (lambda t: F.embedding_bag(ids.reshape(2, 2), t), x),
        "conv1d": (F.conv1d, leaf(device, 2, 3, 7), leaf(device, 4, 3, 2, seed=1)),
        "lstm": (F.lstm, steps, *states, *recurrent),
        "rnn": (F.rnn, steps, states[0], *plain),
    }


def in_precision(call, dtype, device):
    """The result of call = (function, leaves and arrays ...) and the gradients of the leaves."""
    function, *args = call
    leaves = [
        minillm.tensor(a.numpy(), requires_grad=True, device=device)
        if isinstance(a, minillm.Tensor)
        else a
        for a in args
    ]
    with autocast(dtype):
        y = function(*leaves)
    dy = normal(3, y.shape).astype(np.float32)
    y.backward(array(device, dy).astype(y.dtype))
    gradients = [t.grad for t in leaves if isinstance(t, minillm.Tensor)]
    return y, gradients


@pytest.mark.parametrize("name", sorted(FLOAT16 | FLOAT32))
def test_the_listed_functions_compute_in_their_precision_and_float32_is_not_far(device, name):
    call = arguments(device)[name]
    y32, gradients32 = in_precision(call, float32, device)
    y, gradients = in_precision(call, float16, device)
    assert y32.dtype == np.float32
    assert y.dtype == (np.float16 if name in FLOAT16 else np.float32)
    for a, b in zip([y.data, *gradients], [y32.data, *gradients32], strict=True):
        if a is not y.data:
            assert a.dtype == np.float32  # as the leaf
        a, b = to_host(a).astype(np.float64), to_host(b).astype(np.float64)
        # 2^-11 is a rounding's error; the gradients of a leaf went through a few of them.
        assert np.linalg.norm(a - b) <= 4 * 2**-11 * np.linalg.norm(b)
        if name in FLOAT32 and name != "binary_cross_entropy":
            np.testing.assert_array_equal(a, b)  # float32 came, so nothing was rounded


@pytest.mark.parametrize("name", sorted(FLOAT32 - {"embedding_bag", "lstm", "rnn", "conv1d"}))
def test_functions_in_float32_widen_float16(device, name):
    """Their value from float16 is the float32 function's, not one of float16 arithmetic."""
    function, first, *others = arguments(device)[name]
    rounded = first.detach().to(float16)
    expected = function(rounded.to(float32), *others)
    half = minillm.tensor(rounded.numpy(), requires_grad=True, device=device)
    with autocast():
        y = function(half, *others)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=2e-3, atol=1e-6)
    y.backward(array(device, np.ones(y.shape, np.float32)))
    assert half.grad.dtype == np.float16


def test_other_functions_take_what_comes_and_the_wider_of_two(device):
    single, half = leaf(device, 3, 4), leaf(device, 3, 4, seed=1).detach().to(float16)
    with autocast():
        assert F.relu(single).dtype == np.float32 and F.relu(half).dtype == np.float16
        assert F.gelu(half).dtype == (half * 2).dtype == half[0].dtype == np.float16
        assert (single + half).dtype == (half * single).dtype == np.float32
        assert F.concatenate([half, single]).dtype == F.stack([half, half * 1, single]).dtype
        assert F.stack([half, half]).dtype == np.float16
        ids = minillm.tensor(np.array([0, 2]), device=device)
        assert F.embedding(ids, single).dtype == np.float32
        assert single.to(float16).dtype == np.float16  # a cast that was asked for


def test_gradients_are_float16_where_the_values_were(device):
    seen = []

    @minillm.autograd.differentiable
    def watch(x):
        def backward(dy):
            seen.append((x.dtype, dy.dtype))
            return dy

        return x.copy(), backward

    x, w = leaf(device, 3, 4), leaf(device, 4, 4, seed=1)
    with autocast():
        h = watch(F.linear(watch(x), w))
        ((watch(h + x)) ** 2).sum().backward()
    assert seen == [(np.float32, np.float32), (np.float16, np.float16), (np.float32, np.float32)]
    assert x.grad.dtype == w.grad.dtype == np.float32


def test_float64_and_integers_are_left_alone(device):
    x, w = (leaf(device, 4, 4, seed=s, dtype=np.float64) for s in range(2))
    ids = minillm.tensor(np.arange(4), device=device)
    with autocast():
        assert F.linear(x, w).dtype == F.softmax(x).dtype == np.float64
        assert (ids + 1).dtype == ids.dtype


# ------------------------------------------------------------------------- where it holds


def test_within_its_block_and_thread_only(device):
    x, w = leaf(device, 4, 4), leaf(device, 4, 4, seed=1)

    def dtype():
        return F.linear(x, w).dtype

    assert dtype() == np.float32 and not minillm.is_autocast_enabled()
    with autocast():
        assert dtype() == np.float16 and minillm.is_autocast_enabled()
        with autocast(enabled=False):
            assert dtype() == np.float32
        with autocast("float32"):
            assert dtype() == np.float32
            with autocast("float16"):
                assert dtype() == np.float16
        assert dtype() == np.float16
        elsewhere = []
        worker = threading.Thread(target=lambda: elsewhere.append(dtype()))
        worker.start()
        worker.join()
        assert elsewhere == [np.float32]
    with pytest.raises(ZeroDivisionError), autocast():
        raise ZeroDivisionError
    assert dtype() == np.float32


@pytest.mark.parametrize("dtype", [float64, minillm.int32, "bfloat16"])
def test_other_dtypes_are_an_error(dtype):
    with pytest.raises(ValueError, match="dtype"):
        with autocast(dtype):
            """Not reached."""


# ------------------------------------------------------------------------- within the functions


def test_products_of_float16_are_summed_in_float32(device):
    """4,096 ones: in float16 a running sum would stop at 2,048."""
    ones = array(device, np.ones((1, 4096), np.float16))
    total = product(ones, ones.T)
    assert total.dtype == np.float16 and float(total[0, 0]) == 4096
    # Terms beyond float16's end, whose sum is within.
    large = array(device, np.array([[60000.0, -60000.0, 1.0]], np.float16))
    twos = array(device, np.full((3, 1), 2.0, np.float16))
    assert float(product(large, twos)[0, 0]) == 2
    # What can't be said in 16 bits is rounded, or kept where there is room.
    room = array(device, np.zeros((1, 1), np.float32))
    tenth = array(device, np.full((3, 1), 0.1, np.float16))
    exact = 3 * float(np.float16(0.1)) * float(np.float16(0.1))
    assert product(tenth.T, tenth, out=room) is room
    assert float(room[0, 0]) == pytest.approx(exact, rel=1e-6)
    assert float(product(tenth.T, tenth)[0, 0]) == float(np.float16(exact))


@pytest.mark.parametrize("shapes", [((3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((4,), (4, 5))])
def test_product_is_numpys_of_any_float_dtype(device, shapes):
    a, b = normal(0, *shapes)
    for dtype, tolerance in ((np.float16, 2e-3), (np.float32, 1e-6), (np.float64, 1e-14)):
        given = array(device, a.astype(dtype)), array(device, b.astype(dtype))
        found = product(*given)
        assert found.dtype == dtype
        np.testing.assert_allclose(to_host(found), a @ b, rtol=tolerance, atol=3 * tolerance)
        out = array(device, np.zeros((a @ b).shape, dtype))
        assert product(*given, out=out) is out
        np.testing.assert_array_equal(to_host(out), to_host(found))


def test_attention_of_large_scores_and_hidden_keys(device):
    """Scores of 1e5 are beyond float16, but they never are float16; a hidden row gives zeros."""
    q, k, v = (300 * normal(s, (2, 3, 8)) for s in range(3))
    seen = np.ones((3, 3), bool)
    seen[1] = False
    seen[2, 0] = False
    found = {}
    for dtype in (float16, float64):
        leaves = [
            minillm.tensor(a.astype(np.float16).astype(dtype), requires_grad=True, device=device)
            for a in (q, k, v / 300)
        ]
        y = F.scaled_dot_product_attention(*leaves, array(device, seen))
        y.backward(array(device, np.full(y.shape, 0.25, dtype)))
        found[dtype] = [to_host(a).astype(np.float64) for a in (y.data, leaves[2].grad)]
        assert all(np.isfinite(to_host(t.grad)).all() for t in leaves)
    for a, b in zip(found[float16], found[float64], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3)
    assert not found[float16][0][:, 1].any()


def test_attentions_gradient_is_summed_in_float32(device):
    """dY . Y is beyond float16 here, and so is dP; their difference, which counts, is 0."""
    q, k = (normal(s, (2, 3, 8)).astype(np.float16) for s in range(2))
    leaves = [
        minillm.tensor(a, requires_grad=True, device=device)
        for a in (q, k, np.full((2, 3, 8), 30, np.float16))
    ]
    y = F.scaled_dot_product_attention(*leaves)
    y.backward(array(device, np.full(y.shape, 6000, np.float16)))
    for gradient in (leaves[0].grad, leaves[1].grad):
        # 6000 * 30 * 8 = 1.4e6, of which the rounded probabilities may leave a thousandth.
        np.testing.assert_allclose(to_host(gradient), 0, atol=3e3)
    np.testing.assert_allclose(to_host(leaves[2].grad).sum(axis=1), 18000, rtol=2e-3)


def test_elementwise_chains_of_float16_are_computed_in_float32(device):
    x = np.linspace(-5, 5, 4001).astype(np.float16)
    exact = x.astype(np.float64)
    exact = exact * 0.5 * (1 + np.vectorize(math.erf)(exact / math.sqrt(2)))
    y = F.gelu(minillm.tensor(x, device=device))
    assert y.dtype == np.float16
    # A unit in the last place, or of the smallest numbers.
    np.testing.assert_allclose(y.numpy(), exact, rtol=2**-10, atol=3e-7)


def test_fused_updates_in_place_reach_float16_arrays(device):
    @fuse
    def update(xp, p, g, rate):
        p -= rate * g

    p, g = (array(device, np.full(4, v, np.float16)) for v in (1, 0.125))
    update(p, g, 2.0)
    np.testing.assert_array_equal(to_host(p), np.full(4, 0.75, np.float16))

    @fuse
    def both(xp, a):
        return a + 1, a * 2

    one, two = both(p)
    assert one.dtype == two.dtype == np.float16
    np.testing.assert_array_equal(to_host(two), np.full(4, 1.5))


# ------------------------------------------------------------------------- whole models


@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_a_models_gradients_are_near_those_of_float32(device, kind):
    minillm.manual_seed(0)
    size, V, B, T = 32, 50, 4, 16
    rng = np.random.default_rng(0)
    ids = rng.integers(V, size=(B, T))
    if kind == "gpt":
        config = GPTConfig(vocab_size=V, n_positions=T, n_embd=size, n_layer=2, n_head=4)
        model, batch = GPTForCausalLM(config), {"labels": ids}
    else:
        config = BertConfig(
            vocab_size=V,
            hidden_size=size,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=2 * size,
            max_position_embeddings=T,
        )
        model = BertForPreTraining(config)
        batch = {
            "labels": np.where(rng.random((B, T)) < 0.4, ids, -100),
            "next_sentence_label": np.array([0, 1, 1, 0]),
        }
    model.to(device).eval()  # without dropout
    batch = {n: minillm.tensor(a, device=device) for n, a in (batch | {"input_ids": ids}).items()}
    losses, gradients = [], []
    for precision in ("float32", "float16"):
        model.zero_grad()
        with autocast(precision):
            loss = model(**batch).loss
        (loss * 1024.0).backward()
        losses.append(loss.item())
        gradients.append({n: to_host(p.grad) / 1024 for n, p in model.named_parameters()})
        assert all(g.dtype == np.float32 for g in gradients[-1].values())
        assert loss.dtype == np.float32
    assert losses[1] == pytest.approx(losses[0], rel=2e-4)
    for name, exact in gradients[0].items():
        error = np.linalg.norm(gradients[1][name] - exact) / np.linalg.norm(exact)
        assert error < 0.02, f"{name}: {error:.2%}"


def test_a_third_less_is_kept(device):
    """As the lesson says of its option: GPT's norms and the loss keep float32."""
    minillm.manual_seed(0)
    config = GPTConfig(vocab_size=60, n_positions=64, n_embd=64, n_layer=4, n_head=8)
    model = GPTForCausalLM(config).to(device)
    ids = minillm.tensor(np.random.default_rng(0).integers(60, size=(4, 64)), device=device)
    peaks = []
    for precision in ("float32", "float16"):
        with minillm.tape_memory(model) as memory, autocast(precision):
            model(ids, labels=ids)
        peaks.append(memory.peak)
    assert 0.5 * peaks[0] < peaks[1] < 0.7 * peaks[0]

"""Losses, gradients and norms at the edge of float32: finite and right.

Each function is compared with its textbook formula, written here once more in float64, number by
number.  The inputs are float32 numbers, so that both sides start from the same values.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import to_host

import minillm
from minillm import functional as F
from minillm import nn, optim
from minillm.models import (
    BertConfig,
    BertForPreTraining,
    BertModel,
    GPTConfig,
    GPTForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)
from minillm.models.average_classifier import AverageConfig, AverageForSequenceClassification
from minillm.models.classification import classification_loss
from minillm.models.cnn_classifier import CNNConfig, CNNForSequenceClassification
from minillm.models.lstm_classifier import LSTMConfig, LSTMForSequenceClassification

TINY = 1e-40  # a denormal number: below the smallest float32 with full precision, 1.2e-38
NORMAL = 1.2e-38


def leaf(values, device, requires_grad=True):
    return minillm.tensor(
        np.asarray(values, np.float32), requires_grad=requires_grad, device=device
    )


def ids(values, device):
    return minillm.tensor(np.asarray(values, np.int64), device=device)


def assert_right(actual, expected, relative=1e-5, absolute=1e-6):
    """Finite, and equal up to float32's rounding."""
    actual = to_host(actual)
    assert np.isfinite(actual).all()
    np.testing.assert_allclose(actual, expected, rtol=relative, atol=absolute)


# ---------------------------------------------------------------------------------- losses


def logistic(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def cross_entropy(z, y, weight, smoothing):
    """Per row: the loss, its gradient, and how much the row counts in a mean."""
    N, C = z.shape
    losses, gradient, counts = np.zeros(N), np.zeros((N, C)), np.zeros(N)
    for n in range(N):
        if y[n] == -100:
            continue
        row = [float(v) - float(max(z[n])) for v in z[n]]
        total = math.fsum(math.exp(v) for v in row)
        for c in range(C):
            q = weight[c] * ((1 - smoothing) * (c == y[n]) + smoothing / C)
            losses[n] += q * (math.log(total) - row[c]) if q else 0
            gradient[n] += q * np.array([math.exp(v) / total for v in row])
            gradient[n, c] -= q
        counts[n] = weight[y[n]]
    return losses, gradient, counts


extreme_logits = st.sampled_from([1e4, -1e4, 1e30, -1e30, 0.0, 1.0, -20.0, TINY, -TINY])


@st.composite
def logits_and_targets(draw):
    N, C = draw(st.integers(0, 4)), draw(st.integers(1, 4))
    z = np.array(draw(st.lists(extreme_logits, min_size=N * C, max_size=N * C)), np.float32)
    target = st.just(-100) | st.integers(0, C - 1)
    y = np.array(draw(st.lists(target, min_size=N, max_size=N)), np.int64)
    return z.reshape(N, C), y


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # 0/0, the mean over no target
@given(logits_and_targets(), st.sampled_from([0, 0.1]), st.booleans(), st.booleans())
def test_cross_entropy(device, case, smoothing, weighted, mean):
    """Logits to 1e30, one class, no row, one row, all rows ignored."""
    values, targets = case
    weight = np.arange(1, 1 + values.shape[1], dtype=np.float32) if weighted else None
    losses, gradient, counts = cross_entropy(
        values, targets, np.ones(values.shape[1]) if weight is None else weight, smoothing
    )
    z = leaf(values, device)
    loss = F.cross_entropy(
        *(z, ids(targets, device)),
        weight=None if weight is None else leaf(weight, device, False),
        reduction="mean" if mean else "sum",
        label_smoothing=smoothing,
    )
    loss.backward()
    if mean and not counts.any():
        assert math.isnan(loss.item())
        np.testing.assert_array_equal(to_host(z.grad), np.zeros(values.shape))
        return
    total = counts.sum() if mean else 1
    assert_right(loss.data, losses.sum() / total)
    assert_right(z.grad, gradient / total)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("smoothing", [0, 0.1])
def test_an_ignored_row_may_be_infinite(device, smoothing):
    """Nothing of it reaches the loss: not even 0 times infinity."""
    z = leaf([[1, 2, 3], [-math.inf, 0, 0]], device)
    alone = leaf([[1, 2, 3]], device)
    loss = F.cross_entropy(z, ids([1, -100], device), label_smoothing=smoothing)
    expected = F.cross_entropy(alone, ids([1], device), label_smoothing=smoothing)
    loss.backward()
    expected.backward()
    assert loss.item() == expected.item()
    np.testing.assert_array_equal(to_host(z.grad), [to_host(alone.grad)[0], [0, 0, 0]])


def softplus(v):
    return math.log1p(math.exp(v)) if v < 700 else v


@pytest.mark.parametrize("target", [0.0, 0.25, 1.0])
def test_binary_cross_entropy_with_logits(device, target):
    """A sure and right answer costs little, but not nothing: e^-20 at 20, not 0."""
    values = np.float32([1e4, -1e4, 1e30, -1e30, 20, -20, 88, -88, TINY, -TINY, 0])
    z = leaf(values, device)
    loss = F.binary_cross_entropy_with_logits(
        z, leaf(np.full(len(values), target), device, False), reduction="none"
    )
    loss.sum().backward()
    # -log sigmoid(z) = log(1 + e^-z) and -log(1 - sigmoid(z)) = log(1 + e^z).
    expected = [target * softplus(-v) + (1 - target) * softplus(v) for v in values.tolist()]
    assert_right(loss.data, expected, absolute=NORMAL)
    sigmoid = np.array([logistic(v) for v in values.tolist()])
    assert_right(z.grad, sigmoid - target, absolute=1e-7)


@pytest.mark.parametrize("logit", [1e4, -1e4, 0.0, TINY])
def test_a_single_score_is_two_classes(device, logit):
    z = leaf([[logit], [logit]], device)
    loss = classification_loss(z, ids([0, 1], device))
    loss.backward()
    assert_right(loss.data, abs(logit) / 2 + math.log1p(math.exp(-abs(logit))))
    assert_right(z.grad, [[logistic(logit) / 2], [(logistic(logit) - 1) / 2]])


# ---------------------------------------------------------------------------- activations


def normal_cdf(x):
    return math.erfc(-x / math.sqrt(2)) / 2


def gelu_slope(x):
    return normal_cdf(x) + x * math.exp(-min(x * x / 2, 800)) / math.sqrt(2 * math.pi)


ACTIVATIONS = {
    "gelu": (lambda x: x * normal_cdf(x), gelu_slope),
    "gelu tanh": (lambda x: x * normal_cdf(x), gelu_slope),
    "silu": (
        lambda x: x * logistic(x),
        lambda x: logistic(x) * (1 + x * (1 - logistic(x))),
    ),
    "sigmoid": (logistic, lambda x: logistic(x) * (1 - logistic(x))),
    "tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
    "relu": (lambda x: max(x, 0), lambda x: float(x > 0)),
}


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # 1e36 on the way to a tanh of 1
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(device, name):
    function, slope = ACTIVATIONS[name]
    values = np.float32([1e4, -1e4, 1e18, -1e18, 100, -100, TINY, -TINY, 0])
    x = leaf(values, device)
    kind, *form = name.split()
    y = getattr(F, kind)(x, *form)
    y.sum().backward()
    expected = np.array([function(v) for v in values.tolist()])
    assert_right(y.data, expected)
    small = abs(values) < 1  # these keep their digits even where they are denormal
    assert_right(to_host(y.data)[small], expected[small], absolute=1e-45)
    assert_right(x.grad, [slope(v) for v in values.tolist()])


@given(st.lists(extreme_logits, min_size=1, max_size=5))
def test_softmax(device, values):
    values = np.float32(values)
    dy = np.arange(1, 1 + len(values), dtype=np.float32)
    shifted = [float(v) - float(max(values)) for v in values]
    total = math.fsum(map(math.exp, shifted))
    p = np.array([math.exp(v) / total for v in shifted])
    x = leaf(values, device)
    y = F.softmax(x)
    y.backward(leaf(dy, device).data)
    assert_right(y.data, p)
    assert_right(x.grad, p * (dy - p @ dy), absolute=5e-6)
    x = leaf(values, device)
    y = F.log_softmax(x)
    y.backward(leaf(dy, device).data)
    assert_right(y.data, np.array(shifted) - math.log(total))
    assert_right(x.grad, dy - p * dy.sum(), absolute=5e-6)


# ----------------------------------------------------------------------------------- norms


def normalised(x, dy, weight, eps, centred):
    """LayerNorm or RMSNorm of one row: y without a bias, dx, and the scale of dx's terms."""
    x, g = x.astype(np.float64), dy.astype(np.float64) * weight
    x = x - math.fsum(x) / len(x) if centred else x
    rstd = 1 / math.sqrt(math.fsum(x * x) / len(x) + eps)
    xhat = x * rstd
    dx = g - xhat * math.fsum(g * xhat) / len(x)
    if centred:
        dx -= math.fsum(g) / len(x)
    return xhat * weight, dx * rstd, rstd * abs(g).max()


def rows_of(n):
    noise = np.random.default_rng(n).standard_normal(n)
    sign = (-1.0) ** np.arange(n)
    outlier = np.zeros(n)
    outlier[0] = 1e4
    named = {
        **{f"constant {c:g}": np.full(n, c) for c in (0, 1, 3.3, -1e4, 1e6, 1e18, TINY)},
        "one outlier, the first": outlier,
        "one outlier, the last": outlier[::-1],
        "alternating": 1e4 * sign,
        "denormal": TINY * noise,
        "large": 1e15 * noise,
    }
    return {name: row.astype(np.float32) for name, row in named.items()}


@pytest.mark.parametrize("eps", [1e-5, 1e-12])  # GPT-2's, BERT's
@pytest.mark.parametrize("n", [1, 2, 3, 7, 768])
@pytest.mark.parametrize("kind", ["layer_norm", "rms_norm"])
def test_norms(device, kind, n, eps):
    """A row of equal numbers has no variance, whatever they are: xhat is 0, not rounding error
    times 1 / sqrt(eps)."""
    rows = rows_of(n)
    weight = np.random.default_rng(1).uniform(0.5, 2, n).astype(np.float32)
    dy = np.random.default_rng(2).standard_normal((len(rows), n)).astype(np.float32)
    x = leaf(np.stack(list(rows.values())), device)
    y = getattr(F, kind)(x, n, leaf(weight, device), eps=eps)
    y.backward(leaf(dy, device).data)
    for i, (name, row) in enumerate(rows.items()):
        expected, dx, scale = normalised(row, dy[i], weight, eps, kind == "layer_norm")
        if kind == "layer_norm" and name.startswith("constant"):
            assert not to_host(y.data)[i].any(), name
        assert_right(to_host(y.data)[i], expected, absolute=2e-5 * max(1e-30, abs(expected).max()))
        assert_right(to_host(x.grad)[i], dx, absolute=1e-5 * scale)


def test_a_small_spread_far_from_zero(device):
    """1e4 + k/1024 is exact in float32: what is normalised are the k, as if there were no 1e4."""
    k = np.random.default_rng(0).integers(-4, 5, (4, 50)).astype(np.float32)
    far, near = (F.layer_norm(leaf(x, device), 50).numpy() for x in (1e4 + k / 1024, k / 1024))
    assert (k.std(axis=1) > 1).all()
    np.testing.assert_allclose(far, near, atol=2e-6)


# ------------------------------------------------------------------------------- attention


def attention(q, k, v, penalty, dy):
    """One head, in float64: y and the gradients of q, k, v.  penalty (Lq, Lk) is added."""
    q, k, v, dy = (a.astype(np.float64) for a in (q, k, v, dy))
    scale = 1 / math.sqrt(q.shape[1])
    P = np.zeros((len(q), len(k)))
    for i in range(len(q)):
        seen = [j for j in range(len(k)) if penalty[i, j] > -math.inf]
        if seen:
            S = [float(q[i] @ k[j]) * scale + penalty[i, j] for j in seen]
            e = [math.exp(s - max(S)) for s in S]
            P[i, seen] = np.array(e) / math.fsum(e)
    dP = dy @ v.T
    dS = P * (dP - (P * dP).sum(axis=1, keepdims=True)) * scale
    return P @ v, dS @ k, dS.T @ q, P.T @ dy


def attend_fused(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, mask)


def attend_step_by_step(q, k, v, mask):
    return nn.attention.attend_visibly(q, k, v, mask.data, 0.0, False)[0]


@pytest.mark.parametrize("attend", [attend_fused, attend_step_by_step])
@pytest.mark.parametrize("as_bool", [True, False])
@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**32 - 1), st.booleans())
def test_attention(device, attend, as_bool, Lq, Lk, seed, nowhere):
    """Scores of 1e4, masked rows (perhaps all of them), -inf in the mask; whole numbers, whose
    scores are exact in float32."""
    rng = np.random.default_rng(seed)
    q, k = (100.0 * rng.integers(-5, 6, (L, 4)) for L in (Lq, Lk))
    k[0], q[0] = k[-1], 10 / 100 * q[0]  # two equal keys; a query that isn't sure
    v, dy = rng.integers(-3, 4, (Lk, 4)).astype(float), rng.integers(-3, 4, (Lq, 4)).astype(float)
    allowed = rng.random((Lq, Lk)) < (0 if nowhere else 0.6)
    penalty = np.where(allowed, 0 if as_bool else rng.integers(-2, 3, (Lq, Lk)), -math.inf)
    tensors = [leaf(x[None, None], device) for x in (q, k, v)]
    mask = minillm.tensor(allowed if as_bool else penalty.astype(np.float32), device=device)
    y = attend(*tensors, mask)
    y.backward(leaf(dy[None, None], device).data)
    expected, *gradients = attention(q, k, v, penalty, dy)
    assert_right(to_host(y.data)[0, 0], expected)
    # Where a gradient is 0 its terms cancel: for q and k they reach dP K / 2 = 36 * 500 / 2.
    for x, gradient, terms in zip(tensors, gradients, (9000, 9000, 10), strict=True):
        assert_right(to_host(x.grad)[0, 0], gradient, absolute=1e-6 * terms)
    with minillm.no_grad():  # another path, for a few queries
        assert_right(to_host(attend(*tensors, mask).data)[0, 0], expected)


def test_the_lowest_number_in_a_mask_hides_as_well(device):
    """Some programs add it where -inf is meant.  Alone in a row it says: all keys alike."""
    rng = np.random.default_rng(0)
    q, k, v = rng.standard_normal((3, 3, 4)).astype(np.float32)
    lowest = float(np.finfo(np.float32).min)
    penalty = np.float32([[0, lowest, 0], [lowest, lowest, lowest], [0, 0, 0]])
    tensors = [leaf(x, device) for x in (q, k, v)]
    y = F.scaled_dot_product_attention(*tensors, minillm.tensor(penalty, device=device))
    y.sum().backward()
    expected, *_ = attention(q, k, v, np.where(penalty == 0, 0.0, -math.inf), np.ones((3, 4)))
    expected[1] = v.mean(axis=0)
    assert_right(y.data, expected)
    assert all(np.isfinite(to_host(x.grad)).all() for x in tensors)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_plus_infinity_in_a_mask_is_nan_in_its_row_alone(device):
    q = leaf(np.random.default_rng(0).standard_normal((3, 4)), device)
    penalty = minillm.tensor(np.float32([[0, math.inf, 0], [0] * 3, [0] * 3]), device=device)
    y = to_host(F.scaled_dot_product_attention(q, q, q, penalty).data)
    assert np.isnan(y[0]).all() and np.isfinite(y[1:]).all()


@pytest.mark.parametrize("Lq, Lk", [(3, 0), (0, 3), (0, 0)])
def test_attention_without_keys_or_queries(device, Lq, Lk):
    q, k = leaf(np.ones((2, Lq, 4)), device), leaf(np.ones((2, Lk, 4)), device)
    y = F.scaled_dot_product_attention(q, k, k)
    y.sum().backward()
    np.testing.assert_array_equal(y.numpy(), np.zeros((2, Lq, 4)))
    np.testing.assert_array_equal(to_host(q.grad), np.zeros((2, Lq, 4)))
    assert k.grad.shape == (2, Lk, 4)
    with minillm.no_grad():
        assert F.scaled_dot_product_attention(q, k, k).shape == (2, Lq, 4)


# -------------------------------------------------------------------------------- recurrence


def test_an_lstm_whose_gates_are_wide_open(device):
    """Inputs of 1e4: i = f = o = g = 1, so c counts the steps, and nothing moves the gates."""
    T = 5
    x, zero = leaf(np.full((T, 1, 1), 1e4), device), leaf([[0]], device)
    weights = [leaf(np.ones((4, 1)), device) for _ in range(2)]
    states = F.lstm(x, zero, zero, *weights)
    h, c = states[0], states[1]
    counted = np.arange(1.0, T + 1)
    assert_right(to_host(c.data).ravel(), counted)
    assert_right(to_host(h.data).ravel(), np.tanh(counted))
    h.sum().backward()
    for parameter in (x, *weights):
        np.testing.assert_array_equal(to_host(parameter.grad), np.zeros(parameter.shape))


# ------------------------------------------------------------------------------------ models


def bert(V=1, model_class=BertModel):
    measures = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    return model_class(
        BertConfig(vocab_size=V, intermediate_size=8, max_position_embeddings=4, **measures)
    )


def gpt(V=1):
    return GPTForCausalLM(GPTConfig(vocab_size=V, n_positions=4, n_embd=8, n_layer=1, n_head=2))


def llama(V=1):
    measures = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=V,
            intermediate_size=8,
            bos_token_id=None,
            eos_token_id=None,
            max_position_embeddings=4,
            **measures,
        )
    )


TWO = {0: "no", 1: "yes"}
CLASSIFIERS = {
    "average": lambda: AverageForSequenceClassification(AverageConfig(vocab_size=3, id2label=TWO)),
    "cnn": lambda: CNNForSequenceClassification(
        CNNConfig(vocab_size=3, id2label=TWO, num_filters=4)
    ),
    "lstm": lambda: LSTMForSequenceClassification(
        LSTMConfig(vocab_size=3, id2label=TWO, hidden_size=4)
    ),
}


def gradients(model):
    return [to_host(p.grad) for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("make", [gpt, llama])
def test_a_vocabulary_of_one_holds_no_surprise(device, make):
    model = make().to(device)
    tokens = ids([[0, 0, 0]], device)
    output = model(tokens, labels=tokens)
    assert output.loss.item() == 0
    output.loss.backward()
    assert gradients(model) and not any(g.any() for g in gradients(model))


def test_a_vocabulary_of_one_in_bert(device):
    model = bert(1, BertForPreTraining).to(device).eval()
    tokens = ids([[0, 0]], device)
    labels = {"labels": ids([[-100, 0]], device), "next_sentence_label": ids([1], device)}
    loss = model(tokens, **labels).loss
    seen = model(tokens).seq_relationship_logits.numpy()[0].astype(np.float64)
    assert_right(loss.data, math.log(np.exp(seen).sum()) - seen[1])
    loss.backward()
    assert all(np.isfinite(g).all() for g in gradients(model))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # 0/0, the mean over no target
@pytest.mark.parametrize("make", [gpt, llama])
def test_one_token_has_no_next(device, make):
    """So there is nothing to learn: the loss is nan, and no gradient is."""
    model = make(5).to(device)
    token = ids([[3]], device)
    output = model(token, labels=token)
    assert np.isfinite(output.logits.numpy()).all() and math.isnan(output.loss.item())
    output.loss.backward()
    assert gradients(model) and not any(g.any() for g in gradients(model))


@pytest.mark.parametrize("make", [bert, gpt, llama, *CLASSIFIERS.values()])
def test_an_empty_sequence_is_refused_by_name(device, make):
    with pytest.raises(ValueError, match=r"input_ids must be .*\(2, 0\)"):
        make().to(device)(ids(np.zeros((2, 0)), device))


@pytest.mark.parametrize("make", [gpt, llama, lambda V: bert(V, BertModel)])
def test_a_row_that_is_all_padding(device, make):
    """It learns nothing from its own attention and does the others no harm."""
    model = make(5).to(device).eval()
    tokens, mask = ids([[1, 2], [3, 4]], device), ids([[1, 1], [0, 0]], device)
    together = model(tokens, attention_mask=mask)
    alone = model(ids([[1, 2]], device), attention_mask=ids([[1, 1]], device))
    of = "logits" if hasattr(together, "logits") else "last_hidden_state"
    assert_right(to_host(getattr(together, of).data)[:1], getattr(alone, of).numpy())
    F.sum(getattr(together, of)).backward()
    assert np.isfinite(to_host(getattr(together, of).data)).all()
    assert all(np.isfinite(g).all() for g in gradients(model))


@pytest.mark.parametrize("name", ["average", "cnn"])
def test_a_text_without_a_word_gets_the_score_of_nothing(device, name):
    """All zeros go into the layers: finite scores and gradients, the same for any length."""
    model = CLASSIFIERS[name]().to(device).eval()
    short, long = (model(ids(np.zeros((1, L)), device), labels=ids([1], device)) for L in (1, 6))
    np.testing.assert_array_equal(short.logits.numpy(), long.logits.numpy())
    long.loss.backward()
    assert all(np.isfinite(g).all() for g in gradients(model))


def test_an_lstm_says_that_a_text_without_a_word_has_no_end(device):
    with pytest.raises(ValueError, match="lengths from 0"):
        CLASSIFIERS["lstm"]().to(device)(ids(np.zeros((1, 3)), device))


# --------------------------------------------------------------------------------- optimizers


@pytest.mark.parametrize("gradient", [0.0, TINY, 1e-20, 1e4, 1e15])
@pytest.mark.parametrize("maker", [optim.AdamW, optim.RMSprop], ids=["adamw", "rmsprop"])
def test_a_step_by_any_gradient_is_finite(device, maker, gradient):
    """Adam's first step is g / (|g| + eps), RMSprop's g / (0.1 |g| + eps) with alpha = 0.99."""
    w = leaf([1.0, -1.0], device)
    options = {"weight_decay": 0.0} if maker is optim.AdamW else {}
    optimizer = maker([w], lr=0.5, eps=1e-8, **options)
    w.grad = leaf([gradient, -gradient], device).data
    optimizer.step()
    g = float(np.float32(gradient))
    step = 0.5 * g / ((g if maker is optim.AdamW else 0.1 * g) + 1e-8)
    assert_right(w.data, [1 - step, -1 + step])

"""Attention: query by query in Python; every mask; heads one by one; causality as a property."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes
from op_factory import assert_close, check_op, check_same, normal, seeds, shapes, to_host

import minillm
from minillm import functional as F
from minillm.backend import leading_tiles


def attention(q, k, v, mask, is_causal, scale):
    """Each query's weighted mean of the values, the weights computed with Python floats."""
    batch = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    q, k, v = (np.broadcast_to(a, (*batch, *a.shape[-2:])) for a in (q, k, v))
    Lq, Lk = q.shape[-2], k.shape[-2]
    bias = np.zeros((*batch, Lq, Lk))
    if mask is not None:
        bias = bias + (np.where(mask, 0, -np.inf) if mask.dtype == bool else mask)
    y = np.zeros((*batch, Lq, v.shape[-1]))
    for *b, i in np.ndindex(*batch, Lq):
        b = tuple(b)
        weights = []
        for j in range(Lk):
            score = math.fsum(q[b][i] * k[b][j]) * scale + bias[b][i, j]
            weights.append(0.0 if is_causal and j > i else math.exp(score))
        total = math.fsum(weights)
        if total > 0:
            y[b][i] = sum(w * v[b][j] for j, w in enumerate(weights)) / total
    return y


@st.composite
def masks(draw, shape, seed):
    """None, or a boolean or float mask that is broadcast to `shape`; some rows hide every key."""
    kind = draw(st.sampled_from(["none", "bool", "float"]))
    if kind == "none":
        return None
    kept = shape[draw(st.integers(0, len(shape) - 1)) :]
    mask_shape = tuple(n if draw(st.booleans()) else 1 for n in kept)
    values = normal(seed + 1, mask_shape)
    hidden = values > draw(st.sampled_from([-0.5, 0.5]))
    if len(mask_shape) > 1 and draw(st.booleans()):
        hidden[..., 0, :] = True
    return ~hidden if kind == "bool" else np.where(hidden, -np.inf, values)


@given(data=st.data(), seed=seeds)
def test_scaled_dot_product_attention(device, data, seed):
    batches = data.draw(mutually_broadcastable_shapes(num_shapes=3, max_dims=2, max_side=2))
    Lq, Lk, E, Ev = (data.draw(st.integers(1, 3)) for _ in range(4))
    qb, kb, vb = batches.input_shapes
    q, k, v = normal(seed, (*qb, Lq, E), (*kb, Lk, E), (*vb, Lk, Ev))
    mask = data.draw(masks((*np.broadcast_shapes(qb, kb, vb), Lq, Lk), seed))
    is_causal = data.draw(st.booleans())
    scale = data.draw(st.sampled_from([None, 0.3]))
    # A float mask is no leaf: it gets no gradient.
    on_device = None if mask is None else minillm.backend.get_device(device).from_numpy(mask)
    expected = attention(q, k, v, mask, is_causal, 1 / math.sqrt(E) if scale is None else scale)
    check_op(
        lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, on_device, is_causal=is_causal, scale=scale
        ),
        *(q, k, v),
        device=device,
        expected=expected,
    )


def composed_attention(q, k, v, mask=None):
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return F.softmax(scores) @ v


def test_attention_equals_its_composition(device):
    q, k, v = normal(0, (2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7))
    check_same(F.scaled_dot_product_attention, composed_attention, q, k, v, device=device)
    mask = normal(1, (2, 1, 4, 6)) > -0.5
    mask[..., 0] = True
    check_same(F.scaled_dot_product_attention, composed_attention, q, k, v, mask, device=device)


def test_heads_together_equal_heads_one_by_one(device):
    B, L, heads, D = 2, 4, 3, 5
    mask = normal(1, (B, 1, L, L)) > -0.5
    mask[..., 0] = True

    def one_by_one(qkv, mask=None):
        parts = []
        for h in range(heads):
            columns = [
                qkv[:, :, part * heads * D + h * D : part * heads * D + (h + 1) * D]
                for part in range(3)
            ]
            parts.append(composed_attention(*columns, None if mask is None else mask[:, 0]))
        return F.concatenate(parts, axis=-1)

    qkv = normal(0, (B, L, 3 * heads * D))
    check_same(lambda qkv: F.multi_head_attention(qkv, heads), one_by_one, qkv, device=device)
    check_same(
        lambda qkv, m: F.multi_head_attention(qkv, heads, m), one_by_one, qkv, mask, device=device
    )


@given(
    B=st.integers(1, 2),
    L=st.integers(1, 4),
    heads=st.integers(1, 3),
    D=st.integers(1, 3),
    is_causal=st.booleans(),
    data=st.data(),
    seed=seeds,
)
def test_multi_head_attention(device, B, L, heads, D, is_causal, data, seed):
    qkv = normal(seed, (B, L, 3 * heads * D))
    mask = data.draw(masks((B, heads, L, L), seed))
    on_device = None if mask is None else minillm.backend.get_device(device).from_numpy(mask)
    q, k, v = qkv.reshape(B, L, 3, heads, D).transpose(2, 0, 3, 1, 4)
    expected = attention(q, k, v, mask, is_causal, 1 / math.sqrt(D))
    check_op(
        lambda qkv: F.multi_head_attention(qkv, heads, on_device, is_causal=is_causal),
        qkv,
        device=device,
        expected=expected.transpose(0, 2, 1, 3).reshape(B, L, heads * D),
    )


@given(shape=shapes(max_dims=1), L=st.integers(2, 5), seed=seeds)
def test_causal_attention_never_sees_the_future(device, shape, L, seed):
    """Changing key and value t changes no output before t."""
    q, k, v = normal(seed, (*shape, L, 3), (*shape, L, 3), (*shape, L, 2))
    tensors = [minillm.tensor(a, device=device) for a in (q, k, v)]
    before = F.scaled_dot_product_attention(*tensors, is_causal=True).numpy()
    t = seed % L
    k[..., t:, :] += 5
    v[..., t:, :] -= 5
    tensors = [minillm.tensor(a, device=device) for a in (q, k, v)]
    after = F.scaled_dot_product_attention(*tensors, is_causal=True).numpy()
    np.testing.assert_array_equal(before[..., :t, :], after[..., :t, :])
    assert (before[..., t:, :] != after[..., t:, :]).all()


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_query_that_may_look_nowhere_gets_zeros_and_gives_no_gradient(device, kind):
    q, k, v = (
        minillm.tensor(a, requires_grad=True, device=device)
        for a in normal(0, (2, 3), (4, 3), (4, 5))
    )
    allowed = np.array([[False] * 4, [True, True, False, False]])
    mask = allowed if kind == "bool" else np.where(allowed, 0.0, -np.inf)
    y = F.scaled_dot_product_attention(q, k, v, minillm.tensor(mask, device=device))
    np.testing.assert_array_equal(y.numpy()[0], np.zeros(5))
    (y * y).sum().backward()
    np.testing.assert_array_equal(to_host(q.grad)[0], np.zeros(3))
    np.testing.assert_array_equal(to_host(k.grad)[2:], np.zeros((2, 3)))
    np.testing.assert_array_equal(to_host(v.grad)[2:], np.zeros((2, 5)))
    assert np.isfinite(to_host(k.grad)).all() and to_host(k.grad)[:2].all()


def test_large_scores_do_not_overflow(device):
    q = minillm.tensor(np.full((2, 2), 200.0), requires_grad=True, dtype=np.float32, device=device)
    y = F.scaled_dot_product_attention(q, q, q)
    assert_close(y.numpy(), np.full((2, 2), 200.0), 1e-6)
    y.sum().backward()
    assert np.isfinite(to_host(q.grad)).all()


def test_a_float64_mask_leaves_float32_scores_in_float32(device):
    q = minillm.tensor(normal(0, (3, 2)), dtype=np.float32, device=device)
    mask = minillm.tensor(normal(1, (3, 3)), dtype=np.float64, device=device)
    assert F.scaled_dot_product_attention(q, q, q, mask).dtype == np.float32


@st.composite
def grouped_cases(draw):
    groups, each = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    Lq, Lk = draw(st.sampled_from([(1, 1), (1, 4), (2, 3), (3, 3)]))
    return draw(shapes(max_dims=1, max_side=2)), groups, groups * each, Lq, Lk


@given(case=grouped_cases(), is_causal=st.booleans(), data=st.data(), seed=seeds)
def test_grouped_queries_equal_repeated_keys_and_values(device, case, is_causal, data, seed):
    batch, groups, heads, Lq, Lk = case
    q, k, v = normal(seed, (*batch, heads, Lq, 3), (*batch, groups, Lk, 3), (*batch, groups, Lk, 2))
    mask = data.draw(masks((*batch, heads, Lq, Lk), seed))
    on_device = None if mask is None else minillm.backend.get_device(device).from_numpy(mask)
    repeated = (np.repeat(x, heads // groups, axis=-3) for x in (k, v))
    check_op(
        lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, on_device, is_causal=is_causal, enable_gqa=True
        ),
        *(q, k, v),
        device=device,
        expected=attention(q, *repeated, mask, is_causal, 1 / math.sqrt(3)),
    )


def test_heads_that_do_not_group_are_named(device):
    def ones(*shape):
        return minillm.tensor(np.ones(shape), device=device)

    for heads, kv, values in [(3, 2, 2), (4, 2, 4), (2, 4, 4)]:
        with pytest.raises(ValueError, match="number of heads"):
            F.scaled_dot_product_attention(
                *(ones(1, heads, 2, 3), ones(1, kv, 2, 3), ones(1, values, 2, 3)), enable_gqa=True
            )
    mask = minillm.tensor(np.ones((3, 2, 2), bool), device=device)
    with pytest.raises(ValueError, match=r"attn_mask \(3, 2, 2\).*\(1, 4, 2, 2\)"):
        q, k = ones(1, 4, 2, 3), ones(1, 2, 2, 3)
        F.scaled_dot_product_attention(q, k, k, mask, enable_gqa=True)


def seeded(function, *args, **kwargs):
    minillm.manual_seed(3)
    return function(*args, **kwargs)


def test_dropout_drops_probabilities_with_one_mask_in_both_directions(device):
    q, k, v = normal(0, (2, 4, 3), (2, 5, 3), (2, 5, 3))
    check_op(
        lambda q, k, v: seeded(F.scaled_dot_product_attention, q, k, v, dropout_p=0.4),
        *(q, k, v),
        device=device,
    )
    qkv = normal(0, (2, 4, 18))
    check_op(
        lambda qkv: seeded(F.multi_head_attention, qkv, 2, dropout_p=0.4, is_causal=True),
        qkv,
        device=device,
    )


def test_dropout_leaves_the_expectation(device):
    """All values are 1, so the output is the sum of the dropped, rescaled probabilities."""
    q = minillm.tensor(np.zeros((1000, 8)), device=device)
    ones = minillm.tensor(np.ones((1000, 1)), device=device)
    y = F.scaled_dot_product_attention(q, q, ones, dropout_p=0.5).numpy()
    assert abs(y.mean() - 1) < 0.01 and y.std() > 0.01
    dropped = F.scaled_dot_product_attention(q, q, ones, dropout_p=1.0).numpy()
    np.testing.assert_array_equal(dropped, np.zeros((1000, 1)))


def test_shapes_that_do_not_fit_are_named(device):
    def ones(*shape):
        return minillm.tensor(np.ones(shape), device=device)

    with pytest.raises(ValueError, match=r"query \(2, 3\), key \(2, 4\)"):
        F.scaled_dot_product_attention(ones(2, 3), ones(2, 4), ones(2, 4))
    with pytest.raises(ValueError, match=r"key \(2, 3\), value \(5, 3\)"):
        F.scaled_dot_product_attention(ones(2, 3), ones(2, 3), ones(5, 3))
    with pytest.raises(ValueError, match=r"\(2, 4, 10\).*3 \* 3 heads"):
        F.multi_head_attention(ones(2, 4, 10), 3)
    with pytest.raises(ValueError, match=r"\(4, 9\)"):
        F.multi_head_attention(ones(4, 9), 3)


@pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 3, 1), (1, 1, 2, 2)])
def test_a_mask_that_is_not_broadcast_to_the_scores_is_named(device, shape):
    """Wider than the scores, it would silently give more outputs than there are queries."""
    x = minillm.tensor(np.ones((1, 2, 3)), device=device)
    one = minillm.tensor(np.ones((1, 1, 3)), device=device)
    mask = minillm.tensor(np.ones(shape, bool), device=device)
    with pytest.raises(ValueError, match=r"attn_mask \(.*scores \(1, 2, 2\)"):
        F.scaled_dot_product_attention(x, x, x, mask)
    with pytest.raises(ValueError, match=r"attn_mask \(.*scores \(1, 1, 1\)"):
        F.scaled_dot_product_attention(one, one, one, mask)


def test_an_integer_mask_is_refused(device):
    """0 and 1 as integers would be added to the scores and hide nothing."""
    x = minillm.tensor(np.ones((2, 3)), device=device)
    mask = minillm.tensor([[1, 0], [1, 1]], device=device)
    with pytest.raises(TypeError, match="int64.*bool"):
        F.scaled_dot_product_attention(x, x, x, mask)
    with pytest.raises(TypeError, match="int64.*bool"):
        F.multi_head_attention(minillm.tensor(np.ones((1, 2, 6)), device=device), 2, mask)


@pytest.mark.parametrize("size", [1, 40, 90, 10_000])
def test_scores_made_tile_by_tile_are_those_made_at_once(device, monkeypatch, size):
    """Value and gradients, with a mask and dropout, for tiles of a head, of some, of everything."""
    rng = np.random.default_rng(0)
    qkv = rng.standard_normal((3, 5, 24))
    mask = minillm.tensor(np.arange(5) < np.array([5, 3, 4])[:, None, None, None], device=device)

    def attend(tile):
        monkeypatch.setattr(
            "minillm.functional.attention.leading_tiles", lambda P: leading_tiles(P, tile)
        )
        minillm.manual_seed(1)
        x = minillm.tensor(qkv, requires_grad=True, device=device)
        y = F.multi_head_attention(x, 4, mask, 0.3)
        (y * y).sum().backward()
        return y.numpy(), minillm.tensor(x.grad).numpy()

    for tiled, whole in zip(attend(size), attend(10**9), strict=True):
        np.testing.assert_allclose(tiled, whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 4), (5, 3, 4), (2, 5, 3, 4), (2, 2, 5, 3, 4), (0, 2, 3, 4)])
@pytest.mark.parametrize("size", [1, 12, 30, 61, 10_000])
def test_tiles_hold_every_matrix_once(shape, size):
    x = np.zeros(shape)
    for tile in leading_tiles(x, size):
        x[tile] += 1
    assert (x == 1).all()

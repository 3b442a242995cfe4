"""MultiheadAttention, against one query of one head at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import normal, seeds

import minillm
from minillm import functional as F
from minillm import nn

E, HEADS = 4, 2


def softmax(s):
    s = np.exp(s - s.max())
    return s / s.sum()


def one_by_one(w, query, key, value, added):
    """query (B, Lq, E), key and value (B, Lk, E), added (B, heads, Lq, Lk) -> output, weights.

    Every sum is written out for one batch item, head and query; a query that sees nothing gets 0.
    """
    (B, Lq, _), Lk = query.shape, key.shape[1]
    D = E // HEADS
    W, b = w["in_proj_weight"], w.get("in_proj_bias", np.zeros(3 * E))
    mixed = np.zeros((B, Lq, E))
    weights = np.zeros((B, HEADS, Lq, Lk))
    for n, head, i in np.ndindex(B, HEADS, Lq):
        rows = slice(head * D, (head + 1) * D)
        W_q, W_k, W_v = (W[part * E : (part + 1) * E][rows] for part in range(3))
        b_q, b_k, b_v = (b[part * E : (part + 1) * E][rows] for part in range(3))
        q = W_q @ query[n, i] + b_q
        scores = np.array([q @ (W_k @ key[n, j] + b_k) for j in range(Lk)]) / np.sqrt(D)
        scores = scores + added[n, head, i]
        if np.isfinite(scores).any():
            weights[n, head, i] = softmax(scores)
        values = np.array([W_v @ value[n, j] + b_v for j in range(Lk)])
        mixed[n, i, rows] = weights[n, head, i] @ values
    return mixed @ w["out_proj.weight"].T + w.get("out_proj.bias", 0), weights


def as_added(mask):
    return np.where(mask, -np.inf, 0.0) if mask.dtype == bool else mask


def draw_masks(seed, kinds, B, Lq, Lk):
    """key_padding_mask and attn_mask of the kinds drawn, and what both add to the scores."""
    generator = np.random.default_rng(seed)
    padding_kind, mask_kind = kinds
    padding = {
        "none": None,
        "bool": generator.random((B, Lk)) < 0.4,
        "float": generator.standard_normal((B, Lk)),
    }[padding_kind]
    attn_mask = {
        "none": None,
        "bool": generator.random((Lq, Lk)) < 0.4,
        "float": generator.standard_normal((Lq, Lk)),
        "each": generator.random((B * HEADS, Lq, Lk)) < 0.4,
    }[mask_kind]
    added = np.zeros((B, HEADS, Lq, Lk))
    if padding is not None:
        added = added + as_added(padding)[:, None, None, :]
    if mask_kind == "each":
        added = added + as_added(attn_mask).reshape(B, HEADS, Lq, Lk)
    elif attn_mask is not None:
        added = added + as_added(attn_mask)
    return padding, attn_mask, added


@given(
    seed=seeds,
    bias=st.booleans(),
    batch_first=st.booleans(),
    to_itself=st.booleans(),
    need_weights=st.booleans(),
    is_causal=st.booleans(),
    kinds=st.tuples(
        st.sampled_from(["none", "bool", "float"]),
        st.sampled_from(["none", "bool", "float", "each"]),
    ),
)
def test_attention_with_every_combination_of_options(
    check_module, device, seed, bias, batch_first, to_itself, need_weights, is_causal, kinds
):
    B, Lq, Lk = 2, 3, 3 if to_itself else 4
    padding, attn_mask, added = draw_masks(seed, kinds, B, Lq, Lk)
    if is_causal:
        added = added + np.where(np.arange(Lk) > np.arange(Lq)[:, None], -np.inf, 0)
    inputs = normal(seed, (B, Lq, E), (B, Lk, E), (B, Lk, E))
    inputs = inputs[:1] if to_itself else inputs
    if not batch_first:
        inputs = tuple(x.swapaxes(0, 1) for x in inputs)

    def formula(w, *inputs):
        if not batch_first:
            inputs = tuple(x.swapaxes(0, 1) for x in inputs)
        output, weights = one_by_one(w, *(inputs * 3 if to_itself else inputs), added)
        output = output if batch_first else output.swapaxes(0, 1)
        parts = (output, weights) if need_weights else (output,)
        return np.concatenate([part.reshape(-1) for part in parts])

    def on_device(mask):
        return None if mask is None else minillm.tensor(mask, device=device)

    def call(module, *inputs):
        output, weights = module(
            *(inputs * 3 if to_itself else inputs),
            key_padding_mask=on_device(padding),
            need_weights=need_weights,
            attn_mask=on_device(attn_mask),
            average_attn_weights=False,
            is_causal=is_causal,
        )
        assert (weights is not None) == need_weights
        parts = (output, weights) if need_weights else (output,)
        return F.concatenate([part.reshape(-1) for part in parts])

    module = nn.MultiheadAttention(E, HEADS, bias=bias, batch_first=batch_first)
    check_module(module, formula, *inputs, call=call, seed=seed)


def test_masks_may_be_plain_arrays_of_the_device(device):
    module = nn.MultiheadAttention(E, HEADS).to(device)
    x = minillm.tensor(normal(0, (3, 2, E)).astype("f"), device=device)
    mask = minillm.tensor(np.array([[False, True, True], [False, False, True]]), device=device)
    y, _ = module(x, x, x, key_padding_mask=mask)
    z, _ = module(x, x, x, key_padding_mask=mask.data)
    np.testing.assert_array_equal(y.numpy(), z.numpy())


def test_weights_are_averaged_over_the_heads_on_request(device):
    module = nn.MultiheadAttention(E, HEADS, batch_first=True).to(device)
    x = minillm.tensor(normal(0, (2, 3, E)).astype("f"), device=device)
    each = module(x, x, x, average_attn_weights=False)[1].numpy()
    np.testing.assert_allclose(module(x, x, x)[1].numpy(), each.mean(1), rtol=1e-6)
    np.testing.assert_allclose(each.sum(-1), 1, rtol=1e-6)


@pytest.mark.parametrize("need_weights", [True, False])
def test_dropout_drops_weights_while_training(device, need_weights):
    module = nn.MultiheadAttention(E, HEADS, dropout=0.5, batch_first=True).to(device)
    x = minillm.tensor(normal(0, (2, 8, E)).astype("f"), device=device)

    def run():
        return module(x, x, x, need_weights=need_weights, average_attn_weights=False)

    assert not np.array_equal(run()[0].numpy(), run()[0].numpy())
    if need_weights:
        dropped = run()[1].numpy() == 0
        assert 0.3 < dropped.mean() < 0.7
    module.eval()
    np.testing.assert_array_equal(run()[0].numpy(), run()[0].numpy())


def test_a_query_that_may_look_nowhere_gets_the_output_bias(device):
    module = nn.MultiheadAttention(E, HEADS, batch_first=True).to(device)
    x = minillm.tensor(normal(0, (1, 2, E)).astype("f"), requires_grad=True, device=device)
    nowhere = minillm.tensor([[True, True], [False, False]], device=device)
    for need_weights in (True, False):
        y, _ = module(x, x, x, attn_mask=nowhere, need_weights=need_weights)
        np.testing.assert_allclose(y.numpy()[0, 0], module.out_proj.bias.numpy(), atol=1e-7)
        y.sum().backward()
        assert np.isfinite(minillm.Tensor(x.grad).numpy()).all()


def test_errors_are_in_words(device):
    with pytest.raises(ValueError, match="embed_dim 6 can't be divided among 4 num_heads"):
        nn.MultiheadAttention(6, 4)
    with pytest.raises(ValueError, match="dropout must be a probability between 0 and 1, got 2"):
        nn.MultiheadAttention(4, 2, dropout=2)
    module = nn.MultiheadAttention(E, HEADS).to(device)

    def zeros(*shape, dtype=np.float32):
        return minillm.tensor(np.zeros(shape, dtype), device=device)

    x = zeros(3, 2, E)
    with pytest.raises(ValueError, match=r"expected \(length, batch, E\) with E = 4"):
        module(zeros(3, E), zeros(3, E), zeros(3, E))
    with pytest.raises(ValueError, match="one batch size"):
        module(x, zeros(3, 1, E), zeros(3, 1, E))
    with pytest.raises(ValueError, match=r"key_padding_mask \(3, 2\): expected \(B, Lk\) = \(2, 3"):
        module(x, x, x, key_padding_mask=zeros(3, 2, dtype=bool))
    with pytest.raises(ValueError, match=r"attn_mask \(2, 2\): expected \(Lq, Lk\) = \(3, 3\)"):
        module(x, x, x, attn_mask=zeros(2, 2, dtype=bool))
    with pytest.raises(TypeError, match="key_padding_mask is int64: .*give `mask == 0`"):
        module(x, x, x, key_padding_mask=zeros(2, 3, dtype=np.int64))

"""The Transformer encoder, against the equations of its docstring."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import normal, seeds

import minillm
from minillm import functional as F
from minillm import nn

E, HEADS, INNER = 4, 2, 5


def part(w, prefix):
    """The entries below a prefix, without it."""
    return {k[len(prefix) :]: v for k, v in w.items() if k.startswith(prefix)}


def norm(w, x):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * w["weight"] + w.get("bias", 0)


def linear(w, x):
    return x @ w["weight"].T + w.get("bias", 0)


def attention(w, x, added):
    """x (B, L, E), added to the scores (B, 1, L, L) -> the same shape, all heads by einsum."""
    qkv = x @ w["in_proj_weight"].T + w.get("in_proj_bias", 0)
    q, k, v = np.moveaxis(qkv.reshape(*x.shape[:2], 3, HEADS, E // HEADS), 2, 0)  # (B, L, h, D)
    scores = np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(E // HEADS) + added
    p = np.exp(scores)
    p /= p.sum(-1, keepdims=True)
    return linear(part(w, "out_proj."), np.einsum("bhqk,bkhd->bqhd", p, v).reshape(x.shape))


def layer(w, x, added, norm_first, activation):
    def attend(x):
        return attention(part(w, "self_attn."), x, added)

    def feed_forward(x):
        return linear(part(w, "linear2."), activation(linear(part(w, "linear1."), x)))

    def norm1(x):
        return norm(part(w, "norm1."), x)

    def norm2(x):
        return norm(part(w, "norm2."), x)

    if norm_first:
        x = x + attend(norm1(x))
        return x + feed_forward(norm2(x))
    x = norm1(x + attend(x))
    return norm2(x + feed_forward(x))


@given(seeds, st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_the_layer_is_its_equations(
    check_module, device, seed, norm_first, batch_first, bias, is_causal
):
    padding = np.array([[False, False, False], [False, False, True]])
    added = np.where(padding, -np.inf, 0)[:, None, None, :]
    if is_causal:
        added = added + np.where(np.triu(np.ones((3, 3)), 1), -np.inf, 0)
    mask = minillm.tensor(padding, device=device)

    def formula(w, x):
        x = x if batch_first else x.swapaxes(0, 1)
        y = layer(w, x, added, norm_first, np.tanh)
        return y if batch_first else y.swapaxes(0, 1)

    def call(module, x):
        return module(x, src_key_padding_mask=mask, is_causal=is_causal)

    module = nn.TransformerEncoderLayer(
        *(E, HEADS, INNER, 0.0, F.tanh),
        batch_first=batch_first,
        norm_first=norm_first,
        bias=bias,
    )
    x = normal(seed, (2, 3, E) if batch_first else (3, 2, E))
    check_module(module, formula, x, call=call, seed=seed, tolerance32=1e-4)


def test_activations_by_name(device, randomize):
    x = minillm.tensor(normal(0, (3, 2, E)), device=device)
    for name, function in (("relu", F.relu), ("gelu", F.gelu)):
        named, given_function = (
            randomize(nn.TransformerEncoderLayer(E, HEADS, INNER, 0.0, activation))
            for activation in (name, function)
        )
        np.testing.assert_array_equal(named(x).numpy(), given_function(x).numpy())
    assert nn.TransformerEncoderLayer(E, HEADS, INNER).activation is F.relu


def test_weights_for_pictures_leave_the_output_as_it_is(device, randomize):
    module = randomize(nn.TransformerEncoderLayer(E, HEADS, INNER, batch_first=True)).eval()
    x = minillm.tensor(normal(0, (2, 3, E)), device=device)
    output, weights = module(x, is_causal=True, need_weights=True)
    np.testing.assert_allclose(output.numpy(), module(x, is_causal=True).numpy(), rtol=1e-10)
    assert weights.shape == (2, HEADS, 3, 3)
    assert (weights.numpy()[..., 0, 1:] == 0).all()


def test_every_dropout_of_the_layer_works_while_training(device):
    module = nn.TransformerEncoderLayer(E, HEADS, INNER, dropout=0.3).to(device)
    dropouts = [m for m in module.modules() if isinstance(m, nn.Dropout)]
    assert [d.p for d in dropouts] + [module.self_attn.dropout] == [0.3] * 4
    x = minillm.tensor(normal(0, (3, 2, E)).astype("f"), device=device)
    for alone in (*dropouts, module.self_attn):
        module.eval()
        expected = module(x).numpy()
        alone.training = True
        assert not np.array_equal(module(x).numpy(), expected)


def test_the_encoder_stacks_copies(device):
    layer = nn.TransformerEncoderLayer(E, HEADS, INNER, dropout=0.0)
    encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(E)).to(device)
    assert encoder.layers[0] is not layer
    assert encoder.layers[0].linear1.weight is not encoder.layers[1].linear1.weight
    assert encoder.num_parameters() == 2 * layer.num_parameters() + 2 * E
    x = minillm.tensor(normal(0, (3, 2, E)).astype("f"), device=device)
    mask = minillm.tensor(np.triu(np.ones((3, 3), bool), 1), device=device)
    expected = encoder.norm(encoder.layers[1](encoder.layers[0](x, mask), mask)).numpy()
    np.testing.assert_array_equal(encoder(x, mask).numpy(), expected)
    np.testing.assert_array_equal(encoder(x, is_causal=True).numpy(), expected)


def test_errors_are_in_words():
    with pytest.raises(ValueError, match="activation='swish': expected 'relu', 'gelu' or a func"):
        nn.TransformerEncoderLayer(4, 2, activation="swish")
    with pytest.raises(ValueError, match="embed_dim 4 can't be divided among 3"):
        nn.TransformerEncoderLayer(4, 3)
    with pytest.raises(ValueError, match="dim_feedforward must be a positive integer"):
        nn.TransformerEncoderLayer(4, 2, 0)
    with pytest.raises(ValueError, match="num_layers must be a positive integer"):
        nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2), 0)

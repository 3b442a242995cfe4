"""Embedding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import seeds, shapes, to_host

import minillm
from minillm import nn


@given(seeds, shapes(0, 3), st.integers(1, 4), st.integers(1, 4))
def test_embedding_is_a_product_with_one_hot_rows(check_module, seed, shape, V, D):
    ids = np.random.default_rng(seed).integers(0, V, shape)

    def formula(w, ids):
        return np.eye(V)[ids] @ w["weight"]

    check_module(nn.Embedding(V, D), formula, ids, seed=seed)


@pytest.mark.parametrize("padding_idx", [2, -2])
def test_the_padding_row_is_zero_and_gets_no_gradient(device, padding_idx):
    layer = nn.Embedding(4, 3, padding_idx=padding_idx).to(device)
    y = layer(minillm.tensor([[2, 1], [2, 1]], device=device))
    assert (y.numpy()[:, 0] == 0).all()
    y.sum().backward()
    np.testing.assert_array_equal(to_host(layer.weight.grad)[:, 0], [0, 2, 0, 0])


def test_errors_are_in_words(device):
    with pytest.raises(ValueError, match="embedding_dim must be a positive integer, got -1"):
        nn.Embedding(3, -1)
    with pytest.raises(ValueError, match="padding_idx 3 is not a row of 3 embeddings"):
        nn.Embedding(3, 2, padding_idx=3)
    if device != "cuda":  # where the check would stall the stream
        with pytest.raises(IndexError, match="id 3 to 3 found, expected 0 to 2"):
            nn.Embedding(3, 2).to(device)(minillm.tensor([3], device=device))
    with pytest.raises(TypeError, match="ids must be integers"):
        nn.Embedding(3, 2).to(device)(minillm.tensor([1.0], device=device))


def test_ids_may_be_plain_arrays():
    layer = nn.Embedding(3, 2)
    np.testing.assert_array_equal(layer(np.array([1])).numpy(), layer.weight.numpy()[1:2])

"""embedding: rows of a table, and what a row's gradient collects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import assert_close, check_op, check_same, normal, seeds, shapes, to_host

import minillm
from minillm import functional as F


@given(
    shape=shapes(max_dims=3, min_side=0),
    rows=st.integers(1, 6),
    padding=st.booleans(),
    dtype=st.sampled_from([np.int64, np.int32, np.uint8, np.uint16]),
    seed=seeds,
)
def test_embedding(device, shape, rows, padding, dtype, seed):
    """Few rows and many ids: every row is taken several times."""
    ids = np.random.default_rng(seed).integers(0, rows, shape).astype(dtype)
    ids = np.asarray(ids)
    weight = normal(seed, (rows, 3))
    expected = np.array([weight[int(i)] for i in ids.ravel()]).reshape(*shape, 3)
    padding_idx = rows - 1 if padding else None
    check_op(
        lambda ids, w: F.embedding(ids, w, padding_idx=padding_idx),
        ids,
        weight,
        device=device,
        expected=expected,
        gradient=not padding,  # the padding row's gradient is left out on purpose
    )


def test_embedding_is_a_product_with_a_one_hot_matrix(device):
    ids = np.array([[0, 2, 2], [1, 0, 2]])
    weight = normal(0, (4, 5))
    one_hot = (ids[..., None] == np.arange(4)).astype(float)
    constant = minillm.tensor(one_hot, device=device)
    check_same(F.embedding, lambda ids, w: constant @ w, ids, weight, device=device)


@pytest.mark.parametrize("padding_idx", [2, -2])
def test_the_padding_row_gets_no_gradient(device, padding_idx):
    weight = minillm.tensor(normal(0, (4, 2)), requires_grad=True, device=device)
    ids = minillm.tensor([2, 1, 2, 3], device=device)
    F.embedding(ids, weight, padding_idx=padding_idx).sum().backward()
    np.testing.assert_array_equal(to_host(weight.grad), [[0, 0], [1, 1], [0, 0], [1, 1]])


def test_a_row_taken_a_thousand_times_collects_a_thousand_gradients(device):
    ids = np.random.default_rng(0).integers(0, 7, 5000)
    weight = minillm.tensor(normal(0, (7, 3)), requires_grad=True, device=device)
    dy = normal(1, (5000, 3))
    F.embedding(minillm.tensor(ids, device=device), weight).backward(
        minillm.tensor(dy, device=device)
    )
    assert_close(to_host(weight.grad), [dy[ids == v].sum(axis=0) for v in range(7)])


@pytest.mark.parametrize("bad", [-1, 5])
def test_an_id_outside_the_table_is_named(device, bad):
    if not minillm.backend.get_device(device).checks_ids:
        pytest.skip("a GPU doesn't check ids: it would have to wait for them")
    weight = minillm.tensor(np.ones((5, 2)), device=device)
    with pytest.raises(IndexError, match=rf"{bad}.*0 to 4"):
        F.embedding(minillm.tensor([0, bad, 3], device=device), weight)


def test_ids_that_are_not_integers_are_refused(device):
    weight = minillm.tensor(np.ones((5, 2)), device=device)
    with pytest.raises(TypeError, match="integers.*float32"):
        F.embedding(minillm.tensor([0.0, 1.0], device=device), weight)

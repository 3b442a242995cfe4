"""embedding_bag: sums and means of rows over bags of any size, and their gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import check_op, check_same, normal, seeds, to_host

import minillm
from minillm import functional as F


def bags(sizes):
    """Where each bag begins."""
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)


def expected_rows(ids, weight, offsets, mode, a=None):
    """Bag by bag, id by id."""
    rows = []
    for start, end in zip(offsets, [*offsets[1:], len(ids)], strict=True):
        row = np.zeros(weight.shape[1])
        for n in range(start, end):
            row = row + (1 if a is None else a[n]) * weight[ids[n]]
        rows.append(row / max(end - start, 1) if mode == "mean" else row)
    return np.array(rows)


@given(
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    rows=st.integers(1, 5),
    kind=st.sampled_from(["sum", "mean", "weighted"]),
    dtype=st.sampled_from([np.int64, np.int32]),
    seed=seeds,
)
def test_bags_of_any_size(device, sizes, rows, kind, dtype, seed):
    """Empty bags, empty input, ids that come several times in a bag and in several bags."""
    ids = np.random.default_rng(seed).integers(0, rows, sum(sizes)).astype(dtype)
    weight, a = normal(seed, (rows, 3), (len(ids),))
    offsets, mode = bags(sizes), "mean" if kind == "mean" else "sum"
    weights = [a] if kind == "weighted" else []

    def op(ids, weight, offsets, *a):
        return F.embedding_bag(ids, weight, offsets, mode, *a)

    check_op(
        op,
        ids,
        weight,
        offsets,
        *weights,
        device=device,
        expected=expected_rows(ids, weight, offsets, mode, *weights),
    )


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_bags_of_equal_size_are_an_embedding_and_a_reduction(device, mode):
    ids, weight = np.array([[0, 2, 2], [1, 0, 2]]), normal(0, (4, 5))

    def two_steps(ids, weight):
        rows = F.embedding(ids, weight)
        return rows.sum(axis=1) if mode == "sum" else rows.mean(axis=1)

    def op(ids, weight):
        return F.embedding_bag(ids, weight, mode=mode)

    check_same(op, two_steps, ids, weight, device=device)


def test_weights_of_bags_of_equal_size(device):
    ids, (weight, a) = np.array([[0, 2, 2], [1, 0, 2]]), normal(0, (4, 5), (2, 3))

    def op(ids, weight, a):
        return F.embedding_bag(ids, weight, mode="sum", per_sample_weights=a)

    def two_steps(ids, weight, a):
        return (F.embedding(ids, weight) * a.reshape(2, 3, 1)).sum(axis=1)

    check_same(op, two_steps, ids, weight, a, device=device)


def test_rows_outside_the_bags_get_no_gradient(device):
    weight = minillm.tensor(normal(0, (5, 2)), requires_grad=True, device=device)
    ids = minillm.tensor([3, 1, 3], device=device)
    F.embedding_bag(ids, weight, minillm.tensor([0, 2], device=device), "sum").sum().backward()
    np.testing.assert_array_equal(to_host(weight.grad), [[0, 0], [1, 1], [0, 0], [2, 2], [0, 0]])


@pytest.mark.parametrize("offsets", [[1, 2], [0, 2, 1], [0, 4], []])
def test_offsets_that_are_no_bags_are_refused(device, offsets):
    if not minillm.backend.get_device(device).checks_ids:
        pytest.skip("a GPU doesn't check offsets: it would have to wait for them")
    weight = minillm.tensor(normal(0, (5, 2)), device=device)
    places = minillm.tensor(np.array(offsets, np.int64), device=device)
    with pytest.raises(ValueError, match="offsets must ascend from 0 to 3"):
        F.embedding_bag(minillm.tensor([0, 1, 2], device=device), weight, places)


def test_what_does_not_fit_is_refused(device):
    def t(array):
        return minillm.tensor(np.array(array), device=device)

    weight, ids, offsets = t(normal(0, (5, 2))), t([0, 1, 2]), t([0, 2])
    with pytest.raises(ValueError, match="mode='max'"):
        F.embedding_bag(ids, weight, offsets, "max")
    with pytest.raises(ValueError, match="need mode='sum'"):
        F.embedding_bag(ids, weight, offsets, "mean", t([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match=r"per_sample_weights \(2,\), expected one an id: \(3,\)"):
        F.embedding_bag(ids, weight, offsets, "sum", t([1.0, 2.0]))
    with pytest.raises(ValueError, match="and offsets"):
        F.embedding_bag(ids, weight)
    with pytest.raises(ValueError, match="leave out offsets"):
        F.embedding_bag(t([[0, 1]]), weight, offsets)
    with pytest.raises(TypeError, match="ids must be integers"):
        F.embedding_bag(t([0.0, 1.0]), weight, offsets)
    with pytest.raises(TypeError, match="offsets must be integers"):
        F.embedding_bag(ids, weight, t([0.0, 1.0]))


@pytest.mark.parametrize("bad", [-1, 5])
def test_an_id_outside_the_table_is_named(device, bad):
    if not minillm.backend.get_device(device).checks_ids:
        pytest.skip("a GPU doesn't check ids: it would have to wait for them")
    weight = minillm.tensor(np.ones((5, 2)), device=device)
    ids, offsets = (minillm.tensor(x, device=device) for x in ([0, bad, 3], [0]))
    with pytest.raises(IndexError, match=rf"{bad}.*0 to 4"):
        F.embedding_bag(ids, weight, offsets)

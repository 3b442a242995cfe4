"""Functions that only move values: every index, axis and spelling."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices, broadcastable_shapes, integer_array_indices
from op_factory import assert_close, check_op, normal, seeds, shapes, to_host

import minillm
from minillm import functional as F


@given(shape=shapes(min_side=0), seed=seeds, data=st.data())
def test_reshape(device, shape, seed, data):
    x = normal(seed, shape)
    new = tuple(data.draw(st.permutations([*shape, 1])))
    expected = np.array(x.ravel().tolist()).reshape(new)
    check_op(lambda x: F.reshape(x, new), x, device=device, expected=expected)
    if 0 not in shape:
        place = data.draw(st.integers(0, len(new) - 1))
        inferred = (*new[:place], -1, *new[place + 1 :])
        check_op(lambda x: F.reshape(x, inferred), x, device=device, expected=expected)


def test_the_spellings_of_reshape_and_permute(device):
    x = minillm.tensor(normal(0, (2, 3, 4)), device=device)
    values = x.numpy()
    for y in (x.reshape(4, 6), x.reshape((4, 6)), x.view([4, 6]), x.reshape(-1, 6)):
        assert_close(y.numpy(), values.reshape(4, 6))
    assert x.reshape(24).shape == (24,)
    for y in (x.permute(2, 0, 1), x.permute((2, 0, 1)), F.permute(x, dims=(-1, 0, 1))):
        assert_close(y.numpy(), values.transpose(2, 0, 1))
    assert_close(x.T.numpy(), values.T)


def test_a_reshape_that_does_not_fit_is_refused(device):
    with pytest.raises(ValueError, match="size 6|shape"):
        minillm.tensor(np.ones((2, 3)), device=device).reshape(4, 2)


@given(shape=shapes(min_dims=1, max_dims=4), seed=seeds, data=st.data())
def test_flatten_merges_a_range_of_axes(device, shape, seed, data):
    start = data.draw(st.integers(0, len(shape) - 1))
    end = data.draw(st.integers(start, len(shape) - 1))
    x = normal(seed, shape)
    merged = (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
    check_op(lambda x: F.flatten(x, start, end), x, device=device, expected=x.reshape(merged))
    from_end = F.flatten(minillm.tensor(x, device=device), start, end - len(shape))
    assert from_end.shape == merged


@given(shape=shapes(), seed=seeds, data=st.data())
def test_unsqueeze_and_squeeze_are_inverse(device, shape, seed, data):
    dim = data.draw(st.integers(-len(shape) - 1, len(shape)))
    x = normal(seed, shape)
    check_op(lambda x: F.unsqueeze(x, dim), x, device=device, expected=np.expand_dims(x, dim))
    check_op(lambda x: F.squeeze(F.unsqueeze(x, dim), dim), x, device=device, expected=x)


def test_squeeze_leaves_a_longer_axis_alone(device):
    x = minillm.tensor(np.ones((2, 1, 3)), device=device)
    assert x.squeeze(0).shape == (2, 1, 3)
    assert x.squeeze(-2).shape == (2, 3)


@given(shape=shapes(min_dims=1, min_side=0), seed=seeds, data=st.data())
def test_transpose_and_permute(device, shape, seed, data):
    axes = st.integers(-len(shape), len(shape) - 1)
    a, b, x = data.draw(axes), data.draw(axes), normal(seed, shape)
    check_op(lambda x: F.transpose(x, a, b), x, device=device, expected=np.swapaxes(x, a, b))
    dims = data.draw(st.permutations(range(len(shape))))
    dims = tuple(d - len(shape) if d % 2 else d for d in dims)
    expected = np.einsum(x, range(x.ndim), [d % x.ndim for d in dims])
    check_op(lambda x: F.permute(x, dims), x, device=device, expected=expected)


@given(shape=shapes(min_side=0), seed=seeds, data=st.data())
def test_broadcast_to(device, shape, seed, data):
    x = normal(seed, shape)
    target = data.draw(broadcastable_shapes(shape, max_dims=4, max_side=3))
    target = np.broadcast_shapes(shape, target)
    check_op(lambda x: F.broadcast_to(x, target), x, device=device, expected=x + np.zeros(target))


@given(shape=shapes(min_dims=1), parts=st.integers(1, 4), seed=seeds, data=st.data())
def test_concatenate_and_stack(device, shape, parts, seed, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    lengths = data.draw(st.lists(st.integers(0, 3), min_size=parts, max_size=parts))
    place = axis % len(shape)
    uneven = [
        normal(seed + i, (*shape[:place], n, *shape[place + 1 :])) for i, n in enumerate(lengths)
    ]
    joined = np.concatenate(uneven, axis)
    check_op(lambda ts: F.concatenate(ts, axis), uneven, device=device, expected=joined)
    even = tuple(normal(seed + i, shape) for i in range(parts))
    new_axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    expected = np.concatenate([np.expand_dims(part, new_axis) for part in even], new_axis)
    check_op(lambda ts: F.stack(ts, new_axis), even, device=device, expected=expected)


def test_stack_of_single_numbers(device):
    numbers = [np.array(1.5), np.array(-2.0)]
    check_op(F.stack, numbers, device=device, expected=np.array([1.5, -2.0]))


def test_cat_mixes_leaves_constants_and_arrays(device):
    leaf = minillm.tensor([1.0, 2.0], requires_grad=True, device=device)
    constant = minillm.tensor([3.0], device=device)
    y = F.cat([leaf, constant, constant.data, leaf], dim=0)
    np.testing.assert_array_equal(y.numpy(), [1, 2, 3, 3, 1, 2])
    y.backward(minillm.tensor(np.arange(6), device=device))
    np.testing.assert_array_equal(to_host(leaf.grad), [0 + 4, 1 + 5])


def test_nothing_to_join_is_refused():
    for join in (F.concatenate, F.stack):
        with pytest.raises(ValueError, match="at least one"):
            join([])


@given(shape=shapes(min_dims=1), seed=seeds, data=st.data())
def test_split(device, shape, seed, data):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    length, x = shape[dim], normal(seed, shape)
    size = data.draw(st.integers(1, length + 1))
    cuts = sorted(data.draw(st.sets(st.integers(0, length))))
    sections = [b - a for a, b in zip([0, *cuts], [*cuts, length], strict=True)]

    def reversed_parts(x, sizes):  # joined in the opposite order: each part must know its place
        return F.concatenate(F.split(x, sizes, dim)[::-1], dim)

    starts = range(size, length, size)
    expected = np.concatenate(np.split(x, list(starts), dim)[::-1], dim)
    check_op(lambda x: reversed_parts(x, size), x, device=device, expected=expected)
    expected = np.concatenate(np.split(x, cuts, dim)[::-1], dim)
    check_op(lambda x: reversed_parts(x, sections), x, device=device, expected=expected)


def test_split_names_sizes_that_do_not_fit(device):
    x = minillm.tensor(np.ones(5), device=device)
    with pytest.raises(ValueError, match=r"\[2, 2\].*5"):
        x.split([2, 2])
    with pytest.raises(ValueError, match="0 must be positive"):
        x.split(0)


# ------------------------------------------------------------------------------------ indexing


@given(shape=shapes(min_side=0), seed=seeds, data=st.data())
def test_basic_indexing(device, shape, seed, data):
    index = data.draw(basic_indices(shape, allow_newaxis=True))
    x = normal(seed, shape)
    check_op(lambda x: x[index], x, device=device, expected=x[index])


@given(shape=shapes(min_dims=1), seed=seeds, data=st.data())
def test_integer_arrays_as_indices(device, shape, seed, data):
    """Few places and many picks: a value taken several times collects all its gradients."""
    x = normal(seed, shape)
    indices = data.draw(integer_array_indices(shape, result_shape=shapes(min_dims=1, max_dims=2)))
    to_device = minillm.backend.get_device(device).from_numpy
    on_device = tuple(map(to_device, indices))
    check_op(lambda x: F.getitem(x, on_device), x, device=device, expected=x[indices])
    first = np.concatenate([indices[0].ravel()] * 3)
    check_op(lambda x, i: F.getitem(x, i), x, first, device=device, expected=x[first])
    check_op(
        lambda x, i: x[..., i],
        x,
        first % shape[-1],
        device=device,
        expected=x[..., first % shape[-1]],
    )


@given(shape=shapes(min_dims=1), seed=seeds)
def test_boolean_masks_as_indices(device, shape, seed):
    x = normal(seed, shape)
    mask = normal(seed + 1, shape) > 0
    check_op(F.getitem, x, mask, device=device, expected=x[mask])
    check_op(F.getitem, x, mask.any(axis=tuple(range(1, x.ndim))), device=device)


def test_every_kind_of_index(device):
    x = normal(0, (5, 4, 3))
    t = minillm.tensor(x, device=device)
    ids = minillm.tensor([3, 0, 3], device=device)
    assert_close(t[ids].numpy(), x[[3, 0, 3]])  # a Tensor
    assert_close(t[1:3, ids].numpy(), x[1:3, [3, 0, 3]])  # inside a tuple
    assert_close(t[[3, 0, 3]].numpy(), x[[3, 0, 3]])  # a list
    assert_close(t[np.int64(2)].numpy(), x[2])
    assert_close(t[-1, ..., None].numpy(), x[-1, ..., None])
    small = minillm.tensor(normal(1, (300, 2)), device=device)
    assert_close(
        small[minillm.tensor(np.array([255, 7], np.uint8), device=device)].numpy(),
        small.numpy()[[255, 7]],
    )


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32])
def test_gradient_through_small_integer_ids(device, dtype):
    """300 rows don't fit into a uint8: ids must be widened before anything is added to them."""
    x = minillm.tensor(np.zeros((300, 2)), requires_grad=True, device=device)
    ids = np.array([100, 7, 100], dtype)
    x[minillm.tensor(ids, device=device)].sum().backward()
    counts = np.bincount(ids, minlength=300)
    np.testing.assert_array_equal(to_host(x.grad), np.stack([counts, counts], axis=1))


@pytest.mark.parametrize("index", [np.int64(2), [2, 0, 2], (np.int32(1), slice(None)), -1])
def test_gradient_of_host_indices(device, index):
    x = normal(0, (3, 4))
    check_op(lambda x: x[index], x, device=device, expected=x[index])


def test_an_index_outside_is_refused(device):
    with pytest.raises(IndexError, match="5.*3"):
        minillm.tensor(np.ones(3), device=device)[5]


@given(shape=shapes(min_dims=1), seed=seeds, data=st.data())
def test_gather(device, shape, seed, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    picks = data.draw(st.integers(1, 5))  # more than there are: some are picked twice
    index_shape = list(shape)
    index_shape[axis] = picks
    index = np.random.default_rng(seed).integers(0, shape[axis], index_shape)
    x = normal(seed, shape)
    expected = np.take_along_axis(x, index, axis)
    check_op(lambda x, i: F.gather(x, axis, i), x, index, device=device, expected=expected)
    by_name = minillm.tensor(x, device=device).gather(
        dim=axis, index=minillm.tensor(index, device=device)
    )
    assert_close(by_name.numpy(), expected)


def test_gather_names_axes_that_do_not_fit(device):
    x = minillm.tensor(np.ones((2, 3)), device=device)
    with pytest.raises(ValueError, match="1 axes.*2"):
        F.gather(x, 0, minillm.tensor([0, 1], device=device))

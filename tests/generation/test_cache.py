"""The cache gives back what was put in, in order, and copies no more than it must."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.backend import get_device
from minillm.generation import KeyValueCache


def new(device, rng, B=2, L=1):
    """Keys and values of two heads, as arrays of the device and as NumPy arrays."""
    k, v = rng.standard_normal((2, B, 2, L, 3), np.float32)
    place = get_device(device)
    return place.from_numpy(k.copy()), place.from_numpy(v.copy()), k, v


@pytest.mark.parametrize("max_length", [None, 40])
def test_what_comes_out_is_all_that_went_in(device, max_length):
    rng, to_numpy = np.random.default_rng(0), get_device(device).to_numpy
    cache = KeyValueCache(max_length)
    assert cache.length == 0 and cache.nbytes == 0
    expected: dict = {0: ([], []), 1: ([], [])}
    total = 0
    for L in (5, 1, 1, 12, 1, 20):
        for layer in (0, 1):
            k, v, k_host, v_host = new(device, rng, L=L)
            keys, values = cache.update(layer, k, v)
            for found, part, past in zip(
                (keys, values), (k_host, v_host), expected[layer], strict=True
            ):
                past.append(part)
                np.testing.assert_array_equal(to_numpy(found), np.concatenate(past, axis=2))
        total += L
        assert cache.length == total


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_growing_copies_at_most_twice_what_is_kept(steps):
    """A new buffer is made only when the old one is full, and is then at least twice as large."""
    cache, sizes = KeyValueCache(), []
    for L in steps:
        x = np.zeros((1, 1, L, 1), np.float32)
        keys, _ = cache.update(0, x, x)
        size = keys.base.shape[2]
        if not sizes or sizes[-1] != size:
            assert not sizes or size >= 2 * sizes[-1]
            sizes.append(size)
    assert cache.length == sum(steps) and sizes[-1] <= max(16, 2 * sum(steps))


def test_a_fixed_cache_is_made_once_and_refuses_more():
    cache = KeyValueCache(max_length=6)
    x = np.ones((1, 1, 1, 2), np.float32)
    first = cache.update(0, x, x)[0].base
    for _ in range(5):
        assert cache.update(0, x, x)[0].base is first
    assert cache.nbytes == 2 * 6 * 2 * 4
    with pytest.raises(ValueError, match="7 positions don't fit into max_length=6"):
        cache.update(0, x, x)
    assert cache.length == 6


def test_reorder(device):
    rng, place = np.random.default_rng(1), get_device(device)
    cache = KeyValueCache()
    k, v, k_host, v_host = new(device, rng, B=4, L=3)
    cache.update(0, k, v)
    for rows in ([1, 0, 2, 3], [3, 3, 0, 0], [0, 1, 2, 3], [2, 2, 2, 2, 1, 0], [5, 0]):
        rows = np.array(rows)
        cache.reorder(place.from_numpy(rows))
        k_host, v_host = k_host[rows], v_host[rows]
        k, v, more_k, more_v = new(device, rng, B=len(rows), L=1)
        keys, values = cache.update(0, k, v)
        k_host, v_host = (
            np.concatenate(pair, axis=2) for pair in ((k_host, more_k), (v_host, more_v))
        )
        np.testing.assert_array_equal(place.to_numpy(keys), k_host)
        np.testing.assert_array_equal(place.to_numpy(values), v_host)


def test_crop_takes_back():
    x = np.arange(5.0)[None, None, :, None]
    cache = KeyValueCache()
    cache.update(0, x, x)
    cache.crop(2)
    assert cache.length == 2
    keys, _ = cache.update(0, x[:, :, 4:], x[:, :, 4:])
    assert keys[0, 0, :, 0].tolist() == [0, 1, 4]
    with pytest.raises(ValueError, match=r"crop\(4\) of 3 positions"):
        cache.crop(4)


def test_bad_use_is_named():
    with pytest.raises(ValueError, match="max_length=0"):
        KeyValueCache(0)
    cache = KeyValueCache()
    x = np.ones((2, 1, 1, 2), np.float32)
    cache.update(0, x, x)
    with pytest.raises(ValueError, match="3 rows come to 2"):
        cache.update(0, np.ones((3, 1, 1, 2), np.float32), np.ones((3, 1, 1, 2), np.float32))

"""Co-occurrence counts by sorted chunks are those of a dictionary, filled pair by pair."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.data import cooccurrence
from minillm.data.cooccurrence import count_cooccurrences
from minillm.data.word_pairs import WordCounts


def by_dictionary(sentences, window):
    """X_ij by its definition: for each place, every other place in reach adds 1/distance."""
    x = defaultdict(float)
    for sentence in sentences:
        for p, i in enumerate(sentence):
            for q, j in enumerate(sentence):
                if p != q and abs(p - q) <= window:
                    x[i, j] += 1 / abs(p - q)
    return x


def flat(sentences):
    ids = np.array([i for sentence in sentences for i in sentence], np.int32)
    return ids, np.cumsum([0, *map(len, sentences)])


def assert_counts(x, sentences, window, size):
    expected = by_dictionary(sentences, window)
    found = dict(zip(zip(x.rows.tolist(), x.columns.tolist(), strict=True), x.counts, strict=True))
    assert found.keys() == {(i, j) for i, j in expected if i <= j}
    for pair, count in found.items():
        assert count == pytest.approx(expected[pair], rel=1e-7)
    keys = x.rows.astype(np.int64) * size + x.columns
    assert np.all(np.diff(keys) > 0)
    assert x.size == size


def test_the_example_by_hand():
    vocabulary = WordCounts.count([["a", "b", "a", "c"]], min_count=1)  # a, b, c
    x = count_cooccurrences(*vocabulary.encode([["a", "b", "a", "c"]]), size=3, window=2)
    np.testing.assert_array_equal(x.to_dense(), [[1, 2, 1], [2, 0, 0.5], [1, 0.5, 0]])
    assert (x.rows.dtype, x.columns.dtype, x.counts.dtype) == (np.int32, np.int32, np.float32)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.integers(0, 6), max_size=12), max_size=8),
    st.integers(1, 9),
    st.integers(1, 7),
    st.integers(1, 3),
)
def test_equals_the_dictionary_however_the_text_is_cut(sentences, window, at_once, threads):
    x = count_cooccurrences(*flat(sentences), 7, window, threads, positions_at_once=at_once)
    assert_counts(x, sentences, window, 7)


def test_many_merges_of_many_ranges(monkeypatch):
    # Merges after every few chunks, each of them in ranges of about 50 pairs.
    monkeypatch.setattr(cooccurrence, "MERGED_AT_ONCE", 50)
    generator = np.random.default_rng(0)
    lengths = generator.integers(0, 40, size=60)
    sentences = [(generator.zipf(1.3, n) % 30).tolist() for n in lengths]
    x = count_cooccurrences(*flat(sentences), 30, window=5, threads=2, positions_at_once=25)
    assert_counts(x, sentences, 5, 30)


def test_chunks_and_threads_do_not_change_a_bit():
    generator = np.random.default_rng(1)
    ids, offsets = generator.integers(0, 50, 3000), np.array([0, 1000, 1001, 3000])
    one = count_cooccurrences(ids, offsets, 50, window=4)
    for threads, at_once in ((1, 100), (2, 100), (3, 777)):
        other = count_cooccurrences(ids, offsets, 50, 4, threads, at_once)
        for a, b in zip(one[:3], other[:3], strict=True):
            np.testing.assert_array_equal(a, b)


def test_ids_so_large_that_keys_need_more_than_32_bits():
    size = 1_000_000
    sentences = [[size - 1, 0, size - 2, size - 1, size - 1], [size - 1, 5]]
    assert_counts(count_cooccurrences(*flat(sentences), size, 3), sentences, 3, size)


def test_sums_of_a_million_equal_pairs_are_not_rounded_on_the_way():
    # Added in float32 one by one, a sum would stop growing at 2^24.
    n = 1 << 17
    x = count_cooccurrences(np.zeros(n, np.int32), [0, n], 1, window=200, positions_at_once=1 << 14)
    expected = 2 * sum((n - k) / k for k in range(1, 201))
    assert x.counts.tolist() == [pytest.approx(expected, rel=1e-7)]


def test_the_arguments_stay_as_they_are():
    ids, offsets = np.array([2, 1, 0, 1], np.int32), np.array([0, 4])
    count_cooccurrences(ids, offsets, 3, window=2)
    assert ids.tolist() == [2, 1, 0, 1] and offsets.tolist() == [0, 4]


@pytest.mark.parametrize("sentences", [[], [[]], [[3], [1], []]])
def test_without_neighbours_nothing_is_counted(sentences):
    x = count_cooccurrences(*flat(sentences), 4, window=5)
    assert len(x.rows) == len(x.columns) == len(x.counts) == 0
    assert not x.to_dense().any()


@pytest.mark.parametrize(
    "ids, offsets, window, message",
    [
        ([0, 1], [0, 2], 0, "window is 0; expected at least 1"),
        ([0, 7], [0, 2], 2, "ids 0 to 7 found, expected 0 to 4"),
        ([0, -1], [0, 2], 2, "ids -1 to 0 found"),
        ([0.5, 1.0], [0, 2], 2, "row of integers, got float64"),
        ([[0, 1]], [0, 2], 2, r"of shape \(1, 2\)"),
        ([0, 1], [0, 3], 2, "number of ids, 2; got"),
        ([0, 1], [1, 2], 2, "ascend from 0"),
        ([0, 1, 2], [0, 2, 1, 3], 2, "ascend from 0"),
        ([0, 1], [], 2, "ascend from 0"),
    ],
)
def test_errors(ids, offsets, window, message):
    with pytest.raises(ValueError, match=message):
        count_cooccurrences(np.array(ids), np.array(offsets), 5, window)

"""Words, counts, pairs and negatives: compared with loops, formulas worked by hand, and chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data.word_pairs import (
    NegativeSampler,
    WordCounts,
    keep_probability,
    skip_gram_pairs,
    split_words,
    subsample,
    window_sizes,
)

SENTENCES = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=12), max_size=8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Cat sat.", ["the", "cat", "sat"]),
        ("Don't watch the film's end!", ["don't", "watch", "the", "film", "'s", "end"]),
        ("Don’t say ‘yes’ or 'no'.", ["don't", "say", "yes", "or", "no"]),
        ("很好看! 3 stars", ["很", "好", "看", "3", "stars"]),
        ("a好b", ["a", "好", "b"]),
        ("naïve cafe\u0301 snake_case x-ray", ["naïve", "cafe\u0301", "snake", "case", "x", "ray"]),
        ("", []),
        ("... -- !?", []),
    ],
)
def test_words_of_a_text(text, words):
    assert split_words(text) == words


def test_words_are_ordered_by_count_and_then_by_the_alphabet():
    counts = WordCounts.count([["b", "a", "c"], ["c", "b"], [], ["d"]], min_count=1)
    assert counts.words == ["b", "c", "a", "d"]
    assert counts.counts.tolist() == [2, 2, 1, 1]
    assert counts.counts.dtype == np.int64
    assert counts.index == {"b": 0, "c": 1, "a": 2, "d": 3}
    assert len(counts) == 4 and "c" in counts and "x" not in counts


def test_rare_words_and_more_than_max_vocab_are_left_out():
    sentences = [list("aaabbc")]
    assert WordCounts.count(sentences, min_count=2).words == ["a", "b"]
    assert WordCounts.count(sentences, min_count=1, max_vocab=1).words == ["a"]


def test_counting_complains_of_what_cannot_be_meant():
    with pytest.raises(TypeError, match="split_words"):
        WordCounts.count(["a sentence that nobody split"])
    with pytest.raises(TypeError, match="split_words"):
        WordCounts(["a"], [1]).encode(["a"])
    with pytest.raises(ValueError, match="min_count=5"):
        WordCounts.count([["a", "b"]])
    with pytest.raises(ValueError, match="max_vocab 0"):
        WordCounts.count([["a"]], max_vocab=0)
    with pytest.raises(ValueError, match="'a' is listed twice"):
        WordCounts(["a", "a"], [1, 2])
    with pytest.raises(ValueError, match="shape"):
        WordCounts(["a", "b"], [1])


@given(SENTENCES)
def test_encoding_is_that_of_a_loop(sentences):
    vocabulary = WordCounts(list("abcd"), [4, 3, 2, 1])
    ids, offsets = vocabulary.encode(sentences)
    plain = [[vocabulary.index[w] for w in s if w in vocabulary.index] for s in sentences]
    assert ids.dtype == np.int32
    assert len(offsets) == len(sentences) + 1
    assert [ids[a:b].tolist() for a, b in zip(offsets[:-1], offsets[1:], strict=True)] == plain


def test_sentences_may_come_from_a_generator():
    vocabulary = WordCounts.count((list("aab") for _ in range(3)), min_count=1)
    ids, offsets = vocabulary.encode(list("aab") for _ in range(3))
    assert vocabulary.counts.tolist() == [6, 3]
    assert offsets.tolist() == [0, 3, 6, 9]
    assert ids.tolist() == [0, 0, 1] * 3


def test_keep_probability_by_hand():
    # f = 0.8, 0.16, 0.04; t / f = 0.05, 0.25, 1
    keep = keep_probability([80, 16, 4], sample=0.04)
    assert keep == pytest.approx([0.05**0.5 + 0.05, 0.5 + 0.25, 1.0])
    assert keep_probability([80, 16, 4], sample=0).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="sample is 2"):
        keep_probability([1], sample=2)


def test_subsampling_keeps_each_word_with_its_probability_and_each_sentence_its_words():
    generator = np.random.default_rng(0)
    ids = np.tile(np.arange(3, dtype=np.int32), 20_000)
    offsets = np.arange(0, 60_001, 6)
    keep = np.array([0.1, 0.5, 1.0])
    kept, cuts = subsample(ids, offsets, keep, generator)
    share = np.bincount(kept) / 20_000
    assert share[2] == 1
    assert abs(share[0] - 0.1) < 5 * np.sqrt(0.09 / 20_000)
    assert abs(share[1] - 0.5) < 5 * np.sqrt(0.25 / 20_000)
    assert len(cuts) == len(offsets) and cuts[-1] == len(kept)
    assert (np.add.reduceat(kept == 2, cuts[:-1]) == 2).all()  # two of each sentence's six


def pairs_by_loops(ids, offsets, window, generator):
    b = generator.integers(1, window + 1, size=len(ids), dtype=np.int32)
    pairs = []
    for begin, end in zip(offsets[:-1], offsets[1:], strict=True):
        for i in range(begin, end):
            for j in range(max(begin, i - b[i]), min(end, i + b[i] + 1)):
                if j != i:
                    pairs.append((ids[i], ids[j]))
    return pairs


@given(SENTENCES, st.integers(1, 6), st.integers(0, 99))
def test_pairs_are_those_of_three_loops(sentences, window, seed):
    vocabulary = WordCounts(list("abcdefgh"), [1] * 8)
    ids, offsets = vocabulary.encode(sentences)
    centers, contexts = skip_gram_pairs(ids, offsets, window, np.random.default_rng(seed))
    plain = pairs_by_loops(ids, offsets, window, np.random.default_rng(seed))
    assert list(zip(centers, contexts, strict=True)) == plain


def test_pairs_by_hand():
    ids, offsets = np.array([7, 8, 9, 5, 6]), np.array([0, 3, 5])
    centers, contexts = skip_gram_pairs(ids, offsets, 1, np.random.default_rng(0))
    assert list(zip(centers, contexts, strict=True)) == [
        (7, 8), (8, 7), (8, 9), (9, 8), (5, 6), (6, 5),
    ]  # fmt: skip


def test_nearer_neighbours_count_more_often():
    """At distance k with probability (window - k + 1) / window."""
    n, window = 30_000, 4
    generator = np.random.default_rng(0)
    centers, contexts = skip_gram_pairs(np.arange(n), np.array([0, n]), window, generator)
    share = np.bincount(np.abs(centers - contexts))[1:] / (2 * n)
    assert share == pytest.approx([1, 0.75, 0.5, 0.25], abs=0.02)


def test_the_window_ends_where_the_sentence_does():
    left, right = window_sizes(np.array([0, 1, 4]), 100, np.random.default_rng(0))
    assert (left <= [0, 0, 1, 2]).all() and (right <= [0, 2, 1, 0]).all()
    assert left[0] == right[0] == 0
    with pytest.raises(ValueError, match="window is 0"):
        window_sizes(np.array([0, 1]), 0, np.random.default_rng(0))


def test_negatives_follow_the_power_of_the_counts():
    counts, n = np.array([1000, 100, 10, 0]), 200_000
    sampler = NegativeSampler(counts)
    expected = counts**0.75 / (counts**0.75).sum()
    assert sampler.probabilities == pytest.approx(expected)
    drawn = sampler.sample((n // 2, 2), np.random.default_rng(0))
    assert drawn.shape == (n // 2, 2) and drawn.dtype == np.int32
    share = np.bincount(drawn.ravel(), minlength=4) / n
    assert (np.abs(share - expected) <= 5 * np.sqrt(expected * (1 - expected) / n)).all()
    assert share[3] == 0


@pytest.mark.parametrize("power", [0, 1])
def test_the_power_is_the_samplers(power):
    expected = [0.75, 0.25] if power else [0.5, 0.5]
    assert NegativeSampler([3, 1], power).probabilities == pytest.approx(expected)


def test_a_sampler_needs_counts():
    for counts in ([], [[1, 2]], [np.nan, 1]):
        with pytest.raises(ValueError, match="counts"):
            NegativeSampler(counts)


def test_the_same_generator_gives_the_same_draws():
    sampler = NegativeSampler([5, 4, 3])
    draws = [sampler.sample(50, np.random.default_rng(3)).tolist() for _ in range(2)]
    assert draws[0] == draws[1]

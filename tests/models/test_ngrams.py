"""N-grams: which are chosen, which are found, and that arrays give what tuples of words give."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.models.ngrams import TEXTS_AT_ONCE, NGramVocabulary, PresenceMatrix

collections = st.lists(
    st.lists(st.sampled_from("a b c d !".split()), max_size=8).map(" ".join), min_size=1, max_size=8
)


def by_tuples(text, n):
    """The set of n-grams of a text whose words are separated by spaces."""
    words = text.split()
    return {" ".join(words[i : i + k]) for k in range(1, n + 1) for i in range(len(words) - k + 1)}


def found(vocabulary, texts):
    X = vocabulary.transform(texts)
    ends = zip(X.indptr[:-1], X.indptr[1:], strict=True)
    return [[vocabulary.ngrams[i] for i in X.indices[a:b]] for a, b in ends]


@given(texts=collections, n=st.integers(1, 4), min_count=st.integers(1, 3))
def test_chosen_and_found_as_by_sets_of_tuples(texts, n, min_count):
    """Independently: sets of tuples, counted by text."""
    counts = Counter(ngram for text in texts for ngram in by_tuples(text, n))
    expected = {ngram for ngram, count in counts.items() if count >= min_count}
    if not expected:
        with pytest.raises(ValueError, match="no word stands in at least min_count"):
            NGramVocabulary.fit(texts, n, min_count)
        return
    vocabulary = NGramVocabulary.fit(texts, n, min_count)
    assert set(vocabulary.ngrams) == expected and len(vocabulary) == len(expected)
    for text, ngrams in zip(texts, found(vocabulary, texts), strict=True):
        assert len(ngrams) == len(set(ngrams))
        assert set(ngrams) == by_tuples(text, n) & expected


@given(texts=collections, most=st.integers(1, 12))
def test_max_features_are_the_most_frequent(texts, most):
    counts = Counter(ngram for text in texts for ngram in by_tuples(text, 3))
    if not counts:
        return
    vocabulary = NGramVocabulary.fit(texts, 3, 1, max_features=most)
    assert len(vocabulary) == min(most, len(counts))
    kept = sorted((counts[ngram] for ngram in vocabulary.ngrams), reverse=True)
    assert kept == sorted(counts.values(), reverse=True)[:most]


def test_the_order_words_by_frequency_then_pairs():
    vocabulary = NGramVocabulary.fit(["b a", "b a", "b c"], n=2, min_count=1)
    assert vocabulary.ngrams == ["b", "a", "c", "b a", "b c"]
    assert vocabulary.n == 2


def test_real_text_becomes_words():
    """Tags go, punctuation stays, a Chinese character is a word, case only on request."""
    texts = ["Good film!<br />很好", "good FILM!"]
    assert set(NGramVocabulary.fit(texts, 1, 1).ngrams) == {"good", "film", "!", "很", "好"}
    assert "很 好" in NGramVocabulary.fit(texts, 2, 1).ngrams
    cased = NGramVocabulary.fit(texts, 1, 1, lowercase=False)
    assert {"Good", "good", "FILM"} <= set(cased.ngrams)


def test_no_ngram_crosses_texts_or_unknown_words():
    vocabulary = NGramVocabulary.fit(["a b", "a b"], 2, 1)
    assert found(vocabulary, ["a", "b", "a x b", "", "x", "a b"]) == [
        ["a"],
        ["b"],
        ["a", "b"],
        [],
        [],
        ["a", "b", "a b"],
    ]


def test_more_texts_than_are_read_at_once():
    vocabulary = NGramVocabulary.fit(["a b", "b"], 2, 1)
    texts = ["a b", "b", ""] * (TEXTS_AT_ONCE // 2)
    X = vocabulary.transform(texts)
    assert X.shape == (len(texts), 3) and X.indices.dtype == np.int32
    assert np.diff(X.indptr).tolist() == [3, 1, 0] * (TEXTS_AT_ONCE // 2)


def test_no_texts_at_all():
    X = NGramVocabulary.fit(["a"], 1, 1).transform([])
    assert X.shape == (0, 1) and X.indptr.tolist() == [0] and len(X.indices) == 0


@given(seed=st.integers(0, 2**32 - 1))
def test_the_sparse_products_are_the_dense_ones(seed):
    rng = np.random.default_rng(seed)
    dense = rng.random((6, 4)) < 0.4
    row, column = np.nonzero(dense)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=6))])
    X = PresenceMatrix(indptr, column.astype(np.int32), (6, 4))
    w, g, chosen = rng.standard_normal(4), rng.standard_normal(6), rng.integers(0, 6, 3)
    np.testing.assert_allclose(X.times(w), dense @ w, atol=1e-12)
    np.testing.assert_allclose(X.transposed_times(g), dense.T @ g, atol=1e-12)
    np.testing.assert_allclose(X.rows(chosen).times(w), dense[chosen] @ w, atol=1e-12)


def test_saved_and_read(tmp_path):
    vocabulary = NGramVocabulary.fit(["Not a good film!", "not a 好 film"], 3, 1)
    vocabulary.save(tmp_path / "ngrams.txt")
    again = NGramVocabulary.from_file(tmp_path / "ngrams.txt")
    assert again.ngrams == vocabulary.ngrams and again.n == 3
    assert found(again, ["a good film"]) == found(vocabulary, ["a good film"])


@pytest.mark.parametrize(
    "ngrams, message",
    [
        (["a", "a"], "distinct"),
        (["a b", "a", "b"], "first all words"),
        (["a", ""], "distinct"),
        (["a", "a b"], "'a b' is known, but not 'a' or not 'b'"),
        (["a", "b", "b a", "a b"], "not sorted"),
    ],
)
def test_a_list_that_is_no_vocabulary(tmp_path, ngrams, message):
    with pytest.raises(ValueError, match=message):
        NGramVocabulary(ngrams)
    (tmp_path / "x.txt").write_text("".join(f"{ngram}\n" for ngram in ngrams))
    with pytest.raises(ValueError, match=r"x\.txt is not a list of n-grams: .*"):
        NGramVocabulary.from_file(tmp_path / "x.txt")


def test_broken_utf8_is_named(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"a\n\xff\n")
    with pytest.raises(ValueError, match=r"x\.txt is not a list of n-grams: .*utf-8"):
        NGramVocabulary.from_file(tmp_path / "x.txt")


def test_options_and_texts_that_can_not_be():
    for options in ({"n": 0}, {"min_count": 0}, {"max_features": 0}):
        with pytest.raises(ValueError, match=rf"{next(iter(options))}=0, expected 1 or more"):
            NGramVocabulary.fit(["a"], **options)
    with pytest.raises(TypeError, match="text number 1 is nan"):
        NGramVocabulary.fit(["a", float("nan")], 1, 1)
    with pytest.raises(TypeError, match=r"\[text\]"):
        NGramVocabulary.fit("a", 1, 1)
    with pytest.raises(ValueError, match="min_count=2 of the 0 texts"):
        NGramVocabulary.fit([])

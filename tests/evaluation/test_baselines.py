"""The baselines are counted right: against the plain definition, on corpora small enough for it."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minillm.data import EncodedCorpus
from minillm.evaluation import NeighbourGuess, WordOverlap

V = 6
documents = st.lists(st.lists(st.integers(0, V - 1), min_size=1, max_size=12), min_size=1)


def encoded(texts):
    """Each document is one sentence."""
    tokens = np.array([token for text in texts for token in text], np.uint16)
    offsets = np.cumsum([0, *map(len, texts)])
    return EncodedCorpus(
        tokens, offsets, np.arange(len(texts) + 1), np.arange(len(texts), dtype=np.uint64)
    )


@given(documents, st.integers(-1, V - 1), st.integers(-1, V - 1))
def test_the_neighbour_guess_is_a_most_frequent_token_of_its_context(texts, left, right):
    guess = int(NeighbourGuess(encoded(texts), V).predict(np.array([left]), np.array([right]))[0])
    between, after, before = Counter(), Counter(), Counter()
    for text in texts:
        for i, token in enumerate(text):
            if 0 < i < len(text) - 1 and (text[i - 1], text[i + 1]) == (left, right):
                between[token] += 1
            if i > 0 and text[i - 1] == left:
                after[token] += 1
            if i < len(text) - 1 and text[i + 1] == right:
                before[token] += 1
    counts = next(
        c
        for c in (
            between,
            after if max(after.values(), default=0) >= max(before.values(), default=0) else before,
            Counter(token for text in texts for token in text),
        )
        if c
    )
    assert counts[guess] == max(counts.values())


def test_hidden_neighbours_are_not_used():
    guess = NeighbourGuess(encoded([[1, 2, 3], [1, 2, 3], [4, 5, 3], [0, 0, 0, 0, 0]]), V)
    assert guess.predict(np.array([1]), np.array([3]))[0] == 2
    assert guess.predict(np.array([4]), np.array([-1]))[0] == 5
    assert guess.predict(np.array([-1]), np.array([-1]))[0] == 0


def pair_batch(pairs, labels):
    """Pairs (A, B) of equally long segments as a batch without special tokens."""
    ids = np.array([[*a, *b] for a, b in pairs])
    types = np.array([[0] * len(a) + [1] * len(b) for a, b in pairs])
    return {
        "input_ids": ids,
        "token_type_ids": types,
        "attention_mask": np.ones_like(ids),
        "labels": np.full_like(ids, -100),
        "next_sentence_label": np.array(labels),
    }


def test_word_overlap_weighs_shared_words_by_rarity_and_learns_its_threshold():
    texts = [[0, 1], [0, 2], [0, 3], [0, 4]]  # 0 is in every document: it weighs log(4/4) = 0
    train = pair_batch([([0, 1], [0, 1]), ([0, 2], [0, 3]), ([4, 0], [4, 0])], [0, 1, 0])
    overlap = WordOverlap(encoded(texts), V, [train])
    np.testing.assert_allclose(overlap.score(train), [np.log(4), 0, np.log(4)])
    new = pair_batch([([0, 3], [3, 0]), ([0, 1], [2, 0])], [0, 1])
    assert overlap.predict(new).tolist() == [0, 1]


def test_word_overlap_puts_masked_words_back_and_ignores_padding():
    overlap = WordOverlap(encoded([[0, 1], [0, 2]]), V, [pair_batch([([1], [1])], [0])])
    batch = pair_batch([([5, 2], [1, 2])], [0])
    batch["labels"][0, 0] = 1  # a masked 1 shows as 5
    np.testing.assert_allclose(overlap.score(batch), [2 * np.log(2)])
    batch["attention_mask"][0, 1] = 0
    np.testing.assert_allclose(overlap.score(batch), [np.log(2)])


def test_word_overlap_counts_whole_documents_within_its_limit():
    texts, pairs = [[0, 1], [0, 2], [0, 3, 1], [4, 4]], [pair_batch([([1], [1])], [0])]
    for limit, counted in ((0, 1), (1, 1), (2, 1), (6, 2), (7, 3), (8, 3), (9, 4), (10, 4)):
        limited = WordOverlap(encoded(texts), V, pairs, token_limit=limit)
        whole = WordOverlap(encoded(texts[:counted]), V, pairs)
        np.testing.assert_array_equal(limited.weight, whole.weight)

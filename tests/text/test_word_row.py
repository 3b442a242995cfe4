"""The row of words: counting and merging all places of a pair at once, as place by place."""

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minillm.text.word_row import SWALLOWED, WALL, WordRow

A, B, C = b"abc"


def row_of(word_counts):
    return WordRow(word_counts, np.arange(256))


def words_in(row):
    """The words as lists of tokens, read along `after`."""
    words, place = [], 0
    while place < len(row.tokens) - 1:
        token, place = row.tokens[place], row.after[place]
        words.append([]) if token == WALL else words[-1].append(int(token))
    return words


def pair_counts(words, weights):
    counts = Counter()
    for word, n in zip(words, weights, strict=True):
        for pair in pairwise(word):
            counts[pair] += n
    return counts


def merge_one_by_one(word, pair, merged):
    done, i = [], 0
    while i < len(word):
        if tuple(word[i : i + 2]) == pair:
            done.append(merged)
            i += 2
        else:
            done.append(word[i])
            i += 1
    return done


def test_the_row_of_two_words():
    row = row_of({"ab": 3, "ca": 2})
    assert row.tokens.tolist() == [WALL, A, B, WALL, C, A, WALL]
    assert row.weights.tolist() == [0, 3, 3, 3, 2, 2, 2]


WORD_COUNTS = st.dictionaries(
    st.text(alphabet="abcé", min_size=1, max_size=10), st.integers(1, 5), min_size=1, max_size=5
)


@given(WORD_COUNTS, st.data())
def test_each_merge_does_what_going_from_place_to_place_does(word_counts, data):
    row = row_of(word_counts)
    weights = list(word_counts.values())
    words = words_in(row)
    assert words == [list(word.encode()) for word in word_counts]
    _, frequent = row.frequent_pairs(1, 1000)
    known = {found.pair: found.places for found in frequent}
    for merged in range(1000, 1004):
        counts = pair_counts(words, weights)
        if not counts:
            break
        pair = data.draw(st.sampled_from(sorted(counts)))
        count, places = row.count(pair, known[pair])
        assert count == counts[pair]
        merged_places = row.merge(pair, merged, places)
        words = [merge_one_by_one(word, pair, merged) for word in words]
        assert words_in(row) == words
        assert (row.tokens[merged_places] == merged).all()
        assert row.count(pair, known[pair])[0] == 0
        around = {found.pair: found for found in row.pairs_around(merged_places, 1)}
        counts = pair_counts(words, weights)
        assert {pair: found.count for pair, found in around.items()} == {
            pair: n for pair, n in counts.items() if merged in pair
        }
        known |= {pair: found.places for pair, found in around.items()}
    _, frequent = row.frequent_pairs(1, 1000)  # also leaves out what was swallowed
    assert {found.pair: found.count for found in frequent} == pair_counts(words, weights)
    assert SWALLOWED not in row.tokens
    assert words_in(row) == words


@given(WORD_COUNTS, st.integers(1, 4), st.integers(1, 6))
def test_the_most_frequent_pairs_are_those_above_a_count(word_counts, least, most):
    row = row_of(word_counts)
    counts = pair_counts(words_in(row), word_counts.values())
    found_least, frequent = row.frequent_pairs(least, most)
    found = {f.pair: f.count for f in frequent}
    assert found == {pair: n for pair, n in counts.items() if n >= found_least}
    often = [n for n in counts.values() if n >= least]
    if len(often) <= most:
        assert found_least == least
    else:  # only where even the most frequent ones are too many, all of them come
        assert found and (len(found) <= most or set(found.values()) == {max(often)})


def test_rare_pairs_around_places_are_left_out():
    row = row_of({"aab": 1, "ab": 1, "cb": 1})
    _, frequent = row.frequent_pairs(2, 10)
    (ab,) = frequent
    assert (ab.pair, ab.count) == ((A, B), 2)
    places = row.merge(ab.pair, 1000, ab.places)
    assert list(row.pairs_around(places, 2)) == []
    (a_ab,) = row.pairs_around(places, 1)
    assert (a_ab.pair, a_ab.count) == ((A, 1000), 1)

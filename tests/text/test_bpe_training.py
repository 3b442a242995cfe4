"""Training BPE: the same merges as counting everything anew each time; the rule for ties."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.text import bpe_training
from minillm.text.bpe_model import BPE
from minillm.text.bpe_training import learn_merges
from minillm.text.byte_alphabet import CHARACTERS, to_bytes, to_characters


def counting_anew(word_counts, n_tokens, min_frequency, ties="bytes"):
    """Algorithm 1 as it stands: count all pairs of all words, merge the best, count again."""
    words = {word: list(to_characters(word.encode())) for word in word_counts}
    tokens, merges = sorted(CHARACTERS), []
    while len(tokens) < n_tokens:
        counts = Counter()
        for word, pieces in words.items():
            for pair in pairwise(pieces):
                counts[pair] += word_counts[word]
        if ties == "bytes":
            best = max(counts, key=lambda p: (counts[p], *map(to_bytes, p)), default=None)
        else:
            best = max(
                counts, key=lambda p: (counts[p], *(-tokens.index(t) for t in p)), default=None
            )
        if best is None or counts[best] < max(min_frequency, 1):
            break
        for pieces in words.values():
            i = 0
            while i < len(pieces) - 1:
                if (pieces[i], pieces[i + 1]) == best:
                    pieces[i : i + 2] = ["".join(best)]
                i += 1
        if best not in merges:
            merges.append(best)
        if "".join(best) not in tokens:
            tokens.append("".join(best))
    return tokens, merges


@settings(max_examples=100)
@given(
    st.dictionaries(
        st.text(alphabet="abé", min_size=1, max_size=12), st.integers(1, 4), max_size=8
    ),
    st.integers(256, 280),
    st.integers(0, 3),
    st.sampled_from(["bytes", "ids"]),
)
def test_the_merges_are_those_of_counting_everything_anew(words, size, min_frequency, ties):
    expected = counting_anew(words, size, min_frequency, ties)
    assert learn_merges(words, size, min_frequency, ties=ties) == expected


WORDS = st.dictionaries(
    st.text(alphabet="abé", min_size=1, max_size=12), st.integers(1, 4), max_size=8
)


@settings(max_examples=100)
@given(WORDS, st.integers(256, 280), st.integers(0, 3), st.sampled_from(["bytes", "ids"]))
def test_the_merges_do_not_depend_on_how_many_pairs_are_waited_with(
    words, size, min_frequency, ties
):
    """Rare pairs wait until the frequent ones are merged: for the memory's sake only."""
    expected = learn_merges(words, size, min_frequency, ties=ties)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bpe_training, "MOST_CANDIDATES", 2)
        assert learn_merges(words, size, min_frequency, ties=ties) == expected


def test_a_merged_token_that_is_a_special_one_has_its_id():
    tokens, merges = learn_merges({"abc": 2}, 300, 1, ["bc"])
    assert merges == [("b", "c"), ("a", "bc")]
    assert tokens == ["bc", *sorted(CHARACTERS), "abc"]


def merges_of(words, n, **options):
    return learn_merges(words, 256 + n, 1, **options)[1]


def test_the_most_frequent_pair_is_merged_first():
    words = {"low": 5, "lower": 2, "newest": 6, "widest": 3}
    assert merges_of(words, 3) == [("s", "t"), ("e", "st"), ("o", "w")]


def test_ties_go_to_the_greatest_bytes():
    assert merges_of({"ab": 1, "cd": 1}, 2) == [("c", "d"), ("a", "b")]
    assert merges_of({"ab": 1, "ac": 1}, 1) == [("a", "c")]
    # "Ċ" stands for the byte 0x0A, the smallest here, whatever its character's code point is.
    assert merges_of({"\na": 1, "ba": 1}, 1) == [("b", "a")]
    # (xy, a) against (x, b): "xy" is greater than "x", which it begins with.
    assert merges_of({"xya": 2, "xb": 2, "xy": 1}, 2) == [("x", "y"), ("xy", "a")]


def test_or_to_the_smallest_ids():
    assert merges_of({"ab": 1, "cd": 1}, 2, ties="ids") == [("a", "b"), ("c", "d")]


def test_the_ids_are_special_tokens_bytes_and_merges_in_order():
    tokens, merges = learn_merges({"abab": 2}, 260, 1, ["<|endoftext|>", "a"])
    assert tokens == ["<|endoftext|>", "a", *sorted(set(CHARACTERS) - {"a"}), "ab", "abab"]
    assert merges == [("a", "b"), ("ab", "ab")]


def test_rare_pairs_are_not_merged():
    assert learn_merges({"ab": 3, "cd": 2}, 300, 3)[1] == [("a", "b")]


def test_one_long_word_is_no_worse_than_many_short_ones():
    """A word of 2^16 equal letters merges in 16 rounds, of half as many visits each."""
    tokens, merges = learn_merges({"a" * 2**16: 1}, 300, 1)
    assert [len(left + right) for left, right in merges] == [2**k for k in range(1, 17)]


@pytest.mark.parametrize("letters", ["ab", "abcdefghijklmnopqrstuvwxyz"])
def test_a_long_word_of_random_letters(letters):
    word = "".join(random.Random(0).choices(letters, k=3_000))
    expected = counting_anew({word: 1}, 300, 2)
    assert learn_merges({word: 1}, 300, 2) == expected
    assert learn_merges({word: 5}, 300, 10) == expected


def test_a_very_long_word_of_random_letters():
    """Here every merge changes the counts of all other pairs, and every pair of tokens comes up."""
    word = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=300_000))
    tokens, merges = learn_merges({word: 1}, 3000, 2)
    cut = BPE({token: id for id, token in enumerate(tokens)}, merges)[word]
    counts = Counter(zip(cut, cut[1:], strict=False))
    # What was merged was frequent; what is left is rarer than the last merge was.
    last_merge = sum(tokens[id] == tokens[-1] for id in cut)
    assert len(tokens) == 3000
    assert 2 <= max(counts.values()) <= last_merge


def test_a_vocabulary_without_room_for_the_bytes_is_refused():
    with pytest.raises(
        ValueError, match="vocab_size is 256; expected at least 257: 256 bytes and 1"
    ):
        learn_merges({"a": 1}, 256, 2, ["<|endoftext|>"])

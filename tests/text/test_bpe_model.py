"""BPE: merging by rank, checked against the definition taken literally; words of any length."""

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.text.bpe_model import BPE, BPECutter, merge_long_word, merge_word
from minillm.text.bpe_patterns import Pattern
from minillm.text.bpe_training import learn_merges
from minillm.text.byte_alphabet import CHARACTERS


def literally(ids, rank_of, merged):
    """Of all pairs the one with the lowest rank, leftmost; merge it; look at all pairs again."""
    ids = list(ids)
    while True:
        found = [
            (rank_of[p], i) for i, p in enumerate(zip(ids, ids[1:], strict=False)) if p in rank_of
        ]
        if not found:
            return ids
        rank, i = min(found)
        ids[i : i + 2] = [merged[rank]]


@st.composite
def rules(draw):
    """Merges in any order, so that a merge may make a pair that ranks before it."""
    pairs = draw(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), unique=True, max_size=25)
    )
    merged = [draw(st.integers(0, 9)) for _ in pairs]
    return {pair: rank for rank, pair in enumerate(pairs)}, merged


@settings(max_examples=200)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), rules())
def test_both_ways_of_merging_do_what_the_definition_says(ids, rules):
    expected = literally(ids, *rules)
    assert merge_word(list(ids), *rules) == expected
    assert merge_long_word(ids, *rules) == expected


def vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    return {t: i for i, t in enumerate([*CHARACTERS, *(a + b for a, b in merges)])}


MERGES = [("l", "o"), ("lo", "w"), ("e", "r"), ("Ġ", "low"), ("a", "a"), ("aa", "aa")]


def tokens_of(word: str, **options) -> list[str]:
    vocab = vocabulary(MERGES)
    names = {id: token for token, id in vocab.items()}
    return [names[id] for id in BPE(vocab, MERGES, **options)[word]]


@pytest.mark.parametrize(
    "word, tokens",
    [
        (" lower", ["Ġlow", "er"]),
        ("slow", ["s", "low"]),
        ("aaaaaaa", ["aaaa", "aa", "a"]),
        ("é", ["Ã", "©"]),
        ("", []),
    ],
)
def test_words_and_their_tokens(word, tokens):
    assert tokens_of(word) == tokens


def test_a_word_that_is_a_token_needs_no_merges_if_merges_are_ignored():
    vocab = vocabulary(MERGES) | {"slow": 999}
    assert BPE(vocab, MERGES)["slow"] == (CHARACTERS.index("s"), vocab["low"])
    assert BPE(vocab, MERGES, ignore_merges=True)["slow"] == (999,)


def test_a_long_word_gets_the_tokens_of_a_short_one():
    model = BPE(vocabulary(MERGES), MERGES)
    text = "".join(random.Random(0).choices("lower a", k=5000))
    ids = [CHARACTERS.index("Ġ" if c == " " else c) for c in text]
    assert list(model[text]) == merge_word(ids, model.ranks, model.merged)


def test_a_long_word_whose_merges_call_for_earlier_ones_takes_no_longer():
    """Every merge of x y makes a pair that comes before the next x y: 100,000 changes of rank."""
    x, y, w, z, done = range(5)
    rank_of, merged = {(z, w): 0, (x, y): 1}, [done, z]
    assert merge_long_word([x, y, w] * 100_000, rank_of, merged) == [done] * 100_000
    # And where the order matters: z swallows the x of the next x y.
    rank_of, merged = {(z, x): 0, (x, y): 1}, [done, z]
    ids = [x, y] * 200
    assert merge_long_word(ids, rank_of, merged) == literally(ids, rank_of, merged)


@pytest.mark.parametrize("letters", ["a", "etaoinshlw "])
def test_the_memory_for_a_long_word_grows_with_its_length_only(letters):
    model = BPE(vocabulary(MERGES), MERGES)
    word = "".join(random.Random(0).choices(letters, k=8_000))
    assert memory_for(lambda: model[word]) < 100 * len(word)  # measured: 31 to 84
    assert memory_for(lambda: learn_merges({word: 1}, 300, 2)) < 100 * len(word) + 500_000


def memory_for(work) -> int:
    """Bytes, at the highest point."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(BPE, "CACHE_SIZE", 10)
    model = BPE(vocabulary(MERGES), MERGES)
    for i in range(100):
        assert len(model[f"low{i}"]) == 1 + len(str(i))
        assert len(model) <= 10
    assert len(model["a" * 1000]) == 250
    assert "a" * 1000 not in model


@pytest.mark.parametrize(
    "merges, message",
    [
        ([("l", "o"), ("l", "x")], "merge number 1, 'l' [+] 'x', contradicts .* token 'lx'"),
        ([("l", "书")], "the token '书' isn't in it"),
        ([("l", "o"), ("e", "r"), ("l", "o")], "number 2, 'l' [+] 'o', repeats number 0"),
    ],
)
def test_merges_that_contradict_the_vocabulary_are_refused(merges, message):
    with pytest.raises(ValueError, match=message):
        BPE(vocabulary(MERGES), merges)


def test_a_byte_that_the_vocabulary_lacks_is_named():
    vocab = vocabulary(MERGES)
    del vocab["s"]
    with pytest.raises(ValueError, match=r"lacks the byte 0x73 \('s'\), .* in b'slow'"):
        BPE(vocab, MERGES)["slow"]


def test_the_place_of_a_token_is_every_character_that_it_touches():
    cutter = BPECutter(BPE(vocabulary(MERGES), MERGES), Pattern("gpt2"))
    low, e, acute = CHARACTERS.index("l"), CHARACTERS.index("Ã"), CHARACTERS.index("©")
    assert list(cutter.words("lé l")) == [
        [(low, 0, 1), (e, 1, 2), (acute, 1, 2)],
        [(CHARACTERS.index("Ġ"), 2, 3), (low, 3, 4)],
    ]


@given(st.text(alphabet="low é书😀\n"), st.booleans())
def test_both_ways_through_the_cutter_give_the_same_ids(text, add_prefix_space):
    cutter = BPECutter(BPE(vocabulary(MERGES), MERGES), Pattern("gpt2"), add_prefix_space)
    assert [id for word in cutter.words(text) for id, _, _ in word] == list(cutter.ids(text))

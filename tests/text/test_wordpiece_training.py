"""The incremental trainer learns what counting everything anew for each merge would."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.text import BertNormalizer
from minillm.text.wordpiece_training import count_words, train_vocabulary


def train_naively(word_counts, vocab_size: int, min_frequency: int = 1) -> list[str]:
    """Sennrich et al. 2016, algorithm 1, word for word; ties: the smaller ids."""
    words = {word: [word[0], *("##" + c for c in word[1:])] for word in word_counts}
    alphabet = sorted({c for word in words for c in word})
    inside = sorted({c for word in words for c in word[1:]})
    tokens = alphabet + ["##" + c for c in inside]
    while len(tokens) < vocab_size:
        pairs = Counter()
        for word, n in word_counts.items():
            for pair in zip(words[word], words[word][1:], strict=False):
                pairs[pair] += n
        if not pairs or max(pairs.values()) < min_frequency:
            break
        best = min(pairs, key=lambda p: (-pairs[p], tokens.index(p[0]), tokens.index(p[1])))
        merged = best[0] + best[1].removeprefix("##")
        for word, pieces in words.items():
            new = []
            for piece in pieces:
                if new and (new[-1], piece) == best:
                    new[-1] = merged
                else:
                    new.append(piece)
            words[word] = new
        if merged not in tokens:
            tokens.append(merged)
    return tokens


word_counts = st.dictionaries(
    st.text(alphabet="abc", min_size=1, max_size=8), st.integers(1, 9), min_size=1, max_size=12
)


@given(word_counts, st.integers(6, 40), st.integers(1, 5))
def test_equals_the_naive_trainer(word_counts, vocab_size, min_frequency):
    assert train_vocabulary(word_counts, vocab_size, min_frequency) == train_naively(
        word_counts, vocab_size, min_frequency
    )


def test_the_example_of_the_module():
    counts = {"low": 5, "lower": 2, "er": 1}
    tokens = train_vocabulary(counts, 100, min_frequency=2, special_tokens=["[UNK]"])
    alphabet = ["e", "l", "o", "r", "w", "##e", "##o", "##r", "##w"]
    assert tokens == ["[UNK]", *alphabet, "lo", "low", "##er", "lower"]


def test_min_frequency_and_vocab_size_end_the_merging():
    counts = {"ab": 3, "cd": 2, "ef": 1}
    assert train_vocabulary(counts, 100, min_frequency=2)[9:] == ["ab", "cd"]
    assert train_vocabulary(counts, 10, min_frequency=2)[9:] == ["ab"]
    assert train_vocabulary(counts, 100, min_frequency=0)[9:] == ["ab", "cd", "ef"]


@given(word_counts, st.randoms(use_true_random=False))
def test_the_order_of_the_words_does_not_matter(word_counts, random):
    shuffled = list(word_counts.items())
    random.shuffle(shuffled)
    assert train_vocabulary(dict(shuffled), 30) == train_vocabulary(word_counts, 30)


def test_rare_characters_leave_the_alphabet_and_their_words_the_training():
    counts = {"ab": 5, "cab": 2, "你": 3, "好": 3}
    # a 7, b 7, then 你 and 好 at 3 (the smaller code point first), c 2
    tokens = train_vocabulary(counts, 100, limit_alphabet=3)
    assert tokens == ["a", "b", "你", "##b", "ab"]


def test_overlong_words_do_not_count():
    assert train_vocabulary({"ab": 2, "x" * 101: 9}, 100) == ["a", "b", "##b", "ab"]


@pytest.mark.parametrize(
    "counts, size, message",
    [
        ({}, 100, "no word to train on"),
        ({"x" * 101: 1}, 100, "no word to train on"),
        ({"abc": 1}, 5, r"vocab_size 5 is too small .* take vocab_size >= 6"),
    ],
)
def test_too_little_text_or_room(counts, size, message):
    with pytest.raises(ValueError, match=message):
        train_vocabulary(counts, size, special_tokens=["[UNK]"])


def test_words_are_counted_after_normalisation():
    texts = (text for text in ["Café cafe!", "", "你好 CAFE\u0301\ud800"])
    assert count_words(texts, BertNormalizer()) == {"cafe": 3, "!": 1, "你": 1, "好": 1}


@pytest.mark.parametrize(
    "texts, message",
    [
        ("one text", r"put a single text into a list"),
        (b"bytes", "got bytes"),
        (None, "got NoneType"),
        (["fine", 3], "text number 1 is 3"),
        ([b"bytes"], "text number 0"),
    ],
)
def test_only_iterables_of_texts_can_be_counted(texts, message):
    with pytest.raises(TypeError, match=message):
        count_words(texts, BertNormalizer())

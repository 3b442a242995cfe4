"""The tokenizer of whole words: which words get an id, and what becomes of the others."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.text import WordPieceTokenizer
from minillm.text.words import train_word_tokenizer

TEXTS = ["The film is good, very good.", "the film is bad", "Good film! 好看"]


def test_the_most_frequent_words_come_first():
    tokenizer = train_word_tokenizer(TEXTS, min_frequency=1)
    tokens = list(tokenizer.get_vocab())
    # film and good 3 times, is and the 2 times, then the rest, each in the alphabet's order
    assert tokens[:6] == ["[PAD]", "[UNK]", "film", "good", "is", "the"]
    assert tokens[6:] == ["!", ",", ".", "bad", "very", "好", "看"]


def test_a_word_is_whole_or_unknown():
    tokenizer = train_word_tokenizer(TEXTS, min_frequency=1)
    assert tokenizer.encode("Goodness, the FILM is goodgood").tokens == [
        *("[UNK]", ",", "the", "film", "is", "[UNK]")
    ]
    assert tokenizer.encode("好电看").tokens == ["好", "[UNK]", "看"]
    assert tokenizer.encode("").ids == []  # no special tokens around


def test_rare_words_and_a_full_vocabulary():
    assert list(train_word_tokenizer(TEXTS).get_vocab()) == [
        *("[PAD]", "[UNK]", "film", "good", "is", "the")
    ]
    small = train_word_tokenizer(TEXTS, vocab_size=3)
    assert list(small.get_vocab()) == ["[PAD]", "[UNK]", "film"]


def test_case_can_be_kept():
    tokenizer = train_word_tokenizer(TEXTS, min_frequency=1, lowercase=False)
    assert tokenizer.token_to_id("Good") is not None and tokenizer.token_to_id("GOOD") is None


def test_a_word_that_no_tokenizer_would_look_up_takes_no_id():
    """Words of more than 100 characters are [UNK] in any case."""
    tokenizer = train_word_tokenizer(["a " + "x" * 101], min_frequency=1)
    assert list(tokenizer.get_vocab()) == ["[PAD]", "[UNK]", "a"]


WORDS = st.lists(st.text("abc#[]", min_size=1, max_size=4), min_size=1, max_size=30)


@given(WORDS, st.integers(3, 12))
def test_every_word_of_the_vocabulary_is_found_again(words, vocab_size):
    text = " ".join(words)
    tokenizer = train_word_tokenizer([text], vocab_size, min_frequency=1)
    vocabulary = list(tokenizer.get_vocab())
    assert len(vocabulary) <= vocab_size
    pieces = tokenizer.encode(text).tokens
    counts = Counter(pieces)
    assert all(counts[word] > 0 for word in vocabulary[2:])
    if len(vocabulary) < vocab_size:  # there was room for all of them
        assert "[UNK]" not in pieces


def test_file_round_trip(tmp_path):
    tokenizer = train_word_tokenizer(TEXTS)
    tokenizer.save(tmp_path / "tokenizer.json")
    again = WordPieceTokenizer.from_file(tmp_path / "tokenizer.json")
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again.encode("the good, Film").ids == tokenizer.encode("the good, Film").ids


def test_texts_without_frequent_words_are_refused():
    with pytest.raises(ValueError, match="no word occurs 2 times or more"):
        train_word_tokenizer(["each word once"])
    with pytest.raises(ValueError, match="no word occurs 1 times or more"):
        train_word_tokenizer([""], min_frequency=1)
    with pytest.raises(TypeError, match="one text|iterable of texts"):
        train_word_tokenizer("a text")
    with pytest.raises(ValueError, match="vocab_size is 0"):
        train_word_tokenizer(TEXTS, vocab_size=0)
    with pytest.raises(ValueError, match="vocab_size is 2; expected at least 3"):
        train_word_tokenizer(TEXTS, vocab_size=2)

"""On texts made to be slow every step does what its plain form does, in a time that one can wait.

Nothing here measures time (tests/benchmarks/linear_text.py does).  A step that took time quadratic
in the length would need minutes for these texts.
"""

import itertools

import pytest
from adversarial_texts import SHAPES

from minillm.text import (
    BPETokenizer,
    CharacterTokenizer,
    WordPieceTokenizer,
    clean_text,
    split_sentences,
)
from minillm.text.bpe_patterns import PATTERNS, Pattern
from minillm.text.pretokenize import split_words, word_spans
from minillm.text.word_counts import count_words

N_BYTES = 50_000
SAMPLE = [shape(1_500) for shape in SHAPES.values()]

each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def without_space(text):
    return "".join(text.split())


@each_shape
def test_cleaning_and_sentences(shape):
    """A clean text is clean; sentences are the text without the space between them."""
    text = shape(N_BYTES)
    clean = clean_text(text)
    assert len(clean) <= len(text)
    assert clean_text(clean, html=False) == clean
    for any_text in (text, clean):
        sentences = split_sentences(any_text)
        assert without_space("".join(sentences)) == without_space(any_text)
        assert all(sentence.strip() == sentence != "" for sentence in sentences)


@each_shape
def test_words(shape):
    text = shape(N_BYTES)
    for name in PATTERNS:
        words = Pattern(name).words(text)
        assert "".join(words) == text and "" not in words
        spans = Pattern(name).spans(text)
        assert all(text[a:b] == word for word, (a, b) in zip(words, spans, strict=True))
    assert count_words([text], Pattern("whitespace").words, 1).total() == len(words)
    bert = split_words(text)
    assert bert == [word for word, _, _ in word_spans(text)]
    assert without_space("".join(bert)) == without_space(text)


@pytest.fixture(scope="module")
def tokenizers():
    return (
        BPETokenizer.train(SAMPLE, 1500, processes=1),
        WordPieceTokenizer.train(SAMPLE, 1500, show_progress=False),
        CharacterTokenizer.train(SAMPLE, unk_token="<|unknown|>"),
    )


@each_shape
def test_ids(shape, tokenizers):
    """The ids are those of the words, one by one, and the text comes back."""
    text = shape(N_BYTES)
    bpe, wordpiece, characters = tokenizers
    assert bpe.decode(bpe.encode_ids(text), skip_special_tokens=False) == text
    if "<|endoftext|>" not in text:
        words = split_words(wordpiece.normalizer.normalize_str(text))
        of_words = {word: wordpiece.model[word] for word in set(words)}
        expected = list(itertools.chain.from_iterable(of_words[word] for word in words))
        assert wordpiece.encode_ids(text) == expected
        assert len(characters.encode_ids(text)) == len(text)


def test_long_words_are_not_remembered(tokenizers):
    bpe, wordpiece, _ = tokenizers
    for model in (bpe.model, wordpiece.model):
        model.clear()
        assert model["a" * 100] == model["a" * 100]
        assert model["a" * 101] == model["a" * 101]
        assert list(model) == ["a" * 100]

"""Material that the tests of minillm.data share."""

import random

import numpy as np
import pytest

from minillm.data import EncodedCorpus
from minillm.text import WordPieceTokenizer

WORDS = (
    "the a old young film story actor scene plays sings walks unbelievable beautifully slowly "
    "house river winter night and but because never always something nothing everybody"
).split()


def write_document(rng: random.Random, sentences: int) -> str:
    """A document of `sentences` sentences of 2 to 15 words."""
    return " ".join(
        " ".join(rng.choice(WORDS) for _ in range(rng.randint(2, 15))).capitalize() + "."
        for _ in range(sentences)
    )


@pytest.fixture(scope="session")
def documents() -> list[str]:
    """120 different documents of 1 to 12 sentences."""
    rng = random.Random(0)
    return [write_document(rng, 1 + i % 12) for i in range(120)]


@pytest.fixture(scope="session")
def tokenizer(documents):
    """A trained tokenizer whose vocabulary is small enough for words to come in pieces."""
    return WordPieceTokenizer.train(documents, vocab_size=90, show_progress=False)


@pytest.fixture(scope="session")
def make_encoded():
    """A function: documents as lists of sentence lengths -> EncodedCorpus in memory.

    Token i of the corpus has the id i, so an id tells the place it comes from.
    """

    def make(sentence_lengths: list[list[int]], keys=None) -> EncodedCorpus:
        lengths = [length for document in sentence_lengths for length in document]
        counts = [len(document) for document in sentence_lengths]
        return EncodedCorpus(
            tokens=np.arange(sum(lengths)),
            sentence_offsets=np.cumsum([0, *lengths]),
            document_offsets=np.cumsum([0, *counts]),
            document_keys=np.arange(len(counts)) if keys is None else np.array(keys),
        )

    return make


@pytest.fixture(scope="session")
def many_lengths() -> list[list[int]]:
    """Sentence lengths of 600 documents, as uneven as in real text: 1 to 30 sentences each."""
    rng = np.random.default_rng(0)
    return [
        np.clip(rng.lognormal(2.5 + rng.normal(0, 0.2), 0.6, size=rng.integers(1, 31)), 1, 150)
        .astype(int)
        .tolist()
        for _ in range(600)
    ]

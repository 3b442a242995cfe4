"""How good are word vectors?  Two questions whose answers people wrote down.

Similarity: do the cosines rank pairs of words as people do?  ("tiger" and "cat" are alike, "noon"
and "string" are not; Finkelstein et al. 2002, WordSim-353.)  Compared by ranks (Spearman), for a
cosine of 0.6 is no judgement of 6 out of 10.

Analogies: does king - man + woman lie nearest to "queen"?  (Mikolov et al. 2013, "Efficient
Estimation of Word Representations in Vector Space", section 4.1.)

Files, results and what is left out are as in gensim's functions of the same names.
"""

import os
from dataclasses import dataclass

import numpy as np

from minillm.models.keyed_vectors import KeyedVectors, unit


def average_ranks(x) -> np.ndarray:
    """The rank of each number, 1 for the smallest; equal numbers share the mean of their ranks."""
    x = np.asarray(x, dtype=np.float64)
    _, group, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)  # the highest rank in each group
    return (last - (counts - 1) / 2)[group]


def pearson(x, y) -> float:
    """cov(x, y) / (std(x) std(y)): 1 if y rises with x in a straight line."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise ValueError(f"expected two rows of equal length >= 2, got {x.shape} and {y.shape}")
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt((x * x).sum() * (y * y).sum())
    return float((x * y).sum() / norm) if norm > 0 else float("nan")


def spearman(x, y) -> float:
    """Pearson's correlation of the ranks: 1 if y rises whenever x does; nan if one is constant."""
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("spearman needs finite numbers")
    return pearson(average_ranks(x), average_ranks(y))


@dataclass(frozen=True)
class WordPairs:
    """What `evaluate_word_pairs` found; pairs with an unknown word are counted as missing."""

    spearman: float
    pearson: float
    pairs: int
    missing: int


@dataclass(frozen=True)
class Analogies:
    """Of the analogies whose four words are known: how many were solved."""

    correct: int
    total: int
    missing: int

    @property
    def accuracy(self) -> float:
        return self.correct / self.total if self.total else float("nan")


def evaluate_word_pairs(
    vectors: KeyedVectors,
    path: str | os.PathLike,
    delimiter: str = "\t",
    restrict_vocab: int = 300_000,
    case_insensitive: bool = True,
) -> WordPairs:
    """Correlation of the cosines with people's judgements.

    path: a line "word1 <delimiter> word2 <delimiter> number" for each pair; lines that begin with
    # are comments.  restrict_vocab: only the first (most frequent) words are known.
    Raises ValueError for a line of another form, or if fewer than 2 pairs are known.
    """
    index = _index(vectors, restrict_vocab, case_insensitive)
    cosines, judgements, missing = [], [], 0
    for number, line in _lines(path):
        if line.startswith("#"):
            continue
        parts = line.split(delimiter)
        try:
            first, second, judgement = parts[0], parts[1], float(parts[2])
        except (IndexError, ValueError):
            raise ValueError(
                f"{path}, line {number}: expected two words and a number, separated by "
                f"{delimiter!r}, got {line[:60]!r}"
            ) from None
        rows = _rows(index, (first.strip(), second.strip()), case_insensitive)
        if rows is None:
            missing += 1
            continue
        a, b = unit(vectors.vectors[rows])
        cosines.append(float(a @ b))
        judgements.append(judgement)
    if len(cosines) < 2:
        raise ValueError(f"{path}: {len(cosines)} pairs of known words, {missing} of unknown ones")
    return WordPairs(
        spearman(cosines, judgements), pearson(cosines, judgements), len(cosines), missing
    )


def evaluate_word_analogies(
    vectors: KeyedVectors,
    path: str | os.PathLike,
    restrict_vocab: int = 300_000,
    case_insensitive: bool = True,
) -> dict[str, Analogies]:
    """The share of solved analogies for each group of the file, and of all under "total".

    path: lines "a b c d" (a is to b as c is to d) under lines ": group".  Solved: d is the word
    nearest to b - a + c (all of length 1) among the first `restrict_vocab` words except a, b, c.
    Raises ValueError for a line of another form.
    """
    index = _index(vectors, restrict_vocab, case_insensitive)
    groups: dict[str, list[list[int]]] = {}
    missing: dict[str, int] = {}
    group = None
    for number, line in _lines(path):
        if line.startswith(":"):
            group = line[1:].strip()
            groups.setdefault(group, [])
            missing.setdefault(group, 0)
            continue
        words = line.split()
        if len(words) != 4 or group is None:
            raise ValueError(
                f"{path}, line {number}: expected four words"
                f"{'' if group else ' below a line with the name of their group, such as : family'}"
                f", got {line[:60]!r}"
            )
        rows = _rows(index, words, case_insensitive)
        if rows is None:
            missing[group] += 1
        else:
            groups[group].append(rows)
    units = unit(vectors.vectors[:restrict_vocab])
    results = {
        name: Analogies(_count_solved(units, np.array(rows)), len(rows), missing[name])
        for name, rows in groups.items()
    }
    results["total"] = Analogies(
        sum(r.correct for r in results.values()),
        sum(r.total for r in results.values()),
        sum(r.missing for r in results.values()),
    )
    return results


def _count_solved(units: np.ndarray, rows: np.ndarray, block: int = 256) -> int:
    """units (V, d) of length 1; rows (n, 4): how often d is the best answer to a : b = c : ?"""
    solved = 0
    for start in range(0, len(rows), block):
        a, b, c, d = rows[start : start + block].T
        scores = (units[b] - units[a] + units[c]) @ units.T  # (block, V)
        for given in (a, b, c):
            scores[np.arange(len(scores)), given] = -np.inf
        solved += int((scores.argmax(1) == d).sum())
    return solved


def _index(vectors: KeyedVectors, restrict_vocab: int, case_insensitive: bool) -> dict[str, int]:
    """word -> row; of spellings that differ in case only, the first (most frequent) counts."""
    index: dict[str, int] = {}
    for row, word in enumerate(vectors.index_to_key[:restrict_vocab]):
        index.setdefault(_fold(word, case_insensitive), row)
    return index


def _rows(index: dict[str, int], words, case_insensitive: bool) -> list[int] | None:
    """The rows of the words, or None if one of them is unknown."""
    rows = [index.get(_fold(word, case_insensitive)) for word in words]
    return None if None in rows else [row for row in rows if row is not None]


def _fold(word: str, case_insensitive: bool) -> str:
    return word.upper() if case_insensitive else word


def _lines(path):
    """(number, line) of the lines that aren't empty."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            line = line.rstrip("\r\n")
            if line.strip():
                yield number, line

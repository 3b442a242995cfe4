"""A text as the set of its word n-grams: which of the known n-grams stand in it?

    "not a good film"  ->  not, a, good, film, "not a", "a good", "good film", "not a good", ...

The order of the words is forgotten but for the little of it that n-grams keep; that little
("not good", "waste of time") is much of what a sentiment classifier needs.  Only presence counts,
not how often: Wang and Manning 2012 ("Baselines and Bigrams: Simple, Good Sentiment and Topic
Classification") found that to be better.

An n-gram is a pair: a known (n-1)-gram, and the word behind it.  So all texts together are one
long array of word ids, and the n-grams in it follow from the (n-1)-grams by arithmetic on whole
arrays, key = id of the (n-1)-gram * number of words + id of the word: no tuples, no strings.  What
stands in `min_count` texts begins with an (n-1)-gram that does so too: what is too rare is dropped
at each length, before the next length makes many more of it.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from minillm.files import atomic_write
from minillm.foreign_files import MB, read_bytes, shortened
from minillm.models.text_classifier import check_texts
from minillm.text import BertNormalizer, clean_text
from minillm.text.pretokenize import split_words

UNKNOWN = -1  # the id of a word that isn't known, and of what stands between two texts
_LARGEST = 256 * MB  # of a file of n-grams: some ten million
TEXTS_AT_ONCE = 4096  # bounds the memory that `transform` takes


class PresenceMatrix(NamedTuple):
    """A sparse matrix (N, V) of zeros and ones: the columns of its ones, row by row.

    Row i has its ones in the columns indices[indptr[i]:indptr[i + 1]], in ascending order (the
    format CSR, compressed sparse rows, without values).  indptr (N + 1,) int64, indices int32.
    """

    indptr: np.ndarray
    indices: np.ndarray
    shape: tuple[int, int]

    def rows(self, chosen) -> "PresenceMatrix":
        """The matrix of the chosen rows (an array of row numbers), in that order."""
        chosen = np.asarray(chosen)
        counts = np.diff(self.indptr)[chosen]
        indptr = offsets(counts)
        # Element k of the result, in its row i, is element k - indptr[i] of the row chosen[i].
        places = np.arange(indptr[-1]) + np.repeat(self.indptr[chosen] - indptr[:-1], counts)
        return PresenceMatrix(indptr, self.indices[places], (len(chosen), self.shape[1]))

    def times(self, w: np.ndarray) -> np.ndarray:
        """X w: for each row the sum of w (V,) over its columns, (N,)."""
        # reduceat sums from each start to the next; rows without ones must be left out.
        filled = np.flatnonzero(np.diff(self.indptr))
        product = np.zeros(self.shape[0], w.dtype)
        if len(filled):
            product[filled] = np.add.reduceat(w[self.indices], self.indptr[filled])
        return product

    def transposed_times(self, g: np.ndarray) -> np.ndarray:
        """X^T g: for each column the sum of g (N,) over the rows that have a one there, (V,)."""
        g_at_ones = np.repeat(g, np.diff(self.indptr))
        return np.bincount(self.indices, weights=g_at_ones, minlength=self.shape[1])


class NGramVocabulary:
    """The n-grams, of one word to `n` words, that a model knows, and how to find them in texts.

    ngrams: the n-grams in the order of their ids, each as its words with a space between.  First
    all words, then all pairs, sorted by (id of the first word, id of the second word), then all
    triples, sorted by (id of the first pair, id of the third word), and so on.
    lowercase: False tells "Good" and "good" (and "é" and "e") apart.

    Raises ValueError for a list that is not so ordered, or misses the beginning of an n-gram or a
    word of it.
    """

    def __init__(self, ngrams: Sequence[str], lowercase: bool = True):
        self.ngrams = list(ngrams)
        self.lowercase = lowercase
        self._normalizer = BertNormalizer(lowercase=lowercase)
        ids = {ngram: id for id, ngram in enumerate(self.ngrams)}
        lengths = np.array([ngram.count(" ") + 1 for ngram in self.ngrams])
        if len(ids) < len(self.ngrams) or np.any(np.diff(lengths) < 0) or "" in ids:
            raise ValueError("the n-grams must be distinct: first all words, then all pairs, ...")
        # Where those of k words begin, for k = 1 to n + 1.
        longest = int(lengths[-1]) if len(lengths) else 0
        self._starts = np.searchsorted(lengths, np.arange(1, longest + 2)).tolist()
        self._word_ids = {word: ids[word] for word in self.ngrams[: self._number_of_words]}
        self._keys = [self._keys_of(k, ids) for k in range(2, longest + 1)]

    def _keys_of(self, k: int, ids: dict[str, int]) -> np.ndarray:
        """The keys of the n-grams of k words, in ascending order."""
        keys = []
        for ngram in self.ngrams[self._starts[k - 1] : self._starts[k]]:
            beginning, _, word = ngram.rpartition(" ")
            if beginning not in ids or word not in self._word_ids:
                raise ValueError(f"{ngram!r} is known, but not {beginning!r} or not {word!r}")
            keys.append(ids[beginning] * self._number_of_words + ids[word])
        if np.any(np.diff(keys) <= 0):
            raise ValueError(f"the n-grams of {k} words are not sorted by their beginnings' ids")
        return np.array(keys, np.int64)

    def __len__(self) -> int:
        return len(self.ngrams)

    @property
    def n(self) -> int:
        """The number of words in the longest n-grams."""
        return len(self._starts) - 1

    @property
    def _number_of_words(self) -> int:
        return self._starts[1] if self.n else 0

    # ---------------------------------------------------------------------------- finding n-grams

    def transform(self, texts: Iterable[str], show_progress: bool = False) -> PresenceMatrix:
        """Which n-grams stand in each text: a matrix (N, V).  A text may hold none.

        Raises TypeError for a text that is no str.
        """
        texts = check_texts(texts)
        blocks = range(0, len(texts), TEXTS_AT_ONCE)
        indices, counts = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
        for start in tqdm(blocks, desc="finding n-grams", disable=not show_progress):
            block = texts[start : start + TEXTS_AT_ONCE]
            row, column = self._find(block)
            # Sorted by row, then by column, each pair once.
            pairs = np.unique(row * len(self) + column)
            indices.append((pairs % max(len(self), 1)).astype(np.int32))
            counts.append(np.bincount(pairs // max(len(self), 1), minlength=len(block)))
        return PresenceMatrix(
            offsets(np.concatenate(counts)), np.concatenate(indices), (len(texts), len(self))
        )

    def _find(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(number of the text, id) of every n-gram at every place."""
        words, row = _word_stream(texts, self._normalizer, self._word_ids, grow=False)
        found = words  # the id of the n-gram of k words that begins at each place, or UNKNOWN
        rows, columns = [], []
        for k in range(1, self.n + 1):
            if k > 1:
                keys, key = self._keys[k - 2], _keys(found, words, k, self._number_of_words)
                place = np.searchsorted(keys, key)
                known = keys[np.minimum(place, len(keys) - 1)] == key
                found = np.where(known, place + self._starts[k - 1], UNKNOWN)
            at = np.flatnonzero(found >= 0)
            rows.append(row[at])
            columns.append(found[at])
        return np.concatenate(rows or [row[:0]]), np.concatenate(columns or [words[:0]])

    # -------------------------------------------------------------------------- choosing n-grams

    @classmethod
    def fit(
        cls,
        texts: Iterable[str],
        n: int = 3,
        min_count: int = 2,
        max_features: int | None = None,
        lowercase: bool = True,
        show_progress: bool = False,
    ) -> "NGramVocabulary":
        """The n-grams of 1 to `n` words that stand in at least `min_count` of the texts.

        max_features: of these only so many, those that stand in the most texts (of equals the
        shorter, then the smaller id).  Words have the smaller ids the more texts they stand in.

        Raises ValueError for options out of range or if no n-gram is left, TypeError for a text
        that is no str.
        """
        limits = {"n": n, "min_count": min_count, "max_features": max_features}
        for name, value in limits.items():
            if value is not None and value < 1:
                raise ValueError(f"{name}={value}, expected 1 or more")
        texts = check_texts(texts)
        normalizer = BertNormalizer(lowercase=lowercase)
        ids: dict[str, int] = defaultdict(lambda: len(ids))
        progress = tqdm(texts, desc="reading words", unit=" texts", disable=not show_progress)
        words, row = _word_stream(progress, normalizer, ids, grow=True)

        # Words: those in enough texts, the most frequent first (then alphabetically).
        spellings = list(ids)
        frequency = _document_frequency(words, row, len(spellings))
        chosen = [i for i in range(len(spellings)) if frequency[i] >= min_count]
        chosen.sort(key=lambda i: (-frequency[i], spellings[i]))
        ngrams = [spellings[i] for i in chosen]
        if not ngrams:
            raise ValueError(
                f"no word stands in at least min_count={min_count} of the {len(texts)} texts: "
                "give more texts, or a smaller min_count"
            )
        frequencies = [frequency[chosen]]
        new_id = np.full(len(spellings) + 1, UNKNOWN)  # new_id[UNKNOWN] is the last: UNKNOWN
        new_id[chosen] = np.arange(len(chosen))
        words = found = new_id[words]

        for k in range(2, n + 1):
            key = _keys(found, words, k, len(chosen))
            at = np.flatnonzero(key >= 0)
            keys, place = np.unique(key[at], return_inverse=True)
            frequency = _document_frequency(place, row[at], len(keys))
            frequent = frequency >= min_count
            id = np.where(frequent, np.cumsum(frequent) - 1 + len(ngrams), UNKNOWN)
            found = np.full(len(words), UNKNOWN)
            found[at] = id[place]
            beginnings, last_words = np.divmod(keys[frequent], len(chosen))
            ngrams += [
                f"{ngrams[beginning]} {ngrams[word]}"
                for beginning, word in zip(beginnings.tolist(), last_words.tolist(), strict=True)
            ]
            frequencies.append(frequency[frequent])

        if max_features is not None:
            # A beginning, or a word, is as frequent as the n-gram at least and has a smaller id:
            # it is chosen before, so the chosen ones are a vocabulary again.
            order = np.argsort(-np.concatenate(frequencies), kind="stable")
            ngrams = [ngrams[id] for id in np.sort(order[:max_features]).tolist()]
        return cls(ngrams, lowercase)

    # ------------------------------------------------------------------------------------- files

    def save(self, path: str | os.PathLike) -> None:
        """Write the n-grams, one a line, in the order of their ids."""
        atomic_write(path, "".join(f"{ngram}\n" for ngram in self.ngrams))

    @classmethod
    def from_file(cls, path: str | os.PathLike, lowercase: bool = True) -> "NGramVocabulary":
        """Read what `save` wrote.  Raises FileNotFoundError, and ValueError, with the path, for a
        file that is something else."""
        try:
            text = read_bytes(path, _LARGEST).decode("utf-8")
            return cls(text.split("\n")[:-1], lowercase)
        except ValueError as error:  # UnicodeDecodeError is one
            raise ValueError(f"{path} is not a list of n-grams: {shortened(error)}") from error


def offsets(counts: np.ndarray) -> np.ndarray:
    """[0, counts[0], counts[0] + counts[1], ...]: where each of the groups begins, and the end."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _word_stream(texts, normalizer, ids, grow) -> tuple[np.ndarray, np.ndarray]:
    """(the word id, the number of the text) at every place of all texts, one after the other.

    After each text stands UNKNOWN, so that no n-gram reaches into the next.  With `grow`, `ids`
    gives new words an id; without, they are UNKNOWN.
    """
    lookup = ids.__getitem__ if grow else lambda word: ids.get(word, UNKNOWN)
    stream: list[np.ndarray] = []
    for text in texts:
        words = split_words(normalizer.normalize_str(clean_text(text)))
        stream.append(np.array([*map(lookup, words), UNKNOWN], np.int64))
    row = np.repeat(np.arange(len(stream)), [len(words) for words in stream])
    return np.concatenate([np.empty(0, np.int64), *stream]), row


def _keys(beginnings: np.ndarray, words: np.ndarray, k: int, number_of_words: int) -> np.ndarray:
    """The key of the k words at each place, UNKNOWN where they are no known (k-1)-gram and word.

    beginnings: the id of the (k-1)-gram that begins at each place, words: of the word there.
    """
    last = np.full(len(words), UNKNOWN)
    last[: len(words) - k + 1] = words[k - 1 :]
    known = (beginnings >= 0) & (last >= 0)
    return np.where(known, beginnings * number_of_words + last, UNKNOWN)


def _document_frequency(ids: np.ndarray, row: np.ndarray, size: int) -> np.ndarray:
    """In how many texts each id stands; ids (T,) in 0..size - 1 or UNKNOWN, row (T,) ascending."""
    known = ids >= 0
    texts = int(row[-1]) + 1 if len(row) else 1
    pairs = np.unique(ids[known] * texts + row[known])  # each (id, text) once
    return np.bincount(pairs // texts, minlength=size)

"""Words and their vectors: look up, compare, find neighbours, solve analogies, read and write.

    vectors["king"]                                               # (d,) float32
    vectors.similarity("king", "queen")                           # cosine
    vectors.most_similar(positive=["king", "woman"], negative=["man"])
    vectors.save_word2vec_format("vectors.txt")

Names are those of gensim's class of the same name.  The file formats are in `vector_formats.py`.
"""

import os
from collections.abc import Sequence

import numpy as np

from minillm.models import vector_formats


class KeyedVectors:
    """index_to_key[i] is the word of row i of vectors (V, d) float32; key_to_index the reverse.

    Words that come from a corpus stand in order of their frequency, most frequent first.
    """

    def __init__(self, words: Sequence[str], vectors: np.ndarray):
        self.index_to_key = list(words)
        self.key_to_index = {word: i for i, word in enumerate(self.index_to_key)}
        self.vectors = np.asarray(vectors, dtype=np.float32)
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.index_to_key):
            raise ValueError(
                f"{len(self.index_to_key)} words need vectors of shape "
                f"({len(self.index_to_key)}, d), got {self.vectors.shape}"
            )
        if len(self.key_to_index) != len(self.index_to_key):
            twice = next(w for i, w in enumerate(words) if self.key_to_index[w] != i)
            raise ValueError(f"the word {twice!r} is listed twice")

    @property
    def vector_size(self) -> int:
        return self.vectors.shape[1]

    def __len__(self) -> int:
        return len(self.index_to_key)

    def __contains__(self, word: str) -> bool:
        return word in self.key_to_index

    def get_index(self, word: str) -> int:
        """The row of `word`; a KeyError that says that it has no vector."""
        try:
            return self.key_to_index[word]
        except KeyError:
            raise KeyError(f"the word {word!r} has no vector (of {len(self)} words)") from None

    def __getitem__(self, words: str | Sequence[str]) -> np.ndarray:
        """The vector (d,) of a word, or (n, d) of a list of words."""
        if isinstance(words, str):
            return self.vectors[self.get_index(words)]
        return self.vectors[[self.get_index(word) for word in words]]

    def unit_vectors(self) -> np.ndarray:
        """(V, d): every vector divided by its length (a vector of zeros stays zero)."""
        return unit(self.vectors)

    def similarity(self, w1: str, w2: str) -> float:
        """cos(v1, v2) = <v1, v2> / (|v1| |v2|), from -1 to 1."""
        return float(unit(self[w1]) @ unit(self[w2]))

    def most_similar(
        self,
        positive: str | Sequence[str | np.ndarray] | np.ndarray | None = None,
        negative: str | Sequence[str | np.ndarray] | np.ndarray | None = None,
        topn: int = 10,
        restrict_vocab: int | None = None,
    ) -> list[tuple[str, float]]:
        """The `topn` words nearest to sum(positive) - sum(negative), with their cosines.

        Both are a word, a vector (d,), or a list of them; each is brought to length 1 first.
        "man is to king as woman is to ?": positive=["king", "woman"], negative=["man"] (3CosAdd,
        Mikolov et al. 2013, "Linguistic regularities in continuous space word representations").
        The given words are not answers.  restrict_vocab: only the first so many words are.
        Raises KeyError for an unknown word, ValueError where nothing is asked for.
        """
        if topn < 1:
            raise ValueError(f"topn is {topn}; expected at least 1")
        plus, minus = _as_list(positive), _as_list(negative)
        if not plus and not minus:
            raise ValueError("most_similar needs at least one word or vector")
        query = np.zeros(self.vector_size, np.float32)
        for sign, keys in ((1, plus), (-1, minus)):
            for key in keys:
                query += sign * unit(self[key] if isinstance(key, str) else self._vector(key))
        candidates = unit(self.vectors[:restrict_vocab])
        cosines = candidates @ unit(query)
        for key in (*plus, *minus):
            if isinstance(key, str) and self.key_to_index[key] < len(cosines):
                cosines[self.key_to_index[key]] = -np.inf
        best = np.argsort(-cosines, kind="stable")[:topn]
        return [(self.index_to_key[i], float(cosines[i])) for i in best if np.isfinite(cosines[i])]

    def _vector(self, key) -> np.ndarray:
        vector = np.asarray(key, dtype=np.float32)
        if vector.shape != (self.vector_size,):
            raise ValueError(
                f"expected a word or a vector of {self.vector_size} numbers, got shape "
                f"{vector.shape}"
            )
        return vector

    def save_word2vec_format(
        self, path: str | os.PathLike, binary: bool = False, write_header: bool = True
    ) -> None:
        """Write the format of the word2vec program; text without its first line is GloVe's.

        Text keeps every bit of the float32 numbers.  The file appears whole or not at all.
        Raises ValueError for a word with white space in it, which no reader would get back.
        """
        if binary and not write_header:
            raise ValueError("the binary format can't be read without its header")
        vector_formats.write(path, self.index_to_key, self.vectors, binary, write_header)

    @classmethod
    def load_word2vec_format(
        cls,
        path: str | os.PathLike,
        binary: bool = False,
        no_header: bool = False,
        limit: int | None = None,
        unicode_errors: str = "strict",
    ) -> "KeyedVectors":
        """Read what word2vec, gensim or (with no_header=True) GloVe wrote.

        limit: only the first so many words.  unicode_errors: "strict", "replace" or "ignore" for
        words that are not UTF-8, as in some old files.
        Raises FileNotFoundError, and ValueError (with the row, and what is wrong there) for a
        file of another format, or one that is damaged or cut off.
        """
        if binary and no_header:
            raise ValueError("the binary format can't be read without its header")
        read = vector_formats.read_binary if binary else vector_formats.read_text
        header = {} if binary else {"header": not no_header}
        return cls(*read(path, limit=limit, unicode_errors=unicode_errors, **header))


def unit(vectors: np.ndarray) -> np.ndarray:
    """vectors (..., d) divided by their lengths; zero stays zero."""
    lengths = np.sqrt((vectors * vectors).sum(-1, keepdims=True))
    return vectors / np.where(lengths > 0, lengths, 1)


def _as_list(keys) -> list:
    if keys is None:
        return []
    if isinstance(keys, str) or (isinstance(keys, np.ndarray) and keys.ndim == 1):
        return [keys]
    return list(keys)

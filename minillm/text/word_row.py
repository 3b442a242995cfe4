"""All words in one row of places: counting pairs of tokens, and merging one everywhere at once.

All distinct words lie in one long row, with a wall between them:

    place      0   1   2   3   4   5   6   7   8   9  10
    tokens     |   l   o   w   |   l   o   w   e   r   |      (l, o) stands at the places 1 and 5
    tokens     |  lo   .   w   |  lo   .   w   e   r   |      merged: each o is swallowed

A token's place is that of its first byte; `after` and `before` lead from it to its neighbours.
Whatever is done to one place is done to many of them by one call of NumPy, so that a word of ten
megabytes takes seconds.  Memory: 20 bytes for each byte of distinct words, and up to 60 while the
whole row is counted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from minillm.text.bpe_model import Pair

WALL = -1  # between words
SWALLOWED = -2  # the token that stood here is part of the one to its left now


@dataclass(frozen=True, eq=False, slots=True)
class FoundPair:
    """A pair of neighbours: how often it occurs in the texts, and at which places of the row."""

    pair: Pair
    count: int
    places: np.ndarray


class WordRow:
    """The row of the words in {word: how often it occurs}; id_of_byte[b] is the token of byte b."""

    def __init__(self, word_counts: Mapping[str, int], id_of_byte: np.ndarray):
        words = [word.encode("utf-8", "surrogateescape") for word in word_counts]
        lengths = np.array([len(word) + 1 for word in words], np.int64)
        counts = np.array(list(word_counts.values()), np.int64)
        data = np.frombuffer(b"|".join([b"", *words, b""]), np.uint8)
        self.tokens = id_of_byte.astype(np.int32)[data]
        self.tokens[0] = self.tokens[np.cumsum(lengths)] = WALL
        # weights[place]: how often the word occurs that the place belongs to
        self.weights = np.concatenate([[0], np.repeat(counts, lengths)])
        self._join()

    def _join(self) -> None:
        """Leave out what has been swallowed; set everyone beside its neighbours."""
        left = self.tokens != SWALLOWED
        self.tokens, self.weights = self.tokens[left], self.weights[left]
        size = len(self.tokens)
        place = np.int32 if size < 2**31 else np.int64
        self.after = np.arange(1, size + 1, dtype=place)
        self.before = np.arange(-1, size - 1, dtype=place)
        self.before[0], self.after[-1] = 0, size - 1  # the outer walls: so no index is out of range

    def count(self, pair: Pair, places: np.ndarray) -> tuple[int, np.ndarray]:
        """How often the pair occurs, and where, if it can only be at these places."""
        left, right = pair
        places = places[self.tokens[places] == left]
        places = places[self.tokens[self.after[places]] == right]
        return int(self.weights[places].sum()), places

    def merge(self, pair: Pair, merged: int, places: np.ndarray) -> np.ndarray:
        """Merge the pair at its places, all of them; return where it was done."""
        if pair[0] == pair[1]:  # pairs of equals overlap: "aaa" becomes aa a
            places = self._every_other(np.sort(places))
        swallowed = self.after[places]
        behind = self.after[swallowed]
        self.tokens[places], self.tokens[swallowed] = merged, SWALLOWED
        self.after[places], self.before[behind] = behind, places
        return places

    def _every_other(self, places: np.ndarray) -> np.ndarray:
        """Of places that follow each other the first, the third, the fifth ..."""
        numbers = np.arange(len(places))
        begins = np.ones(len(places), bool)
        begins[1:] = self.after[places[:-1]] != places[1:]
        in_run = numbers - np.maximum.accumulate(np.where(begins, numbers, 0))
        return places[in_run % 2 == 0]

    def pairs_around(self, places: np.ndarray, least: int) -> Iterator[FoundPair]:
        """The pairs that hold a token which stands at these places, and nowhere else: those of them
        that occur `least` times.
        """
        before = self.before[places]
        # Where two such tokens stand side by side, their pair begins at one of `places` already.
        before = before[self.tokens[before] != self.tokens[places]]
        return self._pairs_at(np.concatenate([before, places])).found(least)

    def frequent_pairs(self, least: int, most: int) -> tuple[int, list[FoundPair]]:
        """The most frequent pairs: those that occur `least` times, or if they are more than `most`
        (about) so many of them.  Returned with the count that all of them have, and no other has.
        """
        self._join()
        pairs = self._pairs_at(np.arange(len(self.tokens), dtype=self.after.dtype))
        counts = pairs.counts[pairs.counts >= least]
        if len(counts) > most:
            # Those with the same count are taken together, or together left for later.
            least = min(int(np.partition(counts, -most)[-most]) + 1, int(counts.max()))
        return least, list(pairs.found(least))

    def _pairs_at(self, places: np.ndarray) -> "_Pairs":
        """The pairs that begin at these places."""
        codes = self.tokens[places].astype(np.int64)
        right = self.tokens[self.after[places]]
        inside = (codes >= 0) & (right >= 0)  # no wall in it
        codes <<= 32
        codes |= right
        codes, places = codes[inside], places[inside]
        del right, inside  # for a word of ten megabytes each of these is tens of megabytes
        order = np.argsort(codes)
        codes, places = codes[order], places[order]
        del order
        return _Pairs(codes, places, self.weights)


class _Pairs:
    """Pairs, each given as left << 32 | right, with the place where it stands, sorted: equal ones
    come together.

    codes, counts [pairs];  places [bounds[i]:bounds[i + 1]] are those of pair i
    """

    def __init__(self, codes: np.ndarray, places: np.ndarray, weights: np.ndarray):
        self.places = places
        begins = np.ones(len(codes), bool)
        begins[1:] = codes[1:] != codes[:-1]
        starts = np.flatnonzero(begins)
        self.codes = codes[starts]
        self.counts = np.add.reduceat(weights[self.places], starts) if len(starts) else starts
        self.bounds = np.append(starts, len(codes))

    def found(self, least: int) -> Iterator[FoundPair]:
        often = np.flatnonzero(self.counts >= least)
        columns = self.codes[often], self.counts[often], self.bounds[often], self.bounds[often + 1]
        for code, count, start, end in zip(*(c.tolist() for c in columns), strict=True):
            # A copy: a part of the array would keep the whole of it in memory.
            yield FoundPair((code >> 32, code & 0xFFFFFFFF), count, self.places[start:end].copy())

"""How often words stand near each other: the counts that GloVe learns from.

X_ij is the sum, over all places where word i stands, of 1/k for every word j that stands k words
before or behind it, for k = 1 .. window, in the same sentence.  A neighbour next door counts 1,
one five words away 1/5.  X is symmetric, and nearly all of its V^2 entries are zero.

    "a b a c", window 2:    X_ab = 1 + 1 = 2      (b is the neighbour of both)
                            X_ac = 1              (of the second a)
                            X_bc = 1/2
                            X_aa = 1/2 + 1/2 = 1  (each a has the other in its window)

A dictionary {(i, j): X_ij} would do for a page.  Ten million words have a hundred million pairs in
their windows, so it is done with arrays: each pair becomes one number, i * V + j; sorting brings
equal pairs together; what stands together is added up.  The text is taken in chunks, whose sorted
counts are merged, so memory depends on how many different pairs there are, not on the text.

Source: Pennington, Socher and Manning 2014, "GloVe: Global Vectors for Word Representation",
sections 3 and 4.2 (1/k), and the program that belongs to it.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

POSITIONS_AT_ONCE = 1 << 19  # with a window of 10: 5 million pairs, 40 MB
MERGED_AT_ONCE = 1 << 21  # pairs

Run = tuple[np.ndarray, np.ndarray]  # keys in ascending order (n,) int64, sums (n,) float64


class Cooccurrences(NamedTuple):
    """The non-zero entries of the symmetric matrix X (V, V), each pair of words once.

    rows (E,) int32, columns (E,) int32   rows[e] <= columns[e], sorted by row, then column
    counts (E,) float32                   X_ij = X_ji
    size                                  V
    """

    rows: np.ndarray
    columns: np.ndarray
    counts: np.ndarray
    size: int

    def to_dense(self) -> np.ndarray:
        """The whole matrix X (V, V), float32: for small vocabularies."""
        x = np.zeros((self.size, self.size), np.float32)
        x[self.rows, self.columns] = self.counts
        x[self.columns, self.rows] = self.counts
        return x


def count_cooccurrences(
    ids,
    offsets,
    size: int,
    window: int = 10,
    threads: int = 1,
    positions_at_once: int = POSITIONS_AT_ONCE,
) -> Cooccurrences:
    """The counts X of a text of ids below `size`, each pair at distance k weighing 1/k.

    ids (N,) integers: the words of all sentences in a row; sentence s is
    ids[offsets[s]:offsets[s + 1]], as `WordCounts.encode` gives them.  No pair crosses from one
    sentence into another.  threads: chunks that are counted at once; the result is the same.
    Sums are made in float64 and rounded once, to float32.

    Raises ValueError for a window below 1, ids out of range, or offsets that don't cut up `ids`.
    """
    ids, offsets = np.asarray(ids), np.asarray(offsets)
    _check(ids, offsets, size, window)
    sentence = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))

    def count(start: int) -> Run:
        return _count_chunk(ids, sentence, start, start + positions_at_once, size, window)

    runs: list[Run] = [(np.empty(0, np.int64), np.empty(0))]
    starts = range(0, len(ids), positions_at_once)
    with ThreadPoolExecutor(threads, thread_name_prefix="minillm-cooccurrence") as pool:
        for first in range(0, len(starts), threads):
            runs += pool.map(count, starts[first : first + threads])
            # What has been merged is merged again only together with as much that is new.
            if sum(len(keys) for keys, _ in runs[1:]) > len(runs[0][0]) + 4 * MERGED_AT_ONCE:
                runs = [_merge(runs, pool)]
        keys, sums = _merge(runs, pool)
    del runs
    rows, columns = (part.astype(np.int32) for part in np.divmod(keys, size))
    # A pair of equal words was seen once, but each is in the other's window.
    sums[rows == columns] *= 2
    return Cooccurrences(rows, columns, sums.astype(np.float32), size)


def _count_chunk(ids, sentence, start: int, stop: int, size: int, window: int) -> Run:
    """The sums of 1/k over the pairs whose first word stands at start .. stop - 1.

    The pair (i, j), i <= j, has the key i * size + j.  The distance k travels in the key's lowest
    bits, so that sorting takes it along: sorting numbers is 3 times faster than to find their
    order and gather the distances by it.
    """
    bits = window.bit_length()
    packed = []
    for k in range(1, window + 1):
        second = slice(start + k, min(stop + k, len(ids)))
        first = slice(start, max(start, second.stop - k))
        same = sentence[first] == sentence[second]
        i, j = ids[first][same], ids[second][same]
        keys = np.minimum(i, j).astype(np.int64)
        keys *= size
        keys += np.maximum(i, j)
        packed.append((keys << bits) | k)
    together = np.concatenate(packed)
    together.sort()
    inverse = np.zeros(1 << bits)
    inverse[1 : window + 1] = 1 / np.arange(1, window + 1)
    return _add_equal(together >> bits, inverse[together & ((1 << bits) - 1)])


def _add_equal(keys: np.ndarray, values: np.ndarray) -> Run:
    """Each key of the ascending `keys` once, with the sum of its values."""
    if not len(keys):
        return keys, values
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[starts], np.add.reduceat(values, starts)


def _merge(runs: list[Run], pool: ThreadPoolExecutor) -> Run:
    """One run with the sums of all.  Done a range of keys at a time, to save memory."""
    longest = max((keys for keys, _ in runs), key=len)
    total = sum(len(keys) for keys, _ in runs)
    step = max(1, len(longest) * MERGED_AT_ONCE // max(total, 1))
    borders = longest[step::step]
    cuts = [[0, *np.searchsorted(keys, borders).tolist(), len(keys)] for keys, _ in runs]

    def merge_range(r: int) -> Run:
        pieces = [slice(cut[r], cut[r + 1]) for cut in cuts]
        keys = np.concatenate([run[0][piece] for run, piece in zip(runs, pieces, strict=True)])
        sums = np.concatenate([run[1][piece] for run, piece in zip(runs, pieces, strict=True)])
        order = np.argsort(keys, kind="stable")  # Timsort: it merges what is sorted already
        return _add_equal(keys[order], sums[order])

    merged = list(pool.map(merge_range, range(len(borders) + 1)))
    return tuple(np.concatenate(parts) for parts in zip(*merged, strict=True))  # type: ignore


def _check(ids: np.ndarray, offsets: np.ndarray, size: int, window: int) -> None:
    if window < 1:
        raise ValueError(f"window is {window}; expected at least 1")
    if ids.ndim != 1 or (len(ids) and not np.issubdtype(ids.dtype, np.integer)):
        raise ValueError(f"ids must be a row of integers, got {ids.dtype} of shape {ids.shape}")
    if len(ids) and (ids.min() < 0 or ids.max() >= size):
        raise ValueError(f"ids {ids.min()} to {ids.max()} found, expected 0 to {size - 1}")
    cut = offsets.ndim == 1 and len(offsets) and offsets[0] == 0 and offsets[-1] == len(ids)
    if not cut or np.any(np.diff(offsets) < 0):
        raise ValueError(
            f"offsets must ascend from 0 to the number of ids, {len(ids)}; got {offsets}"
        )

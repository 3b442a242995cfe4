"""Cutting a co-occurrence matrix into tiles: the mini-batches of GloVe.

The words are dealt into B blocks like cards: word i becomes number i // B of block i mod B.  Words
are sorted by frequency, so every block gets its share of frequent and of rare ones, and the tile
(a, b), the entries X_ij with i in block a and j in block b, is a small image of the whole matrix.
"""

from typing import NamedTuple

import numpy as np

from minillm.data.cooccurrence import Cooccurrences


class Blocks(NamedTuple):
    """B blocks of R places for V words; R * B >= V, and what is over stays empty."""

    number: int  # B
    size: int  # R

    @classmethod
    def of(cls, words: int, block_size: int | None = None) -> "Blocks":
        """Blocks of at most `block_size` words.

        None: of 512, whose vectors and products stay in a core's cache; or fewer, so that there
        are 32 blocks or more: each vector takes as many steps an epoch as there are blocks.
        """
        if block_size is None:
            block_size = max(1, min(512, words // 32))
        number = -(-words // block_size)
        return cls(number, -(-words // number))

    def deal(self, table: np.ndarray) -> np.ndarray:
        """(V, ...) -> (B, R, ...): what belongs to word i goes to [i % B, i // B]."""
        empty = np.zeros((self.number * self.size - len(table), *table.shape[1:]), table.dtype)
        table = np.concatenate([table, empty]).reshape(self.size, self.number, *table.shape[1:])
        return np.ascontiguousarray(table.swapaxes(0, 1))

    def collect(self, table: np.ndarray, words: int) -> np.ndarray:
        """(B, R, ...) -> (V, ...): the cards picked up again."""
        return table.swapaxes(0, 1).reshape(-1, *table.shape[2:])[:words]


class Entries(NamedTuple):
    """Entries of one tile: their places in it, i and j (n,) int32, log X_ij and f(X_ij)."""

    i: np.ndarray
    j: np.ndarray
    log_x: np.ndarray
    f: np.ndarray


class Tiles:
    """The entries of X sorted by tile.

    X is symmetric, so the tile (b, a) is the transpose of (a, b): only those with a <= b are
    stored, those with a = b with both their halves.

    weight: the function f, from counts (E,) to how much each entry counts.
    """

    def __init__(self, x: Cooccurrences, blocks: Blocks, weight):
        B = blocks.number
        i, j, counts = x.rows, x.columns, x.counts
        swap = i % B > j % B
        twice = (i % B == j % B) & (i != j)
        i, j = (
            np.concatenate([np.where(swap, j, i), j[twice]]),
            np.concatenate([np.where(swap, i, j), i[twice]]),
        )
        counts = np.concatenate([counts, counts[twice]])
        tile = (i % B).astype(np.int64) * B + j % B
        self.starts = np.concatenate([[0], np.cumsum(np.bincount(tile, minlength=B * B))])
        if B <= 256:
            tile = tile.astype(np.uint16)  # which NumPy sorts in linear time
        order = np.argsort(tile, kind="stable")
        self.all = Entries(
            (i // B)[order], (j // B)[order], np.log(counts)[order], weight(counts)[order]
        )
        self.number = B
        self.entries = 2 * len(x.rows) - int(np.count_nonzero(x.rows == x.columns))  # of X

    def __getitem__(self, tile: tuple[int, int]) -> Entries:
        """The entries of the tile (a, b), a <= b."""
        a, b = tile
        place = a * self.number + b
        here = slice(self.starts[place], self.starts[place + 1])
        return Entries(*(part[here] for part in self.all))

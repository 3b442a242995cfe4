"""A text in blocks of successive words: with their neighbours and with negatives that they share.

For window 2 and blocks of B = 4 the text  a b c d e f g  becomes two blocks,

    centers     a b c d    neighbours  . . a b c d e f     (C = B + 2 * window words)
    centers     e f g .    neighbours  c d e f g . . .

(. is padding) and `inside(block)` says which of the B x C pairs count: a band along the diagonal.
Where a word's window ends is decided by `word_pairs.window_sizes`, so these are exactly the pairs
that `skip_gram_pairs` lists.
"""

from dataclasses import dataclass

import numpy as np

from minillm.data.word_pairs import NegativeSampler, window_sizes


@dataclass(frozen=True)
class WordBlocks:
    """Arrays of ids for n blocks; iterate over range(len(blocks))."""

    centers: np.ndarray  # (n, B)
    neighbours: np.ndarray  # (n, C)
    negatives: np.ndarray  # (n, M)
    left: np.ndarray  # (n, B) how many words to the left count
    right: np.ndarray  # (n, B)
    shifts: np.ndarray  # (B, C) where neighbour j stands, seen from center i

    @classmethod
    def make(
        cls,
        ids: np.ndarray,
        offsets: np.ndarray,
        window: int,
        size: int,
        shared: int,
        noise: NegativeSampler,
        generator: np.random.Generator,
    ) -> "WordBlocks":
        """Cut ids (N,) with the sentences of `offsets` into blocks of `size` center words.

        shared: M, how many negatives each block draws from `noise`.
        """
        n = -(-len(ids) // size)
        padded = np.zeros(window + n * size + window, dtype=np.int64)
        padded[window : window + len(ids)] = ids
        starts = np.arange(0, n * size, size)[:, None]
        sizes = np.zeros((2, n * size), dtype=np.int16)  # padding has no neighbours
        sizes[:, : len(ids)] = window_sizes(offsets, window, generator)
        columns = np.arange(size + 2 * window, dtype=np.int16)
        return cls(
            centers=padded[window : window + n * size].reshape(n, size),
            neighbours=padded[starts + columns],
            negatives=noise.sample((n, shared), generator).astype(np.int64),
            left=sizes[0].reshape(n, size),
            right=sizes[1].reshape(n, size),
            shifts=columns - window - np.arange(size, dtype=np.int16)[:, None],
        )

    def __len__(self) -> int:
        return len(self.centers)

    def inside(self, block: int) -> np.ndarray:
        """(B, C) float32: 1 where neighbour j is in the window of center i and isn't i itself."""
        left, right = self.left[block][:, None], self.right[block][:, None]
        inside = (self.shifts >= -left) & (self.shifts <= right) & (self.shifts != 0)
        return inside.astype(np.float32)

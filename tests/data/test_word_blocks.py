"""Blocks hold exactly the pairs that `skip_gram_pairs` lists, in the same order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minillm.data.word_blocks import WordBlocks
from minillm.data.word_pairs import NegativeSampler, skip_gram_pairs

NOISE = NegativeSampler(np.arange(1, 51))


@given(
    st.lists(st.integers(0, 15), min_size=1, max_size=6),
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(0, 99),
)
def test_blocks_hold_the_pairs(lengths, window, size, seed):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.random.default_rng(seed).integers(0, 50, offsets[-1])
    blocks = WordBlocks.make(ids, offsets, window, size, 7, NOISE, np.random.default_rng(seed))
    pairs = []
    for n in range(len(blocks)):
        inside = blocks.inside(n)
        assert inside.dtype == np.float32 and inside.shape == (size, size + 2 * window)
        rows, columns = np.nonzero(inside)
        pairs += zip(blocks.centers[n][rows], blocks.neighbours[n][columns], strict=True)
    plain = skip_gram_pairs(ids, offsets, window, np.random.default_rng(seed))
    assert pairs == list(zip(*plain, strict=True))
    assert blocks.negatives.shape == (len(blocks), 7)
    assert blocks.centers.ravel()[: len(ids)].tolist() == ids.tolist()


def test_a_block_by_hand():
    """Window 1 in "a b c d e": two blocks of 4, padded with the id 0."""
    blocks = WordBlocks.make(
        np.array([10, 11, 12, 13, 14]), np.array([0, 5]), 1, 4, 2, NOISE, np.random.default_rng(0)
    )
    assert blocks.centers.tolist() == [[10, 11, 12, 13], [14, 0, 0, 0]]
    assert blocks.neighbours.tolist() == [[0, 10, 11, 12, 13, 14], [13, 14, 0, 0, 0, 0]]
    assert blocks.inside(0).tolist() == [
        [0, 0, 1, 0, 0, 0],
        [0, 1, 0, 1, 0, 0],
        [0, 0, 1, 0, 1, 0],
        [0, 0, 0, 1, 0, 1],
    ]
    assert blocks.inside(1)[0].tolist() == [1, 0, 0, 0, 0, 0]
    assert not blocks.inside(1)[1:].any()


def test_no_words_are_no_blocks():
    none = np.array([], dtype=np.int32)
    for offsets in ([0], [0, 0, 0]):
        made = WordBlocks.make(none, np.array(offsets), 2, 4, 3, NOISE, np.random.default_rng(0))
        assert len(made) == 0

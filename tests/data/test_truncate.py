"""Long texts are cut as asked for, and windows lose nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data import truncate, windows

LENGTHS = st.integers(1, 60)


@given(n=st.integers(0, 100), length=LENGTHS, how=st.sampled_from(["head", "tail", "head_tail"]))
def test_ids_keep_their_order_and_are_at_most_so_many(n, length, how):
    kept = truncate(list(range(n)), length, how)
    assert kept == sorted(set(kept))
    assert len(kept) == min(n, length)
    assert truncate(np.arange(n), length, how).tolist() == kept


def test_the_ends_that_are_kept():
    ids = list(range(600))
    assert truncate(ids, 510, "head") == ids[:510]
    assert truncate(ids, 510, "tail") == ids[90:]
    assert truncate(ids, 510, "head_tail") == ids[:128] + ids[-382:]  # as in Sun et al. 2019
    assert truncate(ids, 1, "head_tail") == [599]


@given(n=st.integers(1, 200), length=LENGTHS, draw=st.data())
def test_windows_hold_all_ids_and_none_is_superfluous(n, length, draw):
    stride = draw.draw(st.integers(1, length))
    pieces = windows(list(range(n)), length, stride)
    assert {i for piece in pieces for i in piece} == set(range(n))
    assert all(len(piece) == length for piece in pieces[:-1])
    assert 1 <= len(pieces[-1]) <= length
    for i, piece in enumerate(pieces):
        assert piece == list(range(i * stride, i * stride + len(piece)))
    for piece, following in zip(pieces, pieces[1:], strict=False):
        assert following[-1] > piece[-1]
    assert [piece.tolist() for piece in windows(np.arange(n), length, stride)] == pieces


def test_no_ids_are_one_empty_window():
    assert windows([], 5, 2) == [[]]


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="how='middle': one of 'head', 'tail', 'head_tail'"):
        truncate([1], 5, "middle")
    with pytest.raises(ValueError, match="max_length=0"):
        truncate([1], 0)
    with pytest.raises(ValueError, match="stride=6 is more than max_length=5"):
        windows([1], 5, 6)
    with pytest.raises(ValueError, match="stride=0"):
        windows([1], 5, 0)

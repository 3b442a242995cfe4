"""Encodings are cut and padded to length, all their columns together."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.text import Encoding
from minillm.text.encoding import Padding, Truncation


def sequence(n: int) -> Encoding:
    """n tokens whose columns all tell their position."""
    places = list(range(n))
    return Encoding(
        ids=places,
        type_ids=[0] * n,
        tokens=[str(i) for i in places],
        offsets=[(i, i + 1) for i in places],
        attention_mask=[1] * n,
        special_tokens_mask=[0] * n,
        word_ids=places,
        sequence_ids=[0] * n,
    )


def columns(encoding: Encoding) -> list[list]:
    return [getattr(encoding, column.name) for column in fields(encoding)]


def test_truncation_keeps_the_asked_side_in_every_column():
    encoding = sequence(5)
    encoding.truncate(2)
    assert columns(encoding) == columns(sequence(2))
    encoding = sequence(5)
    encoding.truncate(2, direction="left")
    assert (encoding.ids, encoding.tokens, encoding.offsets) == (
        [3, 4],
        ["3", "4"],
        [(3, 4), (4, 5)],
    )


def test_padding_is_marked_as_such():
    encoding = sequence(1)
    encoding.pad(3, pad_id=9, pad_type_id=1, pad_token="<pad>")
    assert columns(encoding) == [
        [0, 9, 9],
        [0, 1, 1],
        ["0", "<pad>", "<pad>"],
        [(0, 1), (0, 0), (0, 0)],
        [1, 0, 0],
        [0, 1, 1],
        [0, None, None],
        [0, None, None],
    ]
    encoding = sequence(1)
    encoding.pad(2, direction="left")
    assert (encoding.attention_mask, encoding.tokens) == ([0, 1], ["[PAD]", "0"])


def one_token_at_a_time(n1: int, n2: int, room: int) -> tuple[int, int]:
    """ "longest_first" by its name; of equal lengths the first loses a token first."""
    while n1 + n2 > room:
        if n1 >= n2:
            n1 -= 1
        else:
            n2 -= 1
    return n1, n2


@given(st.integers(0, 12), st.integers(0, 12), st.integers(3, 20))
def test_longest_first_takes_from_the_longer_one(n1, n2, max_length):
    first, second = sequence(n1), sequence(n2)
    Truncation(max_length).apply(first, second, n_special=3)
    lengths = len(first), len(second)
    expected = one_token_at_a_time(n1, n2, max_length - 3)
    assert sum(lengths) == sum(expected)
    # An odd token that two cut sequences compete for goes to the longer one.
    assert abs(lengths[0] - expected[0]) <= (1 if lengths[0] < n1 and lengths[1] < n2 else 0)


@pytest.mark.parametrize(
    "strategy, lengths",
    [("longest_first", (3, 3)), ("only_first", (1, 5)), ("only_second", (4, 2))],
)
def test_strategies_choose_what_is_cut(strategy, lengths):
    first, second = sequence(4), sequence(5)
    Truncation(9, strategy).apply(first, second, n_special=3)
    assert (len(first), len(second)) == lengths


@pytest.mark.parametrize(
    "strategy, n1, n2, max_length, message",
    [
        ("only_first", 4, 5, 8, "other text has 5"),
        ("only_second", 5, 4, 8, "other text has 5"),
        ("only_second", 9, None, 8, "needs a pair"),
        ("longest_first", 4, 4, 2, "no room for 3 special tokens"),
    ],
)
def test_impossible_truncation_is_refused(strategy, n1, n2, max_length, message):
    second = None if n2 is None else sequence(n2)
    with pytest.raises(ValueError, match=message):
        Truncation(max_length, strategy).apply(sequence(n1), second, n_special=3)


@pytest.mark.parametrize(
    "padding, lengths, padded",
    [
        (Padding(), [1, 3], [3, 3]),
        (Padding(length=4), [1, 5], [4, 5]),
        (Padding(pad_to_multiple_of=4), [1, 5], [8, 8]),
        (Padding(length=5, pad_to_multiple_of=4), [1, 5], [8, 8]),
        (Padding(), [], []),
    ],
)
def test_padding_to_the_longest_or_to_a_length(padding, lengths, padded):
    batch = [sequence(n) for n in lengths]
    padding.apply(batch)
    assert [len(encoding) for encoding in batch] == padded
    assert all(
        len(column) == n for e, n in zip(batch, padded, strict=True) for column in columns(e)
    )


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: Truncation(0), ValueError, "max_length is 0; expected at least 1"),
        (lambda: Truncation("8"), TypeError, "max_length is '8'; expected an int"),
        (lambda: Truncation(8, "longest"), ValueError, "strategy is 'longest'; expected one of"),
        (lambda: Truncation(8, direction="up"), ValueError, "direction is 'up'"),
        (lambda: Padding(direction="up"), ValueError, "direction is 'up'"),
        (lambda: Padding(pad_id=-1), ValueError, "pad_id is -1"),
        (lambda: Padding(pad_token=0), TypeError, "pad_token is 0"),
        (lambda: Padding(length=0), ValueError, "length is 0"),
        (lambda: Padding(pad_to_multiple_of=0), ValueError, "pad_to_multiple_of is 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()

"""The likely mistake, by the looks of a wrong value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grading.diagnose import diagnose
from grading.show import clean, show, show_call

X = np.array([[1.5, 2.25, -3.5], [4.75, 5.0, 6.5]])
SQUARE = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    "value, expected, words",
    [
        (None, X, "is there a `return`"),
        (np.zeros((2, 3)), X, "all zeros"),
        (np.zeros(3), X, "shape is (3,), not (2, 3): summed over an axis too many"),
        (X, X[0], "shape is (2, 3), not (3,): an axis isn't summed over"),
        (X[:, None], X, "keepdims"),
        (-X, X, "sign"),
        (SQUARE.T, SQUARE, "transposed"),
        (X.T, X, "transposed"),
        (X / 6, X, "0.166667 times"),
        (3.0, 9.0, "0.333333 times"),
        (np.floor(X), X, "integer division"),
        (X.astype(int), X, "integer division"),
        (X + 1, X, "off by 1"),
        (X[::-1], X, "reverse"),
        ([9, 1, 2, 3], [1, 2, 3, 4], "shifted"),
        ([1, 2, 4, 3], [1, 2, 3, 4], "other places"),
        (np.array([[3.0, 4], [1, 2], [7, 8]]), np.array([[1.0, 2], [3, 4], [7, 8]]), "rows"),
        (5, 6, "off by one"),
        ([1.0, 2.0, 0.0, 0.0], [1.0, 2.0, 3.0, 5.0], "still zero"),
        ([1.0, 2.0, 3.5], [1.0, 2.0, 3.0], "only the last number"),
        (np.array([1.0, np.nan]), np.array([1.0, 2.0]), "nan"),
        (np.array([1.0, np.inf]), np.array([1.0, 2.0]), "inf"),
        ("Word", "word", "upper and lower case"),
        ("a b", "ab", "white space"),
        ("wrod", "word", "another order"),
        ("wor", "word", "missing"),
        ({"a": 1}, {"a": 1, "b": 2}, "'b' is missing"),
        ({"a": -1.5, "b": 2}, {"a": 1.5, "b": 2}, "for 'a': the sign"),
        (["a", "b"], ["a", "b", "c"], "the last item is missing (of 3)"),
        (["b", "c"], ["a", "b", "c"], "the first item is missing (of 3)"),
        ([1, 2], [1, 2, 3], "the last item is missing"),
        (["a", "b", "c"], ["a", "b"], "the last item is too many"),
        (list("abcde"), list("cde"), "the first 2 items are too many"),
        (["c", "b", "a"], ["a", "b", "c"], "reverse"),
        (["b", "c", "a"], ["a", "b", "c"], "another order"),
        ([], ["a"], "empty"),
        ((X, -X[0]), (X, X[0]), "item 1: the sign"),
        ({"a", "b"}, ["a", "b"], "no fixed order"),
    ],
)
def test_looks(value, expected, words):
    assert words in diagnose(value, expected)


anything = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.just(X) | st.just(X.T),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(anything, anything)
def test_nothing_is_too_odd_to_look_at(value, expected):
    found = diagnose(value, expected)
    assert found is None or isinstance(found, str) and "\n" not in found


@given(anything)
def test_values_are_shown_short_and_printable(value):
    text = show(value)
    assert 0 < len(text) <= 510
    assert all(c.isprintable() or c == "\n" for c in text)


def test_large_things_are_abbreviated():
    assert len(show(np.arange(10**6).reshape(1000, 1000))) < 300
    assert "shape (1000, 1000)" in show(np.arange(10**6).reshape(1000, 1000))
    assert show(list(range(10**5))).endswith("... (100000 in all)]")
    assert len(show("word " * 10**5)) < 300
    assert len(show({i: "x" * i for i in range(10**4)})) < 520
    assert show([[[[[[[[[1]]]]]]]]]) == "[[[[[[[...]]]]]]]"


def test_calls_are_shown_as_one_writes_them():
    assert show_call("f", {"x": [1.0, 2], "axis": 0}) == "f(x=[1.0, 2], axis=0)"
    text = show_call("f", {"x": SQUARE, "axis": 0})
    assert text == "f(...) with\n    x = [[1., 2.],\n         [3., 4.]]\n    axis = 0"
    assert show((SQUARE, 1)) == "([[1., 2.],\n  [3., 4.]],\n 1)"


def test_a_students_text_is_made_harmless():
    assert clean("a\x1b[2J\ud800\tb\r\nc", 100) == "a\\x1b[2J\\ud800    b\nc"
    assert len(clean("x" * 10**6, 100)) < 110

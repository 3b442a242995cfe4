"""Plain data crosses to another process and back unchanged; anything else is refused, in words."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from grading.encoding import MAX_DEPTH, Named, Rng, Unsendable, decode, encode

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.text(st.characters(categories=["Cs"]))  # halves of characters, which UTF-8 has no word for
)
small = st.integers(-(2**59), 2**59)
hashable = st.booleans() | small | st.text() | st.tuples(st.text(), small)
dtypes = hnp.boolean_dtypes() | hnp.integer_dtypes() | hnp.floating_dtypes(sizes=(16, 32, 64))
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, min_side=0, max_dims=4, max_side=4))
plain = st.recursive(
    scalars | arrays,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(hashable, inner)
        | st.sets(hashable)
    ),
    max_leaves=12,
)


def same(a, b):
    """Equal in value and in type, all the way down; nan is nan; byte order doesn't matter."""
    if isinstance(a, np.ndarray | np.generic):
        kind = a.dtype.newbyteorder("=")
        return type(a) is type(b) and b.dtype == kind and np.array_equal(a, b, a.dtype.kind == "f")
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b) or a != a and b != b
    return a == b


@given(plain)
def test_plain_data_comes_back(value):
    """Through JSON text: type, dtype, shape and every bit of a number."""
    text = json.dumps(encode(value))
    assert text.isascii() and "\n" not in text  # a message is a line
    assert same(value, decode(json.loads(text)))


@given(hnp.arrays(dtypes, hnp.array_shapes(max_dims=2), fill=st.nothing()))
def test_numpy_scalars_come_back(array):
    value = array.flat[0]
    assert same(value, decode(encode(value)))


def test_views_come_back_as_what_they_show():
    base = np.arange(12.0).reshape(3, 4)
    for view in (base.T, base[:, ::2], base[::-1], np.broadcast_to(base[0], (2, 4))):
        back = decode(encode(view))
        np.testing.assert_array_equal(back, view)
        back[...] = 0  # and the student may write into it
    assert base[2, 3] == 11


def test_arrays_of_words_come_as_lists():
    assert decode(encode(np.array([["a", "b"]]))) == [["a", "b"]]
    assert decode(encode(np.array(["a", None, 3], object))) == ["a", None, 3]
    assert decode(encode(np.str_("word"))) == "word"


def test_subclasses_come_as_what_they_are_underneath():
    from collections import Counter, OrderedDict, namedtuple
    from enum import IntEnum

    Point = namedtuple("Point", "x y")
    Level = IntEnum("Level", ["LOW"])
    assert decode(encode(Counter("aab"))) == {"a": 2, "b": 1}
    assert decode(encode(OrderedDict(a=1))) == {"a": 1}
    assert decode(encode(Point(1, 2))) == (1, 2)
    assert decode(encode(Level.LOW)) == 1


def test_generators_and_functions_arrive():
    random, function = decode(encode((Rng(7), Named("square_sum"))), arguments=True)
    assert random.normal() == np.random.default_rng(7).normal()
    assert function([1.0, 2.0]) == 5.0
    with pytest.raises(ValueError, match="no function 'cube_root'"):
        Named("cube_root")


def test_an_answer_holds_no_generators_or_functions():
    for tree in (encode(Rng(7)), encode(Named("square_sum"))):
        with pytest.raises(ValueError):
            decode(tree)


@pytest.mark.parametrize(
    "value, words",
    [
        ((i for i in range(3)), r"a generator.*list\("),
        (map(str, [1]), r"a map.*list\("),
        ({}.keys(), r"a dict_keys.*list\("),
        (len, "call it"),
        (object(), "an object of type object"),
        (1j, "complex"),
        (np.array([1j]), "complex"),
        (np.array("2020", "M8[Y]"), "datetime"),
        (10**5000, "4000 digits"),
        ([[1, object()]], "an object"),
    ],
    ids=lambda x: x if isinstance(x, str) else type(x).__name__,  # 10**5000 can't be printed
)
def test_other_things_are_refused_by_name(value, words):
    with pytest.raises(Unsendable, match=words):
        encode(value)


def test_endless_and_very_deep_things_are_refused():
    endless = [1]
    endless.append(endless)
    deep = []
    for _ in range(10**5):
        deep = [deep]
    for value in (endless, deep, {"a": endless}):
        with pytest.raises(Unsendable, match="nested"):
            encode(value)
    fits = []
    for _ in range(MAX_DEPTH):
        fits = [fits]
    assert decode(encode(fits)) == fits


@pytest.mark.parametrize(
    "tree",
    [
        {"pickle": "gASVIAAAAAAAAACMBXBvc2l4"},
        {"array": ["|O8", [1], "AAAAAAAAAAA="]},
        {"array": ["<f8", [2], "AAAAAAAAAAA="]},
        {"array": ["<f8", [-1], ""]},
        {"array": ["<f8", [0, 10**30], ""]},
        {"array": ["<f8", [0] * 100, ""]},
        {"array": ["<f8", 3, ""]},
        {"array": ["<f3", [0], ""]},
        {"array": ["|b1", [1], "Ag=="]},
        {"array": ["<f8", [True], "AAAAAAAAAAA="]},
        {"array": 5},
        {"array": ["<f8", [1], "not base64"]},
        {"scalar": ["<f8", [1], 5]},
        {"dict": [[[1], 2]]},
        {"dict": [1]},
        {"dict": [[2**61 - 1, 0]]},
        {"set": [{"tuple": [1, {"tuple": [2.0**70]}]}]},
        {"set": [[1]]},
        {"tuple": 3},
        {"tuple": [1], "list": []},
        {},
        {"rng": 3},
        {"named": "square_sum"},
        {"bytes": None},
    ],
)
def test_forged_trees_are_refused(tree):
    """Whatever a hostile process sends: ValueError, and nothing is made of it."""
    with pytest.raises(ValueError):
        decode(tree)

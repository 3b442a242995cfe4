"""JSON from strangers: equal to json.loads for what people write, and refused before it harms."""

import json
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.strict_json import DEPTH, cost, parse_json, parse_row, read_json

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
tricky = st.sampled_from(['"', "\\", '\\"', "[[", "]]", "{", "}", ":", ",", '["', "\\\\"])
leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
values = st.recursive(
    leaves.filter(lambda x: x not in (float("inf"), float("-inf"))) | texts | tricky,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | tricky, inner, max_size=4),
    max_leaves=12,
)


def depth_of(value) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_what_it_says_is_what_json_says(value, ensure_ascii, indent):
    data = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent).encode()
    assert parse_json(data, "here") == json.loads(data)
    assert cost(data)[0] == depth_of(value)


@given(st.binary(max_size=40) | st.text('"\\[]{}:,0 ue', max_size=20).map(str.encode))
def test_any_bytes_are_a_value_or_a_valueerror(data):
    try:
        parse_json(data, "here")
    except ValueError as error:
        assert str(error).startswith("here is not ")


@pytest.mark.parametrize(
    "data, message",
    [
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' is there twice"),
        (b"[NaN]", "NaN is no JSON"),
        (b"-Infinity", "-Infinity is no JSON"),
        (b"[1e999]", "the number 1e999 is too large"),
        (b"[9223372036854775808]", "the number 9223372036854775808 is too large"),
        (b"9" * 5000, "the number 99999999999999999999 is too large"),
        (b'["\\ud83d"]', "half of a surrogate pair"),
        (b'{"\\udc80": 1}', "half of a surrogate pair"),
        (b'"a\xffb"', "not UTF-8: byte 0xff at position 2"),
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"\xef\xbb\xbf[]", "BOM"),
    ],
)
def test_what_is_ambiguous_or_no_json_is_refused(data, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse_json(data, "config.json")
    assert str(caught.value).startswith("config.json is not ")


def test_python_writes_infinity_into_checkpoints():
    assert parse_json(b"[Infinity, 1e999]", "here", infinite=True) == [float("inf")] * 2


@pytest.mark.parametrize("unit", [b"[", b'{"a":', b'[{"b":['])
def test_a_million_levels_are_refused_before_they_are_parsed(unit):
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)  # a program may have raised it: then nothing would stop the parser
    try:
        with pytest.raises(ValueError, match="nested [0-9]+ deep, expected at most 64"):
            parse_json(unit * 1_000_000, "here")
        with pytest.raises(ValueError, match="nested [0-9]+ deep"):
            parse_row((unit * 100_000).decode())
    finally:
        sys.setrecursionlimit(limit)
    assert parse_json(b"[" * DEPTH + b"]" * DEPTH, "here")
    assert parse_json(b'["' + b"[" * 1000 + b'"]', "here") == ["[" * 1000]


@pytest.mark.parametrize("unit", [b"[]", b"{}", b'"ab"', b"1.5", b'{"k":1}'])
def test_the_memory_of_a_document_is_known_beforehand(unit):
    data = b"[" + b",".join([unit] * 20_000) + b"]"
    tracemalloc.start()
    value = parse_json(data, "here")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(value) == 20_000
    assert peak <= cost(data)[1] + 4 * len(data)
    with pytest.raises(ValueError, match="would take about [0-9]+ MB of memory"):
        parse_json(data, "here", objects=cost(data)[1] - 1)


def test_a_large_file_is_refused_unread(tmp_path):
    path = tmp_path / "config.json"
    with open(path, "wb") as file:
        file.truncate(100 << 20)  # takes no place on the disk
    tracemalloc.start()
    with pytest.raises(ValueError, match="config.json has 104857600 bytes; .* at most 4194304"):
        read_json(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20

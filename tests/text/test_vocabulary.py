"""A vocabulary is a bijection between tokens and 0 .. V - 1, or it is refused."""

import pytest

from minillm.text import Vocabulary


def test_both_ways():
    vocabulary = Vocabulary({"b": 1, "a": 0, "c": 2})
    assert list(vocabulary) == vocabulary.tokens == ["a", "b", "c"]
    assert [vocabulary[token] for token in "abc"] == [0, 1, 2]
    assert len(vocabulary) == 3 and "a" in vocabulary and "x" not in vocabulary


@pytest.mark.parametrize(
    "ids, error, message",
    [
        ({}, ValueError, "empty"),
        ({"a": 0, "b": 2}, ValueError, "'b' has id 2"),
        ({"a": 1}, ValueError, "without gaps"),
        ({"a": -1}, ValueError, "id -1"),
        ({"a": 0, "b": 0}, ValueError, "'a' and 'b' have the same id 0"),
        ({"a": "0"}, TypeError, "'a': '0'"),
        ({"a": True}, TypeError, "True"),
        ({1: 0}, TypeError, "1: 0"),
    ],
)
def test_no_gaps_doubles_or_wrong_types(ids, error, message):
    with pytest.raises(error, match=message):
        Vocabulary(ids)


def test_lines_are_ids_in_order_whatever_ends_them(tmp_path):
    path = tmp_path / "vocab.txt"
    # U+2028 and U+0085 end a line for str.splitlines, but not in this format.
    path.write_bytes("[PAD]\r\n\u2028\n\x85\n你\n##s".encode())
    assert Vocabulary.from_lines(path).tokens == ["[PAD]", "\u2028", "\x85", "你", "##s"]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty"),
        (b"a\n\nb\n", "line 2 is empty"),
        (b"a\nb\na\n", "line 3 repeats line 1: 'a'"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_broken_files_are_refused(tmp_path, content, message):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_lines(path)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        Vocabulary.from_lines(tmp_path / "missing.txt")

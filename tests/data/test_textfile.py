"""Text files are read line by line as they are, and what is no UTF-8 text is refused in words."""

import codecs
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data import open_corpus, textfile
from minillm.data.textfile import check_text_file, has_blank_lines, read_lines

LINE = st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"))


@given(
    lines=st.lists(LINE, min_size=1),
    line_end=st.sampled_from(["\n", "\r\n"]),
    byte_order_mark=st.booleans(),
    compressed=st.booleans(),
)
def test_lines_come_back_as_written(tmp_path_factory, lines, line_end, byte_order_mark, compressed):
    content = line_end.join(lines).encode("utf-8")
    if lines[-1] == "":
        content += line_end.encode()
    if lines[0].startswith("\ufeff"):
        byte_order_mark = True  # one mark at the beginning is a mark, a second one is text
    if byte_order_mark:
        content = codecs.BOM_UTF8 + content
    path = tmp_path_factory.mktemp("text") / ("a.txt.gz" if compressed else "a.txt")
    path.write_bytes(gzip.compress(content) if compressed else content)
    assert list(read_lines(path)) == list(enumerate(lines, start=1))


def test_a_byte_that_is_not_utf8_is_named_with_position_line_and_mend(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes(codecs.BOM_UTF8 + b"first\nol\xe9 here\n")
    message = r"latin\.txt.* not UTF-8: byte 0xe9 at position 11, line 2.*iconv"
    with pytest.raises(ValueError, match=message):
        list(read_lines(path))
    with pytest.raises(ValueError, match=message):
        check_text_file(path)


@given(st.binary().map(lambda content: content.replace(b"\0", b"").replace(b"\r", b"")))
def test_what_is_not_utf8_can_be_replaced_as_python_does_it(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(b"x" + content)
    check_text_file(path, errors="replace")
    with open(path, encoding="utf-8", errors="replace") as file:
        expected = [line.rstrip("\n") for line in file]
    assert [line for _, line in read_lines(path, errors="replace")] == expected


def test_replacing_does_not_make_text_of_what_is_none(tmp_path):
    path = tmp_path / "a.txt"
    for content, message in ((b"a\xff\0", "NUL"), (codecs.BOM_UTF16_LE + b"a", "UTF-16")):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            check_text_file(path, errors="replace")
    with pytest.raises(ValueError, match="errors='ignore': expected one of 'strict', 'replace'"):
        list(read_lines(path, errors="ignore"))


def test_an_error_far_down_in_the_file_is_found_when_reading(tmp_path):
    path = tmp_path / "long.txt"
    path.write_bytes(b"good line\n" * 20_000 + b"bad \xff\n")
    check_text_file(path)
    with pytest.raises(ValueError, match="position 200004, line 20001"):
        list(read_lines(path))


def test_a_character_across_the_first_block_is_no_error(tmp_path):
    path = tmp_path / "chinese.txt"
    path.write_bytes(b"a" + "好".encode() * 30_000)
    check_text_file(path)
    assert [line for _, line in read_lines(path)] == ["a" + "好" * 30_000]


def test_binary_is_refused_with_its_place(tmp_path):
    path = tmp_path / "picture.txt"
    path.write_bytes(b"one\ntwo\0three")
    for read in (check_text_file, lambda path: list(read_lines(path))):
        with pytest.raises(ValueError, match=r"picture\.txt.* not a text file: byte 7 \(line 2\)"):
            read(path)


def test_utf16_is_named(tmp_path):
    path = tmp_path / "windows.txt"
    path.write_text("hello", encoding="utf-16")
    with pytest.raises(ValueError, match="UTF-16.*iconv"):
        check_text_file(path)


def test_empty_missing_and_folder_are_told_apart(tmp_path):
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ValueError, match=r"empty\.txt' is empty"):
        check_text_file(tmp_path / "empty.txt")
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*gone\.txt"):
        check_text_file(tmp_path / "gone.txt")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_text_file(tmp_path)


@pytest.mark.parametrize("damage", ["cut off", "not compressed", "bytes changed"])
def test_a_damaged_gzip_file_is_named(tmp_path, damage):
    path = tmp_path / "text.txt.gz"
    whole = bytearray(gzip.compress(b"some text and more text\n" * 100))
    if damage == "cut off":
        whole = whole[:-12]
    elif damage == "not compressed":
        whole = b"plain text"
    else:
        whole[-8] ^= 1  # in the checksum at the end
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=r"text\.txt\.gz.* is damaged or no gzip file"):
        list(read_lines(path))
    with pytest.raises(ValueError, match=r"text\.txt\.gz.* is damaged or no gzip file"):
        check_text_file(path)


@pytest.mark.parametrize(
    "content, expected",
    [
        ("a\nb\n", False),
        ("a\n\nb", True),
        ("a\n \t\r\nb", True),
        ("\n\na\nb", False),  # blank lines before or behind the text separate nothing
        ("\ufeff\n\na\nb\n\n\n", False),
    ],
)
def test_blank_lines_count_between_text_only(tmp_path, content, expected):
    path = tmp_path / "a.txt"
    path.write_text(content, encoding="utf-8")
    assert has_blank_lines(path) is expected


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_a_blank_line_is_looked_for_in_the_beginning_only(tmp_path, monkeypatch, name):
    """A start must not read gigabytes to find out that there is none."""
    path = tmp_path / name
    content = b"line\n" * 100 + b"\nline\n"
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert has_blank_lines(path)
    monkeypatch.setattr(textfile, "BLANK_LINE_WITHIN", 400)
    assert not has_blank_lines(path)
    assert list(open_corpus(path)) == ["line"] * 101

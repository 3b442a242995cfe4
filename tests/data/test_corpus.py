"""A corpus gives the documents of a file, a folder or a list, as often as asked, or says why."""

import gzip
import json
import os
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data import Documents, JsonLines, TextFile, TextFolder, open_corpus

LINE = st.text("ab 好.", min_size=1).filter(str.strip)


@given(st.lists(st.lists(LINE, min_size=1), min_size=2), st.integers(1, 3))
def test_blank_lines_separate_documents(tmp_path_factory, documents, blank_lines):
    documents = ["\n".join(lines) for lines in documents]
    path = tmp_path_factory.mktemp("corpus") / "a.txt"
    path.write_text(("\n" * (blank_lines + 1)).join(documents), encoding="utf-8")
    corpus = open_corpus(path)
    assert list(corpus) == documents
    assert list(corpus) == documents  # a second time


@given(st.lists(LINE, min_size=1))
def test_without_blank_lines_every_line_is_a_document(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("corpus") / "a.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert list(open_corpus(path)) == lines


@given(st.lists(st.text(st.characters(codec="utf-8")).filter(str.strip), min_size=1))
def test_json_lines_give_any_text_back(tmp_path_factory, documents):
    path = tmp_path_factory.mktemp("corpus") / "a.jsonl.gz"
    rows = "".join(json.dumps({"id": i, "body": text}) + "\n" for i, text in enumerate(documents))
    path.write_bytes(gzip.compress(rows.encode()))
    assert list(open_corpus(path, text_field="body")) == documents


def test_a_folder_gives_one_document_a_file_in_the_order_of_paths(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "b" / "2.txt").write_text("second\n\nstill the second", encoding="utf-8")
    (tmp_path / "a.md").write_text("\ufefffirst", encoding="utf-8")
    (tmp_path / "c.TXT.gz").write_bytes(gzip.compress(b"third"))
    (tmp_path / "picture.png").write_bytes(b"\0\1")
    (tmp_path / "empty.txt").touch()
    (tmp_path / ".git" / "hidden.txt").write_text("hidden")
    corpus = open_corpus(tmp_path)
    assert isinstance(corpus, TextFolder)
    assert list(corpus) == ["first", "second\n\nstill the second", "third"]
    assert list(corpus.first(2)) == ["first", "second\n\nstill the second"]


def test_what_a_path_is_decides_how_it_is_read(tmp_path):
    (tmp_path / "a.JSONL").write_text('{"text": "x"}')
    (tmp_path / "rt.pos").write_text("one\ntwo")
    assert isinstance(open_corpus(tmp_path / "a.JSONL"), JsonLines)
    assert isinstance(open_corpus(str(tmp_path / "rt.pos")), TextFile)
    assert list(open_corpus(tmp_path / "rt.pos")) == ["one", "two"]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.txt", b"", "is empty"),
        ("a.txt", b"  \n\n \n", "nothing but white space"),
        ("a.jsonl", b"\n\n", "nothing but white space"),
        ("a.txt", b"text\0text", "not a text file"),
        ("a.csv", b"text,label\nx,1\n", r"\.csv is not read as a corpus.*jsonl"),
        ("a.json", b'[{"text": "x"}]', r"\.json is not read as a corpus"),
        ("a.jsonl", b'{"body": "x", "id": 3}', r"row 1 .*no field 'text'.*\['body', 'id'\]"),
        ("a.jsonl", b'{"text": 5}', "row 1 .*field 'text' is int"),
        ("a.jsonl", b'["text"]', "row 1 .* is a list, a JSON object was expected"),
        ("a.jsonl", b"{text: 1}", "row 1 .* is not JSON"),
    ],
)
def test_what_cannot_be_read_is_refused_on_opening(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        open_corpus(path)


def test_a_bad_row_further_down_is_named_by_its_number(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x"}\n\n{"text": "y"}\n{"txt": "z"}\n')
    corpus = open_corpus(path)
    with pytest.raises(ValueError, match=r"row 4 of .*a\.jsonl.* no field 'text'"):
        list(corpus)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.txt.gz", "folder/a.txt"])
def test_what_is_not_utf8_is_an_error_or_replaced(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    line = b"Caf\xe9 \xe4\xbd\xa0." if "jsonl" not in name else b'{"text": "Caf\xe9 \xe4\xbd\xa0."}'
    path.write_bytes(gzip.compress(line) if name.endswith(".gz") else line)
    opened = path.parent if name.startswith("folder") else path
    with pytest.raises(ValueError, match=r"not UTF-8: byte 0xe9 .*errors='replace'.*--replace-inv"):
        open_corpus(opened)
    corpus = open_corpus(opened, errors="replace")
    assert list(corpus) == ["Caf\ufffd 你."]
    with pytest.raises(ValueError, match="errors='ignore'"):
        open_corpus(opened, errors="ignore")
    path.write_bytes(gzip.compress(b'{"text": "a"}') if name.endswith(".gz") else b'{"text": "a"}')
    fingerprints = {open_corpus(opened, errors=e).fingerprint() for e in ("strict", "replace")}
    assert len(fingerprints) == 2


def test_half_of_an_emoji_in_a_json_file_is_an_error_or_replaced(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "whole \\ud83d\\ude00"}\n{"text": "half \\ud83d."}\n')
    with pytest.raises(ValueError, match=r"row 2 of .*a\.jsonl' holds .* U\+D83D, at character 5:"):
        list(open_corpus(path))
    assert list(open_corpus(path, errors="replace")) == ["whole \U0001f600", "half \ufffd."]


def test_missing_path_and_folder_without_text_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="check the spelling"):
        open_corpus(tmp_path / "gone")
    with pytest.raises(ValueError, match=r"no text file in the folder .*\.txt"):
        open_corpus(tmp_path)


def test_a_bad_file_in_a_folder_is_named(tmp_path):
    (tmp_path / "a.txt").write_text("good")
    (tmp_path / "b.txt").write_bytes(b"ol\xe9")
    with pytest.raises(ValueError, match=r"b\.txt.* not UTF-8"):
        list(open_corpus(tmp_path))


def test_a_str_is_not_taken_for_a_list_of_documents():
    with pytest.raises(TypeError, match=r"one str.*\[text\]"):
        Documents("one text")
    with pytest.raises(TypeError, match="document 1 is int"):
        Documents(["a", 5])
    with pytest.raises(ValueError, match=r"first\(0\)"):
        Documents(["a"]).first(0)


@given(st.lists(st.text("ab"), max_size=4), st.lists(st.text("ab"), max_size=4))
def test_fingerprints_are_equal_for_equal_documents_only(one, other):
    assert (Documents(one).fingerprint() == Documents(other).fingerprint()) == (one == other)


def test_the_fingerprint_of_a_file_follows_its_content(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x", "title": "y"}')
    before = open_corpus(path).fingerprint()
    assert open_corpus(path).fingerprint() == before
    assert open_corpus(path, text_field="title").fingerprint() != before
    assert open_corpus(path).first(1).fingerprint() != before
    state = path.stat()
    path.write_text('{"text": "z", "title": "y"}')
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert open_corpus(path).fingerprint() != before


def test_the_fingerprint_of_a_folder_follows_its_files(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    before = open_corpus(tmp_path).fingerprint()
    (tmp_path / "b.txt").write_text("y")
    assert open_corpus(tmp_path).fingerprint() != before


def test_an_edit_under_the_old_date_changes_the_fingerprint(tmp_path):
    """Of a file by its content, of the files of a folder by the time of the change."""
    path = tmp_path / "a.txt"
    path.write_text("One text.")
    before, folder_before = open_corpus(path).fingerprint(), open_corpus(tmp_path).fingerprint()
    state = path.stat()
    time.sleep(0.02)  # longer than a tick of the file system's clock
    path.write_text("Two text.")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert open_corpus(path).fingerprint() != before
    if os.name == "posix":
        assert open_corpus(tmp_path).fingerprint() != folder_before


def test_the_size_is_known_of_plain_files_only(tmp_path):
    (tmp_path / "a.txt").write_text("One text.")
    (tmp_path / "b.jsonl").write_text('{"text": "x"}')
    assert open_corpus(tmp_path / "a.txt").size() == 9 == open_corpus(tmp_path).size()
    assert open_corpus(tmp_path / "b.jsonl").size() == 13
    assert open_corpus(tmp_path).first(1).size() is None
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"Another."))
    assert open_corpus(tmp_path / "c.txt.gz").size() is None is open_corpus(tmp_path).size()


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_a_file_is_never_in_memory_whole(tmp_path, name):
    path = tmp_path / name
    line = '{"text": "' + "word " * 200 + '"}\n'
    path.write_text(line * 5000)  # 5 MB
    tracemalloc.start()
    count = sum(1 for _ in open_corpus(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5000
    assert peak < 1_000_000

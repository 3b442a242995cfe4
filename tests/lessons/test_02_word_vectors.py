"""Lesson 02 in its short form: its gradients, its losses, its pictures and files, bad input."""

import functools
import json
import math
import re

import numpy as np
import pytest
from run_lesson import run_lesson

from minillm.models.keyed_vectors import KeyedVectors

run = functools.partial(run_lesson, "02_word_vectors")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesson")
    result = run("--quick", cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout, folder / "runs" / "02_word_vectors"


def test_every_gradient_by_hand_agrees_with_differences(quick):
    check = json.loads((quick[1] / "results.json").read_text())["check"]
    assert set(check) == {
        *("skip-gram, dW", "skip-gram, dU", "CBOW, dW", "CBOW, dU"),
        *("GloVe, dw", "GloVe, dc", "GloVe, db", "GloVe, de"),
    }
    assert max(check.values()) < 1e-7
    careless = re.search(r"rows +(\S+)", quick[0])
    assert float(careless[1]) > 0.01  # and the mistake is found


def test_expectation_card(quick):
    output, folder = quick
    results = json.loads((folder / "results.json").read_text())
    assert results["loss_1"] == pytest.approx(6 * math.log(2), abs=1e-12)
    assert 2.9 < results["loss_100"] < 3.1
    assert f"The loss of step 100: {results['loss_100']:.6f}\n" in output
    assert results["glove_losses"][-1] < results["glove_losses"][0] / 2
    # Among the thousands of words chance would solve one question in thousands.
    assert results["skip-gram, family"] > 0.02 and results["GloVe, family"] > 0.02
    rows = re.findall(r"^\w+, \w+ +0\.00 +\S+ +(\S+)$", output, re.MULTILINE)  # PPMI
    together, apart = np.array(rows, dtype=float).reshape(2, 4)
    assert together.mean() > apart.mean() + 0.1


def test_pictures_and_vectors_are_there(quick):
    _, folder = quick
    for name in ("map", "losses"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    text = KeyedVectors.load_word2vec_format(folder / "vectors.txt")
    binary = KeyedVectors.load_word2vec_format(folder / "vectors.bin", binary=True)
    glove = KeyedVectors.load_word2vec_format(folder / "vectors.glove.txt", no_header=True)
    for other in (binary, glove):
        assert other.index_to_key == text.index_to_key
        assert np.array_equal(other.vectors, text.vectors)


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.bin", "vectors.glove.txt"])
def test_a_file_of_vectors_is_explored(quick, name, tmp_path):
    path = quick[1] / name
    result = run("--quick", "--vectors", path, "--words", "film", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert f"{name}: nearest, with the cosine" in result.stdout
    assert "skip-gram: nearest" not in result.stdout  # nothing was trained


def test_chinese_texts(tmp_path):
    generator = np.random.default_rng(0)
    words = ["这部电影", "很好看", "演员", "非常出色", "故事", "没有意思", "我喜欢", "音乐", "结尾"]
    documents = [
        "。".join("".join(generator.choice(words, 4)) for _ in range(6)) for _ in range(90)
    ]
    (tmp_path / "zh.txt").write_text("\n\n".join(documents), encoding="utf-8")
    result = run("--quick", "--data", "zh.txt", "--words", "电", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert re.search(r"^电 .*影", result.stdout, re.MULTILINE)  # 影 always follows 电


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, ["--data", "own.txt"], "own.txt"),
        (b"", ["--data", "own.txt"], "empty"),
        (b"One sentence only.", ["--data", "own.txt"], "min_count"),
        (b"one " * 20, ["--data", "own.txt"], "too little text"),
        ("caf\xe9 ".encode("latin-1") * 50, ["--data", "own.txt"], "UTF-8"),
        (None, ["--vectors", "own.txt"], "own.txt"),
        (b"2 3\nfilm 1 2 3\n", ["--vectors", "own.txt"], "own.txt"),  # a row is missing
        (b"film 1 2 3\nmovie 1 2\n", ["--vectors", "own.txt"], "own.txt"),
        (b"film 1 2 3\nmovie 1 2 3\n", ["--vectors", "own.txt", "--words", "tree"], "tree"),
    ],
)
def test_bad_input_gets_one_line(tmp_path, content, arguments, message):
    if content is not None:
        (tmp_path / "own.txt").write_bytes(content)
    result = run("--quick", *arguments, cwd=tmp_path)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and message in last
    assert not list(tmp_path.glob("runs/02_word_vectors/*"))

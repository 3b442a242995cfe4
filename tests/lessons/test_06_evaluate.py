"""Lesson 06 in its short form: the table, the saved classifiers, own data, one-line errors."""

import functools
import json

import pytest
from run_lesson import run_lesson

from minillm.models import TextClassifier

MODELS = ("ngrams", "ngram-network", "average", "cnn", "lstm", "lstm-recipe")

run = functools.partial(run_lesson, "06_evaluate")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesson")
    result = run("--quick", "--models", *MODELS, cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout, folder / "runs" / "06_evaluate"


def test_it_trains_all_and_judges_them_in_one_table(quick):
    output, folder = quick
    for part in ("most frequent class     ", "which is better?", "weighted avg", "far too much L2"):
        assert part in output
    results = json.loads((folder / "results.json").read_text())
    assert set(results) == set(MODELS)
    for name in ("confusion", "roc", "calibration", "fitting", "learning_curve"):
        assert (folder / f"{name}.png").stat().st_size > 0


def test_the_expectation_card_holds_for_the_baseline(quick):
    """Even on 480 texts the n-grams are far above the most frequent class (50 %)."""
    assert json.loads((quick[1] / "results.json").read_text())["ngrams"]["accuracy"] > 0.7


@pytest.mark.parametrize("name", MODELS)
def test_every_classifier_is_opened_in_three_lines(quick, name):
    classifier = TextClassifier.from_pretrained(quick[1] / name)
    (answer,) = classifier("A waste of time, the worst film of the year.")
    assert answer["label"] in ("negative", "positive") and 0.5 <= answer["score"] <= 1


def test_three_classes_of_own_texts_with_a_test_file(tmp_path):
    words = {"bad": "awful dull", "fair": "average okay", "good": "superb lovely"}
    rows = [
        f'{{"review": "{word} film number {i} was {word}", "stars": "{label}"}}\n'
        for i in range(20)
        for label, both in words.items()
        for word in both.split()
    ]
    (tmp_path / "train.jsonl").write_text("".join(rows[:90]))
    (tmp_path / "test.jsonl").write_text("".join(rows[90:]))
    result = run(
        *("--quick", "--data", "train.jsonl", "--test-data", "test.jsonl"),
        *("--text-field", "review", "--label-field", "stars", "--models", "ngrams", "lstm-recipe"),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    results = json.loads((tmp_path / "runs" / "06_evaluate" / "results.json").read_text())
    assert results["ngrams"]["accuracy"] == 1
    assert not (tmp_path / "runs" / "06_evaluate" / "roc.png").exists()  # for two classes only


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, [], "own.csv"),
        ("text,label\n", [], "own.csv"),
        ("text,label\na,yes\nb\n", [], "row 3"),
        ("text,label\na,yes\n,no\n", [], "row 3"),
        ("text,label\na,yes\nb,yes\n", [], "two classes"),
        ("text,label\n" + "a,yes\nb,no\n" * 9, ["--text-field", "body"], "body"),
        ("text,label\na,yes\nb,no\n" + "a,b\udcff,c\n", [], "UTF-8"),
    ],
)
def test_bad_data_gets_one_line_and_leaves_nothing(tmp_path, content, arguments, message):
    if content is not None:
        (tmp_path / "own.csv").write_bytes(content.encode("utf-8", "surrogateescape"))
    result = run("--quick", "--data", "own.csv", *arguments, cwd=tmp_path)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and message in last
    assert not list(tmp_path.glob("runs/06_evaluate/*"))

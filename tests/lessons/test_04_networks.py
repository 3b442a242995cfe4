"""Lesson 04 in its short form: what needs no long training is as its card says; one-line errors."""

import functools
import json
import re

import pytest
from run_lesson import run_lesson

run = functools.partial(run_lesson, "04_networks")
PICTURES = ("losses", "tasks", "valley", "initialisation", "overfitting")
NETWORKS = ("fully connected", "CNN", "LSTM", "self-attention")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesson")
    result = run("--quick", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert not result.stderr, "a warning in a lesson is a mistake in it"
    folder = folder / "runs" / "04_networks"
    return result.stdout, folder, json.loads((folder / "results.json").read_text())


def row(output, begin):
    """The cells of the table's row that begins with `begin`."""
    (line,) = (line for line in output.splitlines() if line.startswith(begin + "  "))
    return re.split(r"\s{2,}", line)


def test_one_step_by_hand_is_the_librarys(quick):
    for name in ("W1", "b1", "W2", "b2"):
        *_, before, by_hand, library, difference = row(quick[0], name)
        assert by_hand == library != before and float(difference) < 1e-12
    losses = re.findall(r"(?:by hand is|library's|it is) (\d\.\d{6})", " ".join(quick[0].split()))
    assert losses[0] == losses[1] > losses[2]


def test_losses_as_the_card_says(quick):
    output = " ".join(quick[0].split())
    assert "cross-entropy repairs it in 7 steps, MSE needs 214" in output
    assert "2.126928. One score, -2: 2.126928" in output


def test_what_a_network_cannot_see_it_cannot_learn(quick):
    """Order and brackets, as a bag of words: chance, up to the noise of 300 examples."""
    tasks = quick[2]["tasks"]
    assert abs(tasks["order"]["fully connected"] - 1 / 6) < 0.1
    assert abs(tasks["brackets"]["fully connected"] - 1 / 2) < 0.13
    assert tasks["sum"]["fully connected"] > 0.8 and tasks["order"]["CNN"] > 0.5


def test_the_networks_are_of_one_size(quick):
    for network in NETWORKS:
        smallest, largest = row(quick[0], network)[1].replace(",", "").split("-")
        assert 3500 < int(smallest) <= int(largest) <= 5000


def test_with_the_best_rate_the_averages_win_the_race(quick):
    heights = quick[2]["valley"]
    assert max(heights["momentum"], heights["Adam"]) < min(heights["SGD"], heights["RMSprop"])


def test_layers_die_as_the_card_says(quick):
    small, large = row(quick[0], "tanh, too small (0.02)"), row(quick[0], "tanh, too large (1)")
    assert float(small[1]) < 1e-7 and float(small[3]) < 1e-9 and float(small[4]) > 0.68
    assert int(large[2].rstrip("%")) > 60
    std = {name: float(row(quick[0], name)[1]) for name in ("ReLU, Xavier", "ReLU, Kaiming")}
    assert std["ReLU, Xavier"] < 0.05 < 0.5 < std["ReLU, Kaiming"] < 2


def test_remedies_make_weights_smaller(quick):
    sizes = {name: values[3] for name, values in quick[2]["remedies"].items()}
    assert sizes["both"] < min(sizes["L2"], sizes["dropout"]) < sizes["nothing"]
    assert all(0 <= v <= 1 for values in quick[2]["remedies"].values() for v in values[:2])


def test_pictures(quick):
    for name in PICTURES:
        assert (quick[1] / f"{name}.png").stat().st_size > 10_000


def test_own_texts_of_three_classes(tmp_path):
    kinds = {"bad": "awful dull", "fair": "average okay", "good": "superb lovely"}
    rows = [
        f'{{"text": "a {word} film number {i} and {word} again", "label": "{label}"}}\n'
        for i in range(15)
        for label, words in kinds.items()
        for word in words.split()
    ]
    (tmp_path / "own.jsonl").write_text("".join(rows))
    result = run("--quick", "--data", "own.jsonl", "--out", "here", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    bad = [line for line in result.stdout.splitlines() if line.startswith("bad ")]
    assert len(bad) == 2 and all({"awful", "dull"} <= set(line.split()) for line in bad)
    assert (tmp_path / "here" / "overfitting.png").exists()


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, (), "own.csv"),
        ("text,label\n", (), "own.csv"),
        ("text,label\na,yes\nb,yes\n", (), "two classes"),
        ("text,label\n" + "a,yes\nb,no\n" * 9, ("--text-field", "body"), "body"),
        ("text,label\na,yes\nb\n", (), "row 3"),
        ("text,label\na,yes\nb,no\n", ("--seed", "-2"), "-2 is negative"),
    ],
)
def test_bad_data_gets_one_line_before_any_work(tmp_path, content, arguments, message):
    if content is not None:
        (tmp_path / "own.csv").write_text(content)
    result = run("--quick", "--data", "own.csv", *arguments, cwd=tmp_path)
    assert result.returncode != 0 and "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert "error: " in last and message in last
    assert not result.stdout and not list(tmp_path.glob("runs/04_networks/*"))

"""Lesson 03: what it prints is what its expectation card and its text say; one-line errors."""

import functools
import re
import xml.etree.ElementTree as ElementTree

import pytest
from run_lesson import run_lesson

run = functools.partial(run_lesson, "03_autograd")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesson")
    result = run("--quick", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert not result.stderr, "a warning in a lesson is a mistake in it"
    return result.stdout, folder / "runs" / "03_autograd"


def row(output, begin):
    """The cells of the table's row that begins with `begin`."""
    (line,) = (line for line in output.splitlines() if line.startswith(begin + "  "))
    return re.split(r"\s{2,}", line)


def test_by_hand_by_the_tape_and_by_differences_the_slope_is_the_same(quick):
    output = " ".join(quick[0].split())
    assert "the loss changes by -0.5379" in output and "The chain rule says -0.5379" in output
    assert "dL/dw = -0.5379, dL/du = -0.1345: as by hand" in output
    assert "x * x + x at 3: the slope is 7" in output


def test_the_neuron_learns_and_broadcasting_is_undone(quick):
    assert row(quick[0], "   0")[-1] == "0.6931"
    assert float(row(quick[0], " 200")[-1]) < 0.1
    assert quick[0].count("(2, 3) * ") == 5 and "NO" not in quick[0]


def test_the_functions_have_the_right_gradients(quick):
    for model in ("skip-gram", "CBOW", "GloVe", "softmax", "cross-entropy", "layer norm"):
        assert float(row(quick[0], model)[-1]) < 1e-8


def test_the_check_sees_and_misses_what_the_text_says(quick):
    said = {
        "relu away from its kink": ("right", "passes", "passes"),
        "relu at its kink": ("right", "objects", "objects"),
        "too large by 0.1 %": ("wrong", "passes", "objects"),
        "zeros for a gradient": ("wrong", "passes", "objects"),
        "one number of 1000 wrong": ("wrong", "passes", "objects"),
        "exp in float32": ("right", "objects", "refused"),
        "the wrong function": ("wrong", "passes", "passes"),
    }
    for name, verdicts in said.items():
        assert tuple(row(quick[0], name)[1:]) == verdicts
    best, worst = row(quick[0], "float64, both sides"), row(quick[0], "float32, both sides")
    assert float(best[1]) < 1e-10 < 1e-6 < float(worst[1]) < float(worst[3]) < 0.1


def test_the_losses_of_the_expectation_card(quick):
    assert row(quick[0], "   1")[-1] == "4.158883"
    assert 2.8 < float(row(quick[0], " 100")[-1]) < 3.2
    assert f"The loss of step 100: {row(quick[0], ' 100')[-1]}" in quick[0]


def test_pictures(quick):
    assert (quick[1] / "numerical_check.png").stat().st_size > 10_000
    for name, parts in (
        ("network", ("W1 (5, 3)", "b3 (2,)", "h2 = add (4, 5)", "loss = cross_entropy")),
        ("skip_gram", ("W (7, 4)", "U (7, 4)", "lookup", "dot", "log_sigmoid")),
    ):
        root = ElementTree.parse(quick[1] / f"graph_{name}.svg").getroot()
        labels = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
        assert set(parts) <= set(labels)


def test_another_seed_and_own_text(tmp_path):
    (tmp_path / "own.txt").write_text("the cat saw the dog and the dog saw the cat\n\n" * 20)
    result = run("--quick", "--data", "own.txt", "--seed", "3", "--out", "here", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert row(result.stdout, "   1")[-1] == "4.158883"
    assert (tmp_path / "here" / "graph_network.svg").exists() and not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, (), "own.txt"),
        ("every word here occurs once\n", (), "occurs min_count=5 times"),
        ("again\n" * 9, (), "too little text"),
        ("", (), "own.txt"),
        ("fine\n", ("--seed", "-1"), "-1 is negative"),
    ],
)
def test_bad_input_gets_one_line(tmp_path, content, arguments, message):
    if content is not None:
        (tmp_path / "own.txt").write_text(content)
    result = run("--quick", "--data", "own.txt", *arguments, cwd=tmp_path)
    assert result.returncode != 0 and "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert "error: " in last and message in last

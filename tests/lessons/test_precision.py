"""Lesson 05 in float16 learns what it learns in float32, on a CPU.

MINILLM_PRECISION_STEPS=120 runs the whole quick lesson, both ways, on the film reviews (a minute).
"""

import json
import os

import numpy as np
import pytest
from run_lesson import run_lesson

STEPS = int(os.environ.get("MINILLM_PRECISION_STEPS", "8"))
WHOLE = STEPS >= 120


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A small text, for a short run."""
    rng = np.random.default_rng(0)
    words = "the a young film story actor scene plays sings walks and but never often".split()
    documents = [" ".join(rng.choice(words, 40)) + f". End {i}." for i in range(120)]
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("\n\n".join(documents), encoding="utf-8")
    return path


@pytest.mark.parametrize("model", ["gpt", "bert"] if WHOLE else ["gpt"])
def test_within_one_per_cent_of_float32(model, corpus, tmp_path):
    curves, scores = {}, {}
    for precision in ("float32", "float16"):
        out = tmp_path / precision
        result = run_lesson(
            *("05_pretrain", "--model", model, "--quick", "--steps", STEPS, "--out", out),
            *("--precision", precision),
            *(() if WHOLE else ("--data", corpus, "--batch-size", 8)),
            cwd=tmp_path,
        )
        assert result.returncode == 0, result.stderr
        assert "Warning" not in result.stderr
        records = [json.loads(line) for line in open(out / "metrics.jsonl")]
        assert len(records) == STEPS
        assert ("loss_scale" in records[-1]) == (precision == "float16")
        curves[precision] = [record["loss"] for record in records]
        evaluation = json.loads((out / "evaluation.json").read_text())["model"]
        scores[precision] = evaluation["loss" if model == "gpt" else "mlm_loss"]
    np.testing.assert_allclose(curves["float16"], curves["float32"], rtol=0.01)
    last = {name: np.mean(curve[-10:]) for name, curve in curves.items()}
    assert last["float16"] == pytest.approx(last["float32"], rel=0.01)
    assert scores["float16"] == pytest.approx(scores["float32"], rel=0.01)
    print(f"{model}: the last losses {last}, held out {scores}")


def test_the_bert_lesson_knows_the_option_too(tmp_path):
    result = run_lesson("05_pretrain", "--precision", "8", cwd=tmp_path)
    assert result.returncode == 2
    assert "--precision: invalid choice: '8' (choose from" in result.stderr
    assert "float16" in result.stderr

"""Lesson 07 in its short form: with and without pretrained weights, own data, one-line errors."""

import functools
import json

import numpy as np
import pytest
from run_lesson import run_lesson

import minillm
from minillm.models import BertConfig, BertModel, TextClassifier
from minillm.text import WordPieceTokenizer

GOOD = ["一本好书，非常喜欢", "酒店很好，服务周到", "质量很好，值得购买", "很满意，下次再来"]
BAD = ["太差了，很失望", "房间又脏又小", "质量很差，不要买", "服务态度恶劣"]


run = functools.partial(run_lesson, "07_finetune")


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A small BERT as Hugging Face's layout has it, in the place of a real one."""
    folder = tmp_path_factory.mktemp("pretrained")
    tokenizer = WordPieceTokenizer.train(
        ["the film was good and the actors were bad"] * 3, vocab_size=60, show_progress=False
    )
    tokenizer.save(folder / "tokenizer.json")
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=40,
    )
    minillm.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def quick(tmp_path_factory, pretrained):
    folder = tmp_path_factory.mktemp("lesson")
    result = run("--quick", "--model", pretrained, "--lesson05", pretrained, cwd=folder)
    assert result.returncode == 0, result.stderr
    return result, folder / "runs" / "07_finetune"


def test_it_compares_the_three_beginnings_and_leaves_its_results(quick):
    result, folder = quick
    for part in ("from scratch", "lesson 05", "pretrained", "equal texts stay on one side"):
        assert part in result.stdout
    assert (folder / "learning_curves.png").stat().st_size > 0
    records = [json.loads(line) for line in open(folder / "results.jsonl")]
    assert {(r["start"], r["examples"]) for r in records} == {
        (start, n) for start in ("scratch", "lesson05", "pretrained") for n in (40, 320)
    }
    for record in records:
        assert record["accuracy"] == np.mean([c == "1" for c in record["correct"]])


def test_expectation_card(quick):
    """A new head knows nothing: the first loss is near ln 2."""
    records = [json.loads(line) for line in open(quick[1] / "results.jsonl")]
    assert all(abs(record["first_loss"] - np.log(2)) < 0.15 for record in records)


def test_the_classifier_is_used_in_three_lines(quick):
    classifier = TextClassifier.from_pretrained(quick[1] / "pretrained" / "model")
    (answer,) = classifier("A joy from start to end.")
    assert answer["label"] in ("negative", "positive") and 0.5 <= answer["score"] <= 1


def test_a_second_run_resumes_or_says_so(quick):
    _, folder = quick
    again = run("--quick", cwd=folder.parent.parent)
    assert again.returncode == 1 and "--resume" in again.stderr
    assert len(again.stderr.strip().splitlines()) == 1


def test_own_chinese_texts_without_any_pretrained_network(tmp_path):
    rows = [
        (text + str(i), "好" if text in GOOD else "坏") for i in range(6) for text in GOOD + BAD
    ]
    (tmp_path / "own.tsv").write_text("".join(f"{t}\t{y}\n" for t, y in rows), encoding="utf-8")
    result = run(
        *("--quick", "--data", "own.tsv", "--start", "scratch", "--examples", "all"), cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "runs" / "07_finetune" / "scratch" / "model"
    assert set(TextClassifier.from_pretrained(folder).label_names) == {"好", "坏"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "missing.csv"], "missing.csv"),
        (["--data", "own.csv", "--label-field", "stars"], "stars"),
        (["--test-data", "own.csv"], "--test-data needs --data"),
        (["--data", "own.csv", "--examples", "100000", "--start", "scratch"], "100000"),
        (["--model", "nowhere", "--start", "pretrained"], "nowhere"),
        (["--model", ".", "--start", "pretrained"], "config.json"),
    ],
)
def test_mistakes_get_one_line_and_nothing_is_left_behind(tmp_path, arguments, message):
    rows = [f"text {i} is fine,{i % 2}\n" for i in range(40)]
    (tmp_path / "own.csv").write_text("text,label\n" + "".join(rows))
    result = run("--quick", *arguments, cwd=tmp_path)
    assert result.returncode == 1
    assert message in result.stderr and "Traceback" not in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")
    assert not list(tmp_path.glob("runs/**/*.safetensors"))

"""Lesson 05 does what it says, in its short form, and answers mistakes with one line."""

import functools
import json
import math
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from run_lesson import LESSONS, run_lesson

from minillm.models import BertForPreTraining
from minillm.text import WordPieceTokenizer

LESSON = LESSONS / "05_pretrain.py"


run = functools.partial(run_lesson, "05_pretrain")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesson")
    result = run("--quick", cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout, folder / "runs" / "05_pretrain"


def test_it_says_what_it_does_and_leaves_its_results(quick):
    output, folder = quick
    for part in ("One document in ten is held out", "as the model sees it", "best guess from"):
        assert part in output
    for name in ("training.png", "attention.png", "evaluation.json", "metrics.jsonl"):
        assert (folder / name).stat().st_size > 0
    assert not list(folder.glob(".tmp-*"))


def test_expectation_card(quick):
    """The loss begins near ln V + ln 2 and falls well below it."""
    _, folder = quick
    V = WordPieceTokenizer.from_file(folder / "model" / "tokenizer.json").get_vocab_size()
    losses = [json.loads(line)["loss"] for line in open(folder / "metrics.jsonl")]
    assert len(losses) == 120
    assert losses[0] == pytest.approx(math.log(V) + math.log(2), abs=0.6)
    assert np.mean(losses[-10:]) < losses[0] - 0.8
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert evaluation["model"]["mlm_accuracy"] > evaluation["baselines"]["most_frequent"]


def test_the_model_folder_opens(quick):
    _, folder = quick
    model = BertForPreTraining.from_pretrained(folder / "model")
    tokenizer = WordPieceTokenizer.from_file(folder / "model" / "tokenizer.json")
    ids = np.array([tokenizer.encode("a [MASK] film").ids])
    logits = model(ids).prediction_logits.numpy()
    assert logits.shape == (*ids.shape, tokenizer.get_vocab_size())
    assert np.isfinite(logits).all()


def test_a_finished_folder_is_not_overwritten(quick):
    _, folder = quick
    before = (folder / "model" / "tokenizer.json").read_bytes()
    result = run("--quick", cwd=folder.parents[1])
    assert result.returncode != 0 and "--resume" in result.stderr
    assert (folder / "model" / "tokenizer.json").read_bytes() == before


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "missing.txt"),
        (b"", "empty"),
        (b"GIF89a\x00\x01\x02" * 50, "not a text file"),
        ("caf\xe9 ".encode("latin-1") * 50, "UTF-8"),
        (b"One sentence only.", "Add documents"),
    ],
)
def test_a_bad_corpus_gets_one_line(tmp_path, content, message):
    path = tmp_path / "missing.txt"
    if content is not None:
        path = write(tmp_path, "corpus.txt", content)
    result = run("--quick", "--data", path, "--out", tmp_path / "out", cwd=tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last


def test_a_folder_that_cannot_be_written_gets_one_line(tmp_path):
    blocker = write(tmp_path, "file", b"not a folder")
    result = run("--quick", "--out", blocker / "out", cwd=tmp_path)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "choose another folder with --out" in result.stderr


def test_a_device_that_is_not_there_gets_one_line(tmp_path):
    from minillm.backend import get_device

    try:
        get_device("cuda")
    except RuntimeError as error:
        result = run("--quick", "--device", "cuda", "--out", tmp_path / "out", cwd=tmp_path)
        assert result.returncode == 1 and "Traceback" not in result.stderr
        assert " ".join(str(error).split()) in result.stderr


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    process = subprocess.Popen(
        [sys.executable, str(LESSON), "--quick", "--steps", "100000", "--out", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    metrics = tmp_path / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in errors and "--resume" in errors.strip().splitlines()[-1]
    assert list(tmp_path.glob("checkpoint-*"))


def test_chinese_text_trains_too(tmp_path):
    rng = np.random.default_rng(0)
    words = ["这部电影", "很好看", "演员", "非常出色", "故事", "没有意思", "我喜欢", "音乐", "结尾"]
    documents = [
        "".join("".join(rng.choice(words, 4)) + "。" for _ in range(6)) for _ in range(120)
    ]
    corpus = write(tmp_path, "zh.txt", "\n\n".join(documents).encode())
    result = run(
        *("--quick", "--steps", 10, "--batch-size", 8),
        *("--data", corpus, "--out", tmp_path / "out"),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert "masked words" in result.stdout

"""Lesson 05 with --model gpt does what it says, in its short form."""

import functools
import json
import math
import shutil

import numpy as np
import pytest
from run_lesson import run_lesson

from minillm.data import TokenRow, embedded_reviews, encode_corpus, split_documents
from minillm.evaluation import evaluate_causal
from minillm.models import GPTForCausalLM
from minillm.text import BPETokenizer, CharacterTokenizer, clean_text

run = functools.partial(run_lesson, "05_pretrain", "--model", "gpt")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesson")
    result = run("--quick", cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout, folder / "runs" / "05_pretrain_gpt"


@pytest.fixture
def corpus(tmp_path):
    """A small text of one's own, with characters that a held-out document may have alone."""
    rng = np.random.default_rng(0)
    words = "the a young film story actor café scene plays 电影 sings walks and but 🙂".split()
    documents = [" ".join(rng.choice(words, 40)) + f". End {i}." for i in range(150)]
    path = tmp_path / "corpus.txt"
    path.write_text("\n\n".join(documents), encoding="utf-8")
    return path


def test_it_says_what_it_does_and_leaves_its_results(quick):
    output, folder = quick
    for part in (
        "One document in ten is held out",
        "what is asked at each place",
        "Kneser-Ney trigram",
        "this GPT",
        "Before training it writes",
        "Drawn from the probable ones",
    ):
        assert part in output
    for name in ("training.png", "evaluation.json", "metrics.jsonl", "model/tokenizer.json"):
        assert (folder / name).stat().st_size > 0
    assert [path.name for path in folder.parent.iterdir()] == ["05_pretrain_gpt"]
    assert not list(folder.rglob(".tmp-*"))


def test_expectation_card(quick):
    """The loss begins near ln V, and passes the unigrams within the short run."""
    _, folder = quick
    V = BPETokenizer.from_file(folder / "model" / "tokenizer.json").get_vocab_size()
    records = [json.loads(line) for line in open(folder / "metrics.jsonl")]
    losses = [record["loss"] for record in records]
    assert len(losses) == 120
    assert losses[0] == pytest.approx(math.log(V), abs=0.3)
    evaluation = json.loads((folder / "evaluation.json").read_text())
    baselines = evaluation["baselines"]
    assert evaluation["model"]["loss"] < baselines["unigram"]["loss"] - 0.1
    assert [record["step"] for record in records if "validation_loss" in record] == [40, 80, 120]
    # More context is better, and all answered for the same tokens.
    order = [baselines[f"{n}"] for n in ("unigram", "Kneser-Ney bigram", "Kneser-Ney trigram")]
    for measure in ("loss", "perplexity", "bits_per_byte"):
        assert order[0][measure] > order[1][measure] > order[2][measure]
    assert len({m["tokens"] for m in (evaluation["model"], *order)}) == 1


def test_the_model_folder_gives_the_same_loss_on_the_same_documents(quick, tmp_path):
    """Measured once more from the folder and the texts: tokens, bytes and loss are as told."""
    _, folder = quick
    told = json.loads((folder / "evaluation.json").read_text())["model"]
    model = GPTForCausalLM.from_pretrained(folder / "model")
    tokenizer = BPETokenizer.from_file(folder / "model" / "tokenizer.json")
    end = tokenizer.token_to_id("<|endoftext|>")
    assert model.config.eos_token_id == model.config.bos_token_id == end
    _, held_out = split_documents(embedded_reviews().first(1500), held_out=0.1)
    encoded = encode_corpus(held_out, tokenizer, tmp_path, progress=False, whole_documents=True)
    ids = TokenRow(encoded, end)[: told["tokens"] + 1]
    text = "".join(map(clean_text, held_out)).encode()
    scored = tokenizer.decode_bytes(ids, skip_special_tokens=True)
    assert text.startswith(scored)
    again = evaluate_causal(model, ids, total_bytes=len(scored))
    assert again["loss"] == pytest.approx(told["loss"], rel=1e-4)
    assert again["bits_per_byte"] == pytest.approx(told["bits_per_byte"], rel=1e-3)


def test_a_finished_folder_is_not_overwritten(quick):
    _, folder = quick
    before = (folder / "model" / "tokenizer.json").read_bytes()
    result = run("--quick", cwd=folder.parents[1])
    assert result.returncode == 1 and "--resume" in result.stderr
    assert "Traceback" not in result.stderr
    assert (folder / "model" / "tokenizer.json").read_bytes() == before


def test_a_stopped_run_goes_on_to_the_same_weights(corpus, tmp_path):
    """The second half done anew from the checkpoint in the middle: the same to the last bit."""
    arguments = ("--quick", "--data", corpus, "--batch-size", 4, "--out", tmp_path / "out")
    assert run(*arguments, cwd=tmp_path).returncode == 0
    weights = tmp_path / "out" / "model" / "model.safetensors"
    first = weights.read_bytes()
    shutil.rmtree(tmp_path / "out" / "checkpoint-000120")
    weights.unlink()
    result = run(*arguments, "--resume", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert weights.read_bytes() == first


def test_characters_are_a_tokenizer_like_any_other(corpus, tmp_path):
    result = run(
        *("--quick", "--tokenizer", "characters", "--steps", 6, "--batch-size", 2),
        *("--data", corpus, "--out", tmp_path / "out"),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    tokenizer = CharacterTokenizer.from_file(tmp_path / "out" / "model" / "tokenizer.json")
    model = GPTForCausalLM.from_pretrained(tmp_path / "out" / "model")
    assert model.config.vocab_size == tokenizer.get_vocab_size() < 60
    assert tokenizer.token_to_id("电") is not None
    told = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert 0 < told["model"]["bits_per_byte"] < 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "missing.txt"), "missing.txt"),
        (("--batch-size", "3"), "--batch-size 3: it must be an even number"),
    ],
)
def test_mistakes_get_one_line(tmp_path, arguments, message):
    result = run("--quick", *arguments, cwd=tmp_path)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and message in last


def test_a_corpus_too_small_gets_one_line(tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("One sentence only.")
    result = run("--quick", "--data", path, cwd=tmp_path)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")


def test_the_bert_lesson_knows_of_the_other_way(tmp_path):
    result = run_lesson("05_pretrain", "--help", cwd=tmp_path)
    assert result.returncode == 0 and "runs/05_pretrain_gpt" in " ".join(result.stdout.split())
    result = run("--help", cwd=tmp_path)
    assert result.returncode == 0 and "--tokenizer {bpe,characters}" in result.stdout
    result = run_lesson("05_pretrain", "--model", "llama", cwd=tmp_path)
    assert result.returncode == 2 and "invalid choice: 'llama'" in result.stderr
    assert not list(tmp_path.iterdir())

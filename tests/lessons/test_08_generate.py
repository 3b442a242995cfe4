"""Lesson 08 in its short form: what its card promises, its pictures, its options, bad input."""

import functools
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from run_lesson import LESSONS, run_lesson

from minillm.generation import generate
from minillm.models import BertConfig, BertModel, GPTForCausalLM, LlamaConfig, LlamaForCausalLM
from minillm.text import BPETokenizer, open_tokenizer

run = functools.partial(run_lesson, "08_generate")
PICTURES = ("training", "temperature", "choice", "cache", "heads")


def type_into(*arguments, typed, cwd):
    """The lesson with somebody at its keyboard, who types these bytes."""
    command = [sys.executable, LESSONS / "08_generate.py", *map(str, arguments)]
    environment = os.environ | {"PYTHONUTF8": "1"}
    result = subprocess.run(command, cwd=cwd, input=typed, capture_output=True, env=environment)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def small_llama(folder, tokenizer, vocab_size=None):
    """An untrained Llama with grouped heads, saved with its tokenizer."""
    config = LlamaConfig(
        vocab_size=vocab_size or tokenizer.get_vocab_size(),
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=48,
        bos_token_id=None,
        eos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save(folder / "tokenizer.json")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesson")
    result = run("--quick", cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout, folder / "runs" / "08_generate"


@pytest.fixture(scope="module")
def results(quick):
    return json.loads((quick[1] / "results.json").read_text())


def test_no_token_is_lost_and_none_looks_ahead(results):
    assert results["bytes_round_trip"] is True
    assert results["leak"] == 0.0
    assert results["cache_equal"] is True


def test_it_learns(results):
    assert results["loss_1"] == pytest.approx(results["ln_V"], abs=0.25)  # nothing known at first
    assert results["validation_loss"] < results["unigram"] - 0.5  # in the end more than frequencies
    assert results["true_beginning"] > 0.6


def test_temperature_moves_the_entropy_from_nothing_to_everything(results):
    for bits in results["entropy"].values():
        assert bits == sorted(bits)
        assert 0 < bits[0] < bits[-1] < results["ln_V"] / np.log(2) + 1e-9
    assert results["entropy"]["sure"][3] < results["entropy"]["unsure"][3]


def test_top_p_and_min_p_follow_the_distribution_and_top_k_does_not(results):
    kept = {name: tokens for name, (tokens, _) in results["kept"].items()}
    assert kept["sure, top-k 10"] == kept["unsure, top-k 10"] == 10
    assert kept["sure, top-p 0.8"] < kept["unsure, top-p 0.8"]
    assert all(
        share >= 0.8 - 1e-9 for name, (_, share) in results["kept"].items() if "top-p" in name
    )


def test_the_probable_text_repeats_itself_and_people_do_not(results):
    methods = results["methods"]
    people = methods["what people wrote"]
    for name in ("greedy", "beam search, 5 beams"):
        assert methods[name]["nats"] < people["nats"] - 0.5
        assert methods[name]["repeated"] > people["repeated"] + 0.1
    assert methods["temperature 0.7"]["nats"] < methods["temperature 1.5"]["nats"]
    assert results["beam_not_worse"] >= 0.5


def test_pictures_and_all_sections_are_there(quick):
    output, folder = quick
    for name in PICTURES:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "ms with the cache" in output
    assert re.search(r"^layer 2, head 4 .*%", output, re.MULTILINE)
    assert "The movie was|" in output  # the pieces of the stream


def test_its_model_can_be_opened_and_writes(quick):
    folder = quick[1] / "model"
    model, tokenizer = GPTForCausalLM.from_pretrained(folder), open_tokenizer(folder)
    ids = [[model.config.eos_token_id, *tokenizer.encode_ids("The movie")]]
    one, two = (
        generate(model, ids, max_new_tokens=12, do_sample=True, seed=1, use_cache=use).sequences
        for use in (True, False)
    )
    assert np.array_equal(one, two) and one.shape == (1, len(ids[0]) + 12)


def test_a_model_folder_and_a_prompt(quick, tmp_path):
    """Another architecture, untrained: every section runs, and nothing is trained."""
    torn = open_tokenizer(quick[1] / "model")
    small_llama(tmp_path / "llama", torn)
    result = run("--quick", "--model", "llama", "--prompt", "Élan 电影", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "a Llama of 2 layers" in result.stdout and "Training" not in result.stdout
    assert "greedy: Élan 电影" in result.stdout
    assert "--model llama --chat" in result.stdout
    folder = tmp_path / "runs" / "08_generate"
    assert not (folder / "model").exists() and not (folder / "training.png").exists()
    found = json.loads((folder / "results.json").read_text())
    assert found["leak"] == 0.0 and found["cache_equal"] is True


def test_the_model_of_lesson_05_is_taken(quick, tmp_path):
    place = tmp_path / "runs" / "05_pretrain_gpt"
    small_llama(place / "model", open_tokenizer(quick[1] / "model"))
    code, output, errors = type_into("--quick", "--chat", typed=b"", cwd=tmp_path)
    assert code == 0 and not errors
    assert "Type the beginning" in output and not (tmp_path / "runs/08_generate/cache").exists()


def test_a_conversation(quick, tmp_path):
    typed = "The movie\n电影 \udc80\n".encode("utf-8", "surrogateescape") + b"word " * 200 + b"\n\n"
    model = quick[1] / "model"
    code, output, errors = type_into("--model", model, "--prompt", "-", typed=typed, cwd=tmp_path)
    assert code == 0 and not errors
    turns = output.split("\n> ")[1:]
    assert len(turns) == 4
    assert turns[0].strip().startswith("The movie") and len(turns[0].strip()) > 20
    assert turns[1].strip().startswith("电影 \ufffd")
    assert turns[2].startswith("error: the prompt has") and "context of 64" in turns[2]
    again = type_into("--model", model, "--chat", typed=typed, cwd=tmp_path)
    assert again[1] == output  # the same seed, the same text


def test_own_texts_in_chinese(tmp_path):
    generator = np.random.default_rng(0)
    words = ["这部电影", "很好看", "演员", "非常出色", "故事", "没有意思", "我喜欢", "音乐", "结尾"]
    documents = [
        "。".join("".join(generator.choice(words, 4)) for _ in range(8)) for _ in range(150)
    ]
    (tmp_path / "zh.txt").write_text("\n\n".join(documents), encoding="utf-8")
    result = run("--quick", "--data", "zh.txt", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr  # no letters that the pictures' font lacks
    greedy = re.search(r"^greedy: (.+)$", result.stdout, re.MULTILINE)
    assert any(word in greedy[1] for word in words)
    assert json.loads((tmp_path / "runs/08_generate/results.json").read_text())["cache_equal"]


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, ["--data", "own.txt"], "own.txt"),
        (b"", ["--data", "own.txt"], "empty"),
        (b"One document only.", ["--data", "own.txt"], "held out"),
        (b"few words\n\n" * 9 + b"\n\n".join(b"%d." % i for i in range(60)), ["--data", "own.txt"],
         "too little text"),
        ("caf\xe9 ".encode("latin-1") * 50, ["--data", "own.txt"], "UTF-8"),
        (None, ["--prompt", " "], "empty"),
        (None, ["--prompt", "word " * 300], "context of 64"),
        (None, ["--prompt", "\udcff"], "UTF-8"),
        (None, ["--model", "nowhere"], "nowhere"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_line(tmp_path, content, arguments, message):
    if content is not None:
        (tmp_path / "own.txt").write_bytes(content)
    result = run("--quick", *arguments, cwd=tmp_path)
    assert_one_line(result, message)
    assert not list(tmp_path.glob("runs/08_generate/*.*"))


def test_bad_model_folders_get_one_line(quick, tmp_path):
    tokenizer = open_tokenizer(quick[1] / "model")
    for name, message in (
        ("bert", "'bert'"),
        ("damaged", "config.json is damaged"),
        ("cut off", "model.safetensors"),
        ("no tokenizer", "tokenizer.json"),
        ("foreign", "belong together"),
    ):
        folder = tmp_path / name
        small_llama(folder, tokenizer)
        if name == "bert":
            config = BertConfig(vocab_size=30, hidden_size=8, num_attention_heads=2)
            BertModel(config).save_pretrained(folder)
        elif name == "damaged":
            (folder / "config.json").write_text("[1, 2]")
        elif name == "cut off":
            path = folder / "model.safetensors"
            path.write_bytes(path.read_bytes()[:-100])
        elif name == "no tokenizer":
            (folder / "tokenizer.json").unlink()
        else:
            small_llama(folder, BPETokenizer.train(["a b c"], 257), vocab_size=256)
        assert_one_line(run("--model", folder, "--chat", cwd=tmp_path), message)


def assert_one_line(result, message):
    assert result.returncode == 1 and "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and message in last, result.stderr

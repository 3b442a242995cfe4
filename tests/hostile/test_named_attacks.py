"""Attacks that have a name, each refused with a message that says what is wrong."""

import json
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
from hostile.seeds import CHECKPOINT_SETTINGS, checkpoint_parts, make_seeds
from hostile.worker import write_case

from minillm.data import open_labelled
from minillm.data.corpus import TextFolder
from minillm.files import complete_files
from minillm.models import BertModel, GPTForCausalLM, LlamaForCausalLM
from minillm.text import BPETokenizer
from minillm.text.opening import open_tokenizer
from minillm.training.checkpoint import load_checkpoint
from minillm.training.checkpoint_folder import CheckpointError, digest_of_content

MODELS = {"bert": BertModel, "gpt": GPTForCausalLM, "llama": LlamaForCausalLM}


def folder_of(kind, name, tmp_path):
    seed = next(seed for seed in make_seeds(kind) if seed.name == name)
    write_case(tmp_path, seed.files)
    return tmp_path


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "name, changes",
    [
        ("bert", {"hidden_size": 10**9}),
        ("bert", {"vocab_size": 10**15}),
        ("bert", {"num_hidden_layers": 10**9}),
        ("bert", {"max_position_embeddings": 10**12}),
        ("gpt", {"n_embd": 10**8}),
        ("gpt", {"n_layer": 10**12}),
        ("llama", {"intermediate_size": 10**13}),
        ("llama", {"head_dim": 10**10, "num_key_value_heads": 4}),
    ],
)
def test_a_config_of_terabytes(tmp_path, name, changes):
    folder = folder_of("config", name, tmp_path)
    edit(folder / "config.json", **changes)
    tracemalloc.start()
    with pytest.raises(ValueError, match="model.safetensors doesn't fit config.json"):
        MODELS[name].from_pretrained(folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 << 20


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(tmp_path, value):
    folder = folder_of("weights", "gpt", tmp_path)
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load(path.read_bytes())
    tensors["transformer.h.0.mlp.c_fc.weight"][0, 0] = value
    path.write_bytes(safetensors.numpy.save(tensors))
    with pytest.raises(ValueError, match="transformer.h.0.mlp.c_fc.weight holds NaN or infinity"):
        GPTForCausalLM.from_pretrained(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_link_out_of_a_models_folder(tmp_path, name):
    folder = tmp_path / "model"
    folder.mkdir()
    folder_of("weights", "gpt", folder)
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(f"../{name}")
    with pytest.raises(ValueError, match=f"{name} is a link that leads out of its folder"):
        GPTForCausalLM.from_pretrained(folder)


def test_a_link_that_would_pull_somebodys_files_into_the_folder(tmp_path):
    """An interrupted save is completed when a folder is opened; a link is no interrupted save."""
    mine, sent = tmp_path / "mine", tmp_path / "sent"
    mine.mkdir()
    sent.mkdir()
    (mine / "diary.txt").write_text("private")
    (sent / ".tmp-minillm-ready").symlink_to(mine)
    complete_files(sent)
    assert (mine / "diary.txt").exists()
    assert not (sent / "diary.txt").exists()


def test_links_out_of_folders_of_texts(tmp_path):
    for name in ("data/pos", "data/neg", "corpus"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "data/pos/1.txt").write_text("fine")
    (tmp_path / "data/neg/1.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(ValueError, match="1.txt is a link that leads out of"):
        open_labelled(tmp_path / "data")
    (tmp_path / "corpus/1.txt").symlink_to("../secret.txt")
    with pytest.raises(ValueError, match="1.txt is a link that leads out of"):
        TextFolder(tmp_path / "corpus")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda vocab: vocab.update({"new": 10**6}), "without gaps, but 'new' has id 1000000"),
        (lambda vocab: vocab.update({"new": 5}), "have the same id 5"),
        (lambda vocab: vocab.pop("Ġfilm"), "contradicts the vocabulary: the token 'Ġfilm'"),
        (lambda vocab: vocab.update({"new": "5"}), "maps str to int, but holds 'new': '5'"),
    ],
)
def test_a_vocabulary_with_gaps_and_doubles(tmp_path, change, message):
    path = folder_of("tokenizer", "BPE", tmp_path) / "tokenizer.json"
    model = json.loads(path.read_text())["model"]
    model.pop("sha256", None)
    change(model["vocab"])
    edit(path, model=model)
    with pytest.raises(ValueError, match=message) as caught:
        open_tokenizer(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a{0,1000}){0,1000}b", "[a-z]*" * 30 + "!"])
def test_a_pattern_that_runs_away_is_stopped(pattern):
    tokenizer = BPETokenizer.train(["aaa b"], 260)
    mean = BPETokenizer(tokenizer.get_vocab(), tokenizer.model.merges, pattern=pattern)
    with pytest.raises(ValueError, match="runs away: it needs more than 0.2[0-9]* s for 3003 char"):
        mean.encode_ids("a" * 3000 + " b!")


@pytest.mark.parametrize("pattern", ["(?R)", "a(?1)", "(?P>n)", "(abc){e<=3}", "a" * 3000])
def test_a_pattern_that_is_none_for_words_is_refused(pattern):
    tokenizer = BPETokenizer.train(["aaa b"], 260)
    with pytest.raises(ValueError, match="the pattern"):
        BPETokenizer(tokenizer.get_vocab(), tokenizer.model.merges, pattern=pattern)


@pytest.mark.parametrize("name", ["../secret", "/dev/zero", "/etc/passwd", "sub/x"])
def test_a_checkpoint_that_names_files_elsewhere(tmp_path, name):
    folder = folder_of("checkpoint", "checkpoint", tmp_path) / "checkpoint-000007"
    path = folder / "trainer.json"
    content = json.loads(path.read_text())
    content["digests"][name] = "0" * 64
    content["digests"]["trainer.json"] = digest_of_content(content)
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="no name of a file in the folder"):
        load_checkpoint(folder, *checkpoint_parts(False)[:2], CHECKPOINT_SETTINGS)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda o: o["groups"][0].update(lr="0.1"), "option 'lr' of the optimizer's group 0"),
        (lambda o: o["groups"][0].update(more=1), "option 'more'"),
        (lambda o: o["groups"][0].update(betas=[0.9]), "option 'betas'"),
        (lambda o: o.update(steps=[-1] * len(o["steps"])), "steps are"),
        (lambda o: o.update(groups={}), "groups are"),
        (lambda o: o.pop("steps"), "no entry 'steps'"),
    ],
)
def test_a_checkpoint_whose_digests_fit_and_whose_optimizer_does_not(tmp_path, change, message):
    folder = folder_of("checkpoint", "checkpoint", tmp_path) / "checkpoint-000007"
    path = folder / "trainer.json"
    content = json.loads(path.read_text())
    change(content["optimizer"])
    content["digests"]["trainer.json"] = digest_of_content(content)
    path.write_text(json.dumps(content))
    model, optimizer, _ = checkpoint_parts(False)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder, model, optimizer, CHECKPOINT_SETTINGS)
    assert all((array == before[name]).all() for name, array in model.state_dict().items())

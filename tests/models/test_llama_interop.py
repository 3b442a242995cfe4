"""Llama folders travel between minillm and transformers both ways; outputs and gradients agree."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from minillm.models import LlamaConfig, LlamaForCausalLM, LlamaModel  # noqa: E402

pytestmark = pytest.mark.interop


def configuration(seed: int) -> dict:
    """Random measures, many of them odd numbers; heads in groups, tied and untied, with biases."""
    rng = np.random.default_rng(seed)
    groups, each = int(rng.integers(1, 4)), [1, 2, 3][seed % 3]
    heads, size = groups * each, 2 * int(rng.integers(2, 6))
    width = heads * int(rng.integers(3, 12))
    return {
        "vocab_size": int(rng.integers(30, 90)),
        "hidden_size": width,
        "intermediate_size": int(rng.integers(width, 4 * width)),
        "num_hidden_layers": int(rng.integers(1, 4)),
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "head_dim": size,
        "max_position_embeddings": int(rng.integers(12, 40)),
        "initializer_range": 0.2,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": [10000.0, 500000.0, 77.0][seed % 3],
        },
        "attention_bias": seed % 4 == 1,
        "mlp_bias": seed % 4 == 2,
        "tie_word_embeddings": seed % 2 == 0,
        "bos_token_id": 1,
        "eos_token_id": [2, 3],
    }


def inputs(config: dict, seed: int) -> dict:
    """Texts, the second one padded on the left; its positions count from its first token."""
    rng = np.random.default_rng(seed)
    mask = np.ones((3, 11), np.int64)
    mask[1, :4] = 0
    labels = rng.integers(0, config["vocab_size"], (3, 11))
    ids = labels.copy()
    labels[mask == 0] = -100
    labels[2, 5] = -100
    positions = np.maximum(mask.cumsum(1) - 1, 0)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": labels,
        "position_ids": positions,
    }


def as_torch(arrays):
    return {name: torch.tensor(array) for name, array in arrays.items()}


def assert_same_logits(ours, theirs, arrays, tolerance=1e-4):
    """At every position that is not padding."""
    with torch.no_grad():
        expected = theirs(**as_torch(arrays))
    mine = ours(**arrays)
    real = arrays["attention_mask"] == 1
    np.testing.assert_allclose(
        mine.logits.numpy()[real], expected.logits.numpy()[real], atol=tolerance, rtol=0
    )
    assert mine.loss.item() == pytest.approx(expected.loss.item(), abs=tolerance)


@pytest.mark.parametrize("seed", range(5))
def test_transformers_opens_what_we_save(tmp_path, seed):
    config = configuration(seed)
    ours = LlamaForCausalLM(LlamaConfig(**config)).eval()
    rng = np.random.default_rng(seed)
    for parameter in ours.parameters():  # biases and norms that are not 0 and 1
        parameter.data += 0.1 * rng.standard_normal(parameter.shape, np.float32)
    ours.save_pretrained(tmp_path)
    theirs, loading = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    assert type(theirs).__name__ == "LlamaForCausalLM"
    assert_same_logits(ours, theirs.eval(), inputs(config, seed))


@pytest.mark.parametrize("seed", range(5, 10))
def test_we_open_what_transformers_saves(tmp_path, seed):
    config = configuration(seed)
    torch.manual_seed(seed)
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**config)).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    theirs.save_pretrained(tmp_path)
    ours = LlamaForCausalLM.from_pretrained(tmp_path)
    assert ours.config == LlamaConfig(**config)
    assert_same_logits(ours, theirs, inputs(config, seed))


@pytest.mark.parametrize("seed", [1, 2])
def test_loss_and_gradients_are_those_of_transformers(tmp_path, seed):
    """To 1e-5: transformers computes the angles in float32, whatever the model's dtype."""
    config = configuration(seed)
    torch.manual_seed(seed)
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**config))
    theirs.save_pretrained(tmp_path)
    ours = LlamaForCausalLM.from_pretrained(tmp_path).to(np.float64)
    theirs = theirs.double().eval()
    arrays = inputs(config, seed)
    labels = arrays.pop("labels")
    logits = theirs(**as_torch(arrays)).logits  # (their own loss is computed in float32)
    expected = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), torch.tensor(labels[:, 1:].reshape(-1))
    )
    expected.backward()
    mine = ours(**arrays, labels=labels)
    mine.loss.backward()
    assert mine.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    theirs_by_name = dict(theirs.named_parameters())
    names = ours.hugging_face_names(ours.config)
    assert set(theirs_by_name) == set(names.values())
    for name, parameter in ours.named_parameters():
        gradient = theirs_by_name[names[name]].grad.numpy()
        np.testing.assert_allclose(
            parameter.grad, gradient, rtol=0, atol=1e-5 * np.abs(gradient).max(), err_msg=name
        )


@pytest.mark.parametrize("seed", [1, 2])
def test_decoder_and_attentions(tmp_path, seed):
    config = configuration(seed)
    torch.manual_seed(1)
    theirs = transformers.LlamaModel(
        transformers.LlamaConfig(**config, attn_implementation="eager")
    ).eval()
    theirs.save_pretrained(tmp_path)
    ours = LlamaModel.from_pretrained(tmp_path)
    ids = inputs(config, 2)["input_ids"]
    with torch.no_grad():
        expected = theirs(torch.tensor(ids), output_attentions=True)
    mine = ours(ids, output_attentions=True)
    np.testing.assert_allclose(
        mine.last_hidden_state.numpy(), expected.last_hidden_state.numpy(), atol=1e-4
    )
    for a, b in zip(mine.attentions, expected.attentions, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)


@pytest.mark.parametrize("spelling", ["rope_theta", "rope_parameters"])
def test_both_spellings_of_the_rotary_base(tmp_path, spelling):
    """Files of older and newer versions; transformers and minillm read the same number."""
    config = configuration(7)
    ours = LlamaForCausalLM(LlamaConfig(**config | {"rope_parameters": None}))
    ours.save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    del values["rope_theta"], values["rope_parameters"]
    values |= {
        "rope_theta": {"rope_theta": 123.0, "rope_scaling": None},
        "rope_parameters": {"rope_parameters": {"rope_type": "default", "rope_theta": 123.0}},
    }[spelling]
    (tmp_path / "config.json").write_text(json.dumps(values))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ours = LlamaForCausalLM.from_pretrained(tmp_path)
    assert ours.config.rope_theta == theirs.config.rope_parameters["rope_theta"] == 123
    assert_same_logits(ours, theirs, inputs(config, 7))

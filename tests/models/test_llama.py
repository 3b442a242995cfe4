"""Llama: the contract of decoders, rotary positions, groups of heads, configuration, folder."""

import json

import numpy as np
import pytest
import safetensors.numpy
from decoder_contract import DecoderContract, random_ids

import minillm
from minillm.models import LlamaConfig, LlamaForCausalLM, LlamaModel

MEASURES = {
    "vocab_size": 23,
    "hidden_size": 15,
    "intermediate_size": 17,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "max_position_embeddings": 12,
    "initializer_range": 0.3,
}
VARIANTS = {
    "grouped": {},
    "one key head, tied": {"num_key_value_heads": 1, "tie_word_embeddings": True},
    "all heads, biases": {"num_key_value_heads": 4, "attention_bias": True, "mlp_bias": True},
}


@pytest.fixture(params=VARIANTS)
def model(device, request):
    minillm.manual_seed(1)
    return LlamaForCausalLM(LlamaConfig(**MEASURES | VARIANTS[request.param])).to(
        device, np.float64
    )


class TestContract(DecoderContract):
    pass


def test_only_distances_between_positions_matter(device):
    model = LlamaForCausalLM(LlamaConfig(**MEASURES)).to(device, np.float64)
    ids = random_ids(device, (2, 5))
    shifted = minillm.tensor(np.arange(5) + 6, device=device)
    np.testing.assert_allclose(
        model(ids, position_ids=shifted).logits.numpy(), model(ids).logits.numpy(), atol=1e-9
    )
    apart = minillm.tensor(np.arange(5) * 2, device=device)
    assert np.abs((model(ids, position_ids=apart).logits - model(ids).logits).numpy()).max() > 1e-4


def test_grouped_heads_are_full_heads_with_repeated_keys(device, tmp_path):
    """Copying each key and value head for its group gives a model with as many heads as queries."""
    grouped = LlamaForCausalLM(LlamaConfig(**MEASURES)).to(device)
    full = LlamaForCausalLM(LlamaConfig(**MEASURES | {"num_key_value_heads": 4})).to(device)
    state = {name: minillm.Tensor(a).numpy() for name, a in grouped.state_dict().items()}
    for name in state:
        if "k_proj" in name or "v_proj" in name:
            heads = state[name].reshape(2, 6, 15)
            state[name] = np.repeat(heads, 2, axis=0).reshape(24, 15)
    full.load_state_dict({n: minillm.tensor(a, device=device) for n, a in state.items()})
    ids = random_ids(device, (2, 7))
    np.testing.assert_allclose(
        full(ids).logits.numpy(), grouped(ids).logits.numpy(), rtol=1e-4, atol=1e-5
    )


def test_initial_distribution(device):
    minillm.manual_seed(8)
    config = LlamaConfig(
        vocab_size=1000,
        hidden_size=96,
        intermediate_size=200,
        num_hidden_layers=8,
        num_attention_heads=4,
    )
    model = LlamaForCausalLM(config).to(device).eval()
    for name, p in model.named_parameters():
        values = p.numpy()
        if p.ndim > 1:
            std = 0.02 / 4 if "o_proj" in name or "down_proj" in name else 0.02
            assert values.std() == pytest.approx(std, rel=0.1), name
        else:
            assert np.unique(values).tolist() == [1.0], name
    ids = minillm.tensor(np.arange(100).reshape(2, 50), device=device)
    assert model(ids, labels=ids).loss.item() == pytest.approx(np.log(1000), abs=0.1)


def test_attention_dropout_works_in_training_only(device):
    model = LlamaForCausalLM(LlamaConfig(**MEASURES, attention_dropout=0.3)).to(device)
    ids = random_ids(device, (2, 6))
    assert (model(ids).logits.numpy() != model(ids).logits.numpy()).any()
    model.eval()
    np.testing.assert_array_equal(model(ids).logits.numpy(), model(ids).logits.numpy())


def test_a_decoder_opens_a_folder_with_a_head_and_constants(device, tmp_path):
    model = LlamaForCausalLM(LlamaConfig(**MEASURES)).to(device).eval()
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = safetensors.numpy.load(path.read_bytes())
    for i in range(2):  # files of the first versions
        tensors[f"model.layers.{i}.self_attn.rotary_emb.inv_freq"] = np.ones(3, np.float32)
    path.write_bytes(safetensors.numpy.save(tensors, metadata={"format": "pt"}))
    ids = random_ids(device, (2, 5))
    again = LlamaForCausalLM.from_pretrained(tmp_path).to(device)
    np.testing.assert_array_equal(again(ids).logits.numpy(), model(ids).logits.numpy())
    decoder = LlamaModel.from_pretrained(tmp_path).to(device)
    np.testing.assert_array_equal(
        decoder(ids).last_hidden_state.numpy(), model.model(ids).last_hidden_state.numpy()
    )


def test_both_spellings_of_the_rotary_base():
    new = LlamaConfig(**MEASURES, rope_parameters={"rope_type": "default", "rope_theta": 5e5})
    old = LlamaConfig(**MEASURES, rope_theta=5e5)
    assert new == old and old.rope_theta == new.rope_theta == 500_000
    for values in (
        {"rope_theta": 5e5},
        {"rope_theta": 5e5, "rope_scaling": None},
        {"rope_theta": 5e5, "rope_scaling": {"type": "default"}},
        {"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}},
    ):
        assert LlamaConfig.from_dict(MEASURES | values) == new, values
    written = json.loads(new.to_json("LlamaForCausalLM"))
    assert written["rope_theta"] == written["rope_parameters"]["rope_theta"] == 5e5
    assert LlamaConfig.from_dict(written) == new


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope type 'linear' is not supp"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "rope type 'llama3' is not supported"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope type 'yarn' is not supported"),
        ({"hidden_act": "gelu"}, "hidden_act='gelu', expected silu"),
        ({"rope_theta": 0}, "rope_theta=0, expected a positive number"),
        ({"num_key_value_heads": 3}, "num_attention_heads=4 is not a multiple of num_key_value_h"),
        ({"head_dim": 5}, "head_dim=5 is odd"),
        ({"head_dim": None}, "hidden_size=15 is not a multiple of num_attention_heads=4"),
        ({"intermediate_size": 0}, "intermediate_size=0, expected a positive integer"),
        ({"attention_dropout": 1.5}, "attention_dropout=1.5"),
        ({"bos_token_id": 1.0}, "bos_token_id=1.0, expected an integer or None"),
        ({"model_type": "mistral"}, "holds a 'mistral' model, expected 'llama'"),
    ],
)
def test_what_is_not_supported_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        LlamaConfig.from_dict(MEASURES | values)


def test_config_describes_the_model():
    config = LlamaConfig(hidden_size=64, num_attention_heads=8, num_hidden_layers=3)
    assert (config.max_positions, config.num_layers, config.head_size) == (2048, 3, 8)
    assert config.num_key_value_heads == 8

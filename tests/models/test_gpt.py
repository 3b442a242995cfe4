"""GPT-2: the contract of decoders, its tied head, initial values, memory, configuration, folder."""

import json
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
from decoder_contract import DecoderContract, random_ids

import minillm
from minillm.models import GPTConfig, GPTForCausalLM, GPTModel

MEASURES = {
    "vocab_size": 23,
    "n_positions": 12,
    "n_embd": 15,
    "n_layer": 2,
    "n_head": 3,
    "n_inner": 17,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
    "initializer_range": 0.3,
}


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def model(device, request):
    minillm.manual_seed(1)
    config = GPTConfig(**MEASURES, tie_word_embeddings=request.param)
    return GPTForCausalLM(config).to(device, np.float64)


class TestContract(DecoderContract):
    pass


def test_a_tied_head_is_not_a_copy(device):
    """The token embeddings get the gradient of both uses and exist once."""
    tied, untied = (
        GPTForCausalLM(GPTConfig(**MEASURES, tie_word_embeddings=tie)).to(device)
        for tie in (True, False)
    )
    assert untied.num_parameters() - tied.num_parameters() == 23 * 15
    ids = minillm.tensor(np.array([[5, 9]]), device=device)
    for model, predicted_only in ((tied, True), (untied, False)):
        model(ids[:, :1].detach(), labels=None).logits.sum().backward()
        gradient = minillm.Tensor(model.transformer.token.weight.grad).numpy()
        assert (np.abs(gradient[9]).max() > 0) == predicted_only


def test_initial_distribution(device):
    """N(0, 0.02^2); the ends of the branches smaller by sqrt(2 n_layer); the loss is ln V."""
    minillm.manual_seed(8)
    config = GPTConfig(vocab_size=1000, n_positions=64, n_embd=96, n_layer=8, n_head=4)
    model = GPTForCausalLM(config).to(device).eval()
    for name, p in model.named_parameters():
        values = p.numpy()
        if p.ndim > 1:
            std = 0.02 / 4 if "output.weight" in name else 0.02
            assert values.std() == pytest.approx(std, rel=0.1), name
            assert abs(values.mean()) < 0.001, name
        else:
            assert np.unique(values).tolist() == [1.0 if "norm.weight" in name else 0.0], name
    ids = minillm.tensor(np.arange(100).reshape(2, 50), device=device)
    assert model(ids, labels=ids).loss.item() == pytest.approx(np.log(1000), abs=0.1)


def test_dropout_works_in_training_only(device):
    minillm.manual_seed(0)
    rates = {"resid_pdrop": 0.2, "embd_pdrop": 0.2, "attn_pdrop": 0.2}
    model = GPTForCausalLM(GPTConfig(**MEASURES | rates)).to(device)
    ids = random_ids(device, (2, 6))
    assert (model(ids).logits.numpy() != model(ids).logits.numpy()).any()
    model.eval()
    np.testing.assert_array_equal(model(ids).logits.numpy(), model(ids).logits.numpy())


def test_the_loss_copies_the_logits_once():
    """Logits, and one more array of their size that turns into their gradient: nothing else."""
    config = GPTConfig(**MEASURES | {"vocab_size": 20_000, "n_positions": 128, "n_inner": 4})
    model = GPTForCausalLM(config)
    ids = np.random.default_rng(0).integers(0, 20_000, (2, 128))
    model(ids[:1, :3], labels=ids[:1, :3]).loss.backward()  # whatever is made at first use
    tracemalloc.start()
    try:
        out = model(ids, labels=ids)
        out.loss.backward()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert out.logits.data.nbytes > 20e6
    assert peak < 2.5 * out.logits.data.nbytes


def test_a_decoder_opens_a_folder_with_a_head_and_a_tied_head_one_without(device, tmp_path):
    model = GPTForCausalLM(GPTConfig(**MEASURES)).to(device).eval()
    model.save_pretrained(tmp_path)
    ids = random_ids(device, (2, 5))
    decoder = GPTModel.from_pretrained(tmp_path).to(device)
    hidden = decoder(ids).last_hidden_state.numpy()
    np.testing.assert_array_equal(hidden, model.transformer(ids).last_hidden_state.numpy())
    decoder.save_pretrained(tmp_path / "decoder")
    assert "GPT2Model" in (tmp_path / "decoder" / "config.json").read_text()
    again = GPTForCausalLM.from_pretrained(tmp_path / "decoder").to(device)
    np.testing.assert_array_equal(again(ids).logits.numpy(), model(ids).logits.numpy())


def test_files_of_the_published_models_hold_masks_and_copies_besides(tmp_path):
    """Old files: no prefix, a causal mask a layer, sometimes the tied head once more."""
    model = GPTForCausalLM(GPTConfig(**MEASURES)).eval()
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = safetensors.numpy.load(path.read_bytes())
    assert tensors["transformer.h.0.attn.c_attn.weight"].shape == (15, 45)  # (in, out)
    old = {name.removeprefix("transformer."): array for name, array in tensors.items()}
    for i in range(2):
        old[f"h.{i}.attn.bias"] = np.tril(np.ones((1, 1, 12, 12), np.float32))
        old[f"h.{i}.attn.masked_bias"] = np.float32([-1e4])
    old["lm_head.weight"] = old["wte.weight"].copy()
    path.write_bytes(safetensors.numpy.save(old, metadata={"format": "pt"}))
    ids = random_ids("cpu", (2, 5))
    again = GPTForCausalLM.from_pretrained(tmp_path)
    np.testing.assert_array_equal(again(ids).logits.numpy(), model(ids).logits.numpy())


def test_folders_that_do_not_fit_are_named(tmp_path):
    GPTForCausalLM(GPTConfig(**MEASURES)).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())

    def opens_with(message, **changes):
        path.write_text(json.dumps(config | changes))
        with pytest.raises(ValueError, match=message):
            GPTForCausalLM.from_pretrained(tmp_path)

    opens_with("lm_head.weight is missing", tie_word_embeddings=False)
    opens_with("wrong shape: transformer.token.weight", vocab_size=24)
    opens_with("holds a 'llama' model, expected 'gpt2'", model_type="llama")
    opens_with("config.json: .*activation_function='selu', expected one of gelu",
               activation_function="selu")  # fmt: skip
    for name, value in (
        ("scale_attn_weights", False),
        ("scale_attn_by_inverse_layer_idx", True),
        ("add_cross_attention", True),
    ):
        opens_with(f"{name}={value} is not supported", **{name: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_embd": 10, "n_head": 3}, "n_embd=10 is not a multiple of n_head=3"),
        ({"vocab_size": 0}, "vocab_size=0, expected a positive integer"),
        ({"n_layer": True}, "n_layer=True, expected a positive integer"),
        ({"n_inner": -1}, "n_inner=-1"),
        ({"attn_pdrop": 1.0}, r"attn_pdrop=1.0, expected a number in \[0, 1\)"),
        ({"eos_token_id": "</s>"}, "eos_token_id='</s>', expected an integer or None"),
        ({"pad_token_id": [1]}, r"pad_token_id=\[1\]"),
    ],
)
def test_config_checks_its_values(changes, message):
    with pytest.raises(ValueError, match=f"GPTConfig: {message}"):
        GPTConfig(**changes)


def test_config_describes_the_model():
    config = GPTConfig.from_size("medium", vocab_size=100, eos_token_id=[1, 2])
    assert (config.max_positions, config.num_layers, config.head_size) == (1024, 24, 64)
    assert config.num_key_value_heads == 16 and config.inner_size == 4096
    assert GPTConfig.from_dict(json.loads(config.to_json("GPTForCausalLM"))) == config
    with pytest.raises(ValueError, match="expected one of small, medium, large, xl"):
        GPTConfig.from_size("huge")

"""GPT-2 folders travel between minillm and transformers both ways; outputs and gradients agree."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from minillm.models import GPTConfig, GPTForCausalLM, GPTModel  # noqa: E402
from minillm.models.pretrained import from_hugging_face  # noqa: E402

pytestmark = pytest.mark.interop

NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}


def configuration(seed: int) -> dict:
    """Random measures, many of them odd numbers; every second one has a head of its own."""
    rng = np.random.default_rng(seed)
    heads = int(rng.integers(1, 6))
    width = heads * int(rng.integers(3, 12))
    return NO_DROPOUT | {
        "vocab_size": int(rng.integers(30, 90)),
        "n_positions": int(rng.integers(12, 40)),
        "n_embd": width,
        "n_layer": int(rng.integers(1, 4)),
        "n_head": heads,
        "n_inner": None if seed % 3 == 0 else int(rng.integers(width, 5 * width)),
        "activation_function": ["gelu_new", "gelu", "relu", "silu", "gelu_pytorch_tanh"][seed % 5],
        "initializer_range": 0.2,
        "tie_word_embeddings": seed % 2 == 0,
        "bos_token_id": None,
        "eos_token_id": 0,
        "pad_token_id": None,
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
    ours = GPTForCausalLM(GPTConfig(**config)).eval()
    rng = np.random.default_rng(seed)
    for parameter in ours.parameters():  # biases and norms that are not 0 and 1
        parameter.data += 0.1 * rng.standard_normal(parameter.shape, np.float32)
    ours.save_pretrained(tmp_path)
    theirs, loading = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    assert type(theirs).__name__ == "GPT2LMHeadModel"
    assert_same_logits(ours, theirs.eval(), inputs(config, seed))


@pytest.mark.parametrize("seed", range(5, 10))
def test_we_open_what_transformers_saves(tmp_path, seed):
    config = configuration(seed)
    torch.manual_seed(seed)
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**config)).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    theirs.save_pretrained(tmp_path)
    ours = GPTForCausalLM.from_pretrained(tmp_path)
    assert ours.config == GPTConfig(**config)
    assert_same_logits(ours, theirs, inputs(config, seed))


@pytest.mark.parametrize("seed", [0, 1])
def test_loss_and_gradients_are_those_of_transformers(tmp_path, seed):
    config = configuration(seed)
    torch.manual_seed(seed)
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**config))
    theirs.save_pretrained(tmp_path)
    ours = GPTForCausalLM.from_pretrained(tmp_path).to(np.float64)
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
    assert mine.loss.item() == pytest.approx(expected.item(), rel=1e-10)
    gradients = {name: p.grad.numpy() for name, p in theirs.named_parameters()}
    gradients = from_hugging_face(gradients, ours.hugging_face_names(ours.config))
    assert set(gradients) == {name for name, _ in ours.named_parameters()}
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(
            parameter.grad, gradients[name], rtol=1e-7, atol=1e-9, err_msg=name
        )


def test_decoder_and_attentions(tmp_path):
    config = configuration(3)
    torch.manual_seed(1)
    theirs = transformers.GPT2Model(
        transformers.GPT2Config(**config, attn_implementation="eager")
    ).eval()
    theirs.save_pretrained(tmp_path)
    ours = GPTModel.from_pretrained(tmp_path)
    arrays = {n: inputs(config, 2)[n] for n in ("input_ids",)}
    with torch.no_grad():
        expected = theirs(**as_torch(arrays), output_attentions=True)
    mine = ours(**arrays, output_attentions=True)
    np.testing.assert_allclose(
        mine.last_hidden_state.numpy(), expected.last_hidden_state.numpy(), atol=1e-4
    )
    for a, b in zip(mine.attentions, expected.attentions, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)


def test_the_decoders_of_both_libraries_open_each_others_files_with_heads(tmp_path):
    config = configuration(2)
    ours = GPTForCausalLM(GPTConfig(**config)).eval()
    ours.save_pretrained(tmp_path)
    ids = inputs(config, 0)["input_ids"]
    theirs = transformers.AutoModel.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        expected = theirs(torch.tensor(ids)).last_hidden_state.numpy()
    mine = GPTModel.from_pretrained(tmp_path)(ids).last_hidden_state.numpy()
    np.testing.assert_allclose(mine, expected, atol=1e-4)


def test_published_sizes_have_the_published_parameter_counts():
    ours = GPTModel(GPTConfig.from_size("small", vocab_size=100))
    theirs = transformers.GPT2Model(transformers.GPT2Config(vocab_size=100))
    assert ours.num_parameters() == sum(p.numel() for p in theirs.parameters())

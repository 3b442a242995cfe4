"""model.gradient_checkpointing_enable(): the same gradients, and as little memory as promised."""

import numpy as np
import pytest
from op_factory import to_host

import minillm
from minillm.generation import KeyValueCache, generate
from minillm.models import (
    BertConfig,
    BertForPreTraining,
    BertForSequenceClassification,
    GPTConfig,
    GPTForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)
from minillm.training import Trainer

V, B, T = 60, 3, 12
FLOAT32 = 4  # bytes


def gpt(layers=2, width=32, vocabulary=V, length=T, dropout=0.1, heads=4):
    config = GPTConfig(
        vocab_size=vocabulary,
        n_positions=length,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
    )
    return GPTForCausalLM(config)


def llama(layers=2):
    config = LlamaConfig(
        vocab_size=V,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=T,
        attention_dropout=0.1,
    )
    return LlamaForCausalLM(config)


def bert_config(layers=2, **labels):
    return BertConfig(
        **labels,
        vocab_size=V,
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=T,
    )


def inputs(model, device):
    """A batch with padding for any of the models."""
    rng = np.random.default_rng(0)
    ids = rng.integers(5, V, size=(B, T))
    mask = np.ones((B, T), np.int64)
    mask[0, -3:] = 0
    arrays = {"input_ids": ids, "attention_mask": mask}
    if isinstance(model, BertForSequenceClassification):
        arrays["labels"] = np.array([0, 1, 1])
    elif isinstance(model, BertForPreTraining):
        arrays["labels"] = np.where(rng.random((B, T)) < 0.3, ids, -100)
        arrays["next_sentence_label"] = np.array([0, 1, 1])
    else:
        arrays["labels"] = np.where(mask, ids, -100)
    return {name: minillm.tensor(array, device=device) for name, array in arrays.items()}


MODELS = {
    "gpt": gpt,
    "llama": llama,
    "bert": lambda: BertForPreTraining(bert_config()),
    "bert classifier": lambda: BertForSequenceClassification(
        bert_config(id2label={0: "bad", 1: "good"})
    ),
}


def step(model, batch, **options):
    """The loss, all gradients and the attentions of a step."""
    model.zero_grad()
    minillm.manual_seed(5)
    output = model(**batch, **options)
    output.loss.backward()
    gradients = {name: to_host(p.grad) for name, p in model.named_parameters()}
    weights = [to_host(a.data) for a in getattr(output, "attentions", None) or ()]
    return {"loss": to_host(output.loss.data)} | gradients | dict(enumerate(weights))


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], str(name))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_gradients_are_equal_to_the_bit(device, name, precision):
    minillm.manual_seed(0)
    model = MODELS[name]().to(device).train()
    batch = inputs(model, device)
    options = {} if name == "bert classifier" else {"output_attentions": True}
    with minillm.autocast(precision):
        plain = [step(model, batch), step(model, batch, **options)]
        with minillm.tape_memory() as memory:
            step(model, batch)
        model.gradient_checkpointing_enable()
        assert_same(plain[0], step(model, batch))
        assert_same(plain[1], step(model, batch, **options))
        with minillm.tape_memory() as checkpointed:
            step(model, batch)
        assert checkpointed.nodes["checkpoint"] == 2 * 2  # a block and its output, two layers
        assert checkpointed.peak < memory.peak
        model.gradient_checkpointing_disable()
        with minillm.tape_memory() as again:
            assert_same(plain[0], step(model, batch))
        assert again.peak == memory.peak


def test_only_while_training(device):
    """Evaluation and generation (whose cache must not be filled twice) know nothing of it."""
    minillm.manual_seed(0)
    model = gpt(dropout=0.0).to(device)
    prompt = np.array([[1, 2, 3]])
    model.eval()
    (expected,) = generate(model, prompt, max_new_tokens=5).sequences
    batch = inputs(model, device)
    model.gradient_checkpointing_enable()
    with minillm.tape_memory() as memory:
        model(**batch)
    assert "checkpoint" not in memory.nodes
    model.train()
    (written,) = generate(model, prompt, max_new_tokens=5).sequences
    assert list(written) == list(expected)
    with minillm.no_grad(), minillm.tape_memory() as memory:
        model(**batch)
    assert memory.peak == 0


@pytest.mark.parametrize("name", ["gpt", "llama"])
def test_a_cache_is_filled_once(device, name):
    """Even in training and with a backward pass, which nobody needs."""
    model = MODELS[name]().to(device).train()
    model.gradient_checkpointing_enable()
    decoder = model.transformer if name == "gpt" else model.model
    cache = KeyValueCache()
    hidden = decoder(minillm.tensor(np.array([[1, 2, 3]]), device=device), cache=cache)
    hidden.last_hidden_state.sum().backward()
    assert cache.length == 3


def test_a_training_run_is_the_same_run(device):
    """In one thread or two, each with its own replica and random streams."""
    losses = {}
    for checkpointed in (False, True):
        for threads in (1, 2) if device != "cuda" else (1,):
            minillm.manual_seed(0)
            model = gpt()
            if checkpointed:
                model.gradient_checkpointing_enable()

            def batch(index):
                return {"input_ids": np.random.default_rng(index).integers(V, size=(B, T))}

            trainer = Trainer(
                model,
                lambda model, batch: (model(**batch, labels=batch["input_ids"]).loss, {}),
                batch,
                steps=3,
                learning_rate=0.01,
                accumulate=2,
                threads=threads,
                device=device,
                progress=False,
            )
            losses[checkpointed, threads] = [record["loss"] for record in trainer.run()]
    assert len(set(map(tuple, losses.values()))) == 1


def peak(model, vocabulary, batch, length, checkpointed, device) -> int:
    model.to(device).train()
    if checkpointed:
        model.gradient_checkpointing_enable()
    ids = np.random.default_rng(0).integers(vocabulary, size=(batch, length))
    ids = minillm.tensor(ids, device=device)
    with minillm.tape_memory(model) as memory:
        model(ids, labels=ids).loss.backward()
    assert memory.held == 0
    return memory.peak


@pytest.mark.parametrize("vocabulary", [100, 3000])  # the layer's tape, or the head's, is larger
@pytest.mark.parametrize("layers", [3, 6])
def test_the_tapes_peak_is_as_the_formula_says(device, vocabulary, layers):
    """plain: L S + H, checkpointed: L I + max(S, H); see recompute.py."""
    width, batch, length = 32, 2, 16

    def measure(layers, checkpointed=False):
        model = gpt(layers, width, vocabulary, length, dropout=0.0)
        return peak(model, vocabulary, batch, length, checkpointed, device)

    one, two = measure(1), measure(2)
    S = two - one
    H = one - S
    input_of_a_layer = batch * length * width * FLOAT32
    few = 0.01 * one  # positions, scales, the mask
    assert abs(measure(layers) - (layers * S + H)) < few
    formula = layers * input_of_a_layer + max(S, H)
    assert abs(measure(layers, checkpointed=True) - formula) < few


def test_the_factor_that_the_documentation_names(device):
    """4 layers, 256 wide, 8 heads, 128 tokens, vocabulary 4,096: a quarter of the memory.  Here
    with 1 text instead of 32, as all of the tape grows with the batch."""

    def measure(checkpointed):
        model = gpt(4, 256, 4096, 128, dropout=0.0, heads=8)
        return peak(model, 4096, 1, 128, checkpointed, device)

    plain, checkpointed = measure(False), measure(True)
    assert plain * 32 / 1e6 == pytest.approx(428, rel=0.01)
    assert checkpointed * 32 / 1e6 == pytest.approx(105, rel=0.03)
    assert plain / checkpointed == pytest.approx(4.1, abs=0.15)

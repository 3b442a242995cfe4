"""Greedy and beam continuations are those of transformers, token for token.

Five random GPT-2s and five random Llamas (odd sizes, grouped heads, tied and untied), each opened
from a folder that transformers saved; single prompts and batches with padding.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from minillm.generation import generate, sampling, score  # noqa: E402
from minillm.models import GPTForCausalLM, LlamaForCausalLM  # noqa: E402

pytestmark = pytest.mark.interop

V, PAD = 53, 5


def gpt2(seed):
    rng = np.random.default_rng(seed)
    heads = int(rng.integers(1, 5))
    config = transformers.GPT2Config(
        vocab_size=V,
        n_positions=48,
        n_embd=heads * int(rng.integers(3, 9)),
        n_layer=int(rng.integers(1, 3)),
        n_head=heads,
        initializer_range=0.4,
        activation_function=["gelu_new", "gelu", "relu", "silu", "gelu_new"][seed],
        tie_word_embeddings=seed % 2 == 0,
        bos_token_id=None,
        eos_token_id=None,
    )
    return transformers.GPT2LMHeadModel(config), GPTForCausalLM


def llama(seed):
    rng = np.random.default_rng(seed)
    groups, each = int(rng.integers(1, 4)), [1, 2, 3, 1, 2][seed]
    config = transformers.LlamaConfig(
        vocab_size=V,
        hidden_size=groups * each * int(rng.integers(3, 9)),
        intermediate_size=int(rng.integers(20, 60)),
        num_hidden_layers=int(rng.integers(1, 3)),
        num_attention_heads=groups * each,
        num_key_value_heads=groups,
        head_dim=2 * int(rng.integers(2, 6)),
        max_position_embeddings=48,
        initializer_range=0.4,
        tie_word_embeddings=seed % 2 == 0,
        bos_token_id=None,
        eos_token_id=None,
    )
    return transformers.LlamaForCausalLM(config), LlamaForCausalLM


@pytest.fixture(
    scope="module",
    params=[(make, seed) for make in (gpt2, llama) for seed in range(5)],
    ids=lambda p: f"{p[0].__name__}-{p[1]}",
)
def models(request, tmp_path_factory):
    """(theirs, ours) with the same weights."""
    make, seed = request.param
    torch.manual_seed(seed)
    theirs, our_class = make(seed)
    with torch.no_grad():  # biases and norms that are not 0 and 1, positions that matter
        for parameter in theirs.parameters():
            parameter += 0.3 * torch.randn(parameter.shape)
    folder = tmp_path_factory.mktemp("model")
    theirs.eval().save_pretrained(folder)
    return theirs, our_class.from_pretrained(folder).eval()


def inputs(padded: bool):
    rng = np.random.default_rng(7)
    ids = rng.integers(6, V, (3, 7))
    mask = np.ones_like(ids)
    if padded:
        mask[0, :4], mask[2, :6] = 0, 0
        ids[mask == 0] = PAD
    return ids, mask


def latest(text) -> int:
    """The token that comes up last in a text: with it as end token the text ends there."""
    return int(max(set(text.tolist()), key=text.tolist().index))


def assert_same(models, settings, padded=False, at_once=True):
    theirs, ours = models
    ids, mask = inputs(padded)
    settings = {"max_new_tokens": 16, "pad_token_id": PAD} | settings
    expected = theirs.generate(
        torch.tensor(ids), attention_mask=torch.tensor(mask), **settings
    ).numpy()
    found = generate(ours, ids, mask, **settings).sequences
    assert found.tolist() == expected.tolist()
    if at_once:  # without a cache, and from the prompts alone
        assert generate(ours, ids, mask, **settings, use_cache=False).sequences.tolist() == (
            found.tolist()
        )
    return found


@pytest.mark.parametrize("padded", [False, True], ids=["equal", "padded"])
def test_greedy(models, padded):
    assert_same(models, {}, padded)
    new = generate(models[1], *inputs(padded), max_new_tokens=16).sequences[:, 7:]
    ends = [latest(new[0]), latest(new[1])]
    assert_same(models, {"eos_token_id": ends}, padded)
    assert_same(models, {"eos_token_id": ends[0]}, padded)


@pytest.mark.parametrize("padded", [False, True], ids=["equal", "padded"])
@pytest.mark.parametrize(
    "settings",
    [
        {"num_beams": 3},
        {"num_beams": 4, "length_penalty": 2.0, "early_stopping": True},
        {"num_beams": 2, "length_penalty": -1.0},
        {"num_beams": 5, "length_penalty": 0.6, "early_stopping": "never"},
    ],
    ids=lambda s: "-".join(map(str, s.values())),
)
def test_beam_search(models, settings, padded):
    assert_same(models, settings, padded, at_once=False)
    new = generate(models[1], *inputs(padded), max_new_tokens=16, **settings).sequences[:, 7:]
    for ends in (latest(new[0]), [latest(new[1]), latest(new[2])]):
        assert_same(models, settings | {"eos_token_id": ends}, padded, at_once=False)


def test_repetition_penalty(models):
    for settings in ({}, {"num_beams": 3}):
        assert_same(models, settings | {"repetition_penalty": 1.3})


def test_padding_is_inferred_from_the_padding_token(models):
    ids, _ = inputs(padded=True)
    expected = models[0].generate(torch.tensor(ids), max_new_tokens=8, pad_token_id=PAD).numpy()
    assert (generate(models[1], ids, max_new_tokens=8, pad_token_id=PAD)[0] == expected).all()


def test_scores(models):
    """Log-probabilities of what was written, and of a given continuation."""
    theirs, ours = models
    ids, mask = inputs(padded=True)
    output = generate(ours, ids, mask, max_new_tokens=9, return_log_probabilities=True)
    theirs_output = theirs.generate(
        *(torch.tensor(ids),),
        attention_mask=torch.tensor(mask),
        max_new_tokens=9,
        output_logits=True,
        return_dict_in_generate=True,
        pad_token_id=PAD,
    )
    expected = theirs.compute_transition_scores(
        theirs_output.sequences, theirs_output.logits, normalize_logits=True
    ).numpy()
    np.testing.assert_allclose(output.log_probabilities, expected, atol=1e-4)
    for row in range(3):
        found = score(ours, ids[row][mask[row] == 1], output.sequences[row, 7:])
        np.testing.assert_allclose(found, expected[row], atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_filters(seed):
    """The same tokens stay as in transformers' warpers; the penalty's numbers are the same."""
    from transformers.generation import logits_process as theirs

    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((4, V)) * 3
    tensor = torch.tensor(logits)
    ids = rng.integers(0, V, (4, 9))
    for least in (1, 3):
        for k in (1, 2, 10, V, 2 * V):
            warp = theirs.TopKLogitsWarper(k, min_tokens_to_keep=least)
            np.testing.assert_array_equal(sampling.top_k(logits, k, least), warp(None, tensor))
        for p in (0.01, 0.3, 0.9, 0.999):
            warp = theirs.TopPLogitsWarper(p, min_tokens_to_keep=least)
            np.testing.assert_array_equal(sampling.top_p(logits, p, least), warp(None, tensor))
        for p in (0.01, 0.3, 1.0):
            warp = theirs.MinPLogitsWarper(p, min_tokens_to_keep=least)
            np.testing.assert_array_equal(sampling.min_p(logits, p, least), warp(None, tensor))
    for t in (0.3, 2.0):
        warped = theirs.TemperatureLogitsWarper(t)(None, tensor)
        np.testing.assert_array_equal(sampling.temperature(logits, t), warped)
    warped = theirs.RepetitionPenaltyLogitsProcessor(1.7)(torch.tensor(ids), tensor.clone())
    np.testing.assert_array_equal(sampling.repetition_penalty(logits, ids, 1.7), warped)

"""Writing token by token: cached equals uncached, rows are alone, seeds repeat, texts end."""

import numpy as np
import pytest
from fake_decoders import Bytes, Letters, Markov, Weighing, peaked
from hypothesis import given
from hypothesis import strategies as st

import minillm
from minillm.generation import generate
from minillm.models import GPTConfig, GPTForCausalLM, LlamaConfig, LlamaForCausalLM

METHODS = {
    "greedy": {},
    "sampling": {"do_sample": True, "seed": 3},
    "filtered": {"do_sample": True, "seed": 4, "temperature": 1.4, "top_k": 7, "top_p": 0.9},
    "min_p": {"do_sample": True, "seed": 5, "min_p": 0.05},
    "penalty": {"repetition_penalty": 1.4},
    "beam": {"num_beams": 3},
    "beam sampling": {"num_beams": 3, "do_sample": True, "seed": 6},
    "beam penalty": {"num_beams": 2, "repetition_penalty": 1.4, "length_penalty": 0.5},
}
PROMPTS = [[3, 1, 4, 1, 5], [9], [2, 6, 5], [8, 9, 7, 9, 3, 2, 3]]


def gpt(device):
    minillm.manual_seed(1)
    config = GPTConfig(
        vocab_size=23, n_positions=16, n_embd=12, n_layer=2, n_head=3, initializer_range=0.5
    )
    return GPTForCausalLM(config).to(device)


def llama(device):
    minillm.manual_seed(2)
    config = LlamaConfig(
        vocab_size=23,
        hidden_size=12,
        intermediate_size=20,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=4,
        max_position_embeddings=16,
        initializer_range=0.5,
        eos_token_id=None,
    )
    return LlamaForCausalLM(config).to(device)


def weighing(device):
    return Weighing(vocab_size=23).to(device)


@pytest.mark.parametrize("make", [gpt, llama, weighing])
@pytest.mark.parametrize("settings", METHODS.values(), ids=METHODS)
def test_cached_is_uncached_also_beyond_the_context(device, make, settings):
    """Contexts of 16, texts of up to 47, prompts of different lengths."""
    model = make(device)
    found = generate(model, PROMPTS, max_new_tokens=40, **settings).sequences
    uncached = generate(model, PROMPTS, max_new_tokens=40, use_cache=False, **settings).sequences
    assert found.shape == (4, 47)
    np.testing.assert_array_equal(found, uncached)


@pytest.mark.parametrize("settings", METHODS.values(), ids=METHODS)
def test_rows_do_not_influence_each_other(device, settings):
    """A prompt gives the same text alone and as the first among others."""
    model = weighing(device)
    for first in PROMPTS:
        alone = generate(model, [first], max_new_tokens=30, **settings).sequences[0]
        together = generate(model, [first, *PROMPTS], max_new_tokens=30, **settings).sequences[0]
        np.testing.assert_array_equal(together[-len(alone) :], alone)


@given(st.data())
def test_greedy_is_the_definition(data):
    """Every token is the argmax of what the model says of the whole text before it."""
    lengths = st.lists(st.lists(st.integers(0, 10), min_size=1, max_size=8), min_size=1, max_size=4)
    prompts = data.draw(lengths)
    model = Weighing(vocab_size=11, max_positions=40, seed=data.draw(st.integers(0, 99))).eval()
    found = generate(model, prompts, max_new_tokens=9).sequences
    for row, prompt in zip(found, prompts, strict=True):
        text = list(prompt)
        with minillm.no_grad():
            for _ in range(9):
                text.append(int(model(np.array([text])).logits.numpy()[0, -1].argmax()))
        assert row[-len(text) :].tolist() == text


@given(st.integers(1, 8), st.integers(1, 40), st.integers(1, 3))
def test_the_window(context, new, prompt_length):
    """Beyond the context the model sees the last part, at most the context, at least half of it."""
    prompt_length = min(prompt_length, context)
    model = Weighing(vocab_size=7, max_positions=context).eval()
    prompt = list(range(1, prompt_length + 1))
    found = generate(model, [prompt], max_new_tokens=new).sequences[0]
    text, read_calls = prompt, 0
    start = 0
    with minillm.no_grad():
        for _ in range(new):
            if len(text) - start > context:
                start = len(text) - max(1, context // 2)
                read_calls += 1
            seen = np.array([text[start:]])
            text = [*text, int(model(seen).logits.numpy()[0, -1].argmax())]
    assert found.tolist() == text
    model.calls.clear()
    generate(model, [prompt], max_new_tokens=new)
    positions_read = sum(length for _, length in model.calls)
    assert len(model.calls) == new
    assert positions_read <= len(prompt) + new + read_calls * max(1, context // 2)


def test_a_token_costs_one_position():
    model = Weighing(max_positions=100)
    generate(model, [[1, 2, 3], [4, 5, 6]], max_new_tokens=50)
    assert model.calls == [(2, 3)] + [(2, 1)] * 49
    model.calls.clear()
    generate(model, [[1, 2, 3]], max_new_tokens=4, use_cache=False)
    assert model.calls == [(1, 3), (1, 4), (1, 5), (1, 6)]


def test_seeds():
    model = Markov(np.zeros((50, 50)))
    settings = {"max_new_tokens": 30, "do_sample": True}
    one, again, other = (
        generate(model, [[1], [1]], seed=seed, **settings).sequences for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any() and (one[0] != one[1]).any()
    minillm.manual_seed(5)  # without a seed: the library's
    first, second = (generate(model, [[1]], **settings).sequences for _ in range(2))
    minillm.manual_seed(5)
    np.testing.assert_array_equal(generate(model, [[1]], **settings).sequences, first)
    assert (first != second).any()


def test_sampling_has_the_models_distribution():
    probabilities = np.array([0.5, 0.3, 0.15, 0.05])
    model = Markov(np.tile(np.log(probabilities), (4, 1)))
    text = generate(model, [[0]] * 20, max_new_tokens=500, do_sample=True, seed=0).sequences[:, 1:]
    counts = np.bincount(text.reshape(-1), minlength=4)
    chi_squared = ((counts - 10_000 * probabilities) ** 2 / (10_000 * probabilities)).sum()
    assert chi_squared < 16.3  # 99.9 % of samples with 3 degrees of freedom
    text = generate(
        model, [[0]] * 20, max_new_tokens=100, do_sample=True, seed=0, top_p=0.79
    ).sequences[:, 1:]
    assert set(text.reshape(-1).tolist()) == {0, 1}


def test_an_end_token_ends_a_row():
    model = Markov(peaked(1, 2, 3, 4, 5, 5))
    found = generate(model, [[0], [2], [5]], eos_token_id=4, max_new_tokens=6).sequences
    assert found.tolist() == [
        [0, 1, 2, 3, 4, 4, 4],
        [2, 3, 4, 4, 4, 4, 4],
        [5, 5, 5, 5, 5, 5, 5],
    ]
    found = generate(
        model, [[0], [2]], eos_token_id=[4, 2], pad_token_id=9, max_new_tokens=9
    ).sequences
    assert found.tolist() == [[0, 1, 2, 9][:3], [2, 3, 4]]
    model.calls.clear()
    generate(model, [[0]], eos_token_id=4, max_new_tokens=100)
    assert len(model.calls) == 4  # it stops asking


def test_end_and_padding_tokens_come_from_the_config():
    table = peaked(1, 2, 3, 0)
    model = Markov(table, eos_token_id=[3, 99], pad_token_id=7)
    assert generate(model, [[0], [1]]).sequences.tolist() == [[0, 1, 2, 3], [1, 2, 3, 7]]
    assert generate(model, [[0]], eos_token_id=2).sequences.tolist() == [[0, 1, 2]]
    assert generate(model, [[0]], eos_token_id=[], max_new_tokens=9).sequences.shape == (1, 10)


@pytest.mark.parametrize("num_beams", [1, 2])
def test_stop_strings(num_beams):
    """A row ends with the token that completes one, wherever in the token that is."""
    pieces = Letters("a", "b", "c.", ".d", "e")
    model = Markov(peaked(1, 2, 3, 4, 0), eos_token_id=None)
    settings = {"tokenizer": pieces, "num_beams": num_beams, "max_new_tokens": 12}

    def written(prompt, stops):
        return pieces.decode(
            generate(model, [prompt], stop_strings=stops, **settings).sequences[0, 1:].tolist()
        )

    assert written([0], "bc") == "bc."
    assert written([0], [".."]) == "bc..d"
    assert written([0], ["x", "de"]) == "bc..de"
    assert written([0], "ab") == "bc..deab"  # the prompt's own a doesn't count
    assert written([4], "zz") == "abc..deabc..deab"[: len(written([4], "zz"))]
    rows = generate(model, [[0], [2]], stop_strings="e", pad_token_id=7, **settings).sequences
    assert rows.tolist() == [[0, 1, 2, 3, 4], [2, 3, 4, 7, 7]]


def test_stop_strings_across_bytes():
    text = "naïve—你!".encode()
    following = np.zeros(257, int)
    following[list(text[:-1])] = list(text[1:])
    assert len(set(text)) == len(text)
    model = Markov(peaked(*following))
    prompt = [[text[0]]]
    found = generate(
        model, prompt, max_new_tokens=50, stop_strings=["你"], tokenizer=Bytes()
    ).sequences[0]
    assert bytes(found.tolist()).decode() == "naïve—你"


def test_log_probabilities():
    """Of the model itself, whatever filters decided; nothing after the end."""
    rng = np.random.default_rng(0)
    table = rng.standard_normal((6, 6))
    log_p = table - np.log(np.exp(table).sum(-1, keepdims=True))
    for settings in METHODS.values():
        output = generate(
            Markov(table),
            [[0], [1], [2]],
            max_new_tokens=8,
            eos_token_id=5,
            return_log_probabilities=True,
            **settings,
        )
        assert output.log_probabilities.shape == (3, output.sequences.shape[1] - 1)
        for text, scores in zip(output.sequences, output.log_probabilities, strict=True):
            ended = False
            for before, after, found in zip(text, text[1:], scores, strict=False):
                assert found == pytest.approx(0 if ended else log_p[before, after])
                ended = ended or after == 5
    assert generate(Markov(table), [[0]]).log_probabilities is None


def test_prompts_in_every_form(device):
    """Arrays, Tensors, lists, masks with padding on the left, on the right or within."""
    model = gpt(device)
    expected = generate(model, [[4, 7, 1]], max_new_tokens=5).sequences[0, 3:].tolist()
    ids = np.array([[4, 7, 1]])
    for form in (ids, ids.astype(np.int32), minillm.tensor(ids), [[4, 7, 1]], [ids[0]]):
        assert generate(model, form, max_new_tokens=5).sequences.tolist() == [[4, 7, 1, *expected]]
    there = minillm.tensor(ids).to(device)
    assert generate(model, there, max_new_tokens=5).sequences[0, 3:].tolist() == expected
    assert generate(model, there.data, max_new_tokens=5).sequences[0, 3:].tolist() == expected
    padded = np.array([[0, 0, 4, 7, 1], [4, 7, 1, 0, 0], [4, 0, 7, 0, 1]])
    mask = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 1, 0, 1]])
    for given_mask in (mask, mask == 1, mask.astype(np.float32), minillm.tensor(mask)):
        found = generate(model, padded, given_mask, max_new_tokens=5).sequences
        assert found[:, 5:].tolist() == [expected] * 3
        np.testing.assert_array_equal(found[:, :5], padded)
    ids = [[9, 9, 4, 7, 1]]
    assert generate(model, ids, pad_token_id=9, max_new_tokens=5)[0][0, 5:].tolist() == expected
    # If texts end with that token, it is no padding (and 22 never comes here).
    as_text = generate(model, ids, pad_token_id=9, eos_token_id=[9, 22], max_new_tokens=1)
    assert (as_text.sequences == generate(model, ids, max_new_tokens=1).sequences).all()


def test_the_model_is_left_as_it_was(device):
    """Dropout is off for the time being, nothing is recorded, training goes on afterwards."""
    model = gpt(device)
    assert model.training and model.config.resid_pdrop > 0
    first, second = (generate(model, PROMPTS, max_new_tokens=5).sequences for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert model.training and minillm.is_grad_enabled()
    model.eval()
    generate(model, PROMPTS, max_new_tokens=2)
    assert not model.training


def test_a_model_that_diverged_is_named():
    with pytest.raises(FloatingPointError, match="logits hold NaN"):
        generate(Markov(np.full((3, 3), np.nan)), [[0]])

"""The log-probability of a given text."""

import itertools

import numpy as np
import pytest
from fake_decoders import Markov, Weighing

import minillm
from minillm.generation import generate, score
from minillm.models import GPTConfig, GPTForCausalLM


def test_by_hand():
    probabilities = np.array([[0.1, 0.9], [0.4, 0.6]])
    found = score(Markov(np.log(probabilities)), [1, 0], [1, 1, 0])
    np.testing.assert_allclose(found, np.log([0.9, 0.6, 0.4]))


def test_all_continuations_together_are_certain():
    model = Weighing(vocab_size=4, max_positions=9)
    total = sum(np.exp(score(model, [2], c).sum()) for c in itertools.product(range(4), repeat=3))
    assert total == pytest.approx(1)


@pytest.mark.parametrize("context", [2, 5, 16, 60])
def test_what_generate_wrote_has_the_scores_it_said(device, context):
    """Within the context and beyond it, in as few passes as there are windows."""
    minillm.manual_seed(0)
    config = GPTConfig(
        vocab_size=19, n_positions=context, n_embd=8, n_layer=2, n_head=2, initializer_range=0.5
    )
    model = GPTForCausalLM(config).to(device)
    output = generate(
        model, [[3, 4]], max_new_tokens=40, do_sample=True, seed=1, return_log_probabilities=True
    )
    text = output.sequences[0]
    np.testing.assert_allclose(
        score(model, [3, 4], text[2:]), output.log_probabilities[0], atol=1e-4
    )
    np.testing.assert_allclose(
        score(model, text[:2], text[2:]), output.log_probabilities[0], atol=1e-4
    )
    assert model.training


def test_one_pass():
    model = Weighing(max_positions=20)
    score(model, [1, 2, 3], [4, 5, 6])
    assert model.calls == [(1, 5)]  # the last token predicts nothing


def test_several_texts():
    model = Weighing(max_positions=20)
    found = score(model, [[1, 2], [3]], [[4], [5, 6]])
    assert [x.tolist() for x in found] == [
        score(model, [1, 2], [4]).tolist(),
        score(model, [3], [5, 6]).tolist(),
    ]
    found = score(model, np.array([[1, 2], [3, 4]]), np.array([[5], [6]]))
    np.testing.assert_array_equal(found[1], score(model, [3, 4], [6]))


@pytest.mark.parametrize(
    ("prompt", "continuation", "error", "message"),
    [
        ([], [1], ValueError, "the prompt is empty"),
        ([1], [], ValueError, "the continuation is empty"),
        ([1], [11], IndexError, "the continuation has id 11 at token 0"),
        ([1, -3], [1], IndexError, "the prompt has id -3 at token 1"),
        ([1.5], [1], TypeError, "prompt_ids must hold integer"),
        ([[1], [2]], [[1]], ValueError, "2 prompts and 1 continuations"),
        ([1], [[1]], ValueError, "one text or both of several"),
    ],
)
def test_bad_input_is_named(prompt, continuation, error, message):
    with pytest.raises(error, match=message):
        score(Weighing(), prompt, continuation)

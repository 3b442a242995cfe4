"""Beam search against looking at every text there is, and by hand."""

import itertools

import numpy as np
import pytest
from fake_decoders import Markov, Weighing
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minillm.generation import generate, score

TABLES = arrays(np.float64, (4, 4), elements=st.floats(-4, 4), unique=True)


def log_p(table, text):
    """ln p of a text after its first token."""
    rows = table - np.log(np.exp(table).sum(-1, keepdims=True))
    return sum(rows[a, b] for a, b in itertools.pairwise(text))


def best_by_looking_at_all(table, first, new, end, length_penalty):
    """The text of up to `new` tokens with the best score; `end` ends it."""
    candidates = []
    for length in range(1, new + 1):
        for text in itertools.product(range(4), repeat=length):
            whole = length == new or text[-1] == end
            if whole and end not in text[:-1]:
                candidates.append((log_p(table, (first, *text)) / length**length_penalty, text))
    return max(candidates)


@given(TABLES, st.sampled_from([0.0, 1.0, 2.0, -1.0]))
def test_with_beams_for_all_texts_the_best_is_found(table, length_penalty):
    expected, text = best_by_looking_at_all(table, 0, 4, end=3, length_penalty=length_penalty)
    output = generate(
        Markov(table),
        [[0]],
        num_beams=4**4,
        max_new_tokens=4,
        eos_token_id=3,
        length_penalty=length_penalty,
        early_stopping="never",
        return_log_probabilities=True,
    )
    found = output.sequences[0, 1:]
    assert found.tolist() == list(text)
    assert output.log_probabilities.sum() / len(found) ** length_penalty == pytest.approx(expected)


@given(st.integers(0, 500))
def test_more_beams_find_the_garden_path(seed):
    """Three beams do at least as well as one wherever nothing was cut; log-probabilities agree
    with `score`."""
    model = Weighing(vocab_size=5, max_positions=30, seed=seed)
    greedy, beams = (
        generate(model, [[1, 2]], num_beams=n, max_new_tokens=2, return_log_probabilities=True)
        for n in (1, 5)
    )
    assert beams.log_probabilities.sum() >= greedy.log_probabilities.sum() - 1e-9
    np.testing.assert_allclose(
        beams.log_probabilities[0], score(model, [1, 2], beams.sequences[0, 2:])
    )


def probabilities(*rows):
    return np.log(np.array(rows))


# After 0 comes 1 (0.6), but what follows 1 is uncertain; after 2 comes 3, almost surely.
GARDEN_PATH = probabilities(
    [0.01, 0.58, 0.4, 0.01],
    [0.25, 0.25, 0.25, 0.25],
    [0.01, 0.01, 0.01, 0.97],
    [0.01, 0.01, 0.01, 0.97],
)


def test_the_second_best_beginning_may_be_the_best_text():
    settings = {"max_new_tokens": 3}
    greedy = generate(Markov(GARDEN_PATH), [[0]], **settings).sequences
    assert greedy[0, 1] == 1
    beams = generate(Markov(GARDEN_PATH), [[0]], num_beams=2, **settings).sequences
    assert beams.tolist() == [[0, 2, 3, 3]]


def test_length_penalty_chooses_between_short_and_long():
    table = probabilities(
        [0.001, 0.6, 0.399, 1e-9],
        [0.001, 0.998, 0.001, 1e-9],
        [0.001, 0.001, 0.498, 0.5],
        [0.25, 0.25, 0.25, 0.25],
    )
    # Ending at once: 2 3 with probability 0.2.  Going on with 1: 0.6 in all.
    settings = {"num_beams": 3, "max_new_tokens": 6, "eos_token_id": 3, "early_stopping": "never"}
    long = generate(Markov(table), [[0]], length_penalty=1.0, **settings).sequences
    assert long.tolist() == [[0, 1, 1, 1, 1, 1, 1]]
    short = generate(Markov(table), [[0]], length_penalty=-3.0, **settings).sequences
    assert short.tolist() == [[0, 2, 3]]


def test_early_stopping_stops_asking():
    rng = np.random.default_rng(5)
    table = rng.standard_normal((12, 12)) * 0.2
    table[:, 11] += 2.5  # the end is likely everywhere
    calls = {}
    for early_stopping in (True, False, "never"):
        model = Markov(table)
        generate(
            *(model, [[0]]),
            num_beams=3,
            max_new_tokens=40,
            eos_token_id=11,
            early_stopping=early_stopping,
            length_penalty=1.0,
        )
        calls[early_stopping] = len(model.calls)
    assert calls[True] <= calls[False] < calls["never"] <= 40


def test_more_beams_than_tokens():
    """The vocabulary is smaller than the number of beams: the first step has too few texts."""
    found = generate(Markov(GARDEN_PATH[:2, :2]), [[0]], num_beams=7, max_new_tokens=3).sequences
    assert found.shape == (1, 4)
    table = np.array([[0.0, 0.1], [0.3, 0.0]])
    best = max(itertools.product(range(2), repeat=3), key=lambda t: log_p(table, (0, *t)))
    found = generate(Markov(table), [[0]], num_beams=9, max_new_tokens=3).sequences
    assert found[0, 1:].tolist() == list(best)


def test_drawn_beams_follow_the_seed_and_the_distribution():
    table = probabilities([0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [0.7, 0.2, 0.1])
    settings = {"num_beams": 2, "do_sample": True, "max_new_tokens": 5, "top_k": 2}
    texts = [generate(Markov(table), [[0]], seed=s, **settings).sequences for s in (1, 1, 2, 3, 4)]
    np.testing.assert_array_equal(texts[0], texts[1])
    assert all(set(text.reshape(-1).tolist()) <= {0, 1, 2} for text in texts)

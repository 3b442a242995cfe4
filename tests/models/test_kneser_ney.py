"""Kneser-Ney against the formula, entry by entry with dictionaries, and by what must hold."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.models.kneser_ney import KneserNey

V = 5
texts = st.lists(st.integers(0, V - 1), min_size=3, max_size=60)


def plain(ids, order, context, w):
    """p(w | context), straight from the formula."""

    def counts(n):
        """{n-gram: count}: raw counts for the highest order, else how many words stood before."""
        if n == order:
            found = defaultdict(int)
            for i in range(len(ids) - n + 1):
                found[tuple(ids[i : i + n])] += 1
            return found
        longer = defaultdict(set)
        for gram in counts(n + 1):
            longer[gram[1:]].add(gram[0])
        return {gram: len(words) for gram, words in longer.items()}

    def p(n, h):
        if n == 0:
            return 1 / V
        c = counts(n)
        values = list(c.values())
        n1, n2 = values.count(1), values.count(2)
        D = n1 / (n1 + 2 * n2) if n1 else 0.5
        shorter = p(n - 1, h[1:])
        after = [count for gram, count in c.items() if gram[:-1] == h]
        if not after:
            return shorter
        share = max(c.get((*h, w), 0) - D, 0)
        return (share + D * len(after) * shorter) / sum(after)

    n = min(order, len(context) + 1)
    return p(n, tuple(context[len(context) - (n - 1) :]))


@given(texts, st.integers(1, 3), st.lists(st.integers(0, V - 1), max_size=4))
def test_it_is_the_formula(ids, order, context):
    p = KneserNey(ids, V, order).probabilities(context)
    expected = [plain(ids, order, context, w) for w in range(V)]
    np.testing.assert_allclose(p, expected, rtol=1e-12)


@given(texts, st.integers(1, 3), st.lists(st.integers(0, V - 1), max_size=4))
def test_all_tokens_have_a_chance_and_the_chances_sum_to_1(ids, order, context):
    p = KneserNey(ids, V, order).probabilities(context)
    assert (p > 0).all() and math.isclose(p.sum(), 1, rel_tol=1e-12)


@given(texts, st.integers(1, 3), st.lists(st.integers(0, V - 1), min_size=1, max_size=10))
def test_a_text_is_judged_token_by_token(ids, order, text):
    model = KneserNey(ids, V, order)
    expected = [math.log(model.probabilities(text[:i])[w]) for i, w in enumerate(text)]
    np.testing.assert_allclose(model.log_probabilities(text), expected, rtol=1e-10)
    assert math.isclose(model.perplexity(text), math.exp(-np.mean(expected)), rel_tol=1e-10)


def test_a_word_that_has_only_one_place_is_a_poor_guess_elsewhere():
    """The idea: "san francisco" is frequent, but "francisco" follows nothing else."""
    san, francisco, the, dog, cat, saw, a = range(7)
    text = [san, francisco, the, dog, saw, a, dog, cat, dog] + [san, francisco] * 10
    raw, shorter = np.bincount(text), KneserNey(text, 7, 2).probabilities([])
    assert raw[francisco] > raw[dog]
    assert shorter[francisco] < shorter[dog]


def test_more_context_is_better_on_a_text_with_order():
    rng = np.random.default_rng(0)
    chain = [0, 1]
    for _ in range(5000):  # each token is the sum of the two before it, with exceptions
        chain.append((chain[-1] + chain[-2]) % V if rng.random() < 0.8 else int(rng.integers(V)))
    training, held_out = chain[:4000], chain[4000:]
    one, two, three = (KneserNey(training, V, n).perplexity(held_out) for n in (1, 2, 3))
    assert three < two < one * 1.02 and three < 3 < one


@pytest.mark.parametrize(
    ("ids", "options", "message"),
    [
        ([0, 1, 9], {}, "token 2 is 9, outside the vocabulary of 5"),
        ([0, -1, 2], {}, "token 1 is -1"),
        ([0, 1], {}, "too few for n-grams of 3"),
        ([], {"order": 1}, "too few"),
        ([0.5, 1, 2], {}, "must be integers"),
        ([0, 1, 2], {"order": 0}, "order=0"),
        ([0, 1, 2], {"order": 28}, "too high"),
    ],
)
def test_bad_input_is_named(ids, options, message):
    with pytest.raises(ValueError, match=message):
        KneserNey(ids, V, **options)


def test_the_perplexity_of_nothing():
    with pytest.raises(ValueError, match="not defined"):
        KneserNey([0, 1, 2], V).perplexity([])

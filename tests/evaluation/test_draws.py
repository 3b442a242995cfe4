"""The interval of an accuracy over several draws allows for both, draws and test texts."""

import math

import numpy as np
import pytest

from minillm.evaluation import accuracy_over_draws


def test_one_draw_gives_the_interval_of_a_proportion():
    """95 % of a binomial with p = 0.8, N = 400: 0.8 +- 1.96 sqrt(0.8 * 0.2 / 400)."""
    correct = np.arange(400) % 5 > 0
    mean, low, high = accuracy_over_draws([correct])
    half = 1.96 * math.sqrt(0.8 * 0.2 / 400)
    assert mean == 0.8
    assert low == pytest.approx(0.8 - half, abs=0.006)
    assert high == pytest.approx(0.8 + half, abs=0.006)


def test_draws_that_differ_widen_it():
    rng = np.random.default_rng(0)
    alike = rng.random((8, 2000)) < 0.7
    different = rng.random((8, 2000)) < np.linspace(0.5, 0.9, 8)[:, None]
    _, low, high = accuracy_over_draws(alike)
    _, wide_low, wide_high = accuracy_over_draws(different)
    assert wide_high - wide_low > 3 * (high - low)
    # Eight draws, standard deviation 0.13: the mean's standard error is 0.13 / sqrt(8).
    error = np.linspace(0.5, 0.9, 8).std() / math.sqrt(8)
    assert wide_high - wide_low == pytest.approx(2 * 1.96 * error, rel=0.2)


def test_it_covers_the_truth_as_often_as_it_says():
    """Texts of unequal difficulty, draws of unequal quality: 0.5 is covered in most repetitions."""
    covered = 0
    for repetition in range(100):
        rng = np.random.default_rng(repetition)
        p = 0.5 + rng.uniform(-0.2, 0.2, (12, 1)) + rng.uniform(-0.2, 0.2, 80)
        _, low, high = accuracy_over_draws(rng.random((12, 80)) < p, n=300)
        covered += low <= 0.5 <= high
    assert covered >= 88


def test_the_same_seed_gives_the_same_interval_and_nonsense_is_refused():
    correct = np.random.default_rng(0).random((3, 50)) < 0.6
    assert accuracy_over_draws(correct, seed=4) == accuracy_over_draws(correct, seed=4)
    with pytest.raises(ValueError, match="draws, texts"):
        accuracy_over_draws(correct[0])
    with pytest.raises(ValueError, match="draws, texts"):
        accuracy_over_draws(np.empty((2, 0)))
    with pytest.raises(ValueError, match="confidence=95"):
        accuracy_over_draws(correct, confidence=95)

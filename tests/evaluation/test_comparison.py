"""Intervals cover what they say, and paired tests give the known p-values."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.evaluation import (
    accuracy_score,
    bootstrap_interval,
    f1_score,
    mcnemar,
    paired_bootstrap,
    roc_auc_score,
    wilson_interval,
)


def test_wilson_by_hand():
    """8 of 10, z = 1.96: (0.8 + 0.192 +- 1.96 sqrt(0.016 + 0.0096)) / 1.384."""
    low, high = wilson_interval(8, 10)
    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_proportions_that_the_observed_one_does_not_contradict(case):
    successes, n = case
    low, high = wilson_interval(successes, n, confidence=0.9)
    p = successes / n
    assert 0 <= low <= p <= high <= 1
    for end in (low, high):  # |p - end| is 1.645 standard errors, if `end` is the truth
        if 0 < end < 1:
            assert abs(p - end) == pytest.approx(1.6448536 * math.sqrt(end * (1 - end) / n))
    assert (low == 0) == (successes == 0) and (high == 1) == (successes == n)


def test_the_bootstrap_interval_of_an_accuracy_is_the_binomial_one():
    y_true = np.zeros(1000, int)
    y_pred = (np.arange(1000) % 5 == 0).astype(int)  # 80 % right
    low, high = bootstrap_interval(accuracy_score, y_true, y_pred)
    error = math.sqrt(0.8 * 0.2 / 1000)
    assert low == pytest.approx(0.8 - 1.96 * error, abs=0.003)
    assert high == pytest.approx(0.8 + 1.96 * error, abs=0.003)
    low, high = bootstrap_interval(accuracy_score, y_true, y_pred, confidence=0.5)
    assert high - low == pytest.approx(2 * 0.674 * error, rel=0.15)


def test_the_bootstrap_interval_covers_the_truth_as_often_as_it_says():
    """AUC of two unit normals, one standard deviation apart: Phi(1 / sqrt 2) = 0.760."""
    truth = 0.5 * math.erfc(-1 / 2)
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        y_true = np.arange(120) % 2
        low, high = bootstrap_interval(roc_auc_score, y_true, rng.normal(y_true), 150, 0.8)
        covered += low <= truth <= high
    assert 38 <= covered <= 57  # 48 expected, three standard deviations


def test_the_same_seed_gives_the_same_interval():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.integers(0, 3, (2, 80))

    def interval(seed, **options):
        return bootstrap_interval(
            lambda y, p: f1_score(y, p, average="macro"), y_true, y_pred, 200, seed=seed, **options
        )

    assert interval(1) == interval(1) != interval(2)
    assert interval(1, confidence=0.99).low < interval(1).low
    as_lists = bootstrap_interval(accuracy_score, y_true.tolist(), y_pred.tolist(), 50)
    assert as_lists == bootstrap_interval(accuracy_score, y_true, y_pred, 50)


@pytest.mark.filterwarnings("error")
def test_resamples_with_one_class_are_left_out():
    """One positive of eight: a third of the resamples misses it, and has no AUC."""
    y_true = [1, 0, 0, 0, 0, 0, 0, 0]
    low, high = bootstrap_interval(roc_auc_score, y_true, [8, 1, 2, 3, 4, 5, 6, 9], 300)
    assert 0.3 < low < high == 1
    low, high = bootstrap_interval(lambda y, p: math.nan, y_true, y_true, 10)
    assert math.isnan(low) and math.isnan(high)
    result = paired_bootstrap(lambda y, p: math.nan, y_true, y_true, y_true, 10)
    assert all(math.isnan(value) for value in result)


def test_probabilities_of_several_classes_are_resampled_by_row():
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 3, 60)
    p = rng.dirichlet([1, 1, 1], 60)
    low, high = bootstrap_interval(
        lambda y, p: roc_auc_score(y, p, multi_class="ovr", labels=[0, 1, 2]), y_true, p, 100
    )
    assert low < 0.5 < high


def test_errors_name_the_row_that_was_given():
    scores = np.linspace(0, 1, 50)
    scores[33] = np.nan
    with pytest.raises(ValueError, match=r"y_score\[33\] is nan"):
        bootstrap_interval(roc_auc_score, np.arange(50) % 2, scores)
    with pytest.raises(ValueError, match=r"y_score\[33\] is nan"):
        paired_bootstrap(roc_auc_score, np.arange(50) % 2, np.zeros(50), scores)


# 200 rows of the label 1: A has 80 % right, B another 62 %, mostly the same.
ONES = np.ones(200, int)
A = np.r_[np.ones(160, int), np.zeros(40, int)]
B = np.r_[np.zeros(40, int), np.ones(124, int), np.zeros(36, int)]


def test_the_paired_bootstrap_knows_its_standard_error():
    result = paired_bootstrap(accuracy_score, ONES, A, B)
    assert result.difference == pytest.approx(0.8 - 0.62)
    difference = (A == 1).astype(float) - (B == 1)
    error = difference.std() / math.sqrt(200)
    assert result.low == pytest.approx(0.18 - 1.96 * error, abs=0.01)
    assert result.high == pytest.approx(0.18 + 1.96 * error, abs=0.01)
    assert result.p_value == pytest.approx(2 / 2001)  # no resample of 2,000 turns the sign
    mirrored = paired_bootstrap(accuracy_score, ONES, B, A)
    assert mirrored[:3] == pytest.approx((-result.difference, -result.high, -result.low))
    assert mirrored.p_value == result.p_value


def test_a_model_is_not_better_than_itself():
    assert paired_bootstrap(accuracy_score, ONES, A, A, 100) == (0, 0, 0, 1)
    assert mcnemar(ONES, A, A) == (0, 0, 0, 1)
    assert mcnemar(ONES, A, A, exact=False) == (0, 0, 0, 1)


def test_the_p_value_agrees_with_the_interval_and_with_mcnemar():
    rng = np.random.default_rng(3)
    a, b = rng.random((2, 300)) < np.array([[0.75], [0.68]])
    y_true = np.ones(300, bool)
    bootstrap = paired_bootstrap(accuracy_score, y_true, a, b)
    assert (bootstrap.low > 0 or bootstrap.high < 0) == (bootstrap.p_value < 0.05)
    assert bootstrap.p_value == pytest.approx(mcnemar(y_true, a, b).p_value, abs=0.03)


def test_mcnemar_with_few_rows_is_the_coin():
    """A alone is right 5 times, B never: both ends of 5 tosses, 2 / 32."""
    result = mcnemar([1] * 9, [1] * 9, [1] * 4 + [0] * 5)
    assert result == (5, 0, 0, 2 / 32)


@given(st.integers(0, 8), st.integers(0, 4))
def test_mcnemar_in_all_tosses(only_a, only_b):
    """The three rows that both have right, and the two that both have wrong, don't count."""
    m = only_a + only_b
    y_true = ["x"] * (m + 5)
    a = ["x"] * (3 + only_a) + ["y"] * (only_b + 2)
    b = ["x"] * 3 + ["y"] * only_a + ["x"] * only_b + ["y", "z"]
    extreme = sum(
        abs(2 * sum(tosses) - m) >= abs(only_a - only_b)
        for tosses in itertools.product((0, 1), repeat=m)
    )
    result = mcnemar(y_true, a, b)
    assert result == (only_a, only_b, min(only_a, only_b), pytest.approx(extreme / 2**m))
    assert mcnemar(y_true, b, a) == (only_b, only_a, *result[2:])


def test_mcnemar_with_many_rows_is_chi_square():
    """Known quantiles of chi-square with one degree of freedom; (|40 - 20| - 1)^2 / 60 = 6.0167."""
    y_true = np.ones(100, int)
    a = np.r_[np.ones(80, int), np.zeros(20, int)]
    b = np.r_[np.ones(40, int), np.zeros(40, int), np.ones(20, int)]
    result = mcnemar(y_true, a, b)
    assert result[:3] == (40, 20, pytest.approx(361 / 60))
    assert result.p_value == pytest.approx(0.014171, abs=1e-6)
    exact = mcnemar(y_true, a, b, exact=True)
    assert exact.statistic == 20
    assert exact.p_value == pytest.approx(result.p_value, abs=0.001)


def test_arguments_that_do_not_fit():
    for interval in (
        lambda **options: wilson_interval(1, 2, **options),
        lambda **options: bootstrap_interval(accuracy_score, [1], [1], **options),
        lambda **options: paired_bootstrap(accuracy_score, [1], [1], [1], **options),
    ):
        with pytest.raises(ValueError, match="confidence=95.*like 0.95"):
            interval(confidence=95)
    for successes, n in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match=f"successes={successes} of n={n}"):
            wilson_interval(successes, n)
    with pytest.raises(ValueError, match="y_true has 2 rows and y_hat 3"):
        bootstrap_interval(accuracy_score, [0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match="y_true has 2 rows and b 3"):
        paired_bootstrap(accuracy_score, [0, 1], [0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match="y_hat is"):
        bootstrap_interval(accuracy_score, [0, 1], 1)
    with pytest.raises(ValueError, match="n=0"):
        bootstrap_interval(accuracy_score, [0, 1], [0, 1], n=0)

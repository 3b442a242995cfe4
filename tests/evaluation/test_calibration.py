"""Calibration and proper scores: by hand, and against loops over rows and bins."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minillm
from minillm import functional as F
from minillm.evaluation import (
    brier_score_loss,
    calibration_curve,
    expected_calibration_error,
    log_loss,
    reliability_bins,
)


@st.composite
def classified(draw):
    """(y_true, (N, C) probabilities, M bins); some probabilities stand on the bins' edges."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    N, C, M = draw(st.integers(1, 30)), draw(st.integers(2, 4)), draw(st.integers(1, 16))
    p = rng.dirichlet(np.full(C, 0.5), N)
    if draw(st.booleans()):
        p[:, 0] = rng.integers(0, M + 1, N) / M
        p[:, 1:] = ((1 - p[:, 0]) / (C - 1))[:, None]
    return rng.integers(0, C, N), p, M


def test_the_example_by_hand():
    """Confidences 0.9, 0.8 (both right) and 0.6, 0.6 (one right): two bins of the upper half."""
    y_true = [0, 1, 1, 1]
    p = [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.6, 0.4]]
    confidence, accuracy, rows = reliability_bins(y_true, p, n_bins=4)
    np.testing.assert_allclose(confidence, [np.nan, np.nan, 0.6, 0.85])
    np.testing.assert_allclose(accuracy, [np.nan, np.nan, 0.5, 1])
    assert rows.tolist() == [0, 0, 2, 2]
    expected = 2 / 4 * abs(0.5 - 0.6) + 2 / 4 * abs(1 - 0.85)
    assert expected_calibration_error(y_true, p, n_bins=4) == pytest.approx(expected)
    assert log_loss(y_true, p) == pytest.approx(-math.log(0.9 * 0.8 * 0.6 * 0.4) / 4)
    assert brier_score_loss(y_true, p) == pytest.approx((0.01 + 0.04 + 0.16 + 0.36) / 4)
    assert brier_score_loss(y_true, p, scale_by_half=False) == pytest.approx(2 * 0.57 / 4)
    # The same from the probabilities of class 1 alone.
    of_one = [row[1] for row in p]
    for metric in (expected_calibration_error, log_loss, brier_score_loss):
        assert metric(y_true, of_one) == pytest.approx(metric(y_true, p))


@given(classified())
def test_expected_calibration_error_in_loops(case):
    y_true, p, M = case
    bins = [[] for _ in range(M)]
    for y, row in zip(y_true, p, strict=True):
        m = next(m for m in range(M) if row.max() <= np.linspace(0, 1, M + 1)[m + 1] or m == M - 1)
        bins[m].append((row.max(), row.argmax() == y))
    error = 0.0
    for rows in filter(None, bins):
        confidence, right = map(np.mean, zip(*rows, strict=True))
        error += len(rows) / len(y_true) * abs(right - confidence)
    assert reliability_bins(y_true, p, n_bins=M).rows.tolist() == [len(rows) for rows in bins]
    assert expected_calibration_error(y_true, p, n_bins=M) == pytest.approx(error)
    assert 0 <= error <= 1


def test_true_probabilities_are_calibrated_and_boasting_is_not():
    rng = np.random.default_rng(0)
    p = rng.random(50_000)
    y_true = rng.random(50_000) < p
    boasting = p**3 / (p**3 + (1 - p) ** 3)
    assert expected_calibration_error(y_true, p) < 0.01
    assert expected_calibration_error(y_true, boasting) > 0.1
    # Both have the same predictions; the proper scores too prefer the true probabilities.
    for score in (log_loss, brier_score_loss):
        assert score(y_true, p) < score(y_true, boasting)
    prob_true, prob_pred = calibration_curve(y_true, p, n_bins=10)
    np.testing.assert_allclose(prob_true, prob_pred, atol=0.03)


@given(classified())
def test_proper_scores_in_loops(case):
    y_true, p, _ = case
    C = p.shape[1]
    squares = [
        sum((row[c] - (y == c)) ** 2 for c in range(C)) for y, row in zip(y_true, p, strict=True)
    ]
    expected = np.mean(squares) / (2 if C == 2 else 1)
    assert brier_score_loss(y_true, p, labels=range(C)) == pytest.approx(expected)
    surprises = [-math.log(max(row[y], 2.0**-52)) for y, row in zip(y_true, p, strict=True)]
    assert log_loss(y_true, p, labels=range(C)) == pytest.approx(np.mean(surprises), abs=1e-12)
    total = log_loss(y_true, p, labels=range(C), normalize=False)
    assert total == pytest.approx(np.sum(surprises), abs=1e-12)


def test_log_loss_is_the_training_loss():
    logits = minillm.tensor(np.random.default_rng(0).normal(size=(20, 3)), dtype=np.float64)
    y_true = np.arange(20) % 3
    loss = F.cross_entropy(logits, minillm.tensor(y_true)).item()
    assert log_loss(y_true, F.softmax(logits, -1).numpy()) == pytest.approx(loss)


def test_one_certain_error_is_finite():
    assert log_loss([0, 1], [1.0, 1.0]) == pytest.approx(-math.log(2.0**-52) / 2)
    single = np.ones(2, dtype=np.float32)
    assert log_loss([0, 1], single) == pytest.approx(-math.log(2.0**-23) / 2)


def test_calibration_curve_by_hand():
    y_true, p = [0, 0, 1, 1, 1], [0.1, 0.5, 0.5, 0.6, 1.0]
    prob_true, prob_pred = calibration_curve(y_true, p, n_bins=2)  # 0.5 is in the lower half
    np.testing.assert_allclose(prob_true, [1 / 3, 1])
    np.testing.assert_allclose(prob_pred, [1.1 / 3, 0.8])
    prob_true, _ = calibration_curve(y_true, p, n_bins=100)  # empty bins are left out
    assert prob_true.tolist() == [0, 0.5, 1, 1]
    prob_true, _ = calibration_curve(y_true, p, n_bins=2, strategy="quantile")
    np.testing.assert_allclose(prob_true, [1 / 3, 1])


def test_texts_as_labels():
    y_true = ["no", "yes", "yes"]
    p = np.array([0.2, 0.9, 0.4])
    labels = ["no", "yes"]
    numbers = [0, 1, 1]
    assert log_loss(y_true, p) == log_loss(numbers, p)
    assert brier_score_loss(y_true, p, pos_label="yes") == brier_score_loss(numbers, p)
    assert expected_calibration_error(y_true, p, labels=labels) == expected_calibration_error(
        numbers, p
    )
    with pytest.raises(ValueError, match="y_true holds texts: give labels"):
        expected_calibration_error(y_true, p)


def test_of_two_numbers_the_greater_is_positive():
    p = [0.2, 0.9, 0.4]
    assert brier_score_loss([3, 8, 8], p) == brier_score_loss([0, 1, 1], p)
    assert brier_score_loss([3, 8, 8], p, pos_label=3) == brier_score_loss([1, 0, 0], p)


def test_a_class_that_does_not_occur():
    p = np.array([[0.5, 0.2, 0.3], [0.1, 0.1, 0.8]])
    assert log_loss([0, 2], p, labels=[0, 1, 2]) == pytest.approx(-math.log(0.4) / 2)
    assert expected_calibration_error([0, 2], p, n_bins=1) == pytest.approx(1 - 0.65)
    with pytest.raises(ValueError, match=r"3 columns for the 2 labels \[0, 2\].*give labels"):
        log_loss([0, 2], p)
    with pytest.raises(ValueError, match=r"only one label, \[2\]: give labels"):
        brier_score_loss([2, 2], p)
    with pytest.raises(ValueError, match=r"y_true\[1\] is 3, which is not among.*\[0, 1, 2\]"):
        expected_calibration_error([0, 3], p)


def test_arguments_that_do_not_fit():
    for metric in (calibration_curve, reliability_bins, expected_calibration_error):
        with pytest.raises(ValueError, match="n_bins=0"):
            metric([0, 1], [0.1, 0.2], n_bins=0)
    with pytest.raises(ValueError, match="strategy='equal'"):
        calibration_curve([0, 1], [0.1, 0.2], strategy="equal")
    with pytest.raises(ValueError, match="expected at most two"):
        calibration_curve([0, 1, 2], [0.1, 0.2, 0.3], pos_label=1)
    with pytest.raises(ValueError, match=r"\(2, 2\), expected \(N,\)"):
        calibration_curve([0, 1], [[0.1, 0.9], [0.2, 0.8]])
    with pytest.raises(ValueError, match="3 labels and y_proba one column"):
        brier_score_loss([0, 1, 2], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="scale_by_half='yes'"):
        brier_score_loss([0, 1], [0.1, 0.2], scale_by_half="yes")

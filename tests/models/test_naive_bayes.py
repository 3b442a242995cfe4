"""Log-count ratios and the logistic regression on them: formulas, gradient, minimum, errors."""

import numpy as np
import pytest

from minillm.models.naive_bayes import (
    check_labels,
    class_targets,
    fit_logistic_regression,
    inverse_lengths,
    log_count_ratio,
)
from minillm.models.ngrams import PresenceMatrix


def sparse(dense):
    row, column = np.nonzero(dense)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(dense)))])
    return PresenceMatrix(indptr, column.astype(np.int32), dense.shape)


@pytest.fixture
def task():
    """40 texts of 12 n-grams, the last text empty; (dense X, positive)."""
    rng = np.random.default_rng(0)
    positive = np.arange(40) % 2 == 1
    dense = rng.random((40, 12)) < np.where(positive[:, None], 0.5, np.linspace(0.1, 0.7, 12))
    dense[-1] = False
    return dense, positive


def test_the_ratio_by_hand():
    """Two n-grams: the first in 2 positive texts and no other, the second in one of each."""
    dense, positive = np.array([[1, 1], [1, 0], [0, 1]]), np.array([True, True, False])
    r = log_count_ratio(sparse(dense), positive, alpha=1)
    # p = (3, 2), q = (1, 2)
    np.testing.assert_allclose(r, [np.log((3 / 5) / (1 / 3)), np.log((2 / 5) / (2 / 3))])


def test_the_ratio_changes_its_sign_with_the_classes(task):
    dense, positive = task
    X = sparse(dense)
    np.testing.assert_allclose(log_count_ratio(X, positive), -log_count_ratio(X, ~positive))


def test_lengths(task):
    dense, positive = task
    r = log_count_ratio(sparse(dense), positive)
    lengths = np.linalg.norm(dense * r, axis=1)
    expected = [1 / length if length else 0 for length in lengths]
    np.testing.assert_allclose(inverse_lengths(sparse(dense), r), expected)
    assert expected[-1] == 0


def loss_of(dense, positive, r, l2, w, b):
    """L(w, b) as the module's text has it, text by text."""
    total = l2 / 2 * np.sum(w * w)
    for x, is_positive in zip(dense, positive, strict=True):
        length = np.linalg.norm(x * r)
        z = b + (np.sum(x * r * w) / length if length else 0)
        total += np.log1p(np.exp(-z if is_positive else z))
    return total


@pytest.mark.parametrize("l2", [0.01, 1.0])
def test_at_the_minimum_every_direction_leads_up(task, l2):
    dense, positive = task
    X = sparse(dense)
    r = log_count_ratio(X, positive)
    w, b, minimum = fit_logistic_regression(X, positive, r, l2, tolerance=1e-8)
    assert minimum.converged
    best = loss_of(dense, positive, r, l2, w, b)
    np.testing.assert_allclose(best, minimum.value, rtol=1e-10)
    rng = np.random.default_rng(1)
    for _ in range(20):
        dw, db = 1e-3 * rng.standard_normal(12), 1e-3 * rng.standard_normal()
        assert loss_of(dense, positive, r, l2, w + dw, b + db) > best


def test_the_same_call_gives_the_same_weights(task):
    dense, positive = task
    X = sparse(dense)
    r = log_count_ratio(X, positive)
    first, second = (fit_logistic_regression(X, positive, r) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    assert first[1] == second[1]


def test_a_stronger_penalty_makes_smaller_weights(task):
    dense, positive = task
    X = sparse(dense)
    r = log_count_ratio(X, positive)
    norms = [
        np.linalg.norm(fit_logistic_regression(X, positive, r, l2)[0]) for l2 in (0.01, 1, 100)
    ]
    assert norms[0] > norms[1] > norms[2]


def test_targets():
    labels = np.array([0, 1, 2, 1])
    assert [t.tolist() for t in class_targets(labels, 3)] == [
        [True, False, False, False],
        [False, True, False, True],
        [False, False, True, False],
    ]
    (only,) = class_targets(np.array([0, 1]), 2)
    assert only.tolist() == [False, True]


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_settings_that_can_not_be(task, value):
    dense, positive = task
    X = sparse(dense)
    with pytest.raises(ValueError, match="alpha="):
        log_count_ratio(X, positive, value)
    with pytest.raises(ValueError, match="l2="):
        fit_logistic_regression(X, positive, np.ones(12), value)


@pytest.mark.parametrize(
    "labels, names, error, message",
    [
        ([0, 1, 2], ["no", "yes"], ValueError, "label number 2 is 2, expected 0 to 1: no, yes"),
        ([0, -1, 1], ["no", "yes"], ValueError, "label number 1 is -1"),
        ([0, 0, 0], ["no", "yes"], ValueError, r"no text has the label 1 \('yes'\)"),
        ([0, 0, 0], ["no"], ValueError, "two classes or more"),
        ([0, 1], ["no", "yes"], ValueError, r"shape \(2,\) for 3 texts"),
        ([0.0, 1.0, np.nan], ["no", "yes"], TypeError, "float64, expected whole numbers"),
        (["no", "yes", "no"], ["no", "yes"], TypeError, "expected whole numbers"),
    ],
)
def test_labels_that_can_not_be(labels, names, error, message):
    with pytest.raises(error, match=message) as caught:
        check_labels(labels, 3, names)
    assert "\n" not in str(caught.value)

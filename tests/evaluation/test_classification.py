"""Accuracy, precision, recall, F and MCC: by hand, and against definitions counted in loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.evaluation import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
)

# Three classes; "c" is never right, and "a" is predicted once too often.
TRUE = ["a", "a", "a", "b", "b", "c"]
PRED = ["a", "a", "b", "b", "a", "b"]
rows = st.sampled_from([3, ["x", "y"]]).flatmap(
    lambda k: st.lists(
        st.tuples(*[st.integers(0, k) if k == 3 else st.sampled_from(k)] * 2), min_size=1
    )
)


def test_the_example_by_hand():
    assert accuracy_score(TRUE, PRED) == 3 / 6
    assert accuracy_score(TRUE, PRED, normalize=False) == 3
    assert confusion_matrix(TRUE, PRED).tolist() == [[2, 1, 0], [1, 1, 0], [0, 1, 0]]
    precision, recall, f1, support = precision_recall_fscore_support(TRUE, PRED)
    np.testing.assert_allclose(precision, [2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(recall, [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(f1, [2 / 3, 2 / 5, 0])
    assert support.tolist() == [3, 2, 1] and support.dtype == np.int64
    assert f1_score(TRUE, PRED, average="macro") == pytest.approx((2 / 3 + 2 / 5) / 3)
    assert f1_score(TRUE, PRED, average="weighted") == pytest.approx((3 * 2 / 3 + 2 * 2 / 5) / 6)
    assert precision_score(TRUE, PRED, average="micro") == 3 / 6
    # c = 3 right of N = 6, true (3, 2, 1), predicted (3, 3, 0):
    assert matthews_corrcoef(TRUE, PRED) == pytest.approx(
        (3 * 6 - (9 + 6 + 0)) / math.sqrt((36 - 18) * (36 - 14))
    )


def test_normalized_confusion_matrices():
    by_row = confusion_matrix(TRUE, PRED, normalize="true")
    np.testing.assert_allclose(by_row, [[2 / 3, 1 / 3, 0], [1 / 2, 1 / 2, 0], [0, 1, 0]])
    by_column = confusion_matrix(TRUE, PRED, normalize="pred")  # "c" is never predicted: 0, not nan
    np.testing.assert_allclose(by_column, [[2 / 3, 1 / 3, 0], [1 / 3, 1 / 3, 0], [0, 1 / 3, 0]])
    assert confusion_matrix(TRUE, PRED, normalize="all").sum() == pytest.approx(1)


def test_labels_choose_and_order_the_classes():
    assert confusion_matrix(TRUE, PRED, labels=["b", "a"]).tolist() == [[1, 1], [1, 2]]
    assert confusion_matrix(TRUE, PRED, labels=["z", "c"]).tolist() == [[0, 0], [0, 0]]
    precision, _, _, support = precision_recall_fscore_support(TRUE, PRED, labels=["z", "b"])
    np.testing.assert_allclose(precision, [0, 1 / 3])
    assert support.tolist() == [0, 2]
    # The micro average of "a" and "b": 3 right, of 6 predicted, of 5 true.
    assert precision_score(TRUE, PRED, labels=["a", "b"], average="micro") == 3 / 6
    assert recall_score(TRUE, PRED, labels=["a", "b"], average="micro") == 3 / 5


def test_what_zero_division_means():
    """ "c" is never predicted: its precision is 0 / 0; its recall, 0 / 1, is not."""
    for value in (0, 1, math.nan):
        options = {"average": None, "labels": ["c"], "zero_division": value}
        np.testing.assert_equal(precision_score(TRUE, PRED, **options), [value])
        assert recall_score(TRUE, PRED, **options) == [0]
        assert f1_score(TRUE, PRED, **options) == [0]
    assert precision_score(TRUE, PRED, average="macro", zero_division=1) == pytest.approx(2 / 3)
    # nan is left out of the mean.
    assert precision_score(TRUE, PRED, average="macro", zero_division=math.nan) == pytest.approx(
        1 / 2
    )


def test_one_class_and_no_hit():
    assert matthews_corrcoef([1, 1], [1, 1]) == 0.0
    assert confusion_matrix([1, 1], [1, 1]).tolist() == [[2]]
    assert f1_score([1, 1], [1, 1]) == 1.0
    assert f1_score([0, 0], [0, 0]) == 0.0  # no 1 anywhere: 0 / 0
    assert f1_score([0, 1], [1, 0], average="weighted") == 0.0


@given(rows)
def test_against_the_definitions(pairs):
    y_true, y_pred = map(list, zip(*pairs, strict=True))
    labels = sorted({*y_true, *y_pred})
    C = [[sum(t == a and p == b for t, p in pairs) for b in labels] for a in labels]
    assert confusion_matrix(y_true, y_pred).tolist() == C
    precision, recall, f2, support = precision_recall_fscore_support(y_true, y_pred, beta=2)
    for i, c in enumerate(labels):
        hits = sum(t == p == c for t, p in pairs)
        said, real = y_pred.count(c), y_true.count(c)
        assert support[i] == real
        assert precision[i] == (hits / said if said else 0)
        assert recall[i] == (hits / real if real else 0)
        p, r = precision[i], recall[i]
        assert f2[i] == pytest.approx(5 * p * r / (4 * p + r) if hits else 0)


@given(rows)
def test_micro_average_over_all_classes_is_accuracy(pairs):
    y_true, y_pred = zip(*pairs, strict=True)
    accuracy = accuracy_score(y_true, y_pred)
    assert accuracy == pytest.approx(np.mean([t == p for t, p in pairs]))
    for metric in (precision_score, recall_score, f1_score):
        assert metric(y_true, y_pred, average="micro") == pytest.approx(accuracy)
    # and so is the recall averaged with the classes' frequencies
    assert recall_score(y_true, y_pred, average="weighted") == pytest.approx(accuracy)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_matthews_correlation_of_two_classes_is_the_correlation(pairs):
    y_true, y_pred = np.array(pairs).T
    if len(set(y_true)) == 1 or len(set(y_pred)) == 1:
        assert matthews_corrcoef(y_true, y_pred) == 0
    else:
        expected = np.corrcoef(y_true, y_pred)[0, 1]
        assert matthews_corrcoef(y_true, y_pred) == pytest.approx(expected)
        assert matthews_corrcoef(y_true, ~y_pred) == pytest.approx(-expected)


@given(rows)
def test_names_of_labels_do_not_matter(pairs):
    y_true, y_pred = zip(*pairs, strict=True)
    labels = sorted({*y_true, *y_pred})
    renamed = [[f"class {labels.index(v)}" for v in side] for side in (y_true, y_pred)]
    for metric in (accuracy_score, matthews_corrcoef, confusion_matrix):
        np.testing.assert_array_equal(metric(y_true, y_pred), metric(*renamed))


def test_many_classes_are_counted_without_a_table_of_their_square():
    labels = np.arange(300_000)
    assert f1_score(labels, labels, average="macro") == 1
    assert matthews_corrcoef(labels, labels) == pytest.approx(1)


def test_arguments_that_do_not_fit():
    with pytest.raises(ValueError, match=r"3 labels, \['a', 'b', 'c'\]: choose 'micro'"):
        f1_score(TRUE, PRED)
    with pytest.raises(ValueError, match=r"pos_label=1 is not one of the labels \['a', 'b'\]"):
        f1_score(["a", "b"], ["a", "a"])
    with pytest.raises(ValueError, match=r"100 labels, \[0, 1, 2, 3, 4, 5, 6, 7, ...\]"):
        f1_score(range(100), range(100))
    with pytest.raises(ValueError, match="average='samples'"):
        f1_score(TRUE, PRED, average="samples")
    with pytest.raises(ValueError, match="zero_division='warn'"):
        f1_score(TRUE, PRED, average="macro", zero_division="warn")
    with pytest.raises(ValueError, match="beta=-1"):
        precision_recall_fscore_support(TRUE, PRED, beta=-1)
    with pytest.raises(ValueError, match="normalize='rows'"):
        confusion_matrix(TRUE, PRED, normalize="rows")
    with pytest.raises(ValueError, match=r"\['z'\]: none of them occurs.*\['a', 'b', 'c'\]"):
        confusion_matrix(TRUE, PRED, labels=["z"])
    with pytest.raises(ValueError, match="stands there twice"):
        confusion_matrix(TRUE, PRED, labels=["a", "a"])
    with pytest.raises(ValueError, match="labels is empty"):
        confusion_matrix(TRUE, PRED, labels=[])

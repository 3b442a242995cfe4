"""ROC, AUC, precision-recall, AP: by hand, and against counts made threshold by threshold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.evaluation import (
    auc,
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

# (positive?, score): few distinct scores, so that ties are common; both classes occur
scored = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=25).filter(
    lambda rows: len({positive for positive, _ in rows}) == 2
)


def split(rows):
    y_true, y_score = zip(*rows, strict=True)
    return np.array(y_true), np.array(y_score)


def test_the_example_by_hand():
    """By falling score: +, -, +, -. Three of the four pairs are in order."""
    y_true, y_score = [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]
    fpr, tpr, thresholds = roc_curve(y_true, y_score)
    assert fpr.tolist() == [0, 0, 0.5, 0.5, 1]
    assert tpr.tolist() == [0, 0.5, 0.5, 1, 1]
    assert thresholds.tolist() == [math.inf, 0.8, 0.4, 0.35, 0.1]
    assert roc_auc_score(y_true, y_score) == 3 / 4
    precision, recall, thresholds = precision_recall_curve(y_true, y_score)
    np.testing.assert_allclose(precision, [2 / 4, 2 / 3, 1 / 2, 1, 1])
    assert recall.tolist() == [1, 1, 0.5, 0.5, 0]
    assert thresholds.tolist() == [0.1, 0.35, 0.4, 0.8]
    assert average_precision_score(y_true, y_score) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_equal_scores_are_one_step():
    fpr, tpr, thresholds = roc_curve([0, 1, 0, 1], [0.5] * 4)
    assert (fpr.tolist(), tpr.tolist(), thresholds.tolist()) == ([0, 1], [0, 1], [math.inf, 0.5])
    assert roc_auc_score([0, 1, 0, 1], [0.5] * 4) == 0.5
    assert average_precision_score([0, 1, 0, 1], [0.5] * 4) == 0.5


@given(scored)
def test_curves_are_what_each_threshold_gives(rows):
    y_true, y_score = split(rows)
    fpr, tpr, thresholds = roc_curve(y_true, y_score, drop_intermediate=False)
    assert thresholds[1:].tolist() == sorted(set(y_score.tolist()), reverse=True)
    for f, t, threshold in zip(fpr, tpr, thresholds, strict=True):
        assert f == (y_score[~y_true] >= threshold).mean()
        assert t == (y_score[y_true] >= threshold).mean()
    precision, recall, rising = precision_recall_curve(y_true, y_score)
    assert rising.tolist() == thresholds[:0:-1].tolist()
    assert (precision[-1], recall[-1]) == (1, 0)
    for p, r, threshold in zip(precision, recall, rising, strict=False):
        assert p == y_true[y_score >= threshold].mean()
        assert r == (y_score[y_true] >= threshold).mean()


@given(scored)
def test_auc_is_the_chance_that_a_positive_scores_higher(rows):
    y_true, y_score = split(rows)
    wins = [np.sign(p - n) / 2 + 0.5 for p in y_score[y_true] for n in y_score[~y_true]]
    assert roc_auc_score(y_true, y_score) == pytest.approx(np.mean(wins))
    # Only the order counts, and the other way round it is the other way round.
    assert roc_auc_score(y_true, np.exp(y_score)) == pytest.approx(np.mean(wins))
    assert roc_auc_score(y_true, -y_score) == pytest.approx(1 - np.mean(wins))


@given(scored)
def test_average_precision_is_the_mean_precision_at_the_positives(rows):
    """Each positive, at the threshold of its own score: the precision there."""
    y_true, y_score = split(rows)
    precisions = [y_true[y_score >= s].mean() for s in y_score[y_true]]
    assert average_precision_score(y_true, y_score) == pytest.approx(np.mean(precisions))


@given(scored)
def test_what_is_dropped_does_not_change_the_picture(rows):
    y_true, y_score = split(rows)
    whole = roc_curve(y_true, y_score, drop_intermediate=False)
    corners = roc_curve(y_true, y_score)
    assert len(corners[0]) <= len(whole[0])
    assert auc(*corners[:2]) == pytest.approx(auc(*whole[:2]))
    precision, recall, _ = precision_recall_curve(y_true, y_score)
    few_precision, few_recall, _ = precision_recall_curve(y_true, y_score, drop_intermediate=True)
    assert set(few_recall) == set(recall)
    for r in few_recall:  # of each recall the first and the last point stay
        points, kept = precision[recall == r], few_precision[few_recall == r]
        assert (kept[0], kept[-1]) == (points[0], points[-1])


def test_several_classes_are_asked_one_against_the_rest():
    y_true = np.array(["a", "b", "c", "c", "a", "b", "c"])
    p = np.random.default_rng(0).dirichlet([1, 1, 1], 7)
    each = [roc_auc_score(y_true == c, p[:, i]) for i, c in enumerate("abc")]
    options = {"multi_class": "ovr"}
    np.testing.assert_allclose(roc_auc_score(y_true, p, average=None, **options), each)
    assert roc_auc_score(y_true, p, **options) == pytest.approx(np.mean(each))
    weighted = np.average(each, weights=[2, 2, 3])
    assert roc_auc_score(y_true, p, average="weighted", **options) == pytest.approx(weighted)
    indicator = y_true[:, None] == np.array(["a", "b", "c"])
    micro = roc_auc_score(indicator.ravel(), p.ravel())
    assert roc_auc_score(y_true, p, average="micro", **options) == micro
    each = [average_precision_score(y_true == c, p[:, i]) for i, c in enumerate("abc")]
    assert average_precision_score(y_true, p) == pytest.approx(np.mean(each))
    np.testing.assert_allclose(average_precision_score(y_true, p, average=None), each)


def test_a_class_without_rows():
    with pytest.warns(UserWarning, match="one class"):
        assert math.isnan(roc_auc_score([1, 1], [0.2, 0.3]))
    with pytest.warns(UserWarning, match="no negative row"):
        fpr, tpr, _ = roc_curve([1, 1], [0.2, 0.3])
    assert np.isnan(fpr).all() and tpr.tolist() == [0, 0.5, 1]
    with pytest.warns(UserWarning, match="no positive row"):
        _, tpr, _ = roc_curve([0, 0], [0.2, 0.3])
    assert np.isnan(tpr).all()
    with pytest.warns(UserWarning, match="recall is set to 1"):
        assert average_precision_score([0, 0], [0.2, 0.3]) == 0
    p = np.array([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4], [0.6, 0.2, 0.2]])
    options = {"multi_class": "ovr", "labels": [0, 1, 2]}
    with pytest.warns(UserWarning, match="a class without rows"):
        assert math.isnan(roc_auc_score([0, 1, 0], p, **options))
    with pytest.warns(UserWarning, match="a class without rows"):
        assert roc_auc_score([0, 1, 0], p, average="weighted", **options) == 1


def test_area_by_trapezoids():
    assert auc([0, 1, 3], [0, 2, 2]) == 1 + 4
    assert auc([3, 1, 0], [2, 2, 0]) == 1 + 4
    assert auc([1, 1], [0, 5]) == 0
    with pytest.raises(ValueError, match="turns back"):
        auc([0, 2, 1], [0, 1, 2])
    with pytest.raises(ValueError, match="two points"):
        auc([0], [1])


def test_arguments_that_do_not_fit():
    p = np.full((3, 3), 1 / 3)
    with pytest.raises(ValueError, match="multi_class='raise'.*'ovr'"):
        roc_auc_score([0, 1, 2], p)
    with pytest.raises(ValueError, match=r"\(3, 3\), expected \(N, 2\)"):
        roc_auc_score([0, 1, 1], p, multi_class="ovr")
    with pytest.raises(ValueError, match=r"\(3,\), expected \(N, 3\)"):
        average_precision_score([0, 1, 2], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="average='samples'"):
        roc_auc_score([0, 1], [0.1, 0.2], average="samples")
    with pytest.raises(ValueError, match="pos_label=1 is not one of the labels"):
        average_precision_score(["a", "b"], [0.1, 0.2])
    with pytest.raises(ValueError, match="pos_label=2: with 3 classes"):
        average_precision_score([0, 1, 2], p, pos_label=2)

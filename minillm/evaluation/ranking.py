"""How good are scores, whatever the threshold?  ROC curve and AUC, precision-recall curve and AP.

A classifier that gives scores is a whole family of classifiers, one a threshold t: positive is
what scores t or more.  Sorted by falling score, the counts of all of them are two running sums:

    tps(t) = #{s >= t and y positive}      fps(t) = #{s >= t and y negative}

Rows with equal scores can't be told apart by any threshold: they are one step together.
The names, arguments and results are scikit-learn's (sklearn.metrics), without sample weights.
"""

import math
import warnings

import numpy as np

from minillm.evaluation.inputs import (
    column_of,
    label_array,
    positive_rows,
    probability_array,
    same_length,
    score_array,
    shown,
    sorted_class_list,
)


def _counts_by_threshold(
    positive: np.ndarray, y_score: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(fps, tps, thresholds), each (T,), one entry a distinct score, from the highest on."""
    order = np.argsort(-y_score)
    positive, y_score = positive[order], y_score[order]
    last = np.r_[np.flatnonzero(y_score[1:] != y_score[:-1]), len(y_score) - 1]  # of equal scores
    tps = np.cumsum(positive)[last].astype(np.float64)
    return 1.0 + last - tps, tps, y_score[last]


def _positives_and_scores(y_true, y_score, pos_label) -> tuple[np.ndarray, np.ndarray]:
    """The arguments of a curve, checked: (N,) bool, (N,) float64."""
    y_true, y_score = label_array("y_true", y_true), score_array("y_score", y_score)
    same_length("y_true", y_true, "y_score", y_score)
    return positive_rows(y_true, pos_label), y_score


def roc_curve(
    y_true, y_score, *, pos_label=None, drop_intermediate: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(fpr, tpr, thresholds): which part of the positives is found at which false-alarm rate.

        tpr(t) = tps(t) / #positives      fpr(t) = fps(t) / #negatives

    y_true: (N,) labels; pos_label: the positive one, by default 1 if they are 0, 1 or -1, 1.
    y_score: (N,) finite numbers.  Three float64 arrays (T,), thresholds falling from inf, where
    nothing is called positive.  drop_intermediate leaves out points on a straight line between
    their neighbours.  Without negatives (positives) fpr (tpr) is nan, with a UserWarning.
    Raises ValueError for a score that isn't finite, naming the row, and for lengths that differ.

    Source: Fawcett 2006, "An introduction to ROC analysis", algorithm 1; sklearn.metrics.roc_curve.
    """
    positive, y_score = _positives_and_scores(y_true, y_score, pos_label)
    fps, tps, thresholds = _counts_by_threshold(positive, y_score)
    if drop_intermediate and len(fps) > 2:
        corner = (np.diff(fps, 2) != 0) | (np.diff(tps, 2) != 0)
        keep = np.r_[True, corner, True]
        fps, tps, thresholds = fps[keep], tps[keep], thresholds[keep]
    fps, tps, thresholds = np.r_[0.0, fps], np.r_[0.0, tps], np.r_[np.inf, thresholds]
    rates = []
    for counts, sign, rate in ((fps, "negative", "false"), (tps, "positive", "true")):
        if counts[-1] == 0:
            warnings.warn(
                f"no {sign} row in y_true: the {rate} positive rate is undefined", stacklevel=2
            )
            rates.append(np.full(len(counts), np.nan))
        else:
            rates.append(counts / counts[-1])
    return rates[0], rates[1], thresholds


def auc(x, y) -> float:
    """The area under points of a curve, by trapezoids: sum_i (x_i+1 - x_i) (y_i + y_i+1) / 2.

    x: (T,) rising or falling; y: (T,).  Raises ValueError for fewer than two points or for an x
    that turns back.  Source: sklearn.metrics.auc.
    """
    x, y = score_array("x", x), score_array("y", y)
    same_length("x", x, "y", y)
    if len(x) < 2:
        raise ValueError("auc: a curve needs at least two points")
    dx = np.diff(x)
    if (dx < 0).any() and (dx > 0).any():
        raise ValueError("auc: x must rise or fall throughout, but it turns back")
    area = (dx * (y[1:] + y[:-1]) / 2).sum()
    return float(-area if (dx < 0).any() else area)


def _binary_auc(positive: np.ndarray, y_score: np.ndarray) -> float:
    """AUC of (N,) bool against (N,) scores; nan with a warning where it isn't defined."""
    if positive.all() or not positive.any():
        warnings.warn(
            "only one class in y_true (or a class without rows): its ROC AUC is undefined",
            stacklevel=4,
        )
        return math.nan
    fps, tps, _ = _counts_by_threshold(positive, y_score)
    return auc(np.r_[0, fps] / fps[-1], np.r_[0, tps] / tps[-1])


def _over_classes(metric, indicator: np.ndarray, y_score: np.ndarray, average: str | None):
    """One-vs-rest: metric(indicator[:, c], y_score[:, c]) for each class c, averaged.

    indicator: (N, C) bool, where row n is of class c.  "micro" asks about all N C cells at once.
    """
    if average == "micro":
        return metric(indicator.ravel(), y_score.ravel())
    support = indicator.sum(axis=0)
    values = np.array([metric(indicator[:, c], y_score[:, c]) for c in range(len(support))])
    if average is None:
        return values
    if average == "macro":
        return float(values.mean())
    values[support == 0] = 0.0  # nan, but without weight
    return float(np.average(values, weights=support))


def _check_average(average) -> None:
    if average not in (None, "micro", "macro", "weighted"):
        raise ValueError(f"average={average!r}: None, 'micro', 'macro' or 'weighted' expected")


def roc_auc_score(
    y_true, y_score, *, average: str | None = "macro", multi_class: str = "raise", labels=None
):
    """The area under the ROC curve: P(a positive scores higher than a negative), ties count half.

    Two classes: y_true (N,) labels, the greater one positive; y_score (N,) finite numbers.
    More: y_score (N, C) probabilities, rows with the sum 1, and multi_class="ovr": the AUC of each
    class against the rest, averaged: "macro", "weighted" by support, "micro" (over all cells) or
    None (all C values).  labels: the classes of the columns, sorted; by default those of y_true.
    A class without rows, or with all of them, gives nan with a UserWarning.
    Raises ValueError, naming the row, for scores that aren't finite (with more classes: that aren't
    probabilities) and for shapes that don't fit.

    Source: Hanley & McNeil 1982, "The meaning and use of the area under a ROC curve";
    Provost & Domingos 2000, section 6.2 (one vs rest); sklearn.metrics.roc_auc_score.
    """
    _check_average(average)
    y_true = label_array("y_true", y_true)
    y_score = score_array("y_score", y_score, columns=True)
    same_length("y_true", y_true, "y_score", y_score)
    present = np.unique(y_true)
    if len(present) <= 2 and (y_score.ndim == 1 or y_score.shape[1] <= 2):
        # A class alone is neither the greater nor the smaller one: undefined in any case.
        return _binary_auc(y_true == present[-1], score_array("y_score", y_score))
    if multi_class != "ovr":
        raise ValueError(
            f"multi_class={multi_class!r}: for more than two classes 'ovr' (one vs rest) expected"
        )
    classes = present if labels is None else sorted_class_list(labels, y_true)
    indicator = _class_indicator(y_true, y_score, classes)
    y_score = probability_array("y_score", y_score)
    return _over_classes(_binary_auc, indicator, y_score, average)


def _class_indicator(y_true, y_score, classes) -> np.ndarray:
    """(N, C) bool: where row n is of class c, for scores with a column a class."""
    if y_score.ndim != 2 or y_score.shape[1] != len(classes):
        raise ValueError(
            f"y_score has the shape {y_score.shape}, expected (N, {len(classes)}): a column for "
            f"each of the labels {shown(classes)}"
        )
    return column_of(y_true, classes)[:, None] == np.arange(len(classes))


def precision_recall_curve(
    y_true, y_score, *, pos_label=None, drop_intermediate: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(precision, recall, thresholds), thresholds rising; at the end the point P = 1, R = 0.

        P(t) = tps(t) / (tps(t) + fps(t))      R(t) = tps(t) / #positives

    y_true: (N,) labels; pos_label: the positive one, by default 1 if they are 0, 1 or -1, 1.
    y_score: (N,) finite numbers.  precision, recall: (T + 1,); thresholds: (T,).
    drop_intermediate keeps only the first and last point of each recall.  Without a positive row
    recall is 1, with a UserWarning.  Raises ValueError as `roc_curve` does.

    Source: Davis & Goadrich 2006, "The relationship between precision-recall and ROC curves";
    sklearn.metrics.precision_recall_curve.
    """
    positive, y_score = _positives_and_scores(y_true, y_score, pos_label)
    fps, tps, thresholds = _counts_by_threshold(positive, y_score)
    if drop_intermediate and len(fps) > 2:
        changes = np.diff(tps) != 0
        keep = np.r_[True, changes[:-1] | changes[1:], True]
        fps, tps, thresholds = fps[keep], tps[keep], thresholds[keep]
    precision = tps / (tps + fps)
    if tps[-1] == 0:
        warnings.warn("no positive row in y_true: recall is set to 1 throughout", stacklevel=2)
        recall = np.ones_like(tps)
    else:
        recall = tps / tps[-1]
    return np.r_[precision[::-1], 1.0], np.r_[recall[::-1], 0.0], thresholds[::-1]


def _binary_average_precision(positive: np.ndarray, y_score: np.ndarray) -> float:
    precision, recall, _ = precision_recall_curve(positive, y_score)
    return float(max(0.0, (-np.diff(recall) * precision[:-1]).sum()))


def average_precision_score(y_true, y_score, *, average: str | None = "macro", pos_label=1):
    """AP = sum_n (R_n - R_n-1) P_n: the area under the precision-recall curve, as steps.

    Two classes: y_true (N,) labels, y_score (N,) finite numbers, pos_label the positive label.
    More: y_score (N, C), a column for each label that occurs, sorted; the AP of each class against
    the rest, averaged as in `roc_auc_score`.  Raises ValueError as `roc_curve` does, and if
    pos_label isn't one of two labels.

    Source: Manning et al. 2008, "Introduction to Information Retrieval", section 8.4;
    sklearn.metrics.average_precision_score (not interpolated: that flatters).
    """
    _check_average(average)
    y_true = label_array("y_true", y_true)
    y_score = score_array("y_score", y_score, columns=True)
    same_length("y_true", y_true, "y_score", y_score)
    present = np.unique(y_true)
    if len(present) > 2:
        if pos_label != 1:
            raise ValueError(
                f"pos_label={pos_label!r}: with {len(present)} classes each is positive once; "
                "leave it out"
            )
        indicator = _class_indicator(y_true, y_score, present)
        return _over_classes(_binary_average_precision, indicator, y_score, average)
    if len(present) == 2 and pos_label not in present.tolist():
        raise ValueError(f"pos_label={pos_label!r} is not one of the labels {shown(present)}")
    y_score = score_array("y_score", y_score)
    return _binary_average_precision(positive_rows(y_true, pos_label), y_score)

"""Are probabilities meant?  Of the rows that were given 0.8, four in five should come out so.

Calibration (reliability bins, expected calibration error) asks exactly that; the proper scores
(Brier score, log loss) ask for probabilities that are calibrated and decided at once: their mean is
least for the true probabilities, so nothing is gained by boasting or by hedging.

Probabilities are (N,), those of the positive class, or (N, C), a column a class in sorted order,
each row with the sum 1.  The names shared with scikit-learn (calibration_curve, brier_score_loss,
log_loss) have its arguments and results, without sample weights.
"""

from typing import NamedTuple

import numpy as np

from minillm.evaluation.inputs import (
    both_classes,
    column_of,
    label_array,
    positive_rows,
    probability_array,
    same_length,
    shown,
    sorted_class_list,
)


def _check_bins(n_bins: int) -> None:
    if n_bins < 1:
        raise ValueError(f"n_bins={n_bins}: at least one bin expected")


def calibration_curve(
    y_true, y_prob, *, pos_label=None, n_bins: int = 5, strategy: str = "uniform"
) -> tuple[np.ndarray, np.ndarray]:
    """(prob_true, prob_pred): the part of positives, and the mean probability, in each bin.

    y_true: (N,) at most two labels; pos_label: the positive one, by default 1 if they are 0, 1 or
    -1, 1.  y_prob: (N,) in [0, 1].  Bin m holds (edge_m, edge_m+1], the first one its lower edge
    too; the edges are equally far apart ("uniform") or quantiles of y_prob ("quantile").  Two
    float64 arrays (M,), M <= n_bins: empty bins are left out.  Raises ValueError, naming the row,
    for what isn't a probability, and for more than two labels.

    Source: Niculescu-Mizil & Caruana 2005, "Predicting good probabilities with supervised
    learning", section 4; sklearn.calibration.calibration_curve.
    """
    _check_bins(n_bins)
    y_true, p = label_array("y_true", y_true), probability_array("y_prob", y_prob)
    if p.ndim == 2:
        raise ValueError(
            f"y_prob has the shape {p.shape}, expected (N,): the probability of one class"
        )
    same_length("y_true", y_true, "y_prob", p)
    if len(np.unique(y_true)) > 2:
        raise ValueError(
            f"y_true holds {len(np.unique(y_true))} labels, expected at most two: ask for one "
            "class, calibration_curve(y_true == c, probabilities[:, c])"
        )
    positive = positive_rows(y_true, pos_label)
    if strategy == "uniform":
        edges = np.linspace(0, 1, n_bins + 1)
    elif strategy == "quantile":
        edges = np.percentile(p, np.linspace(0, 1, n_bins + 1) * 100)
    else:
        raise ValueError(f"strategy={strategy!r}: 'uniform' or 'quantile' expected")
    bins = np.searchsorted(edges[1:-1], p)
    count = np.bincount(bins, minlength=n_bins)
    filled = count > 0
    prob_true = np.bincount(bins, weights=positive, minlength=n_bins)[filled] / count[filled]
    prob_pred = np.bincount(bins, weights=p, minlength=n_bins)[filled] / count[filled]
    return prob_true, prob_pred


class ReliabilityBins(NamedTuple):
    """What `reliability_bins` returns; each an array (M,), nan in an empty bin."""

    confidence: np.ndarray  # conf(B_m): the mean probability of the predicted class
    accuracy: np.ndarray  # acc(B_m): the part of rows where that class is right
    rows: np.ndarray  # |B_m|, int64


def reliability_bins(y_true, y_proba, *, n_bins: int = 15, labels=None) -> ReliabilityBins:
    """The rows sorted into M equal bins by confidence, the probability of the predicted class.

        B_m = {n: (m - 1) / M < max_c p_nc <= m / M}
        acc(B_m) = mean of 1[argmax_c p_nc = y_n]      conf(B_m) = mean of max_c p_nc

    y_true: (N,) labels.  y_proba: (N, C), or (N,) for [1 - p, p].  labels: the classes of the
    columns, sorted; by default 0 .. C - 1.  Raises ValueError, naming the row, for what isn't a
    probability, rows without the sum 1, and a label outside `labels`.

    Source: Guo et al. 2017, "On calibration of modern neural networks", section 2, eq. 2.
    """
    _check_bins(n_bins)
    y_true = label_array("y_true", y_true)
    p = both_classes(probability_array("y_proba", y_proba))
    same_length("y_true", y_true, "y_proba", p)
    C = p.shape[1]
    if labels is None and y_true.dtype.kind == "U":
        raise ValueError("y_true holds texts: give labels, the classes of the columns of y_proba")
    classes = np.arange(C) if labels is None else sorted_class_list(labels, y_true)
    _check_columns(classes, C)
    column = column_of(y_true, classes)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == column
    bins = np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], confidence)
    count = np.bincount(bins, minlength=n_bins)
    divisor = np.where(count > 0, count, np.nan)
    return ReliabilityBins(
        np.bincount(bins, weights=confidence, minlength=n_bins) / divisor,
        np.bincount(bins, weights=right, minlength=n_bins) / divisor,
        count,
    )


def expected_calibration_error(y_true, y_proba, *, n_bins: int = 15, labels=None) -> float:
    """ECE = sum_m |B_m| / N |acc(B_m) - conf(B_m)|: by how much confidence and accuracy differ.

    Arguments, bins and errors as in `reliability_bins`.  0 for a calibrated classifier (and for one
    that always gives the classes' frequencies: a low ECE alone isn't a merit).

    Source: Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning";
    Guo et al. 2017, eq. 3.
    """
    confidence, accuracy, rows = reliability_bins(y_true, y_proba, n_bins=n_bins, labels=labels)
    return float(np.nansum(rows * np.abs(accuracy - confidence)) / rows.sum())


def _check_columns(classes: np.ndarray, columns: int) -> None:
    if len(classes) != columns:
        raise ValueError(
            f"y_proba has {columns} columns for the {len(classes)} labels {shown(classes)}: "
            "expected as many (give labels if y_true doesn't hold all of them)"
        )


def _true_columns(y_true, p: np.ndarray, labels) -> np.ndarray:
    """For each row the column of its label; `labels` by default those that y_true holds."""
    classes = np.unique(y_true) if labels is None else sorted_class_list(labels, y_true)
    if len(classes) < 2:
        raise ValueError(f"there is only one label, {shown(classes)}: give labels, all the classes")
    _check_columns(classes, p.shape[1])
    return column_of(y_true, classes)


def brier_score_loss(
    y_true, y_proba, *, pos_label=None, labels=None, scale_by_half: bool | str = "auto"
) -> float:
    """The mean squared distance of the probabilities from what happened.

        mean_n sum_c (p_nc - 1[y_n = c])^2, half of it for two classes: mean_n (p_n - 1[y_n = 1])^2

    y_true: (N,) labels.  y_proba: (N,), of pos_label (by default 1, or the greater number), or
    (N, C), with `labels` as in `log_loss`.  scale_by_half: whether to halve; "auto": if C = 2.
    Raises ValueError as `log_loss` does.

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability";
    sklearn.metrics.brier_score_loss.
    """
    if not (scale_by_half == "auto" or isinstance(scale_by_half, bool)):
        raise ValueError(f"scale_by_half={scale_by_half!r}: True, False or 'auto' expected")
    y_true, p = label_array("y_true", y_true), probability_array("y_proba", y_proba)
    same_length("y_true", y_true, "y_proba", p)
    if p.ndim == 1:
        present = np.unique(y_true)
        if len(present) > 2:
            raise ValueError(
                f"y_true holds {len(present)} labels and y_proba one column: (N, C) expected"
            )
        numbers = y_true.dtype.kind != "U"
        if pos_label is None and numbers and not set(present.tolist()) <= {-1, 0, 1}:
            pos_label = present[-1]
        column = positive_rows(y_true, pos_label).astype(np.int64)
        p = both_classes(p)
    else:
        column = _true_columns(y_true, p, labels)
    happened = column[:, None] == np.arange(p.shape[1])
    score = float(((p - happened) ** 2).sum(axis=1).mean())
    return score / 2 if scale_by_half is True or (scale_by_half and p.shape[1] == 2) else score


def log_loss(y_true, y_proba, *, normalize: bool = True, labels=None) -> float:
    """The mean surprise in nats: -mean_n log p_n,y(n), the cross-entropy loss of training.

    y_true: (N,) labels.  y_proba: (N, C), or (N,) for [1 - p, p].  labels: the classes of the
    columns, sorted; by default those that y_true holds.  normalize=False: the sum over the rows.
    Probabilities are clipped to [eps, 1 - eps] of their dtype, lest one certain error is infinite.
    Raises ValueError, naming the row, for what isn't a probability, rows without the sum 1, and a
    label outside `labels`; also if there is only one label or not one a column.

    Source: Good 1952, "Rational decisions"; Bishop 2006, section 4.3; sklearn.metrics.log_loss.
    """
    dtype = np.asarray(y_proba).dtype
    y_true, p = label_array("y_true", y_true), probability_array("y_proba", y_proba)
    same_length("y_true", y_true, "y_proba", p)
    p = both_classes(p)
    eps = np.finfo(dtype if dtype.kind == "f" else np.float64).eps
    chosen = p[np.arange(len(p)), _true_columns(y_true, p, labels)].clip(eps, 1 - eps)
    surprise = -np.log(chosen)
    return float(surprise.mean() if normalize else surprise.sum())

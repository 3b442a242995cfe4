"""How good are predicted labels?  Accuracy, precision, recall, F1, the confusion matrix, MCC.

All of them are made of counts.  For a class c, with y the true and y^ the predicted label of a row:

    tp_c   = #{y = c and y^ = c}    true positives
    pred_c = #{y^ = c}              how often c was said (tp_c + false positives)
    true_c = #{y = c}               how often c was right (tp_c + false negatives): the support

The names, arguments and results are scikit-learn's (sklearn.metrics), without sample weights and
without its warnings: where a quotient is 0 / 0, `zero_division` is taken (0 unless told otherwise).
Labels are whole numbers or texts, in lists or arrays of shape (N,).
"""

import math

import numpy as np

from minillm.evaluation.inputs import class_list, label_arrays, shown


def accuracy_score(y_true, y_pred, *, normalize: bool = True) -> float:
    """The fraction of rows predicted rightly, #{y = y^} / N; normalize=False: their number.

    y_true, y_pred: (N,) labels.  Raises ValueError/TypeError for what isn't labels, for lengths
    that differ, and for no rows.  Source: sklearn.metrics.accuracy_score.
    """
    y_true, y_pred = label_arrays(y_true, y_pred)
    right = y_true == y_pred
    return float(right.mean() if normalize else right.sum())


def _class_codes(y_true, y_pred, labels) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(classes, wanted, t, p): labels as numbers 0 .. K - 1.

    classes: (K,) every label that occurs in y_true, y_pred or `labels`, sorted; t, p: (N,) the
    codes of y_true and y_pred; wanted: the codes of `labels`, or of all the classes that occur.
    """
    y_true, y_pred = label_arrays(y_true, y_pred)
    chosen = y_true[:0] if labels is None else class_list(labels, y_true)
    everything = np.concatenate([chosen, y_true, y_pred])
    classes, codes = np.unique(everything, return_inverse=True)
    wanted, t, p = np.split(codes, [len(chosen), len(chosen) + len(y_true)])
    return classes, np.arange(len(classes)) if labels is None else wanted, t, p


def confusion_matrix(y_true, y_pred, *, labels=None, normalize: str | None = None) -> np.ndarray:
    """C[i, j] = #{y = label i and y^ = label j}: a row for each true class, a column a prediction.

    y_true, y_pred: (N,) labels.  labels: the classes in the order wanted; rows of other classes are
    left out.  None: all labels that occur, sorted.  Returns (K, K) int64; with normalize="true",
    "pred" or "all", float64 divided by the sums of the rows, of the columns, or by the whole sum
    (0 / 0 = 0).  Raises ValueError if none of `labels` occurs in y_true.

    Source: sklearn.metrics.confusion_matrix.
    """
    if normalize not in (None, "true", "pred", "all"):
        raise ValueError(f"normalize={normalize!r}: None, 'true', 'pred' or 'all' expected")
    classes, wanted, t, p = _class_codes(y_true, y_pred, labels)
    if not np.isin(wanted, t).any():
        raise ValueError(
            f"labels={shown(classes[wanted])}: none of them occurs in y_true, which holds "
            f"{shown(classes[np.unique(t)])}"
        )
    K = len(wanted)
    place = np.full(len(classes), -1)
    place[wanted] = np.arange(K)
    row, column = place[t], place[p]
    inside = (row >= 0) & (column >= 0)
    C = np.bincount(row[inside] * K + column[inside], minlength=K * K).reshape(K, K)
    if normalize is None:
        return C
    total = C.sum(axis={"true": 1, "pred": 0, "all": None}[normalize], keepdims=True)
    return C / np.where(total == 0, 1, total)


def _quotient(numerator, denominator, zero_division: float) -> np.ndarray:
    """numerator / denominator, and zero_division where the denominator is 0."""
    nothing = denominator == 0
    return np.where(nothing, zero_division, numerator / np.where(nothing, 1, denominator))


def _average(values: np.ndarray, weights: np.ndarray | None) -> float:
    """The (weighted) mean of the values that aren't nan; weights that are all 0 count alike."""
    known = ~np.isnan(values)
    if not known.any():
        return math.nan
    weights = np.ones(len(values)) if weights is None else weights
    if weights[known].sum() == 0:
        weights = np.ones(len(values))
    return float(np.average(values[known], weights=weights[known]))


def precision_recall_fscore_support(
    y_true,
    y_pred,
    *,
    beta: float = 1.0,
    labels=None,
    pos_label=1,
    average: str | None = None,
    zero_division: float = 0.0,
) -> tuple:
    """(precision, recall, F_beta, support): how far to trust a predicted class, and what it misses.

        P_c = tp_c / pred_c      R_c = tp_c / true_c
        F_c = (1 + beta^2) P R / (beta^2 P + R) = (1 + beta^2) tp_c / (beta^2 true_c + pred_c)

    average:
      None        arrays (K,), a value a class (support: int64), in the order of `labels`, by
                  default all labels that occur, sorted
      "binary"    those of pos_label alone; only for at most two labels
      "micro"     the counts are added over the classes first
      "macro"     the mean over the classes: every class counts alike, however rare
      "weighted"  the mean over the classes, weighted by support
    With an average the first three are floats and the support is None.  y_true, y_pred: (N,)
    labels.  zero_division: the value of 0 / 0, one of 0, 1 and nan (left out of the mean).
    Raises ValueError for labels, `average` or `zero_division` that don't fit.

    Source: van Rijsbergen 1979, "Information Retrieval", chapter 7;
    sklearn.metrics.precision_recall_fscore_support.
    """
    if average not in (None, "binary", "micro", "macro", "weighted"):
        raise ValueError(
            f"average={average!r}: None, 'binary', 'micro', 'macro' or 'weighted' expected"
        )
    if zero_division not in (0, 1) and zero_division == zero_division:  # nan isn't equal to itself
        raise ValueError(f"zero_division={zero_division!r}: 0, 1 or nan expected")
    if not beta >= 0:
        raise ValueError(f"beta={beta!r}: a number from 0 on expected")
    if average == "binary":
        present = np.unique(np.concatenate(label_arrays(y_true, y_pred)))
        if len(present) > 2:
            raise ValueError(
                f"average='binary', but there are {len(present)} labels, {shown(present)}: choose "
                "'micro', 'macro', 'weighted' or None"
            )
        if len(present) == 2 and pos_label not in present.tolist():
            raise ValueError(f"pos_label={pos_label!r} is not one of the labels {shown(present)}")
        labels = [pos_label]

    classes, wanted, t, p = _class_codes(y_true, y_pred, labels)
    K = len(classes)
    tp = np.bincount(t[t == p], minlength=K)[wanted]
    pred = np.bincount(p, minlength=K)[wanted]
    true = np.bincount(t, minlength=K)[wanted]
    if average == "micro":
        tp, pred, true = (count.sum(keepdims=True) for count in (tp, pred, true))

    precision = _quotient(tp, pred, zero_division)
    recall = _quotient(tp, true, zero_division)
    if math.isinf(beta):
        f = recall
    elif beta == 0:
        f = precision
    else:
        f = _quotient((1 + beta**2) * tp, beta**2 * true + pred, zero_division)
    if average is None:
        return precision, recall, f, true
    weights = true if average == "weighted" else None
    return (*(_average(values, weights) for values in (precision, recall, f)), None)


def precision_score(
    y_true, y_pred, *, labels=None, pos_label=1, average="binary", zero_division=0.0
):
    """P = tp / (true + false positives): which part of what was called c is c.

    Arguments as in `precision_recall_fscore_support`; a float, or (K,) with average=None.
    """
    return precision_recall_fscore_support(
        y_true,
        y_pred,
        labels=labels,
        pos_label=pos_label,
        average=average,
        zero_division=zero_division,
    )[0]


def recall_score(y_true, y_pred, *, labels=None, pos_label=1, average="binary", zero_division=0.0):
    """R = tp / (true positives + false negatives): which part of c was found.

    Arguments as in `precision_recall_fscore_support`; a float, or (K,) with average=None.
    """
    return precision_recall_fscore_support(
        y_true,
        y_pred,
        labels=labels,
        pos_label=pos_label,
        average=average,
        zero_division=zero_division,
    )[1]


def f1_score(y_true, y_pred, *, labels=None, pos_label=1, average="binary", zero_division=0.0):
    """F1 = 2 P R / (P + R) = 2 tp / (2 tp + fp + fn): the harmonic mean of precision and recall.

    Arguments as in `precision_recall_fscore_support`; a float, or (K,) with average=None.
    """
    return precision_recall_fscore_support(
        y_true,
        y_pred,
        labels=labels,
        pos_label=pos_label,
        average=average,
        zero_division=zero_division,
    )[2]


def matthews_corrcoef(y_true, y_pred) -> float:
    """The correlation of truth and prediction, from -1 over 0 (chance) to 1; fair if imbalanced.

    For two classes, (tp tn - fp fn) / sqrt((tp + fp)(tp + fn)(tn + fp)(tn + fn)).  For K classes,
    with N rows, c of them right:

        (c N - sum_k true_k pred_k) / sqrt((N^2 - sum_k pred_k^2) (N^2 - sum_k true_k^2))

    and 0 where that is 0 / 0.  y_true, y_pred: (N,) labels.
    Source: Matthews 1975 (BBA 405); Gorodkin 2004, "Comparing two K-category assignments by a
    K-category correlation coefficient"; sklearn.metrics.matthews_corrcoef.
    """
    classes, _, t, p = _class_codes(y_true, y_pred, None)
    true = np.bincount(t, minlength=len(classes)).astype(np.float64)
    pred = np.bincount(p, minlength=len(classes)).astype(np.float64)
    N, right = float(len(t)), float((t == p).sum())
    covariance = right * N - true @ pred
    variances = (N * N - pred @ pred) * (N * N - true @ true)
    return float(covariance / np.sqrt(variances)) if variances > 0 else 0.0

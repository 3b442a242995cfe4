"""What the metrics accept: labels, scores and probabilities, checked before anything is computed.

A metric that is fed nan quietly returns a number, and the number is wrong.  So every metric looks
at its arguments first, and an error names the argument, the row, and what was expected.
"""

from collections.abc import Sequence

import numpy as np

# float16 and float32 probabilities don't sum to 1 exactly; something else than probabilities
# (logits, sigmoids of several classes) misses it by far more.
_SUM_TOLERANCE = 1e-3


def shown(labels: np.ndarray) -> str:
    """Labels for an error message: all of them, or of many the first."""
    few = [repr(label) for label in labels[:8].tolist()]
    return f"[{', '.join(few)}{', ...' if len(labels) > 8 else ''}]"


def label_array(name: str, labels) -> np.ndarray:
    """`labels` as an array (N,) of whole numbers, booleans or texts (dtype str)."""
    y = np.asarray(labels)
    if y.ndim != 1:
        raise ValueError(f"{name} has the shape {y.shape}, expected one label a row: (N,)")
    if len(y) == 0:
        raise ValueError(f"{name} is empty: at least one row is needed")
    if y.dtype.kind == "f":
        wrong = np.flatnonzero(~np.isfinite(y) | (y != np.round(y)))
        if len(wrong):
            raise ValueError(
                f"{name}[{wrong[0]}] is {y[wrong[0]]}: expected labels, that is whole numbers or "
                "texts (for scores, take the argmax or compare with a threshold first)"
            )
        return y
    if y.dtype.kind in "biu" or (y.dtype.kind == "U" and y is labels):
        return y
    if y.dtype.kind in "UOT":
        # NumPy would make the text "1" of a number, and the text "nan" of a missing value.
        values = labels if isinstance(labels, Sequence) else y.tolist()
        kind = str if isinstance(values[0], str) else (int, np.integer)
        for row, value in enumerate(values):
            if not isinstance(value, kind):
                raise TypeError(
                    f"{name}[{row}] is {value!r} ({type(value).__name__}): expected labels, all of "
                    "them whole numbers or all of them texts"
                )
        return np.array(values, dtype=str if kind is str else np.int64)
    raise TypeError(f"{name} has the dtype {y.dtype}: expected labels, whole numbers or texts")


def label_arrays(y_true, y_pred, names=("y_true", "y_pred")) -> tuple[np.ndarray, np.ndarray]:
    """Two label arrays of one length and one kind."""
    true, pred = label_array(names[0], y_true), label_array(names[1], y_pred)
    same_length(names[0], true, names[1], pred)
    same_kind(names[0], true, names[1], pred)
    return true, pred


def same_length(first: str, a, second: str, b) -> None:
    """Raises ValueError unless a and b have the same number of rows."""
    if len(a) != len(b):
        raise ValueError(f"{first} has {len(a)} rows and {second} {len(b)}: expected as many")


def same_kind(first: str, a: np.ndarray, second: str, b: np.ndarray) -> None:
    """Raises ValueError where one holds texts and the other numbers: none would be equal."""
    if (a.dtype.kind == "U") != (b.dtype.kind == "U"):
        words = {True: "texts", False: "numbers"}
        raise ValueError(
            f"{first} holds {words[a.dtype.kind == 'U']} and {second} "
            f"{words[b.dtype.kind == 'U']}: expected the same kind of labels in both"
        )


def class_list(labels, y_true: np.ndarray) -> np.ndarray:
    """The argument `labels`, an array (C,) of distinct labels of the kind of y_true."""
    classes = label_array("labels", labels)
    same_kind("labels", classes, "y_true", y_true)
    if len(np.unique(classes)) < len(classes):
        raise ValueError(f"labels={shown(classes)}: a label stands there twice")
    return classes


def column_of(y_true: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """For each row the index of its label in `classes` (sorted, the classes of the columns)."""
    column = np.searchsorted(classes, y_true).clip(0, len(classes) - 1)
    outside = np.flatnonzero(classes[column] != y_true)
    if len(outside):
        row = outside[0]
        raise ValueError(
            f"y_true[{row}] is {y_true[row].item()!r}, which is not among the labels "
            f"{shown(classes)}"
        )
    return column


def sorted_class_list(labels, y_true: np.ndarray) -> np.ndarray:
    """`class_list` for columns of scores: sorted, for that is the order of the columns."""
    classes = class_list(labels, y_true)
    if (classes[1:] < classes[:-1]).any():
        raise ValueError(
            f"labels={shown(classes)}: expected sorted labels, {shown(np.sort(classes))}, "
            "and the columns in that order"
        )
    return classes


def positive_rows(y_true: np.ndarray, pos_label) -> np.ndarray:
    """(N,) bool: where y_true is pos_label; None means 1 if the labels are 0, 1 or -1, 1."""
    if pos_label is None:
        labels = np.unique(y_true)
        present = set(labels.tolist())
        if not (present <= {0, 1} or present <= {-1, 1}):
            raise ValueError(
                f"y_true holds the labels {shown(labels)}: give pos_label, the positive one "
                "(only for 0, 1 and -1, 1 it is known to be 1)"
            )
        pos_label = 1
    same_kind("pos_label", np.asarray(pos_label), "y_true", y_true)
    return y_true == pos_label


def score_array(name: str, scores, columns: bool = False) -> np.ndarray:
    """`scores` as finite float64 (N,), or with columns=True also (N, C)."""
    s = np.asarray(scores)
    if s.dtype.kind not in "biuf":
        raise TypeError(f"{name} has the dtype {s.dtype}: expected numbers")
    s = s.astype(np.float64)
    if s.ndim == 2 and not columns:
        raise ValueError(
            f"{name} has the shape {s.shape}, expected one score a row (N,): those of the "
            "positive class, for two classes the column [:, 1]"
        )
    if s.ndim not in (1, 2):
        raise ValueError(
            f"{name} has the shape {s.shape}, expected (N,)" + (" or (N, C)" if columns else "")
        )
    if len(s) == 0:
        raise ValueError(f"{name} is empty: at least one row is needed")
    wrong = np.argwhere(~np.isfinite(s))
    if len(wrong):
        place = wrong[0].tolist()
        raise ValueError(f"{name}{place} is {s[tuple(place)]}: every score must be a finite number")
    return s


def probability_array(name: str, probabilities) -> np.ndarray:
    """`probabilities` as float64: (N,), each in [0, 1], or (N, C), each row with the sum 1."""
    p = score_array(name, probabilities, columns=True)
    wrong = np.argwhere((p < 0) | (p > 1))
    if len(wrong):
        place = wrong[0].tolist()
        raise ValueError(
            f"{name}{place} is {p[tuple(place)]}: a probability from 0 to 1 expected (of logits, "
            "take the softmax or the sigmoid first)"
        )
    if p.ndim == 2 and p.shape[1] == 1:
        return p[:, 0]
    if p.ndim == 2:
        sums = p.sum(axis=1)
        off = np.flatnonzero(np.abs(sums - 1) > _SUM_TOLERANCE)
        if len(off):
            row = off[0]
            raise ValueError(
                f"{name}[{row}] has the sum {sums[row]:.6g}: the probabilities of the classes must "
                "have the sum 1"
            )
    return p


def both_classes(p: np.ndarray) -> np.ndarray:
    """(N,) probabilities of the positive class -> (N, 2) [1 - p, p]; (N, C) as it is."""
    return np.stack([1 - p, p], axis=1) if p.ndim == 1 else p

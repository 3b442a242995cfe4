"""How sure is a number, and is A better than B?

Another test set would have given another accuracy.  An interval says by how much (bootstrap, for
any metric; Wilson's, for a proportion).  Two classifiers judged on the same rows are compared on
the same rows: what both get right, or both wrong, says nothing about which is better, and leaving
it out is what makes a paired test (McNemar's, or the paired bootstrap) sharper than two intervals.
"""

import math
import warnings
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from minillm.evaluation.inputs import label_array, label_arrays, same_kind, same_length


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


class McNemar(NamedTuple):
    """What `mcnemar` returns."""

    only_a: int  # rows that A alone has right
    only_b: int  # rows that B alone has right
    statistic: float  # min(only_a, only_b) for the exact test, chi-square for the other
    p_value: float


class PairedBootstrap(NamedTuple):
    """What `paired_bootstrap` returns."""

    difference: float  # metric of A - metric of B
    low: float
    high: float
    p_value: float


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence!r}: a number between 0 and 1 expected, like 0.95")


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The interval of a proportion p = successes / n; good also near 0 and 1 and for small n.

        (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n),   z = 1.96 for 95 %

    These are the proportions that the observed one doesn't contradict.  Raises ValueError unless
    0 <= successes <= n and n >= 1.  Source: Wilson 1927, "Probable inference, the law of
    succession, and statistical inference".
    """
    _check_confidence(confidence)
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"successes={successes} of n={n}: 0 <= successes <= n, n >= 1 expected")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = successes / n
    middle = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low, high = (middle - half) / scale, (middle + half) / scale
    # At p = 0 and 1 an end is p itself, but for rounding.
    return Interval(min(max(low, 0.0), p), max(min(high, 1.0), p))


def _resampled(metric: Callable, arrays: list[np.ndarray], n: int, seed: int) -> np.ndarray:
    """(n', K): the metric(s) of n resamples, without those where one of them is nan."""
    if n < 1:
        raise ValueError(f"n={n}: at least one resample expected")
    N = len(arrays[0])
    rng = np.random.default_rng(seed)
    values = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a resample with one class: its nan is left out below
        for _ in range(n):
            rows = rng.integers(0, N, N)
            values.append(metric(*(a[rows] for a in arrays)))
    table = np.array(values, dtype=np.float64).reshape(n, -1)
    return table[~np.isnan(table).any(axis=1)]


def _same_rows(names: tuple[str, ...], *arrays) -> list[np.ndarray]:
    first = label_array(names[0], arrays[0])
    others = [np.asarray(a) for a in arrays[1:]]
    for name, other in zip(names[1:], others, strict=True):
        if other.ndim == 0:
            raise ValueError(f"{name} is {other!r}, expected an array with {len(first)} rows")
        same_length(names[0], first, name, other)
    return [first, *others]


def bootstrap_interval(
    metric: Callable, y_true, y_hat, n: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """(low, high): where metric(y_true, y_hat) would fall on other test sets of this size.

    The percentile bootstrap: N rows are drawn from the N rows with replacement, n times; the
    interval holds the middle `confidence` of the n metrics.  It allows for the choice of the test
    rows, not for that of the training rows or the seed.

    metric: (y_true, y_hat) -> float, like accuracy_score or roc_auc_score.  y_true: (N,) labels;
    y_hat: (N, ...) what the metric wants.  The same seed gives the same interval.  Resamples where
    the metric is nan (AUC with one class) are left out; if all are, the interval is nan.
    Raises ValueError for lengths that differ and whatever the metric refuses.

    Source: Efron & Tibshirani 1993, "An introduction to the bootstrap", section 13.3.
    """
    _check_confidence(confidence)
    arrays = _same_rows(("y_true", "y_hat"), y_true, y_hat)
    metric(*arrays)  # its errors name the rows as given, not those of a resample
    values = _resampled(metric, arrays, n, seed)
    if len(values) == 0:
        return Interval(math.nan, math.nan)
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def paired_bootstrap(
    metric: Callable, y_true, a, b, n: int = 2000, confidence: float = 0.95, seed: int = 0
) -> PairedBootstrap:
    """Is A better than B by `metric`?  Both are judged on the same resamples of the rows.

        d = metric(y_true, a) - metric(y_true, b), its percentile interval over resamples d*, and
        p = 2 min(#{d* <= 0} + 1, #{d* >= 0} + 1) / (n + 1), at most 1

    p is two-sided: about the largest 1 - confidence at which the interval still holds 0.

    metric: (y_true, y_hat) -> float.  y_true: (N,) labels; a, b: (N, ...) what the metric wants.
    Seeds, nan and errors as in `bootstrap_interval`.
    Source: Efron & Tibshirani 1993, chapters 13 and 16; for language tasks Berg-Kirkpatrick et al.
    2012, "An empirical investigation of statistical significance in NLP".
    """
    _check_confidence(confidence)
    arrays = _same_rows(("y_true", "a", "b"), y_true, a, b)
    difference = float(metric(arrays[0], arrays[1]) - metric(arrays[0], arrays[2]))
    pairs = _resampled(lambda y, a, b: (metric(y, a), metric(y, b)), arrays, n, seed)
    if len(pairs) == 0:
        return PairedBootstrap(difference, math.nan, math.nan, math.nan)
    d = pairs[:, 0] - pairs[:, 1]
    low, high = np.quantile(d, [(1 - confidence) / 2, (1 + confidence) / 2])
    p = 2 * (min((d <= 0).sum(), (d >= 0).sum()) + 1) / (len(d) + 1)
    return PairedBootstrap(difference, float(low), float(high), min(float(p), 1.0))


def mcnemar(y_true, a, b, exact: bool | None = None) -> McNemar:
    """Are A and B equally often right?  Only rows that one of them alone has right can tell.

    If they are, each of the m = n_a + n_b such rows is A's or B's by the toss of a coin:

        exact:      p = 2 sum_{k <= min(n_a, n_b)} (m over k) / 2^m, at most 1
        otherwise:  chi^2 = (|n_a - n_b| - 1)^2 / m, one degree of freedom (at least 0 is squared),
                    p = erfc(sqrt(chi^2 / 2))

    exact=None: exact for m < 25.  y_true, a, b: (N,) labels.  Raises ValueError as accuracy_score.
    Source: McNemar 1947, "Note on the sampling error of the difference between correlated
    proportions or percentages"; Edwards 1948 (the continuity correction); Dietterich 1998.
    """
    y_true, a = label_arrays(y_true, a, names=("y_true", "a"))
    b = label_array("b", b)
    same_length("y_true", y_true, "b", b)
    same_kind("y_true", y_true, "b", b)
    right_a, right_b = y_true == a, y_true == b
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    m = only_a + only_b
    if m < 25 if exact is None else exact:
        fewer = min(only_a, only_b)
        tail = sum(math.comb(m, k) for k in range(fewer + 1))
        return McNemar(only_a, only_b, float(fewer), min(2 * tail / 2**m, 1.0))
    if m == 0:
        return McNemar(only_a, only_b, 0.0, 1.0)
    chi2 = max(abs(only_a - only_b) - 1, 0) ** 2 / m
    return McNemar(only_a, only_b, chi2, math.erfc(math.sqrt(chi2 / 2)))

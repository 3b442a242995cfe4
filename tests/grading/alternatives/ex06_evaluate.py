"""Right answers to lesson 06's exercises in another style: loops, lists, sorting for pairs."""

import math

import numpy as np

from grading.alternatives import alternative


@alternative("confusion_matrix")
def row_by_row(y_true, y_pred, n_classes):
    C = [[0] * n_classes for _ in range(n_classes)]
    for t, p in zip(y_true, y_pred, strict=True):
        C[t][p] += 1
    return C


@alternative("confusion_matrix")
def product_of_one_hots(y_true, y_pred, n_classes):
    eye = np.eye(n_classes)
    return eye[y_true].T @ eye[y_pred]


@alternative("precision_recall_f1")
def from_counts(y_true, y_pred, positive):
    tp = fp = fn = 0
    for t, p in zip(y_true, y_pred, strict=True):
        tp += t == positive and p == positive
        fp += t != positive and p == positive
        fn += t == positive and p != positive
    P = tp / (tp + fp) if tp else 0
    R = tp / (tp + fn) if tp else 0
    return [P, R, 2 * tp / (2 * tp + fp + fn) if tp else 0]


@alternative("macro_f1")
def from_the_matrix(y_true, y_pred, n_classes):
    C = np.bincount(y_true * n_classes + y_pred, minlength=n_classes**2)
    C = C.reshape(n_classes, n_classes)
    total = C.sum(axis=0) + C.sum(axis=1)
    return np.mean(2 * np.diag(C) / np.where(total == 0, 1, total))


@alternative("roc_auc")
def by_ranks(y_true, scores):
    """The sum of the positives' ranks; equal scores share the mean of their ranks."""
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[group]
    n_p, n_n = (y_true == 1).sum(), (y_true == 0).sum()
    return (ranks[y_true == 1].sum() - n_p * (n_p + 1) / 2) / (n_p * n_n)


@alternative("roc_auc")
def by_thresholds(y_true, scores):
    """Trapezoids under the curve, a point for each distinct score."""
    P, N = sum(y_true == 1), sum(y_true == 0)
    area, x, y = 0.0, 0.0, 0.0
    for t in sorted(set(scores.tolist()), reverse=True):
        new_x = ((scores >= t) & (y_true == 0)).sum() / N
        new_y = ((scores >= t) & (y_true == 1)).sum() / P
        area += (new_x - x) * (y + new_y) / 2
        x, y = new_x, new_y
    return area


@alternative("stratified_split")
def with_sets(labels, test_size, rng):
    test = set()
    for c in sorted(set(labels.tolist())):
        rows = [i for i, label in enumerate(labels) if label == c]
        n = int(test_size * len(rows) + 0.5)
        test |= {int(row) for row in rng.choice(rows, n, replace=False)}
    return [i for i in range(len(labels)) if i not in test], sorted(test)


@alternative("stratified_split")
def shuffled_then_sorted(labels, test_size, rng):
    """Shuffle all rows, sort them stably by class, take the first of each class."""
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels)
    start = np.repeat(np.cumsum(counts) - counts, counts)
    in_test = np.arange(len(labels)) - start < np.rint(test_size * np.repeat(counts, counts))
    return order[~in_test], order[in_test]


@alternative("bootstrap_interval")
def all_at_once(correct, n, confidence, rng):
    means = correct[rng.integers(0, len(correct), (n, len(correct)))].mean(axis=1)
    rest = (1 - confidence) / 2
    return np.percentile(means, [100 * rest, 100 - 100 * rest])


@alternative("bootstrap_interval")
def binomial_draws(correct, n, confidence, rng):
    """The number of right ones in a resample is binomial."""
    means = np.sort(rng.binomial(len(correct), correct.mean(), n)) / len(correct)
    k = int(n * (1 - confidence) / 2)
    return means[k], means[n - 1 - k]


@alternative("mcnemar")
def term_by_term(y_true, a, b):
    only_a = only_b = 0
    for y, of_a, of_b in zip(y_true.tolist(), a.tolist(), b.tolist(), strict=True):
        only_a += y == of_a and y != of_b
        only_b += y != of_a and y == of_b
    m, p, term = only_a + only_b, 0.0, 0.5 ** (only_a + only_b)
    for k in range(min(only_a, only_b) + 1):
        p += 2 * term
        term *= (m - k) / (k + 1)
    return [only_a, only_b, min(p, 1)]


@alternative("expected_calibration_error")
def bin_by_bin(y_true, probabilities, n_bins):
    ece = 0
    confidence = probabilities.max(axis=1)
    for m in range(n_bins):
        inside = (confidence > m / n_bins) & (confidence <= (m + 1) / n_bins)
        if inside.any():
            right = probabilities[inside].argmax(axis=1) == y_true[inside]
            ece += inside.mean() * abs(right.mean() - confidence[inside].mean())
    return ece


@alternative("expected_calibration_error")
def sums_in_lists(y_true, probabilities, n_bins):
    """n |acc - conf| of a bin is |number of right ones - sum of confidences|."""
    surplus = [0.0] * n_bins
    for y, p in zip(y_true.tolist(), probabilities.tolist(), strict=True):
        m = max(math.ceil(max(p) * n_bins) - 1, 0)
        surplus[m] += (p.index(max(p)) == y) - max(p)
    return sum(map(abs, surplus)) / len(y_true)

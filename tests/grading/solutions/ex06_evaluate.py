"""The solutions of lesson 06's exercises: minillm's own functions, on plain data."""

import numpy as np

from minillm import evaluation
from minillm.data import LabelledTexts, train_test_split


def confusion_matrix(y_true, y_pred, n_classes):
    return evaluation.confusion_matrix(y_true, y_pred, labels=range(n_classes))


def precision_recall_f1(y_true, y_pred, positive):
    one, zero = np.asarray(y_true) == positive, np.asarray(y_pred) == positive
    return evaluation.precision_recall_fscore_support(one, zero, average="binary")[:3]


def macro_f1(y_true, y_pred, n_classes):
    return evaluation.f1_score(y_true, y_pred, labels=range(n_classes), average="macro")


def roc_auc(y_true, scores):
    return evaluation.roc_auc_score(y_true, scores)


def stratified_split(labels, test_size, rng):
    texts = [str(row) for row in range(len(labels))]  # each text is its own row number
    data = LabelledTexts(texts, labels, [f"class {c}" for c in range(max(labels) + 1)])
    parts = train_test_split(data, float(test_size), seed=int(rng.integers(2**31)))
    return tuple(np.array([int(text) for text in part.texts]) for part in parts)


def bootstrap_interval(correct, n, confidence, rng):
    interval = evaluation.bootstrap_interval(
        lambda truth, said: (truth == said).mean(),
        np.ones(len(correct), int),
        np.asarray(correct, int),
        n=n,
        confidence=confidence,
        seed=int(rng.integers(2**31)),
    )
    return tuple(interval)


def mcnemar(y_true, a, b):
    only_a, only_b, _, p = evaluation.mcnemar(y_true, a, b, exact=True)
    return only_a, only_b, p


def expected_calibration_error(y_true, probabilities, n_bins):
    return evaluation.expected_calibration_error(y_true, probabilities, n_bins=n_bins)

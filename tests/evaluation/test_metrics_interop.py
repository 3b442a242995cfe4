"""Every metric equals scikit-learn's, on 1,000 cases each that hypothesis draws.

The labels are numbers or texts, of one class, two, or several; some classes never occur, or only in
the truth, or only in the predictions; some are rare.  Scores are often tied.
"""

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minillm import evaluation

metrics = pytest.importorskip("sklearn.metrics")
calibration = pytest.importorskip("sklearn.calibration")
pytestmark = [
    pytest.mark.interop,
    # Ours and theirs for undefined values; the values themselves are what is compared here.
    pytest.mark.filterwarnings("ignore"),
]

a_thousand_cases = settings(max_examples=1000, deadline=None)
ALPHABETS = (
    [0, 1],
    [-1, 1],
    [0, 1, 2, 3],
    [7, -2, 30, 5, 11],
    [False, True],
    [0.0, 1.0, 2.0],
    ["negative", "positive"],
    ["b", "a", "Ä", "好", "a longer name"],
)
averages = st.sampled_from([None, "micro", "macro", "weighted"])
fillings = st.sampled_from([0, 1, math.nan])


@st.composite
def predictions(draw, alphabets=ALPHABETS):
    """(y_true, y_pred, all labels): each drawn from some of the labels, the first one most often.

    Sizes up to 40; both are lists, or arrays.
    """
    alphabet = draw(st.sampled_from(alphabets))
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rare = draw(st.sampled_from([1.0, 0.3, 0.05]))
    sides = []
    for _ in range(2):
        possible = draw(st.lists(st.sampled_from(alphabet), min_size=1, unique=True))
        weight = rare ** np.arange(len(possible))
        chosen = rng.choice(len(possible), n, p=weight / weight.sum())
        sides.append([possible[i] for i in chosen])
    right = rng.random(n) < draw(st.sampled_from([0.0, 0.7, 1.0]))
    y_true, y_pred = sides
    y_pred = [t if r else p for t, p, r in zip(y_true, y_pred, right, strict=True)]
    if draw(st.booleans()):
        return np.array(y_true), np.array(y_pred), alphabet
    return y_true, y_pred, alphabet


@st.composite
def some_labels(draw, alphabet, y_true):
    """None, or some labels in any order, at least one of them in y_true."""
    if draw(st.booleans()):
        return None
    labels = draw(st.lists(st.sampled_from(alphabet), min_size=1, unique=True))
    assume(set(labels) & set(np.asarray(y_true).tolist()))
    return labels


def draw_scores(draw, n):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["ties", "all equal", "logits", "probabilities", "float32"]))
    if kind == "ties":
        return rng.integers(-2, 3, n)
    if kind == "all equal":
        return np.full(n, 0.5)
    if kind == "float32":
        return rng.random(n, dtype=np.float32).round(1)
    return rng.normal(size=n) * 5 if kind == "logits" else rng.random(n).round(2)


@st.composite
def binary_scores(draw, alphabets=([0, 1], [-1, 1], ["no", "yes"], [3, 8]), classes=(1, 2)):
    """(y_true, scores, alphabet): y_true of one or two classes, imbalanced at times."""
    alphabet = draw(st.sampled_from(alphabets))
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    positive = rng.random(n) < draw(st.sampled_from([0.0, 0.05, 0.5, 1.0]))
    y_true = np.array(alphabet)[positive.astype(int)]
    assume(len(set(y_true.tolist())) in classes)
    return y_true, draw_scores(draw, n), alphabet


@st.composite
def class_probabilities(draw, complete):
    """(y_true, (N, C) probabilities, sorted labels); complete: every class occurs in y_true."""
    alphabet = draw(st.sampled_from([[0, 1, 2], [2, 5, 7, 9], ["a", "b", "c"]]))
    n = draw(st.integers(len(alphabet) if complete else 1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    skew = draw(st.sampled_from([1.0, 0.2])) ** np.arange(len(alphabet))
    y = rng.choice(len(alphabet), n, p=skew / skew.sum())
    if complete:
        y[: len(alphabet)] = rng.permutation(len(alphabet))
    p = rng.dirichlet(np.full(len(alphabet), draw(st.sampled_from([0.1, 1.0]))), n)
    if draw(st.booleans()):  # ties, zeros and ones
        p = np.eye(len(alphabet))[p.argmax(axis=1)] if draw(st.booleans()) else (p * 0 + p[:1])
    return np.array(alphabet)[y], p, alphabet


def same(ours, theirs, rtol=1e-12):
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-13)


@a_thousand_cases
@given(predictions(), st.booleans())
def test_accuracy(case, normalize):
    y_true, y_pred, _ = case
    same(
        evaluation.accuracy_score(y_true, y_pred, normalize=normalize),
        metrics.accuracy_score(y_true, y_pred, normalize=normalize),
    )


@a_thousand_cases
@given(predictions(), st.sampled_from([None, "true", "pred", "all"]), st.data())
def test_confusion_matrix(case, normalize, data):
    y_true, y_pred, alphabet = case
    labels = data.draw(some_labels(alphabet, y_true))
    same(
        evaluation.confusion_matrix(y_true, y_pred, labels=labels, normalize=normalize),
        metrics.confusion_matrix(
            y_true, y_pred, labels=None if labels is None else np.array(labels), normalize=normalize
        ),
    )


@a_thousand_cases
@given(predictions(), averages, fillings, st.sampled_from([0, 0.5, 1, 2, math.inf]), st.data())
def test_precision_recall_fscore_support(case, average, zero_division, beta, data):
    y_true, y_pred, alphabet = case
    options = {
        "labels": data.draw(some_labels(alphabet, y_true)),
        "average": average,
        "zero_division": zero_division,
        "beta": beta,
    }
    ours = evaluation.precision_recall_fscore_support(y_true, y_pred, **options)
    theirs = metrics.precision_recall_fscore_support(y_true, y_pred, **options)
    for mine, other in zip(ours[:3], theirs[:3], strict=True):
        same(mine, other)
    if average is None:
        same(ours[3], theirs[3])
    else:
        assert ours[3] is None and theirs[3] is None


@a_thousand_cases
@given(predictions(), averages, fillings, st.sampled_from(["precision", "recall", "f1"]))
def test_precision_recall_and_f1(case, average, zero_division, metric):
    y_true, y_pred, _ = case
    options = {"average": average, "zero_division": zero_division}
    same(
        getattr(evaluation, f"{metric}_score")(y_true, y_pred, **options),
        getattr(metrics, f"{metric}_score")(y_true, y_pred, **options),
    )


@a_thousand_cases
@given(
    predictions(([0, 1], [-1, 1], ["no", "yes"], [3, 8])),
    fillings,
    st.integers(0, 1),
    st.sampled_from(["precision", "recall", "f1"]),
)
def test_binary_precision_recall_and_f1(case, zero_division, positive, metric):
    y_true, y_pred, alphabet = case
    options = {"pos_label": alphabet[positive], "zero_division": zero_division}
    same(
        getattr(evaluation, f"{metric}_score")(y_true, y_pred, **options),
        getattr(metrics, f"{metric}_score")(y_true, y_pred, **options),
    )


@a_thousand_cases
@given(predictions())
def test_matthews_correlation(case):
    y_true, y_pred, _ = case
    same(
        evaluation.matthews_corrcoef(y_true, y_pred),
        metrics.matthews_corrcoef(y_true, y_pred),
    )


@a_thousand_cases
@given(predictions(), st.integers(0, 5), fillings, st.booleans(), st.data())
def test_classification_report_to_the_letter(case, digits, zero_division, named, data):
    y_true, y_pred, alphabet = case
    labels = data.draw(some_labels(alphabet, y_true))
    names = None
    if named:
        labels = labels or alphabet
        names = [f"class {label}" * data.draw(st.integers(1, 3)) for label in labels]
    options = {
        "labels": labels,
        "target_names": names,
        "digits": digits,
        "zero_division": zero_division,
    }
    assert evaluation.classification_report(
        y_true, y_pred, **options
    ) == metrics.classification_report(y_true, y_pred, **options)


@a_thousand_cases
@given(binary_scores(), st.booleans(), st.integers(0, 1))
def test_roc_curve(case, drop_intermediate, positive):
    y_true, scores, alphabet = case
    options = {"pos_label": alphabet[positive], "drop_intermediate": drop_intermediate}
    for mine, other in zip(
        evaluation.roc_curve(y_true, scores, **options),
        metrics.roc_curve(y_true, scores, **options),
        strict=True,
    ):
        same(mine, other)


@a_thousand_cases
@given(binary_scores())
def test_roc_auc(case):
    y_true, scores, _ = case
    same(evaluation.roc_auc_score(y_true, scores), metrics.roc_auc_score(y_true, scores))


@a_thousand_cases
@given(st.booleans().flatmap(class_probabilities), averages)
def test_roc_auc_of_several_classes(case, average):
    y_true, p, labels = case
    options = {"average": average, "multi_class": "ovr", "labels": labels}
    same(
        evaluation.roc_auc_score(y_true, p, **options), metrics.roc_auc_score(y_true, p, **options)
    )


@a_thousand_cases
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.booleans(), st.data())
def test_auc(x, falling, data):
    x = sorted(x, reverse=falling)
    y = data.draw(st.lists(st.floats(-1e3, 1e3), min_size=len(x), max_size=len(x)))
    np.testing.assert_allclose(evaluation.auc(x, y), metrics.auc(x, y), rtol=1e-9, atol=1e-6)


@a_thousand_cases
@given(binary_scores(), st.booleans(), st.integers(0, 1))
def test_precision_recall_curve(case, drop_intermediate, positive):
    y_true, scores, alphabet = case
    options = {"pos_label": alphabet[positive], "drop_intermediate": drop_intermediate}
    for mine, other in zip(
        evaluation.precision_recall_curve(y_true, scores, **options),
        metrics.precision_recall_curve(y_true, scores, **options),
        strict=True,
    ):
        same(mine, other)


@a_thousand_cases
@given(binary_scores(), st.integers(0, 1))
def test_average_precision(case, positive):
    y_true, scores, alphabet = case
    same(
        evaluation.average_precision_score(y_true, scores, pos_label=alphabet[positive]),
        metrics.average_precision_score(y_true, scores, pos_label=alphabet[positive]),
    )


@a_thousand_cases
@given(class_probabilities(complete=True), averages)
def test_average_precision_of_several_classes(case, average):
    y_true, p, _ = case
    same(
        evaluation.average_precision_score(y_true, p, average=average),
        metrics.average_precision_score(y_true, p, average=average),
    )


@a_thousand_cases
@given(
    binary_scores(), st.integers(1, 20), st.sampled_from(["uniform", "quantile"]), st.integers(0, 1)
)
def test_calibration_curve(case, n_bins, strategy, positive):
    y_true, scores, alphabet = case
    p = np.abs(scores) / max(1, np.abs(scores).max())
    options = {"n_bins": n_bins, "strategy": strategy, "pos_label": alphabet[positive]}
    for mine, other in zip(
        evaluation.calibration_curve(y_true, p, **options),
        calibration.calibration_curve(y_true, p, **options),
        strict=True,
    ):
        same(mine, other, rtol=1e-6 if p.dtype == np.float32 else 1e-12)


@a_thousand_cases
@given(binary_scores(), st.integers(0, 1), st.sampled_from(["auto", True, False]))
def test_brier_score(case, positive, scale):
    y_true, scores, alphabet = case
    p = np.abs(scores) / max(1, np.abs(scores).max())
    options = {"pos_label": alphabet[positive], "scale_by_half": scale}
    if alphabet != ["no", "yes"] and positive:
        options.pop("pos_label")  # known by itself
    same(
        evaluation.brier_score_loss(y_true, p, **options),
        metrics.brier_score_loss(y_true, p, **options),
        rtol=1e-5 if p.dtype == np.float32 else 1e-12,
    )


@a_thousand_cases
@given(st.booleans().flatmap(class_probabilities), st.sampled_from(["auto", True, False]))
def test_brier_score_of_several_classes(case, scale):
    y_true, p, labels = case
    options = {"labels": labels, "scale_by_half": scale}
    same(
        evaluation.brier_score_loss(y_true, p, **options),
        metrics.brier_score_loss(y_true, p, **options),
    )


@a_thousand_cases
@given(binary_scores(), st.booleans(), st.booleans())
def test_log_loss(case, normalize, two_columns):
    y_true, scores, labels = case
    p = np.abs(scores) / max(1, np.abs(scores).max())
    if two_columns:
        p = np.stack([1 - p, p], axis=1)
    options = {"labels": labels, "normalize": normalize}
    same(
        evaluation.log_loss(y_true, p, **options),
        metrics.log_loss(y_true, p, **options),
        rtol=1e-5 if p.dtype == np.float32 else 1e-12,
    )


@a_thousand_cases
@given(st.booleans().flatmap(class_probabilities), st.booleans())
def test_log_loss_of_several_classes(case, normalize):
    y_true, p, labels = case
    if set(y_true.tolist()) == set(labels):
        same(evaluation.log_loss(y_true, p), metrics.log_loss(y_true, p))
    options = {"labels": labels, "normalize": normalize}
    same(evaluation.log_loss(y_true, p, **options), metrics.log_loss(y_true, p, **options))


@pytest.mark.parametrize("metric", ["roc_auc_score", "roc_curve", "precision_recall_curve"])
def test_both_warn_of_a_class_that_is_missing(metric):
    for library in (evaluation, metrics):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            getattr(library, metric)([0, 0, 0], [0.1, 0.2, 0.3])
        assert any(issubclass(w.category, UserWarning) for w in caught)

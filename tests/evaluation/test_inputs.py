"""Every metric refuses what it can't judge, in one line that names the argument and the row."""

import numpy as np
import pytest

import minillm
from minillm import evaluation as e

LABEL_METRICS = [
    e.accuracy_score,
    e.confusion_matrix,
    e.precision_recall_fscore_support,
    e.precision_score,
    e.recall_score,
    e.f1_score,
    e.matthews_corrcoef,
    e.classification_report,
    lambda y, p: e.mcnemar(y, y, p),
    lambda y, p: e.mcnemar(y, p, y),
]
SCORE_METRICS = [
    e.roc_curve,
    e.roc_auc_score,
    e.precision_recall_curve,
    e.average_precision_score,
]
PROBABILITY_METRICS = [
    e.calibration_curve,
    e.reliability_bins,
    e.expected_calibration_error,
    e.brier_score_loss,
    e.log_loss,
]


@pytest.mark.parametrize("metric", LABEL_METRICS)
@pytest.mark.parametrize(
    ("y_pred", "error", "message"),
    [
        ([0, 1, float("nan")], ValueError, r"\[2\] is nan"),
        ([0, 1, float("inf")], ValueError, r"\[2\] is inf"),
        ([0, 0.3, 1], ValueError, r"\[1\] is 0.3: expected labels.*argmax"),
        ([0, None, 1], TypeError, r"\[1\] is None"),
        ([0, "1", 1], TypeError, r"\[0\] is 0|\[1\] is '1'"),
        ([0, 1j, 1], TypeError, "complex"),
        ([0, 1], ValueError, "3 rows and .* 2|2 rows and .* 3"),
        ([[0, 1, 1]], ValueError, r"shape \(1, 3\)"),
        ([], ValueError, "is empty"),
        (["0", "1", "1"], ValueError, "texts.*numbers|numbers.*texts"),
    ],
)
def test_labels(metric, y_pred, error, message):
    with pytest.raises(error, match=message) as caught:
        metric([0, 1, 1], y_pred)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("y_true", "message"),
    [
        (["a", float("nan")], r"y_true\[1\] is nan \(float\)"),
        (np.array(["a", None], dtype=object), r"y_true\[1\] is None"),
        ([b"a", b"b"], "y_true has the dtype"),
    ],
)
def test_texts_that_are_none(y_true, message):
    with pytest.raises(TypeError, match=message):
        e.accuracy_score(y_true, ["a", "b"])


def test_a_tensor_is_refused_its_array_is_not():
    labels = minillm.tensor([0, 1, 1])
    assert e.accuracy_score(labels.numpy(), [0, 1, 0]) == pytest.approx(2 / 3)
    with pytest.raises((TypeError, ValueError), match="y_true"):
        e.accuracy_score(labels, [0, 1, 0])


def test_rows_of_a_data_frame_come_as_objects():
    """As np.asarray gives them of a pandas column of texts or whole numbers."""
    texts = np.array(["b", "a", "b"], dtype=object)
    assert e.confusion_matrix(texts, ["b", "b", "b"]).tolist() == [[0, 1], [0, 2]]
    numbers = np.array([0, 2, np.int32(2)], dtype=object)
    assert e.accuracy_score(numbers, [0, 2, 1]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("metric", SCORE_METRICS + PROBABILITY_METRICS)
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_scores_that_are_not_finite(metric, wrong):
    with pytest.raises(ValueError, match=rf"\[2\] is {wrong}: .*finite"):
        metric([0, 1, 1], [0.1, 0.5, wrong])


@pytest.mark.parametrize("metric", SCORE_METRICS + PROBABILITY_METRICS)
def test_shapes_of_scores(metric):
    with pytest.raises(ValueError, match="3 rows and .* 2"):
        metric([0, 1, 1], [0.1, 0.5])
    with pytest.raises(ValueError, match="y_true is empty"):
        metric([], [])
    with pytest.raises(ValueError, match=r"shape \(1, 1, 3\)"):
        metric([0], [[[0.2, 0.3, 0.5]]])
    with pytest.raises(TypeError, match="expected numbers"):
        metric([0, 1], ["0.1", "0.5"])


@pytest.mark.parametrize("metric", SCORE_METRICS)
def test_both_columns_of_two_classes(metric):
    with pytest.raises(ValueError, match=r"\(2, 2\), expected one score a row.*\[:, 1\]"):
        metric([0, 1], [[0.9, 0.1], [0.2, 0.8]])


@pytest.mark.parametrize("metric", PROBABILITY_METRICS)
@pytest.mark.parametrize("wrong", [-0.01, 1.01, 4])
def test_what_is_no_probability(metric, wrong):
    with pytest.raises(ValueError, match=rf"\[1\] is {wrong}.*from 0 to 1"):
        metric([0, 1, 1], [0.1, wrong, 0.5])


THREE_CLASSES = [
    e.log_loss,
    e.brier_score_loss,
    e.expected_calibration_error,
    lambda y, p, **options: e.roc_auc_score(y, p, multi_class="ovr", **options),
]


@pytest.mark.parametrize("metric", THREE_CLASSES)
def test_rows_of_probabilities(metric):
    p = np.full((4, 3), 1 / 3)
    y_true = [0, 1, 2, 1]
    assert np.isfinite(metric(y_true, p.astype(np.float16)))  # as near to 1 as float16 can
    for value, message in ((0.4, r"\[2\] has the sum 1\.0"), (np.nan, r"\[2, 1\] is nan")):
        wrong = p.copy()
        wrong[2, 1] = value
        with pytest.raises(ValueError, match=message):
            metric(y_true, wrong)
    with pytest.raises(ValueError, match=r"y_true\[3\] is 5, which is not among"):
        metric([0, 1, 2, 5], p, labels=[0, 1, 2])
    with pytest.raises(ValueError, match="expected sorted labels"):
        metric(y_true, p, labels=[0, 2, 1])
    with pytest.raises(ValueError, match="stands there twice"):
        metric(y_true, p, labels=[0, 1, 1])
    with pytest.raises(ValueError, match="2 columns|shape"):
        metric(y_true, p[:, :2] * 1.5, labels=[0, 1, 2])
    with pytest.raises(ValueError, match="texts"):
        metric(y_true, p, labels=["a", "b", "c"])


@pytest.mark.parametrize("metric", [e.roc_curve, e.precision_recall_curve, e.calibration_curve])
def test_the_positive_label_must_be_known(metric):
    with pytest.raises(ValueError, match=r"\['no', 'yes'\]: give pos_label"):
        metric(["no", "yes"], [0.1, 0.5])
    with pytest.raises(ValueError, match="pos_label holds numbers and y_true texts"):
        metric(["no", "yes"], [0.1, 0.5], pos_label=1)
    metric(["no", "yes"], [0.1, 0.5], pos_label="yes")

"""Loss and probabilities of classifiers: both kinds of head, weights, smoothing, extremes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import minillm
from minillm import functional as F
from minillm.models.classification import (
    classification_loss,
    log_probabilities,
    probabilities,
)

LABELS = np.array([0, 2, 1, 2])


def scores(device, shape, seed=0, dtype=np.float64):
    z = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return minillm.tensor(z, requires_grad=True, device=device)


def test_the_loss_is_minus_the_mean_log_probability_of_the_label(device):
    z = scores(device, (4, 3))
    loss = classification_loss(z, minillm.tensor(LABELS, device=device)).item()
    p = probabilities(z.numpy())
    assert loss == pytest.approx(-np.log(p[np.arange(4), LABELS]).mean(), rel=1e-12)


def test_a_single_score_means_binary_cross_entropy(device):
    z, y = scores(device, (4, 1)), np.array([0, 1, 1, 0])
    labels, targets = (minillm.tensor(a, device=device) for a in (y, y[:, None].astype(np.float64)))
    loss = classification_loss(z, labels)
    expected = F.binary_cross_entropy_with_logits(z, targets)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    p = probabilities(z.numpy())
    sigmoid = 1 / (1 + np.exp(-z.numpy()[:, 0]))
    np.testing.assert_allclose(p, np.stack([1 - sigmoid, sigmoid], axis=1), rtol=1e-12)


@pytest.mark.parametrize("shape", [(4, 3), (4, 1)])
def test_gradient(device, shape):
    labels = minillm.tensor(LABELS if shape[1] > 1 else LABELS % 2, device=device)
    weight = np.array([0.5, 1.0, 3.0])[: max(shape[1], 2)]

    def loss(z):
        return classification_loss(z, labels, weight, label_smoothing=0.1)

    assert minillm.gradcheck(loss, scores(device, shape))


@given(s=st.floats(0, 1), w=st.tuples(st.floats(0.1, 5), st.floats(0.1, 5)))
def test_weights_and_smoothing_mean_the_same_for_both_heads(device, s, w):
    """The score z of a sigmoid head is the scores (0, z) of two classes."""
    z, labels = scores(device, (6, 1)), minillm.tensor(np.array([0, 1, 1, 0, 0, 0]), device=device)
    two = minillm.tensor(np.hstack([np.zeros((6, 1)), z.numpy()]), device=device)
    one = classification_loss(z, labels, w, s).item()
    assert one == pytest.approx(classification_loss(two, labels, w, s).item(), rel=1e-9)


def test_class_weight_is_as_if_texts_stood_there_several_times(device):
    z, labels = scores(device, (4, 3)), minillm.tensor(LABELS, device=device)
    rows = [0, 1, 1, 2, 3, 3]  # those of class 2 twice
    twice = minillm.tensor(z.numpy()[rows], device=device)
    expected = classification_loss(twice, minillm.tensor(LABELS[rows], device=device)).item()
    assert classification_loss(z, labels, [1, 1, 2]).item() == pytest.approx(expected, rel=1e-12)


@given(arrays(np.float64, (5, 3), elements=st.floats(-1e4, 1e4)))
def test_rows_sum_to_one_however_large_the_scores(z):
    p = probabilities(z)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    assert (p >= 0).all() and np.isfinite(log_probabilities(z)).all()
    np.testing.assert_allclose(p, probabilities(z + 1000), rtol=1e-6, atol=1e-9)


def test_float32_scores_give_float64_probabilities():
    assert probabilities(np.zeros((1, 1), np.float32)).tolist() == [[0.5, 0.5]]
    assert probabilities(np.zeros((1, 4), np.float32)).dtype == np.float64


def test_bad_inputs_are_named(device):
    z = scores(device, (4, 3))
    with pytest.raises(ValueError, match=r"logits \(4,\), expected \(batch, classes\)"):
        classification_loss(z[:, 0], minillm.tensor(LABELS, device=device))
    with pytest.raises(ValueError, match=r"logits \(4,\), expected \(texts, classes\)"):
        probabilities(np.zeros(4))
    with pytest.raises(ValueError, match=r"got \(3,\)"):
        classification_loss(z, minillm.tensor(LABELS[:3], device=device))
    if device != "cuda":  # a GPU would have to stop and look
        with pytest.raises(IndexError, match="2 found, expected 0 to 1"):
            classification_loss(z[:, :1], minillm.tensor(LABELS, device=device))

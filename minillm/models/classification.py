"""From the scores of a network to a loss and to probabilities: what all text classifiers share.

A network gives a text z, one score (logit) a class.  Two kinds of last layer are in use:

    C scores    p = softmax(z)                          loss: cross-entropy
    1 score     p = [1 - sigmoid(z), sigmoid(z)]        loss: binary cross-entropy (two classes)

The second is the first with a score of 0 for class 0: e^z / (e^0 + e^z) = sigmoid(z).  So one
formula serves both.
"""

from typing import NamedTuple

import numpy as np

from minillm import functional as F
from minillm.autograd import Tensor
from minillm.backend import array_module, device_of


class SequenceClassifierOutput(NamedTuple):
    """loss (scalar, or None without labels); logits (B, C), or (B, 1) of a sigmoid head."""

    loss: Tensor | None
    logits: Tensor
    attentions: tuple[Tensor, ...] | None = None


def classification_loss(logits, labels, class_weight=None, label_smoothing: float = 0.0) -> Tensor:
    """The mean of -log p(label): cross-entropy, or binary cross-entropy for a single score.

    logits (B, C) or (B, 1), labels (B,) integers (0 or 1 for a single score).
    class_weight (C,): how much a text of each class counts; the mean divides by the texts'
    weights.  label_smoothing s: the label is believed with 1 - s + s/C, the others get s/C each.
    Raises ValueError where shapes don't fit, IndexError for a label that isn't a class.
    """
    xp = array_module(logits.data)
    if logits.ndim != 2:
        raise ValueError(f"classification_loss: logits {logits.shape}, expected (batch, classes)")
    if logits.shape[1] == 1:  # -log sigmoid(z) is the cross-entropy of the scores (0, z)
        zeros = Tensor(xp.zeros(logits.shape, logits.dtype))
        logits = F.concatenate([zeros, logits], 1)
    if class_weight is not None and not isinstance(class_weight, Tensor):
        class_weight = device_of(logits.data).from_numpy(np.asarray(class_weight))
    return F.cross_entropy(logits, labels, class_weight, label_smoothing=label_smoothing)


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """log softmax of the scores in float64: (N, C), or (N, 1) of a sigmoid head -> (N, C)."""
    z = np.asarray(logits, np.float64)
    if z.ndim != 2:
        raise ValueError(f"logits {z.shape}, expected (texts, classes)")
    if z.shape[1] == 1:
        z = np.hstack([np.zeros_like(z), z])
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def probabilities(logits: np.ndarray) -> np.ndarray:
    """softmax of the scores in float64: (N, C), or (N, 1) of a sigmoid head -> (N, C)."""
    return np.exp(log_probabilities(logits))

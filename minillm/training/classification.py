"""What training a classifier needs: its objective, class weights, and a validation.

Works with every network that is called as model(input_ids, attention_mask) and returns an output
with `logits`, of shape (B, C) or (B, 1) (see models/classification.py).
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import minillm
from minillm.models.classification import classification_loss, probabilities


def classification_objective(class_weight=None, label_smoothing: float = 0.0) -> Callable:
    """An objective for the Trainer: the cross-entropy of the batch's "labels" (B,).

    class_weight (C,): how much an example of each class counts, for rare classes (see
    `balanced_class_weight`).  label_smoothing s: the label is believed with 1 - s + s/C only
    (Szegedy et al. 2016, section 7).

    With class weights the loss of a batch is divided by the sum of its examples' weights.  The
    Trainer averages micro batches by their numbers of examples, so with `accumulate` the weighted
    mean is that of each micro batch, not of the whole update: the same on average.
    """

    def objective(model, batch):
        inputs = {name: array for name, array in batch.items() if name != "labels"}
        logits = model(**inputs).logits
        return classification_loss(logits, batch["labels"], class_weight, label_smoothing), {}

    return objective


def classification_validation(batches: Iterable[Mapping], threads: int = 1) -> Callable:
    """A `validate` for the Trainer: {"loss": mean cross-entropy, "accuracy": part of right labels}.

    batches: dicts of arrays as the objective takes them, gone through once, here.  All examples
    count the same, in a smaller last batch too.  threads: batches computed at the same time, as in
    training (see parallel.py); the numbers are the same.  Raises ValueError without examples.
    """
    batches = list(batches)
    examples = sum(len(batch["labels"]) for batch in batches)
    if not examples:
        raise ValueError("classification_validation: there is no example to validate with")

    def validate(model) -> dict[str, float]:
        device = next(iter(model.parameters())).device

        def measure(batch):
            with minillm.no_grad():  # each thread has its own switch
                arrays = {n: minillm.tensor(a, device=device) for n, a in batch.items()}
                labels = arrays.pop("labels")
                logits = model(**arrays).logits
                loss = classification_loss(logits, labels).item() * len(labels)
            predicted = probabilities(logits.numpy()).argmax(axis=1)
            return loss, int((predicted == batch["labels"]).sum())

        if threads == 1:
            results = list(map(measure, batches))
        else:
            with ThreadPoolExecutor(threads, thread_name_prefix="minillm-validation") as pool:
                results = list(pool.map(measure, batches))
        loss, right = (sum(column) for column in zip(*results, strict=True))
        return {"loss": loss / examples, "accuracy": right / examples}

    return validate


def balanced_class_weight(labels, n_classes: int) -> np.ndarray:
    """Weights with which all classes count the same in sum: w_c = N / (C N_c), (C,) float64.

    N labels, N_c of them of class c (King & Zeng 2001; scikit-learn's class_weight="balanced").
    Raises ValueError for labels that aren't 0 to n_classes - 1, or a class without examples.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels of shape {labels.shape} and type {labels.dtype}, expected integers (N,)"
        )
    outside = np.flatnonzero((labels < 0) | (labels >= n_classes))
    if len(outside):
        raise ValueError(
            f"labels[{outside[0]}] is {labels[outside[0]]}, expected 0 to {n_classes - 1}"
        )
    counts = np.bincount(labels, minlength=n_classes)
    if not counts.all():
        raise ValueError(
            f"class {np.flatnonzero(counts == 0)[0]} has no example among {len(labels)}: no weight "
            "can make up for that; leave the class out, or find examples"
        )
    return len(labels) / (n_classes * counts)

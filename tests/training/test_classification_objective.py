"""The objective of classifiers, its class weights, and the validation that belongs to it."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_run import split_batches

import minillm
from minillm import nn
from minillm.models import BertConfig
from minillm.models.average_classifier import AverageConfig, AverageForSequenceClassification
from minillm.models.bert_classifier import BertForSequenceClassification
from minillm.models.cnn_classifier import CNNConfig, CNNForSequenceClassification
from minillm.models.lstm_classifier import LSTMConfig, LSTMForSequenceClassification
from minillm.training import (
    Trainer,
    balanced_class_weight,
    checkpoints,
    classification_objective,
    classification_validation,
    layerwise_groups,
)

V, C = 20, 3


class Output(NamedTuple):
    logits: minillm.Tensor


class Bag(nn.Module):
    """The mean of the words' scores for each class; one score only for a sigmoid head."""

    def __init__(self, scores: int = C):
        super().__init__()
        self.embedding = nn.Embedding(V, scores)

    def forward(self, input_ids, attention_mask):
        mask = minillm.Tensor(attention_mask.data[..., None].astype("float32"))
        return Output((self.embedding(input_ids) * mask).sum(1) / mask.sum(1))


def batches(index: int, classes: int = C, size: int = 6) -> dict[str, np.ndarray]:
    """Texts of different lengths whose class is their first id modulo the number of classes."""
    rng = np.random.default_rng([7, index])
    ids = rng.integers(1, V, (size, 5))
    mask = np.arange(5) < rng.integers(1, 6, (size, 1))
    ids = np.where(mask, ids, 0)
    return {
        "input_ids": ids,
        "attention_mask": mask.astype(np.int64),
        "labels": ids[:, 0] % classes,
    }


def on(device, batch):
    return {name: minillm.tensor(array, device=device) for name, array in batch.items()}


def reference(logits, labels, weight, smoothing):
    """The formula written out, in float64: sum_n w q_n log p_n / sum_n w_n."""
    z = np.asarray(logits, np.float64)
    if z.shape[1] == 1:
        z = np.hstack([np.zeros_like(z), z])
    n_classes = z.shape[1]
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    q = np.full(z.shape, smoothing / n_classes)
    q[np.arange(len(labels)), labels] += 1 - smoothing
    weight = np.ones(n_classes) if weight is None else np.asarray(weight)
    return -(q * weight * log_p).sum() / weight[labels].sum()


@pytest.mark.parametrize("scores, classes", [(3, 3), (2, 2), (1, 2)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_objective_is_the_formula(device, scores, classes, weighted, smoothing):
    model = Bag(scores).to(device)
    batch = batches(0, classes)
    weight = np.linspace(0.5, 2, classes) if weighted else None
    loss, metrics = classification_objective(weight, smoothing)(model, on(device, batch))
    logits = model(**{n: t for n, t in on(device, batch).items() if n != "labels"}).logits.numpy()
    np.testing.assert_allclose(
        loss.item(), reference(logits, batch["labels"], weight, smoothing), rtol=1e-5
    )
    assert metrics == {} and loss.dtype == np.float32
    loss.backward()
    assert np.abs(minillm.Tensor(model.embedding.weight.grad).numpy()).max() > 0


def test_without_labels_the_key_is_named(device):
    batch = batches(0)
    del batch["labels"]
    with pytest.raises(KeyError, match="labels"):
        classification_objective()(Bag().to(device), on(device, batch))


# ---------------------------------------------------------------------------------- validation


@pytest.mark.parametrize("scores, classes", [(3, 3), (1, 2)])
@pytest.mark.parametrize("threads", [1, 2])
def test_validation_counts_every_example_once(device, scores, classes, threads):
    """Batches of 6, 6 and 2: the mean over 14 examples, not over three batches."""
    parts = [batches(0, classes), batches(1, classes), batches(2, classes, size=2)]
    model = Bag(scores).to(device)
    validate = classification_validation((part for part in parts), threads)
    for _ in range(2):  # the generator was gone through once, at the beginning
        values = validate(model)
        with minillm.no_grad():
            logits = [
                model(**{n: t for n, t in on(device, p).items() if n != "labels"}).logits.numpy()
                for p in parts
            ]
        z, y = np.concatenate(logits), np.concatenate([p["labels"] for p in parts])
        predicted = z.argmax(axis=1) if scores > 1 else (z[:, 0] > 0).astype(int)
        assert values["accuracy"] == np.mean(predicted == y)
        np.testing.assert_allclose(values["loss"], reference(z, y, None, 0.0), rtol=1e-5)


def test_threads_do_not_change_the_numbers(device):
    parts = [batches(i) for i in range(7)]
    model = Bag().to(device)
    results = [classification_validation(parts, threads)(model) for threads in (1, 2, 3)]
    assert results[0] == results[1] == results[2]


def test_validation_needs_examples():
    with pytest.raises(ValueError, match="no example"):
        classification_validation([])


# --------------------------------------------------------------------------------- class weights


@given(
    st.lists(st.integers(0, 3), min_size=4, max_size=40).filter(lambda y: set(y) == set(range(4)))
)
def test_balanced_classes_count_the_same_in_sum(labels):
    weight = balanced_class_weight(np.array(labels), 4)
    sums = [weight[c] * labels.count(c) for c in range(4)]
    np.testing.assert_allclose(sums, len(labels) / 4)


def test_balanced_weights_equal_scikit_learns():
    utils = pytest.importorskip("sklearn.utils.class_weight")
    labels = np.random.default_rng(0).choice(5, size=200, p=[0.5, 0.3, 0.1, 0.05, 0.05])
    expected = utils.compute_class_weight("balanced", classes=np.arange(5), y=labels)
    np.testing.assert_array_equal(balanced_class_weight(labels, 5), expected)


@pytest.mark.parametrize(
    "labels, message",
    [
        ([0, 1, 1], "class 2 has no example among 3"),
        ([], "expected integers|no example"),
        ([0, 3, 1], r"labels\[1\] is 3, expected 0 to 2"),
        ([0, 1, -1], r"labels\[2\] is -1"),
        ([0.0, 1.0, 2.0], "expected integers"),
        ([[0, 1, 2]], "expected integers"),
    ],
)
def test_labels_that_give_no_weights(labels, message):
    with pytest.raises(ValueError, match=message):
        balanced_class_weight(labels, 3)


# ------------------------------------------------------------------------------------ together


ID2LABEL = {0: "a", 1: "b"}
NETWORKS = {
    "average": lambda: AverageForSequenceClassification(AverageConfig(V, ID2LABEL, 0, 6, 6)),
    "cnn": lambda: CNNForSequenceClassification(CNNConfig(V, ID2LABEL, 0, 6, (2, 3), 4)),
    "lstm": lambda: LSTMForSequenceClassification(LSTMConfig(V, ID2LABEL, 0, 6, 6, dropout=0.2)),
    "bert": lambda: small_bert(ID2LABEL),
}


def small_bert(id2label) -> BertForSequenceClassification:
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=V,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=8,
            initializer_range=0.2,
            id2label=id2label,
        )
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_trains_in_threads_and_is_resumed(device, tmp_path, network):
    """With dropout, and an epoch whose last batch is smaller: the same bits in all three ways."""

    def train(out, threads, epochs, resume=False):
        minillm.manual_seed(3)
        model = NETWORKS[network]()
        trainer = Trainer(
            model,
            classification_objective(),
            split_batches(lambda i: batches(i, 2, size=3 if i % 3 == 2 else 6), 2),
            epochs=epochs,
            steps_per_epoch=3,
            schedule="constant",
            learning_rate=1e-2,
            accumulate=2,
            threads=1 if device == "cuda" else threads,
            validate=classification_validation([batches(100, 2)]),
            validate_every="epoch",
            out=tmp_path / out,
            device=device,
            progress=False,
        )
        history = trainer.run(resume)
        state = {name: p.numpy().copy() for name, p in model.named_parameters()}
        return [r["loss"] for r in history], state

    plain = train("plain", 1, epochs=2)
    train("resumed", 2, epochs=1)
    for losses, state in (
        train("threads", 2, epochs=2),
        train("resumed", 2, epochs=2, resume=True),
    ):
        assert losses == plain[0]
        for name, array in plain[1].items():
            np.testing.assert_array_equal(state[name], array, err_msg=name)


def test_a_bert_learns_which_word_it_sees_first(device, tmp_path):
    """The whole way: objective, validation, threads, layer-wise rates, early stopping."""
    minillm.manual_seed(3)
    model = small_bert({0: "a", 1: "b", 2: "c"})
    trainer = Trainer(
        model,
        classification_objective(balanced_class_weight([0, 1, 2], 3), label_smoothing=0.05),
        split_batches(lambda i: batches(i % 20, size=16), 2),
        epochs=4,
        steps_per_epoch=20,
        learning_rate=5e-3,
        accumulate=2,
        threads=1 if device == "cuda" else 2,
        validate=classification_validation([batches(i, size=16) for i in (100, 101)]),
        validate_every="epoch",
        checkpoint_every="epoch",
        monitor="accuracy",
        patience=2,
        parameter_groups=lambda model: layerwise_groups(model, 0.01, 0.9),
        out=tmp_path,
        device=device,
        progress=False,
    )
    history = trainer.run()
    validated = {r["step"]: r["validation_accuracy"] for r in history if "best_step" in r}
    best = history[-1]["best_step"]
    assert validated[best] == max(validated.values()) > 0.8
    assert trainer.validate(model)["accuracy"] == validated[best]
    assert len(checkpoints(tmp_path)) == 2

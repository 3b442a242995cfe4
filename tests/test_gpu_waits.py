"""Where a GPU would have to be waited for: once in a training step, for what the step logs.

A GPU computes behind the program's back; `bool(x)`, `x.item()`, a boolean index and the like make
the program wait until everything before them is done, and the GPU stands idle until it has caught
up.  The strict device lists such places (strict_device.count_waits).
"""

import math
from collections import Counter

import numpy as np
import pytest
from strict_device import StrictDevice, count_waits

import minillm
from minillm import functional as F
from minillm import nn, optim
from minillm.models import (
    BertConfig,
    BertForPreTraining,
    BertForSequenceClassification,
    GPTConfig,
    GPTForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)
from minillm.models.average_classifier import AverageConfig, AverageForSequenceClassification
from minillm.models.cnn_classifier import CNNConfig, CNNForSequenceClassification
from minillm.models.lstm_classifier import LSTMConfig, LSTMForSequenceClassification
from minillm.training import Trainer, classification_objective

xp = StrictDevice().xp


def strict(values, dtype=float):
    return StrictDevice().from_numpy(np.array(values, dtype))


# ------------------------------------------------------------------------------- the counter

WAITING = {
    "bool": lambda x: bool((x > 0).all()),
    "int": lambda x: int(x[0]),
    "float": lambda x: math.sqrt(x[0]),
    "item": lambda x: x.sum().item(),
    "tolist": lambda x: x.tolist(),
    "to_numpy": lambda x: minillm.Tensor(x).numpy(),
    "mask": lambda x: x[x > 1],
    "iteration": lambda x: sum(row for row in x),
    "nonzero": lambda x: xp.nonzero(x),
    "flatnonzero": lambda x: xp.flatnonzero(x),
    "unique": lambda x: xp.unique(x),
    "bincount": lambda x: xp.bincount(x.astype(np.int64)),
    "repr": lambda x: f"{x!r}",
}


@pytest.mark.parametrize("kind", WAITING)
def test_a_wait_is_counted_and_placed(kind):
    x = strict([1.0, 2.0])
    with count_waits() as waits:
        WAITING[kind](x)
    assert [wait.kind for wait in waits if wait.kind == kind] == [kind]
    if kind == "to_numpy":  # through minillm: the place is the library's, not the test's
        assert (waits[0].file, waits[0].function) == ("autograd.py", "numpy")
    else:
        assert {wait.file for wait in waits} == {"test_gpu_waits.py"}


def test_branches_assignments_by_mask_and_loops_are_waits_too():
    x = strict([1.0, 2.0, 3.0])
    with count_waits() as waits:
        if x[0] < x[1]:
            x[x > 2] = 0
        largest = max(x)  # compares one by one
    assert float(largest) == 2
    assert Counter(w.kind for w in waits) == {"bool": 3, "mask": 1, "iteration": 1}


def test_what_a_gpu_does_by_itself_is_no_wait():
    with count_waits() as waits:
        x = strict([[1.0, 2.0], [3.0, 4.0]])
        y = xp.where(x > 1, xp.exp(x @ x), 0).sum(axis=0)
        y[0] = xp.argmax(y)
        y[strict([0, 1], int)] *= 2
        xp.add.at(y, strict([0, 0], int), strict([1.0, 1.0]))
        assert len(y) == 2 and y.shape == (2,) and y.dtype == np.float64
    assert waits == []


def test_nothing_is_counted_outside():
    with count_waits() as waits:
        pass
    bool(strict([1.0]))
    assert waits == [] and StrictDevice.checks_ids


# --------------------------------------------------------------------------- the training step

B, L, V, STEPS = 4, 6, 20, 3
NAMES = {0: "no", 1: "yes"}
small = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
bert = BertConfig(vocab_size=V, hidden_size=8, max_position_embeddings=L, id2label=NAMES, **small)
gpt = GPTConfig(vocab_size=V, n_positions=L, n_embd=8, n_layer=2, n_head=2)
llama = LlamaConfig(vocab_size=V, hidden_size=8, max_position_embeddings=L, **small)


def text(index):
    rng = np.random.default_rng(index)
    ids = rng.integers(5, V, (B, L))
    return {"input_ids": ids, "attention_mask": (rng.permuted(np.arange(L)) < 5)[None] * (ids > 0)}


def next_tokens(index):
    ids = text(index)["input_ids"]
    return {"input_ids": ids, "labels": ids}


def masked_tokens(index):
    batch = text(index)
    chosen = np.arange(B * L).reshape(B, L) % 5 == 0
    labels = np.where(chosen, batch["input_ids"], -100)
    return batch | {"labels": labels, "next_sentence_label": np.arange(B) % 2}


def two_classes(index):
    return text(index) | {"labels": np.arange(B) % 2}


def loss_of(model, batch):
    return model(**batch).loss, {}


classes = classification_objective(class_weight=np.array([1.0, 2.0]), label_smoothing=0.1)
average = AverageConfig(V, NAMES, embedding_size=8, hidden_size=8)
lstm = LSTMConfig(V, NAMES, embedding_size=8, hidden_size=8, num_layers=1)
cnn = CNNConfig(V, NAMES, embedding_size=8, num_filters=4)
# model, its objective, its batches; and the waits a step besides the one for the log.
RUNS = {
    "gpt": (lambda: GPTForCausalLM(gpt), loss_of, next_tokens, {}),
    "llama": (lambda: LlamaForCausalLM(llama), loss_of, next_tokens, {}),
    # Only the masked places go through the output layer, a seventh of the work without: how many
    # there are, the host must know.
    "bert": (lambda: BertForPreTraining(bert), loss_of, masked_tokens, {"flatnonzero": 1}),
    "bert classifier": (lambda: BertForSequenceClassification(bert), classes, two_classes, {}),
    "lstm": (lambda: LSTMForSequenceClassification(lstm), classes, two_classes, {}),
    "cnn": (lambda: CNNForSequenceClassification(cnn), classes, two_classes, {}),
    "average": (lambda: AverageForSequenceClassification(average), classes, two_classes, {}),
}


def waits_of_training(name, **options):
    make, objective, batches, _ = RUNS[name]
    trainer = Trainer(
        make(), objective, batches, steps=STEPS, learning_rate=1e-3, device="strict",
        progress=False, **options,
    )  # fmt: skip
    with count_waits() as waits:
        history = trainer.run()
    assert len(history) == STEPS and math.isfinite(history[-1]["loss"])
    return waits


@pytest.mark.parametrize("name", RUNS)
def test_a_training_step_waits_for_what_it_logs(name):
    check_waits(waits_of_training(name), {"to_numpy": 1} | RUNS[name][3])


def check_waits(waits, a_step, micro_batches=1):
    """`a_step`: {kind: how often}.  Arrays of arrays may be taken apart (queries, keys, values)."""
    places = Counter((wait.kind, wait.file, wait.function) for wait in waits)
    kinds = Counter(wait.kind for wait in waits)
    assert kinds.pop("iteration", 0) <= 8 * STEPS * micro_batches, places
    assert kinds == {kind: n * STEPS for kind, n in a_step.items()}, places


OPTIONS = {
    "micro batches": {"accumulate": 3},
    "no clipping": {"clip_norm": None},
    "SGD": {"optimizer": "sgd", "momentum": 0.9},
    "Adam": {"optimizer": "adam"},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_add_no_wait(name):
    options = OPTIONS[name]
    waits = waits_of_training("gpt", **options)
    check_waits(waits, {"to_numpy": 1}, options.get("accumulate", 1))


def test_half_precision_asks_once_more_at_most():
    """Whether the gradients overflowed decides whether the update is made."""
    kinds = Counter(wait.kind for wait in waits_of_training("gpt", precision="float16"))
    del kinds["iteration"]
    assert kinds["to_numpy"] == STEPS and kinds.total() <= 2 * STEPS


def test_metrics_of_the_objective_come_with_the_same_transfer():
    def objective(model, batch):
        output = model(**batch)
        return output.loss, {"twice": output.loss * 2, "half": output.loss / 2, "rows": 4}

    trainer = Trainer(
        GPTForCausalLM(gpt), objective, next_tokens, steps=STEPS, learning_rate=1e-3,
        device="strict", progress=False,
    )  # fmt: skip
    with count_waits() as waits:
        history = trainer.run()
    check_waits(waits, {"to_numpy": 1})
    assert history[0]["twice"] == pytest.approx(2 * history[0]["loss"])


def test_an_impatient_objective_is_seen():
    """The test of the test: one `.item()` a step is one wait more."""

    def objective(model, batch):
        output = model(**batch)
        return output.loss, {"loss_again": output.loss.item()}

    trainer = Trainer(
        GPTForCausalLM(gpt), objective, next_tokens, steps=STEPS, learning_rate=1e-3,
        device="strict", progress=False,
    )  # fmt: skip
    with count_waits() as waits:
        trainer.run()
    check_waits(waits, {"to_numpy": 2})


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop])
def test_optimizers_and_clipping_never_wait(optimizer):
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)).to("strict")
    updater = optimizer(model.parameters(), lr=0.1)
    with count_waits() as waits:
        for _ in range(2):
            model.zero_grad()
            x = minillm.tensor(np.ones((5, 3), np.float32), device="strict")
            F.mse_loss(model(x), minillm.Tensor(xp.zeros((5, 2), np.float32))).backward()
            optim.clip_grad_norm_(model.parameters(), 1.0)
            updater.step()
    assert waits == []

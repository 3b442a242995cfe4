"""The solutions of lesson 07's exercises: minillm's own functions, on plain data.

Pooling is written out with minillm's operations: minillm has it inside of its classifiers only.
"""

import numpy as np

import minillm
from minillm import functional as F
from minillm import nn
from minillm.data import LabelledBatches, truncate
from minillm.models import BertConfig, BertForSequenceClassification
from minillm.training import EarlyStopping, balanced_class_weight, layerwise_groups


def head_and_tail(ids, max_length):
    return truncate(list(ids), max_length, "head_tail")


def epoch_batches(n, batch_size, rng):
    seed = int(rng.integers(2**31))
    batches = LabelledBatches([[0]] * n, batch_size=batch_size, seed=seed, bucket=False)
    return [batches.rows(i).tolist() for i in range(len(batches))]


def _pool(hidden, mask):
    """hidden: a Tensor (B, L, H); mask (B, L) -> (B, H)."""
    mask = minillm.tensor(np.asarray(mask, np.float64)[..., None])  # (B, L, 1)
    count = np.maximum(mask.numpy().sum(axis=1), 1)  # (B, 1)
    return (hidden * mask).sum(1) / minillm.tensor(count)


def mean_pool(hidden, attention_mask):
    return _pool(minillm.tensor(hidden), attention_mask).numpy()


def mean_pool_backward(dy, attention_mask):
    (B, L), H = attention_mask.shape, dy.shape[1]
    hidden = minillm.tensor(np.zeros((B, L, H)), requires_grad=True)
    _pool(hidden, attention_mask).backward(np.asarray(dy, np.float64))
    return hidden.grad


class _Bert(nn.Module):
    """A BERT's parameters by name, without the BERT."""

    def __init__(self, names, n_layers):
        super().__init__()
        self.config = BertConfig(num_hidden_layers=n_layers)
        self.parameter = {name: nn.Parameter(np.zeros(1)) for name in names}

    def named_parameters(self):
        return iter(self.parameter.items())

    def layer_of(self, name):
        return BertForSequenceClassification.layer_of(self, name)


def learning_parameters(names, frozen_layers):
    if frozen_layers == 0:
        return list(names)
    model = _Bert(names, 1000)  # a head above all layers
    return [name for name in names if model.layer_of(name) > frozen_layers]


def layer_learning_rates(names, n_layers, learning_rate, decay):
    model = _Bert([*names, "classifier.weight"], n_layers)  # the head is the top, named or not
    name_of = {id(p): name for name, p in model.named_parameters()}
    rates = {
        name_of[id(p)]: learning_rate * group["lr_scale"]
        for group in layerwise_groups(model, 0.0, decay)
        for p in group["params"]
    }
    return {name: rates[name] for name in names}


def class_weights(labels, n_classes):
    return balanced_class_weight(labels, n_classes)


def weighted_cross_entropy(logits, labels, weights):
    return F.cross_entropy(minillm.tensor(logits), labels, np.asarray(weights, float)).item()


def early_stopping(losses, patience):
    model = nn.Module()  # nothing in it is to be kept
    stopping = EarlyStopping("-loss", patience)
    for step, loss in enumerate(losses):
        stopping.update(step, {"loss": loss}, model)
        if stopping.stop:
            break
    return stopping.best_step, step + 1

"""The loss modules hand their options to the functions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import normal, seeds

import minillm
from minillm import nn

REDUCE = {"mean": np.mean, "sum": np.sum, "none": lambda x: x}
reductions = st.sampled_from(list(REDUCE))


@given(seeds, st.sampled_from(["mean", "sum"]), st.sampled_from([0.0, 0.3]), st.booleans())
def test_cross_entropy(device, seed, reduction, smoothing, weighted):
    z = normal(seed, (5, 3))
    targets = np.array([0, 2, -1, 1, 2])
    weight = np.array([1.0, 2.0, 0.5]) if weighted else np.ones(3)
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    total = count = 0.0
    for row, target in zip(log_p, targets, strict=True):
        if target != -1:
            q = np.full(3, smoothing / 3)
            q[target] += 1 - smoothing
            total -= (q * weight * row).sum()
            count += weight[target]
    loss = nn.CrossEntropyLoss(
        minillm.tensor(weight) if weighted else None,
        ignore_index=-1,
        reduction=reduction,
        label_smoothing=smoothing,
    ).to(device)
    y = loss(minillm.tensor(z, device=device), minillm.tensor(targets, device=device))
    np.testing.assert_allclose(y.item(), total / count if reduction == "mean" else total)


@given(seeds, reductions)
def test_mse(check_module, seed, reduction):
    def formula(w, x, y):
        return REDUCE[reduction]((x - y) ** 2)

    check_module(nn.MSELoss(reduction=reduction), formula, *normal(seed, (3, 2), (3, 2)))


@given(seeds, reductions, st.booleans())
def test_binary_cross_entropies(device, seed, reduction, weighted):
    z = normal(seed, (4, 3))
    t = (normal(seed + 1, (4, 3)) > 0).astype(np.float64)
    weight, pos_weight = (np.array([1.0, 2.0, 3.0]) / k if weighted else None for k in (1, 2))
    p = 1 / (1 + np.exp(-z))

    def expected(pos_weight):
        losses = -(t * np.log(p) * pos_weight + (1 - t) * np.log(1 - p))
        return REDUCE[reduction](losses * weight if weighted else losses)

    def tensor(array):
        return None if array is None else minillm.tensor(array, device=device)

    plain = nn.BCELoss(tensor(weight), reduction=reduction)(tensor(p), tensor(t))
    np.testing.assert_allclose(plain.numpy(), expected(1))
    logits = nn.BCEWithLogitsLoss(
        tensor(weight), reduction=reduction, pos_weight=tensor(pos_weight)
    )(tensor(z), tensor(t))
    np.testing.assert_allclose(logits.numpy(), expected(1 if pos_weight is None else pos_weight))


def test_class_weights_move_with_the_module_but_are_not_learned(device):
    loss = nn.CrossEntropyLoss(np.ones(3, np.float32)).to(device)
    assert loss.weight.device == device and not loss.weight.requires_grad
    assert list(loss.state_dict()) == ["weight"]


def test_options_are_checked():
    with pytest.raises(ValueError, match="reduction='avg': expected 'mean', 'sum' or 'none'"):
        nn.MSELoss(reduction="avg")
    with pytest.raises(ValueError, match="label_smoothing must lie between 0 and 1, got 2"):
        nn.CrossEntropyLoss(label_smoothing=2)

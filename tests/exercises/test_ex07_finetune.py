"""Graders of lesson 07's exercises: fine-tuning."""

import math

import numpy as np
from grading.answer import Rng, rng
from grading.compare import as_numbers
from grading.draws import follows_the_generator
from grading.solutions import ex07_finetune as solution

LN3 = math.log(3)


def test_head_and_tail(answer):
    answer.equals(list(range(10)), 8)
    answer.equals([5, 6, 7], 8)
    answer.equals(list(range(9)), 7)  # 7 * 128 / 510 = 1.76
    answer.equals(list(range(5)), 3)  # no head
    answer.equals(list(range(20)), 20)
    answer.equals(list(range(21)), 20)
    generator = rng("head_and_tail")
    for _ in range(10):
        n = int(generator.integers(1, 60))
        answer.equals(generator.integers(5, 1000, n).tolist(), int(generator.integers(1, 40)))
    answer.equals(list(range(600)), 510)


def test_epoch_batches(answer):
    for n, batch_size, seed in [
        (5, 2, 0),
        (6, 3, 1),
        (2, 4, 2),
        (7, 1, 3),
        (50, 8, 4),
        (64, 16, 5),
    ]:
        batches = answer(n, batch_size, Rng(seed))
        sizes = [batch_size] * (n // batch_size) + [n % batch_size] * (n % batch_size > 0)

        def require(condition, hint, batches=batches):
            answer.require(bool(condition), hint, None, batches)

        rows = isinstance(batches, (list, tuple, np.ndarray))
        arrays = [as_numbers(batch) for batch in batches] if rows else []
        rows = rows and all(a is not None and a.ndim == 1 for a in arrays)
        require(rows, "return a list of batches, each a list of numbers")
        flat = np.concatenate([*arrays, []]).astype(int)
        require(
            len(arrays) > n // batch_size or n % batch_size == 0,
            "the last batch is dropped: it is smaller, but its examples count",
        )
        if len(flat) == n and (np.sort(flat) == np.arange(n) + 1).all():
            require(False, "the examples have the numbers from 0 to n - 1, yours count from 1")
        require(
            len(flat) <= n, "the last batch is filled up: each example belongs to one batch only"
        )
        require(
            len(np.unique(flat)) == len(flat),
            "an example stands there twice: was it drawn with replacement? Shuffle instead",
        )
        require(
            len(flat) == n and flat.min() == 0 and flat.max() == n - 1,
            "examples are missing: each number from 0 to n - 1 belongs to one batch",
        )
        require(
            [len(a) for a in arrays] == sizes,
            f"the sizes must be {sizes}: only the last batch may be smaller",
        )
    n, size = 1000, 10
    flat = np.ravel([as_numbers(batch) for batch in answer(n, size, Rng(7))])
    case = "n 1000, batch_size 10: the first batches"
    first = flat[: 2 * size].reshape(2, size)
    require = answer.require
    require(
        (flat != np.arange(n)).any(),
        "not shuffled: draw a new order",
        case,
        first,
    )
    # In a random order two neighbours differ by 1 about once in 500 times.
    require(
        (np.abs(np.diff(flat)) == 1).mean() < 0.05,
        "neighbours stay together: shuffle the examples, not only the batches",
        case,
        first,
    )
    # The place of an example is random: half of the first half stays there, 250; 5.5 sigma are 44.
    stay = int((flat[: n // 2] < n // 2).sum())
    require(
        abs(stay - n // 4) < 44,
        "the order isn't random: every example can come anywhere",
        "n 1000: of the numbers below 500, how many come in the first half (about)",
        stay,
        250,
    )
    follows_the_generator(answer, lambda seed: answer(30, 7, Rng(seed)))


def masks(generator, B, L):
    """Texts of 1 to L tokens, padded behind; the first of three and more has no token."""
    mask = (np.arange(L) < generator.integers(1, L + 1, (B, 1))).astype(int)
    if B >= 3:
        mask[0] = 0
    return mask


def test_mean_pool(answer):
    answer.equals(np.array([[[1.0, 2], [3, 4], [9, 9]]]), np.array([[1, 1, 0]]))
    hidden = np.array([[[1.0], [2], [4]], [[8], [16], [32]]])
    answer.equals(hidden, np.array([[1, 1, 0], [1, 0, 0]]))
    answer.equals(hidden, np.array([[0, 0, 0], [1, 1, 1]]))
    generator = rng("mean_pool")
    for B, L, H in [(2, 3, 2), (3, 2, 2), (4, 6, 3), (5, 3, 5)]:
        answer.equals(generator.normal(size=(B, L, H)), masks(generator, B, L))


def test_mean_pool_backward(answer):
    answer.equals(np.array([[2.0, 4]]), np.array([[1, 1, 0]]))
    answer.equals(np.array([[2.0], [3]]), np.array([[1, 1, 0], [1, 0, 0]]))
    answer.equals(np.array([[2.0], [3]]), np.array([[0, 0, 0], [1, 1, 1]]))
    generator = rng("mean_pool_backward")
    for B, L, H in [(2, 3, 2), (3, 2, 2), (4, 6, 3)]:
        mask, dy = masks(generator, B, L), generator.normal(size=(B, H))
        dhidden = answer.equals(dy, mask)
        answer.is_gradient(
            lambda hidden, mask=mask: solution.mean_pool(hidden, mask),
            (generator.normal(size=(B, L, H)),),
            dy,
            dhidden,
            names=("hidden",),
        )


def bert_names(n_layers, parts=("attention.in_proj_weight", "output.bias")):
    return [
        "bert.embeddings.word.weight",
        "bert.embeddings.norm.bias",
        *[f"bert.layers.{i}.{part}" for i in range(n_layers) for part in parts],
        "bert.pooler.weight",
        "classifier.weight",
        "classifier.bias",
    ]


def test_learning_parameters(answer):
    few = ["bert.embeddings.word.weight"]
    few += [f"bert.layers.{i}.output.bias" for i in range(3)] + ["classifier.bias"]
    answer.equals(few, 2)
    answer.equals(few, 0)
    answer.equals(bert_names(14, ["output.bias"]), 12)
    answer.equals(bert_names(14, ["output.bias"]), 1)
    for n_layers in (1, 3, 12):
        for n in (0, 1, n_layers - 1, n_layers):
            answer.equals(bert_names(n_layers), n)
    shuffled = rng("learning_parameters").permutation(bert_names(24)).tolist()
    for n in (3, 11, 20):
        answer.equals(shuffled, n)


def test_layer_learning_rates(answer):
    few = ["bert.embeddings.word.weight", "bert.layers.0.output.bias", "bert.layers.1.output.bias"]
    answer.equals([*few, "classifier.bias"], 2, 0.8, 0.5)
    answer.equals([*few, "bert.pooler.bias"], 2, 1.0, 0.5)
    answer.equals(few, 4, 1.0, 0.5)
    answer.equals(bert_names(12, ["output.bias"]), 12, 1.0, 0.9)
    generator = rng("layer_learning_rates")
    for n_layers in (1, 3, 6, 24):
        names = generator.permutation(bert_names(n_layers)).tolist()
        rate, decay = float(generator.uniform(1e-5, 1e-3)), float(generator.uniform(0.5, 1))
        answer.equals(names, n_layers, rate, decay, atol=0)


def test_class_weights(answer):
    answer.equals(np.array([0, 0, 0, 1]), 2)
    answer.equals(np.array([0, 2, 1, 2, 2, 1]), 3)
    generator = rng("class_weights")
    for C, N in [(2, 9), (3, 20), (5, 100)]:
        answer.equals(generator.permutation(np.r_[:C, generator.integers(0, C, N - C)]), C)


def test_weighted_cross_entropy(answer):
    logits = np.array([[0, 0], [0, LN3]])
    answer.equals(logits, np.array([0, 1]), np.array([1.0, 3]))
    answer.equals(np.array([[0, 1.0], [0, 2]]), np.array([1, 1]), np.array([1.0, 3]))
    generator = rng("weighted_cross_entropy")
    for B, C in [(1, 3), (3, 2), (4, 3), (8, 5)]:
        logits, labels = 2 * generator.normal(size=(B, C)), generator.integers(0, C, B)
        answer.equals(logits, labels, generator.uniform(0.2, 3, C))
    large = np.array([[1000.0, 998, 0], [-1000, -1001, -999]])
    answer.equals(large, np.array([1, 1]), np.array([1.0, 2, 3]))


def test_early_stopping(answer):
    answer.equals([0.9, 0.7, 0.8, 0.75, 0.74, 0.73, 0.6], 3)
    answer.equals([0.9, 1.0, 0.8, 0.85, 0.7, 0.75, 0.6], 2)  # never twice in a row
    answer.equals([0.5, 0.4, 0.4, 0.4, 0.3], 2)
    answer.equals([0.5, math.nan, math.nan, 0.3], 2)
    answer.equals([0.9, 0.8, 0.7], 1)
    answer.equals([0.9], 3)
    generator = rng("early_stopping")
    for n in (4, 6, 10, 20, 40):
        for patience in (1, 2, 3, 5):
            answer.equals(np.round(generator.random(n), 1).tolist(), patience)

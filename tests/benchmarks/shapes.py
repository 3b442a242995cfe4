"""The sizes that are measured, and the numbers both libraries start from.

Inputs and weights are made here, by NumPy, from fixed seeds, so that two processes that never
meet compute the same thing and their losses can be compared.
"""

import zlib
from dataclasses import dataclass

import numpy as np

IGNORED = -100  # the label of a position that is not to be predicted


@dataclass(frozen=True)
class Transformer:
    """The measures of a BERT- or GPT-shaped model and of its batch."""

    vocab: int
    width: int
    layers: int
    heads: int
    length: int
    batch: int
    dropout: float = 0.0


@dataclass(frozen=True)
class Recurrent:
    """The measures of the LSTM classifier and of its batch."""

    vocab: int
    width: int
    layers: int
    length: int
    batch: int


STEPS = {
    "gpt": Transformer(4096, 256, layers=4, heads=8, length=128, batch=32),
    "gpt-characters": Transformer(65, 128, layers=4, heads=4, length=64, batch=12),
    "bert-mini": Transformer(8192, 256, layers=4, heads=4, length=128, batch=32, dropout=0.1),
    "lstm": Recurrent(10_000, 128, layers=2, length=128, batch=32),
    # MiniLM under a classification head: fine-tuning.
    "minilm-128": Transformer(30522, 384, layers=6, heads=12, length=128, batch=32, dropout=0.1),
    "minilm-256": Transformer(30522, 384, layers=6, heads=12, length=256, batch=32, dropout=0.1),
}
RATE = 1e-3  # the learning rate
# What both sides must compute alike before anything is timed: some steps on some rows of the batch.
CHECKED_ROWS, CHECKED_STEPS = 4, 4


def random(seed: str, *shape: int) -> np.ndarray:
    """float32 numbers from N(0, 1)."""
    return _generator(seed).standard_normal(shape, np.float32)


def random_ids(seed: str, size: int, *shape: int) -> np.ndarray:
    """Token ids, the small ones more often, as the frequent words of a text."""
    return (size * _generator(seed).random(shape) ** 3).astype(np.int64)


def weights(sizes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Values for parameters {name: shape}: N(0, 0.05^2), but near 1 for the norms' weights."""
    values = {name: 0.05 * random(name, *shape) for name, shape in sizes.items()}
    for name in values:
        if name.endswith("weight") and "norm" in name.lower():
            values[name] += 1
    return values


def bert_batch(shape: Transformer) -> dict[str, np.ndarray]:
    """Pairs of sentences, up to a quarter of each padding, 15 % of the length masked in each row.

    Equally many gaps in each row: then the mean loss of two halves is the loss of the whole.
    """
    B, L = shape.batch, shape.length
    ids = random_ids("ids", shape.vocab, B, L)
    real = np.linspace(L, 3 * L // 4, B).astype(np.int64)[:, None]  # tokens in each row
    attention_mask = (np.arange(L) < real).astype(np.int64)
    token_type_ids = (np.arange(L) >= L // 2).astype(np.int64) * attention_mask
    labels = np.full((B, L), IGNORED)
    gaps = _generator("gaps")
    for row in range(B):
        places = gaps.choice(int(real[row, 0]), round(0.15 * L), replace=False)
        labels[row, places] = ids[row, places]
    return {
        "input_ids": ids,
        "token_type_ids": token_type_ids,
        "attention_mask": attention_mask,
        "labels": labels,
        "next_sentence_label": np.arange(B) % 2,
    }


def classified_batch(shape: Transformer) -> dict[str, np.ndarray]:
    """Texts of up to `length` tokens, a quarter of it padding at most, and their labels."""
    batch = bert_batch(shape)
    kept = {name: batch[name] for name in ("input_ids", "attention_mask")}
    return kept | {"labels": np.arange(shape.batch) % 2}


def gpt_batch(shape: Transformer) -> dict[str, np.ndarray]:
    """A text that predicts itself, each token from those before it."""
    ids = random_ids("text", shape.vocab, shape.batch, shape.length)
    return {"input_ids": ids, "labels": ids}


def lstm_batch(shape: Recurrent) -> dict[str, np.ndarray]:
    """Texts and whether each is positive."""
    ids = random_ids("ids", shape.vocab, shape.batch, shape.length)
    return {"input_ids": ids, "labels": np.arange(shape.batch) % 2}


def batch_of(case: str) -> dict[str, np.ndarray]:
    """The batch of a step."""
    shape = STEPS[case]
    if isinstance(shape, Recurrent):
        return lstm_batch(shape)
    make = {"gpt": gpt_batch, "bert": bert_batch, "minilm": classified_batch}
    return make[case.partition("-")[0]](shape)


def named_results(results: list[tuple[float, float]]) -> dict[str, float]:
    """What is compared of some steps' (loss, gradient norm): at the first, and the last loss."""
    (loss, norm), (later, _) = results[0], results[-1]
    return {"loss": loss, "gradient norm": norm, f"loss at step {len(results)}": later}


def some_rows(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """CHECKED_ROWS of the batch, from its beginning to its end: with little and much padding."""
    rows = np.linspace(0, len(batch["input_ids"]) - 1, CHECKED_ROWS).astype(np.int64)
    return {name: array[rows] for name, array in batch.items()}


# ------------------------------------------------------------------------ the parts of a step

ROWS = 4096  # batch 32, length 128
ATTENTION = (32, 4, 128, 64)  # batch, heads, length, columns of a head

# The shapes of the arguments that get a gradient.
PARTS = {
    "linear": {"x": (ROWS, 256), "weight": (1024, 256), "bias": (1024,)},
    "layer_norm": {"x": (ROWS, 256), "weight": (256,), "bias": (256,)},
    "gelu": {"x": (ROWS, 1024)},
    "softmax": {"x": (32, 4, 128, 128)},
    "attention": {"query": ATTENTION, "key": ATTENTION, "value": ATTENTION},
    "attention causal": {"query": ATTENTION, "key": ATTENTION, "value": ATTENTION},
    "dropout": {"x": (ROWS, 256)},
    "embedding": {"weight": (8192, 256)},
    "cross_entropy": {"logits": (ROWS, 4096)},
}
ADAMW = "adamw"  # one update of all parameters of bert-mini


def part_arguments(case: str) -> dict[str, np.ndarray]:
    """The arguments of a part that get a gradient."""
    return {name: random(name, *shape) for name, shape in PARTS[case].items()}


def embedded_ids() -> np.ndarray:
    return random_ids("ids", 8192, 32, 128)


def classes() -> np.ndarray:
    """The targets of cross_entropy."""
    return random_ids("targets", 4096, ROWS)


def _generator(seed: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(seed.encode()))

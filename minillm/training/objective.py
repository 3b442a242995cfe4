"""What an objective is given, and what it gives back.

    objective(model, batch) -> (loss: a 0-d Tensor, {name: a number or a 0-d Tensor})

batch: {name: Tensor}, the arrays of a micro batch on the device, the examples along the first axis.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from minillm import functional as F
from minillm.autograd import Tensor

# What a record says of itself; an objective's metrics need other names.
OWN_FIELDS = {"step", "loss", "learning_rate", "gradient_norm", "tokens", "tokens_per_second"}
OWN_FIELDS |= {"seconds", "best_step", "loss_scale", "skipped"}


def checked(result) -> tuple[Any, Mapping]:
    """What an objective returned, or an error that says what it should have."""
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], Tensor)):
        raise TypeError(
            "objective must return (loss, metrics), a Tensor and a dict (perhaps empty), "
            f"got {type(result).__name__}"
        )
    taken = OWN_FIELDS.intersection(result[1])
    if taken:
        raise ValueError(f"objective: the metric name {taken.pop()!r} is taken, choose another")
    return result


def count_examples(arrays: Mapping[str, np.ndarray]) -> int:
    """The rows of the first array."""
    first = next(iter(arrays.values()))
    return len(first) if first.ndim else 1


def count_tokens(arrays: Mapping[str, np.ndarray]) -> int:
    """The tokens that aren't padding; without an attention_mask, the first array's elements."""
    if "attention_mask" in arrays:
        return int(arrays["attention_mask"].sum())
    return next(iter(arrays.values())).size


def as_numbers(values: Mapping) -> dict[str, float]:
    """Tensors become Python numbers, by one transfer: on a GPU each one has to be waited for."""
    tensors = {n: v.detach().to("float64") for n, v in values.items() if isinstance(v, Tensor)}
    numbers = {n: v.item() if isinstance(v, np.generic) else v for n, v in values.items()}
    if tensors:
        on_cpu = F.stack(list(tensors.values())).numpy().tolist()
        numbers |= dict(zip(tensors, on_cpu, strict=True))
    return numbers

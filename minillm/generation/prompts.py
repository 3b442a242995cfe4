"""Reading prompts: token ids in any form that a user has, and one clear message for what is wrong.

Prompts of different lengths form one array by padding on the LEFT, so that all texts end, and go
on, in the last column.  A 0/1 mask tells tokens from padding.
"""

from typing import Any, NamedTuple

import numpy as np

from minillm.autograd import Tensor
from minillm.backend import device_of


class Prompts(NamedTuple):
    """ids (B, P) as the user gave them (left-padded if of different lengths), and for each row its
    tokens alone: `rows[r]` without padding."""

    ids: np.ndarray
    rows: list[np.ndarray]


def read_prompts(
    config, input_ids, attention_mask=None, pad_token_id=None, end_ids=(), name="input_ids"
) -> Prompts:
    """Check and read prompts for a model with this config.

    input_ids: (B, P) integers, Tensor or array, or a list of lists of any lengths.
    attention_mask: (B, P), 1 for a token, 0 for padding.  Left out, ids equal to pad_token_id count
    as padding, unless that token also ends texts (as in Hugging Face's generate).

    Raises ValueError (no prompt, an empty one, one longer than the context, a mask of another
    shape), IndexError (an id outside the vocabulary), TypeError (ids that aren't integers).
    """
    if _is_ragged(input_ids):
        rows = [as_ids(row, f"{name}[{r}]") for r, row in enumerate(input_ids)]
        if attention_mask is not None:
            raise ValueError(
                f"{name} is a list of prompts of different lengths: leave attention_mask out, "
                "the lengths say what is padding"
            )
        ids = left_padded(rows, pad_token_id or 0)
    else:
        ids = as_ids(input_ids, name)
        if ids.ndim == 1:
            raise ValueError(f"{name} has one axis: for a single prompt write [ids], (1, length)")
        if ids.ndim != 2:
            raise ValueError(f"{name} {ids.shape}: expected (batch, length)")
        mask = _read_mask(ids, attention_mask, pad_token_id, end_ids)
        rows = [row[real] for row, real in zip(ids, mask, strict=True)]
    if not rows:
        raise ValueError(f"{name} holds no prompt: expected (batch, length) with batch 1 or more")
    for r, row in enumerate(rows):
        check_text(config, row, f"{name}: prompt {r}")
        if len(row) > config.max_positions:
            raise ValueError(
                f"{name}: prompt {r} has {len(row)} tokens, more than the model's context of "
                f"{config.max_positions} positions: shorten it, for instance to its last "
                f"{config.max_positions} tokens"
            )
    return Prompts(ids, rows)


def check_text(config, row: np.ndarray, what: str) -> None:
    """ValueError if there is no token, IndexError for one outside the vocabulary."""
    if len(row) == 0:
        raise ValueError(
            f"{what} is empty (or padding only): give at least one token to continue from, such as "
            "the end-of-text token that stands between documents"
        )
    wrong = np.flatnonzero((row < 0) | (row >= config.vocab_size))
    if len(wrong):
        raise IndexError(
            f"{what} has id {int(row[wrong[0]])} at token {int(wrong[0])}: the model's vocabulary "
            f"has ids 0 to {config.vocab_size - 1}. Do the tokenizer and the model belong together?"
        )


def left_padded(rows: list[np.ndarray], pad_token_id: int) -> np.ndarray:
    """Rows of different lengths as one array (B, longest), padded on the left."""
    longest = max(map(len, rows), default=0)
    ids = np.full((len(rows), longest), pad_token_id, np.int64)
    for r, row in enumerate(rows):
        ids[r, longest - len(row) :] = row
    return ids


def as_ids(ids: Any, name: str) -> np.ndarray:
    """Ids of any form as int64 NumPy array; a transfer, if they lie on a GPU."""
    array = on_host(ids)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{name} must hold integer token ids, got {array.dtype}")
    return array.astype(np.int64)


def on_host(x: Any) -> np.ndarray:
    """A Tensor, an array of any device, or nested lists as a NumPy array."""
    if isinstance(x, Tensor):
        return x.numpy()
    try:
        device = device_of(x)
    except TypeError:  # no array: a list
        return np.asarray(x)
    return device.to_numpy(x)


def _is_ragged(ids: Any) -> bool:
    """Whether it is a list of lists of different lengths."""
    if not isinstance(ids, list | tuple) or not all(isinstance(row, list | tuple) for row in ids):
        return False
    return len({len(row) for row in ids}) > 1


def _read_mask(ids, attention_mask, pad_token_id, end_ids) -> np.ndarray:
    if attention_mask is None:
        if pad_token_id is None or pad_token_id in end_ids:
            return np.ones(ids.shape, bool)
        return ids != pad_token_id
    mask = on_host(attention_mask)
    if mask.shape != ids.shape:
        raise ValueError(f"attention_mask {mask.shape}: expected input_ids' shape {ids.shape}")
    return mask != 0

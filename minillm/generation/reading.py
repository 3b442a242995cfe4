"""Texts that grow, and what the model expects next in each.

The model reads at most `max_positions` tokens.  A longer text slides through a window.  Moving the
window by one token changes the position of every token in it, so all keys and values would have to
be computed again, for each new token.  Instead the window moves in jumps: when it is full, the
older half is forgotten, the younger half is read again from position 0, and there is room for as
many tokens until the next jump.  A token then costs two positions on average, however long the
text.  What the model sees depends on the text's length only: the same with and without a cache.
"""

from typing import Any

import numpy as np

from minillm.backend import get_device
from minillm.generation.cache import KeyValueCache
from minillm.generation.prompts import left_padded
from minillm.grad_mode import no_grad


def window_start(length, context: int):
    """How many tokens at the beginning of a text of `length` (number or array) are out of sight.

    0 up to the context's length; with one token more, all but the last context/2; and so on.
    """
    kept = max(1, context // 2)
    jump = context + 1 - kept
    return jump * np.maximum(0, -(-(length - context) // jump))


class Reader:
    """Rows of tokens, each the continuation of a prompt, and the model that reads them.

    prompts: a row of ids each.  Column t of all rows is written at the same time; the prompts end
    in the same column.
    """

    def __init__(self, model, prompts: list[np.ndarray], max_new_tokens: int, use_cache=True):
        self.model, self.use_cache = model, use_cache
        self.device = get_device(next(iter(model.parameters())).device)
        self.context = model.config.max_positions
        ids = left_padded(prompts, 0)
        self.prompt_end = self.end = ids.shape[1]
        self.first = self.end - np.array([len(prompt) for prompt in prompts])  # (B,)
        self.tokens = np.zeros((len(ids), self.end + max_new_tokens), np.int64)
        self.tokens[:, : self.end] = ids
        self.cache: KeyValueCache | None = None
        self._seen_from = self.first  # the first column that each row's keys in the cache are of
        self._mask = None  # (B, columns) on the device, where a row has padding

    def text(self, row: int) -> np.ndarray:
        """The tokens of a row so far, its prompt included."""
        return self.tokens[row, self.first[row] : self.end]

    def texts(self) -> list[np.ndarray]:
        return [self.text(row) for row in range(len(self.tokens))]

    def append(self, tokens: np.ndarray) -> None:
        """A token for each row."""
        self.tokens[:, self.end] = tokens
        self.end += 1

    def reorder(self, rows: np.ndarray) -> None:
        """Row i becomes a copy of what row rows[i] was."""
        if len(rows) == len(self.tokens) and (rows == np.arange(len(rows))).all():
            return
        self.tokens, self.first = self.tokens[rows], self.first[rows]
        self._seen_from = self._seen_from[rows]
        on_device = self.device.from_numpy(rows)
        if self._mask is not None:
            self._mask = self._mask[on_device]
        if self.cache is not None:
            self.cache.reorder(on_device)

    def logits(self) -> np.ndarray:
        """What the model expects next: (B, V) float64, on the host."""
        seen_from = self.first + window_start(self.end - self.first, self.context)
        begin = int(seen_from.min())
        if self.cache is None or (seen_from != self._seen_from).any():  # read all of it (again)
            self._seen_from = seen_from
            self._make_mask(begin)
            new = slice(begin, self.end)
            if self.use_cache:
                room = min(self.tokens.shape[1] - begin, self.context)
                self.cache = KeyValueCache(max_length=room)
        else:
            new = slice(self.end - 1, self.end)  # the rest is remembered
        inputs: dict[str, Any] = {}
        if self._mask is not None:
            positions = np.maximum(np.arange(new.start, new.stop) - seen_from[:, None], 0)
            inputs["position_ids"] = self.device.from_numpy(positions)
            inputs["attention_mask"] = self._mask[:, begin : self.end]
        ids = self.device.from_numpy(np.ascontiguousarray(self.tokens[:, new]))
        return next_logits(self.model, ids, cache=self.cache, last_only=True, **inputs)[:, -1]

    def _make_mask(self, begin: int) -> None:
        self._mask = None
        if (self._seen_from > begin).any():
            columns = np.arange(self.tokens.shape[1])
            self._mask = self.device.from_numpy(columns >= self._seen_from[:, None])


def next_logits(model, ids, **inputs) -> np.ndarray:
    """The model's logits (B, L or 1, V) as float64 NumPy array, without dropout and gradients.

    Raises FloatingPointError if they hold NaN: nothing can be chosen then.
    """
    was_training = model.training
    if was_training:
        model.eval()
    try:
        with no_grad():
            logits = model(ids, **inputs).logits.numpy().astype(np.float64)
    finally:
        if was_training:
            model.train()
    if np.isnan(logits).any():
        raise FloatingPointError(
            "the model's logits hold NaN, so no token can be chosen: its weights have diverged "
            "(or were never loaded)"
        )
    return logits

"""When is a text finished?  At an end token, or when a stop string has appeared in it."""

import codecs
from typing import Any

import numpy as np


class GrowingText:
    """The text of ids that come one by one, in pieces that don't change any more.

    A token of a byte-level tokenizer may end within a character: the character is held back until
    its last byte has come.  Bytes that are no UTF-8 become U+FFFD, as in `decode`.  All pieces and
    `finish()` together are `tokenizer.decode(ids)`.

    tokenizer: anything with `decode(ids)`, and if it is byte-level with
    `decode_bytes(ids, skip_special_tokens)`.
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._by_bytes = hasattr(tokenizer, "decode_bytes")
        self._context: list[
            int
        ] = []  # the ids of the last piece: what stands before a token counts
        self._pending: list[int] = []  # ids since then

    def push(self, id: int) -> str:
        """Add a token; the piece of text that is now certain, often one token's, sometimes ""."""
        if self._by_bytes:
            piece = self.tokenizer.decode_bytes([id], skip_special_tokens=True)
            return self._bytes.decode(piece)
        self._pending.append(id)
        piece = self._undecided()
        if not piece or piece.endswith("\ufffd"):
            return ""
        self._context, self._pending = self._pending, []
        return piece

    def finish(self) -> str:
        """What was held back."""
        return self._bytes.decode(b"", final=True) if self._by_bytes else self._undecided()

    def _undecided(self) -> str:
        before = self.tokenizer.decode(self._context)
        return self.tokenizer.decode(self._context + self._pending)[len(before) :]


class Endings:
    """Watches rows of new tokens: end tokens and stop strings.  Prompts don't count."""

    def __init__(self, end_ids: tuple[int, ...], stops: tuple[str, ...], tokenizer, rows: int):
        self.end_ids, self.stops, self.tokenizer = end_ids, stops, tokenizer
        self._end_ids = np.array(end_ids, np.int64)
        self._texts = [GrowingText(tokenizer) for _ in range(rows)] if stops else []
        self._tails = [""] * rows  # the end of each text: long enough to meet a stop string in it
        self._longest = max(map(len, stops), default=0)

    def reached(self, tokens: np.ndarray) -> np.ndarray:
        """Add a token to each row (B,); whether each row is finished now."""
        ended = (tokens[:, None] == self._end_ids).any(axis=1)
        for row, text in enumerate(self._texts):
            tail = self._tails[row] + text.push(int(tokens[row]))
            ended[row] |= any(stop in tail for stop in self.stops)
            self._tails[row] = tail[-self._longest :]
        return ended

    def reached_by(self, ids: np.ndarray) -> bool:
        """Whether these new tokens (n,), all but the last of which went on, are finished."""
        if ids[-1] in self.end_ids:
            return True
        return bool(self.stops) and any(s in self.tokenizer.decode(ids) for s in self.stops)

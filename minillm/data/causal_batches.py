"""Batches for a model that predicts the next token: windows cut from one long row of tokens.

The documents stand one after another, with an end-of-text token <e> before, between and behind
them:

    <e>  d d d d d  <e>  d d d  <e>  d d d d ...  <e>
              |_______ length _______|                a window may begin and end anywhere

So nothing is padded, no token is wasted, and the model learns how documents begin and end.  A
window may hold the end of one document and the beginning of another: that <e> stands between them
is all that the model is told.

`batch(step)` is a pure function of (seed, step): a run that is resumed at step 1000 asks for batch
1000 and gets what it would have got, without any state to save.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

from minillm.data.encoded import RELEASE_EVERY, EncodedCorpus
from minillm.data.masking import IGNORED

_WINDOW_STREAM = 4  # keeps the random numbers of different purposes apart


class TokenRow:
    """An encoded corpus as one row of ids, <e> d d d <e> d d <e>, of which slices can be taken:

        row = TokenRow(encoded, end_of_text=0)
        len(row)             # tokens + documents + 1
        row[1000:1128]       # int64 array

    end_of_text: the id of <e>; None: the documents follow each other without anything between.
    The row is never made as a whole: a slice reads its own tokens from the (memory-mapped) corpus.
    """

    def __init__(self, encoded: EncodedCorpus, end_of_text: int | None):
        self.tokens, self.end_of_text = encoded.tokens, end_of_text
        self.ends = np.zeros(0, np.int64)  # where <e> stands
        if end_of_text is not None:
            # Document d ends behind token t_d; before that stand t_d tokens and d + 1 times <e>.
            t = np.asarray(encoded.sentence_offsets[encoded.document_offsets], np.int64)
            self.ends = t + np.arange(len(t))  # t_0 = 0: the row begins with <e>

    def __len__(self) -> int:
        return len(self.tokens) + len(self.ends)

    def __getitem__(self, part: slice) -> np.ndarray:
        """The ids of a slice, int64.  Raises TypeError for anything but a slice."""
        if not isinstance(part, slice):
            raise TypeError(f"a slice row[a:b] was expected, got row[{part!r}]")
        start, stop, stride = part.indices(len(self))
        if stride != 1:
            raise ValueError(f"the step of a slice must be 1, got {stride}")
        stop = max(stop, start)
        first, last = np.searchsorted(self.ends, (start, stop))  # how many <e> stand before
        ids = np.empty(stop - start, np.int64)
        is_end = np.zeros(len(ids), bool)
        is_end[self.ends[first:last] - start] = True
        ids[~is_end] = self.tokens[start - first : stop - last]
        if self.end_of_text is not None:
            ids[is_end] = self.end_of_text
        return ids


class CausalBatches:
    """The batches of a pretraining run: random windows of the corpus.

        batches = CausalBatches(encoded, batch_size=32, length=128, seed=0, end_of_text=0)
        batches.batch(step)      # any step, for ever
        len(batches)             # so many batches have as many tokens as the corpus

    encoded: from `encode_corpus`, by whole documents.  length: tokens in a window.
    end_of_text: the id that stands between documents, tokenizer.token_to_id("<|endoftext|>");
    None for nothing.

    Raises ValueError for sizes below 1 (a window needs 2 tokens, to predict one from the other), a
    negative seed or id, and a corpus shorter than a window.
    """

    def __init__(
        self,
        encoded: EncodedCorpus,
        batch_size: int,
        length: int,
        seed: int = 0,
        *,
        end_of_text: int | None,
    ):
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("length", length, 2),
            ("seed", seed, 0),
            ("end_of_text", end_of_text or 0, 0),
        ):
            if value < least or value != int(value):
                raise ValueError(f"{name}={value}: a whole number from {least} was expected")
        self.encoded, self.row = encoded, TokenRow(encoded, end_of_text)
        self.batch_size, self.length, self.seed = batch_size, length, seed
        if len(self.row) < length:
            raise ValueError(
                f"{encoded.name} has {len(self.row):,} tokens, fewer than length={length}: take "
                "shorter windows, or more text"
            )
        settings = [encoded.digest, encoded.tokenizer_digest, batch_size, length, seed, end_of_text]
        #: Changes with everything that the batches depend on: a resumed run can compare it.
        self.fingerprint = hashlib.sha256(repr(settings).encode()).hexdigest()

    def __len__(self) -> int:
        return -(-len(self.row) // (self.batch_size * self.length))

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of a step from 0: input_ids and labels, both (batch_size, length), int64.

        They are equal: the model shifts the labels itself, so that each position is asked for the
        token behind it.
        """
        if step < 0:
            raise ValueError(f"step={step}: steps count from 0")
        if step % RELEASE_EVERY == 0:
            self.encoded.release()
        rng = np.random.default_rng([self.seed, _WINDOW_STREAM, step])
        starts = rng.integers(0, len(self.row) - self.length + 1, self.batch_size)
        ids = np.stack([self.row[start : start + self.length] for start in starts.tolist()])
        return {"input_ids": ids, "labels": ids.copy()}


def scoring_windows(
    ids, length: int, stride: int, batch_size: int = 32
) -> Iterator[dict[str, np.ndarray]]:
    """Windows that ask for each of ids[1:] exactly once: to measure, not to train.

        ids       0 1 2 3 4 5 6 7 8 9 ...
        window 0  0 1 2 3 4 5                 asked for 1 2 3 4 5
        window 1      . . . . 6 7             length 6, stride 2: four tokens are only context
        window 2          . . . . 8 9         (their label is -100)

    ids: a 1-d array or a `TokenRow`.  length: of a window (the last is moved back, so that it isn't
    shorter; a text shorter than one window makes a short one).  stride: from window to window, 1 to
    length - 1.  Each token sees at least the length - stride tokens before it, but for those of the
    first window.  A small stride gives more context and takes more time.

    Yields dicts of input_ids and labels, (up to batch_size, length), int64.
    Raises ValueError for a stride outside 1 .. length - 1, a batch_size below 1, or fewer than two
    ids: nothing can be asked then.
    """
    N = len(ids)
    if length < 2 or not 1 <= stride < length:
        raise ValueError(
            f"length={length}, stride={stride}: a length from 2 and a stride from 1 to length - 1 "
            "were expected, so that a token has at least one before it"
        )
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: a whole number from 1 was expected")
    if N < 2:
        raise ValueError(f"{N} tokens: at least two are needed, to predict one from the other")
    return _windows(ids, N, min(length, N), stride, batch_size)


def _windows(ids, N: int, length: int, stride: int, batch_size: int):
    starts = list(range(0, N - length, stride)) + [N - length]
    done = 1  # ids[:done] have been asked for, or can't be
    for i in range(0, len(starts), batch_size):
        group = starts[i : i + batch_size]
        inputs = np.stack([np.asarray(ids[a : a + length], dtype=np.int64) for a in group])
        labels = inputs.copy()
        for row, a in enumerate(group):
            labels[row, : done - a] = IGNORED
            done = a + length
        yield {"input_ids": inputs, "labels": labels}

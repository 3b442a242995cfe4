"""Batches of labelled texts: token ids of different lengths, padded to arrays.

    input_ids            7 4 9 2 0 0      labels  1
    attention_mask       1 1 1 1 0 0

`batch(i)` is a pure function of (seed, i): a run that is resumed at step 1000 asks for batch 1000
and gets what it would have got.  Each epoch holds every example once, in an order of its own.

Padding is computed for nothing, so a batch should hold texts of similar length, and yet be a
random sample.  So the shuffled epoch is cut into pools of 50 batches, each pool is sorted by
length and cut into batches, and the batches are shuffled again ("bucketing").
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

POOL = 50  # batches that are sorted by length together


class LabelledBatches:
    """The batches of texts that have been turned into ids.

        batches = LabelledBatches(ids, data.labels, batch_size=32, pad_id=tokenizer.pad_id)
        batches.batch(step)          # any step from 0, for ever
        for batch in batches: ...    # one epoch

    ids: for each text a list or 1-d array of token ids, truncated and with special tokens.
    labels: (N,) whole numbers, or None to predict.
    shuffle: a new order each epoch.  False: always the same, for prediction; `order` says which
    rows of `ids` the batches hold.
    bucket: texts of similar length share a batch.  Without it and without shuffle the texts come in
    the order given.
    pad_to: make all batches this long, else each is as long as its longest text.
    pad_left: padding before the text, not behind it.
    parts: hand out batch k in so many parts, as batch(parts * k) to batch(parts * k + parts - 1),
    for threads that share the work of an update.  A batch is dealt out like cards, so its parts
    have texts of similar length, and no thread waits long for another.  A part may be empty.

    Raises ValueError for no text at all, one without ids or longer than pad_to (the row is named),
    labels of another length, or a batch_size below 1.
    """

    def __init__(
        self,
        ids: Sequence,
        labels=None,
        batch_size: int = 32,
        *,
        pad_id: int = 0,
        seed: int = 0,
        shuffle: bool = True,
        bucket: bool = True,
        pad_to: int | None = None,
        pad_left: bool = False,
        parts: int = 1,
    ):
        if parts < 1 or parts != int(parts):
            raise ValueError(f"parts={parts}: a whole number from 1 was expected")
        if batch_size < 1 or batch_size != int(batch_size):
            raise ValueError(f"batch_size={batch_size}: a whole number from 1 was expected")
        if seed < 0:
            raise ValueError(f"seed={seed}: a whole number from 0 was expected")
        self.ids = [_whole_numbers(row, i) for i, row in enumerate(ids)]
        if not self.ids:
            raise ValueError("there is no text to make batches of")
        self.lengths = np.array([len(row) for row in self.ids])
        if pad_to is not None and self.lengths.max() > pad_to:
            i = int(np.argmax(self.lengths > pad_to))
            raise ValueError(
                f"text {i} has {self.lengths[i]} ids, more than pad_to={pad_to}: truncate it first"
            )
        self.labels = None if labels is None else np.asarray(labels)
        if self.labels is not None:
            if self.labels.shape != (len(self.ids),):
                raise ValueError(
                    f"labels of shape {self.labels.shape} for {len(self.ids)} texts: one for each "
                    "was expected"
                )
            if self.labels.dtype.kind not in "iu":
                raise TypeError(f"labels are {self.labels.dtype}, whole numbers were expected")
            self.labels = self.labels.astype(np.int64)
        self.batch_size, self.pad_id, self.seed = int(batch_size), pad_id, seed
        self.shuffle, self.bucket = shuffle, bucket
        self.pad_to, self.pad_left = pad_to, pad_left
        self.parts = int(parts)
        self.batches_per_epoch = -(-len(self.ids) // self.batch_size) * self.parts
        self._order_of_epoch: tuple[int, np.ndarray] | None = None

        digest = hashlib.sha256()
        for row in (self.lengths, *self.ids, () if self.labels is None else self.labels):
            digest.update(np.asarray(row, dtype="<i8").tobytes())
        settings = [labels is None, self.batch_size, pad_id, seed, shuffle, bucket, pad_to]
        digest.update(repr([*settings, pad_left, parts]).encode())
        #: Changes with everything that the batches depend on: a resumed run can compare it.
        self.fingerprint = digest.hexdigest()

    def __len__(self) -> int:
        return self.batches_per_epoch

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """The batches of epoch 0."""
        return (self.batch(i) for i in range(self.batches_per_epoch))

    @property
    def order(self) -> np.ndarray:
        """(N,): the rows of `ids` in the order in which epoch 0 has them (without shuffle: each).

        predictions[batches.order] = outputs of all batches, one after the other.
        """
        return np.concatenate([self.rows(i) for i in range(self.batches_per_epoch)])

    def rows(self, i: int) -> np.ndarray:
        """Which rows of `ids` batch `i` holds."""
        if i < 0:
            raise ValueError(f"batch {i}: batches count from 0")
        epoch, place = divmod(i, self.batches_per_epoch)
        place, part = divmod(place, self.parts)
        batch = self._order(epoch)[place * self.batch_size : (place + 1) * self.batch_size]
        return batch[part :: self.parts]

    def batch(self, i: int) -> dict[str, np.ndarray]:
        """Batch `i` from 0, of epoch i // batches_per_epoch; the last of an epoch may be smaller.

        input_ids (B, L) int64; attention_mask (B, L) int64, 1 for ids and 0 for padding; labels
        (B,) int64, if there are any.
        """
        rows = self.rows(i)
        lengths = self.lengths[rows]
        width = int(lengths.max(initial=1)) if self.pad_to is None else self.pad_to
        position = np.arange(width)
        if self.pad_left:
            is_token = position >= width - lengths[:, None]
        else:
            is_token = position < lengths[:, None]
        input_ids = np.full((len(rows), width), self.pad_id, dtype=np.int64)
        if len(rows):
            input_ids[is_token] = np.concatenate([self.ids[row] for row in rows])
        batch = {"input_ids": input_ids, "attention_mask": is_token.astype(np.int64)}
        if self.labels is not None:
            batch["labels"] = self.labels[rows]
        return batch

    def _order(self, epoch: int) -> np.ndarray:
        """The epoch's order of rows; the last one is kept, the next step mostly asks for it."""
        if not self.shuffle:
            epoch = 0
        if self._order_of_epoch is None or self._order_of_epoch[0] != epoch:
            self._order_of_epoch = epoch, self._make_order(epoch)
        return self._order_of_epoch[1]

    def _make_order(self, epoch: int) -> np.ndarray:
        n, size = len(self.ids), self.batch_size
        if not self.shuffle:
            return np.argsort(self.lengths, kind="stable") if self.bucket else np.arange(n)
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(n)
        if not self.bucket:
            return order
        # The rest that fills no batch comes last.
        full, rest = order[: n - n % size], order[n - n % size :]
        pool = np.arange(len(full)) // (POOL * size)
        full = full[np.lexsort((self.lengths[full], pool))]
        full = rng.permutation(full.reshape(-1, size), axis=0).reshape(-1)
        return np.concatenate([full, rest])


def _whole_numbers(row, i: int) -> np.ndarray:
    array = np.asarray(row)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"text {i} has no ids" if array.size == 0 else f"text {i}: a row of ids was expected"
        )
    if array.dtype.kind not in "iu":
        raise TypeError(f"the ids of text {i} are {array.dtype}, whole numbers were expected")
    return array

"""Batches for BERT's pretraining: pairs, masked, padded, as arrays that a model takes.

    input_ids            [CLS]  a a a  [SEP]  b b b  [SEP]  [PAD] ...
    token_type_ids         0    0 0 0    0    1 1 1    1      0
    attention_mask         1    1 1 1    1    1 1 1    1      0

`batch(step)` is a pure function of (seed, step): a run that is resumed at step 1000 asks for batch
1000 and gets what it would have got, without any state to save.  Every epoch pairs, shuffles and
masks anew.

A batch is padded to its longest sequence, so it should hold sequences of similar length, and yet be
a random sample.  So the shuffled epoch is cut into windows of `window` batches, the sequences are
sorted by length within their window, cut into batches there, and the batches are shuffled again.

A large corpus is planned section by section (see sections.py), so that neither the memory nor the
wait for the first batch grows with it.

Every batch holds true and random pairs in equal parts.  With labels as they fall, the first thing
that a small network could learn about next sentences is which label this batch has more of.  In
short runs next sentences stayed near 50 % with such batches and rose to 58 % with balanced ones.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

from minillm.data.encoded import RELEASE_EVERY, EncodedCorpus, tokenizer_digest
from minillm.data.masking import Masking, special_ids
from minillm.data.pairs import SPECIAL_TOKENS_IN_PAIR, PairPlan, plan_pairs
from minillm.data.sections import Sections

_ORDER_STREAM, _MASK_STREAM = 2, 3  # keep the random numbers of different purposes apart


class PretrainingBatches:
    """The batches of a pretraining run over an encoded corpus.

        batches = PretrainingBatches(encoded, tokenizer, batch_size=64, max_length=128, seed=0)
        batches.batch(step)          # any step, for ever: step // len(batches) is the epoch
        for batch in batches: ...    # one epoch, each pair once, always the same: for validation

    encoded: from `encode_corpus`, with the same tokenizer.  max_length: with special tokens.
    mask_probability, replace, whole_words: see `Masking`; replace=(1, 0, 0) to measure.
    short_seq_prob, contrast: see `plan_pairs`; with contrast, pairs that belong together share a
    batch.
    pad_to_multiple_of: make the length of each batch a multiple of this number (8 suits GPUs).
    window: how many batches are sorted by length together; 1: no sorting.

    Raises ValueError for a corpus that is too small or was encoded by another tokenizer, a
    batch_size larger than the number of pairs, and what `plan_pairs` and `Masking` refuse.
    """

    def __init__(
        self,
        encoded: EncodedCorpus,
        tokenizer,
        batch_size: int,
        max_length: int,
        seed: int = 0,
        mask_probability: float = 0.15,
        replace: tuple[float, float, float] = (0.8, 0.1, 0.1),
        whole_words: bool = False,
        short_seq_prob: float = 0.1,
        contrast: bool = False,
        pad_to_multiple_of: int | None = None,
        window: int = 50,
    ):
        for name, value in (
            ("batch_size", batch_size),
            ("max_length", max_length),
            ("pad_to_multiple_of", 1 if pad_to_multiple_of is None else pad_to_multiple_of),
            ("window", window),
        ):
            if value < 1 or value != int(value):
                raise ValueError(f"{name}={value}: a whole number from 1 was expected")
        if seed < 0:
            raise ValueError(f"seed={seed}: a whole number from 0 was expected")
        self.special_ids = special_ids(tokenizer)
        self.masking = Masking(tokenizer, mask_probability, replace, whole_words)
        digest = tokenizer_digest(tokenizer)
        if encoded.tokenizer_digest and encoded.tokenizer_digest != digest:
            raise ValueError(
                f"{encoded.name} was encoded by another tokenizer than this one: encode it again "
                "with encode_corpus(corpus, tokenizer, ...)"
            )
        self.encoded = encoded
        self.batch_size, self.max_length, self.seed = batch_size, max_length, seed
        self.short_seq_prob, self.contrast = short_seq_prob, contrast
        if contrast and batch_size % 4:
            raise ValueError(
                f"batch_size={batch_size}: with contrast=True pairs come in fours, so it must be "
                "a multiple of 4"
            )
        self.pad_to_multiple_of = pad_to_multiple_of
        self.window = window
        self.sections = Sections(encoded)
        first = self._plan(0, 0)
        self.steps_per_section = -(-len(first) // batch_size)
        #: Of epoch 0; others have about as many.  (Of several sections: as if all had as many as
        #: the first.)
        self.pair_count = len(first) * self.sections.count
        if batch_size > self.pair_count:
            raise ValueError(
                f"batch_size={batch_size}, but {encoded.name} makes only {self.pair_count} "
                "sentence pairs: take a smaller batch, or more text"
            )
        settings = [
            encoded.digest,
            digest,
            batch_size,
            max_length,
            seed,
            self.masking.mask_probability,
        ]
        settings += [*self.masking.replace, whole_words, short_seq_prob, contrast]
        settings += [pad_to_multiple_of, window]
        if self.sections.count > 1:
            settings += ["sections", self.sections.count]
        rows = self._rows(first, 0, 0)
        self._planned: tuple[tuple[int, int], PairPlan, np.ndarray] = (0, 0), first, rows
        #: Changes with everything that the batches depend on: a resumed run can compare it.
        self.fingerprint = hashlib.sha256(repr(settings).encode()).hexdigest()

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch: as many as epoch 0 needs to use each of its pairs.

        Of a corpus in sections: as many as if each section had as many pairs as the first.
        """
        return self.steps_per_section * self.sections.count

    def __len__(self) -> int:
        return self.steps_per_epoch

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of a step from 0: arrays [batch, length], int64, of these names:

        input_ids, token_type_ids, attention_mask (1 for tokens, 0 for padding), labels (the
        original id where it is asked for, else -100), next_sentence_label [batch] (0: B follows A,
        1: B is from another document).
        """
        if step < 0:
            raise ValueError(f"step={step}: steps count from 0")
        if step % RELEASE_EVERY == 0:
            self.encoded.release()
        epoch, i = divmod(step, self.steps_per_epoch)
        section, i = divmod(i, self.steps_per_section)
        plan, rows = self._section(epoch, section)
        return self._collate(plan, rows[i], step)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """The batches of epoch 0, each pair exactly once: the last batch may be smaller.

        (The last of each section.  Sections differ by a few pairs: `len` is about right then.)
        """
        step = 0
        for section in range(self.sections.count):
            plan = self._plan(0, section)
            full, last = self._shuffle(plan, 0, section)
            for rows in [*full, last]:
                yield self._collate(plan, rows, step)
                step += 1

    def _section(self, epoch: int, section: int) -> tuple[PairPlan, np.ndarray]:
        """The section's pairs, and which of them make up which batch; the last asked for is kept.

        (Two threads may ask for two sections at the same time: each gets its own.)
        """
        planned = self._planned
        if planned[0] != (epoch, section):
            plan = self._plan(epoch, section)
            rows = self._rows(plan, epoch, section)
            planned = self._planned = (epoch, section), plan, rows
        return planned[1:]

    def _plan(self, epoch: int, section: int) -> PairPlan:
        return plan_pairs(
            *(self.encoded, self.max_length, self.seed, epoch),
            *(self.short_seq_prob, self.contrast),
            *(self.sections.documents(self.seed, epoch, section), section),
        )

    def _rows(self, plan: PairPlan, epoch: int, section: int) -> np.ndarray:
        """Which pairs make up which batch: [steps_per_section, batch_size].

        The last batch is filled up from the beginning, and so is an epoch (a section) with a few
        pairs less than the first; of one with more, a random few are left out.
        """
        full, last = self._shuffle(plan, epoch, section, self.steps_per_section * self.batch_size)
        return np.concatenate([full, last[None]])

    def _shuffle(
        self, plan: PairPlan, epoch: int, section: int, pairs: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The pairs of all batches but the last, [steps - 1, batch_size], and of the last one.

        pairs: so many, repeated or left out; None: each once.
        """
        stream = [self.seed, _ORDER_STREAM, epoch, *([section] if section else [])]
        rng = np.random.default_rng(stream)
        # Units are shuffled: single pairs, or the four that belong together.
        unit = 4 if self.contrast else 1
        per_batch = self.batch_size // unit
        length = (plan.a_length + plan.b_length).reshape(-1, unit).max(axis=1)
        label = plan.next_sentence_label.reshape(-1, unit)[:, 0]
        units = rng.permutation(len(length))
        if pairs is not None:
            units = np.resize(units, pairs // unit)
        place = np.arange(len(units))
        units = units[_alternating(label[units], place, np.zeros_like(place))]
        full, last = np.split(units, [(len(units) - 1) // per_batch * per_batch])
        if self.window > 1:
            window = place[: len(full)] // (self.window * per_batch)
            full = full[_alternating(label[full], length[full], window)]
        full = rng.permutation(full.reshape(-1, per_batch), axis=0)

        def in_pairs(units: np.ndarray) -> np.ndarray:
            pairs = units[..., None] * unit + np.arange(unit)
            return pairs.reshape(*units.shape[:-1], units.shape[-1] * unit)

        return in_pairs(full), in_pairs(last)

    def _collate(self, plan: PairPlan, rows: np.ndarray, step: int) -> dict[str, np.ndarray]:
        tokens, special = np.asarray(self.encoded.tokens), self.special_ids
        lengths = plan.a_length[rows] + plan.b_length[rows] + SPECIAL_TOKENS_IN_PAIR
        width = int(lengths.max())
        if self.pad_to_multiple_of is not None:
            width = -(-width // self.pad_to_multiple_of) * self.pad_to_multiple_of

        ids = np.full((len(rows), width), special["[PAD]"], dtype=np.int64)
        position = np.arange(width)
        b_begins = plan.a_length[rows, None] + 2  # behind [CLS] A [SEP]
        is_token = position < lengths[:, None]
        is_b = is_token & (position >= b_begins)
        ids[:, 0] = special["[CLS]"]
        for i, row in enumerate(rows):
            a, a_length = plan.a_start[row], plan.a_length[row]
            b, b_length = plan.b_start[row], plan.b_length[row]
            ids[i, 1 : a_length + 1] = tokens[a : a + a_length]
            ids[i, a_length + 1] = special["[SEP]"]
            ids[i, a_length + 2 : a_length + 2 + b_length] = tokens[b : b + b_length]
            ids[i, a_length + 2 + b_length] = special["[SEP]"]

        rng = np.random.default_rng([self.seed, _MASK_STREAM, step])
        input_ids, labels = self.masking(ids, rng)
        return {
            "input_ids": input_ids,
            "token_type_ids": is_b.astype(np.int64),
            "attention_mask": is_token.astype(np.int64),
            "labels": labels,
            "next_sentence_label": plan.next_sentence_label[rows],
        }


def _alternating(label, key, window) -> np.ndarray:
    """An order in which, within each window, `key` rises and the labels (0, 1) are mixed evenly.

    The k-th smallest of the n keys with its label comes at (k + 1/2) / n of the way.
    """
    order = np.lexsort((key, label, window))
    group = 2 * window[order] + label[order]
    _, start, size = np.unique(group, return_index=True, return_counts=True)
    k = np.arange(len(order)) - np.repeat(start, size)
    way = (k + 0.5) / np.repeat(size, size)
    return order[np.lexsort((way, window[order]))]

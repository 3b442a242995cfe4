"""Batches: what a model takes, a pure function of (seed, step), each pair once in an epoch."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.data import EncodedCorpus, Masking, PretrainingBatches, encode_corpus, plan_pairs
from minillm.text import WordPieceTokenizer

KEYS = {"input_ids", "token_type_ids", "attention_mask", "labels", "next_sentence_label"}


@pytest.fixture(scope="session")
def encoded(documents, tokenizer, tmp_path_factory) -> EncodedCorpus:
    return encode_corpus(documents, tokenizer, tmp_path_factory.mktemp("cache"), progress=False)


@pytest.fixture(scope="session")
def make(encoded, tokenizer):
    """A function: settings -> PretrainingBatches."""

    def make(batch_size=8, max_length=48, **settings):
        return PretrainingBatches(encoded, tokenizer, batch_size, max_length, **settings)

    return make


def assert_equal(one, other):
    assert one.keys() == other.keys() == KEYS
    for key in KEYS:
        np.testing.assert_array_equal(one[key], other[key])


def unmasked(batch):
    return np.where(batch["labels"] != -100, batch["labels"], batch["input_ids"])


def segments(batch, tokenizer):
    """The pairs (A, B, label) of a batch as tuples of ids, read back from its arrays."""
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    rows = []
    for ids, types, attention, label in zip(
        unmasked(batch),
        batch["token_type_ids"],
        batch["attention_mask"],
        batch["next_sentence_label"],
        strict=True,
    ):
        a = ids[(attention == 1) & (types == 0)].tolist()
        b = ids[(attention == 1) & (types == 1)].tolist()
        assert a[0] == cls and a[-1] == sep and b[-1] == sep
        assert ids[: len(a) + len(b)].tolist() == a + b  # A, B, then padding
        rows.append((tuple(a[1:-1]), tuple(b[:-1]), int(label)))
    return rows


def planned(encoded, plan):
    return [
        (
            tuple(encoded.tokens[a : a + la].tolist()),
            tuple(encoded.tokens[b : b + lb].tolist()),
            int(label),
        )
        for a, la, b, lb, label in zip(
            plan.a_start,
            plan.a_length,
            plan.b_start,
            plan.b_length,
            plan.next_sentence_label,
            strict=True,
        )
    ]


@settings(deadline=None)
@given(
    step=st.integers(0, 400),
    multiple=st.sampled_from([None, 8]),
    whole_words=st.booleans(),
    replace=st.sampled_from([(0.8, 0.1, 0.1), (1.0, 0.0, 0.0)]),
)
def test_a_batch_is_well_formed(make, tokenizer, step, multiple, whole_words, replace):
    batches = make(replace=replace, whole_words=whole_words, pad_to_multiple_of=multiple)
    batch = batches.batch(step)
    shape = batch["input_ids"].shape
    assert batch.keys() == KEYS
    assert shape[0] == 8 and batch["next_sentence_label"].shape == (8,)
    assert all(batch[key].shape == shape for key in KEYS - {"next_sentence_label"})
    assert all(array.dtype == np.int64 for array in batch.values())

    lengths = batch["attention_mask"].sum(axis=1)
    widest = lengths.max()
    assert widest <= 48
    assert shape[1] == (widest if multiple is None else -(-widest // 8) * 8)
    padding = batch["attention_mask"] == 0
    assert np.all(batch["input_ids"][padding] == tokenizer.token_to_id("[PAD]"))
    assert np.all(batch["labels"][padding] == -100)
    assert np.all(batch["token_type_ids"][padding] == 0)
    ids = batch["input_ids"]
    assert ids.min() >= 0 and ids.max() < tokenizer.get_vocab_size()
    special = np.isin(unmasked(batch), list(batches.special_ids.values()))
    assert np.all(batch["labels"][special] == -100)
    for row in range(8):
        n, chosen = int((~special[row]).sum()), int((batch["labels"][row] != -100).sum())
        expected = max(1, round(0.15 * n))
        assert chosen >= expected if whole_words else chosen == expected
        assert n == lengths[row] - 3


def test_one_pass_gives_each_planned_pair_once(make, encoded, tokenizer):
    for batch_size in (1, 7, 8, 1000):
        plan = plan_pairs(encoded, 48, seed=3)
        batches = make(min(batch_size, len(plan)), seed=3)
        seen = [pair for batch in batches for pair in segments(batch, tokenizer)]
        assert sorted(seen) == sorted(planned(encoded, plan))
        assert len(batches) == batches.steps_per_epoch == sum(1 for _ in batches)


@pytest.mark.parametrize("contrast", [False, True])
def test_one_pass_gives_each_pair_once_whatever_the_labels_of_the_last_batch(make, contrast):
    for seed in range(20):
        batches = make(batch_size=16, seed=seed, contrast=contrast)
        full, last = batches._shuffle(batches._plan(0, 0), 0, 0)
        rows = [*full.ravel().tolist(), *last.tolist()]
        assert sorted(rows) == list(range(batches.pair_count))


def test_every_epoch_uses_all_its_pairs_in_another_order(make, encoded, tokenizer):
    batches = make(seed=1)
    n = len(batches)
    for epoch in (0, 1, 2):
        plan = plan_pairs(encoded, 48, seed=1, epoch=epoch)
        expected = set(planned(encoded, plan))
        seen = [
            pair
            for step in range(epoch * n, (epoch + 1) * n)
            for pair in segments(batches.batch(step), tokenizer)
        ]
        assert set(seen) <= expected
        # An epoch with more pairs than epoch 0 leaves those out that don't fit in the batches.
        assert len(set(seen)) >= min(len(expected), n * 8) - 1
    assert np.any(segments(batches.batch(0), tokenizer) != segments(batches.batch(n), tokenizer))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=5), st.integers(0, 2**31))
def test_a_batch_does_not_depend_on_what_was_asked_before(make, steps, seed):
    """What a resumed run needs: batch(step) of a new object, in any order, is the same."""
    used = make(seed=seed)
    for step in steps:
        assert_equal(used.batch(step), make(seed=seed).batch(step))


def test_validation_is_the_same_every_time(make):
    one = make(replace=(1, 0, 0))
    one.batch(100)
    first, second, fresh = list(one), list(one), list(make(replace=(1, 0, 0)))
    for a, b, c in zip(first, second, fresh, strict=True):
        assert_equal(a, b)
        assert_equal(a, c)
        chosen = a["labels"] != -100
        assert np.all(a["input_ids"][chosen] == one.special_ids["[MASK]"])


def test_masks_and_order_are_drawn_anew_for_every_step_epoch_and_seed(tokenizer):
    """Shown on documents of sentences of one length, where nothing else differs."""
    encoded = EncodedCorpus(
        tokens=np.resize(Masking(tokenizer).ordinary_ids, 50 * 100),
        sentence_offsets=np.arange(501) * 10,
        document_offsets=np.arange(51) * 10,
        document_keys=np.arange(50),
    )
    masks, orders = set(), set()
    for seed in (0, 1):
        batches = PretrainingBatches(encoded, tokenizer, 8, 23, seed, short_seq_prob=0)
        n = len(batches)
        for step in (0, 1, n, n + 1):
            labels = batches.batch(step)["labels"]
            assert labels.shape == (8, 23)
            masks.add((labels != -100).tobytes())
        orders |= {batches._section(epoch, 0)[1].tobytes() for epoch in (0, 1)}
    assert len(masks) == 8
    assert len(orders) == 4


def test_sequences_of_similar_length_share_a_batch(make):
    def fill(**settings):
        batches = list(itertools.islice(make(max_length=128, **settings), 20))
        return sum(b["attention_mask"].sum() for b in batches) / sum(
            b["attention_mask"].size for b in batches
        )

    assert fill(window=50) > 0.9 > fill(window=1)


def test_length_does_not_order_the_steps(make):
    """Batches are shuffled after sorting: an epoch begins with no shorter ones than it ends."""
    batches = make(max_length=128, batch_size=2, window=10_000)
    width = np.array([batches.batch(step)["input_ids"].shape[1] for step in range(len(batches))])
    step = np.arange(len(width))
    assert abs(np.corrcoef(step, width)[0, 1]) < 5 / len(width) ** 0.5


def test_both_labels_are_in_equal_number(make):
    labels = np.concatenate([batch["next_sentence_label"] for batch in make()])
    assert abs(labels.mean() - 0.5) < 0.02


def test_the_fingerprint_follows_everything_that_a_batch_depends_on(make):
    changes = [{}, {"seed": 1}, {"batch_size": 4}, {"max_length": 32}, {"mask_probability": 0.3}]
    changes += [{"whole_words": True}, {"replace": (1, 0, 0)}, {"window": 3}]
    changes += [{"short_seq_prob": 0.2}, {"pad_to_multiple_of": 8}]
    assert len({make(**change).fingerprint for change in changes}) == len(changes)
    assert make().fingerprint == make().fingerprint


def test_another_tokenizer_is_refused(documents, encoded):
    other = WordPieceTokenizer.train(documents, vocab_size=100, show_progress=False)
    with pytest.raises(ValueError, match="encoded by another tokenizer"):
        PretrainingBatches(encoded, other, 8, 48)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"batch_size": 100_000}, "batch_size=100000, but .* makes only .* sentence pairs"),
        ({"batch_size": 0}, "batch_size=0: a whole number from 1"),
        ({"max_length": 4}, "max_length=4 is too small"),
        ({"seed": -1}, "seed=-1"),
        ({"mask_probability": 1.5}, "mask_probability=1.5"),
        ({"replace": (0.5, 0.1, 0.1)}, "adds up to 0.7"),
        ({"short_seq_prob": 2}, "short_seq_prob=2"),
        ({"window": 0}, "window=0"),
        ({"pad_to_multiple_of": 0}, "pad_to_multiple_of=0"),
    ],
)
def test_impossible_settings_are_refused(make, settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_a_step_below_zero_is_refused(make):
    with pytest.raises(ValueError, match="step=-1"):
        make().batch(-1)


def test_a_corpus_too_small_is_refused(tokenizer, tmp_path):
    encoded = encode_corpus(["A film. The end."], tokenizer, tmp_path, progress=False)
    with pytest.raises(ValueError, match="too small for sentence pairs"):
        PretrainingBatches(encoded, tokenizer, 1, 32)


def test_every_batch_holds_both_labels_in_equal_parts(make):
    for contrast in (False, True):
        batches = make(batch_size=8, contrast=contrast)
        for step in range(len(batches) - 1):  # the last one is filled up
            label = batches.batch(step)["next_sentence_label"]
            assert abs(int(label.sum()) - 4) <= (0 if contrast else 1)


def test_contrast_keeps_the_four_that_belong_together_in_one_batch(make):
    batch = make(batch_size=8, contrast=True, mask_probability=0.0).batch(3)
    for k in (0, 4):
        assert batch["next_sentence_label"][k : k + 4].tolist() == [0, 0, 1, 1]


def test_contrast_needs_batches_of_fours(make):
    with pytest.raises(ValueError, match="batch_size=6: with contrast=True"):
        make(batch_size=6, contrast=True)

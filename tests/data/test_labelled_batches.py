"""Each epoch holds every text once, whole, with its label; a batch depends on its number alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data import LabelledBatches

PAD = 0


def make_ids(lengths) -> list[np.ndarray]:
    """Texts whose first id tells which one it is (from 1), the rest being 7, 8, ..."""
    return [np.r_[1000 + i, np.arange(length - 1) + 7] for i, length in enumerate(lengths)]


def unpadded(batch) -> list[list[int]]:
    rows = zip(batch["input_ids"], batch["attention_mask"], strict=True)
    return [ids[mask == 1].tolist() for ids, mask in rows]


SETTINGS = {
    "lengths": st.lists(st.integers(1, 30), min_size=1, max_size=60),
    "batch_size": st.integers(1, 12),
    "shuffle": st.booleans(),
    "bucket": st.booleans(),
    "pad_left": st.booleans(),
    "pad_to": st.sampled_from([None, 30]),
    "parts": st.integers(1, 3),
    "seed": st.integers(0, 2**32),
}


@given(**SETTINGS, epoch=st.integers(0, 3))
def test_an_epoch_holds_each_text_once_with_its_label(lengths, epoch, **settings):
    ids, labels = make_ids(lengths), np.arange(len(lengths)) % 3
    batches = LabelledBatches(ids, labels, pad_id=PAD, **settings)
    seen = []
    for i in range(len(batches)):
        batch = batches.batch(epoch * batches.batches_per_epoch + i)
        texts = unpadded(batch)
        rows = [text[0] - 1000 for text in texts]
        assert texts == [ids[row].tolist() for row in rows]
        assert batch["labels"].tolist() == labels[rows].tolist()
        assert (batch["input_ids"][batch["attention_mask"] == 0] == PAD).all()
        assert {array.dtype for array in batch.values()} == {np.dtype(np.int64)}
        width = settings["pad_to"] or max(map(len, texts), default=1)
        assert batch["input_ids"].shape == batch["attention_mask"].shape == (len(texts), width)
        # padding only at one end: the mask never goes up (left: never down)
        steps = np.diff(batch["attention_mask"], axis=1)
        assert (steps >= 0).all() if settings["pad_left"] else (steps <= 0).all()
        seen += rows
    assert sorted(seen) == list(range(len(ids)))


@given(**SETTINGS, i=st.integers(0, 100), others=st.lists(st.integers(0, 100)))
def test_a_batch_depends_on_its_number_alone(lengths, i, others, **settings):
    ids = make_ids(lengths)
    fresh = LabelledBatches(ids, None, **settings).batch(i)
    used = LabelledBatches(ids, None, **settings)
    for other in others:
        used.batch(other)
    again = used.batch(i)
    assert again.keys() == fresh.keys() == {"input_ids", "attention_mask"}
    assert all((again[name] == fresh[name]).all() for name in fresh)


@given(**SETTINGS)
def test_all_batches_are_full_but_the_last(lengths, **settings):
    settings["parts"] = 1
    batches = LabelledBatches(make_ids(lengths), None, **settings)
    sizes = [len(batch["input_ids"]) for batch in batches]
    assert all(size == settings["batch_size"] for size in sizes[:-1])
    assert 1 <= sizes[-1] <= settings["batch_size"]


@given(lengths=SETTINGS["lengths"], parts=st.integers(1, 4), size=st.integers(1, 12))
def test_parts_of_a_batch_are_the_batch(lengths, parts, size):
    ids = make_ids(lengths)
    whole, divided = LabelledBatches(ids, None, size), LabelledBatches(ids, None, size, parts=parts)
    assert divided.batches_per_epoch == parts * whole.batches_per_epoch
    for i in range(len(whole)):
        rows = [divided.rows(parts * i + part) for part in range(parts)]
        assert sorted(np.concatenate(rows)) == sorted(whole.rows(i))
        assert max(map(len, rows)) - min(map(len, rows)) <= 1


@given(lengths=SETTINGS["lengths"], size=st.integers(1, 12), bucket=st.booleans())
def test_predictions_find_back_to_their_texts(lengths, size, bucket):
    batches = LabelledBatches(make_ids(lengths), None, size, shuffle=False, bucket=bucket)
    outputs = np.concatenate([batch["input_ids"][:, 0] for batch in batches])
    predictions = np.empty(len(lengths), dtype=int)
    predictions[batches.order] = outputs
    assert predictions.tolist() == [1000 + i for i in range(len(lengths))]
    if not bucket:
        assert batches.order.tolist() == list(range(len(lengths)))
    assert (batches.rows(0) == batches.rows(batches.batches_per_epoch)).all()


def test_epochs_and_seeds_have_orders_of_their_own():
    ids = make_ids(range(1, 101))
    batches = LabelledBatches(ids, None, 10)
    epochs = [np.concatenate([batches.rows(10 * e + i) for i in range(10)]) for e in range(5)]
    orders = [*epochs, LabelledBatches(ids, None, 10, seed=1).order]
    assert len({tuple(order) for order in orders}) == 6


def test_bucketing_saves_padding_and_keeps_lengths_in_random_order():
    lengths = np.random.default_rng(0).integers(1, 200, size=3200)
    ids = make_ids(lengths)

    def padding(**settings):
        return sum((b["attention_mask"] == 0).sum() for b in LabelledBatches(ids, None, **settings))

    assert padding(bucket=True) < 0.1 * padding(bucket=False)
    widths = [batch["input_ids"].shape[1] for batch in LabelledBatches(ids, None)]
    assert abs(np.corrcoef(np.arange(100), widths)[0, 1]) < 0.4  # not from short to long


def test_a_padded_batch_by_hand():
    ids = [[5, 6, 7], [8]]
    batch = LabelledBatches(ids, [1, 0], shuffle=False, bucket=False, pad_id=9).batch(0)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [1, 0]
    batch = LabelledBatches(ids, shuffle=False, bucket=False, pad_to=4, pad_left=True).batch(0)
    assert batch["input_ids"].tolist() == [[0, 5, 6, 7], [0, 0, 0, 8]]
    assert batch["attention_mask"].tolist() == [[0, 1, 1, 1], [0, 0, 0, 1]]


def test_the_fingerprint_changes_with_everything():
    ids, labels = [[1, 2], [3]], [0, 1]
    variants = [
        LabelledBatches(ids, labels),
        LabelledBatches([[1], [2, 3]], labels),
        LabelledBatches(ids, [1, 0]),
        LabelledBatches(ids),
        LabelledBatches(ids, labels, 16),
        LabelledBatches(ids, labels, pad_id=1),
        LabelledBatches(ids, labels, seed=1),
        LabelledBatches(ids, labels, shuffle=False),
        LabelledBatches(ids, labels, bucket=False),
        LabelledBatches(ids, labels, pad_to=2),
        LabelledBatches(ids, labels, pad_left=True),
        LabelledBatches(ids, labels, parts=2),
    ]
    assert len({batches.fingerprint for batches in variants}) == len(variants)
    assert LabelledBatches(ids, labels).fingerprint == variants[0].fingerprint


@pytest.mark.parametrize(
    "ids, labels, settings, error, message",
    [
        ([], [], {}, ValueError, "no text to make batches of"),
        ([[1], []], None, {}, ValueError, "text 1 has no ids"),
        ([[1], [1.5]], None, {}, TypeError, "ids of text 1 are float64"),
        ([[[1]]], None, {}, ValueError, "text 0: a row of ids"),
        ([[1], [1, 2]], None, {"pad_to": 1}, ValueError, "text 1 has 2 ids, more than pad_to=1"),
        ([[1], [2]], [1], {}, ValueError, r"labels of shape \(1,\) for 2 texts"),
        ([[1]], [0.5], {}, TypeError, "labels are float64"),
        ([[1]], None, {"batch_size": 0}, ValueError, "batch_size=0"),
        ([[1]], None, {"parts": 0}, ValueError, "parts=0"),
        ([[1]], None, {"seed": -1}, ValueError, "seed=-1"),
    ],
)
def test_bad_input_is_named(ids, labels, settings, error, message):
    with pytest.raises(error, match=message):
        LabelledBatches(ids, labels, **settings)


def test_batches_count_from_0():
    with pytest.raises(ValueError, match="batch -1: batches count from 0"):
        LabelledBatches([[1]]).batch(-1)

"""Sections: every document in one of them, drawn anew in each epoch, and of about equal size."""

import numpy as np
import pytest

from minillm.data import Masking, PretrainingBatches, plan_pairs, sections
from minillm.data.encoded import EncodedCorpus
from minillm.data.sections import Sections


@pytest.fixture
def small(monkeypatch):
    """Sections of 5,000 tokens: `many_lengths` makes some twenty of them."""
    monkeypatch.setattr(sections, "SECTION_TOKENS", 5000)
    monkeypatch.setattr(sections, "BLOCK_TOKENS", 100)


@pytest.fixture
def encoded(make_encoded, many_lengths):
    return make_encoded(many_lengths)


@pytest.fixture
def readable(many_lengths, tokenizer):
    """The same with ids of the tokenizer, 61 (a prime) of them in turn."""
    lengths = [length for document in many_lengths for length in document]
    return EncodedCorpus(
        tokens=np.resize(Masking(tokenizer).ordinary_ids[:61], sum(lengths)),
        sentence_offsets=np.cumsum([0, *lengths]),
        document_offsets=np.cumsum([0, *map(len, many_lengths)]),
        document_keys=np.arange(len(many_lengths)),
    )


def test_a_corpus_of_usual_size_is_one_section(encoded):
    whole = Sections(encoded)
    assert whole.count == 1 and whole.documents(0, 0, 0) is None


def test_every_document_with_two_sentences_is_in_one_section(small, encoded, many_lengths):
    parts = Sections(encoded)
    assert parts.count > 10
    for seed, epoch in ((0, 0), (0, 1), (7, 0)):
        found = [parts.documents(seed, epoch, k) for k in range(parts.count)]
        assert all(np.all(np.diff(documents) > 0) for documents in found)
        together = np.sort(np.concatenate(found)).tolist()
        assert together == [d for d, lengths in enumerate(many_lengths) if len(lengths) >= 2]


def test_sections_are_of_about_equal_size(small, encoded, many_lengths):
    parts = Sections(encoded)
    size = np.array([sum(lengths) for lengths in many_lengths])
    largest_block = parts.block_tokens.max()
    sums = [size[parts.documents(3, 0, k)].sum() for k in range(parts.count)]
    assert max(sums) - min(sums) <= 2 * largest_block


def test_a_section_is_drawn_from_everywhere_and_anew_in_each_epoch(small, encoded):
    parts = Sections(encoded)
    drawn = {
        parts.documents(seed, epoch, 0).tobytes()
        for seed, epoch in ((0, 0), (0, 1), (1, 0), (1, 1))
    }
    assert len(drawn) == 4
    assert parts.documents(0, 0, 2).tobytes() == Sections(encoded).documents(0, 0, 2).tobytes()
    means = [parts.documents(0, epoch, 0).mean() for epoch in range(40)]
    assert 250 < np.mean(means) < 350  # of 600 documents
    spread = [np.ptp(parts.documents(0, epoch, 0)) for epoch in range(40)]
    assert np.mean(spread) > 450


def test_a_few_very_long_documents_are_not_divided_too_finely(small, make_encoded):
    """A section holds eight blocks at least, so that it has documents to exchange with."""
    parts = Sections(make_encoded([[5] * 2000] * 20))  # 200,000 tokens, 20 documents
    assert parts.count == 2
    assert sorted(len(parts.documents(0, 0, k)) for k in (0, 1)) == [10, 10]


def test_a_corpus_without_pairs_is_still_refused_by_its_plan(small, make_encoded):
    assert Sections(make_encoded([[5]] * 3000)).count == 1


@pytest.mark.parametrize("contrast", [False, True])
def test_the_plan_of_a_section_is_that_of_its_documents_alone(small, encoded, contrast):
    """As if the other documents weren't there: only the places are those in the whole corpus."""
    documents = Sections(encoded).documents(0, 0, 0)
    plan = plan_pairs(encoded, 40, 1, 2, contrast=contrast, documents=documents)
    starts = encoded.sentence_offsets[encoded.document_offsets]
    pieces = [np.arange(starts[d], starts[d + 1]) for d in documents]
    lengths = [
        np.diff(
            encoded.sentence_offsets[
                encoded.document_offsets[d] : encoded.document_offsets[d + 1] + 1
            ]
        )
        for d in documents
    ]
    alone = EncodedCorpus(
        tokens=np.concatenate(pieces),
        sentence_offsets=np.cumsum([0, *np.concatenate(lengths)]),
        document_offsets=np.cumsum([0, *map(len, lengths)]),
        document_keys=encoded.document_keys[documents],
    )
    expected = plan_pairs(alone, 40, 1, 2, contrast=contrast)
    assert len(plan) == len(expected) > 100
    for name in ("a_length", "b_length", "next_sentence_label"):
        np.testing.assert_array_equal(getattr(plan, name), getattr(expected, name))
    for name in ("a_start", "b_start"):  # the id of a token is its place
        np.testing.assert_array_equal(getattr(plan, name), alone.tokens[getattr(expected, name)])
    np.testing.assert_array_equal(plan.a_document, documents[expected.a_document])


# ------------------------------------------------------------------------- batches in sections


@pytest.fixture
def make(small, readable, tokenizer):
    def make(batch_size=8, max_length=40, **settings):
        return PretrainingBatches(readable, tokenizer, batch_size, max_length, **settings)

    return make


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], other[key])


@pytest.mark.parametrize("contrast", [False, True])
def test_a_batch_depends_on_seed_and_step_alone(make, contrast):
    used = make(seed=2, contrast=contrast)
    n, per_section = len(used), used.steps_per_section
    assert used.sections.count > 10 and n == used.sections.count * per_section
    for step in (0, per_section, n - 1, n, 5, n + per_section + 3, 2 * n):
        assert_equal(used.batch(step), make(seed=2, contrast=contrast).batch(step))


def test_sections_and_epochs_differ(make):
    batches = make(mask_probability=0.0)
    n, per_section = len(batches), batches.steps_per_section
    steps = (0, 1, per_section, 2 * per_section, n, n + per_section)
    assert len({batches.batch(step)["input_ids"].tobytes() for step in steps}) == len(steps)


@pytest.mark.parametrize("contrast", [False, True])
def test_one_pass_gives_each_pair_of_each_section_once(make, readable, contrast):
    batches = make(mask_probability=0.0, contrast=contrast)
    plans = [
        plan_pairs(
            *(readable, 40, 0, 0, 0.1, contrast),
            *(batches.sections.documents(0, 0, k), k),
        )
        for k in range(batches.sections.count)
    ]
    rows = [
        tuple(row[seen == 1].tolist())
        for batch in batches
        for row, seen in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    ]
    special = batches.special_ids
    expected = []
    for plan in plans:
        for i in range(len(plan)):
            a = readable.tokens[plan.a_start[i] : plan.a_start[i] + plan.a_length[i]].tolist()
            b = readable.tokens[plan.b_start[i] : plan.b_start[i] + plan.b_length[i]].tolist()
            expected.append((special["[CLS]"], *a, special["[SEP]"], *b, special["[SEP]"]))
    assert sorted(rows) == sorted(expected)


def test_an_epoch_uses_nearly_all_pairs(make):
    """Sections with more pairs than the first leave some out: few, as they are of equal size."""
    batches = make()
    counts = [len(batches._plan(0, k)) for k in range(batches.sections.count)]
    room = batches.steps_per_section * batches.batch_size
    left_out = sum(max(0, count - room) for count in counts)
    assert left_out < 0.1 * sum(counts)
    assert abs(batches.pair_count - sum(counts)) < 0.1 * sum(counts)


def test_every_batch_holds_both_labels_in_equal_parts(make):
    for contrast in (False, True):
        batches = make(contrast=contrast)
        per_section = batches.steps_per_section
        for step in range(0, per_section - 1, 7):
            label = batches.batch(3 * per_section + step)["next_sentence_label"]
            assert abs(int(label.sum()) - 4) <= (0 if contrast else 1)

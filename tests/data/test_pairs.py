"""Sentence pairs: A and B are what they claim to be, and nothing but the content tells B apart."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data import pairs, plan_pairs

LENGTHS = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=8), min_size=2, max_size=20)
CORPORA = LENGTHS.filter(lambda documents: sum(len(d) >= 2 for d in documents) >= 2)
MAX_LENGTHS = st.integers(5, 80)


def plan_quietly(*args, **kwargs):
    """plan_pairs, where a drawn corpus may well be dominated by one document."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return plan_pairs(*args, **kwargs)


def sentences_of(encoded, start, length):
    """For ranges of tokens: the first sentence, and the one behind the last."""
    offsets = encoded.sentence_offsets
    first = np.searchsorted(offsets, start, side="right") - 1
    end = np.searchsorted(offsets, start + length, side="left")
    return first, end


@given(CORPORA, MAX_LENGTHS, st.integers(0, 2**32), st.integers(0, 5), st.floats(0, 1))
def test_every_pair_is_what_its_label_says(make_encoded, lengths, max_length, seed, epoch, short):
    encoded = make_encoded(lengths)
    plan = plan_quietly(encoded, max_length, seed, epoch, short)
    assert len(plan) >= sum(len(document) >= 2 for document in lengths)
    assert np.all(plan.a_length >= 1) and np.all(plan.b_length >= 1)
    assert np.all(plan.a_length + plan.b_length <= max_length - 3)

    document_start = encoded.sentence_offsets[encoded.document_offsets[:-1]]
    document_end = encoded.sentence_offsets[encoded.document_offsets[1:]]
    for start, length, document in (
        (plan.a_start, plan.a_length, plan.a_document),
        (plan.b_start, plan.b_length, plan.b_document),
    ):  # a segment lies within its document
        assert np.all(document_start[document] <= start)
        assert np.all(start + length <= document_end[document])

    is_next = plan.next_sentence_label == 0
    assert np.all((plan.a_document == plan.b_document) == is_next)
    _, a_end = sentences_of(encoded, plan.a_start, plan.a_length)
    b_first, _ = sentences_of(encoded, plan.b_start, plan.b_length)
    assert np.all(a_end[is_next] <= b_first[is_next])  # B is behind A, no sentence in both
    assert np.all(b_first > encoded.document_offsets[plan.b_document])  # never a first sentence


@given(CORPORA)
def test_b_begins_in_the_sentence_after_a_where_nothing_is_truncated(make_encoded, lengths):
    encoded = make_encoded(lengths)
    plan = plan_quietly(encoded, max_length=3 + encoded.token_count)
    is_next = plan.next_sentence_label == 0
    assert np.all((plan.a_start + plan.a_length == plan.b_start)[is_next])


@given(CORPORA, MAX_LENGTHS, st.integers(0, 100))
def test_the_plan_is_a_function_of_seed_and_epoch(make_encoded, lengths, max_length, seed):
    one = plan_quietly(make_encoded(lengths), max_length, seed, epoch=2)
    two = plan_quietly(make_encoded(lengths), max_length, seed, epoch=2)
    for name in one.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_epochs_and_seeds_differ(make_encoded, many_lengths):
    encoded = make_encoded(many_lengths)
    plans = [plan_pairs(encoded, 64, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    starts = {plan.b_start.tobytes() for plan in plans}
    assert len(starts) == 3


@given(CORPORA, MAX_LENGTHS)
def test_chunks_equal_those_of_the_plain_loop(make_encoded, lengths, max_length):
    """The rounds over all documents cut as one document after another would be cut."""
    encoded = make_encoded(lengths)
    expected, sentence = [], 0
    for d, document in enumerate(lengths):
        begin, stop = sentence, sentence + len(document)
        sentence = stop
        while len(document) >= 2 and begin < stop:
            begin = min(begin, stop - 2)
            end = begin
            length = 0
            while end < stop and (length < max_length - 3 or end < begin + 2):
                length += document[end - stop]
                end += 1
            expected.append((begin, end, d))
            begin = end
    first, end, document = pairs._cut(encoded, max_length - 3, 0.0, np.random.default_rng(0))
    assert list(zip(first.tolist(), end.tolist(), document.tolist(), strict=True)) == expected


@given(CORPORA, MAX_LENGTHS, st.floats(0, 1))
def test_every_sentence_of_a_document_with_two_is_in_a_chunk(make_encoded, lengths, n, short):
    encoded = make_encoded(lengths)
    first, end, document = pairs._cut(encoded, n, short, np.random.default_rng(0))
    covered = {s for f, e in zip(first, end, strict=True) for s in range(f, e)}
    for d, sentences in enumerate(lengths):
        s = int(encoded.document_offsets[d])
        expected = len(sentences) >= 2
        assert all((i in covered) is expected for i in range(s, s + len(sentences)))


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 8), st.integers(0, 3)), min_size=2),
    st.integers(0, 1000),
)
def test_an_exchange_is_mutual_and_between_different_documents(chunks, seed):
    length, last, key = np.array(chunks).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        partner = pairs._exchange(length, last, key, np.random.default_rng(seed))
    moved = partner != np.arange(len(chunks))
    np.testing.assert_array_equal(partner[partner], np.arange(len(chunks)))
    assert np.all(key[partner][moved] != key[moved])
    assert moved.sum() <= (len(chunks) + 2) // 4 * 2


@given(st.integers(1, 60), st.integers(1, 60), st.integers(2, 60))
def test_truncation_equals_berts_loop(a, b, max_tokens):
    """BERT's program takes one token at a time from the longer segment (from B if equal)."""
    expected_a, expected_b = a, b
    while expected_a + expected_b > max_tokens:
        if expected_a > expected_b:
            expected_a -= 1
        else:
            expected_b -= 1
    rng = np.random.default_rng(0)
    arrays = (np.array([x]) for x in (100, a, 200, b))
    a_start, new_a, b_start, new_b = (x.item() for x in pairs._truncate(*arrays, max_tokens, rng))
    assert (new_a, new_b) == (expected_a, expected_b)
    assert 100 <= a_start and a_start + new_a <= 100 + a  # what is left lies within
    assert 200 <= b_start and b_start + new_b <= 200 + b


def test_truncation_takes_from_front_and_back_alike():
    n = 10_000
    start, long = np.zeros(n, dtype=int), np.full(n, 30)
    a_start, _, b_start, _ = pairs._truncate(start, long, start, long, 40, np.random.default_rng(0))
    for from_front in (a_start, b_start):  # of 10 tokens
        assert abs(from_front.mean() - 5) < 5 * (10 * 0.25) ** 0.5 / n**0.5


def test_half_of_the_pairs_are_random(make_encoded, many_lengths):
    for max_length in (32, 128, 512):
        plan = plan_pairs(make_encoded(many_lengths), max_length)
        assert abs(plan.next_sentence_label.mean() - 0.5) < 0.01


def test_copies_of_a_text_count_as_the_same_document(make_encoded):
    """A duplicate's second half would be called random, though it is the true continuation."""
    keys = [7, 7, 7, 8, 9]
    encoded = make_encoded([[5] * 12] * 5, keys)
    for epoch in range(20):
        plan = plan_quietly(encoded, 20, epoch=epoch)
        a_key, b_key = (np.array(keys)[d] for d in (plan.a_document, plan.b_document))
        assert np.all((a_key != b_key) == (plan.next_sentence_label == 1))


def test_short_sequences_are_as_many_as_asked_for(make_encoded):
    encoded = make_encoded([[1] * 500] * 40)
    for probability in (0.0, 0.1, 0.5):
        plan = plan_pairs(encoded, 53, short_seq_prob=probability)
        whole = plan.a_length + plan.b_length == 50
        # By chance a document's last chunk is short too: at most 40 of about 500.
        assert abs((1 - whole.mean()) - probability) < 0.12
    assert plan_pairs(encoded, 53, short_seq_prob=0.0).a_length.sum() > 0


def cues(encoded, plan):
    """What could give the label away without reading: one column a cue."""
    offsets = encoded.sentence_offsets
    columns = {}
    segments = ("A", plan.a_start, plan.a_length), ("B", plan.b_start, plan.b_length)
    for name, start, length in segments:
        first, end = sentences_of(encoded, start, length)
        columns[f"length of {name}"] = length
        columns[f"sentences of {name}"] = end - first
        columns[f"{name} begins with a sentence"] = offsets[first] == start
        columns[f"{name} ends with a sentence"] = offsets[end] == start + length
        columns[f"last sentence of {name}"] = start + length - offsets[end - 1]
    b_first, _ = sentences_of(encoded, plan.b_start, plan.b_length)
    document_begin = encoded.document_offsets[plan.b_document]
    document_end = encoded.document_offsets[plan.b_document + 1]
    columns["B's place in its document"] = b_first - document_begin
    columns["B's document's length"] = document_end - document_begin
    columns["length of the pair"] = plan.a_length + plan.b_length
    columns["pair is full"] = columns["length of the pair"] == columns["length of the pair"].max()
    columns["difference of lengths"] = plan.a_length - plan.b_length
    return {name: column.astype(float) for name, column in columns.items()}


def leaks(encoded, plans) -> list[str]:
    """The cues, and products of two, whose means for the two labels differ.

    The difference of two means has a standard error; 5 of them are allowed, and 0.03 standard
    deviations, which is worth one percent of accuracy.
    """
    label = np.concatenate([plan.next_sentence_label for plan in plans])
    tables = [cues(encoded, plan) for plan in plans]
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    standard = {
        name: (column - column.mean()) / (column.std() or 1) for name, column in columns.items()
    }
    names = sorted(standard)
    checked = {name: standard[name] for name in names}
    # What belongs to the document can't be seen in a pair, and may well go with what A is like.
    seen = [name for name in names if "document" not in name]
    checked |= {f"{a} * {b}": standard[a] * standard[b] for a in seen for b in seen if a <= b}
    found = []
    for name, column in checked.items():
        true, random = column[label == 0], column[label == 1]
        error = (true.var() / len(true) + random.var() / len(random)) ** 0.5
        if abs(true.mean() - random.mean()) > 5 * error + 0.03 * column.std():
            found.append(name)
    return found


@pytest.mark.parametrize("max_length", [32, 64, 128])
def test_no_trivial_cue_predicts_the_label(make_encoded, many_lengths, max_length):
    encoded = make_encoded(many_lengths)
    plans = [plan_pairs(encoded, max_length, epoch=epoch) for epoch in range(4)]
    assert leaks(encoded, plans) == []


def test_the_cue_test_notices_leaks(make_encoded, many_lengths):
    """The same pairs, but a random B begins with its document, or is cut short."""
    encoded = make_encoded(many_lengths)
    document_starts = encoded.sentence_offsets[encoded.document_offsets]
    first_sentences, shorter = (plan_pairs(encoded, 64) for _ in range(2))
    random = np.flatnonzero(first_sentences.next_sentence_label == 1)
    first_sentences.b_start[random] = document_starts[first_sentences.b_document[random]]
    assert "B's place in its document" in leaks(encoded, [first_sentences])
    shorter.b_length[random] = np.maximum(1, shorter.b_length[random] - 8)
    assert "length of B" in leaks(encoded, [shorter])


def test_a_corpus_too_small_for_pairs_is_refused(make_encoded):
    for lengths, keys in (([[5, 5]], [1]), ([[5, 5], [5]], [1, 2]), ([[5, 5], [5, 5]], [1, 1])):
        with pytest.raises(ValueError, match="too small for sentence pairs.*blank lines"):
            plan_pairs(make_encoded(lengths, keys), 32)


def test_one_document_that_dominates_is_told(make_encoded):
    encoded = make_encoded([[5] * 500, [5] * 50])
    with pytest.warns(RuntimeWarning, match="one document holds most of the text: only .*%"):
        plan = plan_pairs(encoded, 32)
    assert 0 < plan.next_sentence_label.mean() < 0.2


@pytest.mark.parametrize("max_length", [4, 0, -1])
def test_a_length_without_room_is_refused(make_encoded, max_length):
    with pytest.raises(ValueError, match=f"max_length={max_length} is too small: at least 5"):
        plan_pairs(make_encoded([[5, 5], [5, 5]]), max_length)


@pytest.mark.parametrize("probability", [-0.1, 1.5, float("nan")])
def test_what_is_no_probability_is_refused(make_encoded, probability):
    with pytest.raises(ValueError, match="short_seq_prob=.*from 0 to 1"):
        plan_pairs(make_encoded([[5, 5], [5, 5]]), 32, short_seq_prob=probability)


@given(CORPORA, MAX_LENGTHS, st.integers(0, 100))
def test_contrast_gives_each_segment_a_true_and_a_random_partner(
    make_encoded, lengths, max_length, seed
):
    """Rows 4k to 4k + 3 are (A, B), (A', B'), (A, B'), (A', B), before truncation."""
    encoded = make_encoded(lengths)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = 3 + 2 * encoded.token_count  # nothing is truncated
        plan = plan_pairs(encoded, whole, seed, contrast=True)
    assert len(plan) % 4 == 0
    for k in range(0, len(plan), 4):
        assert plan.next_sentence_label[k : k + 4].tolist() == [0, 0, 1, 1]
        a, b, ab = plan.a_start[k : k + 4], plan.b_start[k : k + 4], plan.b_document[k : k + 4]
        assert a[0] == a[2] and a[1] == a[3] and b[0] == b[3] and b[1] == b[2]
        assert ab[0] != ab[1] and plan.a_document[k] == ab[0] and plan.a_document[k + 1] == ab[1]

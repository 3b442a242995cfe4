"""Windows of the row of tokens: the right ones, the same ones again, each token asked for once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data import (
    IGNORED,
    CausalBatches,
    EncodedCorpus,
    TokenRow,
    encode_corpus,
    scoring_windows,
)
from minillm.text import BPETokenizer, clean_text

END = 1_000_000


@pytest.fixture
def encoded(make_encoded):
    return make_encoded([[3, 4], [1], [2, 2, 2], [5]])  # documents of 7, 1, 6, 5 tokens


def whole_row(encoded, end_of_text):
    """The row as one would write it down."""
    between = [] if end_of_text is None else [end_of_text]
    row = list(between)
    for d in range(encoded.document_count):
        for s in range(encoded.document_offsets[d], encoded.document_offsets[d + 1]):
            row += encoded.sentence(s).tolist()
        row += between
    return row


@pytest.mark.parametrize("end_of_text", [END, None])
def test_every_slice_is_that_of_the_whole_row(encoded, end_of_text):
    row, expected = TokenRow(encoded, end_of_text), whole_row(encoded, end_of_text)
    assert len(row) == len(expected)
    for start in range(-3, len(expected) + 2):
        for stop in range(-3, len(expected) + 3):
            part = row[start:stop]
            assert part.dtype == np.int64
            assert part.tolist() == expected[start:stop]
    assert row[:].tolist() == expected


def test_a_row_gives_slices_only(encoded):
    row = TokenRow(encoded, END)
    with pytest.raises(TypeError, match=r"row\[3\]"):
        row[3]
    with pytest.raises(ValueError, match="step"):
        row[::2]


def test_whole_documents_come_back_as_they_were(tmp_path):
    """Spaces, line breaks and what stands between sentences included."""
    texts = ["One film. It was  good!\n\nAnd long.", "Another? Yes… 电影。", "No end"]
    tokenizer = BPETokenizer.train(texts, vocab_size=280)
    corpus = encode_corpus(texts, tokenizer, tmp_path, progress=False, whole_documents=True)
    assert corpus.document_count == corpus.sentence_count == 3
    cleaned = [clean_text(text) for text in texts]
    assert [tokenizer.decode(corpus.sentence(d)) for d in range(3)] == cleaned
    end = tokenizer.token_to_id("<|endoftext|>")
    row = tokenizer.decode(TokenRow(corpus, end)[:], skip_special_tokens=False)
    e = "<|endoftext|>"
    assert row == e + e.join(cleaned) + e


def test_sentences_and_whole_documents_are_kept_apart(documents, tokenizer, tmp_path):
    by_sentence = encode_corpus(documents, tokenizer, tmp_path, progress=False)
    whole = encode_corpus(documents, tokenizer, tmp_path, progress=False, whole_documents=True)
    again = encode_corpus(documents, tokenizer, tmp_path, progress=False)
    assert whole.sentence_count == whole.document_count == by_sentence.document_count
    assert by_sentence.sentence_count > whole.sentence_count
    assert by_sentence.digest == again.digest != whole.digest
    assert by_sentence.document_keys.tolist() == whole.document_keys.tolist()


def test_batches_are_windows_of_the_row(encoded):
    row = whole_row(encoded, END)
    windows = {tuple(row[a : a + 5]) for a in range(len(row) - 4)}
    batches = CausalBatches(encoded, batch_size=4, length=5, end_of_text=END)
    seen = set()
    for step in range(60):
        batch = batches.batch(step)
        assert batch["input_ids"].shape == (4, 5) and batch["input_ids"].dtype == np.int64
        np.testing.assert_array_equal(batch["input_ids"], batch["labels"])
        assert not np.shares_memory(batch["input_ids"], batch["labels"])
        seen |= set(map(tuple, batch["input_ids"].tolist()))
    assert seen == windows  # the first and the last of them, too


def test_a_batch_depends_on_seed_and_step_alone(encoded):
    def make(seed=3):
        return CausalBatches(encoded, 4, 5, seed, end_of_text=END)

    one, other = make(), make()
    forwards = [one.batch(step)["input_ids"] for step in range(6)]
    backwards = [other.batch(step)["input_ids"] for step in reversed(range(6))]
    np.testing.assert_array_equal(forwards, backwards[::-1])
    assert len({f.tobytes() for f in forwards}) == 6
    assert make(4).batch(0)["input_ids"].tolist() != forwards[0].tolist()


def test_the_fingerprint_tells_everything_apart(encoded, documents, tokenizer, tmp_path):
    kept = encode_corpus(documents, tokenizer, tmp_path, progress=False)
    arguments = dict(batch_size=4, length=5, seed=0, end_of_text=7)
    changes = [{}, {"batch_size": 5}, {"length": 6}, {"seed": 1}, {"end_of_text": None}]
    prints = [CausalBatches(kept, **(arguments | change)).fingerprint for change in changes]
    prints.append(CausalBatches(encoded, **arguments).fingerprint)
    assert len(set(prints)) == len(prints)
    assert CausalBatches(kept, **arguments).fingerprint == prints[0]


def test_the_length_is_that_of_an_epoch(encoded):
    batches = CausalBatches(encoded, batch_size=2, length=5, end_of_text=END)
    assert len(batches.row) == 24 and len(batches) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"length": 1}, "length=1: a whole number from 2"),
        ({"length": 25}, "24 tokens, fewer than length=25"),
        ({"seed": -1}, "seed=-1"),
        ({"end_of_text": -1}, "end_of_text=-1"),
    ],
)
def test_bad_arguments_are_refused(encoded, change, message):
    with pytest.raises(ValueError, match=message):
        CausalBatches(encoded, **({"batch_size": 2, "length": 5, "end_of_text": END} | change))


def test_a_negative_step_is_refused(encoded):
    with pytest.raises(ValueError, match="step=-1"):
        CausalBatches(encoded, 2, 5, end_of_text=END).batch(-1)


class Counted:
    """Tokens that count how many of them are read."""

    def __init__(self, tokens):
        self.tokens, self.read = tokens, 0

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, part):
        found = self.tokens[part]
        self.read += len(found)
        return found


def test_a_batch_reads_its_own_windows_only(tmp_path):
    """The corpus stays on the disk: here 4 GB of it, in a file that is one hole."""
    N = 2 * 10**9
    path = tmp_path / "tokens.bin"
    with open(path, "wb") as file:
        file.truncate(2 * N)
    tokens = Counted(np.memmap(path, np.uint16, "r", shape=(N,)))
    encoded = EncodedCorpus(tokens, np.array([0, N]), np.array([0, 1]), np.zeros(1, np.uint64))
    batches = CausalBatches(encoded, batch_size=8, length=64, end_of_text=9)
    assert set(batches.batch(0)["input_ids"].ravel().tolist()) == {0}
    assert tokens.read == 8 * 64
    assert batches.row[N - 1 :].tolist() == [0, 0, 9] and len(batches.row) == N + 2


# ------------------------------------------------------------------------------ windows that score


@given(
    N=st.integers(2, 60),
    length=st.integers(2, 20),
    stride=st.integers(1, 19),
    batch_size=st.integers(1, 5),
)
def test_each_token_is_asked_for_once_with_enough_before_it(N, length, stride, batch_size):
    stride = min(stride, length - 1)
    ids = np.arange(100, 100 + N)
    asked = []
    for batch in scoring_windows(ids, length, stride, batch_size):
        inputs, labels = batch["input_ids"], batch["labels"]
        assert inputs.shape == labels.shape and len(inputs) <= batch_size
        assert inputs.shape[1] == min(length, N)
        for window, row in zip(inputs, labels, strict=True):
            np.testing.assert_array_equal(np.diff(window), 1)  # a piece of the text
            for i in np.flatnonzero(row != IGNORED):
                assert row[i] == window[i]
                asked.append(row[i])
                # The tokens before it: all there are, or at least length - stride.
                assert i >= 1 and (i == row[i] - 100 or i >= length - stride)
    assert asked == ids[1:].tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 8), "stride=8"),
        ((8, 0), "stride=0"),
        ((1, 1), "length=1"),
        ((8, 4, 0), "batch_size=0"),
    ],
)
def test_bad_windows_are_refused_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        scoring_windows(np.arange(30), *arguments)


@pytest.mark.parametrize("N", [0, 1])
def test_too_few_tokens_are_refused(N):
    with pytest.raises(ValueError, match=f"{N} tokens"):
        scoring_windows(np.arange(N), 8, 4)

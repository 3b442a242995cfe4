"""Streaming: whole characters only, and together the text that `generate` writes."""

import numpy as np
import pytest
from fake_decoders import Bytes, Letters, Markov, Weighing, peaked
from hypothesis import given
from hypothesis import strategies as st

from minillm.generation import generate, stream
from minillm.generation.endings import GrowingText
from minillm.models import GPTConfig, GPTForCausalLM
from minillm.text import BPETokenizer, CharacterTokenizer, WordPieceTokenizer


@given(st.lists(st.integers(0, 256), max_size=40) | st.text().map(lambda t: list(t.encode())))
def test_pieces_of_any_bytes_are_the_decoded_text(ids):
    """Also of bytes that are no UTF-8, and cut anywhere."""
    text = GrowingText(Bytes())
    pieces = [text.push(i) for i in ids]
    assert "".join(pieces) + text.finish() == Bytes().decode(ids)


@given(st.text())
def test_no_piece_holds_a_broken_character(text):
    growing = GrowingText(Bytes())
    pieces = [growing.push(i) for i in text.encode()]
    assert [piece for piece in pieces if piece] == list(text)
    assert growing.finish() == ""


def test_the_end_token_is_not_text():
    growing = GrowingText(Bytes())
    assert [growing.push(i) for i in (72, 256, 105)] == ["H", "", "i"]


class OnlyDecode:
    """A byte-level tokenizer that offers decode alone."""

    def decode(self, ids):
        return Bytes().decode(ids)


@given(st.text())
def test_without_decode_bytes_broken_characters_wait_too(text):
    growing = GrowingText(OnlyDecode())
    pieces = [growing.push(i) for i in text.encode()]
    assert "".join(pieces) + growing.finish() == text
    assert "\ufffd" in text or not any("\ufffd" in piece for piece in pieces)


WORDS = ["the", "un", "##aff", "##able", ",", "'", "s", "n't", "do", "not", "!", "好"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXT = "The naïve dog — 你好, 你们好!\n\n  The the dogs dogged 🐕🐕 the naïve.\u0301"
TOKENIZERS = {
    "wordpiece": WordPieceTokenizer({word: i for i, word in enumerate(SPECIAL + WORDS)}),
    "bpe": BPETokenizer.train([TEXT] * 3, vocab_size=290),
    "characters": CharacterTokenizer.train([TEXT]),
}


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
@given(data=st.data())
def test_the_tokenizers(tokenizer, data):
    """Spaces, special tokens and broken bytes as in decode, for any ids."""
    ids = data.draw(st.lists(st.integers(0, tokenizer.get_vocab_size() - 1), max_size=20))
    growing = GrowingText(tokenizer)
    pieces = [growing.push(i) for i in ids]
    assert "".join(pieces) + growing.finish() == tokenizer.decode(ids)
    growing = GrowingText(TOKENIZERS["bpe"])
    pieces = [growing.push(i) for i in TOKENIZERS["bpe"].encode_ids(TEXT)]
    assert "".join(pieces) == TEXT and not any("\ufffd" in piece for piece in pieces)


@pytest.mark.parametrize(
    "settings", [{}, {"do_sample": True, "seed": 3, "top_k": 40}, {"eos_token_id": 256}]
)
def test_the_stream_is_what_generate_writes(device, settings):
    config = GPTConfig(vocab_size=257, n_positions=12, n_embd=8, n_layer=1, n_head=2)
    model = GPTForCausalLM(config).to(device)
    prompt = "né好"
    expected = generate(model, [list(prompt.encode())], max_new_tokens=40, **settings).sequences
    expected = Bytes().decode(expected[0, len(prompt.encode()) :].tolist())
    for form in (prompt, list(prompt.encode()), np.array(list(prompt.encode()))):
        pieces = list(stream(model, Bytes(), form, max_new_tokens=40, **settings))
        assert "".join(pieces) == expected and all(pieces)


def test_pieces_come_as_soon_as_they_are_written():
    tokenizer = Letters("ab", "c", "d ")
    model = Markov(peaked(1, 2, 0))
    pieces = stream(model, tokenizer, [0], max_new_tokens=5)
    assert len(model.calls) == 0
    for number, piece in enumerate(["c", "d ", "ab", "c", "d "], start=1):
        assert next(pieces) == piece and len(model.calls) == number
    assert list(pieces) == []


def test_stop_strings_and_end_tokens():
    tokenizer = Letters("ab", "c", "d ", "!", special=(3,))
    model = Markov(peaked(1, 2, 3, 0))
    assert "".join(stream(model, tokenizer, [0], stop_strings="cd")) == "cd "
    assert "".join(stream(model, tokenizer, [0], eos_token_id=3)) == "cd "
    assert "".join(stream(model, tokenizer, [0], max_new_tokens=5)) == "cd abc"


def test_bad_input_is_named_at_the_call():
    model = Weighing(vocab_size=257, max_positions=4)
    for settings, error, message in (
        ({"num_beams": 2}, ValueError, "num_beams=2: beam search can't be streamed"),
        ({"top_p": 0, "do_sample": True}, ValueError, "top_p=0"),
        ({"eos_token_id": 257}, IndexError, "eos_token_id=257"),
        ({"max_tokens": 3}, TypeError, "max_tokens"),
    ):
        with pytest.raises(error, match=message):
            stream(model, Bytes(), "a", **settings)
    with pytest.raises(ValueError, match="prompt 0 is empty"):
        stream(model, Bytes(), "")
    with pytest.raises(ValueError, match="has 5 tokens, more than the model's context of 4"):
        stream(model, Bytes(), "hello")
    with pytest.raises(IndexError, match="prompt: prompt 0 has id 300"):
        stream(model, Bytes(), [300])
    assert model.calls == []

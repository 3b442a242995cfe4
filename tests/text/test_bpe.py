"""The byte-level BPE tokenizer: whatever is fed in comes out again; what bad input gets."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.text import AddedToken, BPETokenizer, TemplateProcessing, TrimOffsets

TEXTS = [
    "The lowest of the low is lower than the low.",
    "这家酒店的房间很干净，这家酒店的服务很好。",
    "def f(x):\n    return x  # 😀😀",
] * 3


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    return BPETokenizer.train(TEXTS, 330)


def test_the_size_and_the_first_ids(tokenizer):
    assert tokenizer.get_vocab_size() == 330
    assert tokenizer.id_to_token(0) == "<|endoftext|>"
    assert tokenizer.token_to_id("Ġlow") is not None
    assert tokenizer.encode("the low").tokens[-1] == "Ġlow"


@given(st.text())
def test_any_text_comes_back(tokenizer, text):
    encoding = tokenizer.encode(text)
    assert tokenizer.encode_ids(text) == encoding.ids
    assert tokenizer.decode(encoding.ids, skip_special_tokens=False) == text
    assert tokenizer.decode_bytes(encoding.ids) == text.encode()


@given(st.binary())
def test_any_bytes_come_back(tokenizer, data):
    assert tokenizer.decode_bytes(tokenizer.encode_bytes(data)) == data


@given(st.text())
def test_the_bytes_of_a_text_get_the_texts_ids(tokenizer, text):
    assert tokenizer.encode_bytes(text.encode()) == tokenizer.encode_ids(text)


@given(st.lists(st.integers(0, 329)))
def test_any_ids_can_be_decoded(tokenizer, ids):
    data = tokenizer.decode_bytes(ids)
    assert tokenizer.decode(ids, skip_special_tokens=False) == data.decode("utf-8", "replace")


def test_a_part_of_a_character_is_the_replacement_character(tokenizer):
    ids = tokenizer.encode_ids("é")
    assert len(ids) == 2
    assert tokenizer.decode(ids[:1]) == "\ufffd"
    assert tokenizer.decode_bytes(ids[:1]) == b"\xc3"
    assert tokenizer.decode_batch([ids, ids[1:]]) == ["é", "\ufffd"]


def test_ids_come_from_arrays_too(tokenizer):
    ids = np.array(tokenizer.encode_ids("the low"), dtype=np.uint16)
    assert tokenizer.decode(ids) == "the low"


@given(st.text(alphabet="the low é书😀\n"))
def test_the_offsets_cover_the_text_in_order(tokenizer, text):
    ends = 0
    for start, end in tokenizer.encode(text).offsets:
        assert start in (ends, ends - 1)  # the same character again, or the next
        assert end > start
        ends = end
    assert ends == len(text)


def test_offsets_in_characters(tokenizer):
    encoding = tokenizer.encode("the low é")
    assert [("the low é")[s:e] for s, e in encoding.offsets[-4:]] == [" low", " ", "é", "é"]


def test_trimmed_offsets_leave_out_the_space(tokenizer):
    trimmed = BPETokenizer(
        tokenizer.get_vocab(), tokenizer.model.merges, trim_offsets=TrimOffsets(False)
    )
    assert trimmed.encode("the low").offsets[-1] == (4, 7)
    assert trimmed.encode("the low").ids == tokenizer.encode("the low").ids


def test_a_prefix_space_makes_the_first_word_like_the_others(tokenizer):
    vocab, merges = tokenizer.get_vocab(), tokenizer.model.merges
    prefixed = BPETokenizer(vocab, merges, add_prefix_space=True)
    assert prefixed.encode("low").tokens == prefixed.encode(" low").tokens == ["Ġlow"]
    assert prefixed.encode("low").offsets == [(0, 3)]
    assert tokenizer.encode("low").tokens == ["low"]


def test_special_tokens_in_a_text(tokenizer):
    encoding = tokenizer.encode("low<|endoftext|>low")
    assert encoding.tokens == ["low", "<|endoftext|>", "low"]
    assert tokenizer.decode(encoding.ids) == "lowlow"
    assert tokenizer.decode(encoding.ids, skip_special_tokens=False) == "low<|endoftext|>low"
    assert tokenizer.decode_bytes(encoding.ids, skip_special_tokens=True) == b"lowlow"


def test_a_template_truncation_and_padding(tokenizer):
    end = ("<|endoftext|>", 0)
    template = TemplateProcessing(
        (("$A", 0), end), (("$A", 0), end, ("$B", 1), end), {end[0]: [(0, end[0])]}
    )
    ours = BPETokenizer(tokenizer.get_vocab(), tokenizer.model.merges, post_processor=template)
    ours.enable_truncation(4)
    ours.enable_padding("left", pad_token=end[0])
    long, short = ours.encode_batch([" low" * 9, " low"])
    low = ours.token_to_id("Ġlow")
    assert long.ids == [low, low, low, 0]
    assert short.ids == [0, 0, low, 0]
    assert short.attention_mask == [0, 0, 1, 1]


def test_the_same_texts_in_another_order_give_the_same_tokenizer():
    one = BPETokenizer.train(TEXTS, 330)
    other = BPETokenizer.train(iter(TEXTS[::-1]), 330, processes=1)
    assert one.get_vocab() == other.get_vocab()


def test_the_prefix_space_counts_in_training():
    assert "Ġlow" in BPETokenizer.train(["low"] * 2, 260, add_prefix_space=True).get_vocab()
    assert "Ġlow" not in BPETokenizer.train(["low"] * 2, 260).get_vocab()


def test_without_a_pattern_tokens_reach_across_words():
    trained = BPETokenizer.train(["a b a b a b"], 265, pattern=None)
    assert any("Ġ" in token[1:] for token in trained.get_vocab())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_a_copy_does_the_same(tokenizer, copied):
    assert copied(tokenizer).encode(TEXTS[1]) == tokenizer.encode(TEXTS[1])


# ------------------------------------------------------------------ bad input


def test_a_vocabulary_too_small_for_the_bytes(tokenizer):
    with pytest.raises(
        ValueError, match="vocab_size is 258; expected at least 259: 256 bytes and 3"
    ):
        BPETokenizer.train(TEXTS, 258, special_tokens=["<a>", "<b>", "<c>"])


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"ties": "heads"}, ValueError, "ties is 'heads'; expected one of 'bytes', 'ids'"),
        ({"errors": "ignore"}, ValueError, "errors is 'ignore'"),
        ({"pattern": "["}, ValueError, "neither one of"),
        ({"min_frequency": -1}, ValueError, "min_frequency is -1"),
        ({"special_tokens": "<s>"}, TypeError, "expected a list"),
        ({"special_tokens": ["<s>", "<s>"]}, ValueError, "twice"),
        ({"processes": 0}, ValueError, "processes is 0"),
    ],
)
def test_options_that_cant_be(options, error, message):
    def texts():
        raise AssertionError("no text is read before the options are checked")
        yield

    with pytest.raises(error, match=message):
        BPETokenizer.train(texts(), **options)


@pytest.mark.parametrize("texts", [[], [""], iter(())])
def test_no_text(texts):
    with pytest.raises(ValueError, match="there is no word to train on"):
        BPETokenizer.train(texts)


def test_no_texts_at_all():
    with pytest.raises(TypeError, match="put a single text into a list"):
        BPETokenizer.train("text")
    with pytest.raises(TypeError, match="text number 1 is b'x'"):
        BPETokenizer.train(["x", b"x"])


def test_a_lone_surrogate_is_an_error_with_its_place_or_replaced(tokenizer):
    text = "<|endoftext|>low \udc80"
    for use in (tokenizer.encode, tokenizer.encode_ids, lambda t: BPETokenizer.train([t])):
        with pytest.raises(ValueError, match=r"U\+DC80, at character 17"):
            use(text)
    vocab, merges = tokenizer.get_vocab(), tokenizer.model.merges
    replacing = BPETokenizer(vocab, merges, errors="replace")
    assert replacing.decode(replacing.encode_ids(text)) == "low \ufffd"
    escaping = BPETokenizer(vocab, merges, errors="surrogateescape")
    assert escaping.decode_bytes(escaping.encode(text).ids) == b"<|endoftext|>low \x80"
    assert BPETokenizer.train([text] * 2, errors="replace").errors == "replace"


@pytest.mark.parametrize("use", ["encode", "encode_ids", "encode_batch"])
def test_what_is_no_text(tokenizer, use):
    with pytest.raises(TypeError, match="expected a"):
        getattr(tokenizer, use)(b"low")
    with pytest.raises(TypeError, match="expected bytes, got str"):
        tokenizer.encode_bytes("low")


def test_ids_outside_of_the_vocabulary(tokenizer):
    for decode in (tokenizer.decode, tokenizer.decode_bytes):
        with pytest.raises(ValueError, match="id 330 is out of range: the ids go from 0 to 329"):
            decode([1, 330])
        with pytest.raises(ValueError, match="id -1 is out of range"):
            decode([-1])
        with pytest.raises(TypeError):
            decode([1.5])


def test_added_tokens_that_contradict_the_vocabulary(tokenizer):
    vocab, merges = tokenizer.get_vocab(), tokenizer.model.merges
    with pytest.raises(ValueError, match="has id 7, but 0 in the vocabulary"):
        BPETokenizer(vocab, merges, {AddedToken("<|endoftext|>"): 7})
    with pytest.raises(ValueError, match="without gaps"):
        BPETokenizer(vocab, merges, {AddedToken("new"): 999})

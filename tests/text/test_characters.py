"""The tokenizer of characters: one id each; unknown ones; files."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.text import AddedToken, CharacterTokenizer, TemplateProcessing, TokenizerFormatError

TEXTS = ["to be, or not to be", "书é😀"]


@pytest.fixture(scope="module")
def tokenizer() -> CharacterTokenizer:
    return CharacterTokenizer.train(TEXTS)


def test_ids_are_special_tokens_then_characters_by_code_point(tokenizer):
    assert list(tokenizer.get_vocab()) == ["<|endoftext|>", *sorted(set("".join(TEXTS)))]
    assert tokenizer.encode("be").ids == [tokenizer.token_to_id("b"), tokenizer.token_to_id("e")]


@given(st.text(alphabet=sorted(set("".join(TEXTS)))))
def test_a_text_comes_back_character_by_character(tokenizer, text):
    encoding = tokenizer.encode(text)
    assert encoding.tokens == list(text)
    assert encoding.offsets == [(i, i + 1) for i in range(len(text))]
    assert encoding.ids == tokenizer.encode_ids(text)
    assert tokenizer.decode(encoding.ids) == text


def test_special_tokens_are_found_in_the_text(tokenizer):
    encoding = tokenizer.encode("to<|endoftext|>be")
    assert encoding.tokens == ["t", "o", "<|endoftext|>", "b", "e"]
    assert tokenizer.decode(encoding.ids) == "tobe"


def test_an_unknown_character_is_named(tokenizer):
    with pytest.raises(ValueError, match=r"the character 'Z' \(U\+005A\) isn't among the 11"):
        tokenizer.encode("toZ")


def test_or_is_the_unknown_token():
    tokenizer = CharacterTokenizer.train(TEXTS, unk_token="<|unknown|>")
    assert tokenizer.encode("ZtX").tokens == ["<|unknown|>", "t", "<|unknown|>"]
    assert tokenizer.id_to_token(1) == "<|unknown|>"
    assert tokenizer.decode(tokenizer.encode_ids("Zt")) == "t"


def test_only_the_most_frequent_characters():
    tokenizer = CharacterTokenizer.train(["aaabbcd"], vocab_size=4, special_tokens=["<s>"])
    assert list(tokenizer.get_vocab()) == ["<s>", "a", "b", "c"]  # c, d: the smaller code point
    tokenizer = CharacterTokenizer.train(["aaabbcd"], min_frequency=2, special_tokens=[])
    assert list(tokenizer.get_vocab()) == ["a", "b"]


def test_it_is_saved_and_opened(tmp_path):
    vocab = {"<u>": 0, "a": 1, "b": 2, "<e>": 3}
    template = TemplateProcessing(
        (("$A", 0), ("<e>", 0)), (("$A", 0), ("$B", 1)), {"<e>": [(3, "<e>")]}
    )
    added = {AddedToken("<u>"): 0, AddedToken("<e>"): 3, AddedToken("new", special=False): 4}
    tokenizer = CharacterTokenizer(vocab, added, "<u>", template)
    tokenizer.enable_padding(pad_id=3, pad_token="<e>", length=9)
    tokenizer.enable_truncation(5)
    tokenizer.save(tmp_path / "tokenizer.json")
    again = CharacterTokenizer.from_file(tmp_path / "tokenizer.json")
    for name in ("added_tokens", "unk_token", "post_processor", "padding", "truncation"):
        assert getattr(again, name) == getattr(tokenizer, name), name
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again.encode("abnewXab") == tokenizer.encode("abnewXab")
    assert again.encode("abnewXab").tokens == ["a", "b", "new", "<u>", "<e>"] + 4 * ["<e>"]


@pytest.mark.parametrize(
    "section, value, message",
    [
        ("decoder", {"type": "ByteLevel"}, "decoder is of the kind 'ByteLevel'; only Fuse"),
        ("pre_tokenizer", {"type": "Whitespace"}, "pre_tokenizer is of the kind 'Whitespace'"),
        ("normalizer", {"type": "Lowercase"}, "normalizer is of the kind 'Lowercase'"),
        ("model", {"type": "BPE", "merges": [["a", "b"]]}, "the model is 'BPE' with the merges"),
        ("model", {"type": "WordLevel"}, "the model is 'WordLevel'"),
        ("model", {"type": "BPE", "merges": [], "vocab": {"ab": 0}}, "'ab', which isn't one char"),
    ],
)
def test_other_kinds_of_files_are_refused(tokenizer, tmp_path, section, value, message):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    document = json.loads(path.read_text("utf-8")) | {section: value, "added_tokens": []}
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(TokenizerFormatError, match=message):
        CharacterTokenizer.from_file(path)


def test_options_that_cant_be():
    with pytest.raises(ValueError, match="no character to train on"):
        CharacterTokenizer.train([""])
    with pytest.raises(ValueError, match="vocab_size is 1; expected at least 2"):
        CharacterTokenizer.train(TEXTS, vocab_size=1)
    with pytest.raises(ValueError, match="'<u>' isn't in the vocabulary"):
        CharacterTokenizer({"a": 0}, unk_token="<u>")
    with pytest.raises(ValueError, match="at character 1"):
        CharacterTokenizer.train(["a\ud800"])
    with pytest.raises(TypeError, match="expected a text"):
        CharacterTokenizer({"a": 0}).encode(3)

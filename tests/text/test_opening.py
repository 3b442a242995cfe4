"""One function opens a tokenizer of any kind."""

import json

import pytest

from minillm.text import (
    BPETokenizer,
    CharacterTokenizer,
    TokenizerFormatError,
    WordPieceTokenizer,
    open_tokenizer,
)

TEXTS = ["low lower lowest"] * 3
MAKE = {
    WordPieceTokenizer: lambda: WordPieceTokenizer.train(TEXTS, 40, show_progress=False),
    BPETokenizer: lambda: BPETokenizer.train(TEXTS, 270),
    CharacterTokenizer: lambda: CharacterTokenizer.train(TEXTS),
}


@pytest.mark.parametrize("kind", MAKE)
def test_the_class_is_the_one_that_saved_it(kind, tmp_path):
    tokenizer = MAKE[kind]()
    tokenizer.save(tmp_path / "tokenizer.json")
    for path in (tmp_path / "tokenizer.json", tmp_path, str(tmp_path)):
        again = open_tokenizer(path)
        assert type(again) is kind
        assert again.encode("slow") == tokenizer.encode("slow")


@pytest.mark.parametrize("kind", ["Unigram", "WordLevel", None, 3])
def test_another_kind_is_named(kind, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": kind}}))
    with pytest.raises(TokenizerFormatError, match=f"tokenizer.json: the model is {kind!r}; only"):
        open_tokenizer(tmp_path)


def test_broken_and_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(TokenizerFormatError, match="isn't a tokenizer in JSON"):
        open_tokenizer(tmp_path)

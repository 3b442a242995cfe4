"""The Hugging Face library opens a tokenizer of words and gives the same ids."""

import pytest

from minillm.text.words import train_word_tokenizer

tokenizers = pytest.importorskip("tokenizers")
pytestmark = pytest.mark.interop

TEXTS = ["The film is good, very good.", "the film is bad", "Café? Good film! 好看"]


def test_the_same_ids(tmp_path):
    tokenizer = train_word_tokenizer(TEXTS)
    tokenizer.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in [*TEXTS, "goodness [UNK] [PAD] cafe", "", "##s", "x" * 200]:
        assert theirs.encode(text).ids == tokenizer.encode(text).ids

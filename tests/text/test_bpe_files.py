"""Files of byte-level BPE: what is written comes back; broken and foreign ones are refused."""

import copy
import json

import pytest

from minillm.text import (
    AddedToken,
    BPETokenizer,
    TemplateProcessing,
    TokenizerFormatError,
    TrimOffsets,
)

TEXTS = ["The lowest of the low is lower than the low. é书 12"] * 3


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    return BPETokenizer.train(TEXTS, 280)


@pytest.fixture
def document(tokenizer, tmp_path) -> dict:
    """A good tokenizer.json."""
    tokenizer.save(tmp_path / "good.json")
    return json.loads((tmp_path / "good.json").read_text("utf-8"))


def open_document(document: dict, tmp_path) -> BPETokenizer:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document), "utf-8")
    return BPETokenizer.from_file(path)


def same(one: BPETokenizer, other: BPETokenizer) -> bool:
    names = "added_tokens post_processor trim_offsets truncation padding".split()
    return (
        all(getattr(one, name) == getattr(other, name) for name in names)
        and one.get_vocab() == other.get_vocab()
        and one.model.merges == other.model.merges
        and one.model.ignore_merges == other.model.ignore_merges
        and one.cutter.pattern.name == other.cutter.pattern.name
        and one.cutter.add_prefix_space == other.cutter.add_prefix_space
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"add_prefix_space": True, "trim_offsets": TrimOffsets()},
        {"pattern": "cl100k", "ignore_merges": True, "trim_offsets": TrimOffsets(False)},
        {"pattern": "whitespace"},
        {"pattern": r"[a-z]+|\d"},
        {"pattern": None, "add_prefix_space": True},
        {
            "post_processor": TemplateProcessing(
                (("<e>", 0), ("$A", 0)), (("$A", 0), ("<e>", 1), ("$B", 1)), {"<e>": [(280, "<e>")]}
            ),
            "added_tokens": {
                AddedToken("<|endoftext|>"): 0,
                AddedToken("<e>"): 280,
                AddedToken("新 a", True, True, True, True, False): 281,
            },
        },
    ],
)
def test_all_settings_come_back(tokenizer, tmp_path, options):
    ours = BPETokenizer(tokenizer.get_vocab(), tokenizer.model.merges, **options)
    ours.enable_truncation(9, direction="left")
    ours.enable_padding("left", 2, 1, "#", 12, 8)
    ours.save(tmp_path / "tokenizer.json")
    again = BPETokenizer.from_file(tmp_path / "tokenizer.json")
    assert same(again, ours)
    assert again.encode("The low, 新 a", "é<e>") == ours.encode("The low, 新 a", "é<e>")


def test_merges_as_strings_are_read_too(tokenizer, document, tmp_path):
    document["model"]["merges"] = [" ".join(merge) for merge in document["model"]["merges"]]
    del document["model"]["type"], document["model"]["ignore_merges"]  # as in older files
    assert same(open_document(document, tmp_path), tokenizer)


def test_gpt2_files_come_back(tokenizer, tmp_path):
    tokenizer.save_gpt2_files(tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    lines = (folder / "merges.txt").read_text("utf-8").splitlines()
    assert lines == ["#version: 0.2", *map(" ".join, tokenizer.model.merges)]
    again = BPETokenizer.from_gpt2_files(folder / "vocab.json", folder / "merges.txt")
    assert same(again, tokenizer)


def replaced(document: dict, path: str, value) -> dict:
    document = copy.deepcopy(document)
    *folders, name = path.split(".")
    section = document
    for folder in folders:
        section = section[folder]
    section[name] = value
    return document


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
SPLIT = {"type": "Split", "pattern": {"Regex": "x"}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("model.type", "Unigram", "the model is 'Unigram'; only byte-level BPE"),
        ("model.type", "WordPiece", "the model is 'WordPiece'"),
        ("model.dropout", 0.1, "dropout = 0.1"),
        ("model.byte_fallback", True, "byte_fallback = True"),
        ("model.unk_token", "<unk>", "unk_token = '<unk>'"),
        ("model.end_of_word_suffix", "</w>", "end_of_word_suffix = '</w>'"),
        ("model.merges", [["l", "o", "w"]], r"the merge \['l', 'o', 'w'\] isn't a pair"),
        ("model.merges", ["low"], "the merge 'low' isn't a pair"),
        ("model.merges", [3], "the merge 3 isn't a pair"),
        ("model.merges", {"l": "o"}, "'merges' is .*; expected list"),
        ("model.merges", [["l", "q"]], "contradicts the vocabulary: the token 'lq'"),
        ("model.vocab", {"l": 0}, "contradicts the vocabulary"),
        ("added_tokens", [{"content": "<e>", "id": 999}], "without gaps"),
        ("normalizer", {"type": "NFC"}, "the normalizer is of the kind 'NFC'; only null"),
        ("pre_tokenizer", {"type": "Metaspace"}, "pre_tokenizer is of the kind 'Metaspace'"),
        ("pre_tokenizer", None, "pre_tokenizer is of the kind None"),
        (
            "pre_tokenizer",
            {"type": "Sequence", "pretokenizers": [{"type": "Digits"}, BYTE_LEVEL]},
            r"the pre_tokenizer is Digits \+ ByteLevel",
        ),
        (
            "pre_tokenizer",
            {"type": "Sequence", "pretokenizers": [SPLIT, BYTE_LEVEL]},
            "use_regex True",
        ),
        (
            "pre_tokenizer",
            {"type": "Sequence", "pretokenizers": [SPLIT | {"behavior": "Removed"}, BYTE_LEVEL]},
            "behavior 'Removed'",
        ),
        ("decoder", {"type": "WordPiece"}, "decoder is of the kind 'WordPiece'"),
        ("decoder", None, "decoder is of the kind None; only ByteLevel"),
        ("post_processor", {"type": "BertProcessing"}, "post_processor is of the kind 'BertPro"),
        (
            "post_processor",
            {"type": "Sequence", "processors": [{"type": "RobertaProcessing"}]},
            "post_processor holds 'RobertaProcessing'",
        ),
        ("model", None, '"model" is None'),
    ],
)
def test_what_cant_be_opened_is_named(document, tmp_path, path, value, message):
    with pytest.raises(TokenizerFormatError, match=message) as error:
        open_document(replaced(document, path, value), tmp_path)
    assert "tokenizer.json" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"{}"])
def test_broken_files_are_refused(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(TokenizerFormatError, match="tokenizer.json"):
        BPETokenizer.from_file(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.json"):
        BPETokenizer.from_file(tmp_path / "missing.json")


@pytest.mark.parametrize(
    "vocab, merges, message",
    [
        (b"[1]", b"", r"vocab.json holds \[1\]; expected an object"),
        (b"{", b"", "vocab.json isn't a vocabulary in JSON"),
        (b'{"a": 0}', b"\xff", "merges.txt isn't a list of merges in UTF-8"),
        (b'{"a": 0}', b"#version: 0.2\na b c\n", "merges.txt, line 2 is 'a b c'; expected two"),
        (b'{"a": 0}', b"a \n", "line 1 is 'a '"),
        (b'{"a": 0}', b"a a\n", "vocab.json.*contradicts the vocabulary: the token 'aa'"),
        (b'{"a": "0"}', b"", "vocab.json.*maps str to int"),
    ],
)
def test_broken_gpt2_files_are_refused(tmp_path, vocab, merges, message):
    (tmp_path / "vocab.json").write_bytes(vocab)
    (tmp_path / "merges.txt").write_bytes(merges)
    with pytest.raises(ValueError, match=message):
        BPETokenizer.from_gpt2_files(tmp_path / "vocab.json", tmp_path / "merges.txt")

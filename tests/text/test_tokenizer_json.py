"""tokenizer.json: what is written comes back, what is broken or foreign is refused by name."""

import copy
import json

import pytest

from minillm.text import (
    AddedToken,
    BertNormalizer,
    TemplateProcessing,
    TokenizerFormatError,
    WordPieceTokenizer,
)


@pytest.fixture
def document(tmp_path) -> dict:
    """A good tokenizer.json."""
    path = tmp_path / "good.json"
    WordPieceTokenizer.train(["low lower"] * 2, 100, show_progress=False).save(path)
    return json.loads(path.read_text("utf-8"))


def open_document(document: dict, tmp_path) -> WordPieceTokenizer:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document), "utf-8")
    return WordPieceTokenizer.from_file(path)


def test_all_settings_come_back(tmp_path):
    vocab = {"<unk>": 0, "a": 1, "@b": 2, "[S]": 3}
    tokenizer = WordPieceTokenizer(
        vocab,
        BertNormalizer(clean_text=False, strip_accents=True, lowercase=False),
        {AddedToken("[S]"): 3, AddedToken("新 a", True, True, True, True, False): 4},
        TemplateProcessing(
            single=(("$A", 1), ("[S]", 2)),
            pair=(("$B", 0), ("[S]", 1), ("$A", 3)),
            special_tokens={"[S]": [(3, "[S]"), (1, "a")]},
        ),
        unk_token="<unk>",
        continuing_subword_prefix="@",
        max_input_chars_per_word=7,
        decoder=("@", False),
    )
    tokenizer.enable_truncation(9, strategy="only_second", direction="left")
    tokenizer.enable_padding("left", 2, 1, "@b", 12, 8)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    again = WordPieceTokenizer.from_file(path)
    for name in (
        "normalizer",
        "added_tokens",
        "post_processor",
        "decoder",
        "truncation",
        "padding",
    ):
        assert getattr(again, name) == getattr(tokenizer, name), name
    for name in ("vocab", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word"):
        assert getattr(again.model, name) == getattr(tokenizer.model, name), name
    path2 = tmp_path / "again.json"
    again.save(path2)
    assert path2.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("section", ["normalizer", "decoder", "post_processor"])
def test_sections_may_be_null(document, tmp_path, section):
    document[section] = None
    tokenizer = open_document(document, tmp_path)
    tokenizer.save(tmp_path / "again.json")
    again = WordPieceTokenizer.from_file(tmp_path / "again.json")
    for one in (tokenizer, again):
        ids = one.encode("Low lower").ids
        assert (one.token_to_id("[CLS]") in ids) == (section != "post_processor")
        assert (one.token_to_id("[UNK]") in ids) == (section == "normalizer")  # "L"
        pieces = [one.token_to_id("low"), one.token_to_id("##er")]
        assert one.decode(pieces) == ("low ##er" if section == "decoder" else "lower")


def test_bert_processing_is_bert_s_template(document, tmp_path):
    template = open_document(document, tmp_path).post_processor
    document["post_processor"] = {
        "type": "BertProcessing",
        "sep": ["[SEP]", document["model"]["vocab"]["[SEP]"]],
        "cls": ["[CLS]", document["model"]["vocab"]["[CLS]"]],
    }
    assert open_document(document, tmp_path).post_processor == template


def test_a_model_without_type_is_wordpiece_as_in_old_files(document, tmp_path):
    del document["model"]["type"]
    assert open_document(document, tmp_path).encode("low").tokens == ["[CLS]", "low", "[SEP]"]


def test_ids_out_of_order_are_fine(document, tmp_path):
    vocab = document["model"]["vocab"]
    document["model"]["vocab"] = dict(reversed(vocab.items()))
    assert open_document(document, tmp_path).get_vocab() == vocab


def replace(*path_and_value):
    """A change to a document: replace((keys ...), value)."""
    *path, last, value = path_and_value

    def change(document):
        for key in path:
            document = document[key]
        document[last] = value

    return change


def remove(*path):
    def change(document):
        for key in path[:-1]:
            document = document[key]
        del document[path[-1]]

    return change


TRUNCATION = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    "strategy": "BatchLongest",
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "[PAD]",
}


@pytest.mark.parametrize(
    "change, message",
    [
        (replace("model", "type", "BPE"), "model is 'BPE'; only WordPiece"),
        (replace("model", {"vocab": {}, "merges": []}), "model is None; only WordPiece"),
        (replace("model", []), 'section "model" is'),
        (remove("model"), 'section "model" is None'),
        (remove("model", "unk_token"), "entry 'unk_token' is missing"),
        (replace("model", "vocab", ["a"]), "'vocab' is .* expected dict"),
        (replace("model", "vocab", {}), "\\[PAD\\]|isn't in the vocabulary"),
        (replace("model", "vocab", "[UNK]", 999), "\\[UNK\\]"),
        (replace("model", "vocab", "low", 0), "same id 0|without gaps"),
        (replace("model", "vocab", "gap", 99), "'gap' has id 99"),
        (replace("model", "vocab", "low", "6"), "'low': '6'"),
        (replace("model", "unk_token", "<unk>"), "unknown token '<unk>' isn't in the vocabulary"),
        (replace("model", "max_input_chars_per_word", True), "expected int"),
        (replace("normalizer", {"type": "Lowercase"}), "normalizer .* 'Lowercase'; only BertNorm"),
        (replace("normalizer", "lowercase", None), "'lowercase' is None; expected bool"),
        (replace("pre_tokenizer", {"type": "Whitespace"}), "pre_tokenizer .* 'Whitespace'"),
        (replace("pre_tokenizer", None), "pre_tokenizer .* None"),
        (replace("decoder", {"type": "ByteLevel"}), "decoder .* 'ByteLevel'"),
        (replace("post_processor", {"type": "ByteLevel"}), "post_processor .* 'ByteLevel'"),
        (replace("post_processor", 3), "post_processor .* 3"),
        (replace("post_processor", "single", [{"What": 1}]), "unknown piece"),
        (replace("post_processor", "single", []), "single template must hold"),
        (replace("post_processor", "special_tokens", {}), "isn't among its special tokens"),
        (replace("post_processor", "special_tokens", "[SEP]", "ids", [999]), "id 999"),
        (replace("post_processor", "special_tokens", "[SEP]", []), "expected an object"),
        (replace("added_tokens", [{"id": 2, "content": "low"}]), "'low' has id 2"),
        (replace("added_tokens", [{"content": "low"}]), "'id' is missing"),
        (replace("added_tokens", {}), "'added_tokens' is"),
        (replace("truncation", TRUNCATION | {"stride": 2}), "stride"),
        (replace("truncation", TRUNCATION | {"strategy": "Random"}), "strategy is 'Random'"),
        (replace("truncation", TRUNCATION | {"max_length": "8"}), "'max_length' is '8'"),
        (replace("padding", PADDING | {"strategy": "Widest"}), "padding strategy is 'Widest'"),
        (replace("padding", PADDING | {"direction": "Up"}), "direction is 'up'"),
        (replace("padding", []), "'padding' is"),
    ],
)
def test_foreign_and_broken_sections_are_named(document, tmp_path, change, message):
    change(copy.deepcopy(document))  # the change itself is possible
    change(document)
    with pytest.raises(TokenizerFormatError, match=message) as error:
        open_document(document, tmp_path)
    assert "tokenizer.json" in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[]", b"3", b"[" * 100_000, b'{"version": "1.0"}']
)
def test_broken_files_are_refused(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(TokenizerFormatError, match="tokenizer.json"):
        WordPieceTokenizer.from_file(path)


def test_a_cut_off_file_is_refused(document, tmp_path):
    text = json.dumps(document)
    path = tmp_path / "tokenizer.json"
    for n in range(0, len(text) - 1, 97):
        path.write_text(text[:n], "utf-8")
        with pytest.raises(TokenizerFormatError):
            WordPieceTokenizer.from_file(path)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.json"):
        WordPieceTokenizer.from_file(tmp_path / "missing.json")


def test_saving_where_it_is_impossible_leaves_nothing(document, tmp_path):
    tokenizer = open_document(document, tmp_path)
    with pytest.raises(OSError):
        tokenizer.save(tmp_path / "no folder" / "tokenizer.json")
    assert not (tmp_path / "no folder").exists()

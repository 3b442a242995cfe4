"""BERT's tokenizer in a `tokenizer.json` (see tokenizer_json.py):

    normalizer             BertNormalizer and its four switches, or null
    pre_tokenizer          BertPreTokenizer
    post_processor         TemplateProcessing or BertProcessing ([CLS] A [SEP] B [SEP]), or null
    decoder                WordPiece, or null
    model                  WordPiece: the vocabulary, [UNK], "##"

`read` turns the sections into the parts of a WordPieceTokenizer, `write` does the reverse.
"""

import os
from collections.abc import Mapping
from typing import Any

from minillm.text import tokenizer_json
from minillm.text.pretokenize import BertNormalizer
from minillm.text.template import TemplateProcessing
from minillm.text.tokenizer_json import TokenizerFormatError, get, require_type

_LONGEST_WORD = 1000  # BERT's: 100
_SWITCHES = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")


def read(path: str | os.PathLike) -> dict[str, Any]:
    """Read tokenizer.json into the arguments of WordPieceTokenizer, truncation and padding.

    Raises FileNotFoundError, and TokenizerFormatError for a file that is empty or broken or that
    describes something other than a WordPiece tokenizer as BERT has it.
    """
    return tokenizer_json.read(path, _read_sections)


def _read_sections(document: dict) -> dict[str, Any]:
    require_type(document, "pre_tokenizer", "BertPreTokenizer")
    template = require_type(
        document, "post_processor", "TemplateProcessing", "BertProcessing", None
    )
    return {
        **_read_model(document["model"]),
        "decoder": _read_decoder(document),
        "normalizer": _read_normalizer(document),
        "post_processor": tokenizer_json.read_template(template),
    }


def _read_model(model: Mapping) -> dict[str, Any]:
    kind = model.get("type", "WordPiece" if "max_input_chars_per_word" in model else None)
    if kind != "WordPiece":
        raise TokenizerFormatError(f"the model is {kind!r:.80}; only WordPiece can be opened")
    longest = get(model, "max_input_chars_per_word", int)
    if not 0 < longest <= _LONGEST_WORD:
        raise TokenizerFormatError(
            f"max_input_chars_per_word is {longest}; expected 1 to {_LONGEST_WORD}: the time for a "
            "word grows with the square of its length"
        )
    return {
        "vocab": get(model, "vocab", dict),
        "unk_token": get(model, "unk_token", str),
        "continuing_subword_prefix": get(model, "continuing_subword_prefix", str),
        "max_input_chars_per_word": longest,
    }


def _read_normalizer(document: Mapping) -> BertNormalizer:
    section = require_type(document, "normalizer", "BertNormalizer", None)
    if section is None:
        return BertNormalizer(False, False, False, False)
    types = {"strip_accents": (bool, type(None))}
    return BertNormalizer(*(get(section, name, *types.get(name, (bool,))) for name in _SWITCHES))


def _read_decoder(document: Mapping) -> tuple[str, bool] | None:
    section = require_type(document, "decoder", "WordPiece", None)
    if section is None:
        return None
    return get(section, "prefix", str), get(section, "cleanup", bool)


def write(
    path: str | os.PathLike,
    *,
    vocab: Mapping[str, int],
    unk_token: str,
    continuing_subword_prefix: str,
    max_input_chars_per_word: int,
    decoder: tuple[str, bool] | None,
    normalizer: BertNormalizer,
    post_processor: TemplateProcessing,
    **common: Any,
) -> None:
    """Write tokenizer.json, at once or not at all.  Raises OSError where that is impossible.

    common: added_tokens, truncation and padding.
    """
    tokenizer_json.write(
        path,
        normalizer={
            "type": "BertNormalizer",
            **{name: getattr(normalizer, name) for name in _SWITCHES},
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        post_processor=tokenizer_json.template_section(post_processor),
        decoder=decoder and {"type": "WordPiece", "prefix": decoder[0], "cleanup": decoder[1]},
        model={
            "type": "WordPiece",
            "unk_token": unk_token,
            "continuing_subword_prefix": continuing_subword_prefix,
            "max_input_chars_per_word": max_input_chars_per_word,
            "vocab": dict(vocab),
        },
        **common,
    )

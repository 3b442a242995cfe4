"""The file `tokenizer.json`: the layout in which the Hugging Face libraries keep a tokenizer.

    truncation, padding    how encodings are cut and filled, or null
    added_tokens           tokens found in the raw text: [CLS], [MASK] ...
    normalizer             BertNormalizer and its four switches, or null
    pre_tokenizer          BertPreTokenizer
    post_processor         TemplateProcessing or BertProcessing ([CLS] A [SEP] B [SEP]), or null
    decoder                WordPiece, or null
    model                  WordPiece: the vocabulary, [UNK], "##"

`read` turns the sections into the parts of a WordPieceTokenizer, `write` does the reverse.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minillm.files import atomic_write
from minillm.text.added_tokens import AddedToken
from minillm.text.encoding import Padding, Truncation
from minillm.text.pretokenize import BertNormalizer
from minillm.text.template import NO_TEMPLATE, Template, TemplateProcessing


class TokenizerFormatError(ValueError):
    """A tokenizer.json that is broken, or that describes a tokenizer of another kind."""


_STRATEGIES = {
    "LongestFirst": "longest_first",
    "OnlyFirst": "only_first",
    "OnlySecond": "only_second",
}
_SWITCHES = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
_ADDED_TOKEN_SWITCHES = ("single_word", "lstrip", "rstrip", "normalized", "special")


def read(path: str | os.PathLike) -> dict[str, Any]:
    """Read tokenizer.json into the arguments of WordPieceTokenizer, truncation and padding.

    Raises FileNotFoundError, and TokenizerFormatError for a file that is empty or broken or that
    describes something other than a WordPiece tokenizer as BERT has it.
    """
    try:
        document = json.loads(Path(path).read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, absurdly nested
        raise TokenizerFormatError(f"{path} isn't a tokenizer in JSON: {error}") from None
    try:
        if not isinstance(document, dict):
            raise TokenizerFormatError(f"expected an object, found {document!r:.80}")
        model = document.get("model")
        if not isinstance(model, dict):
            raise TokenizerFormatError(f'the section "model" is {model!r:.80}; expected an object')
        _require_type(document, "pre_tokenizer", "BertPreTokenizer")
        return {
            **_read_model(model),
            "decoder": _read_decoder(document),
            "normalizer": _read_normalizer(document),
            "post_processor": _read_post_processor(document),
            "added_tokens": _read_added_tokens(document),
            "truncation": _read_truncation(document),
            "padding": _read_padding(document),
        }
    except (TypeError, ValueError) as error:
        raise TokenizerFormatError(f"{path}: {error}") from None


def _require_type(document: Mapping, section: str, *supported: str | None) -> dict | None:
    """document[section] if its type is one of those supported (None: the section may be null)."""
    value = document.get(section)
    found = _get(value, "type", str) if isinstance(value, dict) else value
    if found not in supported:
        names = " or ".join("null" if name is None else name for name in supported)
        raise TokenizerFormatError(
            f"the {section} is of the kind {found!r:.80}; only {names} can be opened"
        )
    return value


def _get(section: Mapping, name: str, *types: type, default: Any = ...) -> Any:
    """section[name], which must be there (or have a default) and be of one of the types."""
    if not isinstance(section, dict):
        raise TokenizerFormatError(f"expected an object, found {section!r:.80}")
    value = section.get(name, default)
    if value is ...:
        raise TokenizerFormatError(f"the entry {name!r} is missing in {section!r:.80}")
    if type(value) not in types:  # and not isinstance: true is no int here
        expected = " or ".join("null" if t is type(None) else t.__name__ for t in types)
        raise TokenizerFormatError(f"the entry {name!r} is {value!r:.80}; expected {expected}")
    return value


def _read_model(model: Mapping) -> dict[str, Any]:
    kind = model.get("type", "WordPiece" if "max_input_chars_per_word" in model else None)
    if kind != "WordPiece":
        raise TokenizerFormatError(f"the model is {kind!r}; only WordPiece can be opened")
    return {
        "vocab": _get(model, "vocab", dict),
        "unk_token": _get(model, "unk_token", str),
        "continuing_subword_prefix": _get(model, "continuing_subword_prefix", str),
        "max_input_chars_per_word": _get(model, "max_input_chars_per_word", int),
    }


def _read_normalizer(document: Mapping) -> BertNormalizer:
    section = _require_type(document, "normalizer", "BertNormalizer", None)
    if section is None:
        return BertNormalizer(False, False, False, False)
    types = {"strip_accents": (bool, type(None))}
    return BertNormalizer(*(_get(section, name, *types.get(name, (bool,))) for name in _SWITCHES))


def _read_decoder(document: Mapping) -> tuple[str, bool] | None:
    section = _require_type(document, "decoder", "WordPiece", None)
    if section is None:
        return None
    return _get(section, "prefix", str), _get(section, "cleanup", bool)


def _read_post_processor(document: Mapping) -> TemplateProcessing:
    section = _require_type(
        document, "post_processor", "TemplateProcessing", "BertProcessing", None
    )
    if section is None:
        return NO_TEMPLATE
    if section["type"] == "BertProcessing":
        (sep, sep_id), (cls, cls_id) = (_get(section, name, list) for name in ("sep", "cls"))
        return TemplateProcessing.bert((cls_id, cls), (sep_id, sep))
    special_tokens = {
        name: list(zip(_get(token, "ids", list), _get(token, "tokens", list), strict=True))
        for name, token in _get(section, "special_tokens", dict).items()
    }
    single, pair = (_read_template(_get(section, name, list)) for name in ("single", "pair"))
    return TemplateProcessing(single, pair, special_tokens)


def _read_template(pieces: list) -> Template:
    """[{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", ...}}, ...]"""
    template = []
    for piece in pieces:
        ((kind, entries),) = piece.items() if isinstance(piece, dict) else [(None, {})]
        if kind not in ("SpecialToken", "Sequence"):
            raise TokenizerFormatError(f"unknown piece {piece!r:.80} in the post_processor")
        name, type_id = _get(entries, "id", str), _get(entries, "type_id", int)
        template.append(("$" + name if kind == "Sequence" else name, type_id))
    return tuple(template)


def _read_added_tokens(document: Mapping) -> dict[AddedToken, int]:
    tokens = _get(document, "added_tokens", list, default=[])
    return {
        AddedToken(
            _get(token, "content", str),
            **{name: _get(token, name, bool, default=False) for name in _ADDED_TOKEN_SWITCHES},
        ): _get(token, "id", int)
        for token in tokens
    }


def _read_truncation(document: Mapping) -> Truncation | None:
    section = _get(document, "truncation", dict, type(None), default=None)
    if section is None:
        return None
    if _get(section, "stride", int, default=0) != 0:
        raise TokenizerFormatError("truncation with a stride (overlapping rests) isn't supported")
    strategy = _get(section, "strategy", str)
    direction = _get(section, "direction", str, default="Right").lower()
    return Truncation(
        _get(section, "max_length", int), _STRATEGIES.get(strategy, strategy), direction
    )


def _read_padding(document: Mapping) -> Padding | None:
    section = _get(document, "padding", dict, type(None), default=None)
    if section is None:
        return None
    strategy = _get(section, "strategy", str, dict)
    if strategy != "BatchLongest" and not (isinstance(strategy, dict) and "Fixed" in strategy):
        raise TokenizerFormatError(f"the padding strategy is {strategy!r}; expected BatchLongest")
    return Padding(
        direction=_get(section, "direction", str).lower(),
        pad_id=_get(section, "pad_id", int),
        pad_type_id=_get(section, "pad_type_id", int),
        pad_token=_get(section, "pad_token", str),
        length=None if strategy == "BatchLongest" else _get(strategy, "Fixed", int),
        pad_to_multiple_of=_get(section, "pad_to_multiple_of", int, type(None), default=None),
    )


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
    added_tokens: Mapping[AddedToken, int],
    truncation: Truncation | None,
    padding: Padding | None,
) -> None:
    """Write tokenizer.json, at once or not at all.  Raises OSError where that is impossible."""
    document = {
        "version": "1.0",
        "truncation": truncation and _truncation_section(truncation),
        "padding": padding and _padding_section(padding),
        "added_tokens": [
            {"id": id, **asdict(token)}
            for token, id in sorted(added_tokens.items(), key=lambda item: item[1])
        ],
        "normalizer": {
            "type": "BertNormalizer",
            **{name: getattr(normalizer, name) for name in _SWITCHES},
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _post_processor_section(post_processor),
        "decoder": decoder and {"type": "WordPiece", "prefix": decoder[0], "cleanup": decoder[1]},
        "model": {
            "type": "WordPiece",
            "unk_token": unk_token,
            "continuing_subword_prefix": continuing_subword_prefix,
            "max_input_chars_per_word": max_input_chars_per_word,
            "vocab": dict(vocab),
        },
    }
    atomic_write(path, json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def _truncation_section(truncation: Truncation) -> dict[str, Any]:
    names = {ours: theirs for theirs, ours in _STRATEGIES.items()}
    return {
        "direction": truncation.direction.capitalize(),
        "max_length": truncation.max_length,
        "strategy": names[truncation.strategy],
        "stride": 0,
    }


def _padding_section(padding: Padding) -> dict[str, Any]:
    return {
        "strategy": "BatchLongest" if padding.length is None else {"Fixed": padding.length},
        "direction": padding.direction.capitalize(),
        "pad_to_multiple_of": padding.pad_to_multiple_of,
        "pad_id": padding.pad_id,
        "pad_type_id": padding.pad_type_id,
        "pad_token": padding.pad_token,
    }


def _post_processor_section(processor: TemplateProcessing) -> dict[str, Any] | None:
    if processor == NO_TEMPLATE:
        return None

    def template(pieces: Template) -> list[dict]:
        return [
            {"Sequence": {"id": name[1:], "type_id": type_id}}
            if name in ("$A", "$B")
            else {"SpecialToken": {"id": name, "type_id": type_id}}
            for name, type_id in pieces
        ]

    return {
        "type": "TemplateProcessing",
        "single": template(processor.single),
        "pair": template(processor.pair),
        "special_tokens": {
            name: {
                "id": name,
                "ids": [id for id, _ in tokens],
                "tokens": [token for _, token in tokens],
            }
            for name, tokens in processor.special_tokens.items()
        },
    }

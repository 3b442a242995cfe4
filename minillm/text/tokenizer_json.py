"""The file `tokenizer.json`: the layout in which the Hugging Face libraries keep a tokenizer.

    truncation, padding    how encodings are cut and filled, or null
    added_tokens           tokens found in the raw text: [CLS], [MASK] ...
    normalizer             what happens to a text before it is cut
    pre_tokenizer          how it is cut into words
    post_processor         TemplateProcessing or BertProcessing ([CLS] A [SEP] B [SEP]), or null
    decoder                how tokens become text again
    model                  the vocabulary, and how a word is cut into tokens

Here stand the sections that all kinds of tokenizers share; the others are read and written where
their kind is: wordpiece_files.py, bpe_files.py, character_files.py.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minillm.files import atomic_write, complete_files
from minillm.foreign_files import MB, shortened
from minillm.strict_json import read_json
from minillm.text.added_tokens import AddedToken
from minillm.text.encoding import Padding, Truncation
from minillm.text.template import NO_TEMPLATE, Template, TemplateProcessing


class TokenizerFormatError(ValueError):
    """A tokenizer.json that is broken, or that describes a tokenizer of another kind."""


LARGEST = 64 * MB  # of a file; vocabularies of 260,000 tokens have 34
# More than any tokenizer has, and little enough that nobody's memory and patience runs out.
_MOST_ADDED_TOKENS = 20_000
_LONGEST_PADDING = 1 << 17
_STRATEGIES = {
    "LongestFirst": "longest_first",
    "OnlyFirst": "only_first",
    "OnlySecond": "only_second",
}
# In the section "model" stands a digest of all the rest, which tells a flipped bit.  There the
# `tokenizers` library allows what it doesn't know, and leaves it out when it writes the file anew.
SEAL = "sha256"
_ADDED_TOKEN_SWITCHES = ("single_word", "lstrip", "rstrip", "normalized", "special")


def read(
    path: str | os.PathLike, read_sections: Callable[[dict], dict[str, Any]]
) -> dict[str, Any]:
    """Read tokenizer.json into the arguments of a tokenizer, truncation and padding.

    read_sections(document) gives what its kind needs, and the sections that all share come to it.
    Raises FileNotFoundError, and TokenizerFormatError for a file that is empty or broken or that
    describes a tokenizer of another kind.
    """
    document = read_document(path)
    try:
        return {
            **read_sections(document),
            "added_tokens": _read_added_tokens(document),
            "truncation": _read_truncation(document),
            "padding": _read_padding(document),
        }
    except (TypeError, ValueError) as error:
        raise TokenizerFormatError(f"{path}: {shortened(error)}") from None


def read_document(path: str | os.PathLike) -> dict:
    """The file's JSON: an object whose section "model" is one too."""
    complete_files(Path(path).parent)
    try:
        document = read_json(path, LARGEST)
    except ValueError as error:
        raise TokenizerFormatError(f"{path} isn't a tokenizer in JSON: {error}") from None
    if not isinstance(document, dict):
        raise TokenizerFormatError(f"{path}: expected an object, found {document!r:.80}")
    model = document.get("model")
    if not isinstance(model, dict):
        raise TokenizerFormatError(
            f'{path}: the section "model" is {model!r:.80}; expected an object'
        )
    if model.pop(SEAL, None) not in (None, _digest(document)):
        warnings.warn(
            f"{path} isn't what was saved (its digest differs): it was edited or damaged; if you "
            f'have edited it, remove "{SEAL}" from its section "model"',
            stacklevel=2,
        )
    return document


def _digest(document: dict) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def require_type(document: Mapping, section: str, *supported: str | None) -> dict | None:
    """document[section] if its type is one of those supported (None: the section may be null)."""
    value = document.get(section)
    found = get(value, "type", str) if isinstance(value, dict) else value
    if found not in supported:
        names = " or ".join("null" if name is None else name for name in supported)
        raise TokenizerFormatError(
            f"the {section} is of the kind {found!r:.80}; only {names} can be opened"
        )
    return value


def get(section: Mapping, name: str, *types: type, default: Any = ...) -> Any:
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


def read_template(section: Mapping | None) -> TemplateProcessing:
    """The template of a post_processor (TemplateProcessing, BertProcessing or null)."""
    if section is None:
        return NO_TEMPLATE
    if section["type"] == "BertProcessing":
        cls, sep = (_special_tokens(name, [get(section, name, list)]) for name in ("cls", "sep"))
        return TemplateProcessing.bert(*cls, *sep)
    special_tokens = {}
    for name, token in get(section, "special_tokens", dict).items():
        ids, tokens = get(token, "ids", list), get(token, "tokens", list)
        special_tokens[name] = _special_tokens(name, [*zip(tokens, ids, strict=True)])
    single, pair = (_read_pieces(get(section, name, list)) for name in ("single", "pair"))
    return TemplateProcessing(single, pair, special_tokens)


def _special_tokens(name: str, pairs: list) -> list[tuple[int, str]]:
    """[("[CLS]", 2)] -> [(2, "[CLS]")]."""
    for pair in pairs:
        if len(pair) != 2 or type(pair[0]) is not str or type(pair[1]) is not int:
            raise TokenizerFormatError(
                f"the special token {name!r:.80} is {pair!r:.80}; expected a text and its id"
            )
    return [(id, token) for token, id in pairs]


def _read_pieces(pieces: list) -> Template:
    """[{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", ...}}, ...]"""
    template = []
    for piece in pieces:
        one = isinstance(piece, dict) and len(piece) == 1
        ((kind, entries),) = piece.items() if one else [(None, {})]
        if kind not in ("SpecialToken", "Sequence"):
            raise TokenizerFormatError(f"unknown piece {piece!r:.80} in the post_processor")
        name, type_id = get(entries, "id", str), get(entries, "type_id", int)
        if not 0 <= type_id < 1 << 32:
            raise TokenizerFormatError(f"the type_id {type_id} in the post_processor is none")
        template.append(("$" + name if kind == "Sequence" else name, type_id))
    return tuple(template)


def _read_added_tokens(document: Mapping) -> dict[AddedToken, int]:
    tokens = get(document, "added_tokens", list, default=[])
    if len(tokens) > _MOST_ADDED_TOKENS:
        raise TokenizerFormatError(
            f"{len(tokens)} added tokens; at most {_MOST_ADDED_TOKENS} can be looked for"
        )
    added: dict[AddedToken, int] = {}
    for token in tokens:
        switches = {n: get(token, n, bool, default=False) for n in _ADDED_TOKEN_SWITCHES}
        added_token = AddedToken(get(token, "content", str), **switches)
        if added_token in added:
            raise TokenizerFormatError(
                f"the added token {added_token.content!r:.80} is there twice"
            )
        added[added_token] = get(token, "id", int)
    return added


def _read_truncation(document: Mapping) -> Truncation | None:
    section = get(document, "truncation", dict, type(None), default=None)
    if section is None:
        return None
    if get(section, "stride", int, default=0) != 0:
        raise TokenizerFormatError("truncation with a stride (overlapping rests) isn't supported")
    strategy = get(section, "strategy", str)
    direction = get(section, "direction", str, default="Right").lower()
    return Truncation(
        get(section, "max_length", int), _STRATEGIES.get(strategy, strategy), direction
    )


def _read_padding(document: Mapping) -> Padding | None:
    section = get(document, "padding", dict, type(None), default=None)
    if section is None:
        return None
    strategy = get(section, "strategy", str, dict)
    if strategy != "BatchLongest" and not (isinstance(strategy, dict) and "Fixed" in strategy):
        raise TokenizerFormatError(
            f"the padding strategy is {strategy!r:.80}; expected BatchLongest"
        )
    length = None if strategy == "BatchLongest" else get(strategy, "Fixed", int)
    multiple = get(section, "pad_to_multiple_of", int, type(None), default=None)
    if max(length or 0, multiple or 0) > _LONGEST_PADDING:
        raise TokenizerFormatError(
            f"padding to {length or multiple} tokens; expected at most {_LONGEST_PADDING}"
        )
    return Padding(
        direction=get(section, "direction", str).lower(),
        pad_id=get(section, "pad_id", int),
        pad_type_id=get(section, "pad_type_id", int),
        pad_token=get(section, "pad_token", str),
        length=length,
        pad_to_multiple_of=multiple,
    )


def write(
    path: str | os.PathLike,
    *,
    normalizer: Any,
    pre_tokenizer: Any,
    post_processor: Any,
    decoder: Any,
    model: dict[str, Any],
    added_tokens: Mapping[AddedToken, int],
    truncation: Truncation | None,
    padding: Padding | None,
) -> None:
    """Write tokenizer.json, at once or not at all.  Raises OSError where that is impossible.

    The arguments down to `model` are sections as they stand in the file.
    """
    document = {
        "version": "1.0",
        "truncation": truncation and _truncation_section(truncation),
        "padding": padding and _padding_section(padding),
        "added_tokens": [
            {"id": id, **asdict(token)}
            for token, id in sorted(added_tokens.items(), key=lambda item: item[1])
        ],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": decoder,
        "model": model,
    }
    document["model"] = model | {SEAL: _digest(document)}
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


def template_section(processor: TemplateProcessing) -> dict[str, Any] | None:
    """The post_processor for this template."""
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

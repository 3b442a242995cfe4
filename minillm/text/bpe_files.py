"""Byte-level BPE in files: `tokenizer.json` (see tokenizer_json.py) and GPT-2's pair of files.

tokenizer.json:

    normalizer       null
    pre_tokenizer    ByteLevel (with GPT-2's pattern), or a Split by another pattern, then ByteLevel
    post_processor   ByteLevel (whether offsets leave out spaces), a template, or both
    decoder          ByteLevel
    model            BPE: the vocabulary and the merges

GPT-2's: `vocab.json` {token: id}, and `merges.txt` with one merge a line, "left right", the first
learned first; a space inside a token is no danger, for the byte alphabet writes it as "Ġ".
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minillm.files import atomic_files, complete_files
from minillm.foreign_files import read_bytes
from minillm.strict_json import read_json
from minillm.text import tokenizer_json
from minillm.text.bpe_patterns import PATTERNS
from minillm.text.template import NO_TEMPLATE, TemplateProcessing
from minillm.text.tokenizer_json import (
    LARGEST,
    TokenizerFormatError,
    get,
    read_template,
    require_type,
)


@dataclass(frozen=True)
class TrimOffsets:
    """Offsets leave out the spaces at a token's ends.

    add_prefix_space : a single space at the text's beginning counts as one that was added
    """

    add_prefix_space: bool = True


# What a model must not have (or have as one of these), because it changes the ids.
_MODEL_SETTINGS = {
    "dropout": (None, 0.0),
    "unk_token": (None,),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "byte_fallback": (None, False),
}


def read(path: str | os.PathLike) -> dict[str, Any]:
    """Read tokenizer.json into the arguments of BPETokenizer, truncation and padding.

    Raises FileNotFoundError, and TokenizerFormatError for a file that is empty or broken or that
    describes something other than byte-level BPE.
    """
    return tokenizer_json.read(path, _read_sections)


def _read_sections(document: dict) -> dict[str, Any]:
    model = document["model"]
    kind = model.get("type", "BPE" if "merges" in model else None)
    if kind != "BPE":
        raise TokenizerFormatError(f"the model is {kind!r:.80}; only byte-level BPE can be opened")
    for name, supported in _MODEL_SETTINGS.items():
        if model.get(name) not in supported:
            raise TokenizerFormatError(
                f"the model has {name} = {model[name]!r:.80}, which byte-level BPE doesn't have"
            )
    require_type(document, "normalizer", None)
    require_type(document, "decoder", "ByteLevel")
    return {
        "vocab": get(model, "vocab", dict),
        "merges": [_read_merge(merge) for merge in get(model, "merges", list)],
        "ignore_merges": get(model, "ignore_merges", bool, default=False),
        **_read_pre_tokenizer(document),
        **_read_post_processor(document),
    }


def _read_merge(merge: Any) -> tuple[str, str]:
    """A merge is a pair ["l", "ow"], or in older files a string "l ow"."""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if not (isinstance(parts, list) and len(parts) == 2 and all(isinstance(p, str) for p in parts)):
        raise TokenizerFormatError(f"the merge {merge!r:.80} isn't a pair of tokens")
    return parts[0], parts[1]


def _read_pre_tokenizer(document: Mapping) -> dict[str, Any]:
    section = require_type(document, "pre_tokenizer", "ByteLevel", "Sequence")
    steps: list[Any] = [section]
    if section and section["type"] == "Sequence":
        steps = get(section, "pretokenizers", list)
    kinds = [get(step, "type", str) for step in steps]
    if kinds not in (["ByteLevel"], ["Split", "ByteLevel"]):
        raise TokenizerFormatError(
            f"the pre_tokenizer is {' + '.join(kinds):.200}; only ByteLevel or Split + ByteLevel "
            "can be opened"
        )
    byte_level = steps[-1]
    add_prefix_space = get(byte_level, "add_prefix_space", bool)
    with_gpt2_pattern = get(byte_level, "use_regex", bool, default=True)
    if len(steps) == 1:
        pattern = "gpt2" if with_gpt2_pattern else None
        return {"pattern": pattern, "add_prefix_space": add_prefix_space}
    split = steps[0]
    expression = get(get(split, "pattern", dict), "Regex", str)
    behavior, invert = get(split, "behavior", str), get(split, "invert", bool, default=False)
    if behavior != "Isolated" or invert or with_gpt2_pattern or add_prefix_space:
        raise TokenizerFormatError(
            f"Split with behavior {behavior!r:.80}, invert {invert}, then ByteLevel with use_regex "
            f"{with_gpt2_pattern}, add_prefix_space {add_prefix_space}: only 'Isolated' and three "
            "times False can be opened"
        )
    names = {known: name for name, known in PATTERNS.items()}
    return {"pattern": names.get(expression, expression), "add_prefix_space": False}


def _read_post_processor(document: Mapping) -> dict[str, Any]:
    section = require_type(
        document, "post_processor", "ByteLevel", "TemplateProcessing", "Sequence", None
    )
    steps: list[Any] = [section] if section else []
    if section and section["type"] == "Sequence":
        steps = get(section, "processors", list)
    trim_offsets, template = None, NO_TEMPLATE
    for step in steps:
        kind = get(step, "type", str)
        if kind == "ByteLevel":
            if get(step, "trim_offsets", bool):
                trim_offsets = TrimOffsets(get(step, "add_prefix_space", bool))
        elif kind == "TemplateProcessing" and step is steps[-1]:
            template = read_template(step)
        else:
            raise TokenizerFormatError(
                f"the post_processor holds {kind!r:.80}; only ByteLevel, then TemplateProcessing, "
                "can be opened"
            )
    return {"trim_offsets": trim_offsets, "post_processor": template}


def write(
    path: str | os.PathLike,
    *,
    vocab: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    ignore_merges: bool,
    pattern: str | None,
    add_prefix_space: bool,
    trim_offsets: TrimOffsets | None,
    post_processor: TemplateProcessing,
    **common: Any,
) -> None:
    """Write tokenizer.json, at once or not at all.  Raises OSError where that is impossible.

    common: added_tokens, truncation and padding.
    """

    def byte_level(add_prefix_space: bool, trim: bool, use_regex: bool) -> dict[str, Any]:
        return {
            "type": "ByteLevel",
            "add_prefix_space": add_prefix_space,
            "trim_offsets": trim,
            "use_regex": use_regex,
        }

    pre_tokenizer = byte_level(add_prefix_space, True, pattern == "gpt2")
    if pattern not in (None, "gpt2"):
        split = {
            "type": "Split",
            "pattern": {"Regex": PATTERNS.get(pattern, pattern)},
            "behavior": "Isolated",
            "invert": False,
        }
        pre_tokenizer = {"type": "Sequence", "pretokenizers": [split, pre_tokenizer]}
    if trim_offsets is None:
        processor = byte_level(add_prefix_space, False, True)
    else:
        processor = byte_level(trim_offsets.add_prefix_space, True, True)
    template = tokenizer_json.template_section(post_processor)
    if template is not None:
        processor = {"type": "Sequence", "processors": [processor, template]}
    tokenizer_json.write(
        path,
        normalizer=None,
        pre_tokenizer=pre_tokenizer,
        post_processor=processor,
        decoder=byte_level(add_prefix_space, True, True),
        model={
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": ignore_merges,
            "vocab": dict(vocab),
            "merges": [list(merge) for merge in merges],
        },
        **common,
    )


def read_gpt2_files(
    vocab_path: str | os.PathLike, merges_path: str | os.PathLike
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """({token: id}, merges) of a vocab.json and a merges.txt.

    Raises FileNotFoundError, and ValueError for a broken file, naming the line.
    """
    complete_files(Path(vocab_path).parent)
    try:
        vocab = read_json(vocab_path, LARGEST)
    except ValueError as error:
        raise ValueError(f"{vocab_path} isn't a vocabulary in JSON: {error}") from None
    if not isinstance(vocab, dict):
        raise ValueError(f"{vocab_path} holds {vocab!r:.80}; expected an object {{token: id}}")
    try:
        lines = read_bytes(merges_path, LARGEST).decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{merges_path} isn't a list of merges in UTF-8: {error}") from None
    merges = []
    for number, line in enumerate(lines, start=1):
        line = line.removesuffix("\r")
        if not line or (number == 1 and line.startswith("#version")):
            continue
        parts = line.split(" ")
        if len(parts) != 2 or not all(parts):
            raise ValueError(
                f"{merges_path}, line {number} is {line!r:.80}; expected two tokens with a space "
                "between them"
            )
        merges.append((parts[0], parts[1]))
    return vocab, merges


def write_gpt2_files(
    folder: str | os.PathLike, vocab: Mapping[str, int], merges: Sequence[tuple[str, str]]
) -> None:
    """Write vocab.json and merges.txt, both or none, into the folder, made if need be."""
    text = json.dumps(dict(vocab), ensure_ascii=False) + "\n"
    lines = ["#version: 0.2", *map(" ".join, merges)]
    with atomic_files(folder) as new:
        (new / "vocab.json").write_bytes(text.encode())
        (new / "merges.txt").write_bytes(("\n".join(lines) + "\n").encode())

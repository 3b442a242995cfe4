"""JSON from strangers: what it costs is known before it is parsed, and what it says is unambiguous.

A parser believes its input.  A file of a million "[" sends it a million calls deep, one of a
hundred megabytes of "{}," becomes a gigabyte of objects, and of a key that stands there twice it
quietly takes one.  So a file is refused, with its name and the reason,

- before it is read, if it isn't an ordinary file or is larger than its kind ever is;
- before it is parsed, if it is nested deeper than 64 or would become too many objects;
- for a key that is there twice, NaN and Infinity (which are no JSON), a number that no machine
  number holds, and half of a surrogate pair (which is no text).
"""

import json
import math
import os
import re
from typing import Any

import numpy as np

from minillm.foreign_files import MB, read_bytes

DEPTH = 64  # what people write is nested 10 deep
_LARGEST_ROW = 50 * MB
# What the values of a document take as Python objects, in bytes: measured, rounded up.
_CONTAINER, _ENTRY, _ELEMENT = 72, 220, 60
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json(path: str | os.PathLike, largest: int = 4 * MB, objects: int = 200 * MB) -> Any:
    """The value of a JSON file in UTF-8.

    largest: of the file, in bytes.  objects: what its values may take in memory.
    Raises FileNotFoundError, and ValueError, with the path, for everything said above.
    """
    return parse_json(read_bytes(path, largest), path, objects)


def parse_json(
    data: bytes, source: str | os.PathLike, objects: int = 200 * MB, infinite: bool = False
) -> Any:
    """The value of JSON in UTF-8; source: whose content it is, for messages.

    infinite: whether NaN and Infinity may stand there, as Python's json writes them.
    """
    try:
        depth, memory = cost(data)
        if depth > DEPTH:
            raise ValueError(f"it is nested {depth} deep, expected at most {DEPTH}")
        if memory > objects:
            raise ValueError(
                f"its values would take about {memory // MB} MB of memory, expected at most "
                f"{objects // MB}"
            )
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_distinct,
            parse_int=_integer,
            parse_float=None if infinite else _finite,
            parse_constant=None if infinite else _no_constant,
        )
        if b"\\u" in data:
            _check_surrogates(value)
        return value
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{source} is not UTF-8: byte 0x{data[error.start]:02x} at position {error.start}"
        ) from None
    except ValueError as error:
        raise ValueError(f"{source} is not JSON that can be read: {error}") from None


def parse_row(line: str) -> Any:
    """The value of a line of JSON Lines.  Its depth and memory are bounded; as to what it says,
    people's data hold NaN and other things that don't matter in fields that nobody asks for.

    Raises ValueError.
    """
    if line.count("[") + line.count("{") > DEPTH:
        depth, memory = cost(line.encode("utf-8", "surrogatepass"))
        if depth > DEPTH or memory > _LARGEST_ROW:
            raise ValueError(
                f"it is nested {depth} deep, or would take {memory // MB} MB of memory"
            )
    return json.loads(line)


def cost(data: bytes) -> tuple[int, int]:
    """(nesting depth, bytes of memory) of a JSON text, without parsing it.

    Linear, in a few passes at the speed of C: what is escaped is taken out, then everything but
    quotes and signs of structure, and then what stands between quotes.
    """
    # Of a row of backslashes the first two, the next two ... are pairs: what is left escapes.
    data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    data = data.translate(None, _NO_STRUCTURE).replace(b'""', b"")
    signs = np.frombuffer(data, np.uint8)
    inside = np.cumsum(signs == ord('"'), dtype=np.uint8) & 1  # odd within a string, also mod 256
    signs = signs[inside == 0]
    opening = (signs == ord("[")) | (signs == ord("{"))
    closing = (signs == ord("]")) | (signs == ord("}"))
    steps = opening.astype(np.int8) - closing.astype(np.int8)
    depth = int(np.cumsum(steps, dtype=np.int64).max(initial=0))
    memory = (
        _CONTAINER * np.count_nonzero(opening)
        + _ENTRY * np.count_nonzero(signs == ord(":"))
        + _ELEMENT * np.count_nonzero(signs == ord(","))
    )
    return depth, int(memory)


_NO_STRUCTURE = bytes(sorted(set(range(256)) - set(b'"[]{}:,')))


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore
        raise ValueError(f"the key {twice!r:.80} is there twice")
    return values


def _integer(text: str) -> int:
    value = int(text) if len(text) <= 20 else 1 << 64
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"the number {text:.20} is too large: no integer of 64 bits")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text:.20} is too large: more than any float")
    return value


def _no_constant(name: str):
    raise ValueError(f"{name} is no JSON, and no number that can be meant here")


def _check_surrogates(value: Any) -> None:
    r"""A "\ud83d" without its other half can't be written to any file again."""
    if isinstance(value, str):
        if _LONE_SURROGATE.search(value):
            raise ValueError(f"the text {value!r:.80} holds half of a surrogate pair")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_surrogates(key)
            _check_surrogates(item)
    elif isinstance(value, list):
        for item in value:
            _check_surrogates(item)

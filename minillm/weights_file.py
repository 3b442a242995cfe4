"""safetensors: arrays with names in a file, and nothing that can execute.

    8 bytes     n, the length of the header (little-endian)
    n bytes     the header, JSON, for each array {"name": {"dtype": "F32", "shape": [2, 3],
                "data_offsets": [0, 24]}}, and perhaps "__metadata__": {text: text}
    the rest    the numbers, row by row; offsets count from here

The header is a stranger's claim.  Before memory is taken for a single number it is checked against
the file's length: every array has dtype size * product of its shape bytes, they lie one behind the
other without gap or overlap, and the last one ends where the file ends.
Source: the format's description at https://github.com/huggingface/safetensors.
"""

import math
import os
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minillm.foreign_files import MB, check_ordinary
from minillm.strict_json import parse_json

LARGEST_HEADER = 16 * MB  # 100,000 arrays
_DIMENSIONS = 32
_DTYPES = {
    **{"F16": "<f2", "F32": "<f4", "F64": "<f8", "BOOL": "|u1"},
    **{"I8": "|i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"},
    **{"U8": "|u1", "U16": "<u2", "U32": "<u4", "U64": "<u8"},
}
_NOT_IN_NUMPY = ("BF16", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F6_E2M3", "F6_E3M2", "F4", "C64")


class Entry(NamedTuple):
    """What a header says of an array: its numbers are bytes begin to end (excluded) of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


def read_header(path: str | os.PathLike) -> dict[str, Entry]:
    """{name: Entry} of a safetensors file, checked as said above.

    Raises FileNotFoundError, and ValueError, with the path and the array's name.
    """
    size = check_ordinary(path)
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\xff"))
        if size < 8 or length > size - 8:
            raise _incomplete(path, f"{size} bytes, too short for its header")
        if length > LARGEST_HEADER:
            raise _incomplete(path, f"its header of {length} bytes is larger than any")
        header = file.read(length)
    if len(header) < length:
        raise _incomplete(path, "it ends within its header")
    document = parse_json(header, f"{path}: the header", objects=20 * length + MB)
    if not isinstance(document, dict):
        raise _incomplete(path, "the header is no JSON object")
    _check_metadata(path, document.pop("__metadata__", None))
    entries = {name: _entry(path, name, e, 8 + length) for name, e in document.items()}
    position = 8 + length
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.begin != position:
            fault = "overlaps the one before" if entry.begin < position else "leaves a gap"
            raise _incomplete(path, f"{name!r:.80} at byte {entry.begin} {fault}")
        position = entry.end
    if position != size:
        raise _incomplete(path, f"it has {size} bytes, but its arrays end at byte {position}")
    return entries


def read_weights(
    path: str | os.PathLike, entries: Mapping[str, Entry] | None = None
) -> dict[str, np.ndarray]:
    """{name: array} of all arrays in a safetensors file.

    entries: those of `read_header` that are wanted, under whatever names they shall have.
    Raises FileNotFoundError, and ValueError, with the path, as `read_header`.
    """
    entries = read_header(path) if entries is None else entries
    arrays = {}
    with open(path, "rb") as file:
        for name, entry in entries.items():
            file.seek(entry.begin)
            array = np.fromfile(file, _DTYPES[entry.dtype], entry.size)
            if len(array) < entry.size:
                raise _incomplete(path, f"it ends within {name!r:.80}")
            if entry.dtype == "BOOL":
                if array.max(initial=0) > 1:
                    raise _incomplete(path, f"{name!r:.80} holds what is neither true nor false")
                array = array.view(bool)
            arrays[name] = array.reshape(entry.shape)
    return arrays


def check_finite(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """ValueError that names the first array in which NaN or infinity stands."""
    for name, array in arrays.items():
        # The extremes show it without a copy: NaN is passed on by min and max.
        if array.size and array.dtype.kind == "f":
            if not (math.isfinite(array.min()) and math.isfinite(array.max())):
                raise ValueError(
                    f"{path}: {name} holds NaN or infinity: a model with such weights answers NaN "
                    "to everything; take a file from before its training diverged"
                )


def _entry(path, name: str, entry: Any, start: int) -> Entry:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _incomplete(path, f"{name!r:.80} isn't described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if dtype in _NOT_IN_NUMPY:
        raise ValueError(
            f"{path}: {name} is stored as {dtype}, which NumPy doesn't have; convert it to float32 "
            "first"
        )
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(
            f"{path}: {name!r:.80} is stored as {dtype!r:.80}, which isn't known; expected one of "
            f"{', '.join(_DTYPES)}"
        )
    if not _are_counts(shape) or len(shape) > _DIMENSIONS:
        raise _incomplete(path, f"{name!r:.80} has the shape {shape!r:.80}")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise _incomplete(path, f"{name!r:.80} has the offsets {offsets!r:.80}")
    begin, end = offsets
    wanted = math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize
    if end - begin != wanted or math.prod(max(n, 1) for n in shape) >= 1 << 60:
        raise _incomplete(
            path, f"{name!r:.80}, {dtype} of shape {shape!r:.80}, can't be {end - begin} bytes"
        )
    return Entry(dtype, tuple(shape), start + begin, start + end)


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(n) is int and n >= 0 for n in values)


def _check_metadata(path, metadata: Any) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _incomplete(path, "__metadata__ doesn't map texts to texts")


def _incomplete(path, fault: str) -> ValueError:
    return ValueError(
        f"{path} is not a complete safetensors file ({fault}): it was cut off or damaged; copy or "
        "save it again"
    )

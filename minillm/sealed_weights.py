"""Writing a safetensors file with a seal: digests that tell a flipped bit when it is opened again.

A disk, a cable or a bad memory chip can change a bit of a weight, and the model still opens, with
one number wrong.  The format has room for notes in its header, which other libraries ignore:

    "__metadata__": {"format": "pt", "sha256": "3f8a...", "sha256 of config.json": "91c0..."}

sha256: of all bytes behind the header.  sha256 of NAME: of a file beside it.  The weights must be
what was written.  The text files are also edited by people, so one that differs is only told.
A library that writes the files anew leaves these notes out, and nothing is compared then.
"""

import hashlib
import json
import os
import struct
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from minillm.strict_json import parse_json

SEAL, _BESIDE = "sha256", "sha256 of "
_NAMES = {
    **{"<f2": "F16", "<f4": "F32", "<f8": "F64", "|b1": "BOOL"},
    **{"|i1": "I8", "<i2": "I16", "<i4": "I32", "<i8": "I64"},
    **{"|u1": "U8", "<u2": "U16", "<u4": "U32", "<u8": "U64"},
}
_BLOCK = 1 << 20


def write_weights(
    path: str | os.PathLike, arrays: Mapping[str, np.ndarray], beside: Sequence[str] = ()
) -> None:
    """Write {name: array} to `path`, array by array.

    beside: names of files in the same folder, which are there already, to be sealed as well.
    For a file that must appear at once, `path` is in the temporary folder of files.py.
    Raises ValueError for a dtype that the format doesn't have.
    """
    path = Path(path)
    # The largest numbers first, as the format's own library does: then each array begins at a
    # multiple of its items' size.
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    header: dict[str, dict] = {"__metadata__": {}}
    digest, position = hashlib.sha256(), 0
    for name in order:
        array = _little_endian(arrays[name])
        if array.dtype.str not in _NAMES:
            raise ValueError(f"can't write {path}: {name} is {array.dtype}, which isn't possible")
        digest.update(_bytes(array).data)
        header[name] = {
            "dtype": _NAMES[array.dtype.str],
            "shape": list(array.shape),
            "data_offsets": [position, position + array.nbytes],
        }
        position += array.nbytes
    # transformers asks for the first of these notes before it opens a file.
    header["__metadata__"] = {"format": "pt", SEAL: digest.hexdigest()} | {
        _BESIDE + name: _file_digest(path.with_name(name)) for name in beside
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            file.write(_bytes(_little_endian(arrays[name])).data)


def check_seal(path: str | os.PathLike) -> None:
    """Compare a file, and those beside it, with the digests in its header, if it has any.

    Raises ValueError, with the path, if its numbers aren't what was written; warns of a file
    beside it that isn't.  The header must have been checked before (`weights_file.read_header`).
    """
    path = Path(path)
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        notes = parse_json(file.read(length), f"{path}: the header").get("__metadata__") or {}
        if SEAL in notes and _digest(file) != notes[SEAL]:
            raise ValueError(
                f"{path} is damaged: its numbers aren't those that were written (the digest "
                "differs); copy or save it again"
            )
    for key, digest in notes.items():
        if not key.startswith(_BESIDE):
            continue
        name = key.removeprefix(_BESIDE)
        other = path.with_name(name) if Path(name).name == name else None
        if other is not None and other.is_file() and _file_digest(other) != digest:
            warnings.warn(
                f"{other} isn't what was saved with {path.name} (its digest differs): it was "
                "edited or damaged",
                stacklevel=3,
            )


def _little_endian(array: np.ndarray) -> np.ndarray:
    """The array as it is written: without a copy on nearly every machine."""
    return np.require(array, array.dtype.newbyteorder("<"), "C")


def _bytes(array: np.ndarray) -> np.ndarray:
    """Its bytes, not a copy of them."""
    return array.reshape(-1).view(np.uint8)


def _file_digest(path: Path) -> str:
    with open(path, "rb") as file:
        return _digest(file)


def _digest(file) -> str:
    """Of all that is left to read."""
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()

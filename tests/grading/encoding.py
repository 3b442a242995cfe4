"""Plain data as JSON and back: how arguments and answers cross from one process to the other.

None, bool, int, float, str, bytes, list, tuple, dict, set and NumPy's numbers and arrays, nested,
come back as what they were, with type, dtype and shape. Nothing else does: decoding can't run code
(as unpickling can), whatever the other side sent.

What JSON has no word for is an object with one key, the type's name:
    (1, 2) -> {"tuple": [1, 2]}        {"a": 1} -> {"dict": [["a", 1]]}
    array  -> {"array": ["<f8", [2, 3], base64 of the bytes]}
Two things travel to the student only: `Rng(7)` arrives as np.random.default_rng(7), and
`Named("square_sum")` as that function of grading/functions.py.
"""

import base64
import math
from dataclasses import dataclass

import numpy as np

from grading.functions import FUNCTIONS

MAX_DEPTH = 50  # lists in lists in lists: an honest answer has five
MAX_INT = 10**4000  # Python itself refuses to print longer numbers


class Unsendable(ValueError):
    """The value isn't plain data; the message says what it is."""


@dataclass(frozen=True)
class Rng:
    """An argument that arrives as `np.random.default_rng(seed)`."""

    seed: int


@dataclass(frozen=True)
class Named:
    """An argument that arrives as the function of that name in grading/functions.py."""

    name: str

    def __post_init__(self):
        if self.name not in FUNCTIONS:
            raise ValueError(f"no function {self.name!r} in grading/functions.py")

    def __repr__(self):
        return self.name  # as a student reads it in a message


def encode(value, depth: int = 0):
    """`value` as a tree that json can write. Unsendable if it isn't plain data."""
    if depth > MAX_DEPTH:
        raise Unsendable(f"something nested more than {MAX_DEPTH} levels deep (or in itself)")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, np.generic):
        return _encode_array(value, "scalar", depth)
    if isinstance(value, int):
        if not -MAX_INT < value < MAX_INT:
            raise Unsendable("a number of more than 4000 digits")
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        value = str.__str__(value)
        if any("\ud800" <= c <= "\udfff" for c in value):  # halves of pairs, which JSON would join
            return {"text": _base64(value.encode("utf-8", "surrogatepass"))}
        return value
    if isinstance(value, bytes | bytearray):
        return {"bytes": _base64(bytes(value))}
    if isinstance(value, np.ndarray):
        return _encode_array(value, "array", depth)
    if isinstance(value, list):
        return [encode(item, depth + 1) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(item, depth + 1) for item in value]}
    if isinstance(value, dict):
        items = [[encode(k, depth + 1), encode(v, depth + 1)] for k, v in dict.items(value)]
        return {"dict": items}
    if isinstance(value, set | frozenset):
        return {"set": [encode(item, depth + 1) for item in value]}
    if isinstance(value, Rng):
        return {"rng": int(value.seed)}
    if isinstance(value, Named):
        return {"named": value.name}
    raise Unsendable(_what(value))


def decode(tree, arguments: bool = False):
    """The value of a tree. ValueError if the tree isn't one that `encode` makes.

    Only `arguments` may hold random generators and named functions.
    """
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    if isinstance(tree, list):
        return [decode(item, arguments) for item in tree]
    if not isinstance(tree, dict) or len(tree) != 1:
        raise ValueError("not an encoded value")
    ((kind, content),) = tree.items()
    try:
        if kind == "tuple":
            return tuple(decode(item, arguments) for item in content)
        if kind == "dict":
            return {_key(k, arguments): decode(v, arguments) for k, v in content}
        if kind == "set":
            return {_key(item, arguments) for item in content}
        if kind == "bytes":
            return base64.b64decode(content, validate=True)
        if kind == "text":
            return base64.b64decode(content, validate=True).decode("utf-8", "surrogatepass")
        if kind in ("array", "scalar"):
            array = _decode_array(*content)
            return array if kind == "array" else array[()]
        if kind == "rng" and arguments:
            return np.random.default_rng(content)
        if kind == "named" and arguments:
            return FUNCTIONS[content]
    except (TypeError, KeyError, AttributeError, OverflowError) as error:  # unhashable keys ...
        raise ValueError(f"not an encoded {kind}: {error}") from None
    raise ValueError(f"not an encoded value: {str(kind)[:50]!r}")


def _key(tree, arguments):
    """A decoded key, no huge number: those can be chosen to share a hash, and take hours then."""
    key = decode(tree, arguments)
    parts = [key]
    while parts:
        part = parts.pop()
        if isinstance(part, tuple):
            parts.extend(part)
        elif isinstance(part, int | float) and abs(part) >= 2**60 and math.isfinite(part):
            raise ValueError(f"a key as large as {part:.3g}")
    return key


def _encode_array(value, kind, depth):
    array = np.asarray(value)
    if array.dtype.kind in "OUS":  # an array of words, say: its items speak for themselves
        if array.dtype.kind == "O" and array.ndim == 0:
            raise Unsendable(_what(value))
        return encode(array.tolist(), depth + 1)
    if array.dtype.kind not in "biuf":
        raise Unsendable(f"an array of dtype {array.dtype}")
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return {kind: [array.dtype.str, list(array.shape), _base64(array.tobytes())]}


def _decode_array(dtype, shape, content):
    if not isinstance(dtype, str) or len(dtype) != 3 or dtype[1] not in "biuf":
        raise ValueError(f"not the dtype of an array of numbers: {str(dtype)[:50]!r}")
    if any(type(n) is not int or n < 0 for n in shape) or len(shape) > 32:
        raise ValueError("not the shape of an array")
    dtype, content = np.dtype(dtype), base64.b64decode(content, validate=True)
    if math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError("an array whose bytes don't fit its shape")
    if dtype.kind == "b" and any(byte > 1 for byte in content):
        raise ValueError("an array of truth values that are neither")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _what(value) -> str:
    """What a student returned, in words: "a generator: return list(...) of it"."""
    name = type(value).__name__[:60]
    if name in {"generator", "map", "filter", "zip", "range", "enumerate", "reversed"} or (
        name.startswith("dict_") or name.endswith("iterator")
    ):
        return f"a {name}, not its items: return list(...) of it"
    if callable(value):
        return f"a function or a class ({name}), not its result: call it with ()"
    return f"an object of type {name}: return plain data (numbers, text, lists, dicts, arrays)"

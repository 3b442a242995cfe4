"""Values as a student reads them in a message: short, big arrays abbreviated, nothing hostile."""

import re

import numpy as np

LENGTH = 500  # characters of one value


class Missing:
    """Stands for "no value given", since None is a value."""


def show(value, length: int = LENGTH) -> str:
    """A value in at most `length` characters."""
    return _cut(_show(value), length)


def show_call(name: str, arguments: dict) -> str:
    """`softmax(x=[1, 2], axis=0)`; on several lines where it is long."""
    parts = {k: show(v, 250) for k, v in arguments.items()}
    line = f"{name}({', '.join(f'{k}={v}' for k, v in parts.items())})"
    if len(line) <= 80 and "\n" not in line:
        return line
    rows = []
    for key, text in parts.items():
        first, *rest = text.splitlines()
        rows += [f"    {key} = {first}", *(" " * (7 + len(key)) + more for more in rest)]
    return "\n".join([f"{name}(...) with", *rows])


def clean(text: str, length: int) -> str:
    """Text of a student, safe for a terminal: no control characters, cut in the middle."""
    text = str(text).replace("\r\n", "\n").replace("\t", "    ")
    text = "".join(c if c == "\n" or c.isprintable() else repr(c)[1:-1] for c in text[: 4 * length])
    if len(text) <= length:
        return text
    return f"{text[: length * 2 // 3]} ... {text[-length // 3 :]}"


def _show(value, depth: int = 0) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        text = _show_array(value)
        return text if value.size <= 60 else f"{text}  (shape {value.shape}, {value.dtype})"
    if isinstance(value, float):
        text = f"{value:.7g}"
        return text if any(c in text for c in ".en") else text + ".0"
    if isinstance(value, str | bytes):
        return repr(value) if len(value) <= 200 else f"{value[:150]!r} ... {value[-40:]!r}"
    if depth > 6:
        return "..."
    if isinstance(value, dict):
        items = [f"{_show(k, depth + 1)}: {_show(v, depth + 1)}" for k, v in _some(value.items())]
        return "{" + _join(items, len(value)) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        items = [_show(item, depth + 1) for item in _some(value)]
        if isinstance(value, list):
            return "[" + _join(items, len(value)) + "]"
        if isinstance(value, tuple):
            return "(" + _join(items, len(value)) + ("," if len(value) == 1 else "") + ")"
        return "{" + _join(sorted(items), len(value)) + "}" if value else "set()"
    return repr(value)


def _show_array(array) -> str:
    text = np.array2string(
        array, precision=6, threshold=60, edgeitems=2, separator=", ", max_line_width=88
    )
    text = re.sub(r"\n\s*\n", "\n", text)  # NumPy leaves a line free between matrices
    return text if array.size else f"an empty array of shape {array.shape}"


def _some(items, most: int = 16):
    items = iter(items)
    return [item for _, item in zip(range(most), items, strict=False)]


def _join(items, count) -> str:
    more = f", ... ({count} in all)" if count > len(items) else ""
    if any("\n" in item for item in items):  # matrices stand one below the other
        return ",\n ".join(item.replace("\n", "\n ") for item in items) + more
    return ", ".join(items) + more


def _cut(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    return f"{text[: length * 2 // 3]} ... {text[-length // 3 :]}"

"""Are two plain values the same, and if not, where do they part?

Numbers compare by value within a tolerance, whatever their type (2, 2.0, np.float32(2)); a list, a
tuple and an array of the same numbers are the same, unless `exact_type` is asked for.
"""

import numpy as np

NOT_THE_SAME = "not the same"


def difference(value, expected, rtol=1e-6, atol=1e-8, exact_type=False) -> str | None:
    """None if `value` is `expected`, else a line that says where and how they differ.

    |value - expected| <= atol + rtol |expected|; not a number equals not a number. If either holds
    float32 (or float16) numbers, rtol is at least 1e-4 and atol 1e-6.
    """
    if _holds_float32(value) or _holds_float32(expected):
        rtol, atol = max(rtol, 1e-4), max(atol, 1e-6)
    return _difference(value, expected, rtol, atol, exact_type, "")


def as_numbers(value) -> np.ndarray | None:
    """Numbers, nested lists of numbers and arrays as one array; None for anything else."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, bool | int | float | np.generic | list | tuple):
        try:
            array = np.array(value)
        except (ValueError, TypeError, OverflowError):  # ragged
            return None
        if array.dtype.kind in "biuf":
            return array
    return None


def type_name(value) -> str:
    """The type as a student calls it."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return "array"
    for kind in (bool, int, float, str, bytes, list, tuple, dict, set):
        if isinstance(value, kind):
            return kind.__name__
    if isinstance(value, np.bool_):
        return "bool"
    return "int" if isinstance(value, np.integer) else "float"


def _difference(value, expected, rtol, atol, exact, at):
    place = f"at {at}: " if at else ""
    if exact and type_name(value) != type_name(expected):
        return f"{place}{type_name(value)} instead of {type_name(expected)}"
    if expected is None or value is None:
        same = value is None and expected is None
        return None if same else f"{place}{type_name(value)} instead of {type_name(expected)}"
    numbers, wanted = as_numbers(value), as_numbers(expected)
    whole = not exact or isinstance(expected, np.ndarray | float | int | np.generic)
    if numbers is not None and wanted is not None and whole:
        return _numbers_differ(numbers, wanted, rtol, atol, exact, at)
    if isinstance(expected, dict):
        return _dicts_differ(value, expected, rtol, atol, exact, at)
    if isinstance(expected, set):
        return _sets_differ(value, expected, place)
    if isinstance(expected, list | tuple | np.ndarray):
        if not isinstance(value, list | tuple | np.ndarray) or np.ndim(_outer(value)) == 0:
            return f"{place}{type_name(value)} instead of {type_name(expected)}"
        for i, (a, b) in enumerate(zip(value, expected, strict=False)):
            found = _difference(a, b, rtol, atol, exact, f"{at}[{i}]")
            if found:
                return found
        if len(value) != len(expected):
            return f"{place}length {len(value)} instead of {len(expected)}"
        return None
    if type_name(value) != type_name(expected):
        return f"{place}{type_name(value)} instead of {type_name(expected)}"
    if value == expected:
        return None
    if isinstance(value, str) and isinstance(expected, str) and min(len(value), len(expected)) > 1:
        return place + _texts_differ(value, expected)
    return f"{place}{str(value)[:60]!r} instead of {str(expected)[:60]!r}" if at else NOT_THE_SAME


def _outer(value):
    """The outermost axis only: whether there is one."""
    return value if isinstance(value, np.ndarray) else [None] * len(value)


def _numbers_differ(value, expected, rtol, atol, exact, at):
    place = f"at {at}: " if at else ""
    if value.size == expected.size == 0 and not exact:
        return None
    if value.shape != expected.shape:
        return f"{place}shape {value.shape} instead of {expected.shape}"
    if exact and (value.dtype.kind in "iu") != (expected.dtype.kind in "iu"):
        return f"{place}numbers of type {value.dtype} instead of {expected.dtype}"
    if value.dtype.kind in "biu" and expected.dtype.kind in "biu":
        same = value == expected
    else:
        with np.errstate(all="ignore"):
            value, expected = value.astype(np.float64), expected.astype(np.float64)
            same = np.isclose(value, expected, rtol, atol, equal_nan=True)
    if same.all():
        return None
    if same.ndim == 0:
        return f"{place}{value[()]:.7g} instead of {expected[()]:.7g}" if at else NOT_THE_SAME
    i = tuple(int(n) for n in np.argwhere(~same)[0])
    index = at + "".join(f"[{n}]" for n in i)
    many = f" ({(~same).sum()} of {same.size} differ)" if same.size > 1 else ""
    return f"at {index}: {value[i]:.7g} instead of {expected[i]:.7g}{many}"


def _dicts_differ(value, expected, rtol, atol, exact, at):
    place = f"at {at}: " if at else ""
    if not isinstance(value, dict):
        return f"{place}{type_name(value)} instead of dict"
    for key in expected:
        if key not in value:
            return f"{place}the key {str(key)[:60]!r} is missing"
    for key in value:
        if key not in expected:
            return f"{place}a key too many: {str(key)[:60]!r}"
    for key in expected:
        found = _difference(value[key], expected[key], rtol, atol, exact, f"{at}[{key!r:.40}]")
        if found:
            return found
    return None


def _sets_differ(value, expected, place):
    if not isinstance(value, set):
        return f"{place}{type_name(value)} instead of set"
    if value == expected:
        return None
    missing, extra = expected - value, value - expected
    what = f"missing {next(iter(missing))!r:.60}" if missing else f"{next(iter(extra))!r:.60} extra"
    return f"{place}{len(missing)} missing, {len(extra)} too many: {what}"


def _texts_differ(value, expected):
    same = 0
    while same < min(len(value), len(expected)) and value[same] == expected[same]:
        same += 1
    mine, wanted = value[same : same + 20], expected[same : same + 20]
    return f"from character {same}: {mine!r} instead of {wanted!r}"


def _holds_float32(value) -> bool:
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind == "f" and value.dtype.itemsize < 8
    if isinstance(value, dict):
        return any(_holds_float32(v) for v in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_float32(v) for v in value)
    return False

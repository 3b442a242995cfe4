"""The likely mistake behind a wrong value, by its looks: all zeros, transposed, a factor too much.

These are guesses for any exercise; a planted mistake (mistakes/) that gives the very same value is
asked first.
"""

import numpy as np

from grading.compare import as_numbers, difference, type_name


def diagnose(value, expected) -> str | None:
    """One line for the student, or None where nothing is known."""
    with np.errstate(all="ignore"):
        return _diagnose(value, expected)


def _diagnose(value, expected):
    if value is None and expected is not None:
        return "it returns None: is there a `return`, on every path?"
    mine, wanted = as_numbers(value), as_numbers(expected)
    if mine is not None and wanted is not None and mine.size and wanted.size:
        return _numbers(mine.astype(np.float64), wanted.astype(np.float64), value, expected)
    if isinstance(value, str) and isinstance(expected, str):
        return _text(value, expected)
    if isinstance(expected, dict) and isinstance(value, dict):
        return _dict(value, expected)
    if isinstance(expected, list | tuple | np.ndarray):
        if isinstance(value, list | tuple | np.ndarray):
            single = isinstance(value, np.ndarray) and value.ndim == 0
            return _items([value[()]] if single else value, expected)
        if isinstance(value, set | dict):
            return f"a {type_name(value)} has no fixed order or counts: return a list"
    return None


def _numbers(mine, wanted, value, expected):
    if mine.shape != wanted.shape:
        return _shapes(mine, wanted) or (
            _items(value, expected) if mine.ndim and wanted.ndim else None
        )
    if not np.isfinite(mine).all() and np.isfinite(wanted).all():
        kind = "nan (0/0, inf - inf, log of a negative number?)" if np.isnan(mine).any() else "inf"
        return f"it gives {kind}: a division by zero, or too large a number in exp?"
    if not mine.any() and wanted.any():
        return "all zeros: the values are never filled in"
    if not (np.isfinite(mine).all() and np.isfinite(wanted).all()):
        return None
    same = _same
    if same(mine, -wanted):
        return "the sign is wrong"
    if mine.ndim == 2 and mine.shape == wanted.T.shape and same(mine, wanted.T):
        return "transposed"
    if same(mine, np.floor(wanted)) or same(mine, np.trunc(wanted)):
        return "the fractions are lost: integer division (//) or an array of integers?"
    factor = _factor(mine, wanted)
    if factor is not None:
        return factor
    if mine.size > 1 and same(mine - wanted, np.full(mine.shape, (mine - wanted).flat[0])):
        return f"every number is off by {(mine - wanted).flat[0]:.6g}"
    if mine.ndim and same(mine, wanted[::-1]):
        return "in the reverse order"
    if mine.ndim and len(mine) > 2:
        if same(mine[1:], wanted[:-1]) or same(mine[:-1], wanted[1:]):
            return "shifted by one place along the first axis"
        if mine.ndim == 2 and same(np.array(sorted(mine.tolist())), sorted(wanted.tolist())):
            return "the right rows in another order"
    if mine.size > 2 and same(np.sort(mine, axis=None), np.sort(wanted, axis=None)):
        return "the right numbers in other places"
    if mine.ndim == 0 and abs(mine - wanted) == 1 and wanted == np.round(wanted):
        return "off by one"
    wrong = ~np.isclose(mine, wanted, 1e-6, 1e-8)
    if mine.ndim and mine.size > 2 and not mine[wrong].any():
        return "some places are still zero"
    if mine.size > 2 and wrong.sum() == 1 and (wrong.flat[0] or wrong.flat[-1]):
        return f"only the {'first' if wrong.flat[0] else 'last'} number is wrong: the edge case?"
    return None


def _shapes(mine, wanted):
    if mine.size == wanted.size and mine.squeeze().shape == wanted.squeeze().shape:
        return f"the shape is {mine.shape}, not {wanted.shape}: keepdims?"
    if mine.shape == wanted.shape[::-1]:
        return f"the shape is {mine.shape}, not {wanted.shape}: transposed"
    if mine.ndim < wanted.ndim:
        return f"the shape is {mine.shape}, not {wanted.shape}: summed over an axis too many?"
    if mine.ndim > wanted.ndim:
        return f"the shape is {mine.shape}, not {wanted.shape}: an axis isn't summed over?"
    return None


def _factor(mine, wanted):
    """value = factor * expected: often a batch size, where mean and sum are confused."""
    at = np.argmax(np.abs(wanted))
    if wanted.flat[at] == 0:
        return None
    factor = mine.flat[at] / wanted.flat[at]
    if factor == 0 or not _same(mine, factor * wanted) or (mine.size == 1 and not _simple(factor)):
        return None
    return f"every number is {factor:.6g} times what it should be: mean for sum, or a lost factor?"


def _simple(factor):
    """2, 1/3, ...: a single number is off by some factor always, so only these mean anything."""
    return any(abs(f - round(f)) < 1e-6 and 2 <= abs(round(f)) <= 10 for f in (factor, 1 / factor))


def _text(value, expected):
    if value.lower() == expected.lower():
        return "only upper and lower case differ"
    if "".join(value.split()) == "".join(expected.split()):
        return "only the white space differs"
    if sorted(value) == sorted(expected):
        return "the right characters in another order"
    if expected.startswith(value) or expected.endswith(value):
        return "a part of the text is missing"
    return None


def _dict(value, expected):
    missing = [k for k in expected if k not in value]
    extra = [k for k in value if k not in expected]
    if missing or extra:
        first = f"the key {str((missing or extra)[0])[:60]!r} is"
        return f"{first} {'missing' if missing else 'too many'} ({len(missing)}/{len(extra)})"
    for key in expected:
        if difference(value[key], expected[key]):
            found = diagnose(value[key], expected[key])
            return found and f"for {str(key)[:60]!r}: {found}"
    return None


def _items(value, expected):
    """Lists of anything: what is missing, too much or in another place."""
    value, expected = list(value), list(expected)
    if not value:
        return "it is empty"
    few, many = len(expected) - len(value), len(value) - len(expected)
    if few > 0 and not difference(value, expected[:-few]):
        return f"{_items_are(few, 'the last')} missing (of {len(expected)})"
    if few > 0 and not difference(value, expected[few:]):
        return f"{_items_are(few, 'the first')} missing (of {len(expected)})"
    if many > 0 and not difference(value[:-many], expected):
        return f"{_items_are(many, 'the last')} too many"
    if many > 0 and not difference(value[many:], expected):
        return f"{_items_are(many, 'the first')} too many"
    if few:
        return f"the length is {len(value)}, not {len(expected)}"
    if len(value) > 1 and not difference(value, expected[::-1]):
        return "in the reverse order"
    if sorted(map(repr, value)) == sorted(map(repr, expected)):
        return "the right items in another order"
    wrong = [i for i in range(len(value)) if difference(value[i], expected[i])]
    found = diagnose(value[wrong[0]], expected[wrong[0]])
    return found and f"item {wrong[0]}: {found}"


def _items_are(count: int, which: str) -> str:
    return f"{which} item is" if count == 1 else f"{which} {count} items are"


def _same(a, b) -> bool:
    return bool(np.allclose(a, b, 1e-5, 1e-9))

"""Operations on arrays of any device, where the devices go different ways."""

import numpy as np

from minillm.backend.registry import device_of


def product(a, b, out=None):
    """The matrix product a @ b; of float16, the sums are made in float32 and then rounded.

    That is what a GPU's tensor cores do.  A sum of thousands of products in float16 would lose
    most of its 11 bits, and reach its end at 65,504.  `out` may be float32: nothing is rounded.
    """
    return device_of(a).product(a, b, out)


def buffer_of(array):
    """The array that owns the memory in which `array` lies: itself, or the one that it views."""
    return device_of(array).buffer_of(array)


def erf(x):
    """erf(x) = 2/sqrt(pi) * integral from 0 to x of exp(-t^2) dt, for float arrays."""
    return device_of(x).erf(x)


def add_rows(target, ids, rows) -> None:
    """target[ids[n]] += rows[n] for every n; target (V, D), ids (N,), rows (N, D)."""
    device_of(target).add_rows(target, ids, rows)


def sum_runs(rows, starts):
    """The sums of rows[starts[r] : starts[r + 1]] (the last run to the end): (N, D) -> (R, D).

    starts (R,) integers, ascending from 0; an empty run sums to 0.
    """
    return device_of(rows).sum_runs(rows, starts)


def check_ids(ids, size: int, what: str) -> None:
    """Raise IndexError unless 0 <= ids < size (not on a GPU, which would have to wait for it)."""
    if device_of(ids).checks_ids and ids.size and (ids.min() < 0 or ids.max() >= size):
        raise IndexError(
            f"{what}: id {int(ids.min())} to {int(ids.max())} found, expected 0 to {size - 1}"
        )


def as_dtype(dtype):
    """A NumPy dtype (None stays None); ValueError for what is none."""
    if dtype is None:
        return None
    try:
        return np.dtype(dtype)
    except TypeError:
        raise ValueError(f"{dtype!r} is neither a known device nor a dtype") from None

"""Functions that move values without changing them; their gradients move them back."""

import numpy as np

from minillm.autograd import differentiable
from minillm.backend import add_rows, array_module
from minillm.functional.arithmetic import unbroadcast


@differentiable
def reshape(x, shape):
    """The same values, in the same order, in another shape (one length may be -1)."""
    before = x.shape

    def backward(dy):
        return dy.reshape(before)

    return x.reshape(shape), backward


def flatten(x, start_dim=0, end_dim=-1):
    """Merge the axes start_dim to end_dim into one."""
    start, end = start_dim % x.ndim, end_dim % x.ndim
    return reshape(x, (*x.shape[:start], -1, *x.shape[end + 1 :]))


def unsqueeze(x, dim):
    """Insert an axis of length 1 at `dim`."""
    position = dim % (x.ndim + 1)
    return reshape(x, (*x.shape[:position], 1, *x.shape[position:]))


def squeeze(x, dim):
    """Remove axis `dim` if its length is 1."""
    position = dim % x.ndim
    if x.shape[position] != 1:
        return x
    return reshape(x, (*x.shape[:position], *x.shape[position + 1 :]))


@differentiable
def transpose(x, dim0, dim1):
    """Exchange two axes."""

    def backward(dy):
        return dy.swapaxes(dim0, dim1)

    return x.swapaxes(dim0, dim1), backward


@differentiable
def permute(x, dims):
    """Reorder the axes: axis k of the result is axis dims[k] of x."""
    inverse = [0] * len(dims)
    for position, dim in enumerate(dims):
        inverse[dim] = position

    def backward(dy):
        return dy.transpose(inverse)

    return x.transpose(dims), backward


@differentiable
def broadcast_to(x, shape):
    """Repeat x along axes of length 1 (and new leading axes) up to `shape`."""
    before = x.shape

    def backward(dy):
        return unbroadcast(dy, before)

    return array_module(x).broadcast_to(x, shape), backward


@differentiable
def concatenate(tensors, axis=0):
    """Join along an existing axis; each part gets its slice of the gradient back."""
    if len(tensors) == 0:
        raise ValueError("concatenate: expected at least one tensor")
    lengths = [part.shape[axis] for part in tensors]

    def backward(dy):
        gradients, start = [], 0
        for length in lengths:
            stop = start + length
            index = [slice(None)] * dy.ndim
            index[axis] = slice(start, stop)
            gradients.append(dy[tuple(index)])
            start = stop
        return gradients

    return array_module(tensors[0]).concatenate(tensors, axis=axis), backward


cat = concatenate


@differentiable
def stack(tensors, axis=0):
    """Join along a new axis."""
    if len(tensors) == 0:
        raise ValueError("stack: expected at least one tensor")
    xp = array_module(tensors[0])

    def backward(dy):
        return list(xp.moveaxis(dy, axis, 0))

    return xp.stack(tensors, axis=axis), backward


def split(x, split_size_or_sections, dim=0):
    """Slices along `dim`, as a tuple: of one size (the last may be shorter) or of listed sizes."""
    length = x.shape[dim]
    sizes = split_size_or_sections
    if isinstance(sizes, int):
        if sizes <= 0:
            raise ValueError(f"split: split size {sizes} must be positive")
        sizes = [min(sizes, length - start) for start in range(0, length, sizes)]
    if sum(sizes) != length:
        raise ValueError(f"split: sections {list(sizes)} don't add up to the length {length}")
    parts, start = [], 0
    for size in sizes:
        index = [slice(None)] * x.ndim
        index[dim] = slice(start, start + size)
        parts.append(getitem(x, tuple(index)))
        start += size
    return tuple(parts)


@differentiable
def getitem(x, index):
    """x[index]: slices, integers, masks, integer arrays; a value taken twice collects both dy."""
    xp, shape = array_module(x), x.shape
    if isinstance(index, list):
        index = xp.asarray(index)

    def backward(dy):
        dx = xp.zeros(shape, dy.dtype)
        if _is_basic(index):
            dx[index] = dy  # each value was taken at most once
        elif hasattr(index, "dtype"):
            rows = dx.size // max(len(dx), 1)
            ids = index.astype(np.int64)  # len(x) may be too large for uint8 ids
            positive = xp.where(ids < 0, ids + len(dx), ids).reshape(-1)
            add_rows(dx.reshape(len(dx), rows), positive, dy.reshape(-1, rows))
        else:
            xp.add.at(dx, index, dy)
        return dx

    return x[index], backward


def _is_basic(index) -> bool:
    """Only slices, integers, None and Ellipsis (or one boolean mask): no element taken twice."""
    parts = index if isinstance(index, tuple) else (index,)
    if all(isinstance(p, slice | int | np.integer) or p is None or p is ... for p in parts):
        return True
    return getattr(index, "dtype", None) == np.bool_


@differentiable
def gather(x, axis, index):
    """y[i][j][k] = x[index[i][j][k]][j][k] for axis 0, and so on; index has as many axes as x.

    A value picked several times collects the sum of its gradients.
    """
    xp = array_module(x)
    if index.ndim != x.ndim:
        raise ValueError(f"gather: index has {index.ndim} axes, the input {x.ndim}")
    place = [
        xp.arange(n).reshape([-1 if a == d else 1 for a in range(x.ndim)])
        for d, n in enumerate(index.shape)
    ]
    place[axis % x.ndim] = index
    place, shape = tuple(place), x.shape

    def backward(dy):
        dx = xp.zeros(shape, dy.dtype)
        xp.add.at(dx, place, dy)
        return dx

    return x[place], backward

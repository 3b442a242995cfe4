"""Sums, means, maxima and variances along axes.  `axis` is None (all), an integer or a tuple."""

from minillm.autograd import differentiable
from minillm.backend import array_module


def _count(x, axis) -> int:
    """How many values are reduced to one."""
    if axis is None:
        return x.size
    count = 1
    for a in axis if isinstance(axis, tuple) else (axis,):
        count *= x.shape[a]
    return count


def _restore(y, ndim, axis, keepdims):
    """Give a reduced array its lost axes (of length 1) back, so that it broadcasts against x."""
    if keepdims:
        return y
    if axis is None:
        return y.reshape((1,) * ndim)
    return array_module(y).expand_dims(y, axis)


@differentiable
def sum(x, axis=None, keepdims=False):
    """Every x contributes once: dx = dy, repeated."""
    xp, shape = array_module(x), x.shape

    def backward(dy):
        return xp.broadcast_to(_restore(dy, len(shape), axis, keepdims), shape)

    return x.sum(axis=axis, keepdims=keepdims), backward


@differentiable
def mean(x, axis=None, keepdims=False):
    """Sum over n values divided by n: dx = dy / n, repeated."""
    xp, shape = array_module(x), x.shape
    n = _count(x, axis)

    def backward(dy):
        return xp.broadcast_to(_restore(dy, len(shape), axis, keepdims) / n, shape)

    return x.mean(axis=axis, keepdims=keepdims), backward


@differentiable
def max(x, axis=None, keepdims=False):
    """The largest value; the gradient goes to it, shared evenly among equal ones (torch.amax)."""
    y = x.max(axis=axis, keepdims=keepdims)

    def backward(dy):
        largest = x == _restore(y, x.ndim, axis, keepdims)
        share = largest / largest.sum(axis=axis, keepdims=True).astype(x.dtype)
        return share * _restore(dy, x.ndim, axis, keepdims)

    return y, backward


@differentiable
def var(x, axis=None, correction=1, keepdims=False):
    """sum (x - mean)^2 / (n - correction).

    The mean's own gradient vanishes, as deviations from it sum to zero:
    dx = dy * 2 (x - mean) / (n - correction).
    """
    xp = array_module(x)
    centred = x - x.mean(axis=axis, keepdims=True)
    degrees = _count(x, axis) - correction
    total = (centred * centred).sum(axis=axis, keepdims=keepdims)
    scale = 1 / degrees if degrees > 0 else float("nan")

    def backward(dy):
        return centred * (_restore(dy, centred.ndim, axis, keepdims) * (2 * scale))

    return xp.asarray(total * scale), backward

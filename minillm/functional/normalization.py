"""Layer normalisation (Ba, Kiros & Hinton 2016) and its simpler form, RMSNorm."""

import functools
import math

import numpy as np

from minillm.autograd import differentiable
from minillm.backend import array_module, row_blocks


@differentiable
def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """y = xhat * weight + bias, xhat = (x - mean) / sqrt(var + eps), over the last axes.

    x (..., *normalized_shape); weight and bias (*normalized_shape).  The variance is the biased
    one.  Kept for the gradient: xhat (as large as x) and rstd = 1/sqrt(var + eps) (one number a
    row).

    The gradient of one row of n values, with g = dy * weight = dL/dxhat:
        xhat_i = (x_i - mean) rstd
        d mean / dx_j = 1/n        d rstd / dx_j = -rstd^2 xhat_j / n
        dxhat_i / dx_j = rstd ([i = j] - 1/n - xhat_i xhat_j / n)
        dx = rstd (g - mean(g) - xhat mean(g xhat))
    """
    n = _row_length("layer_norm", x, normalized_shape, weight=weight, bias=bias)
    xp, shape = array_module(x), x.shape
    average = _averaging(xp, n, x.dtype)
    rows = x.reshape(-1, n)  # (N, n)
    weight_row = None if weight is None else weight.reshape(n)
    bias_row = None if bias is None else bias.reshape(n)

    def normalise(x):
        """xhat, rstd and y of some rows."""
        # Taking the row's first value off beforehand changes nothing in theory.  In practice the
        # mean of equal values is rounded, and the rest would be blown up by 1 / sqrt(eps).
        xhat = x - x[:, :1]
        xhat -= xhat @ average
        rstd = 1 / xp.sqrt((xhat * xhat) @ average + eps)
        xhat *= rstd
        y = xhat.copy() if weight is None else xhat * weight_row
        if bias is not None:
            y += bias_row
        return xhat, rstd, y

    blocks = row_blocks(rows)  # which stay in the processor's cache for all passes
    if len(blocks) == 1:
        xhat, rstd, y = normalise(rows)
    else:
        xhat, rstd, y = (xp.empty((len(rows), m), x.dtype) for m in (n, 1, n))
        for r in blocks:
            xhat[r], rstd[r], y[r] = normalise(rows[r])

    def backward(dy):
        dy = dy.reshape(-1, n)
        dx = xp.empty_like(dy)
        dweight = None if weight is None else xp.zeros(n, dy.dtype)
        dbias = None if bias is None else xp.zeros(n, dy.dtype)
        for r in row_blocks(dy):
            g = dy[r] if weight is None else dy[r] * weight_row
            dy_xhat = dy[r] * xhat[r]
            ones = xp.ones(len(dy_xhat), dy.dtype)
            if weight is not None:
                dweight += ones @ dy_xhat
                dy_xhat *= weight_row  # g xhat
            if bias is not None:
                dbias += ones @ dy[r]
            d = xp.subtract(g, g @ average, out=dx[r])
            d -= xhat[r] * (dy_xhat @ average)
            d *= rstd[r]
        dweight = None if weight is None else dweight.reshape(weight.shape)
        dbias = None if bias is None else dbias.reshape(bias.shape)
        return dx.reshape(shape), None, dweight, dbias

    return y.reshape(shape), backward


@differentiable
def rms_norm(x, normalized_shape, weight=None, eps=None):
    """y = xhat * weight, xhat = x / sqrt(mean(x^2) + eps), over the last axes (Zhang & Sennrich
    2019).

    x (..., *normalized_shape), weight (*normalized_shape).  Layer normalisation without the mean
    and the bias.  eps defaults to the dtype's machine epsilon, as in PyTorch.  Kept for the
    gradient: rstd = 1/sqrt(mean(x^2) + eps), one number a row; xhat is made again from x.

    The gradient of one row of n values, with g = dy * weight = dL/dxhat:
        xhat_i = x_i rstd          d rstd / dx_j = -rstd^2 xhat_j / n
        dxhat_i / dx_j = rstd ([i = j] - xhat_i xhat_j / n)
        dx = rstd (g - xhat mean(g xhat))
    """
    n = _row_length("rms_norm", x, normalized_shape, weight=weight)
    xp = array_module(x)
    eps = float(np.finfo(x.dtype).eps) if eps is None else eps
    average = _averaging(xp, n, x.dtype)
    rows = x.reshape(-1, n)  # (N, n)
    rstd = 1 / xp.sqrt((rows * rows) @ average + eps)  # (N, 1)
    y = rows * rstd
    if weight is not None:
        y *= weight.reshape(n)

    def backward(dy):
        dy = dy.reshape(-1, n)
        xhat = rows * rstd
        g = dy if weight is None else dy * weight.reshape(n)
        mean = (g * xhat) @ average  # (N, 1)
        ones = xp.ones(len(dy), dy.dtype)
        dweight = None if weight is None else (ones @ (dy * xhat)).reshape(weight.shape)
        xhat *= mean
        dx = g - xhat
        dx *= rstd
        return dx.reshape(x.shape), None, dweight

    return y.reshape(x.shape), backward


@functools.lru_cache(maxsize=64)
def _averaging(xp, n, dtype):
    """(n, 1) times 1/n: a product with it is the mean of each row, several times faster than
    `mean(-1)`.  Read only: it is made once."""
    return xp.full((n, 1), 1 / n, dtype)


def _row_length(function, x, normalized_shape, **parameters) -> int:
    """How many values are normalised together; ValueError if x or a parameter doesn't fit."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if x.shape[x.ndim - len(shape) :] != shape:
        raise ValueError(f"{function}: the last axes of {x.shape} are not {shape}")
    for name, parameter in parameters.items():
        if parameter is not None and parameter.shape != shape:
            raise ValueError(f"{function}: {name} has shape {parameter.shape}, expected {shape}")
    return math.prod(shape)

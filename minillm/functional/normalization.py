"""Layer normalisation (Ba, Kiros & Hinton 2016)."""

import math

from minillm.autograd import differentiable
from minillm.backend import array_module


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
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if x.shape[x.ndim - len(shape) :] != shape:
        raise ValueError(f"layer_norm: the last axes of {x.shape} are not {shape}")
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.shape != shape:
            raise ValueError(f"layer_norm: {name} has shape {parameter.shape}, expected {shape}")
    xp = array_module(x)
    n = math.prod(shape)
    # A product with a vector of 1/n is the mean of each row, several times faster than mean(-1).
    average = xp.full((n, 1), 1 / n, x.dtype)
    xhat = x.reshape(-1, n)  # (N, n)
    xhat = xhat - xhat @ average
    rstd = 1 / xp.sqrt((xhat * xhat) @ average + eps)  # (N, 1)
    xhat *= rstd
    y = xhat.copy() if weight is None else xhat * weight.reshape(n)
    if bias is not None:
        y += bias.reshape(n)

    def backward(dy):
        dy = dy.reshape(-1, n)
        dxhat = dy if weight is None else dy * weight.reshape(n)
        g_xhat = dxhat * xhat
        dx = dxhat - dxhat @ average
        dx -= xhat * (g_xhat @ average)
        dx *= rstd
        ones = xp.ones(len(dy), dy.dtype)
        dweight = None if weight is None else (ones @ (dy * xhat)).reshape(weight.shape)
        dbias = None if bias is None else (ones @ dy).reshape(bias.shape)
        return dx.reshape(x.shape), None, dweight, dbias

    return y.reshape(x.shape), backward

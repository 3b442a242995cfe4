"""Elementwise arithmetic with broadcasting: + - * / ** exp log sqrt abs where masked_fill."""

import math

from minillm.autograd import differentiable
from minillm.backend import array_module


def shape_of(operand):
    """The shape of an array, None of a Python scalar.

    A backward function that needs no more than the shape asks for it beforehand: what it refers
    to stays in memory until it has run.
    """
    return getattr(operand, "shape", None)


def unbroadcast(gradient, operand):
    """Undo broadcasting: sum `gradient` over the axes along which `operand` was repeated.

    operand: an array, its shape, or a Python scalar.

    y = x + b with x (B, L, D) and b (D,) uses each b_d B*L times, and the gradient of a value
    that is used several times is the sum over its uses.  None for a Python scalar.
    """
    shape = operand if isinstance(operand, tuple) else shape_of(operand)
    if shape is None:
        return None
    if gradient.shape == shape:
        return gradient
    added = gradient.ndim - len(shape)
    repeated = tuple(range(added)) + tuple(
        added + i for i, n in enumerate(shape) if n == 1 and gradient.shape[added + i] != 1
    )
    return gradient.sum(axis=repeated, keepdims=True).reshape(shape)


@differentiable
def add(x, y):
    """x + y."""
    x_shape, y_shape = shape_of(x), shape_of(y)

    def backward(dz):
        return unbroadcast(dz, x_shape), unbroadcast(dz, y_shape)

    return x + y, backward


@differentiable
def subtract(x, y):
    """x - y."""
    x_shape, y_shape = shape_of(x), shape_of(y)

    def backward(dz):
        return unbroadcast(dz, x_shape), unbroadcast(-dz, y_shape)

    return x - y, backward


@differentiable
def multiply(x, y):
    """x * y; dx = dz * y, dy = dz * x."""

    def backward(dz):
        return unbroadcast(dz * y, x), unbroadcast(dz * x, y)

    return x * y, backward


@differentiable
def divide(x, y):
    """z = x / y; dx = dz / y, dy = -dz * x / y^2 = -dx * z."""
    z = x / y

    def backward(dz):
        dx = dz / y
        return unbroadcast(dx, x), unbroadcast(-dx * z, y)

    return z, backward


@differentiable
def power(x, p):
    """z = x ** p; dx = dz * p * x^(p-1) (0 for p = 0), dp = dz * z * ln x (0 unless x > 0)."""
    number = not hasattr(p, "shape")
    # A general power costs 16 times as much as a product.
    z = x * x if number and p == 2 else x * x * x if number and p == 3 else x**p

    def backward(dz):
        if number:
            if p == 0:
                return dz * 0
            if p == 2:
                return 2 * dz * x
            if p == 3:
                return 3 * dz * x * x
            return dz * p * x ** (p - 1)
        if not hasattr(x, "shape"):  # 2 ** p
            return None, dz * z * (math.log(x) if x > 0 else 0)
        xp = array_module(p)
        base = xp.where(p == 0, 1, x)  # x^0 is constant, at x = 0 too
        logarithm = xp.log(xp.where(x > 0, x, 1))
        return unbroadcast(dz * p * base ** (p - 1), x), unbroadcast(dz * z * logarithm, p)

    return z, backward


@differentiable
def negative(x):
    """-x."""

    def backward(dy):
        return -dy

    return -x, backward


@differentiable
def exp(x):
    """y = e^x; dx = dy * y."""
    y = array_module(x).exp(x)

    def backward(dy):
        return dy * y

    return y, backward


@differentiable
def log(x):
    """Natural logarithm; dx = dy / x."""

    def backward(dy):
        return dy / x

    return array_module(x).log(x), backward


@differentiable
def sqrt(x):
    """y = sqrt(x); dx = dy / (2 y)."""
    y = array_module(x).sqrt(x)

    def backward(dy):
        return dy / (2 * y)

    return y, backward


@differentiable
def abs(x):
    """|x|; dx = dy * sign(x), 0 at x = 0."""
    xp = array_module(x)

    def backward(dy):
        return dy * xp.sign(x)

    return xp.abs(x), backward


@differentiable
def where(condition, x, y):
    """x where `condition` (boolean) holds, y elsewhere; the gradient goes to the side taken."""
    xp = array_module(condition)
    x_shape, y_shape = shape_of(x), shape_of(y)

    def backward(dz):
        # A new 0 of dz's dtype: the untaken side gets no gradient.
        return (
            None,
            unbroadcast(xp.where(condition, dz, 0), x_shape),
            unbroadcast(xp.where(condition, 0, dz), y_shape),
        )

    return xp.where(condition, x, y), backward


@differentiable
def masked_fill(x, mask, value):
    """x with `value` (a number) wherever `mask` (boolean, broadcast to x) is True."""
    if mask.dtype != bool:
        raise TypeError(f"masked_fill: the mask is {mask.dtype}, expected bool (such as ids == 0)")
    xp, shape = array_module(x), x.shape

    def backward(dy):
        return unbroadcast(xp.where(mask, 0, dy), shape)

    return xp.where(mask, value, x), backward

"""Nonlinearities, each with its derivative."""

import math

from minillm.autograd import differentiable
from minillm.backend import array_module, erf, fuse
from minillm.grad_mode import is_grad_enabled


@differentiable
def tanh(x):
    """y = tanh(x); dx = dy * (1 - y^2)."""
    y = array_module(x).tanh(x)

    def backward(dy):
        return dy * (1 - y * y)

    return y, backward


@differentiable
def sigmoid(x):
    """y = 1 / (1 + e^-x) = (tanh(x/2) + 1) / 2, which can't overflow; dx = dy * y * (1 - y)."""
    y = 0.5 * array_module(x).tanh(0.5 * x) + 0.5

    def backward(dy):
        return dy * y * (1 - y)

    return y, backward


@differentiable
def relu(x):
    """y = max(x, 0); dx = dy where x > 0, else 0 (0 at the kink, as in PyTorch)."""
    y = array_module(x).maximum(x, 0)

    def backward(dy):
        return dy * (y > 0)

    return y, backward


@differentiable
def silu(x):
    """y = x * s with s = sigmoid(x); dx = dy * (s + x s (1 - s)) = dy * (s + y (1 - s))."""
    s = 0.5 * array_module(x).tanh(0.5 * x) + 0.5
    y = x * s

    def backward(dy):
        return dy * (s + y * (1 - s))

    return y, backward


@differentiable
def swiglu(gate, up):
    """y = silu(gate) * up: one half of a layer opens and closes the other (Shazeer 2020).

    gate and up of one shape.  With s = sigmoid(gate) and silu(gate) = gate s, whose derivative is
    s + gate s (1 - s):    dgate = dy up (s + silu(gate) (1 - s)),    dup = dy silu(gate).
    """
    if gate.shape != up.shape:
        raise ValueError(f"swiglu: gate {gate.shape} and up {up.shape} differ in shape")
    y, s = _swiglu(gate, up)

    def backward(dy):
        return _swiglu_backward(dy, gate, up, s)

    return y, backward


@fuse
def _swiglu(xp, gate, up):
    s = 0.5 * xp.tanh(0.5 * gate) + 0.5
    return gate * s * up, s


@fuse
def _swiglu_backward(xp, dy, gate, up, s):
    silu = gate * s
    return dy * up * (s + silu * (1 - s)), dy * silu


@differentiable
def gelu(x, approximate="none"):
    """y = x * Phi(x), Phi the standard normal distribution function (Hendrycks & Gimpel 2016).

    approximate="none": Phi(x) = (1 + erf(x / sqrt 2)) / 2, and Phi'(x) = phi(x), so
    dx = dy * (Phi(x) + x phi(x)).  approximate="tanh": the formula that GPT-2 uses,
    Phi(x) ~ (1 + tanh(u)) / 2 with u = sqrt(2/pi) (x + 0.044715 x^3).
    The derivative is computed with the value, from the same intermediates, and kept.
    """
    if approximate == "tanh" and not is_grad_enabled():
        return _gelu_tanh_alone(x), None
    if approximate == "tanh":
        y, dydx = _gelu_tanh(x)
    elif approximate != "none":
        raise ValueError(f"gelu: approximate={approximate!r}, expected 'none' or 'tanh'")
    elif x.dtype.itemsize < 8:
        y, dydx = _gelu_float32(x)
    else:
        xp = array_module(x)
        Phi = 0.5 * (1 + erf(x / math.sqrt(2)))
        phi = xp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
        y, dydx = x * Phi, Phi + x * phi

    def backward(dy):
        return dy * dydx

    return y, backward if is_grad_enabled() else None


# GELU is computed in place where it can be: an operation costs less time than the memory for its
# result.


@fuse
def _gelu_float32(xp, x):
    """Exact GELU and its derivative to float32's precision.

    The tail Q(|x|) = 1 - Phi(|x|) by Abramowitz & Stegun 7.1.26 (error below 7.5e-8): a polynomial
    in t = 1 / (1 + p |x| / sqrt 2) times e^(-x^2/2), which phi(x) needs anyway.
    """
    t = xp.abs(x)
    t *= 0.3275911 / math.sqrt(2)
    t += 1
    t = 1 / t
    Q = (0.5 * 1.061405429) * t  # 0.5 stands in every coefficient: Q = (1 - erf) / 2
    Q -= 0.5 * 1.453152027
    Q *= t
    Q += 0.5 * 1.421413741
    Q *= t
    Q -= 0.5 * 0.284496736
    Q *= t
    Q += 0.5 * 0.254829592
    Q *= t
    bell = -0.5 * x
    bell *= x
    bell = xp.exp(bell)
    Q *= bell
    # Phi(x) is 1 - Q(|x|) for positive x, Q(|x|) for negative x: 1/2 +- (1/2 - Q(|x|)).
    Phi = xp.copysign(0.5 - Q, x)
    Phi += 0.5
    bell *= x
    bell *= 1 / math.sqrt(2 * math.pi)  # x phi(x)
    bell += Phi
    return x * Phi, bell


C, K = math.sqrt(2 / math.pi), 0.044715  # of GELU's tanh form


def _tanh_u(xp, x, square):
    """tanh(u), u = C x (1 + K x^2); square = x^2."""
    t = (C * K) * square
    t += C
    t *= x  # u
    return xp.tanh(t)


@fuse
def _gelu_tanh(xp, x):
    """GELU's tanh form and its derivative.

    Phi = (1 + tanh u) / 2, and the derivative is Phi + x (1 - tanh(u)^2) / 2 du/dx with
    du/dx = C + 3 C K x^2.
    """
    square = x * x
    t = _tanh_u(xp, x, square)
    square *= 1.5 * C * K
    square += 0.5 * C  # 1/2 du/dx
    dydx = t * t
    dydx = 1 - dydx
    dydx *= square
    dydx *= x  # last: for a huge x the product is 0 by now
    t *= 0.5
    t += 0.5  # Phi
    dydx += t
    return x * t, dydx


@fuse
def _gelu_tanh_alone(xp, x):
    """GELU's tanh form without the derivative, for when nothing is recorded."""
    t = _tanh_u(xp, x, x * x)
    t *= 0.5
    t += 0.5  # Phi
    return x * t


@differentiable
def softmax(x, axis=-1):
    """softmax(x)_i = exp(x_i) / sum_j exp(x_j), along `axis`."""
    xp = array_module(x)
    y = xp.exp(x - x.max(axis=axis, keepdims=True))
    y /= y.sum(axis=axis, keepdims=True)

    def backward(dy):  # dL/dx = y * (dy - <dy, y>)
        return y * (dy - (dy * y).sum(axis=axis, keepdims=True))

    return y, backward


@differentiable
def log_softmax(x, axis=-1):
    """y_i = x_i - log sum_j exp(x_j), along `axis`; dx = dy - softmax(x) * sum_j dy_j."""
    xp = array_module(x)
    y = x - x.max(axis=axis, keepdims=True)
    y -= xp.log(xp.exp(y).sum(axis=axis, keepdims=True))

    def backward(dy):
        return dy - xp.exp(y) * dy.sum(axis=axis, keepdims=True)

    return y, backward

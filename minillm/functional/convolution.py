"""One-dimensional convolution and max pooling."""

from minillm.autograd import differentiable
from minillm.backend import array_module


@differentiable
def conv1d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """y[n, o, l] = bias[o] + sum_{c, k} weight[o, c, k] x[n, c, l*stride + k*dilation - padding].

    x (N, C_in, L), weight (C_out, C_in / groups, K), bias (C_out,) -> (N, C_out, L_out) with
    L_out = (L + 2 padding - dilation (K - 1) - 1) // stride + 1.  (A cross-correlation: the
    kernel isn't flipped.)  Tap k of the kernel is one matrix product with the shifted input, and
    the sum over the taps is a sum of K products; the gradients are the same products transposed.
    """
    xp = array_module(x)
    _check_window(stride=stride, dilation=dilation, groups=groups, padding=padding)
    fits = x.ndim == weight.ndim == 3 and x.shape[1] == weight.shape[1] * groups
    if not fits or weight.shape[0] % groups:
        raise ValueError(
            f"conv1d: input {x.shape}, weight {weight.shape}, groups {groups}: expected input "
            "(N, C_in, L) and weight (C_out, C_in / groups, K) with C_out a multiple of groups"
        )
    (N, C_in, L), (C_out, _, K) = x.shape, weight.shape
    L_out = (L + 2 * padding - dilation * (K - 1) - 1) // stride + 1
    if L_out < 1:
        raise ValueError(
            f"conv1d: a kernel of {K} (dilation {dilation}) doesn't fit into a length of {L} "
            f"(padding {padding})"
        )
    padded = xp.zeros((N, groups, C_in // groups, L + 2 * padding), x.dtype)
    padded[..., padding : padding + L] = x.reshape(N, groups, C_in // groups, L)
    W = weight.reshape(groups, C_out // groups, C_in // groups, K)

    def under_tap(k, array):  # what tap k sees: (N, groups, C_in/groups, L_out), a view
        start = k * dilation
        return array[..., start : start + (L_out - 1) * stride + 1 : stride]

    y = W[..., 0] @ under_tap(0, padded)
    for k in range(1, K):
        y += W[..., k] @ under_tap(k, padded)
    y = y.reshape(N, C_out, L_out)
    if bias is not None:
        y += bias[:, None]

    def backward(dy):
        dbias = None if bias is None else dy.sum(axis=(0, 2))
        dy = dy.reshape(N, groups, C_out // groups, L_out)
        dpadded = xp.zeros(padded.shape, dy.dtype)
        dW = xp.empty(W.shape, dy.dtype)
        for k in range(K):
            shifted = under_tap(k, dpadded)
            shifted += W[..., k].swapaxes(-1, -2) @ dy
            dW[..., k] = (dy @ under_tap(k, padded).swapaxes(-1, -2)).sum(axis=0)
        dx = dpadded[..., padding : padding + L].reshape(N, C_in, L)
        return dx, dW.reshape(weight.shape), dbias

    return y, backward


@differentiable
def max_pool1d(x, kernel_size, stride=None, padding=0):
    """The largest value in each window of `kernel_size`; the gradient goes to where it stood.

    x (N, C, L) -> (N, C, (L + 2 padding - kernel_size) // stride + 1); stride defaults to
    kernel_size; padded places are never the largest.  Of equal values the first one counts.
    """
    xp = array_module(x)
    stride = kernel_size if stride is None else stride
    _check_window(kernel_size=kernel_size, stride=stride, padding=padding)
    L = x.shape[-1]
    L_out = (L + 2 * padding - kernel_size) // stride + 1
    if L_out < 1:
        raise ValueError(f"max_pool1d: a window of {kernel_size} doesn't fit into a length of {L}")
    if padding > kernel_size // 2:
        raise ValueError(f"max_pool1d: padding {padding} is more than half of {kernel_size}")
    padded = xp.full((*x.shape[:-1], L + 2 * padding), -float("inf"), x.dtype)
    padded[..., padding : padding + L] = x

    def offset(k, array):  # the k-th place of every window, a view
        return array[..., k : k + (L_out - 1) * stride + 1 : stride]

    windows = xp.stack([offset(k, padded) for k in range(kernel_size)])
    where = windows.argmax(axis=0)

    def backward(dy):
        dpadded = xp.zeros(padded.shape, dy.dtype)
        for k in range(kernel_size):
            place = offset(k, dpadded)
            place += dy * (where == k)
        return dpadded[..., padding : padding + L]

    return windows.max(axis=0), backward


def _check_window(padding, **counts):
    if padding < 0:
        raise ValueError(f"padding {padding} must not be negative")
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} {value} must be at least 1")

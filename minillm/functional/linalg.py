"""Matrix products: matmul and linear."""

from minillm.autograd import differentiable
from minillm.backend import array_module, product
from minillm.functional.arithmetic import unbroadcast


@differentiable
def matmul(a, b):
    """C = A B over the last two axes, the axes before them broadcast; vectors as in NumPy.

    With C_ij = sum_k A_ik B_kj, every A_ik meets row k of B: dA = dC B^T, and dB = A^T dC.
    """
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError("matmul: needs at least 1-d operands; use * for a scalar")
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(
            f"matmul: {a.shape} @ {b.shape}: the last axis of the first operand must have the "
            "length of the second-last axis (of a vector: the only axis) of the second"
        )
    # A vector is a matrix with one row (left) or one column (right).
    A = a[None, :] if a.ndim == 1 else a
    B = b[:, None] if b.ndim == 1 else b

    def backward(dc):
        if a.ndim == 1:
            dc = dc[..., None, :] if b.ndim > 1 else dc[..., None]
        if b.ndim == 1:
            dc = dc[..., None]
        dA = product(dc, B.swapaxes(-1, -2))
        dB = product(A.swapaxes(-1, -2), dc)
        return unbroadcast(dA, A).reshape(a.shape), unbroadcast(dB, B).reshape(b.shape)

    return product(a, b), backward


@differentiable
def linear(x, weight, bias=None):
    """y = x W^T + b.  x (..., in), weight (out, in), bias (out,) -> y (..., out).

    dx = dy W;  dW = dy^T x, summed over all rows;  db = the sum of dy over all rows.
    """
    if x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear: the input has {x.shape[-1]} features (shape {x.shape}), "
            f"the weight expects {weight.shape[1]} (shape {weight.shape})"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: bias {bias.shape}, expected ({weight.shape[0]},)")
    rows = x.reshape(-1, x.shape[-1])  # (N, in)
    y = product(rows, weight.T)  # (N, out)
    if bias is not None:
        y += bias

    def backward(dy):
        dy = dy.reshape(-1, weight.shape[0])  # (N, out)
        dx = product(dy, weight).reshape(x.shape)
        dweight = product(dy.T, rows)
        if bias is None:
            return dx, dweight
        # A product with ones sums over rows several times faster than sum(axis=0).
        ones = array_module(dy).ones(len(dy), dy.dtype)
        return dx, dweight, product(ones, dy)

    return y.reshape(x.shape[:-1] + y.shape[1:]), backward

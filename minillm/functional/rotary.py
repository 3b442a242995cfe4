"""Rotary position embeddings (Su et al. 2021, section 3.2.2): a position turns its vector.

The D columns of a query or key are D/2 points of the plane, each with an angular speed of its own.
At position m point j is turned by the angle m * speed_j.  A product of a query at m and a key at n
then depends on the angles' difference only, (m - n) * speed_j: attention sees distances.
"""

from minillm.autograd import differentiable
from minillm.backend import array_module


@differentiable
def rotary_embedding(x, cos, sin):
    """Turn each pair of columns (x_j, x_{j + D/2}) by its angle.

    x (..., L, D); cos and sin, broadcast to (..., L, D/2): of the angle of each pair at each
    position (see `rotary_angles`; they get no gradient).  Pairs are a half apart, as in Llama's
    files; the paper's are neighbours, which is another order of the columns.

        y_1 = x_1 cos - x_2 sin          dx_1 =  dy_1 cos + dy_2 sin
        y_2 = x_2 cos + x_1 sin          dx_2 =  dy_2 cos - dy_1 sin      (turned back)
    """
    half = x.shape[-1] // 2
    if x.shape[-1] != 2 * half or not cos.shape[-1] == sin.shape[-1] == half:
        raise ValueError(
            f"rotary_embedding: x {x.shape} needs an even last axis, and cos {cos.shape} and sin "
            f"{sin.shape} half as many columns"
        )

    def backward(dy):
        return _turn(dy, cos, -sin)

    return _turn(x, cos, sin), backward


def _turn(x, cos, sin):
    xp = array_module(x)
    half = x.shape[-1] // 2
    x1, x2 = x[..., :half], x[..., half:]
    y = xp.empty(x.shape, x.dtype)
    y1, y2 = y[..., :half], y[..., half:]
    xp.multiply(x1, cos, out=y1)
    y1 -= x2 * sin
    xp.multiply(x2, cos, out=y2)
    y2 += x1 * sin
    return y


def rotary_angles(positions, size, theta, dtype):
    """cos and sin (..., L, size/2) for integer positions (..., L): angle = m * theta^(-2j/size).

    Pair 0 turns by one radian a position, the last by almost 1/theta: clocks with many hands.
    Plain arrays of `dtype`; the angles themselves are computed in float64.
    """
    xp = array_module(positions)
    speed = theta ** (-xp.arange(0, size, 2, dtype="float64") / size)
    angles = positions[..., None] * speed
    return xp.cos(angles).astype(dtype), xp.sin(angles).astype(dtype)

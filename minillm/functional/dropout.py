"""Dropout (Srivastava et al. 2014)."""

from minillm.autograd import differentiable
from minillm.backend import device_of, random_generator


def keep_mask(x, p):
    """A boolean array like x, False with probability p (rounded to 1/256), and 1/(1 - p).

    Eight random bits decide one element: a float32 random number would cost three times as much.
    The scale is that of the rounded probability, so that the expectation is exact.
    """
    check_probability(p)
    device = device_of(x)
    threshold = min(max(round(p * 256), 1), 255) if 0 < p < 1 else round(p) * 256
    # `> threshold - 1`, as the bytes can't be compared with 256 in their own type.
    keep = device.random_bytes(random_generator(device), x.shape) > threshold - 1
    return keep, 256 / (256 - threshold) if threshold < 256 else 0.0


def check_probability(p) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability {p} must lie between 0 and 1")


@differentiable
def dropout(x, p=0.5, training=True):
    """While training, each element is zeroed with probability p, the others divided by 1 - p.

    The expectation of y is x, so nothing has to change at evaluation.
    """
    check_probability(p)
    if not training or p == 0:
        return x.copy(), lambda dy: dy
    keep, scale = keep_mask(x, p)

    def backward(dy):
        dx = dy * keep
        dx *= scale
        return dx

    y = x * keep
    y *= scale
    return y, backward

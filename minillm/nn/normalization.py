"""Layer normalisation (Ba, Kiros & Hinton 2016) and RMSNorm (Zhang & Sennrich 2019)."""

import numpy as np

from minillm import functional as F
from minillm.nn import init
from minillm.nn.module import Module, check_positive, empty_parameter


class LayerNorm(Module):
    """y = (x - mean) / sqrt(var + eps) * weight + bias over the last axes, `normalized_shape`.

    weight (*normalized_shape) starts at 1, bias at 0; elementwise_affine=False goes without both,
    bias=False without the bias.
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ):
        super().__init__()
        self.normalized_shape, self.eps = _shape(normalized_shape), _checked_eps(eps)
        self.weight = empty_parameter(*self.normalized_shape) if elementwise_affine else None
        self.bias = empty_parameter(*self.normalized_shape) if elementwise_affine and bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Ones and zeros: at first the layer only normalises."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input):
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        affine = self.weight is not None
        bias = ", bias=False" if affine and self.bias is None else ""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}{bias}"


class RMSNorm(Module):
    """y = x / sqrt(mean(x^2) + eps) * weight over the last axes, `normalized_shape`.

    weight (*normalized_shape) starts at 1; elementwise_affine=False goes without.  eps=None is the
    dtype's machine epsilon.
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
    ):
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = None if eps is None else _checked_eps(eps)
        self.weight = empty_parameter(*self.normalized_shape) if elementwise_affine else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Ones: at first the layer only normalises."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input):
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        affine = self.weight is not None
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}"


def _shape(normalized_shape) -> tuple[int, ...]:
    if isinstance(normalized_shape, int | np.integer):
        normalized_shape = (normalized_shape,)
    for size in normalized_shape:
        check_positive(normalized_shape=size)
    return tuple(normalized_shape)


def _checked_eps(eps: float) -> float:
    if eps < 0:
        raise ValueError(f"eps must not be negative, got {eps}")
    return eps

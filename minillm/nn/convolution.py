"""One-dimensional convolution and pooling."""

import math

from minillm import functional as F
from minillm.nn import init
from minillm.nn.module import Module, check_positive, empty_parameter


class Conv1d(Module):
    """The same weights at every place of a sequence; see `F.conv1d` for the formula.

    x (N, in_channels, L) -> (N, out_channels, L_out).  weight (out_channels, in_channels / groups,
    kernel_size) and bias (out_channels) start uniform in +-1/sqrt(in_channels/groups kernel_size).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        super().__init__()
        check_positive(in_channels=in_channels, out_channels=out_channels, groups=groups)
        check_positive(kernel_size=kernel_size, stride=stride, dilation=dilation)
        _check_padding(padding)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"in_channels {in_channels} and out_channels {out_channels} must be multiples of "
                f"groups {groups}"
            )
        self.in_channels, self.out_channels, self.kernel_size = (
            in_channels,
            out_channels,
            kernel_size,
        )
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.weight = empty_parameter(out_channels, in_channels // groups, kernel_size)
        self.bias = empty_parameter(out_channels) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # that is +-1/sqrt(fan_in)
        if self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input):
        return F.conv1d(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self):
        options = ("stride", "padding", "dilation", "groups")
        usual = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        shown = [f"{o}={getattr(self, o)}" for o in options if getattr(self, o) != usual[o]]
        shown += ["bias=False"] if self.bias is None else []
        sizes = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        return ", ".join([sizes, *shown])


class MaxPool1d(Module):
    """The largest value in each window.  x (N, C, L) -> (N, C, L_out); see `F.max_pool1d`."""

    def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0):
        super().__init__()
        check_positive(kernel_size=kernel_size)
        stride = kernel_size if stride is None else stride
        check_positive(stride=stride)
        _check_padding(padding)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, input):
        return F.max_pool1d(input, self.kernel_size, self.stride, self.padding)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


def _check_padding(padding):
    if not isinstance(padding, int) or padding < 0:
        raise ValueError(f"padding must be an integer >= 0, got {padding!r}")

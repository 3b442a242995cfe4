"""Dropout (Srivastava et al. 2014)."""

from minillm import functional as F
from minillm.nn.module import Module, check_probability


class Dropout(Module):
    """While training, each element is zeroed with probability p, the others divided by 1 - p."""

    def __init__(self, p: float = 0.5):
        super().__init__()
        check_probability(p=p)
        self.p = p

    def forward(self, input):
        return F.dropout(input, self.p) if self.training and self.p > 0 else input

    def extra_repr(self):
        return f"p={self.p}"

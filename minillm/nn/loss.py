"""The losses as modules; the formulas stand in functional/loss.py.

A class weight is a Parameter that wants no gradient: it moves with `.to` and is saved with the
module, but no optimizer changes it.
"""

from minillm import functional as F
from minillm.nn.module import Module, Parameter


class _Loss(Module):
    def __init__(self, reduction):
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction={reduction!r}: expected 'mean', 'sum' or 'none'")
        self.reduction = reduction

    def extra_repr(self):
        return f"reduction={self.reduction!r}"


def _constant(weight):
    return None if weight is None else Parameter(weight, requires_grad=False)


class CrossEntropyLoss(_Loss):
    """-log softmax(logits)[target]; see `F.cross_entropy`."""

    def __init__(
        self, weight=None, *, ignore_index: int = -100, reduction="mean", label_smoothing=0.0
    ):
        super().__init__(reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must lie between 0 and 1, got {label_smoothing}")
        self.weight = _constant(weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input, target):
        return F.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class BCELoss(_Loss):
    """Binary cross-entropy of probabilities; see `F.binary_cross_entropy`."""

    def __init__(self, weight=None, *, reduction="mean"):
        super().__init__(reduction)
        self.weight = _constant(weight)

    def forward(self, input, target):
        return F.binary_cross_entropy(input, target, self.weight, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy of sigmoid(input); see `F.binary_cross_entropy_with_logits`."""

    def __init__(self, weight=None, *, reduction="mean", pos_weight=None):
        super().__init__(reduction)
        self.weight, self.pos_weight = _constant(weight), _constant(pos_weight)

    def forward(self, input, target):
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, self.reduction, self.pos_weight
        )


class MSELoss(_Loss):
    """(input - target)^2; see `F.mse_loss`."""

    def __init__(self, *, reduction="mean"):
        super().__init__(reduction)

    def forward(self, input, target):
        return F.mse_loss(input, target, self.reduction)

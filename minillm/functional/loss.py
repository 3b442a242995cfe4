"""Losses: cross-entropy, binary cross-entropy, mean squared error."""

from minillm.autograd import differentiable
from minillm.backend import array_module, check_ids, row_blocks


def _reduce(xp, losses, reduction, total_weight):
    """The loss, and the function that spreads its gradient back over the single losses."""
    if reduction == "none":
        return losses, lambda dy: dy
    if reduction == "sum":
        return losses.sum(), lambda dy: xp.broadcast_to(dy, losses.shape)
    if reduction == "mean":
        return losses.sum() / total_weight, lambda dy: xp.broadcast_to(
            dy / total_weight, losses.shape
        )
    raise ValueError(f"reduction={reduction!r}: expected 'mean', 'sum' or 'none'")


def _like(x, array):
    """`array` in x's dtype (or None): neither integer targets nor float64 weights widen a loss."""
    return None if array is None else array.astype(x.dtype, copy=False)


@differentiable
def cross_entropy(
    logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    """-log softmax(logits)[target], the average over all targets that aren't `ignore_index`.

    logits (N, C) or (N, C, d1, ...), targets (N) or (N, d1, ...) integer class ids;
    weight (C,) scales each class (the mean then divides by the targets' weights).
    With smoothing s the target distribution is (1 - s) on the class plus s/C on every class.

    Let p = softmax(z) and q the (smoothed, weighted) target distribution.  The loss of one row is
    -sum_c q_c log p_c with log p_c = z_c - log sum_j e^(z_j), so dL/dz_c = p_c sum_j q_j - q_c:
    for a plain target, p - onehot.  That takes p (kept as its numerator), and no one-hot matrix.
    If every target is ignored the mean is 0/0 = nan and its gradient 0, as in PyTorch.
    """
    if targets.dtype.kind not in "iu":
        raise TypeError(f"cross_entropy: targets must be integer class ids, got {targets.dtype}")
    axis = 1 if logits.ndim > 1 else 0
    C = logits.shape[axis]
    if logits.shape[:axis] + logits.shape[axis + 1 :] != targets.shape:
        raise ValueError(
            f"cross_entropy: logits {logits.shape} need targets of shape "
            f"{logits.shape[:axis] + logits.shape[axis + 1 :]}, got {targets.shape}"
        )
    if weight is not None and weight.shape != (C,):
        raise ValueError(f"cross_entropy: weight {weight.shape}, expected one a class: {(C,)}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(
            f"cross_entropy: label_smoothing {label_smoothing} must lie between 0 and 1"
        )
    weight = _like(logits, weight)
    xp = array_module(logits)
    z = xp.moveaxis(logits, axis, -1) if logits.ndim > 2 else logits
    leading, logits_shape = z.shape[:-1], logits.shape
    z, y = z.reshape(-1, C), targets.reshape(-1)  # (N, C), (N,)
    counted = y != ignore_index
    y = xp.where(counted, y, 0)
    check_ids(y, C, "cross_entropy target")

    exp = xp.empty(z.shape, z.dtype)  # e^(z - max): p before the division by `total`
    picked, total, weighted_sum = (xp.empty(len(y), z.dtype) for _ in range(3))
    ones = xp.ones(C, z.dtype)
    class_weight = ones if weight is None else weight
    for r in row_blocks(z):  # which stay in the processor's cache for all passes
        shifted = xp.subtract(z[r], z[r].max(axis=1, keepdims=True), out=exp[r])
        picked[r] = shifted[xp.arange(len(shifted)), y[r]]
        if label_smoothing:
            weighted_sum[r] = shifted @ class_weight  # sum_c w_c (z_c - max)
        xp.exp(shifted, out=shifted)
        total[r] = shifted @ ones
    log_total = xp.log(total)

    w = counted.astype(z.dtype) if weight is None else weight[y] * counted  # (N,)
    losses = w * xp.where(counted, log_total - picked, 0)  # an ignored row's may be infinite
    if label_smoothing:
        smooth = class_weight.sum() * log_total - weighted_sum  # -sum_c w_c log p_c
        smooth = xp.where(counted, smooth, 0)
        losses = (1 - label_smoothing) * losses + (label_smoothing / C) * smooth
    total_weight = w.sum() if reduction == "mean" else None
    loss, spread = _reduce(xp, losses, reduction, total_weight)

    def backward(dy):
        g = xp.where(counted, spread(dy).reshape(-1), 0)  # dL/d(loss of row n)
        if label_smoothing:
            # q_c = (1 - s) w_y [c = y] + (s / C) w_c, its sum scales p.
            uniform = (label_smoothing / C) * g
            at_target = (1 - label_smoothing) * w * g
            of_p = at_target + uniform * class_weight.sum()
        else:
            of_p = at_target = w * g
        dz = exp  # used for the last time, so dz takes its memory: dz = p of_p - ...
        dz *= (of_p / total)[:, None]
        if label_smoothing:
            dz -= uniform[:, None] * class_weight
        dz[xp.arange(len(y)), y] -= at_target
        dz = dz.reshape(*leading, C)
        return xp.moveaxis(dz, -1, axis) if len(logits_shape) > 2 else dz.reshape(logits_shape)

    return loss.reshape(targets.shape) if reduction == "none" else loss, backward


@differentiable
def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    """-(t log p + (1 - t) log(1 - p)) for probabilities p in [0, 1]; logarithms at least -100.

    input, target and weight (if any) of one shape; the target gets no gradient.
    dp = (p - t) / (p (1 - p)).  Prefer `binary_cross_entropy_with_logits`, which can't lose
    precision near 0 and 1.
    """
    xp = array_module(input)
    _same_shape("binary_cross_entropy", input, target)
    p, t, weight = input, _like(input, target), _like(input, weight)
    log_p = xp.maximum(xp.log(xp.maximum(p, 1e-45)), -100)
    log_q = xp.maximum(xp.log(xp.maximum(1 - p, 1e-45)), -100)
    losses = -(t * log_p + (1 - t) * log_q)
    if weight is not None:
        losses = losses * weight
    loss, spread = _reduce(xp, losses, reduction, losses.size)

    def backward(dy):
        g = spread(dy) if weight is None else spread(dy) * weight
        return g * (p - t) / xp.maximum(p * (1 - p), 1e-12)

    return loss, backward


@differentiable
def binary_cross_entropy_with_logits(input, target, weight=None, reduction="mean", pos_weight=None):
    """Binary cross-entropy of sigmoid(z), z the input, in one stable formula; dz = sigmoid(z) - t.

    -log sigmoid(z) = softplus(-z) = max(-z, 0) + log(1 + e^-|z|), and -log(1 - sigmoid(z)) =
    softplus(z) = max(z, 0) + log(1 + e^-|z|).  `pos_weight` multiplies the positive part (t log p),
    broadcast against the input.  The target gets no gradient.
    """
    xp = array_module(input)
    _same_shape("binary_cross_entropy_with_logits", input, target)
    z, t = input, _like(input, target)
    weight, pos_weight = _like(input, weight), _like(input, pos_weight)
    tail = xp.log1p(xp.exp(-xp.abs(z)))
    positive = t if pos_weight is None else t * pos_weight
    losses = positive * (xp.maximum(-z, 0) + tail) + (1 - t) * (xp.maximum(z, 0) + tail)
    if weight is not None:
        losses = losses * weight
    loss, spread = _reduce(xp, losses, reduction, losses.size)

    def backward(dy):
        g = spread(dy) if weight is None else spread(dy) * weight
        sigmoid = 0.5 * xp.tanh(0.5 * z) + 0.5
        return g * ((1 - t) * sigmoid - positive * (1 - sigmoid))

    return loss, backward


@differentiable
def mse_loss(input, target, reduction="mean"):
    """(input - target)^2; d input = 2 (input - target) dy."""
    _same_shape("mse_loss", input, target)
    xp = array_module(input)
    difference = input - _like(input, target)
    loss, spread = _reduce(xp, difference * difference, reduction, difference.size)

    def backward(dy):
        dinput = 2 * difference * spread(dy)
        return dinput, -dinput

    return loss, backward


def _same_shape(name, input, target):
    if input.shape != target.shape:
        raise ValueError(f"{name}: input {input.shape} and target {target.shape} differ in shape")

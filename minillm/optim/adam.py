"""Adam (Kingma & Ba 2015, algorithm 1) and AdamW (Loshchilov & Hutter 2019, algorithm 2).

    m = beta1 m + (1 - beta1) g                   which way the gradient usually points
    v = beta2 v + (1 - beta2) g^2                 how large it usually is, squared
    mhat = m / (1 - beta1^t)                      m and v start at 0: early averages are too small
    vhat = v / (1 - beta2^t)                      by exactly this factor
    p = p - lr mhat / (sqrt(vhat) + eps)

Weight decay: Adam adds weight_decay p to g, so that it is averaged and divided like the rest.
AdamW decouples it, p = p - lr weight_decay p, so that every weight decays at the same rate.
"""

import math

from minillm.backend import array_module, fuse
from minillm.optim.optimizer import Optimizer


class Adam(Optimizer):
    """Adam; the formulas stand at the head of this file."""

    def __init__(
        self,
        params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    def check_options(self, options):
        super().check_options(options)
        betas = options["betas"]
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must be two numbers at least 0 and below 1, got {betas}")

    def update(self, p, g, moments, step, options):
        self._move(_adam, options["weight_decay"], p, g, moments, step, options)

    def _move(self, body, decay, p, g, moments, step, options):
        for name in ("exp_avg", "exp_avg_sq"):
            if name not in moments:
                moments[name] = array_module(p).zeros_like(p)
        m, v = moments["exp_avg"], moments["exp_avg_sq"]
        beta1, beta2 = options["betas"]
        # The two corrections are numbers: lr mhat = rate m, and sqrt(vhat) = sqrt(v) / root.
        rate = options["lr"] / (1 - beta1**step)
        root = math.sqrt(1 - beta2**step)
        # Computed here: numbers that meet each other in a fused function lose their precision.
        averages = beta1, 1 - beta1, beta2, 1 - beta2
        body(p, g, m, v, *averages, rate * root, options["eps"] * root, decay)


class AdamW(Adam):
    """Adam with decoupled weight decay; the formulas stand at the head of this file."""

    def __init__(
        self,
        params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(self, p, g, moments, step, options):
        kept = 1 - options["lr"] * options["weight_decay"]
        self._move(_adamw, kept, p, g, moments, step, options)


@fuse
def _adam(xp, p, g, m, v, beta1, rest1, beta2, rest2, rate, eps, decay):
    _follow(xp, p, g + decay * p, m, v, beta1, rest1, beta2, rest2, rate, eps)


@fuse
def _adamw(xp, p, g, m, v, beta1, rest1, beta2, rest2, rate, eps, kept):
    p *= kept
    _follow(xp, p, g, m, v, beta1, rest1, beta2, rest2, rate, eps)


def _follow(xp, p, g, m, v, beta1, rest1, beta2, rest2, rate, eps):
    """rest = 1 - beta; rate m / (sqrt(v) + eps) has root on both sides of its bar."""
    m *= beta1
    m += rest1 * g
    square = g * g
    square *= rest2
    v *= beta2
    v += square
    denominator = xp.sqrt(v)
    denominator += eps
    move = m / denominator
    move *= rate
    p -= move

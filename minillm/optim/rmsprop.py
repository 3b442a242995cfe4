"""RMSprop (Hinton 2012, lecture 6e; centred: Graves 2013, equations 38 to 45).

g = dL/dp + weight_decay p
v = alpha v + (1 - alpha) g^2                 how large the gradient usually is, squared
centred:    a = alpha a + (1 - alpha) g,      and v - a^2, the variance, in the place of v
p = p - lr g / (sqrt(v) + eps)
momentum:   b = momentum b + g / (sqrt(v) + eps),   p = p - lr b
"""

from minillm.backend import array_module
from minillm.optim.optimizer import Optimizer


class RMSprop(Optimizer):
    """RMSprop; the formulas stand at the head of this file."""

    def __init__(
        self,
        params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ):
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
        }
        super().__init__(params, defaults)

    def check_options(self, options):
        super().check_options(options)
        if not 0 <= options["alpha"] < 1:
            raise ValueError(f"alpha must be at least 0 and below 1, got {options['alpha']}")

    def update(self, p, g, moments, step, options):
        xp = array_module(p)
        alpha, momentum = options["alpha"], options["momentum"]
        for name, wanted in (
            ("square_avg", True),
            ("grad_avg", options["centered"]),
            ("momentum_buffer", momentum > 0),
        ):
            if wanted and name not in moments:
                moments[name] = xp.zeros_like(p)

        if options["weight_decay"]:
            g = g + options["weight_decay"] * p
        v = moments["square_avg"]
        v *= alpha
        v += (1 - alpha) * g * g
        if options["centered"]:
            a = moments["grad_avg"]
            a *= alpha
            a += (1 - alpha) * g
            # Rounding can take the variance a little below 0.
            v = xp.maximum(v - a * a, 0)
        move = g / (xp.sqrt(v) + options["eps"])
        if momentum > 0:
            b = moments["momentum_buffer"]
            b *= momentum
            b += move
            move = b
        p -= options["lr"] * move

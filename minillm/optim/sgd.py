"""Stochastic gradient descent, with momentum (Polyak 1964) or Nesterov's (Sutskever et al. 2013).

g = dL/dp + weight_decay p
plain:      p = p - lr g
momentum:   b = momentum b + (1 - dampening) g        (b = g at the first step)
            p = p - lr b
Nesterov:   p = p - lr (g + momentum b)               with b as above
"""

from minillm.backend import array_module, fuse
from minillm.optim.optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent; the formulas stand at the head of this file."""

    def __init__(
        self,
        params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        super().__init__(params, defaults)

    def check_options(self, options):
        super().check_options(options)
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError("nesterov needs a momentum above 0 and no dampening")

    def update(self, p, g, moments, step, options):
        lr, decay, momentum = options["lr"], options["weight_decay"], options["momentum"]
        if momentum == 0:
            return _plain(p, g, lr, decay)
        gain = 1 - options["dampening"]
        if "momentum_buffer" not in moments:
            moments["momentum_buffer"] = array_module(p).zeros_like(p)
            gain = 1.0  # the first b is g itself
        move = _nesterov if options["nesterov"] else _momentum
        move(p, g, moments["momentum_buffer"], lr, decay, momentum, gain)


@fuse
def _plain(xp, p, g, lr, decay):
    p -= lr * (g + decay * p)


@fuse
def _momentum(xp, p, g, b, lr, decay, momentum, gain):
    b *= momentum
    b += gain * (g + decay * p)
    p -= lr * b


@fuse
def _nesterov(xp, p, g, b, lr, decay, momentum, gain):
    g = g + decay * p
    b *= momentum
    b += gain * g
    p -= lr * (g + momentum * b)

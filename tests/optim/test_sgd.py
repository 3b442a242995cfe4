"""SGD, step by step as in the formulas, written for one step after the other."""

import pytest

from minillm import nn, optim


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_plain(follows, weight_decay):
    def formula(p, gradients):
        for g in gradients:
            p = p - 0.05 * (g + weight_decay * p)
            yield p

    follows(lambda params: optim.SGD(params, 0.05, weight_decay=weight_decay), formula)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("dampening", [0.0, 0.3])
def test_momentum(follows, weight_decay, dampening):
    def formula(p, gradients):
        b = None
        for g in gradients:
            g = g + weight_decay * p
            b = g if b is None else 0.9 * b + (1 - dampening) * g
            p = p - 0.05 * b
            yield p

    follows(lambda params: optim.SGD(params, 0.05, 0.9, dampening, weight_decay), formula)


def test_nesterov(follows):
    def formula(p, gradients):
        b = None
        for g in gradients:
            g = g + 0.1 * p
            b = g if b is None else 0.9 * b + g
            p = p - 0.05 * (g + 0.9 * b)
            yield p

    follows(lambda ps: optim.SGD(ps, 0.05, 0.9, weight_decay=0.1, nesterov=True), formula)


def test_options_are_checked():
    parameters = list(nn.Linear(2, 2).parameters())
    with pytest.raises(ValueError, match="lr must not be negative, got -1"):
        optim.SGD(parameters, lr=-1)
    with pytest.raises(ValueError, match="momentum must not be negative"):
        optim.SGD(parameters, momentum=-0.9)
    for options in ({"momentum": 0}, {"momentum": 0.9, "dampening": 0.1}):
        with pytest.raises(ValueError, match="nesterov needs a momentum above 0 and no dampening"):
            optim.SGD(parameters, nesterov=True, **options)

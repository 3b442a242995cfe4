"""The right answers to ex03_autograd: minillm's own functions, from arrays to arrays."""

import numpy as np

import minillm
from minillm import functional as F


def topological_order(graph, output):
    order = []

    def visit(name):
        if name not in order:
            for source in graph[name]:
                visit(source)
            order.append(name)

    visit(output)
    return order


def backward_sweep(graph, output):
    """minillm's own sweep. Every name is rebuilt as a Tensor,

        name = probe + sum over its inputs of (local derivative) * input,

    with the given local derivatives and a leaf of its own, the probe, whose gradient is the name's.
    """
    probes = {name: minillm.tensor(0.0, requires_grad=True, dtype=np.float64) for name in graph}
    tensors = {}
    for name in topological_order({n: [source for source, _ in graph[n]] for n in graph}, output):
        tensors[name] = probes[name] + 0.0
        for source, derivative in graph[name]:
            tensors[name] = tensors[name] + derivative * tensors[source]
    tensors[output].backward()
    return {n: 0.0 if probe.grad is None else float(probe.grad) for n, probe in probes.items()}


def unbroadcast(gradient, shape):
    return F.unbroadcast(gradient, np.empty(shape))


def softmax(x, axis=-1):
    return F.softmax(minillm.tensor(x), axis).numpy()


def softmax_backward(dy, y, axis=-1):
    with np.errstate(divide="ignore"):
        x = minillm.tensor(np.log(y), requires_grad=True)  # y = softmax(log y)
    F.softmax(x, axis).backward(dy)
    return x.grad


def cross_entropy(logits, targets, ignore_index=-100):
    return F.cross_entropy(minillm.tensor(logits), targets, ignore_index=ignore_index).item()


def cross_entropy_backward(logits, targets, ignore_index=-100):
    logits = minillm.tensor(logits, requires_grad=True)
    F.cross_entropy(logits, targets, ignore_index=ignore_index).backward()
    return logits.grad


def layer_norm(x, weight, bias, eps=1e-5):
    return F.layer_norm(minillm.tensor(x), weight.shape, weight, bias, eps).numpy()


def layer_norm_backward(dy, x, weight, eps=1e-5):
    bias = np.zeros_like(weight)
    x, weight, bias = (minillm.tensor(a, requires_grad=True) for a in (x, weight, bias))
    F.layer_norm(x, weight.shape, weight, bias, eps).backward(dy)
    return x.grad, weight.grad, bias.grad


def numerical_gradient(function, x, h=1e-5):
    gradient = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = h
        gradient[i] = (function(x + step) - function(x - step)) / (2 * h)
    return gradient

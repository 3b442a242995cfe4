"""The tape: what was computed from what, and the backward sweep over it.

A `Node` is older than everything computed from it, so a sweep from the youngest to the oldest comes
to a node when its own gradient is complete: every path from the loss to it has been summed up.
"""

import heapq
import itertools

import numpy as np

from minillm import profiler, tape_memory
from minillm.backend import device_of
from minillm.grad_mode import mode


class Node:
    """One recorded call: how to send a gradient back, and to whom.

    `sources[k]` takes the k-th gradient that `backward` returns: a Node, a leaf Tensor, None (no
    gradient wanted there), or a list of those for an argument that is a sequence.
    """

    __slots__ = ("backward", "sources", "order", "name")

    def __init__(self, backward, sources, name):
        self.backward = backward
        self.sources = sources
        self.order = next(_creation)
        self.name = name
        if tape_memory.active is not None:
            tape_memory.active.record(self)


_creation = itertools.count()


def sweep(root: Node, gradient) -> None:
    """Send `gradient` back from `root`, youngest node first."""
    arrived = {root: (gradient, False)}  # node -> (sum of gradients so far, may we write into it?)
    heap = [(-root.order, root)]
    while heap:
        _, node = heapq.heappop(heap)
        dy, _ = arrived.pop(node)
        if node.backward is None:
            raise RuntimeError(
                f"backward() reached {node.name} a second time: its saved values were freed by "
                "the first backward(). Compute the loss again, or add the losses before backward()"
            )
        if profiler.active is None:
            gradients = node.backward(dy)
        else:
            gradients = profiler.active.backward(node.name, node.backward, dy)
        node.backward = None  # frees what the closure saved
        if not isinstance(gradients, tuple):
            gradients = (gradients,)
        for source, dx in _pairs(node, gradients):
            if mode.anomaly and not bool(device_of(dx).xp.isfinite(dx).all()):
                raise FloatingPointError(f"the gradient that {node.name} sends back is not finite")
            # A gradient is ours to write into if the function made it: not dy, not a view.
            owned = dx is not dy and dx.base is None
            if not isinstance(source, Node):
                accumulate_leaf(source, dx, owned)
            elif source not in arrived:
                arrived[source] = (dx, owned)
                heapq.heappush(heap, (-source.order, source))
            else:
                total, writable = arrived[source]
                if writable:
                    total += dx
                else:
                    total = total + dx
                arrived[source] = (total, True)
        node.sources = ()


def _pairs(node: Node, gradients):
    """(source, gradient) for every source that wants one, sequences flattened."""
    for source, dx in zip(node.sources, gradients, strict=False):
        if isinstance(source, list):
            yield from ((s, d) for s, d in zip(source, dx, strict=True) if s is not None)
        elif source is not None and dx is not None:
            yield source, dx


def accumulate_leaf(leaf, gradient, owned: bool) -> None:
    if isinstance(gradient, np.generic):
        gradient = np.asarray(gradient)
    if gradient.shape != leaf.shape:
        raise RuntimeError(f"gradient of shape {gradient.shape} for a leaf of shape {leaf.shape}")
    if gradient.dtype != leaf.dtype:
        gradient, owned = gradient.astype(leaf.dtype), True
    if leaf.grad is None:
        leaf.grad = gradient if owned else gradient.copy()
    else:
        leaf.grad += gradient

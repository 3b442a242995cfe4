"""Gradient checkpointing: compute twice what would fill the memory (Chen et al. 2016, section 3).

The tape keeps what every function needs for its gradient: of a layer with input x many arrays as
large as x, and the attention's probabilities.  `checkpoint(layer, x)` throws the layer's tape away
as soon as its output is known and keeps x alone.  When the backward sweep reaches the layer, the
layer is run again, from x, and the sweep goes on through the new tape.

With L layers, a layer's input of I bytes, its tape of S bytes, and H bytes of tape outside of the
layers (mostly the head's, for the loss), the tape's peak is

    plain:            L S + H
    checkpointed:     L I + max(S, H)          the head's tape is gone before a layer's is back

for a third more work: forward, forward again, backward.  (With S = 88 MB, I = 4 MB, H = 76 MB and
four layers, see tape_memory.py, 428 MB become 105.)  The gradients are the same to the bit:
the second forward repeats the first, random numbers and precision included, and the sweep visits
the new nodes in the order in which it would have visited the old ones.
"""

import contextlib

from minillm.autograd import Tensor, _source_of
from minillm.backend import device_of, random_state, set_random_state
from minillm.grad_mode import mode
from minillm.tape import Node


def checkpoint(function, *args, **kwargs):
    """function(*args, **kwargs), whose tape is not kept but made again in the backward pass.

    function: a Module or function that returns a Tensor, or a tuple of Tensors (None may stand
    among them).  It is called twice, so it must do the same each time: draw its random numbers
    from minillm, and change nothing outside (a key-value cache would be filled twice).  All that
    it uses gets its gradient: arguments, parameters, Tensors from outside.  Checkpoints may lie
    within each other.  Where nothing is recorded (`no_grad`) it is called once.

    PyTorch: torch.utils.checkpoint.checkpoint.  Raises TypeError if `function` returns something
    else; in the backward pass RuntimeError if it doesn't return the like a second time.
    """
    before = _State()
    # Recorded, although the tape is dropped when this call ends: where nothing is recorded some
    # functions take a shorter way, which may round otherwise.
    result = function(*args, **kwargs)
    outputs = _outputs(function, result)
    if not any(y is not None and y.requires_grad for y in outputs):
        return result
    seen = [_describe(y) for y in outputs]
    arrived: dict = {}  # number of an output -> its gradient
    sources: list = []  # of `block`; empty until the function has been run again

    def run_again(_):
        with before.restored():
            again = _outputs(function, function(*args, **kwargs))
        if [_describe(y) for y in again] != seen:
            raise RuntimeError(
                f"checkpoint: {_name(function)} returned {', '.join(seen)} at first, but "
                f"{', '.join(map(_describe, again))} when it was run again in the backward pass"
            )
        sources.extend(_source_of(again[k]) for k in arrived)
        return tuple(dy[...] for dy in arrived.values())  # views: somebody else may own these

    # The block is older than its outputs, so it is visited when all their gradients are there;
    # the nodes that `run_again` makes are the youngest of all, so they are visited next.
    block = Node(run_again, sources, "checkpoint")
    tensors = [_output(y, k, arrived, block) for k, y in enumerate(outputs)]
    if hasattr(result, "_fields"):  # a named tuple
        return type(result)(*tensors)
    return tuple(tensors) if isinstance(result, tuple) else tensors[0]


def _output(y, k, arrived, block):
    """Output k of the block without its tape: a Tensor that leaves its gradient in `arrived`."""
    if y is None or not y.requires_grad:
        return y

    def leave_gradient(dy):
        arrived[k] = dy
        return device_of(dy).xp.zeros((), dy.dtype)  # tells the block that there is one

    tensor = Tensor(y.data)
    tensor.requires_grad = True
    tensor._node = Node(leave_gradient, (block,), "checkpoint")
    return tensor


class _State:
    """What decides, besides the arguments, what a function computes."""

    def __init__(self):
        self.random, self.autocast = random_state(), mode.autocast

    @contextlib.contextmanager
    def restored(self):
        """Within this block all is as it was then, and recorded."""
        random, autocast, grad_enabled = random_state(), mode.autocast, mode.grad_enabled
        set_random_state(self.random)
        mode.autocast, mode.grad_enabled = self.autocast, True
        try:
            yield
        finally:
            set_random_state(random)
            mode.autocast, mode.grad_enabled = autocast, grad_enabled


def _outputs(function, result) -> tuple:
    outputs = result if isinstance(result, tuple) else (result,)
    if not any(isinstance(y, Tensor) for y in outputs) or not all(
        y is None or isinstance(y, Tensor) for y in outputs
    ):
        raise TypeError(
            f"checkpoint: {_name(function)} returned "
            f"{', '.join(map(_describe, outputs)) or 'nothing'}, "
            "expected a Tensor or a tuple of Tensors (and Nones)"
        )
    return outputs


def _describe(y) -> str:
    if not isinstance(y, Tensor):
        return "None" if y is None else type(y).__name__
    return f"a Tensor {y.shape} of {y.dtype}" + (" with a gradient" if y.requires_grad else "")


def _name(function) -> str:
    return getattr(function, "__name__", type(function).__name__)

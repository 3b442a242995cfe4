"""Mixed precision: most numbers of a step in 16 bits, those that need more in 32 (Micikevicius et
al. 2018, "Mixed precision training").

    with minillm.autocast(minillm.float16):
        loss = model(**batch).loss          # float32; the parameters are float32 all the time

float16 has 11 significant bits (3 decimal digits) and reaches from 6e-8 to 65,504.  A matrix
product is content with that for its factors and its result, if the sum in between is made in
float32, which is how a GPU's tensor cores work.  So the products below take float16.  What adds up
many numbers, takes exponentials, or divides by a spread gets float32; so does the loss, and the
parameters (the "master weights") and the optimizer's moments are float32 anyway: an update of
0.001 of a weight would be lost in 11 bits.  All other functions compute in the type that comes.

The casts are functions on the tape like all others: gradients are float16 where the values were,
and float32 again when they reach a parameter.  Gradients are small, and below 6e-8 there is only
0: training.GradScaler lifts them.

Within a function float16 is for what is kept; see `product` in backend for how products of
float16 are summed, and `fuse` for chains of elementwise operations.

bfloat16 (8 significant bits, float32's range, so no scaling is needed) is not offered: NumPy
doesn't have it, and the package ml_dtypes, which adds it, brings no BLAS for it.
"""

import contextlib

import numpy as np

from minillm.autograd import Tensor, _cast
from minillm.backend import as_dtype
from minillm.grad_mode import mode

# Matrix products: what a network's time is spent on, and what 16 bits make faster.
FLOAT16 = {
    *("linear", "matmul"),
    *("scaled_dot_product_attention", "multi_head_attention"),
}
# Sums of many numbers, exponentials, norms, losses.
FLOAT32 = {
    *("softmax", "log_softmax", "exp", "log", "power", "sum", "mean", "var"),
    *("layer_norm", "rms_norm"),
    *("cross_entropy", "binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss"),
    *("embedding_bag", "conv1d", "lstm", "rnn"),  # sums, too, and small beside the others
}
# All others: in the type of what comes, the wider one if two differ.


@contextlib.contextmanager
def autocast(dtype=np.float16, enabled: bool = True):
    """Within this block (and thread) functions choose the precision that they need.

    dtype: float16, or float32 for none of this; enabled=False switches it off in a part of a
    block.  Only float32 and float16 Tensors are cast: float64 stays what it is.  The backward pass
    belongs outside, as in PyTorch, whose torch.autocast names a device first: here the arrays say
    where they are.

    Raises ValueError for another dtype.
    """
    dtype = as_dtype(dtype)
    if dtype not in _HALF_AND_SINGLE:
        raise ValueError(f"autocast: dtype {dtype}, expected minillm.float16 or minillm.float32")
    before = mode.autocast
    mode.autocast = _cast_arguments if enabled and dtype == np.float16 else None
    try:
        yield
    finally:
        mode.autocast = before


def is_autocast_enabled() -> bool:
    """Whether the functions of this thread choose their precision now."""
    return mode.autocast is not None


def _cast_arguments(name: str, arguments):
    """The arguments of the function `name`, its float Tensors in the precision it needs."""
    wanted: type
    if name in FLOAT16:
        wanted = np.float16
    elif name in FLOAT32 or len({t.dtype for t in _tensors(arguments)} & _HALF_AND_SINGLE) == 2:
        wanted = np.float32
    else:
        return arguments

    def cast(argument):
        if isinstance(argument, Tensor) and argument.dtype in _HALF_AND_SINGLE:
            return argument if argument.dtype == wanted else _cast(argument, np.dtype(wanted))
        if type(argument) in (list, tuple):
            return type(argument)(map(cast, argument))
        return argument

    return tuple(map(cast, arguments))


_HALF_AND_SINGLE = {np.dtype(np.float16), np.dtype(np.float32)}


def _tensors(arguments):
    for argument in arguments:
        if isinstance(argument, Tensor):
            yield argument
        elif type(argument) in (list, tuple):
            yield from _tensors(argument)

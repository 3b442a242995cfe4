"""The differentiable functions, and (here, in one place) Tensor's operators and methods."""

import operator

from minillm.autograd import Tensor
from minillm.functional.activation import (
    gelu,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    swiglu,
    tanh,
)
from minillm.functional.arithmetic import (
    abs,
    add,
    divide,
    exp,
    log,
    masked_fill,
    multiply,
    negative,
    power,
    sqrt,
    subtract,
    unbroadcast,
    where,
)
from minillm.functional.attention import multi_head_attention, scaled_dot_product_attention
from minillm.functional.convolution import conv1d, max_pool1d
from minillm.functional.dropout import dropout
from minillm.functional.embedding import embedding
from minillm.functional.embedding_bag import embedding_bag
from minillm.functional.linalg import linear, matmul
from minillm.functional.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse_loss,
)
from minillm.functional.normalization import layer_norm, rms_norm
from minillm.functional.recurrent import lstm, rnn
from minillm.functional.reduction import max, mean, sum, var
from minillm.functional.rotary import rotary_angles, rotary_embedding
from minillm.functional.shape import (
    broadcast_to,
    cat,
    concatenate,
    flatten,
    gather,
    getitem,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    transpose,
    unsqueeze,
)


def _shape_arguments(function):
    """x.reshape(2, 3) and x.reshape((2, 3)) mean the same; so do x.permute's dims."""

    def method(self, *shape):
        if len(shape) == 1 and isinstance(shape[0], tuple | list):
            shape = tuple(shape[0])
        return function(self, shape)

    return method


def _no_place(self, index, value):
    raise TypeError(
        "a Tensor can't be assigned to in place: the values may be needed for the gradient. "
        "Use F.where or F.masked_fill, or write into tensor.data if no gradient is wanted"
    )


def _comparison(compare):
    """x < y and the like: a boolean Tensor, which has no gradient."""

    def method(self, other):
        return Tensor(compare(self.data, other.data if isinstance(other, Tensor) else other))

    return method


# `x += y` makes a new tensor (there is no __iadd__), so nothing that backward needs is overwritten.
_METHODS = {
    "__add__": add,
    "__radd__": add,
    "__sub__": subtract,
    "__rsub__": lambda x, y: subtract(y, x),
    "__mul__": multiply,
    "__rmul__": multiply,
    "__truediv__": divide,
    "__rtruediv__": lambda x, y: divide(y, x),
    "__pow__": power,
    "__rpow__": lambda x, y: power(y, x),
    "__matmul__": matmul,
    "__rmatmul__": lambda x, y: matmul(y, x),
    "__neg__": negative,
    **{
        f"__{name}__": _comparison(getattr(operator, name))
        for name in ("eq", "ne", "lt", "le", "gt", "ge")
    },
    "__getitem__": getitem,
    "__setitem__": _no_place,
    "reshape": _shape_arguments(reshape),
    "view": _shape_arguments(reshape),
    "permute": _shape_arguments(permute),
    "T": property(lambda x: permute(x, tuple(reversed(range(x.ndim))))),
}
_METHODS |= {
    function.__name__: function
    for function in (
        *(abs, exp, log, sqrt, masked_fill, tanh, sigmoid, relu, softmax, log_softmax),
        *(sum, mean, max, var, matmul),
        *(transpose, flatten, squeeze, unsqueeze, split, gather),
    )
}
for _name, _method in _METHODS.items():
    setattr(Tensor, _name, _method)

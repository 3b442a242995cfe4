"""Tensor, the tape and the backward sweep: reverse-mode automatic differentiation.

A differentiable function is written once, on plain arrays, and returns its value together with
its vector-Jacobian product: `return y, backward`, where `backward(dy)` maps dL/dy to dL/dx.  The
decorator `@differentiable` does the bookkeeping.  Each call made while a gradient is wanted
leaves a `Node` that knows `backward` and the nodes of its inputs.  `loss.backward()` visits the
nodes from the youngest to the oldest: a node is older than everything computed from it, so when
its turn comes its own gradient is complete.  (Baydin et al. 2018, "Automatic differentiation in
machine learning: a survey", section 3.2.)
"""

import functools
import inspect

import numpy as np

from minillm import profiler
from minillm.backend import as_dtype, device_of, get_device, is_device_name
from minillm.grad_mode import mode
from minillm.tape import Node, accumulate_leaf, sweep


class Tensor:
    """An array that remembers how it was computed.

    data: the plain array (NumPy or CuPy).  grad: dL/d(this), an array of the same shape and dtype
    or None; filled by `backward()` for the leaves made with `requires_grad=True`.
    """

    __slots__ = ("data", "grad", "requires_grad", "_node", "__weakref__")
    __array_ufunc__ = None  # `array * tensor` becomes Tensor.__rmul__, not an array of Tensors

    def __init__(self, data, requires_grad=False):
        self.data = data
        self.grad = None
        self.requires_grad = False
        self._node = None
        if requires_grad:
            self.requires_grad_()

    @property
    def shape(self):
        return self.data.shape

    @property
    def dtype(self):
        return self.data.dtype

    @property
    def ndim(self):
        return self.data.ndim

    @property
    def device(self) -> str:
        return device_of(self.data).name

    @property
    def is_leaf(self) -> bool:
        return self._node is None

    def numel(self) -> int:
        return self.data.size

    def __len__(self):
        if self.data.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.data.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        return bool(self.item())

    def __repr__(self):
        values = np.array2string(self.numpy(), separator=", ", prefix="tensor(", precision=4)
        extras = "" if self.dtype in (np.float32, np.int64, bool) else f", dtype={self.dtype}"
        extras += "" if self.device == "cpu" else f", device={self.device!r}"
        if self._node is not None:
            extras += f", from={self._node.name}"
        elif self.requires_grad:
            extras += ", requires_grad=True"
        return f"tensor({values}{extras})"

    def item(self):
        """The value of a one-element tensor as a Python number."""
        if self.data.size != 1:
            raise ValueError(f"item() needs a tensor with one element, this one has {self.shape}")
        return self.numpy().item()

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array: itself on the CPU, a copy from another device."""
        return device_of(self.data).to_numpy(self.data)

    def detach(self) -> "Tensor":
        """The same array without its history."""
        return Tensor(self.data)

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Ask (or no longer ask) for a gradient of this leaf."""
        if self._node is not None:
            raise RuntimeError(
                f"only a leaf can want a gradient, this tensor was computed by {self._node.name}; "
                "call detach() first"
            )
        if requires_grad and self.data.dtype.kind != "f":
            raise TypeError(
                f"a gradient needs a floating dtype, this tensor is {self.data.dtype}: "
                "pass dtype=minillm.float32"
            )
        self.requires_grad = requires_grad
        return self

    def to(self, *targets) -> "Tensor":
        """Move to a device ("cpu", "cuda") and/or convert to a dtype; gradients flow through."""
        result = self
        for target in targets:
            if is_device_name(target):
                result = _move(result, target) if result.device != target else result
            elif target is None:
                raise TypeError("to(None): expected a device's name or a dtype")
            else:
                dtype = as_dtype(target)
                result = _cast(result, dtype) if result.dtype != dtype else result
        return result

    def backward(self, gradient=None) -> None:
        """Add dL/d(leaf) to `.grad` of every leaf that this tensor was computed from.

        gradient: dL/d(self), same shape; 1 if left out, which only a one-element tensor may do.
        Raises RuntimeError if there is nothing to differentiate or the graph was already used.
        """
        if not self.requires_grad:
            raise RuntimeError(
                "backward() found no leaf that wants a gradient: none of the tensors this one was "
                "computed from has requires_grad=True (or it was computed under no_grad)"
            )
        xp = device_of(self.data).xp
        if gradient is None:
            if self.data.size != 1:
                raise RuntimeError(
                    f"backward() of a tensor of shape {self.shape} needs the argument `gradient`; "
                    "only a one-element tensor (a loss) can do without"
                )
            gradient = xp.ones_like(self.data)
        else:
            gradient = gradient.data if isinstance(gradient, Tensor) else gradient
            if device_of(gradient) is not device_of(self.data):
                raise ValueError(
                    f"backward(): gradient is on device {device_of(gradient).name!r}, "
                    f"the tensor on {self.device!r}"
                )
            if gradient.shape != self.shape:
                raise ValueError(
                    f"backward(): gradient has shape {gradient.shape}, the tensor {self.shape}"
                )
            gradient = gradient.astype(self.data.dtype, copy=False)
        if self._node is None:
            accumulate_leaf(self, gradient, owned=False)  # the caller's array stays the caller's
        else:
            sweep(self._node, gradient)


# Tensor's operators and methods are attached in functional/__init__.py.

# PyTorch calls NumPy's `axis` and `keepdims` dim and keepdim; either spelling is understood.
_ALIASES = {"dim": "axis", "keepdim": "keepdims"}


def differentiable(function):
    """Make a function of arrays that returns `(y, backward)` a function of Tensors.

    `backward(dy)` returns the gradient of the first argument, or a tuple in argument order with
    None where there is none (the end may be left out); for an argument that is a list of Tensors,
    a list.  It may overwrite arrays that the function made, but never `dy` or an input, and what
    it returns is `dy` itself, a view, or an array that the function made.
    """
    signature = inspect.signature(function)
    name = function.__name__

    @functools.wraps(function)
    def call(*args, **kwargs):
        if kwargs:
            args = _to_positional(signature, args, kwargs)
        if mode.autocast is not None:
            args = mode.autocast(name, args)
        arrays = [a.data if isinstance(a, Tensor) else _arrays_in(a) for a in args]
        if profiler.active is None:
            y, backward = function(*arrays)
        else:
            y, backward = profiler.active.forward(name, function, arrays)
        if isinstance(y, np.generic):
            y = np.asarray(y)  # NumPy's reductions to one number return a scalar, not an array
        if mode.anomaly and y.dtype.kind == "f" and not bool(device_of(y).xp.isfinite(y).all()):
            raise FloatingPointError(f"{name} returned a value that is not finite")
        result = Tensor(y)
        if mode.grad_enabled and y.dtype.kind == "f":
            sources = [_source_of(argument) for argument in args]
            if any(map(_is_wanted, sources)):
                result.requires_grad = True
                result._node = Node(backward, sources, name)
        return result

    return call


def _arrays_in(argument):
    """An argument that is no Tensor, as the function gets it: a sequence of Tensors as arrays."""
    if type(argument) in (list, tuple) and any(isinstance(a, Tensor) for a in argument):
        return type(argument)(a.data if isinstance(a, Tensor) else a for a in argument)
    return argument


def _source_of(argument):
    """Who receives the argument's gradient: the node that made it, the leaf itself, or nobody."""
    if isinstance(argument, Tensor):
        return (argument._node or argument) if argument.requires_grad else None
    if type(argument) in (list, tuple) and any(isinstance(a, Tensor) for a in argument):
        return [_source_of(a) for a in argument]
    return None


def _is_wanted(source) -> bool:
    return source is not None and (not isinstance(source, list) or any(map(_is_wanted, source)))


def _to_positional(signature, args, kwargs):
    for alias, name in _ALIASES.items():
        if alias in kwargs and name in signature.parameters:
            kwargs[name] = kwargs.pop(alias)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args


@differentiable
def _cast(x, dtype):
    original = x.dtype

    def backward(dy):
        return dy.astype(original)

    return x.astype(dtype), backward


@differentiable
def _move(x, device):
    origin = device_of(x)

    def backward(dy):
        return origin.from_numpy(device_of(dy).to_numpy(dy))

    return get_device(device).from_numpy(origin.to_numpy(x)), backward

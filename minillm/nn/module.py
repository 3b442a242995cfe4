"""Module: the parts of a network, found by their attributes.

A network is a tree.  Whatever a module keeps in an attribute as a `Parameter` is its own; whatever
it keeps as a `Module` is a child; `vars(self)` holds both in the order of their definition.  So
there is no registry to keep in step: names, counts, devices and files all follow from one walk
through the attributes, `self.encoder.layers[0].weight` being called "encoder.layers.0.weight".
"""

import contextlib
import math
import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from minillm.autograd import Tensor


class Parameter(Tensor):
    """A Tensor that a module learns: a leaf with requires_grad=True.

    data: a floating array or a Tensor, which is used as it is, not copied.
    """

    __slots__ = ()

    def __init__(self, data, requires_grad: bool = True):
        super().__init__(data.data if isinstance(data, Tensor) else data, requires_grad)

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(..., strict=False)` left alone."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """Base class of every layer and network: define `__init__` and `forward`, call the module.

    training: whether the module is being trained (dropout works) or evaluated (it doesn't).
    """

    training = True

    def __init__(self):
        """Nothing to prepare: parameters and children are found where they are."""

    def __setattr__(self, name, value):
        if isinstance(vars(self).get(name), Parameter) and not isinstance(value, Parameter | None):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Parameter; to replace it by a "
                f"{type(value).__name__} would hide it from the optimizer. Assign an nn.Parameter, "
                f"or write into {name}.data"
            )
        super().__setattr__(name, value)

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    # --------------------------------------------------------------------------- walking the tree

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """(name, module) of the modules one level down."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def children(self) -> Iterator["Module"]:
        """The modules one level down."""
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """(name, module) of this module (named `prefix`) and all below it, each module once."""
        return _once(self._module_paths(prefix))

    def modules(self) -> Iterator["Module"]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(name, parameter), own ones before the children's.

        A parameter that several modules share is listed once, under its first name: an optimizer
        must not update it twice.
        """
        return _once(self._parameter_paths(prefix, recurse))

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters in the order of `named_parameters`."""
        return (parameter for _, parameter in self.named_parameters("", recurse))

    def num_parameters(self, only_trainable: bool = False) -> int:
        """How many numbers the parameters hold; with only_trainable, those that get a gradient."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad or not only_trainable)

    def _module_paths(self, prefix):
        yield prefix, self
        for name, child in self.named_children():
            yield from child._module_paths(_join(prefix, name))

    def _parameter_paths(self, prefix, recurse=True):
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield _join(prefix, name), value
        if recurse:
            for name, child in self.named_children():
                yield from child._parameter_paths(_join(prefix, name))

    # ---------------------------------------------------------------------------- changing it all

    def apply(self, function) -> "Module":
        """Call `function(module)` for every module, children before parents."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def train(self, mode: bool = True) -> "Module":
        """Set the whole tree to training (or, with False, to evaluation)."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        """Set the whole tree to evaluation: the same as train(False)."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> "Module":
        """Ask (or no longer ask) for gradients of all parameters; False freezes the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self) -> None:
        """Forget all gradients (`.grad` becomes None), so that the next backward starts afresh."""
        for parameter in self.parameters():
            parameter.grad = None

    def to(self, *targets) -> "Module":
        """Move all parameters to a device ("cpu", "cuda") and/or convert them to a float dtype.

        The Parameter objects stay the same, so an optimizer keeps them; its moments stay where
        they were, so make the optimizer after moving.
        """
        for parameter in self.parameters():
            moved = parameter.detach().to(*targets)
            if moved.dtype.kind != "f":
                raise TypeError(f"parameters need a floating dtype, not {moved.dtype}")
            parameter.data = moved.data
            if parameter.grad is not None:
                parameter.grad = Tensor(parameter.grad).to(*targets).data
        return self

    # -------------------------------------------------------------------------------- state_dict

    def state_dict(self) -> dict:
        """{name: array} of all parameters; a shared parameter appears under each of its names.

        The arrays are the module's own, on its device, not copies: training goes on changing them.
        """
        return {name: parameter.data for name, parameter in self._parameter_paths("")}

    def load_state_dict(self, state_dict, strict: bool = True) -> IncompatibleKeys:
        """Copy {name: array or Tensor} into the parameters, converting dtype and device.

        All names and shapes are checked before the first number is written.  Raises ValueError
        listing every missing, unexpected and wrongly shaped entry; with strict=False missing and
        unexpected names are returned instead (a wrong shape is an error all the same).
        """
        own = dict(self._parameter_paths(""))
        given = {k: v.data if isinstance(v, Tensor) else v for k, v in state_dict.items()}
        missing = [name for name in own if name not in given]
        unexpected = [name for name in given if name not in own]
        problems = []
        if strict:
            problems += [f"missing: {name} {own[name].shape}" for name in missing]
            problems += [f"unexpected: {name}" for name in unexpected]
        for name, parameter in own.items():
            if name not in given:
                continue
            array = given[name]
            if not hasattr(array, "dtype") or array.dtype.kind not in "fiub":
                kind = getattr(array, "dtype", type(array).__name__)
                problems.append(f"not an array of numbers: {name} is {kind}")
            elif array.shape != parameter.shape:
                problems.append(f"wrong shape: {name} is {array.shape}, expected {parameter.shape}")
        if problems:
            raise ValueError(
                f"the state_dict doesn't fit {type(self).__name__} (nothing was loaded):\n  "
                + "\n  ".join(problems)
            )
        for name, parameter in own.items():
            if name in given:
                array = Tensor(given[name]).to(parameter.device, parameter.dtype).data
                parameter.data[...] = array
        return IncompatibleKeys(missing, unexpected)

    # ---------------------------------------------------------------------------------- printing

    def extra_repr(self) -> str:
        """What stands between the parentheses of a layer's repr."""
        return ""

    def __repr__(self):
        count = self.num_parameters()
        comment = f"  # {count:,} parameter{'s' * (count != 1)}" if count else ""
        children = list(self.named_children())
        if not children:
            return f"{type(self).__name__}({self.extra_repr()}){comment}"
        lines = [self.extra_repr()] if self.extra_repr() else []
        lines += [f"({name}): {child!r}" for name, child in children]
        body = "\n".join(lines).replace("\n", "\n  ")
        return f"{type(self).__name__}({comment}\n  {body}\n)"


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _once(named):
    """Each object at its first name only."""
    seen = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


# --------------------------------------------------------------- what constructors check and make


_room = threading.local()  # .left: how many numbers new parameters may still hold


@contextlib.contextmanager
def at_most_parameters(count: int) -> Iterator[None]:
    """Within the block, layers that are made may hold `count` numbers in all.

    A model is about to be filled from a file of so many numbers, but the measures come from
    somebody's config: ValueError for more, before the memory is taken.
    """
    _room.left = count
    try:
        yield
    finally:
        del _room.left


def empty_parameter(*shape: int) -> Parameter:
    """A float32 parameter on the CPU, to be filled by `reset_parameters`."""
    left = getattr(_room, "left", None)
    if left is not None:
        if math.prod(shape) > left:
            raise ValueError(f"a parameter of shape {shape} is far more than the file holds")
        _room.left = left - math.prod(shape)
    return Parameter(np.empty(shape, np.float32))


def check_positive(**sizes) -> None:
    """Raise ValueError unless every size is a positive integer."""
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"{name} must be a positive integer, got {size!r}")


def check_probability(**probabilities) -> None:
    """Raise ValueError unless every probability lies between 0 and 1."""
    for name, p in probabilities.items():
        if not 0 <= p <= 1:
            raise ValueError(f"{name} must be a probability between 0 and 1, got {p!r}")

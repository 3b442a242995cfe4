"""The device "strict": NumPy underneath, but it refuses what CuPy refuses.

Code that runs on it would run on a GPU as far as names, transfers and types go: an array never
turns into a NumPy array by itself, never meets one (or a list) in an operation or as an index,
knows only the functions, methods and keywords that CuPy has (fixtures/cupy_names.txt) and only its
dtypes, and a reduction to one number gives a 0-d array.  Memory from `xp.empty` is filled with NaN,
so that reading it shows; two values written to one place through an index are an error, as CuPy
doesn't say which of them stays.

What makes the host wait for a GPU is allowed, but `count_waits` tells where it happens.
"""

import contextlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import NamedTuple

import numpy as np
from cupy_checker import UFUNC_METHODS, read_names

from minillm import backend

CUPY_NAMES = read_names()
DTYPES = frozenset(CUPY_NAMES["dtypes"][1:])
UFUNC_PARAMETERS = ["function", *CUPY_NAMES["ufunc.__call__"][1:]]

# CuPy's scalar-valued functions that give a 0-d array where NumPy gives a Python bool.
_BOOL_ARRAYS = {"allclose", "array_equal", "array_equiv"}
# Parameters that CuPy has in the signature only ("casting is not supported yet").
_UNSUPPORTED = {
    "ndarray.astype": {"casting", "subok"},
    **dict.fromkeys(("empty_like", "zeros_like", "ones_like", "full_like"), {"subok"}),
}

# ------------------------------------------------------------------- where the host would wait

# The size of their result depends on values, which CuPy must have before it can go on ("# synchro-
# nize!" in its source); so does every boolean array as index.
WAITING_FUNCTIONS = frozenset(
    "nonzero flatnonzero argwhere extract compress unique unique_counts unique_inverse unique_all "
    "unique_values bincount repeat histogram histogramdd histogram2d percentile quantile median "
    "trim_zeros asarray_chkfinite ravel_multi_index delete array2string array_repr array_str "
    "set_printoptions".split()
)


class Wait(NamedTuple):
    """kind: "bool", "item", "to_numpy", "mask", "nonzero", ..., or "iteration"; file, function and
    line: of the innermost function of minillm that asked for it (else of the innermost at all)."""

    kind: str
    file: str
    function: str
    line: int


_listeners: list[list[Wait]] = []


@contextlib.contextmanager
def count_waits():
    """A list that fills with a `Wait` for each place where a GPU would have to be waited for.

    The threads started in between count, too.  "iteration" (over the first axis) is listed with
    them, although it waits for nothing: it makes one array an element.  As on a GPU, ids are not
    checked meanwhile.
    """
    waits: list[Wait] = []
    _listeners.append(waits)
    checked, StrictDevice.checks_ids = StrictDevice.checks_ids, False
    try:
        yield waits
    finally:
        StrictDevice.checks_ids = checked
        _listeners.remove(waits)


def _waits(kind: str) -> None:
    if not _listeners:
        return
    frame, place = sys._getframe(1), None
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.parent != Path(__file__).parent or path.name != "strict_device.py":
            place = place or frame
            if _PACKAGE in path.parents:
                place = frame
                break
        frame = frame.f_back
    path = Path(place.f_code.co_filename)
    name = str(path.relative_to(_PACKAGE) if _PACKAGE in path.parents else path.name)
    for waits in _listeners:
        waits.append(Wait(kind, name, place.f_code.co_name, place.f_lineno))


_PACKAGE = Path(backend.__file__).parents[1]


class StrictArray:
    """An array of the strict device: CuPy's manners, NumPy's numbers."""

    __slots__ = ("_array", "__weakref__")
    __hash__ = None

    def __init__(self, array: np.ndarray):
        if array.dtype.name not in DTYPES:
            raise TypeError(f"CuPy has no arrays of dtype {array.dtype}")
        self._array = array

    # --------------------------------------------- what CuPy refuses, or does only with a transfer

    def __array__(self, *args, **kwargs):
        raise TypeError("implicit conversion of a strict array to NumPy; use Tensor.numpy()")

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"numpy.{function.__name__} of a strict array; use xp = array_module(x)")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        # `np.float32(2) * array` arrives here too, and CuPy can do that.
        if method == "__call__" and len(inputs) == 2 and isinstance(inputs[0], np.generic):
            return _call(ufunc, inputs, kwargs)
        raise TypeError(f"numpy.{ufunc.__name__} of a strict array; use xp = array_module(x)")

    # ------------------------------------------------------------------------------- attributes

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    itemsize = property(lambda self: self._array.itemsize)
    nbytes = property(lambda self: self._array.nbytes)
    strides = property(lambda self: self._array.strides)
    T = property(lambda self: StrictArray(self._array.T))
    mT = property(lambda self: StrictArray(self._array.mT))
    real = property(lambda self: StrictArray(self._array.real))

    @property
    def base(self):
        """The array whose memory this one views, None if it owns its memory."""
        return None if self._array.base is None else StrictArray(np.asarray(self._array.base))

    @property
    def flags(self):
        flags = self._array.flags
        return SimpleNamespace(
            c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous, owndata=flags.owndata
        )

    def __repr__(self):
        _waits("repr")
        return f"Strict{self._array!r}".replace("Strictarray", "StrictArray")

    # ------------------------------------------- items; the conversions that make a GPU wait

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        _waits("iteration")
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index):
        return _wrap(self._array[_unwrap_index(index)])

    def __setitem__(self, index, value):
        place = _unwrap_index(index)
        if isinstance(value, list | tuple):
            raise TypeError("a list assigned to a strict array: make it an array of the device")
        if isinstance(value, StrictArray) and value.ndim:
            _check_written_once(self._array.shape, place)
        self._array[place] = _unwrap(value)

    def __bool__(self):
        _waits("bool")
        return bool(self._array)

    def __int__(self):
        _waits("int")
        return int(self._array)

    def __float__(self):
        _waits("float")
        return float(self._array)

    def __complex__(self):
        _waits("complex")
        return complex(self._array)

    def item(self):
        _waits("item")
        return self._array.item()

    def tolist(self):
        _waits("tolist")
        return self._array.tolist()


def _unwrap(value):
    """The NumPy array inside; TypeError for a NumPy array that came from outside."""
    if isinstance(value, StrictArray):
        return value._array
    if isinstance(value, np.ndarray):
        raise TypeError(f"a NumPy array of shape {value.shape} met a strict array: no transfer")
    if type(value) in (list, tuple):
        return type(value)(_unwrap(v) for v in value)
    return float.__float__(value) if type(value) is FusedNumber else value


def _unwrap_operand(value):
    """As `_unwrap`, for what stands beside an array in an operation: CuPy takes no lists there."""
    if isinstance(value, list | tuple):
        raise TypeError(f"a {type(value).__name__} met a strict array: make it an array, too")
    return _unwrap(value)


def _unwrap_index(index):
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, list) for part in parts):
        raise TypeError("a list as index is host memory: make it an array of the device")
    masks = [p for p in parts if isinstance(p, StrictArray) and p.dtype == bool]
    if masks:
        _waits("mask")
    if len(masks) > 1:
        raise TypeError("CuPy doesn't support more than one boolean array in an index")
    return tuple(map(_unwrap, parts)) if isinstance(index, tuple) else _unwrap(index)


def _check_written_once(shape, index) -> None:
    """ValueError if an index of integer arrays names a place twice."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(p, np.ndarray) and p.dtype.kind in "iu" for p in parts):
        places = np.arange(np.prod(shape, dtype=int)).reshape(shape)[index]
        if len(np.unique(places)) < places.size:
            raise ValueError(
                "two values are written to one place: on a GPU either may stay; use xp.add.at"
            )


def _wrap(result):
    if isinstance(result, np.ndarray):
        return StrictArray(result)
    if isinstance(result, np.generic):
        return StrictArray(np.asarray(result))
    if type(result) in (list, tuple):
        return type(result)(_wrap(r) for r in result)
    if isinstance(result, tuple):  # a named tuple, such as linalg.qr's
        return tuple(_wrap(r) for r in result)
    return result


def _call(function, args, kwargs):
    """Call a NumPy function; a result that is one of the arguments stays that very object."""
    result = function(*_unwrap(args), **{name: _unwrap(value) for name, value in kwargs.items()})
    for argument in (*args, *kwargs.values()):
        if isinstance(argument, StrictArray) and argument._array is result:
            return argument
    return _wrap(result)


def _check_call(name, parameters, args, kwargs):
    """TypeError for arguments that CuPy's function of that name doesn't take."""
    if name.removeprefix("ndarray.") in WAITING_FUNCTIONS:
        _waits(name.removeprefix("ndarray."))
    for keyword in _UNSUPPORTED.get(name, ()):
        if kwargs.get(keyword) is not None:
            raise TypeError(f"cupy.{name}: {keyword} is not supported")
    if "?" in parameters:
        return
    for keyword in kwargs:
        if keyword not in parameters and "**" not in parameters:
            raise TypeError(f"cupy.{name} has no keyword argument {keyword!r}")
    if len(args) > len(parameters) and not any(p.startswith("*") for p in parameters):
        raise TypeError(f"cupy.{name} takes {len(parameters)} arguments, not {len(args)}")


def _checked(name, parameters, function):
    def call(*args, **kwargs):
        _check_call(name, parameters, args, kwargs)
        return _call(function, args, kwargs)

    call.__name__ = name
    return call


# ----------------------------------------------------------------------- methods and operators


def _method(name, parameters):
    def method(self, *args, **kwargs):
        _check_call(f"ndarray.{name}", parameters, args, kwargs)
        result = getattr(self._array, name)(
            *_unwrap(args), **{key: _unwrap(value) for key, value in kwargs.items()}
        )
        return self if result is self._array else _wrap(result)

    method.__name__ = name
    return method


def _operator(name):
    def operator(self, other):
        if not isinstance(other, StrictArray) and getattr(other, "__array_ufunc__", 0) is None:
            return NotImplemented  # a Tensor: its own __radd__, __rmul__, ... shall do it
        result = getattr(self._array, name)(_unwrap_operand(other))
        return self if result is self._array else _wrap(result)

    operator.__name__ = name
    return operator


_BINARY = "add sub mul truediv floordiv mod pow matmul and or xor".split()
for _name in (
    *(f"__{prefix}{name}__" for name in _BINARY for prefix in ("", "r", "i")),
    *("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"),
):
    if _name != "__imatmul__" and f"ndarray.{_name}" in CUPY_NAMES:
        setattr(StrictArray, _name, _operator(_name))
for _name in ("__neg__", "__pos__", "__abs__", "__invert__", "__copy__", "__deepcopy__"):
    setattr(StrictArray, _name, _method(_name, ["*"]))
# Not offered: what moves data to the host or exposes the memory.
_TRANSFERS = {"dump", "dumps", "tobytes", "tofile"}
for _full_name, (_kind, *_parameters) in CUPY_NAMES.items():
    _name = _full_name.removeprefix("ndarray.")
    if _full_name != _name and _kind == "function" and not _name.startswith("_"):
        if hasattr(np.ndarray, _name) and _name not in _TRANSFERS and _name not in dir(StrictArray):
            setattr(StrictArray, _name, _method(_name, _parameters))


# ------------------------------------------------------------------------------- the module xp


class _Ufunc:
    """A ufunc as in CuPy: callable with out, casting and dtype; .at, .reduce if it has them."""

    def __init__(self, name, ufunc, scatters):
        self.__name__ = name
        self._ufunc = ufunc
        for method, ufuncs in UFUNC_METHODS.items():
            if name in ufuncs:
                parameters = CUPY_NAMES[f"ufunc.{method}"][1:]
                setattr(
                    self, method, _checked(f"{name}.{method}", parameters, getattr(ufunc, method))
                )
        if scatters:
            self.at = _checked(f"{name}.at", CUPY_NAMES["ufunc.at"][1:], ufunc.at)

    def __call__(self, *args, **kwargs):
        _check_call(self.__name__, UFUNC_PARAMETERS, args, kwargs)
        for argument in args:
            _unwrap_operand(argument)
        if any(type(a) is FusedNumber for a in args):  # xp.sqrt(number)
            FusedNumber._met(None, *args)
        return _call(self._ufunc, args, kwargs)


class StrictModule(ModuleType):
    """What `array_module` gives for a strict array: the names that NumPy and CuPy share."""

    def __init__(self, prefix="", library=np):
        super().__init__(f"strict.{prefix}".rstrip("."))
        self._prefix, self._library = prefix, library

    def __getattr__(self, name):
        description = CUPY_NAMES.get(self._prefix + name)
        if description is None or not hasattr(self._library, name):
            raise AttributeError(f"NumPy and CuPy share no name {self._prefix + name!r}")
        value = self._offer(name, getattr(self._library, name), *description)
        setattr(self, name, value)
        return value

    def _offer(self, name, value, kind, *parameters):
        if kind == "ufunc" and isinstance(value, np.ufunc):
            return _Ufunc(name, value, scatters="at" in parameters)
        if kind == "module" and name == "linalg":
            return StrictModule("linalg.", np.linalg)
        if isinstance(value, type | bool | int | float) or value is None:
            return value  # a dtype, pi, inf, newaxis
        if name in ("empty", "empty_like"):
            return _checked(name, parameters, _poisoned(value))
        if name in _BOOL_ARRAYS:
            return _checked(name, parameters, lambda *a, **k: np.asarray(value(*a, **k)))
        if callable(value):
            return _checked(name, parameters if kind == "function" else ["*", "**"], value)
        raise AttributeError(f"the strict device doesn't offer {self._prefix + name!r}")


def _poisoned(empty):
    def call(*args, **kwargs):
        array = empty(*args, **kwargs)
        array.fill(np.nan if array.dtype.kind in "fc" else 101)
        return array

    return call


# ------------------------------------------------------------------------- fused functions


class FusedNumber(float):
    """A number among the arguments of a fused function: it may meet arrays, but no other number.

    CuPy 14 would compute that in float16: 1 - 0.999 = 0.00098, 1 - 1e-5 = 1.
    """

    def _met(self, *others):
        if any(isinstance(other, StrictArray) for other in others):
            return NotImplemented
        raise TypeError(
            "two numbers meet in a fused function, which CuPy computes in float16: do it outside"
        )


for _name in (
    *(f"__{prefix}{name}__" for name in "add sub mul truediv floordiv mod pow".split()
      for prefix in ("", "r")),
    *("__neg__", "__abs__"),
):  # fmt: skip
    setattr(FusedNumber, _name, FusedNumber._met)


# ---------------------------------------------------------------------- generator and device


class StrictGenerator:
    """CuPy's Generator methods, on NumPy's generator (the same numbers as on the CPU)."""

    def __init__(self, generator: np.random.Generator):
        self._generator = generator

    def __getattr__(self, name):
        description = CUPY_NAMES.get(f"random.Generator.{name}")
        if description is None:
            raise AttributeError(f"cupy.random.Generator has no attribute {name!r}")
        return _checked(f"random.Generator.{name}", description[1:], self._draw(name))

    def _draw(self, name):
        method = getattr(self._generator, name)
        return lambda *args, **kwargs: np.asarray(method(*args, **kwargs))


class StrictDevice(backend.Device):
    """NumPy's numbers with CuPy's manners; registered by conftest.py."""

    name = "strict"
    checks_ids = True
    array_types = (StrictArray,)

    def __init__(self):
        self.xp = StrictModule()

    def from_numpy(self, array):
        if isinstance(array, StrictArray):
            raise TypeError("from_numpy of an array that is already on the strict device")
        return StrictArray(np.array(array))

    def to_numpy(self, array):
        if not isinstance(array, StrictArray):
            raise TypeError(f"to_numpy expects a strict array, got {type(array).__name__}")
        _waits("to_numpy")
        return array._array.copy()

    def generator(self, seed):
        return StrictGenerator(super().generator(seed))

    def random_bytes(self, generator, shape):
        return StrictArray(super().random_bytes(generator._generator, shape).copy())

    def buffer_of(self, array):
        return super().buffer_of(array._array)

    def random_state(self, generator):
        return super().random_state(generator._generator)

    def set_random_state(self, generator, state):
        super().set_random_state(generator._generator, state)

    def erf(self, x):
        return StrictArray(super().erf(x._array))

    def add_rows(self, target, ids, rows):
        self.xp.add.at(target, ids, rows)

    def sum_runs(self, rows, starts):  # as on a GPU
        run = self.xp.searchsorted(starts, self.xp.arange(len(rows)), side="right") - 1
        sums = self.xp.zeros((len(starts), *rows.shape[1:]), rows.dtype)
        self.xp.add.at(sums, run, rows)
        return sums

    def fuse(self, body):
        def call(*arguments):
            for argument in arguments:
                if isinstance(argument, StrictArray) and argument.dtype.kind != "f":
                    raise TypeError(
                        f"{body.__name__}: an array of {argument.dtype} meets numbers in float16 "
                        "in CuPy's fused functions; make it a float"
                    )
            return body(self.xp, *(FusedNumber(a) if type(a) is float else a for a in arguments))

        return call

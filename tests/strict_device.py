"""The device "strict": NumPy underneath, but it refuses what CuPy refuses.

Code that runs on it would run on a GPU as far as names, transfers and types go: an array never
turns into a NumPy array by itself, never meets one in an operation or as an index, knows only the
functions, methods and keywords that CuPy has (fixtures/cupy_names.txt), and a reduction to one
number gives a 0-d array.  Memory from `xp.empty` is filled with NaN, so that reading it shows.
"""

from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

from minillm import backend

NAMES_FILE = Path(__file__).parent / "fixtures" / "cupy_names.txt"


def read_cupy_names() -> dict[str, list[str]]:
    """name -> [kind, parameter names ...], as fixtures/cupy_names.py wrote them."""
    lines = NAMES_FILE.read_text(encoding="utf-8").splitlines()
    return {words[0]: words[1:] for words in map(str.split, lines) if words[0] != "#"}


CUPY_NAMES = read_cupy_names()
UFUNC_PARAMETERS = ["function", "*", "out", "casting", "dtype"]

# CuPy's scalar-valued functions that give a 0-d array where NumPy gives a Python bool.
_BOOL_ARRAYS = {"allclose", "array_equal", "array_equiv"}


class StrictArray:
    """An array of the strict device: CuPy's manners, NumPy's numbers."""

    __slots__ = ("_array", "__weakref__")
    __hash__ = None

    def __init__(self, array: np.ndarray):
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
        return f"Strict{self._array!r}".replace("Strictarray", "StrictArray")

    # ------------------------------------------- items; the conversions that make a GPU wait

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index):
        return _wrap(self._array[_unwrap_index(index)])

    def __setitem__(self, index, value):
        self._array[_unwrap_index(index)] = _unwrap(value)

    def __bool__(self):
        return bool(self._array)

    def __int__(self):
        return int(self._array)

    def __float__(self):
        return float(self._array)

    def item(self):
        return self._array.item()

    def tolist(self):
        return self._array.tolist()


def _unwrap(value):
    """The NumPy array inside; TypeError for a NumPy array that came from outside."""
    if isinstance(value, StrictArray):
        return value._array
    if isinstance(value, np.ndarray):
        raise TypeError(f"a NumPy array of shape {value.shape} met a strict array: no transfer")
    if type(value) in (list, tuple):
        return type(value)(_unwrap(v) for v in value)
    return value


def _unwrap_index(index):
    if isinstance(index, tuple):
        return tuple(_unwrap_index(i) for i in index)
    if isinstance(index, list):
        raise TypeError("a list as index is host memory: make it an array of the device")
    return _unwrap(index)


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
        result = getattr(self._array, name)(_unwrap(other))
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
    """A ufunc as in CuPy: callable with out, casting and dtype; reduce and reduceat; .at if any."""

    def __init__(self, name, ufunc, scatters):
        self.__name__ = name
        self._ufunc = ufunc
        self.reduce = _checked(
            f"{name}.reduce", ["array", "axis", "dtype", "out", "keepdims"], ufunc.reduce
        )
        self.reduceat = _checked(
            f"{name}.reduceat", ["array", "indices", "axis", "dtype", "out"], ufunc.reduceat
        )
        if scatters:
            self.at = _checked(f"{name}.at", ["a", "indices", "b"], ufunc.at)

    def __call__(self, *args, **kwargs):
        _check_call(self.__name__, UFUNC_PARAMETERS, args, kwargs)
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
        return array._array.copy()

    def generator(self, seed):
        return StrictGenerator(super().generator(seed))

    def random_bytes(self, generator, shape):
        return StrictArray(super().random_bytes(generator._generator, shape).copy())

    def erf(self, x):
        return StrictArray(super().erf(x._array))

    def add_rows(self, target, ids, rows):
        self.xp.add.at(target, ids, rows)

    def fuse(self, body):
        def call(*arrays):
            return body(self.xp, *arrays)

        return call

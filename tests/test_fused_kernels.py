"""What `backend.fuse` hands to CuPy becomes CUDA that computes what was written, and compiles.

No GPU is needed: CuPy writes a kernel's source from dtypes alone (cuda_source.py).  Without CuPy,
or without NVRTC and CUDA's headers for the compilation (`pip install nvidia-cuda-nvrtc
nvidia-cuda-runtime`), the tests that need them are skipped.
"""

import importlib
import pkgutil
import re
from pathlib import Path

import cuda_source
import numpy as np
import pytest
from strict_device import StrictDevice

import minillm
from minillm.backend import CudaDevice, fuse

# How many of its arguments are arrays, where numbers follow them.
ARRAYS = {"_adam": 4, "_adamw": 4, "_plain": 2, "_momentum": 3, "_nesterov": 3}


def fused_functions() -> dict:
    """Every fused function of the library, by name."""
    found = {}
    for info in pkgutil.walk_packages(minillm.__path__, "minillm."):
        module = importlib.import_module(info.name)
        for name, function in vars(module).items():
            if hasattr(function, "plain") and function.__module__ == info.name:
                assert name not in found, f"two fused functions are called {name}"
                found[name] = function
    return found


FUSED = fused_functions()


def arguments_of(function, array) -> list:
    """The arguments of a fused function but xp: `array` for each array, numbers behind them."""
    count = function.plain.__code__.co_argcount - 1
    arrays = ARRAYS.get(function.__name__, count)
    return [array() for _ in range(arrays)] + [0.25 + 0.01 * i for i in range(count - arrays)]


def test_every_optimizer_is_listed():
    """Theirs are the functions with numbers among their arguments."""
    names = {name for name, f in FUSED.items() if f.__module__.startswith("minillm.optim.")}
    assert names == set(ARRAYS) and len(FUSED) >= 9


# ------------------------------------------------------------------ numbers meet arrays only


@pytest.mark.parametrize("name", FUSED)
def test_numbers_meet_arrays_only(name):
    """CuPy 14 computes `1 - beta` in float16 if beta is an argument; the strict device refuses."""
    device = StrictDevice()
    arguments = arguments_of(
        FUSED[name], lambda: device.from_numpy(np.full((2, 3), 0.5, np.float32))
    )
    device.fuse(FUSED[name].plain)(*arguments)


@pytest.mark.parametrize(
    "body",
    [
        lambda xp, x, c: (1 - c) * x,
        lambda xp, x, c: x * (c * c),
        lambda xp, x, c: x + c / 3,
        lambda xp, x, c: x * -c,
        lambda xp, x, c: x * c**2,
        lambda xp, x, c: x * xp.sqrt(c),
    ],
)
def test_numbers_that_meet_are_refused(body):
    x = StrictDevice().from_numpy(np.ones(3, np.float32))
    with pytest.raises(TypeError, match="float16"):
        StrictDevice().fuse(body)(x, 0.25)


def test_numbers_that_meet_arrays_are_themselves():
    x = StrictDevice().from_numpy(np.ones(3, np.float32))
    body = StrictDevice().fuse(lambda xp, x, c: xp.maximum(c * x - x / c + c, c))
    assert body(x, 0.25).tolist() == [0.25] * 3 and body(x, 0.25).dtype == np.float32


# --------------------------------------------------------------------- the source that CuPy makes


@pytest.fixture(scope="module")
def cupy():
    return pytest.importorskip("cupy")


def kernel_of(cupy, function, dtype=np.float32):
    def body(*arrays):
        return function.plain(cupy, *arrays)

    body.__name__ = function.__name__
    arguments = arguments_of(function, lambda: cuda_source.untouchable(cupy, (4, 5), dtype))
    return cuda_source.emit(cupy, body, arguments)


def test_the_backend_gets_a_function_that_fuses(cupy):
    """`cupy.fuse(f, kernel_name=...)` returns a decorator instead: it must not get that far."""
    fused = CudaDevice().fuse(FUSED["_gelu_tanh"].plain)
    assert type(fused).__name__ == "Fusion" and fused.name == "_gelu_tanh"


def types_computed_with(text: str) -> set[str]:
    """The C types of the variables that a kernel's operations read and write."""
    return set(re.findall(r"^(\w+(?: long)?) v\d+_\d+;", text.replace("; ", ";\n"), re.M))


@pytest.mark.parametrize("dtype, c_type", [(np.float32, "float"), (np.float64, "double")])
@pytest.mark.parametrize("name", FUSED)
def test_a_kernel_computes_in_its_arrays_dtype(cupy, name, dtype, c_type):
    """Neither slower, in float64, nor in float16, as numbers that meet each other would be."""
    text, kernel = kernel_of(cupy, FUSED[name], dtype)
    assert types_computed_with(text) == {c_type}
    for result in kernel.out_params:
        assert result.dtype == dtype
    assert f" void {name}(" in text


def test_the_types_are_seen(cupy):
    """The test of the test: numbers that meet each other are seen in the source."""

    @fuse
    def careless(xp, x, c):
        return (1 - c) * x

    def body(*arguments):
        return careless.plain(cupy, *arguments)

    x = cuda_source.untouchable(cupy, (4, 5), np.float32)
    text, _ = cuda_source.emit(cupy, body, [x, 0.25])
    assert types_computed_with(text) == {"float16", "float"}


# ------------------------------------------------------------------------------------- NVRTC


@pytest.fixture(scope="module")
def nvrtc():
    try:
        return cuda_source.load_nvrtc()
    except OSError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def includes(cupy):
    try:
        headers = cuda_source.cuda_headers()
    except OSError as error:
        pytest.skip(str(error))
    own = Path(cupy.__file__).parent / "_core" / "include"
    return [own / "cupy" / "_cccl" / part for part in ("libcudacxx", "thrust", "cub")] + [
        own,
        headers,
    ]


@pytest.mark.nvrtc
@pytest.mark.parametrize("architecture", cuda_source.ARCHITECTURES)
@pytest.mark.parametrize("name", FUSED)
def test_a_kernel_compiles(cupy, nvrtc, includes, name, architecture):
    text, _ = kernel_of(cupy, FUSED[name])
    code = cuda_source.compile_for(nvrtc, text, architecture, includes)
    assert code[:4] == b"\x7fELF" and name.encode() in code


@pytest.mark.nvrtc
def test_what_is_wrong_does_not_compile(cupy, nvrtc, includes):
    text, _ = kernel_of(cupy, FUSED["_gelu_tanh"])
    wrong = text.replace("out0 = tanh", "out0 = no_such_tanh")
    with pytest.raises(RuntimeError, match="no_such_tanh"):
        cuda_source.compile_for(nvrtc, wrong, "sm_90", includes)

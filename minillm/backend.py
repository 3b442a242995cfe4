"""NumPy or CuPy: the array decides.

Every function of minillm asks the array it was given, `xp = array_module(x)`, and computes with
that library.  There is no global switch: NumPy and CuPy arrays live side by side in one process,
and a transfer happens only where somebody wrote one (`Tensor.to`, `.numpy()`, `.item()`).

What differs between the libraries is gathered here and nowhere else: moving arrays, random
numbers, the error function, adding rows at indices, fusing elementwise chains, and memory.
"""

import ctypes
import functools
import math
import os
import sys
import threading
from types import ModuleType
from typing import Any

import numpy as np

try:
    import cupy
except ImportError:  # no GPU build installed: the CPU is all there is
    cupy = None


class Device:
    """The CPU: NumPy arrays in main memory.  The other devices override what differs there."""

    name = "cpu"
    xp: ModuleType = np
    checks_ids = True  # ids are checked against their range; on a GPU that would stall the stream
    array_types: tuple = (np.ndarray, np.generic)

    def check(self) -> None:
        """Raise RuntimeError, saying how to mend it, where the device can't be used."""

    def synchronize(self) -> None:
        """Wait until everything that was asked for is computed: at once, on the CPU."""

    def from_numpy(self, array: np.ndarray):
        return array

    def to_numpy(self, array) -> np.ndarray:
        return np.asarray(array)

    def generator(self, seed):
        # SFC64 makes random bytes fastest among NumPy's generators.
        return np.random.Generator(np.random.SFC64(seed))

    def product(self, a, b, out=None):
        if a.dtype != np.float16 or b.dtype != np.float16:
            return self.xp.matmul(a, b, out=out)
        # NumPy would multiply float16 number by number, a hundred times slower than BLAS
        # multiplies float32: so the factors are widened, and the result is rounded.
        wide = self.xp.matmul(a.astype(np.float32), b.astype(np.float32))
        if out is None:
            return wide.astype(np.float16)
        out[...] = wide
        return out

    def random_bytes(self, generator, shape):
        """Uniform integers 0..255 (uint8): all the randomness that a dropout mask needs."""
        return np.frombuffer(generator.bytes(math.prod(shape)), np.uint8).reshape(shape)

    def random_state(self, generator):
        """A copy of where the generator stands in its stream."""
        return generator.bit_generator.state

    def set_random_state(self, generator, state) -> None:
        generator.bit_generator.state = state

    def buffer_of(self, array):
        while hasattr(array.base, "base"):  # an array, not the bytes or the file it may lie in
            array = array.base
        return array

    def erf(self, x):
        """The error function to double precision, an element at a time: exact and slow."""
        return np.asarray(_erf_elementwise(x), dtype=x.dtype)

    def add_rows(self, target, ids, rows) -> None:
        """target[ids[n]] += rows[n] for every n, ids repeated or not; all arrays of the device.

        A loop over whole rows is 3 times faster than `np.add.at`, which goes element by element;
        only for very short rows the loop itself is what costs.
        """
        if rows.shape[1] < 64:
            np.add.at(target, ids, rows)
            return
        for i, row in zip(ids.tolist(), rows, strict=True):
            target[i] += row

    def sum_runs(self, rows, starts):
        """The sums of rows[starts[r] : starts[r + 1]], the last run to the end; 0 for an empty one.

        rows (N, D), starts (R,) ascending from 0 -> (R, D).
        """
        sums = np.zeros((len(starts), *rows.shape[1:]), rows.dtype)
        filled = np.flatnonzero(np.diff(starts, append=len(rows)))
        if len(filled):
            sums[filled] = np.add.reduceat(rows, starts[filled], axis=0)
        return sums

    def fuse(self, body):
        """A function that applies the elementwise `body(xp, *arrays)` block by block."""
        return functools.partial(_in_blocks, body)


class CudaDevice(Device):
    """An NVIDIA GPU through CuPy."""

    name = "cuda"
    checks_ids = False

    def __init__(self):
        self.xp = cupy
        self.array_types = (cupy.ndarray,) if cupy is not None else ()

    def check(self) -> None:
        if cupy is None:
            raise RuntimeError(
                "device 'cuda' needs CuPy, which is not installed: "
                "pip install 'minillm[cuda13]' (or 'minillm[cuda12]' for CUDA 12)"
            )
        if not cupy.cuda.is_available():
            raise RuntimeError("device 'cuda': CuPy finds no usable GPU; use device='cpu'")

    def synchronize(self):
        cupy.cuda.get_current_stream().synchronize()

    def from_numpy(self, array):
        return cupy.asarray(array)

    def to_numpy(self, array):
        return cupy.asnumpy(array)

    def generator(self, seed):
        # Philox needs no warming up, and the trainer begins a stream at each step.
        return cupy.random.Generator(cupy.random.Philox4x3210(_one_integer(seed)))

    def product(self, a, b, out=None):
        if out is None or out.dtype == a.dtype:
            return cupy.matmul(a, b, out=out)  # sums of float16 are made in float32
        out[...] = cupy.matmul(a, b)
        return out

    def random_bytes(self, generator, shape):
        words = generator.integers(0, 2**32, size=-(-math.prod(shape) // 4), dtype=np.uint32)
        return words.view(np.uint8)[: math.prod(shape)].reshape(shape)

    def random_state(self, generator):
        # The streams of all the GPU's threads, one array; CuPy has no public name for it.
        return generator.bit_generator._state.copy()

    def set_random_state(self, generator, state):
        generator.bit_generator._state[...] = state

    def erf(self, x):
        from cupyx.scipy.special import erf

        return erf(x)

    def add_rows(self, target, ids, rows):
        cupy.add.at(target, ids, rows)

    def sum_runs(self, rows, starts):
        # CuPy's reduceat subtracts sums over all rows before: after many of them nothing is exact.
        run = cupy.searchsorted(starts, cupy.arange(len(rows)), side="right") - 1
        sums = cupy.zeros((len(starts), *rows.shape[1:]), rows.dtype)
        cupy.add.at(sums, run, rows)
        return sums

    def fuse(self, body):
        def kernel(*arrays):
            return body(cupy, *arrays)

        return cupy.fuse(kernel_name=body.__name__)(kernel)


_devices: dict[str, Device] = {}
_device_of_type: dict[type, Device] = {}


def register_device(device: Device) -> None:
    """Add a device; arrays of its `array_types` belong to it from now on."""
    _devices[device.name] = device
    for array_type in device.array_types:
        _device_of_type[array_type] = device


def get_device(name: str) -> Device:
    """The device called `name`: ValueError for an unknown name, RuntimeError without a GPU."""
    device = _devices.get(name)
    if device is None:
        raise ValueError(f"unknown device {name!r}: expected one of {', '.join(sorted(_devices))}")
    device.check()
    return device


def is_device_name(name) -> bool:
    """Whether `name` names a device, usable here or not."""
    return isinstance(name, str) and name in _devices


def device_of(array) -> Device:
    """The device that holds `array`."""
    device = _device_of_type.get(type(array))
    if device is not None:
        return device
    for array_type, device in list(_device_of_type.items()):
        if isinstance(array, array_type):  # a subclass, such as np.float32 or np.memmap
            _device_of_type[type(array)] = device
            return device
    raise TypeError(f"expected an array, got {type(array).__name__}")


def is_array(value) -> bool:
    """Whether `value` is an array (or a scalar of an array library) of any device."""
    return isinstance(value, tuple(_device_of_type))


def array_module(array) -> ModuleType:
    """`numpy` for a NumPy array, `cupy` for a CuPy array."""
    return device_of(array).xp


def product(a, b, out=None):
    """The matrix product a @ b; of float16, the sums are made in float32 and then rounded.

    That is what a GPU's tensor cores do.  A sum of thousands of products in float16 would lose
    most of its 11 bits, and reach its end at 65,504.  `out` may be float32: nothing is rounded.
    """
    return device_of(a).product(a, b, out)


def buffer_of(array):
    """The array that owns the memory in which `array` lies: itself, or the one that it views."""
    return device_of(array).buffer_of(array)


def erf(x):
    """erf(x) = 2/sqrt(pi) * integral from 0 to x of exp(-t^2) dt, for float arrays."""
    return device_of(x).erf(x)


_erf_elementwise = np.frompyfunc(math.erf, 1, 1)


def add_rows(target, ids, rows) -> None:
    """target[ids[n]] += rows[n] for every n; target (V, D), ids (N,), rows (N, D)."""
    device_of(target).add_rows(target, ids, rows)


def sum_runs(rows, starts):
    """The sums of rows[starts[r] : starts[r + 1]] (the last run to the end): (N, D) -> (R, D).

    starts (R,) integers, ascending from 0; an empty run sums to 0.
    """
    return device_of(rows).sum_runs(rows, starts)


def as_dtype(dtype):
    """A NumPy dtype (None stays None); ValueError for what is none."""
    if dtype is None:
        return None
    try:
        return np.dtype(dtype)
    except TypeError:
        raise ValueError(f"{dtype!r} is neither a known device nor a dtype") from None


def check_ids(ids, size: int, what: str) -> None:
    """Raise IndexError unless 0 <= ids < size (not on a GPU, which would have to wait for it)."""
    if device_of(ids).checks_ids and ids.size and (ids.min() < 0 or ids.max() >= size):
        raise IndexError(
            f"{what}: id {int(ids.min())} to {int(ids.max())} found, expected 0 to {size - 1}"
        )


# ------------------------------------------------------------------------------- random numbers

# Each thread has its own generators, so that threads never share (and race for) a stream.
_random = threading.local()


def manual_seed(seed) -> None:
    """Start the random streams of every device (of this thread) from `seed`.

    `seed` is a non-negative integer or a sequence of them, such as (seed, step, rank); anything
    else is a ValueError or TypeError.
    """
    if seed is None:
        raise TypeError("manual_seed(None): expected an integer or a sequence of integers")
    np.random.SeedSequence(seed)  # complains now, not at the first draw
    _random.seed = seed
    _random.generators = {}


def random_generator(device: Device):
    """The calling thread's random generator on `device`."""
    if not hasattr(_random, "generators"):
        manual_seed(int.from_bytes(os.urandom(8), "little"))
    if device.name not in _random.generators:
        _random.generators[device.name] = device.generator(_random.seed)
    return _random.generators[device.name]


def random_state() -> tuple[Any, dict]:
    """Where the random streams of this thread stand: for `set_random_state`, in any thread."""
    if not hasattr(_random, "generators"):
        manual_seed(int.from_bytes(os.urandom(8), "little"))
    streams = _random.generators.items()
    return _random.seed, {n: get_device(n).random_state(stream) for n, stream in streams}


def set_random_state(state: tuple[Any, dict]) -> None:
    """Put this thread's random streams back to where they stood: the same numbers come again."""
    seed, streams = state
    manual_seed(seed)  # a stream that had not begun begins at its seed
    for name, stream in streams.items():
        device = get_device(name)
        device.set_random_state(random_generator(device), stream)


def _one_integer(seed) -> int:
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])


# ------------------------------------------------------------------------ fused elementwise code

BLOCK = 65_536  # elements: a few float32 arrays of this length fit into a core's L2 cache


def fuse(body):
    """Turn `body(xp, *arrays)`, purely elementwise, into one pass over memory.

    A chain such as `x * tanh(x) + 1` reads and writes memory at each operation.  On the GPU
    `cupy.fuse` makes one kernel of it.  On the CPU the chain runs over blocks of `BLOCK` elements,
    whose intermediate results stay in the cache.  Either way the source is the readable one.

    float16 is computed in float32 and rounded at the end: 11 bits are too few for a polynomial.

    Arrays share one shape; Python scalars may stand between them.  `body` returns an array or a
    tuple of arrays (or None if it only updates its arguments in place).  No reduction, branch or
    indexing inside: CuPy would silently go wrong there.  Nor may a scalar argument meet another
    number, only arrays: CuPy would compute `1 - 0.999` in float16.
    """
    fused = {}

    @functools.wraps(body)
    def call(*arrays):
        if arrays[0].dtype == np.float16:
            return _in_float32(call, arrays)
        device = device_of(arrays[0])
        if device.name not in fused:
            fused[device.name] = device.fuse(body)
        return fused[device.name](*arrays)

    call.plain = body
    return call


def _in_float32(fused, arrays):
    """fused(*arrays) with float16 widened; results, or what was updated in place, are rounded."""
    wide = [a.astype(np.float32) if is_array(a) and a.dtype == np.float16 else a for a in arrays]
    results = fused(*wide)
    if results is None:
        for narrow, updated in zip(arrays, wide, strict=True):
            if updated is not narrow:
                narrow[...] = updated
        return None
    if isinstance(results, tuple):
        return tuple(result.astype(np.float16) for result in results)
    return results.astype(np.float16)


def leading_tiles(x, size=2 * BLOCK):
    """Indices t that cut x (..., m, n) along its leading axes into tiles x[t] of about `size`.

    A function that passes over matrices several times is done with one tile, which stays in the
    cache, before it begins with the next.  On a GPU everything is one tile.
    """
    if x.ndim == 2 or x.size <= size or device_of(x).xp is not np:
        return [(slice(None),) * (x.ndim - 2)]
    inner = x[0].size  # of one step along the first axis
    if inner > size:  # cut the next axes, too
        return [(i, *t) for i in range(len(x)) for t in leading_tiles(x[i], size)]
    step = max(1, size // max(1, inner))
    rest = (slice(None),) * (x.ndim - 3)
    return [(slice(i, i + step), *rest) for i in range(0, len(x), step)]


def row_blocks(rows):
    """Slices that cut rows (N, n) into blocks of about `BLOCK` elements; on a GPU one for all.

    For functions of whole rows, as `leading_tiles` for functions of whole matrices.
    """
    N, n = rows.shape
    step = max(1, BLOCK // max(1, n)) if device_of(rows).xp is np else max(1, N)
    return [slice(i, i + step) for i in range(0, N, step)]


def _in_blocks(body, *arrays):
    first = arrays[0]
    dense = all(a.flags.c_contiguous for a in arrays if isinstance(a, np.ndarray))
    if first.size <= BLOCK or not dense:
        return body(np, *arrays)
    flat = [a.reshape(-1) if isinstance(a, np.ndarray) else a for a in arrays]
    outputs = single = None
    for start in range(0, first.size, BLOCK):
        block = slice(start, start + BLOCK)
        results = body(np, *(a[block] if isinstance(a, np.ndarray) else a for a in flat))
        if results is None:
            continue
        if outputs is None:
            single = not isinstance(results, tuple)
            examples = (results,) if single else results
            outputs = [np.empty(first.shape, r.dtype) for r in examples]
        for output, result in zip(outputs, (results,) if single else results, strict=True):
            output.reshape(-1)[block] = result
    if outputs is None:
        return None
    return outputs[0] if single else tuple(outputs)


# ----------------------------------------------------------------------------------- CPU memory


def _keep_freed_memory() -> None:
    """Ask glibc to keep large freed buffers instead of returning them to the system.

    A training step frees and takes the same few hundred megabytes again; by default each large
    buffer is mapped anew and every page of it faults once a step (a quarter of the step's time).
    """
    M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
    if sys.platform != "linux":
        return
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:  # not glibc
        return
    libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
    libc.mallopt(M_TRIM_THRESHOLD, 1 << 30)
    libc.mallopt(M_ARENA_MAX, 1)  # the heaps of other threads are too small for large buffers


_keep_freed_memory()
register_device(Device())
register_device(CudaDevice())

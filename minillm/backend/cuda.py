"""An NVIDIA GPU through CuPy.  This file alone imports it."""

import math

import numpy as np

from minillm.backend.cpu import Device

try:
    import cupy
except ImportError:  # no GPU build installed: the CPU is all there is
    cupy = None


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


def _one_integer(seed) -> int:
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])

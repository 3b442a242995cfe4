"""The CPU: NumPy arrays in main memory, and what the other devices do in another way."""

import functools
import math
from types import ModuleType

import numpy as np

from minillm.backend.blocks import in_blocks


class Device:
    """The CPU.  The other devices override what differs there."""

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
        return functools.partial(in_blocks, body)


_erf_elementwise = np.frompyfunc(math.erf, 1, 1)

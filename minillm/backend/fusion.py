"""Elementwise chains in one pass over memory."""

import functools

import numpy as np

from minillm.backend.registry import device_of, is_array


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

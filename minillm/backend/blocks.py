"""Block by block: what is computed in passes over a piece that stays in the processor's cache."""

import numpy as np

BLOCK = 65_536  # elements: a few float32 arrays of this length fit into a core's L2 cache


def in_blocks(body, *arrays):
    """The elementwise body(np, *arrays), a block of the arrays' elements at a time."""
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


def leading_tiles(x, size=2 * BLOCK):
    """Indices t that cut x (..., m, n) along its leading axes into tiles x[t] of about `size`.

    A function that passes over matrices several times is done with one tile, which stays in the
    cache, before it begins with the next.  On a GPU everything is one tile.
    """
    if x.ndim == 2 or x.size <= size or not isinstance(x, np.ndarray):
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
    step = max(1, BLOCK // max(1, n)) if isinstance(rows, np.ndarray) else max(1, N)
    return [slice(i, i + step) for i in range(0, N, step)]

"""Sums of rows of a table: one vector for a bag of ids, whatever its size."""

from minillm.autograd import differentiable
from minillm.backend import array_module, check_ids, device_of, sum_runs


@differentiable
def embedding_bag(input, weight, offsets=None, mode="mean", per_sample_weights=None):
    """y_b = sum of a_n weight[input_n] over the ids n of bag b ("mean": divided by their number).

    input: integer ids, either (N,) with the bags one after the other, bag b beginning at
    offsets[b] (so bags may differ in size, or be empty: y_b = 0), or (B, n) for bags of equal
    size.  weight (V, D), per_sample_weights a: like input, 1 if left out, only for mode "sum".
    -> y (B, D).

    It is `embedding` followed by a sum, without padding.  With b(n) the bag of id n:
        dweight_v = sum of a_n dy_b(n) over the places n where id v stands
        da_n      = <dy_b(n), weight[input_n]>

    Raises ValueError for bags or shapes that don't fit, TypeError for ids or offsets that are not
    integers, IndexError for an id outside 0..V-1.
    """
    xp = array_module(weight)
    a = per_sample_weights
    _check(input, weight, offsets, mode, a)
    if input.ndim == 2:
        offsets = xp.arange(input.shape[0]) * input.shape[1]
    N = input.size
    ids = input.reshape(-1)
    ends = xp.concatenate([offsets[1:], xp.full(1, N, offsets.dtype)])
    sizes = ends - offsets  # (B,)
    bag = xp.searchsorted(offsets, xp.arange(N), side="right") - 1  # (N,)
    scale = None
    if mode == "mean":
        scale = (1 / xp.maximum(sizes, 1).astype(weight.dtype))[:, None]  # (B, 1)

    rows = weight[ids]  # (N, D)
    if a is not None:
        rows *= a.reshape(N, 1)
    y = sum_runs(rows, offsets)  # (B, D)
    if scale is not None:
        y *= scale

    def backward(dy):
        dy_n = (dy if scale is None else dy * scale)[bag]  # (N, D): what arrives at each id
        dweight = xp.zeros(weight.shape, dy.dtype)
        if not N:
            return None, dweight, None, None, None if a is None else xp.zeros(a.shape, dy.dtype)
        da = None if a is None else (dy_n * weight[ids]).sum(axis=1).reshape(a.shape)
        if a is not None:
            dy_n *= a.reshape(N, 1)
        # Sorted by id, the places of one id are neighbours: add them up and write once.
        order = xp.argsort(ids, kind="stable")
        ids_in_order = ids[order]
        is_first = xp.concatenate([xp.ones(1, bool), ids_in_order[1:] != ids_in_order[:-1]])
        first = xp.flatnonzero(is_first)
        dweight[ids_in_order[first]] = sum_runs(dy_n[order], first)
        return None, dweight, None, None, da

    return y, backward


def _check(input, weight, offsets, mode, per_sample_weights):
    if mode not in ("sum", "mean"):
        raise ValueError(f"embedding_bag: mode={mode!r}, expected 'sum' or 'mean'")
    if input.dtype.kind not in "iu":
        raise TypeError(f"embedding_bag: ids must be integers, got {input.dtype}")
    check_ids(input, len(weight), "embedding_bag")
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError("embedding_bag: ids (B, n) are bags already: leave out offsets")
    elif input.ndim != 1 or offsets is None or offsets.ndim != 1:
        raise ValueError("embedding_bag: expected ids (B, n), or ids (N,) and offsets (B,)")
    elif offsets.dtype.kind not in "iu":
        raise TypeError(f"embedding_bag: offsets must be integers, got {offsets.dtype}")
    elif device_of(offsets).checks_ids:
        fits = len(offsets) and offsets[0] == 0 and offsets[-1] <= len(input)
        if not fits or (offsets[1:] < offsets[:-1]).any():
            raise ValueError(
                f"embedding_bag: offsets must ascend from 0 to {len(input)} at most, where each "
                "bag begins"
            )
    if per_sample_weights is not None:
        if mode != "sum":
            raise ValueError("embedding_bag: per_sample_weights need mode='sum'")
        if per_sample_weights.shape != input.shape:
            raise ValueError(
                f"embedding_bag: per_sample_weights {per_sample_weights.shape}, expected one an "
                f"id: {input.shape}"
            )

"""Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1), forward and backward.

    S = Q K^T / sqrt(E)      how well query q matches key k       (..., Lq, Lk)
    P = softmax(S)           over the keys
    Y = P V                  each query's mixture of the values   (..., Lq, Ev)

Scores are kept transposed, [key, query]: the softmax then reduces over the second-last axis, along
which the processor works on whole rows at once.
"""

import math

import numpy as np

from minillm.autograd import differentiable
from minillm.backend import array_module, leading_tiles, product
from minillm.functional.arithmetic import unbroadcast
from minillm.functional.dropout import keep_mask
from minillm.grad_mode import is_grad_enabled

FEW_QUERIES = 8


@differentiable
def scaled_dot_product_attention(
    query,
    key,
    value,
    attn_mask=None,
    dropout_p=0.0,
    is_causal=False,
    scale=None,
    enable_gqa=False,
):
    """softmax(query key^T * scale + mask) value.

    query (..., Lq, E), key (..., Lk, E), value (..., Lk, Ev) -> (..., Lq, Ev).
    attn_mask, broadcast to (..., Lq, Lk): boolean, True where a query may look, or a float that is
    added to the scores (it gets no gradient).  is_causal: query i sees the keys 0..i.
    scale defaults to 1/sqrt(E).  A query that may look nowhere gets zeros.
    enable_gqa: query has heads (..., h, Lq, E), key and value fewer (..., g, Lk, E), g a divisor of
    h; query heads 0 .. h/g - 1 share the first key head, and so on (Ainslie et al. 2023).
    """
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError(
            f"attention: query {query.shape}, key {key.shape}, value {value.shape}: query and key "
            "need the same last axis, key and value the same number of positions"
        )
    attend = _attend_in_groups if enable_gqa else _attend
    return attend(query, key, value, attn_mask, dropout_p, is_causal, scale)


@differentiable
def multi_head_attention(qkv, num_heads, attn_mask=None, dropout_p=0.0, is_causal=False):
    """Self-attention of all heads from the joint projection qkv (B, L, 3E) -> (B, L, E).

    Equals splitting qkv into queries, keys and values, each into heads of E / num_heads columns,
    `scaled_dot_product_attention`, and joining the heads; without a copy for each of these steps.
    attn_mask is broadcast to (B, heads, L, L), True where a query may look.
    """
    if qkv.ndim != 3 or num_heads < 1 or qkv.shape[-1] % (3 * num_heads):
        raise ValueError(
            f"multi_head_attention: qkv {qkv.shape}, expected (B, L, 3E) "
            f"with 3E a multiple of 3 * {num_heads} heads"
        )
    xp = array_module(qkv)
    B, L, threeE = qkv.shape
    E, D = threeE // 3, threeE // 3 // num_heads
    heads = qkv.reshape(B, L, 3, num_heads, D).transpose(2, 0, 3, 1, 4)  # (3, B, h, L, D), a view
    y, attend_backward = _attend(*heads, attn_mask, dropout_p, is_causal, None)

    def backward(dy):
        dy = dy.reshape(B, L, num_heads, D).transpose(0, 2, 1, 3)
        dqkv = xp.empty((B, L, 3, num_heads, D), dy.dtype)
        for part, gradient in enumerate(attend_backward(dy)):
            dqkv[:, :, part] = gradient.transpose(0, 2, 1, 3)
        return dqkv.reshape(B, L, threeE)

    return xp.ascontiguousarray(y.transpose(0, 2, 1, 3)).reshape(B, L, E), backward


def _attend_in_groups(q, k, v, mask, dropout_p, is_causal, scale):
    """Attention whose h query heads are g groups of r, each group with one key and value head.

    The groups become an axis, (..., g, r, Lq, E) against (..., g, 1, Lk, E): broadcasting repeats
    the keys without copying them, and undoing it adds up the gradients of the r heads.
    """
    (h, Lq, E), g = q.shape[-3:], k.shape[-3]
    if v.shape[-3] != g or h % g:
        raise ValueError(
            f"attention: query {q.shape}, key {k.shape}, value {v.shape}: with enable_gqa key and "
            "value need the same number of heads (axis -3), a divisor of the query's"
        )
    if g == h:
        return _attend(q, k, v, mask, dropout_p, is_causal, scale)
    if mask is not None:
        _check_mask(mask, (*np.broadcast_shapes(q.shape[:-3], k.shape[:-3]), h, Lq, k.shape[-2]))
    per_head = mask is not None and mask.ndim > 2 and mask.shape[-3] == h
    if Lq == 1 and not per_head and not is_causal:
        # A decoding step: the r heads of a group are as r queries to the same keys.
        grouped = q.reshape(*q.shape[:-3], g, h // g, E)
        y, attend_backward = _attend(grouped, k, v, mask, dropout_p, False, scale)
    else:
        grouped = q.reshape(*q.shape[:-3], g, h // g, Lq, E)
        if per_head:
            mask = mask.reshape(*mask.shape[:-3], g, h // g, *mask.shape[-2:])
        elif mask is not None and mask.ndim > 2:
            mask = mask[..., None, :, :]
        y, attend_backward = _attend(
            *(grouped, k[..., None, :, :], v[..., None, :, :]), mask, dropout_p, is_causal, scale
        )
    shape = (*y.shape[: y.ndim - (grouped.ndim - q.ndim) - 3], h, Lq, v.shape[-1])

    def backward(dy):
        dq, dk, dv = attend_backward(dy.reshape(y.shape))
        return dq.reshape(q.shape), dk.reshape(k.shape), dv.reshape(v.shape)

    return y.reshape(shape), backward


def _attend(q, k, v, mask, dropout_p, is_causal, scale):
    """Y and its backward on plain arrays; P and dP are stored as [key, query].

    Several passes go over the scores, so they are made tile by tile: some heads' scores stay in
    the processor's cache until they are done with.
    """
    xp = array_module(q)
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    if not (is_grad_enabled() or is_causal or dropout_p):
        if q.shape[-2] <= FEW_QUERIES:
            return _attend_to_few(xp, q, k, v, mask, scale), None
    shape_of = q, k, v  # the gradients get their shapes
    leading = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    q, k, v = (xp.broadcast_to(x, leading + x.shape[-2:]) for x in (q, k, v))
    qT = xp.ascontiguousarray(q.swapaxes(-1, -2)) * scale  # (..., E, Lq)
    Lk, Lq = k.shape[-2], q.shape[-2]
    penalties = []
    if is_causal:
        penalties.append(_penalty(xp, xp.arange(Lk)[:, None] <= xp.arange(Lq)[None, :], q.dtype))
    if mask is not None:
        _check_mask(mask, (*leading, Lq, Lk))
        maskT = mask.swapaxes(-1, -2) if mask.ndim > 1 else mask[:, None]
        penalties.append(_penalty(xp, maskT, q.dtype) if mask.dtype == bool else maskT)
    penalties = [xp.broadcast_to(penalty, (*leading, Lk, Lq)) for penalty in penalties]

    P = xp.empty((*leading, Lk, Lq), q.dtype)
    keep, keep_scale = keep_mask(P, dropout_p) if dropout_p > 0 else (None, 1)

    def dropped(probabilities, tile):  # dropout's mask and scale, for P and for dP alike
        if keep is None:
            return probabilities
        probabilities = probabilities * keep[tile]
        probabilities *= keep_scale
        return probabilities

    y = xp.empty((*leading, Lq, v.shape[-1]), q.dtype)
    tiles = list(leading_tiles(P))
    half = P.dtype == np.float16  # probabilities are kept in 16 bits, their sums made in 32
    precise = np.float32 if half else P.dtype

    def wide(tile):
        return xp.empty(P[tile].shape, np.float32) if half else None

    for t in tiles:
        room = wide(t) if half else P[t]
        S = product(k[t], qT[t], out=room)  # scores, turned into probabilities in place
        for penalty in penalties:
            S += penalty[t]
        _softmax_over_keys(xp, S, masked=bool(penalties))
        if half:
            P[t] = S
        product(dropped(P[t], t).swapaxes(-1, -2), v[t], out=y[t])

    def backward(dy):
        # Y = P V (P after dropout):            dV = P^T dY and dP = dY V^T.
        # Softmax, for each query:              dS = P * (dP - sum_k P_k dP_k),
        # where sum_k P_k dP_k = sum_k P_k dY V_k = dY . Y, a product of short rows.
        # S = scale Q K^T:                      dQ = scale dS K and dK = scale dS^T Q.
        dyT = xp.ascontiguousarray(dy.swapaxes(-1, -2))
        dy_y = (dy.astype(precise, copy=False) * y).sum(axis=-1)[..., None, :]
        dq, dk, dv = (xp.empty(x.shape, dy.dtype) for x in (q, k, v))
        for t in tiles:
            product(dropped(P[t], t), dy[t], out=dv[t])
            dS = dropped(product(v[t], dyT[t], out=wide(t)), t)  # dP, (..., Lk, Lq)
            dS -= dy_y[t]
            dS *= P[t]
            dS = dS.astype(P.dtype, copy=False)
            product(dS.swapaxes(-1, -2), k[t], out=dq[t])
            product(dS, q[t], out=dk[t])
        dq *= scale
        dk *= scale
        return tuple(map(unbroadcast, (dq, dk, dv), shape_of))

    return y, backward


def _attend_to_few(xp, q, k, v, mask, scale):
    """Y alone, in as few calls as can be: for a decoding step, whose rows of scores are long.

    They are kept as [query, key] here: sums over the rows of a matrix of few columns are slow.
    """
    S = product(k, xp.ascontiguousarray(q.swapaxes(-1, -2)) * scale)  # (..., Lk, Lq)
    S = xp.ascontiguousarray(S.swapaxes(-1, -2))  # (..., Lq, Lk)
    if mask is not None:
        _check_mask(mask, (*np.broadcast_shapes(S.shape[:-2], v.shape[:-2]), *S.shape[-2:]))
        penalty = _penalty(xp, mask, q.dtype) if mask.dtype == bool else mask
        S = S + penalty.astype(S.dtype, copy=False)
    _softmax_over_keys(xp, S, masked=mask is not None, axis=-1)
    return product(S, v)


def _penalty(xp, allowed, dtype):
    """0 where looking is allowed, -inf elsewhere.

    A mask is small before it is broadcast: adding this is 10 times faster than choosing among
    the scores with `where`.
    """
    return xp.where(allowed, 0, -math.inf).astype(dtype)


def _check_mask(mask, shape) -> None:
    if mask.dtype.kind not in "bf":  # 0 and 1 added to the scores would hide nothing
        raise TypeError(
            f"attention: attn_mask is {mask.dtype}, expected bool (True where a query may look; "
            "for a 0/1 mask write mask == 1) or a float that is added to the scores"
        )
    tail = shape[len(shape) - mask.ndim :]
    if mask.ndim > len(shape) or any(
        m not in (1, n) for m, n in zip(mask.shape, tail, strict=True)
    ):
        raise ValueError(f"attention: attn_mask {mask.shape} can't be broadcast to scores {shape}")


def _softmax_over_keys(xp, S, masked, axis=-2) -> None:
    """Softmax along `axis`, in place; where all is -inf (nothing to look at) it becomes zeros."""
    if S.shape[axis] == 0:  # no keys at all
        return
    if S.dtype == np.float16:
        wide = S.astype(np.float32)
        _softmax_over_keys(xp, wide, masked, axis)
        S[...] = wide
        return
    largest = S.max(axis=axis, keepdims=True)
    if masked:
        largest = xp.where(largest == -math.inf, 0, largest)
    S -= largest
    xp.exp(S, out=S)
    total = S.sum(axis=axis, keepdims=True)
    if masked:
        total = xp.where(total == 0, 1, total)
    S /= total

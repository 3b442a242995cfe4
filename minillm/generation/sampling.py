"""From logits to a choice: filters that reshape the distribution of the next token, and the draw.

A filter takes logits z (..., V) and gives logits of the same shape; what it forbids becomes -inf,
probability 0.  The probabilities are p = softmax(z).  Filters can be chained; `generate` applies
them in the order of this file.  All are functions of plain arrays, of NumPy or of a GPU.
"""

import math

import numpy as np

from minillm.backend import array_module


def repetition_penalty(logits, ids, penalty: float):
    """Make tokens that stand in the text less likely (Keskar et al. 2019, CTRL, section 4.1).

        z_v -> z_v / penalty  if z_v > 0,  z_v * penalty  otherwise,   for every v among ids

    logits (V,) with ids (n,), or (B, V) with (B, n).  penalty > 1 discourages, 1 does nothing.
    """
    if not penalty > 0:
        raise ValueError(f"repetition_penalty={penalty!r}: expected a positive number, 1.0 is off")
    xp = array_module(logits)
    seen = xp.take_along_axis(logits, ids, axis=-1)
    result = logits.copy()
    xp.put_along_axis(result, ids, xp.where(seen < 0, seen * penalty, seen / penalty), axis=-1)
    return result


def temperature(logits, temperature: float):
    """z / T: T < 1 sharpens the distribution, T > 1 flattens it (Ackley et al. 1985, section 2).

    p_v becomes proportional to p_v^(1/T); T -> 0 is the most probable token, T -> inf chance.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(
            f"temperature={temperature!r}: expected a positive number; for always the most "
            "probable token (temperature towards 0) leave do_sample=False"
        )
    return logits / temperature


def top_k(logits, k: int, min_tokens_to_keep: int = 1):
    """Keep the k most probable tokens (Fan et al. 2018, section 5.4), and what equals the k-th."""
    if k < 1 or k != int(k):
        raise ValueError(f"top_k={k!r}: expected a positive integer")
    xp = array_module(logits)
    V = logits.shape[-1]
    k = min(V, max(int(k), min_tokens_to_keep))
    kth = xp.partition(logits, V - k, axis=-1)[..., V - k, None]  # the k-th largest
    return xp.where(logits < kth, -math.inf, logits)


def top_p(logits, p: float, min_tokens_to_keep: int = 1):
    """Keep the nucleus (Holtzman et al. 2020, section 3.1): the fewest tokens that together have
    probability p or more.

    From the most probable on, a token stays while those before it have less than p.
    """
    if not 0 < p <= 1:
        raise ValueError(f"top_p={p!r}: expected a probability in (0, 1], 1.0 keeps every token")
    xp = array_module(logits)
    order = xp.argsort(-logits, axis=-1, kind="stable")  # the most probable first
    probabilities = xp.take_along_axis(_softmax(logits), order, axis=-1)
    before = probabilities.cumsum(axis=-1) - probabilities
    allowed_in_order = before < p
    allowed_in_order[..., :min_tokens_to_keep] = True
    allowed = xp.empty(logits.shape, bool)
    xp.put_along_axis(allowed, order, allowed_in_order, axis=-1)
    return xp.where(allowed, logits, -math.inf)


def min_p(logits, p: float, min_tokens_to_keep: int = 1):
    """Keep tokens at least p times as probable as the most probable (Nguyen et al. 2025, sec. 3).

    Where the model is sure few tokens stay, where it isn't many do.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"min_p={p!r}: expected a share in [0, 1], 0.0 keeps every token")
    xp = array_module(logits)
    # p_v >= p * p_max is z_v >= z_max + ln p.
    least = logits.max(axis=-1, keepdims=True) + (math.log(p) if p > 0 else -math.inf)
    if min_tokens_to_keep > 1:
        rank = logits.shape[-1] - min(min_tokens_to_keep, logits.shape[-1])
        least = xp.minimum(least, xp.partition(logits, rank, axis=-1)[..., rank, None])
    return xp.where(logits < least, -math.inf, logits)


def log_softmax(logits):
    """ln p_v = z_v - ln(sum_u exp z_u) along the last axis."""
    xp = array_module(logits)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))


def draw(logits, uniform):
    """The token v at which the cumulative probability p_0 + ... + p_v first exceeds `uniform`.

    logits (B, V), uniform (B,) in [0, 1): a token is drawn with its probability.  NumPy only.
    """
    cumulative = _softmax(logits).cumsum(axis=-1)
    aims = uniform * cumulative[:, -1]  # the last is 1 but for rounding
    rows = zip(cumulative, aims, strict=True)
    return np.array([row.searchsorted(aim, side="right") for row, aim in rows], np.int64)


def _softmax(logits):
    xp = array_module(logits)
    y = xp.exp(logits - logits.max(axis=-1, keepdims=True))
    return y / y.sum(axis=-1, keepdims=True)

"""Skip-gram and CBOW with negative sampling: the formulas, and the same for a block of words.

Each word w has two vectors: v_w where it stands in the middle of a window ("input") and u_w where
it is a neighbour ("output").  One pair (center c, neighbour o) with K negatives k drawn from the
noise has the loss (Mikolov et al. 2013, equation 4, with the sign turned)

    L = -log sigma(u_o . v_c) - sum_k log sigma(-u_k . v_c),      sigma(s) = 1 / (1 + e^-s)

which asks a logistic regression to tell the true neighbour (label 1) from the noise (label 0).
With d/ds log sigma(s) = 1 - sigma(s), every score s = u . v has the same derivative

    dL/ds = sigma(s) - label

and the rest is the chain rule: dL/du = dL/ds v, and dL/dv = sum over the scores of dL/ds u.
`skip_gram_pair` is this and no more.  It takes a step of 600 multiplications, which NumPy begins
in a microsecond and ends in less: too small a step to be fast.

`skip_gram_block` does a block of B successive words of the text at once.  The B center words meet
their C = B + 2 * window neighbours and M negatives, which they share, in one matrix of scores

                 C neighbours      M negatives
    B centers  [ band of labels 1 | labels 0   ]    scores = v @ u.T

of which the band next to the diagonal are true pairs (weight 1; the rest of the left part has
weight 0).  Each pair should meet K negatives, and center i has n_i pairs: so each of its M scores
with a negative has the weight n_i * K / M.  The expected gradient is that of the pairs; two matrix
products instead of some thousand short vectors make it fast (Ji et al. 2016, "Parallelizing
Word2Vec in Shared and Distributed Memory").  Most of the left part is computed in vain: a band
would take longer.

Two differences from one pair after another: all scores of a block are computed before any vector
moves, and a negative that happens to be the true neighbour isn't drawn again.
"""

import numpy as np


def sigmoid(s):
    """1 / (1 + e^-s), as 1/2 + 1/2 tanh(s/2), which can't overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * s)


def softplus(s):
    """log(1 + e^s) = -log sigma(-s)."""
    return np.logaddexp(0, s)


# ------------------------------------------------------------------- pair by pair, as in the paper


def skip_gram_pair(v, u):
    """One center v (d,) with u (1 + K, d): its neighbour's vector, then those of the negatives.

    Returns the loss, dL/dv (d,), dL/du (1 + K, d).
    """
    label = np.zeros(len(u), dtype=v.dtype)
    label[0] = 1
    s = u @ v
    loss = softplus(-s[0]) + softplus(s[1:]).sum()
    ds = sigmoid(s) - label
    return loss, ds @ u, np.outer(ds, v)


def cbow_word(v, u, mean: bool = True, whole: bool = False):
    """One center's window v (n, d) with u (1 + K, d): the center's vector, then the negatives'.

    CBOW guesses the middle of the window from the mean h of its words (mean=False: from the sum):
    L is that of `skip_gram_pair` with h for v_c, and each of the n words gets dL/dh / n.
    whole: each gets all of dL/dh, as in the word2vec program; see `Word2Vec`.
    Returns the loss, dL/dv (n, d), dL/du (1 + K, d).
    """
    share = 1 / len(v) if mean else 1.0
    loss, dh, du = skip_gram_pair(share * v.sum(0), u)
    return loss, np.tile(dh if whole else share * dh, (len(v), 1)), du


# ------------------------------------------------------------------------------ a block of words


def skip_gram_block(v, u, inside, negative: float):
    """v (B, d): the centers; u (C + M, d): the neighbours, then the shared negatives.

    inside (B, C), of v's dtype: 1 where word j is in the window of center i, else 0.
    negative: K, how many negatives a pair should meet.
    Returns dL/dv (B, d), dL/du (C + M, d) and the scores (B, C + M), for `block_loss`.
    """
    s = v @ u.T
    ds = score_gradients(s, inside, negative)
    return ds @ u, ds.T @ v, s


def cbow_block(v, u, inside, negative: float, mean: bool = True, whole: bool = False):
    """v (C, d): the neighbours; u (B + M, d): the centers, then the shared negatives.

    With A = inside, its rows divided by their sums if `mean`: h = A v, hence dL/dv = A^T dL/dh.
    whole: instead inside^T dL/dh, as in `cbow_word`.
    Returns dL/dv (C, d), dL/du (B + M, d), the scores (B, 1 + M) and which centers have
    neighbours at all (B, 1), which for `block_loss` is what `inside` is for skip-gram.
    """
    n = inside.sum(1, keepdims=True)
    present = np.minimum(n, 1)
    A = inside / np.maximum(n, 1) if mean else inside
    h = A @ v
    center, negatives = u[: len(h)], u[len(h) :]
    s = np.concatenate([(h * center).sum(1, keepdims=True), h @ negatives.T], axis=1)
    ds = score_gradients(s, present, negative)
    dh = ds[:, :1] * center + ds[:, 1:] @ negatives
    du = np.concatenate([ds[:, :1] * h, ds[:, 1:].T @ h])
    return (inside if whole else A).T @ dh, du, s, present


def score_gradients(s, inside, negative: float):
    """dL/ds = weight * (sigma(s) - label) for scores s (B, C + M), of which C may be true pairs."""
    C = inside.shape[1]
    ds = 0.5 * s
    np.tanh(ds, out=ds)
    ds *= 0.5  # sigma(s) - 1/2
    ds[:, :C] -= 0.5  # label 1
    ds[:, :C] *= inside
    ds[:, C:] += 0.5  # label 0
    ds[:, C:] *= _negative_weight(s, inside, negative)
    return ds


def block_loss(s, inside, negative: float) -> float:
    """The loss of all pairs of the block, summed."""
    C = inside.shape[1]
    true_pairs = inside * softplus(-s[:, :C])
    noise = _negative_weight(s, inside, negative) * softplus(s[:, C:])
    return float(true_pairs.sum() + noise.sum())


def _negative_weight(s, inside, negative):
    """n_i K / M (B, 1): what a score of center i with one of the M negatives counts."""
    M = s.shape[1] - inside.shape[1]
    return inside.sum(1, keepdims=True) * (negative / M)

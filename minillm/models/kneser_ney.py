"""N-grams: the language model that needs no network, and that a network has to beat.

    model = KneserNey(ids, vocab_size=4096, order=3)      # ids (N,): a text as token ids
    model.log_probabilities(other)                        # (M,): log p(w_i | the two before it)
    model.perplexity(other)                               # exp of minus their mean
    model.probabilities([17, 4])                          # (V,): what may come after 17, 4

How often did w come after the context h?  The longer h, the better the guess, and the more often
the answer is "never".  So a part of what each seen n-gram has is taken away, the discount D, and
dealt out by the shorter context h', which is h without its first word:

                     max(c(h w) - D, 0)     D N(h .)
    p_n(w | h)   =   ------------------  +  -------- p_(n-1)(w | h')
                          c(h .)             c(h .)

    c(h w)    how often h w was seen;   c(h .) = sum_w c(h w)
    N(h .)    how many different words were seen after h

and p_(n-1)(w | h') where h was never seen.  The idea of Kneser and Ney: for the shorter contexts it
doesn't matter how often h' w was seen (the longer one has used that already), but after how many
different words.  "Francisco" is frequent, but only after "San"; it is a poor guess elsewhere.  So
below the highest order

    c(h' w) = how many different words v there are for which v h' w was seen.

The last shorter context is none at all, p_0 = 1 / V: every token has a chance.  The discount of
each order is D = n_1 / (n_1 + 2 n_2), where n_k n-grams have the count k.

Sources: Kneser and Ney 1995, "Improved backing-off for m-gram language modeling"; Chen and Goodman
1999, "An empirical study of smoothing techniques for language modeling" (the interpolated form).
"""

from typing import NamedTuple

import numpy as np


class _Order(NamedTuple):
    """The n-grams of one length and the contexts that they begin with.

    An n-gram w_1 ... w_n is written as one number, ((w_1 V + w_2) V + ...) + w_n.
    """

    grams: np.ndarray  # (G,) sorted
    counts: np.ndarray  # (G,) c(h w)
    contexts: np.ndarray  # (H,) sorted: the n-grams without their last word
    totals: np.ndarray  # (H,) c(h .)
    followers: np.ndarray  # (H,) N(h .)
    discount: float


class KneserNey:
    """Interpolated Kneser-Ney of the given order: 1 unigrams, 2 bigrams, 3 trigrams, ...

    ids (N,): the text that is counted, integers from 0 to vocab_size - 1.  Put a token between
    documents, then it also learns how they begin and end.

    Raises ValueError for ids outside the vocabulary, a text shorter than `order`, or an order so
    high that an n-gram doesn't fit into 63 bits.
    """

    def __init__(self, ids, vocab_size: int, order: int = 3):
        if order < 1 or vocab_size < 1:
            raise ValueError(f"order={order}, vocab_size={vocab_size}: both must be 1 or more")
        if vocab_size**order >= 2**63:
            raise ValueError(f"order={order} is too high for a vocabulary of {vocab_size:,}")
        self.vocab_size, self.order = vocab_size, order
        ids = self._checked(ids)
        if len(ids) < order:
            raise ValueError(f"{len(ids)} tokens are too few for n-grams of {order}")
        grams, counts = np.unique(self._grams(ids, order), return_counts=True)
        self._orders = [self._make_order(grams, counts)]
        for n in range(order - 1, 0, -1):
            # Without its first word; each different first word counts once.
            grams, counts = np.unique(grams % vocab_size**n, return_counts=True)
            self._orders.insert(0, self._make_order(grams, counts))

    def log_probabilities(self, ids) -> np.ndarray:
        """log p(ids_i | the order - 1 tokens before it), (M,) float64; fewer at the start."""
        ids = self._checked(ids)
        V = self.vocab_size
        p = np.full(len(ids), 1 / V)
        for n, table in enumerate(self._orders, start=1):
            if len(ids) < n:
                break
            grams = self._grams(ids, n)  # they end at the tokens n-1, n, ...
            p[n - 1 :] = self._step(table, grams // V, grams, p[n - 1 :])
        return np.log(p)

    def perplexity(self, ids) -> float:
        """exp(-mean log p): between how many equally likely tokens it wavers, on the average."""
        log_p = self.log_probabilities(ids)
        if len(log_p) == 0:
            raise ValueError("the perplexity of no tokens is not defined")
        return float(np.exp(-log_p.mean()))

    def probabilities(self, context) -> np.ndarray:
        """p(w | context) for every w, (V,) float64, of sum 1; the last order - 1 tokens count."""
        context = self._checked(context)
        V = self.vocab_size
        words = np.arange(V)
        p = np.full(V, 1 / V)
        for n, table in enumerate(self._orders[: len(context) + 1], start=1):
            h = 0
            for w in context[len(context) - (n - 1) :]:
                h = h * V + int(w)
            p = self._step(table, np.full(V, h), h * V + words, p)
        return p

    @staticmethod
    def _step(table: _Order, contexts, grams, shorter):
        """p_n from p_(n-1), for n-grams and their contexts (written as numbers)."""
        c = _look_up(table.grams, table.counts, grams)
        total = _look_up(table.contexts, table.totals, contexts)
        followers = _look_up(table.contexts, table.followers, contexts)
        D = table.discount
        p = np.maximum(c - D, 0) + D * followers * shorter
        return np.where(total > 0, p / np.maximum(total, 1), shorter)

    def _make_order(self, grams, counts) -> _Order:
        contexts, first, followers = np.unique(
            grams // self.vocab_size, return_index=True, return_counts=True
        )
        n1, n2 = np.count_nonzero(counts == 1), np.count_nonzero(counts == 2)
        # Without n-grams of count 1 nothing would be left for the unseen.
        discount = n1 / (n1 + 2 * n2) if n1 else 0.5
        return _Order(grams, counts, contexts, np.add.reduceat(counts, first), followers, discount)

    def _grams(self, ids, n: int) -> np.ndarray:
        """(M - n + 1,): every n tokens in a row as one number."""
        grams = np.zeros(len(ids) - n + 1, np.int64)
        for k in range(n):
            grams = grams * self.vocab_size + ids[k : len(ids) - n + 1 + k]
        return grams

    def _checked(self, ids) -> np.ndarray:
        ids = np.asarray(ids)
        if ids.size == 0:
            return np.zeros(0, np.int64)
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise ValueError(f"token ids must be integers (N,), got {ids.dtype} {ids.shape}")
        bad = np.flatnonzero((ids < 0) | (ids >= self.vocab_size))
        if len(bad):
            raise ValueError(
                f"token {bad[0]} is {ids[bad[0]]}, outside the vocabulary of {self.vocab_size:,}"
            )
        return ids.astype(np.int64)


def _look_up(keys, values, wanted):
    """values[i] where wanted is keys[i], 0 where it is no key; keys are sorted."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)

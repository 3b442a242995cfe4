"""Vectors of words that are learned from labels alone, and which words of a batch are seen.

Padding, and words left out at random, are written as the id of the padding: its vector is zero and
gets no gradient, so what has this id isn't there.
"""

from minillm import nn
from minillm.autograd import Tensor
from minillm.backend import array_module
from minillm.functional.dropout import keep_mask


def word_vectors(vocab_size: int, size: int, pad_id: int | None) -> nn.Embedding:
    """A table of small random vectors, uniform in +-0.05; that of `pad_id` is zero and stays it.

    Small, so that a word which came up once says little: after a few epochs a vector is mainly
    what its word taught it.  nn.Embedding's own N(0, 1) would still be mainly noise.
    """
    table = nn.Embedding(vocab_size, size, padding_idx=pad_id)
    nn.init.uniform_(table.weight, -0.05, 0.05)
    if pad_id is not None:
        table.weight.data[pad_id] = 0
    return table


def visible_ids(input_ids, attention_mask, pad_id: int):
    """input_ids (B, L) with pad_id wherever attention_mask (B, L) is 0: a plain array.

    Raises ValueError for another shape.
    """
    ids, mask = (x.data if isinstance(x, Tensor) else x for x in (input_ids, attention_mask))
    if ids.ndim != 2 or 0 in ids.shape:
        raise ValueError(f"input_ids must be (batch, length), got shape {ids.shape}")
    if mask is None:
        return ids
    if mask.shape != ids.shape:
        raise ValueError(f"attention_mask {mask.shape} must have input_ids' shape {ids.shape}")
    return array_module(ids).where(mask != 0, ids, pad_id)


def drop_words(ids, p: float, pad_id: int):
    """Every word replaced by pad_id with probability p (Iyyer et al. 2015, section 4)."""
    if p == 0:
        return ids
    keep, _ = keep_mask(ids, p)
    return array_module(ids).where(keep, ids, pad_id)

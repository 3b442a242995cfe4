"""Multi-head attention (Vaswani et al. 2017, section 3.2.2).

MultiHead(Q, K, V) = [head_1 ... head_h] W_O^T + b_O
head_i = softmax(Q_i K_i^T / sqrt(D)) V_i             D = E / h columns for each head
[Q K V] = [query W_q^T  key W_k^T  value W_v^T] + b   W_q, W_k, W_v: the rows of in_proj_weight
"""

import math

import numpy as np

from minillm import functional as F
from minillm.autograd import Tensor
from minillm.backend import array_module
from minillm.nn import init
from minillm.nn.linear import Linear
from minillm.nn.module import Module, check_positive, check_probability, empty_parameter


class MultiheadAttention(Module):
    """Every query gathers values from the keys that fit it, in `num_heads` subspaces at once.

    in_proj_weight (3 E, E) starts Xavier-uniform, out_proj as `Linear` does, the biases at zero.
    dropout: probability with which an attention weight is dropped while training.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        batch_first: bool = False,
    ):
        super().__init__()
        check_positive(embed_dim=embed_dim, num_heads=num_heads)
        check_probability(dropout=dropout)
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim {embed_dim} can't be divided among {num_heads} num_heads")
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.batch_first = batch_first
        self.in_proj_weight = empty_parameter(3 * embed_dim, embed_dim)
        self.in_proj_bias = empty_parameter(3 * embed_dim) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values anew."""
        init.xavier_uniform_(self.in_proj_weight)
        self.out_proj.reset_parameters()
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)

    def forward(
        self,
        query,
        key,
        value,
        key_padding_mask=None,
        need_weights: bool = True,
        attn_mask=None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ):
        """-> (output, weights), weights None unless need_weights.

        query (Lq, B, E), key and value (Lk, B, E) -> output (Lq, B, E); with batch_first B leads.
        weights, after dropout: (B, Lq, Lk), the mean over the heads, or (B, heads, Lq, Lk).
        key_padding_mask (B, Lk), attn_mask (Lq, Lk) or (B heads, Lq, Lk): boolean, True where
        NOT to look, or a float that is added to the scores.  is_causal: query i sees keys 0..i.
        A query that may look nowhere gets zeros (before out_proj), where PyTorch gives nan.
        Without weights the fused function runs, which is faster.
        """
        self._check_shapes(query, key, value)
        to_itself = query is key and key is value
        if not self.batch_first:
            query, key, value = (F.transpose(x, 0, 1) for x in (query, key, value))
        (B, Lq, E), Lk = query.shape, key.shape[1]
        mask = self._joint_mask(attn_mask, key_padding_mask, B, Lq, Lk)
        dropout = self.dropout if self.training else 0.0

        if to_itself:
            qkv = F.linear(query, self.in_proj_weight, self.in_proj_bias)  # (B, L, 3E)
        if to_itself and not need_weights:
            weights = None
            output = F.multi_head_attention(qkv, self.num_heads, mask, dropout, is_causal)
        else:
            parts = F.split(qkv, E, -1) if to_itself else self._project(query, key, value)
            q, k, v = (self._to_heads(part) for part in parts)  # (B, h, L, D)
            if need_weights:
                output, weights = attend_visibly(q, k, v, mask, dropout, is_causal)
            else:
                output = F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal)
                weights = None
            output = F.transpose(output, 1, 2).reshape(B, Lq, E)

        output = self.out_proj(output)
        if not self.batch_first:
            output = F.transpose(output, 0, 1)
        if need_weights and average_attn_weights:
            weights = F.mean(weights, axis=1)
        return output, weights

    def _project(self, query, key, value):
        """Three inputs, each with its third of the rows of in_proj_weight."""
        weights = F.split(self.in_proj_weight, self.embed_dim)
        biases = (None,) * 3
        if self.in_proj_bias is not None:
            biases = F.split(self.in_proj_bias, self.embed_dim)
        return [F.linear(*part) for part in zip((query, key, value), weights, biases, strict=True)]

    def _to_heads(self, x):
        B, L, E = x.shape
        return F.transpose(x.reshape(B, L, self.num_heads, E // self.num_heads), 1, 2)

    def _check_shapes(self, query, key, value):
        batch = 0 if self.batch_first else 1
        shapes = [x.shape for x in (query, key, value)]
        fits = (
            all(len(shape) == 3 and shape[2] == self.embed_dim for shape in shapes)
            and len({shape[batch] for shape in shapes}) == 1
            and shapes[1] == shapes[2]
        )
        if not fits:
            order = "(batch, length, E)" if self.batch_first else "(length, batch, E)"
            raise ValueError(
                f"MultiheadAttention: query {shapes[0]}, key {shapes[1]}, value {shapes[2]}: "
                f"expected {order} with E = {self.embed_dim}, one batch size, and key and value of "
                f"one shape (batch_first={self.batch_first})"
            )

    def _joint_mask(self, attn_mask, key_padding_mask, B, Lq, Lk):
        """Both masks in one, broadcast to (B, h, Lq, Lk), in F's sense: boolean, True where a
        query MAY look, or a float to be added; None if there is neither."""
        masks = []
        if attn_mask is not None:
            attn_mask = _mask_array("attn_mask", attn_mask)
            if attn_mask.shape == (B * self.num_heads, Lq, Lk):
                attn_mask = attn_mask.reshape(B, self.num_heads, Lq, Lk)
            elif attn_mask.shape != (Lq, Lk):
                raise ValueError(
                    f"attn_mask {attn_mask.shape}: expected (Lq, Lk) = {(Lq, Lk)} or "
                    f"(B * num_heads, Lq, Lk) = {(B * self.num_heads, Lq, Lk)}"
                )
            masks.append(attn_mask)
        if key_padding_mask is not None:
            key_padding_mask = _mask_array("key_padding_mask", key_padding_mask)
            if key_padding_mask.shape != (B, Lk):
                raise ValueError(
                    f"key_padding_mask {key_padding_mask.shape}: expected (B, Lk) = {(B, Lk)}"
                )
            masks.append(key_padding_mask[:, None, None, :])
        if not masks:
            return None
        if all(mask.dtype == bool for mask in masks):
            return ~(masks[0] if len(masks) == 1 else masks[0] | masks[1])
        dtype = self.in_proj_weight.dtype
        total = 0
        for mask in masks:
            if mask.dtype == bool:
                xp = array_module(mask)
                mask = xp.where(mask, -math.inf, 0)
            total = total + mask.astype(dtype)
        return total


def _mask_array(name, mask):
    mask = mask.data if isinstance(mask, Tensor) else mask
    if mask.dtype != bool and mask.dtype.kind != "f":
        raise TypeError(
            f"{name} is {mask.dtype}: expected boolean (True = don't look there) or float (added "
            "to the scores). Of a 0/1 attention mask, in which 1 means real, give `mask == 0`"
        )
    return mask


def attend_visibly(q, k, v, mask, dropout, is_causal):
    """Attention step by step, with its weights: what `F.scaled_dot_product_attention` fuses.

    q (B, h, Lq, D), k and v (B, h, Lk, D) -> (B, h, Lq, D) and (B, h, Lq, Lk).
    """
    scores = q @ F.transpose(k, -1, -2) * (1 / math.sqrt(q.shape[-1]))  # (B, h, Lq, Lk)
    xp = array_module(scores.data)
    blocked = None
    if mask is not None:
        if mask.dtype == bool:
            blocked = ~mask
        else:
            blocked = mask == -math.inf
            scores = scores + Tensor(xp.where(blocked, 0, mask))
    if is_causal:
        Lq, Lk = scores.shape[-2:]
        future = xp.arange(Lk)[None, :] > xp.arange(Lq)[:, None]
        blocked = future if blocked is None else blocked | future
    if blocked is not None:
        # The lowest number instead of -inf: a row with nothing to look at stays free of nan.
        scores = F.masked_fill(scores, blocked, float(np.finfo(scores.dtype).min))
    weights = F.softmax(scores, -1)
    if blocked is not None:
        weights = F.masked_fill(weights, blocked, 0.0)
    if dropout > 0:
        weights = F.dropout(weights, dropout)
    return weights @ v, weights

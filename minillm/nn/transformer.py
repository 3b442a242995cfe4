"""The Transformer's encoder (Vaswani et al. 2017, section 3.1)."""

import copy

from minillm import functional as F
from minillm.nn.attention import MultiheadAttention
from minillm.nn.containers import ModuleList
from minillm.nn.dropout import Dropout
from minillm.nn.linear import Linear
from minillm.nn.module import Module, check_positive
from minillm.nn.normalization import LayerNorm

_ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


class TransformerEncoderLayer(Module):
    """Self-attention, then two linear layers at each position, each with residual and norm.

    After the sum (post-norm, the original and BERT's):    x = norm1(x + attention(x))
                                                           x = norm2(x + feed_forward(x))
    Before the branch (norm_first, GPT-2's):               x = x + attention(norm1(x))
                                                           x = x + feed_forward(norm2(x))
    feed_forward(x) = linear2(dropout(activation(linear1(x)))); dropout also ends each branch.
    activation: "relu", "gelu" or a function of a Tensor.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation="relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
    ):
        super().__init__()
        check_positive(d_model=d_model, nhead=nhead, dim_feedforward=dim_feedforward)
        if not callable(activation) and activation not in _ACTIVATIONS:
            raise ValueError(f"activation={activation!r}: expected 'relu', 'gelu' or a function")
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first)
        self.linear1 = Linear(d_model, dim_feedforward, bias)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = activation if callable(activation) else _ACTIVATIONS[activation]

    def forward(
        self,
        src,
        src_mask=None,
        src_key_padding_mask=None,
        is_causal: bool = False,
        need_weights: bool = False,
    ):
        """src (L, B, E), or (B, L, E) with batch_first -> the same shape; masks as in
        `MultiheadAttention`.  need_weights: -> (output, weights (B, heads, L, L)), for pictures.
        """
        masks = src_key_padding_mask, src_mask, is_causal, need_weights
        x = src
        if self.norm_first:
            attended, weights = self._attention(self.norm1(x), *masks)
            x = x + attended
            x = x + self._feed_forward(self.norm2(x))
        else:
            attended, weights = self._attention(x, *masks)
            x = self.norm1(x + attended)
            x = self.norm2(x + self._feed_forward(x))
        return (x, weights) if need_weights else x

    def _attention(self, x, key_padding_mask, attn_mask, is_causal, need_weights):
        attended, weights = self.self_attn(
            *(x, x, x),
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            average_attn_weights=False,
            is_causal=is_causal,
        )
        return self.dropout1(attended), weights

    def _feed_forward(self, x):
        inner = self.dropout(self.activation(self.linear1(x)))  # (..., dim_feedforward)
        return self.dropout2(self.linear2(inner))

    def extra_repr(self):
        return "norm_first=True" if self.norm_first else ""


class TransformerEncoder(Module):
    """`num_layers` copies of a layer, one after the other, and a last norm if one is given.

    As in PyTorch the copies start from the same weights; call `reset_parameters` of their parts
    (or an initialisation of your own) to tell them apart from the start.
    """

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None):
        super().__init__()
        check_positive(num_layers=num_layers)
        self.layers = ModuleList(copy.deepcopy(encoder_layer) for _ in range(num_layers))
        self.norm = norm

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal: bool = False):
        x = src
        for layer in self.layers:
            x = layer(x, mask, src_key_padding_mask, is_causal)
        return x if self.norm is None else self.norm(x)

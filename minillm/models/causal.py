"""What decoders share: they look back only, predict the next token, and can remember.

A causal language model factorises the probability of a text from left to right,

    p(x_1 ... x_L) = prod_t p(x_t | x_1 ... x_{t-1}),

so position t predicts token t + 1 and may look at positions 1..t.  While a text is written token
by token, the keys and values of the positions so far don't change: a cache keeps them, and each
step computes one position.  A cache is any object with

    length                          how many positions it holds
    update(layer, k, v)             -> all keys and values, the new ones last

k and v are plain arrays (B, key/value heads, new positions, head size).
"""

import contextlib
import math
from typing import Any, NamedTuple

from minillm import functional as F
from minillm import nn
from minillm.autograd import Tensor
from minillm.backend import array_module, device_of
from minillm.grad_mode import no_grad
from minillm.nn.attention import attend_visibly

IGNORED = -100  # the label of a position that is not to be predicted


class DecoderOutput(NamedTuple):
    """last_hidden_state (B, L, H), attentions: a (B, heads, L, Lk) a layer, if wished."""

    last_hidden_state: Tensor
    attentions: tuple[Tensor, ...] | None = None


class CausalLMOutput(NamedTuple):
    """loss (scalar, or None without labels), logits (B, L, V), or (B, 1, V) with last_only."""

    loss: Tensor | None
    logits: Tensor
    attentions: tuple[Tensor, ...] | None = None


class View(NamedTuple):
    """What the new positions (queries) may look at, the same in every layer.

    mask: boolean, broadcast to (B, heads, L, Lk), True where a query may look; None: no limit.
    is_causal: query i sees keys 0..i besides.  visible: return the attention weights, too.
    """

    positions: Any  # (L,) or (B, L)
    mask: Any = None
    is_causal: bool = False
    cache: Any = None
    visible: bool = False


def look_back(input_ids, attention_mask, position_ids, cache, visible, longest: int) -> View:
    """The `View` of a forward pass over input_ids (B, L); ValueError for what doesn't fit."""
    if input_ids.ndim != 2 or 0 in input_ids.shape:
        raise ValueError(
            f"input_ids must be (batch, length) with at least one token, got {input_ids.shape}"
        )
    xp = array_module(input_ids)
    B, L = input_ids.shape
    past = 0 if cache is None else cache.length
    if position_ids is None:
        _check_length(past + L, longest)
        positions = xp.arange(past, past + L)
    else:
        if position_ids.shape not in ((L,), (B, L)):
            raise ValueError(f"position_ids {position_ids.shape}: expected {(L,)} or {(B, L)}")
        if device_of(position_ids).checks_ids:
            if int(position_ids.min()) < 0:
                raise ValueError(f"position_ids: {int(position_ids.min())} is negative")
            _check_length(int(position_ids.max()) + 1, longest)
        positions = position_ids
    mask = None
    if attention_mask is not None:
        if attention_mask.shape != (B, past + L):
            raise ValueError(
                f"attention_mask {attention_mask.shape}: expected {(B, past + L)}, {past} "
                f"remembered and {L} new positions"
            )
        mask = attention_mask[:, None, None, :] != 0  # (B, 1, 1, Lk)
    if past and L > 1:  # the queries are the last L of past + L positions
        order = xp.arange(past + L)
        causal = order <= order[past:, None]  # (L, Lk)
        mask = causal if mask is None else mask & causal
    return View(positions, mask, L > 1 and not past, cache, visible)


def _check_length(length: int, longest: int) -> None:
    if length > longest:
        raise ValueError(
            f"a sequence of {length} tokens is longer than the model's {longest} positions: "
            "truncate it, or make the model with a longer context"
        )


def attend(q, k, v, view: View, layer: int, dropout: float):
    """q (B, h, L, D), k and v (B, g, L, D), g a divisor of h -> (B, L, h D) and the weights or
    None.  The new keys and values join the remembered ones, if there is a cache.
    """
    B, h, L, D = q.shape
    mask, grouped = view.mask, h != k.shape[1]
    if view.cache is not None:
        k, v = map(Tensor, view.cache.update(layer, k.data, v.data))
        if mask is not None and mask.shape[-1] > k.shape[-2]:
            mask = mask[..., -k.shape[-2] :]  # a cache with a window forgets the oldest
    weights = None
    if view.visible:
        k, v = (_for_each_query_head(x, h) for x in (k, v))
        y, weights = attend_visibly(q, k, v, mask, dropout, view.is_causal)
    else:
        y = F.scaled_dot_product_attention(q, k, v, mask, dropout, view.is_causal, None, grouped)
    if view.cache is not None:  # nothing is recorded: the array's own methods will do
        return Tensor(y.data.swapaxes(1, 2).reshape(B, L, h * D)), weights
    return F.transpose(y, 1, 2).reshape(B, L, h * D), weights


def _for_each_query_head(x, heads: int):
    """Repeat each of the g heads of x (B, g, L, D) for its group: (B, heads, L, D)."""
    B, g, L, D = x.shape
    if g == heads:
        return x
    return F.broadcast_to(F.unsqueeze(x, 2), (B, g, heads // g, L, D)).reshape(B, heads, L, D)


def predict(decoder, head_weight, input_ids, labels, last_only: bool, **inputs) -> CausalLMOutput:
    """Run `decoder`, then the head: logits = hidden states times head_weight^T, and the loss."""
    labels = as_array(labels)
    if labels is not None and last_only:
        raise ValueError("labels need the logits of all positions: leave last_only=True out")
    # A cache holds plain arrays, through which no gradient comes back: nothing is recorded.
    with contextlib.nullcontext() if inputs["cache"] is None else no_grad():
        hidden, attentions = decoder(input_ids, **inputs)  # (B, L, H)
        if last_only:
            hidden = hidden[:, -1:]
        logits = F.linear(hidden, head_weight)  # (B, L, V)
        loss = None if labels is None else next_token_loss(logits, labels)
    return CausalLMOutput(loss, logits, attentions)


def next_token_loss(logits, labels):
    """The mean of -log p(label t + 1) at positions t; labels (B, L), -100 where none counts.

    The labels are shifted, not the logits: a slice of those would be a copy as large as they are.
    """
    B, L, V = logits.shape
    if labels.shape != (B, L):
        raise ValueError(f"labels {labels.shape} must have input_ids' shape {(B, L)}")
    following = array_module(labels).full_like(labels, IGNORED)
    following[:, :-1] = labels[:, 1:]  # nothing follows the last position
    return F.cross_entropy(logits.reshape(B * L, V), following.reshape(-1))


def initialise(model: nn.Module, std: float, num_layers: int, residual: tuple[str, ...]) -> None:
    """Weights from N(0, std^2), biases 0, norms 1 and 0 (Radford et al. 2019, section 2.3).

    Each layer adds two branches to the residual stream; the matrices that end a branch (their
    names end with one of `residual`) are 1/sqrt(2 num_layers) smaller, so that the sum of all
    doesn't grow with the depth.
    """
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            shrink = math.sqrt(2 * num_layers) if name.endswith(residual) else 1
            nn.init.normal_(parameter, std=std / shrink)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


def as_array(x) -> Any:
    """Ids, masks and labels are plain arrays inside a model, whatever the caller has."""
    return x.data if isinstance(x, Tensor) else x

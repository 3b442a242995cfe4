"""Llama (Touvron et al. 2023): GPT-2's layers with four parts replaced (section 2.2).

Where it stands: rotary positions instead of learned ones; queries and keys are turned (Su et al.
2021).  The norm: RMSNorm, without mean and bias (Zhang & Sennrich 2019).  The MLP: SwiGLU, one half
of the layer gates the other (Shazeer 2020).  The heads: several queries share a key and a value
head, which makes the cache smaller (Ainslie et al. 2023; Llama 2, section 2.2).
"""

from typing import NamedTuple

from minillm import functional as F
from minillm import nn
from minillm.models.causal import (
    CausalLMOutput,
    DecoderOutput,
    View,
    as_array,
    attend,
    initialise,
    look_back,
    predict,
)
from minillm.models.llama_config import LlamaConfig
from minillm.models.pretrained import NameTable, PretrainedModel

RESIDUAL = ("o_proj.weight", "down_proj.weight")  # the ends of the branches


class Rotation(NamedTuple):
    """cos and sin, (L, D/2) or (B, 1, L, D/2), of the angles at the new positions."""

    cos: object
    sin: object


class LlamaAttention(nn.Module):
    """h query heads; each group of h/g heads shares one of g key and value heads."""

    def __init__(self, config: LlamaConfig):
        super().__init__()
        width, bias, D = config.hidden_size, config.attention_bias, config.head_size
        self.head_size, self.dropout = D, config.attention_dropout
        self.q_proj = nn.Linear(width, config.num_attention_heads * D, bias)
        self.k_proj = nn.Linear(width, config.num_key_value_heads * D, bias)
        self.v_proj = nn.Linear(width, config.num_key_value_heads * D, bias)
        self.o_proj = nn.Linear(config.num_attention_heads * D, width, bias)

    def forward(self, x, rotation: Rotation, view: View, layer: int):
        """x (B, L, E) -> (B, L, E) and the attention weights, if wished."""
        q, k, v = (self._to_heads(part(x)) for part in (self.q_proj, self.k_proj, self.v_proj))
        q = F.rotary_embedding(q, rotation.cos, rotation.sin)  # (B, h, L, D)
        k = F.rotary_embedding(k, rotation.cos, rotation.sin)  # (B, g, L, D)
        y, weights = attend(q, k, v, view, layer, self.dropout if self.training else 0.0)
        return self.o_proj(y), weights

    def _to_heads(self, x):
        B, L, _ = x.shape
        return F.transpose(x.reshape(B, L, -1, self.head_size), 1, 2)


class LlamaMLP(nn.Module):
    """down(silu(gate(x)) * up(x)) at each position."""

    def __init__(self, config: LlamaConfig):
        super().__init__()
        width, inner, bias = config.hidden_size, config.intermediate_size, config.mlp_bias
        self.gate_proj = nn.Linear(width, inner, bias)
        self.up_proj = nn.Linear(width, inner, bias)
        self.down_proj = nn.Linear(inner, width, bias)

    def forward(self, x):
        return self.down_proj(F.swiglu(self.gate_proj(x), self.up_proj(x)))


class LlamaLayer(nn.Module):
    """Attention, then the MLP; each reads the normed stream and adds to it."""

    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = LlamaAttention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = LlamaMLP(config)

    def forward(self, x, rotation: Rotation, view: View, layer: int):
        attended, weights = self.self_attn(self.input_layernorm(x), rotation, view, layer)
        x = x + attended
        return x + self.mlp(self.post_attention_layernorm(x)), weights


class LlamaModel(PretrainedModel):
    """The decoder without the head: a hidden state for every position."""

    config_class = LlamaConfig
    base_prefix = "model."

    def __init__(self, config: LlamaConfig):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([LlamaLayer(config) for _ in range(config.num_layers)])
        self.norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        initialise(self, config.initializer_range, config.num_layers, RESIDUAL)

    def forward(
        self,
        input_ids,
        attention_mask=None,
        position_ids=None,
        cache=None,
        output_attentions=False,
    ) -> DecoderOutput:
        """The arguments of `LlamaForCausalLM`; -> hidden states (B, L, E) after the last norm."""
        ids, mask, positions = (as_array(x) for x in (input_ids, attention_mask, position_ids))
        longest = self.config.max_positions
        view = look_back(ids, mask, positions, cache, output_attentions, longest)
        x = self.embed_tokens(ids)  # (B, L, E)
        rotation = self._rotation(view.positions, x.dtype)
        attentions = []
        for i, layer in enumerate(self.layers):
            run = layer if cache is not None else self.checkpointed(layer)
            x, weights = run(x, rotation, view, i)
            attentions.append(weights)
        return DecoderOutput(self.norm(x), tuple(attentions) if output_attentions else None)

    def _rotation(self, positions, dtype) -> Rotation:
        if positions.ndim == 2:  # (B, L): the same for all heads
            positions = positions[:, None]
        config = self.config
        return Rotation(*F.rotary_angles(positions, config.head_size, config.rope_theta, dtype))

    @classmethod
    def hugging_face_names(cls, config: LlamaConfig, prefix: str = "") -> NameTable:
        """Our parameter's name -> its name in Hugging Face's files: the same, after a prefix."""
        linear = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
        parts = [f"{name}.weight" for name in linear]
        parts += [f"{name}.bias" for name in linear if config.attention_bias]
        for name in ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"):
            parts += [f"{name}.weight", f"{name}.bias"] if config.mlp_bias else [f"{name}.weight"]
        parts += ["input_layernorm.weight", "post_attention_layernorm.weight"]
        names = ["embed_tokens.weight", "norm.weight"]
        names += [f"layers.{i}.{part}" for i in range(config.num_layers) for part in parts]
        return {name: prefix + name for name in names}


class LlamaForCausalLM(PretrainedModel):
    """Llama with its head: the probability of each token of the vocabulary to come next.

    The head is a matrix of its own, or with config.tie_word_embeddings the token embeddings'.
    """

    config_class = LlamaConfig
    base_prefix = "model."

    def __init__(self, config: LlamaConfig):
        super().__init__(config)
        self.model = LlamaModel(config)
        self.lm_head = None
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
            nn.init.normal_(self.lm_head.weight, std=config.initializer_range)

    def forward(
        self,
        input_ids,
        attention_mask=None,
        labels=None,
        position_ids=None,
        cache=None,
        output_attentions=False,
        last_only=False,
    ) -> CausalLMOutput:
        """Logits of the next token at every position, or at the last only.

        input_ids (B, L).  attention_mask (B, L), 0 where padding is; with a cache that holds P
        positions (B, P + L).  labels (B, L): usually input_ids again, shifted inside; -100 is
        ignored.  position_ids (L) or (B, L), by default P .. P + L - 1.  cache: see
        `minillm.models.causal`; with one, nothing is recorded for a gradient.

        Raises IndexError for an id outside the vocabulary; ValueError for no token, positions
        beyond max_position_embeddings, shapes that don't fit, labels together with last_only.
        """
        return predict(
            *(self.model, self.output_weight, input_ids, labels, last_only),
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=cache,
            output_attentions=output_attentions,
        )

    @property
    def output_weight(self):
        """The head's matrix (V, E): logits = hidden states times its transpose."""
        return self.model.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    @classmethod
    def hugging_face_names(cls, config: LlamaConfig) -> NameTable:
        """Our parameter's name -> its name in Hugging Face's files."""
        decoder = LlamaModel.hugging_face_names(config, prefix="model.")
        names: NameTable = {f"model.{name}": theirs for name, theirs in decoder.items()}
        if not config.tie_word_embeddings:
            names["lm_head.weight"] = "lm_head.weight"
        return names

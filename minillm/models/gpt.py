"""GPT-2 (Radford et al. 2019): a Transformer decoder that predicts the next token.

    ids -> token + position embeddings -> L layers -> last norm -> the token embeddings again

The norms stand before each branch (section 2.3), so that the residual stream is a plain sum:
x = x + attention(norm(x)), x = x + mlp(norm(x)).
"""

from minillm import functional as F
from minillm import nn
from minillm.autograd import Tensor
from minillm.models.bert_config import ACTIVATIONS
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
from minillm.models.gpt_config import GPTConfig
from minillm.models.pretrained import NameTable, PretrainedModel, Transposed

RESIDUAL = ("attention.output.weight", "mlp.output.weight")  # the ends of the branches


class GPTAttention(nn.Module):
    """Each position gathers from itself and those before it, in n_head subspaces at once."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.num_heads, self.attention_dropout = config.n_head, config.attn_pdrop
        self.qkv = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.output = nn.Linear(config.n_embd, config.n_embd)
        self.dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, x, view: View, layer: int):
        """x (B, L, E) -> (B, L, E) and the attention weights, if wished."""
        dropout = self.attention_dropout if self.training else 0.0
        qkv = self.qkv(x)  # (B, L, 3E)
        if view.cache is None and not view.visible:  # all heads in one function
            y = F.multi_head_attention(qkv, self.num_heads, view.mask, dropout, view.is_causal)
            weights = None
        else:
            q, k, v = self._split(qkv, recorded=view.cache is None)
            y, weights = attend(q, k, v, view, layer, dropout)
        return self.dropout(self.output(y)), weights

    def _split(self, qkv, recorded: bool):
        """(B, L, 3E) -> q, k, v (B, h, L, D) each."""
        B, L, threeE = qkv.shape
        shape = B, L, 3, self.num_heads, threeE // 3 // self.num_heads
        if recorded:
            return qkv.reshape(shape).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.data.reshape(shape).transpose(2, 0, 3, 1, 4)
        return Tensor(q), Tensor(k), Tensor(v)


class GPTMLP(nn.Module):
    """Two linear layers at each position, four times as wide in between."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.inner = nn.Linear(config.n_embd, config.inner_size)
        self.output = nn.Linear(config.inner_size, config.n_embd)
        self.activation = ACTIVATIONS[config.activation_function]
        self.dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, x):
        return self.dropout(self.output(self.activation(self.inner(x))))


class GPTLayer(nn.Module):
    """Attention, then the MLP; each reads the normed stream and adds to it."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attention = GPTAttention(config)
        self.mlp_norm = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.mlp = GPTMLP(config)

    def forward(self, x, view: View, layer: int):
        attended, weights = self.attention(self.attention_norm(x), view, layer)
        x = x + attended
        return x + self.mlp(self.mlp_norm(x)), weights


class GPTModel(PretrainedModel):
    """The decoder without the head: a hidden state for every position."""

    config_class = GPTConfig
    base_prefix = "transformer."

    def __init__(self, config: GPTConfig):
        super().__init__(config)
        self.token = nn.Embedding(config.vocab_size, config.n_embd)
        self.position = nn.Embedding(config.n_positions, config.n_embd)
        self.dropout = nn.Dropout(config.embd_pdrop)
        self.layers = nn.ModuleList([GPTLayer(config) for _ in range(config.n_layer)])
        self.norm = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        initialise(self, config.initializer_range, config.n_layer, RESIDUAL)

    def forward(
        self,
        input_ids,
        attention_mask=None,
        position_ids=None,
        cache=None,
        output_attentions=False,
    ) -> DecoderOutput:
        """The arguments of `GPTForCausalLM`; -> hidden states (B, L, E) after the last norm."""
        ids, mask, positions = (as_array(x) for x in (input_ids, attention_mask, position_ids))
        view = look_back(ids, mask, positions, cache, output_attentions, self.config.n_positions)
        x = self.dropout(self.token(ids) + self.position(view.positions))  # (B, L, E)
        attentions = []
        for i, layer in enumerate(self.layers):
            run = layer if cache is not None else self.checkpointed(layer)
            x, weights = run(x, view, i)
            attentions.append(weights)
        return DecoderOutput(self.norm(x), tuple(attentions) if output_attentions else None)

    @classmethod
    def hugging_face_names(cls, config: GPTConfig, prefix: str = "") -> NameTable:
        """Our parameter's name -> its name in Hugging Face's files.

        Their linear layers are `Conv1D`, y = x W + b: W is our weight transposed.
        """
        names: NameTable = {
            "token.weight": f"{prefix}wte.weight",
            "position.weight": f"{prefix}wpe.weight",
        }
        for i in range(config.n_layer):
            ours, theirs = f"layers.{i}", f"{prefix}h.{i}"
            for norm, their_norm in (("attention_norm", "ln_1"), ("mlp_norm", "ln_2")):
                for part in ("weight", "bias"):
                    names[f"{ours}.{norm}.{part}"] = f"{theirs}.{their_norm}.{part}"
            for linear, their_linear in (
                ("attention.qkv", "attn.c_attn"),
                ("attention.output", "attn.c_proj"),
                ("mlp.inner", "mlp.c_fc"),
                ("mlp.output", "mlp.c_proj"),
            ):
                names[f"{ours}.{linear}.weight"] = Transposed(f"{theirs}.{their_linear}.weight")
                names[f"{ours}.{linear}.bias"] = f"{theirs}.{their_linear}.bias"
        return names | {f"norm.{part}": f"{prefix}ln_f.{part}" for part in ("weight", "bias")}


class GPTForCausalLM(PretrainedModel):
    """GPT-2 with its head: the probability of each token of the vocabulary to come next.

    The head is the token embeddings' matrix again, unless config.tie_word_embeddings is False.
    """

    config_class = GPTConfig
    base_prefix = "transformer."

    def __init__(self, config: GPTConfig):
        super().__init__(config)
        self.transformer = GPTModel(config)
        self.head = None
        if not config.tie_word_embeddings:
            self.head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
            nn.init.normal_(self.head.weight, std=config.initializer_range)

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
        beyond n_positions, shapes that don't fit, labels together with last_only.
        """
        return predict(
            *(self.transformer, self.output_weight, input_ids, labels, last_only),
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=cache,
            output_attentions=output_attentions,
        )

    @property
    def output_weight(self):
        """The head's matrix (V, E): logits = hidden states times its transpose."""
        return self.transformer.token.weight if self.head is None else self.head.weight

    @classmethod
    def hugging_face_names(cls, config: GPTConfig) -> NameTable:
        """Our parameter's name -> its name in Hugging Face's files."""
        decoder = GPTModel.hugging_face_names(config, prefix="transformer.")
        names: NameTable = {f"transformer.{name}": theirs for name, theirs in decoder.items()}
        return names if config.tie_word_embeddings else names | {"head.weight": "lm_head.weight"}

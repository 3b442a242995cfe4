"""BERT (Devlin et al. 2018): a Transformer encoder that is pretrained by filling gaps.

    ids -> token + position + segment embeddings -> L encoder layers -> hidden states
        -> masked words: which token stood at each gap?      (MLM, section 3.1, task 1)
        -> next sentence: did B really follow A?             (NSP, section 3.1, task 2)

The layers are the original post-norm ones: x = LayerNorm(x + sublayer(x)).
"""

from typing import Any, NamedTuple

import numpy as np

from minillm import functional as F
from minillm import nn
from minillm.autograd import Tensor
from minillm.backend import array_module
from minillm.models.bert_config import ACTIVATIONS, BertConfig
from minillm.models.pretrained import NameTable, PretrainedModel

IGNORED = -100  # the label of a position that is not to be predicted


class BertModelOutput(NamedTuple):
    """last_hidden_state (B, L, H), pooler_output (B, H), attentions: a (B, heads, L, L) a layer."""

    last_hidden_state: Tensor
    pooler_output: Tensor
    attentions: tuple[Tensor, ...] | None = None


class BertForPreTrainingOutput(NamedTuple):
    """loss (scalar, or None without labels), prediction_logits, seq_relationship_logits (B, 2).

    prediction_logits is (B, L, V); with `labels` it has a row for each labelled position only,
    in reading order: (number of masked positions, V).
    """

    loss: Tensor | None
    prediction_logits: Tensor
    seq_relationship_logits: Tensor
    attentions: tuple[Tensor, ...] | None = None


class BertEmbeddings(nn.Module):
    """What stands here, where it stands, and in which sentence: three vectors added (figure 2)."""

    def __init__(self, config: BertConfig):
        super().__init__()
        width = config.hidden_size
        self.word = nn.Embedding(config.vocab_size, width, padding_idx=config.pad_token_id)
        self.position = nn.Embedding(config.max_position_embeddings, width)
        self.token_type = nn.Embedding(config.type_vocab_size, width)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids, token_type_ids):
        length, longest = input_ids.shape[1], len(self.position.weight)
        if length > longest:
            raise ValueError(
                f"a sequence of {length} tokens is longer than the model's {longest} positions: "
                "truncate it, or make the model with a larger max_position_embeddings"
            )
        x = self.word(input_ids) + self.position.weight[:length]  # (B, L, H)
        x = x + self.token_type(token_type_ids)
        return self.dropout(self.norm(x))


class BertLayer(nn.Module):
    """Self-attention, then two linear layers at each position; a residual and a norm after each."""

    def __init__(self, config: BertConfig):
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.attention = nn.MultiheadAttention(
            width,
            config.num_attention_heads,
            dropout=config.attention_probs_dropout_prob,
            batch_first=True,
        )
        self.attention_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.intermediate = nn.Linear(width, inner)
        self.output = nn.Linear(inner, width)
        self.output_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, x, padding, output_attentions=False, positions=None):
        """x (B, L, H) -> (B, L, H) and the attention weights, if wished.

        positions: numbers of the places (counted through the batch) that are wanted: (P, H) then.
        Attention mixes all places, but what follows it treats each by itself.
        """
        attended, weights = self.attention(
            *(x, x, x),
            key_padding_mask=padding,
            need_weights=output_attentions,
            average_attn_weights=False,
        )
        x = x + self.dropout(attended)
        if positions is not None:
            x = x.reshape(-1, x.shape[-1])[positions]
        x = self.attention_norm(x)
        inner = self.activation(self.intermediate(x))  # (B, L, 4H)
        x = self.output_norm(x + self.dropout(self.output(inner)))
        return x, weights


class BertModel(PretrainedModel):
    """The encoder: hidden states for every position, and a pooled vector of the first ([CLS])."""

    config_class = BertConfig
    base_prefix = "bert."

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.embeddings = BertEmbeddings(config)
        self.layers = nn.ModuleList([BertLayer(config) for _ in range(config.num_hidden_layers)])
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size)
        initialise(self, config)

    def forward(
        self, input_ids, token_type_ids=None, attention_mask=None, output_attentions=False
    ) -> BertModelOutput:
        """input_ids, token_type_ids (B, L) integers; attention_mask (B, L), 0 where padding is.

        Raises IndexError for an id outside the vocabulary, ValueError for a sequence longer than
        max_position_embeddings or inputs whose shapes differ.
        """
        x, attentions = self.encode(input_ids, token_type_ids, attention_mask, output_attentions)
        return BertModelOutput(x, self.pool(x[:, 0]), attentions)

    def pool(self, first):
        """The pooled vector of each sequence from its [CLS]'s hidden state, (B, H) -> (B, H)."""
        return F.tanh(self.pooler(first))

    def encode(
        self, input_ids, token_type_ids, attention_mask, output_attentions=False, positions=None
    ):
        """Hidden states (B, L, H), or (P, H) of `positions` only, and the attentions or None."""
        ids, types, mask = (_array(x) for x in (input_ids, token_type_ids, attention_mask))
        for name, other in (("token_type_ids", types), ("attention_mask", mask)):
            if other is not None and other.shape != ids.shape:
                raise ValueError(f"{name} {other.shape} must have input_ids' shape {ids.shape}")
        if ids.ndim != 2 or ids.shape[1] == 0:
            raise ValueError(
                f"input_ids must be (batch, length) with at least one token, got {ids.shape}"
            )
        if types is None:
            types = array_module(ids).zeros(ids.shape, ids.dtype)
        x = self.embeddings(ids, types)  # (B, L, H)
        padding = None if mask is None else mask == 0
        attentions = []
        last = len(self.layers) - 1
        for i, layer in enumerate(self.layers):
            run = self.checkpointed(layer)
            x, weights = run(x, padding, output_attentions, positions if i == last else None)
            attentions.append(weights)
        return x, tuple(attentions) if output_attentions else None

    @classmethod
    def hugging_face_names(cls, config: BertConfig, prefix: str = "") -> NameTable:
        """Our parameter's name -> its name in Hugging Face's files; several are stacked rows.

        prefix: "bert." where the encoder is a part of a model with heads.
        """
        names: NameTable = {
            "embeddings.word.weight": f"{prefix}embeddings.word_embeddings.weight",
            "embeddings.position.weight": f"{prefix}embeddings.position_embeddings.weight",
            "embeddings.token_type.weight": f"{prefix}embeddings.token_type_embeddings.weight",
            "embeddings.norm": f"{prefix}embeddings.LayerNorm",
            "pooler": f"{prefix}pooler.dense",
        }
        for i in range(config.num_hidden_layers):
            ours, theirs = f"layers.{i}", f"{prefix}encoder.layer.{i}"
            for part in ("weight", "bias"):
                names[f"{ours}.attention.in_proj_{part}"] = tuple(
                    f"{theirs}.attention.self.{projection}.{part}"
                    for projection in ("query", "key", "value")
                )
            names |= {
                f"{ours}.attention.out_proj": f"{theirs}.attention.output.dense",
                f"{ours}.attention_norm": f"{theirs}.attention.output.LayerNorm",
                f"{ours}.intermediate": f"{theirs}.intermediate.dense",
                f"{ours}.output": f"{theirs}.output.dense",
                f"{ours}.output_norm": f"{theirs}.output.LayerNorm",
            }
        return with_parts(names)


class BertForPreTraining(PretrainedModel):
    """BERT with its two pretraining heads; the output layer shares the token embeddings' weight."""

    config_class = BertConfig

    def __init__(self, config: BertConfig):
        super().__init__(config)
        width = config.hidden_size
        self.bert = BertModel(config)
        self.transform = nn.Linear(width, width)
        self.transform_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.decoder_bias = nn.Parameter(np.zeros(config.vocab_size, np.float32))
        self.seq_relationship = nn.Linear(width, 2)
        self.activation = ACTIVATIONS[config.hidden_act]
        initialise(self.transform, config)
        initialise(self.seq_relationship, config)

    def forward(
        self,
        input_ids,
        token_type_ids=None,
        attention_mask=None,
        labels=None,
        next_sentence_label=None,
        output_attentions=False,
    ) -> BertForPreTrainingOutput:
        """Predict the token at each position and whether B follows A.

        labels (B, L): the token to predict, -100 where none is; next_sentence_label (B,): 0 where
        B follows A, 1 where it is random.  loss = MLM cross-entropy + NSP cross-entropy, of those
        labels that are given.  With `labels` only the labelled positions and [CLS] pass the last
        layer's feed-forward network and the decoder: at 15 % these cost a sixth.
        """
        inputs = input_ids, token_type_ids, attention_mask, output_attentions
        labels, next_sentence_label = _array(labels), _array(next_sentence_label)
        losses = []
        if labels is None:
            hidden, attentions = self.bert.encode(*inputs)  # (B, L, H)
            first = hidden[:, 0]
            prediction_logits = self._decode(hidden)  # (B, L, V)
        else:
            xp = array_module(labels)
            B, L = labels.shape
            labels = labels.reshape(-1)
            masked = xp.flatnonzero(labels != IGNORED)
            wanted = xp.concatenate([xp.arange(0, B * L, L), masked])  # every [CLS], every gap
            hidden, attentions = self.bert.encode(*inputs, wanted)  # (B + masked, H)
            first, hidden = hidden[:B], hidden[B:]
            prediction_logits = self._decode(hidden)  # (masked, V)
            losses.append(F.cross_entropy(prediction_logits, labels[masked]))
        seq_relationship_logits = self.seq_relationship(self.bert.pool(first))  # (B, 2)
        if next_sentence_label is not None:
            losses.append(F.cross_entropy(seq_relationship_logits, next_sentence_label))
        loss = losses[0] + losses[1] if len(losses) == 2 else losses[0] if losses else None
        return BertForPreTrainingOutput(
            loss, prediction_logits, seq_relationship_logits, attentions
        )

    def _decode(self, hidden):
        hidden = self.transform_norm(self.activation(self.transform(hidden)))
        return F.linear(hidden, self.bert.embeddings.word.weight, self.decoder_bias)

    @classmethod
    def hugging_face_names(cls, config: BertConfig) -> NameTable:
        """Our parameter's name -> its name in Hugging Face's files."""
        encoder = BertModel.hugging_face_names(config, prefix="bert.")
        heads = {
            "transform": "cls.predictions.transform.dense",
            "transform_norm": "cls.predictions.transform.LayerNorm",
            "decoder_bias": "cls.predictions.bias",
            "seq_relationship": "cls.seq_relationship",
        }
        return {f"bert.{name}": theirs for name, theirs in encoder.items()} | with_parts(heads)


def initialise(module: nn.Module, config: BertConfig) -> None:
    """Weights from N(0, initializer_range^2), biases 0; norms keep 1 and 0 (appendix A.2, code)."""
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=config.initializer_range)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
    if isinstance(module, BertModel):
        module.embeddings.word.weight.data[config.pad_token_id] = 0


def with_parts(names: dict) -> dict:
    """Spell out `.weight` and `.bias` for entries that name a layer and not a parameter."""
    spelled = {}
    for ours, theirs in names.items():
        if isinstance(theirs, tuple) or ours.endswith((".weight", "_bias")):
            spelled[ours] = theirs
        else:
            spelled |= {f"{ours}.{part}": f"{theirs}.{part}" for part in ("weight", "bias")}
    return spelled


def _array(x) -> Any:
    """Ids and labels are plain arrays inside the model, whatever the caller has."""
    return x.data if isinstance(x, Tensor) else x

"""The peer's models, in PyTorch's own eager code, with our parameter names.

They compute what ours compute, with the functions that PyTorch has for it: one product for
queries, keys and values, its fused attention, its LSTM.  BERT's last layer and heads see only the
positions that are asked for, as in ours.
"""

import shapes
import torch
from torch import nn
from torch.nn import functional as F


def attend(qkv, heads: int, dropout: float, mask=None, is_causal: bool = False):
    """All heads' self-attention from the joint projection (B, L, 3W) -> (B, L, W)."""
    B, L, width = qkv.shape
    q, k, v = qkv.view(B, L, 3, heads, width // 3 // heads).permute(2, 0, 3, 1, 4)
    y = F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal)
    return y.transpose(1, 2).reshape(B, L, width // 3)


class GPTLayer(nn.Module):
    def __init__(self, shape: shapes.Transformer):
        super().__init__()
        width, self.heads, self.p = shape.width, shape.heads, shape.dropout
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mlp = nn.Module(), nn.Module()
        self.attention.qkv = nn.Linear(width, 3 * width)
        self.attention.output = nn.Linear(width, width)
        self.mlp.inner = nn.Linear(width, 4 * width)
        self.mlp.output = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x):
        qkv = self.attention.qkv(self.attention_norm(x))
        attended = attend(qkv, self.heads, self.p if self.training else 0.0, is_causal=True)
        x = x + self.dropout(self.attention.output(attended))
        inner = F.gelu(self.mlp.inner(self.mlp_norm(x)), approximate="tanh")
        return x + self.dropout(self.mlp.output(inner))


class GPT(nn.Module):
    """Tokens and positions, pre-norm layers that look back only, a head tied to the tokens."""

    def __init__(self, shape: shapes.Transformer):
        super().__init__()
        self.transformer = body = nn.Module()
        body.token = nn.Embedding(shape.vocab, shape.width)
        body.position = nn.Embedding(shape.length, shape.width)
        body.dropout = nn.Dropout(shape.dropout)
        body.layers = nn.ModuleList(GPTLayer(shape) for _ in range(shape.layers))
        body.norm = nn.LayerNorm(shape.width)

    def forward(self, input_ids, labels):
        body = self.transformer
        x = body.dropout(body.token(input_ids) + body.position.weight[: input_ids.shape[1]])
        for layer in body.layers:
            x = layer(x)
        logits = F.linear(body.norm(x), body.token.weight)  # (B, L, V)
        following = F.pad(labels[:, 1:], (0, 1), value=shapes.IGNORED)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), following.view(-1))


class LSTM(nn.Module):
    """Embedding, LSTM, and one logit from its last state."""

    def __init__(self, shape: shapes.Recurrent):
        super().__init__()
        self.embedding = nn.Embedding(shape.vocab, shape.width)
        self.lstm = nn.LSTM(shape.width, shape.width, shape.layers, batch_first=True)
        self.classifier = nn.Linear(shape.width, 1)

    def forward(self, input_ids, labels):
        _, (h, _) = self.lstm(self.embedding(input_ids))
        logits = self.classifier(h[-1]).reshape(-1)
        return F.binary_cross_entropy_with_logits(logits, labels.float())


class BertEmbeddings(nn.Module):
    def __init__(self, shape: shapes.Transformer):
        super().__init__()
        self.word = nn.Embedding(shape.vocab, shape.width, padding_idx=0)
        self.position = nn.Embedding(512, shape.width)
        self.token_type = nn.Embedding(2, shape.width)
        self.norm = nn.LayerNorm(shape.width, eps=1e-12)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, ids, types):
        x = self.word(ids) + self.position.weight[: ids.shape[1]] + self.token_type(types)
        return self.dropout(self.norm(x))


class BertLayer(nn.Module):
    def __init__(self, shape: shapes.Transformer):
        super().__init__()
        width, self.heads, self.p = shape.width, shape.heads, shape.dropout
        self.attention = nn.Module()
        self.attention.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.attention.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.attention.out_proj = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.intermediate = nn.Linear(width, 4 * width)
        self.output = nn.Linear(4 * width, width)
        self.output_norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x, mask, positions=None):
        """positions: of all places, counted through the batch, those that are wanted."""
        own = self.attention
        qkv = F.linear(x, own.in_proj_weight, own.in_proj_bias)
        attended = attend(qkv, self.heads, self.p if self.training else 0.0, mask)
        x = x + self.dropout(own.out_proj(attended))
        if positions is not None:
            x = x.view(-1, x.shape[-1])[positions]
        x = self.attention_norm(x)
        inner = F.gelu(self.intermediate(x))
        return self.output_norm(x + self.dropout(self.output(inner)))


class BertEncoder(nn.Module):
    def __init__(self, shape: shapes.Transformer):
        super().__init__()
        self.embeddings = BertEmbeddings(shape)
        self.layers = nn.ModuleList(BertLayer(shape) for _ in range(shape.layers))
        self.pooler = nn.Linear(shape.width, shape.width)

    def forward(self, ids, types, mask, positions):
        x = self.embeddings(ids, types)
        mask = mask[:, None, None, :] != 0
        for layer in self.layers[:-1]:
            x = layer(x, mask)
        return self.layers[-1](x, mask, positions)


class BERT(nn.Module):
    """BERT with its pretraining heads; of the last layer, [CLS] and the gaps are wanted."""

    def __init__(self, shape: shapes.Transformer):
        super().__init__()
        self.bert = BertEncoder(shape)
        self.transform = nn.Linear(shape.width, shape.width)
        self.transform_norm = nn.LayerNorm(shape.width, eps=1e-12)
        self.decoder_bias = nn.Parameter(torch.zeros(shape.vocab))
        self.seq_relationship = nn.Linear(shape.width, 2)

    def forward(self, input_ids, token_type_ids, attention_mask, labels, next_sentence_label):
        B, L = labels.shape
        labels = labels.view(-1)
        gaps = (labels != shapes.IGNORED).nonzero().view(-1)
        wanted = torch.cat([torch.arange(0, B * L, L), gaps])
        x = self.bert(input_ids, token_type_ids, attention_mask, wanted)
        hidden = self.transform_norm(F.gelu(self.transform(x[B:])))  # (gaps, W)
        logits = F.linear(hidden, self.bert.embeddings.word.weight, self.decoder_bias)
        pooled = torch.tanh(self.bert.pooler(x[:B]))
        following = F.cross_entropy(self.seq_relationship(pooled), next_sentence_label)
        return F.cross_entropy(logits, labels[gaps]) + following


class BERTClassifier(nn.Module):
    """BERT with a classification head; of the last layer, [CLS] is wanted."""

    def __init__(self, shape: shapes.Transformer):
        super().__init__()
        self.bert = BertEncoder(shape)
        self.dropout = nn.Dropout(shape.dropout)
        self.classifier = nn.Linear(shape.width, 2)

    def forward(self, input_ids, attention_mask, labels):
        B, L = input_ids.shape
        first = torch.arange(0, B * L, L)
        x = self.bert(input_ids, torch.zeros_like(input_ids), attention_mask, first)
        pooled = torch.tanh(self.bert.pooler(x))
        return F.cross_entropy(self.classifier(self.dropout(pooled)), labels)


class Published(nn.Module):
    """The classifier of the transformers library: its last layer computes every position."""

    def __init__(self, shape: shapes.Transformer):
        super().__init__()
        import transformers

        config = transformers.BertConfig(
            vocab_size=shape.vocab,
            hidden_size=shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=4 * shape.width,
            hidden_dropout_prob=shape.dropout,
            attention_probs_dropout_prob=shape.dropout,
        )
        self.model = transformers.BertForSequenceClassification(config)

    def forward(self, **batch):
        return self.model(**batch).loss

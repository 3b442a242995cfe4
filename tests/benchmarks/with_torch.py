"""The peer: each case in PyTorch's own eager code, with our parameter names."""

import math

import numpy as np
import shapes
import torch
from shapes import STEPS
from torch import nn
from torch.nn import functional as F


class GPT(nn.Module):
    """Tokens and positions, pre-norm layers that look back only, a head tied to the tokens."""

    def __init__(self, shape: shapes.Transformer):
        super().__init__()
        self.token = nn.Embedding(shape.vocab, shape.width)
        self.position = nn.Embedding(shape.length, shape.width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                *(shape.width, shape.heads, 4 * shape.width, shape.dropout),
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(shape.layers)
        )
        self.norm = nn.LayerNorm(shape.width)
        # PyTorch wants the mask besides is_causal, but then doesn't look at it.
        self.mask = nn.Transformer.generate_square_subsequent_mask(shape.length)

    def forward(self, ids, targets):
        x = self.token(ids) + self.position.weight
        for layer in self.layers:
            x = layer(x, src_mask=self.mask, is_causal=True)
        logits = F.linear(self.norm(x), self.token.weight)  # (B, L, V)
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))


class Classifier(nn.Module):
    """Embedding, LSTM, and one logit from its last state."""

    def __init__(self, shape: shapes.Recurrent):
        super().__init__()
        self.embedding = nn.Embedding(shape.vocab, shape.width)
        self.lstm = nn.LSTM(shape.width, shape.width, shape.layers, batch_first=True)
        self.linear = nn.Linear(shape.width, 1)

    def forward(self, ids, targets):
        _, (h, _) = self.lstm(self.embedding(ids))
        return F.binary_cross_entropy_with_logits(self.linear(h[-1]).reshape(-1), targets)


class BertEmbeddings(nn.Module):
    def __init__(self, shape: shapes.Transformer):
        super().__init__()
        self.word = nn.Embedding(shape.vocab, shape.width, padding_idx=0)
        self.position = nn.Embedding(shape.length, shape.width)
        self.token_type = nn.Embedding(2, shape.width)
        self.norm = nn.LayerNorm(shape.width, eps=1e-12)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, ids, types):
        x = self.word(ids) + self.position.weight[: ids.shape[1]] + self.token_type(types)
        return self.dropout(self.norm(x))


class BertLayer(nn.Module):
    def __init__(self, shape: shapes.Transformer):
        super().__init__()
        width = shape.width
        self.attention = nn.MultiheadAttention(
            width, shape.heads, dropout=shape.dropout, batch_first=True
        )
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.intermediate = nn.Linear(width, 4 * width)
        self.output = nn.Linear(4 * width, width)
        self.output_norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x, padding):
        attended, _ = self.attention(x, x, x, key_padding_mask=padding, need_weights=False)
        x = self.attention_norm(x + self.dropout(attended))
        inner = F.gelu(self.intermediate(x))
        return self.output_norm(x + self.dropout(self.output(inner)))


class BertEncoder(nn.Module):
    def __init__(self, shape: shapes.Transformer):
        super().__init__()
        self.embeddings = BertEmbeddings(shape)
        self.layers = nn.ModuleList(BertLayer(shape) for _ in range(shape.layers))
        self.pooler = nn.Linear(shape.width, shape.width)

    def forward(self, ids, types, mask):
        x = self.embeddings(ids, types)
        for layer in self.layers:
            x = layer(x, mask == 0)
        return x, torch.tanh(self.pooler(x[:, 0]))


class BERT(nn.Module):
    """BERT with its pretraining heads; like ours, it decodes the masked positions only."""

    def __init__(self, shape: shapes.Transformer):
        super().__init__()
        self.bert = BertEncoder(shape)
        self.transform = nn.Linear(shape.width, shape.width)
        self.transform_norm = nn.LayerNorm(shape.width, eps=1e-12)
        self.decoder_bias = nn.Parameter(torch.zeros(shape.vocab))
        self.seq_relationship = nn.Linear(shape.width, 2)

    def forward(self, input_ids, token_type_ids, attention_mask, labels, next_sentence_label):
        x, pooled = self.bert(input_ids, token_type_ids, attention_mask)
        masked = labels != shapes.IGNORED
        hidden = self.transform_norm(F.gelu(self.transform(x[masked])))  # (masked, H)
        logits = F.linear(hidden, self.bert.embeddings.word.weight, self.decoder_bias)
        following = F.cross_entropy(self.seq_relationship(pooled), next_sentence_label)
        return F.cross_entropy(logits, labels[masked]) + following


class BERTClassifier(nn.Module):
    """That of the transformers library."""

    def __init__(self, shape: shapes.Transformer):
        super().__init__()
        import transformers

        config = transformers.BertConfig(**shapes.bert_config(shape))
        self.model = transformers.BertForSequenceClassification(config)

    def forward(self, **batch):
        return self.model(**batch).loss


class Step:
    """One training step: forward, backward, clipping, update."""

    def __init__(self, model: nn.Module, batch: dict, optimizer):
        self.model = load(model)
        self.batch = batch
        self.optimizer = optimizer(model.parameters(), lr=1e-4)

    def gradient(self):
        self.optimizer.zero_grad()
        loss = self.model(**{name: torch.tensor(array) for name, array in self.batch.items()})
        loss.backward()
        return loss

    def check(self) -> dict:
        self.model.eval()
        loss = self.gradient().item()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), math.inf).item()
        self.model.train()
        return {"loss": loss, "gradient norm": norm}

    def run(self) -> None:
        self.gradient()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()


class Part:
    """Forward and backward of one function."""

    def __init__(self, function, arrays: dict):
        self.function = function
        self.inputs = {n: torch.tensor(a, requires_grad=True) for n, a in arrays.items()}
        shape = function(**self.inputs).shape
        self.dy = torch.tensor(np.asarray(shapes.random("dy", *shape)))

    def run(self):
        for tensor in self.inputs.values():
            tensor.grad = None
        y = self.function(**self.inputs)
        y.backward(self.dy)
        return y

    def check(self) -> dict:
        sizes = {"value": self.run().detach().norm().item()}
        return sizes | {f"d{n}": t.grad.norm().item() for n, t in self.inputs.items()}


class Update:
    """One AdamW step over all parameters of a model."""

    def __init__(self, model: nn.Module):
        self.parameters = list(load(model).parameters())
        for parameter in self.parameters:
            parameter.grad = parameter.detach().clone()
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-4)

    def run(self) -> None:
        self.optimizer.step()

    def check(self) -> dict:
        self.run()
        return {"weights": math.sqrt(sum((p.detach() ** 2).sum().item() for p in self.parameters))}


def load(model: nn.Module) -> nn.Module:
    """The model with the weights that our side starts from."""
    if isinstance(model, BERTClassifier):
        load(model.model)
        return model
    values = shapes.weights({n: tuple(p.shape) for n, p in model.state_dict().items()})
    model.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    return model


IDS, TARGETS = torch.tensor(shapes.embedded_ids()), torch.tensor(shapes.classes())
FUNCTIONS = {
    "linear": lambda x, weight, bias: F.linear(x, weight, bias),
    "layer_norm": lambda x, weight, bias: F.layer_norm(x, (x.shape[-1],), weight, bias),
    "gelu": lambda x: F.gelu(x),
    "softmax": lambda x: F.softmax(x, -1),
    "attention": F.scaled_dot_product_attention,
    "attention causal": lambda query, key, value: F.scaled_dot_product_attention(
        query, key, value, is_causal=True
    ),
    "dropout": lambda x: F.dropout(x, 0.1),
    "embedding": lambda weight: F.embedding(IDS, weight),
    "cross_entropy": lambda logits: F.cross_entropy(logits, TARGETS),
}


def make(case: str):
    """The case called `case`: an object with `run()` and `check()`."""
    torch.manual_seed(0)
    if case.startswith("bert"):
        return Step(BERT(STEPS[case]), shapes.bert_batch(STEPS[case]), torch.optim.AdamW)
    if case.startswith("minilm"):
        model = BERTClassifier(STEPS[case])
        return Step(model, shapes.classified_batch(STEPS[case]), torch.optim.AdamW)
    if case == "gpt":
        return Step(GPT(STEPS[case]), shapes.gpt_batch(STEPS[case]), torch.optim.AdamW)
    if case == "lstm":
        return Step(Classifier(STEPS[case]), shapes.lstm_batch(STEPS[case]), torch.optim.Adam)
    if case == shapes.ADAMW:
        return Update(BERT(STEPS["bert-mini"]))
    return Part(FUNCTIONS[case], shapes.part_arguments(case))

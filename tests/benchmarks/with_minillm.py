"""Our side: each case as a user of minillm would write it."""

import math

import numpy as np
import shapes
from shapes import STEPS

import minillm
from minillm import functional as F
from minillm import nn, optim
from minillm.models import BertConfig, BertForPreTraining, BertForSequenceClassification
from minillm.models.pretrained import from_hugging_face, to_hugging_face
from minillm.training.parallel import MicroBatches


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

    def forward(self, ids, targets):
        x = self.token(ids) + self.position.weight
        for layer in self.layers:
            x = layer(x, is_causal=True)
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


class BERT(BertForPreTraining):
    """The library's own, its loss only."""

    def __init__(self, shape: shapes.Transformer):
        super().__init__(
            BertConfig(
                vocab_size=shape.vocab,
                hidden_size=shape.width,
                num_hidden_layers=shape.layers,
                num_attention_heads=shape.heads,
                intermediate_size=4 * shape.width,
                max_position_embeddings=shape.length,
                hidden_dropout_prob=shape.dropout,
                attention_probs_dropout_prob=shape.dropout,
            )
        )

    def forward(self, **batch):
        return super().forward(**batch).loss


class BERTClassifier(BertForSequenceClassification):
    """The library's own, its loss only."""

    def __init__(self, shape: shapes.Transformer):
        super().__init__(BertConfig(**shapes.bert_config(shape)))

    def forward(self, **batch):
        return super().forward(**batch).loss

    def starting_weights(self) -> dict:
        """Those of the peer, which has other names (and three projections where we have one)."""
        table = self.hugging_face_names(self.config)
        sizes = {n: a.shape for n, a in to_hugging_face(self.state_dict(), table).items()}
        return from_hugging_face(shapes.weights(sizes), table)


class Step:
    """One training step: forward, backward, clipping, update.

    threads: 1 leaves both cores to BLAS; 2 gives half of the batch to each of two Python threads.
    """

    def __init__(self, model: nn.Module, batch: dict, optimizer, threads: int = 1):
        self.model = model
        if isinstance(model, BERTClassifier):
            model.load_state_dict(model.starting_weights())
        else:
            sizes = {n: p.shape for n, p in model.state_dict().items()}
            model.load_state_dict(shapes.weights(sizes))
        self.optimizer = optimizer(model.parameters(), lr=1e-4)
        self.micro_batches = MicroBatches(model, threads)
        cuts = [np.array_split(array, threads) for array in batch.values()]
        self.parts = [dict(zip(batch, part, strict=True)) for part in zip(*cuts, strict=True)]

    def gradient(self) -> list:
        def compute(model, micro):
            batch = {name: minillm.tensor(array) for name, array in self.parts[micro].items()}
            loss = model(**batch) / len(self.parts)
            loss.backward()
            return loss.detach()

        return self.micro_batches.run(compute, len(self.parts))

    def check(self) -> dict:
        self.model.eval()
        loss = sum(part.item() for part in self.gradient())
        norm = optim.clip_grad_norm_(self.model.parameters(), math.inf).item()
        self.model.train()
        return {"loss": loss, "gradient norm": norm}

    def run(self) -> None:
        self.gradient()
        optim.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()


class Part:
    """Forward and backward of one function."""

    def __init__(self, function, arrays: dict):
        self.function = function
        self.inputs = {n: minillm.tensor(a, requires_grad=True) for n, a in arrays.items()}
        shape = function(**self.inputs).shape
        self.dy = minillm.tensor(np.asarray(shapes.random("dy", *shape)))

    def run(self):
        for tensor in self.inputs.values():
            tensor.grad = None
        y = self.function(**self.inputs)
        y.backward(self.dy)
        return y

    def check(self) -> dict:
        sizes = {"value": np.linalg.norm(self.run().numpy())}
        return sizes | {f"d{n}": np.linalg.norm(t.grad) for n, t in self.inputs.items()}


class Update:
    """One AdamW step over all parameters of a model."""

    def __init__(self, model: nn.Module):
        self.parameters = list(model.parameters())
        model.load_state_dict(shapes.weights({n: p.shape for n, p in model.state_dict().items()}))
        for parameter in self.parameters:
            parameter.grad = parameter.data.copy()
        self.optimizer = optim.AdamW(self.parameters, lr=1e-4)

    def run(self) -> None:
        self.optimizer.step()

    def check(self) -> dict:
        self.run()
        return {"weights": math.sqrt(sum(float((p.data**2).sum()) for p in self.parameters))}


IDS, TARGETS = minillm.tensor(shapes.embedded_ids()), minillm.tensor(shapes.classes())
FUNCTIONS = {
    "linear": F.linear,
    "layer_norm": lambda x, weight, bias: F.layer_norm(x, (x.shape[-1],), weight, bias),
    "gelu": F.gelu,
    "softmax": F.softmax,
    "attention": F.scaled_dot_product_attention,
    "attention causal": lambda query, key, value: F.scaled_dot_product_attention(
        query, key, value, is_causal=True
    ),
    "dropout": lambda x: F.dropout(x, 0.1),
    "embedding": lambda weight: F.embedding(IDS, weight),
    "cross_entropy": lambda logits: F.cross_entropy(logits, TARGETS),
}


def make(case: str, threads: int = 1):
    """The case called `case`: an object with `run()` and `check()`."""
    minillm.manual_seed(0)
    if case.startswith("bert"):
        return Step(BERT(STEPS[case]), shapes.bert_batch(STEPS[case]), optim.AdamW, threads)
    if case.startswith("minilm"):
        model = BERTClassifier(STEPS[case])
        return Step(model, shapes.classified_batch(STEPS[case]), optim.AdamW, threads)
    if case == "gpt":
        return Step(GPT(STEPS[case]), shapes.gpt_batch(STEPS[case]), optim.AdamW, threads)
    if case == "lstm":
        return Step(Classifier(STEPS[case]), shapes.lstm_batch(STEPS[case]), optim.Adam, threads)
    if case == shapes.ADAMW:
        return Update(BERT(STEPS["bert-mini"]))
    return Part(FUNCTIONS[case], shapes.part_arguments(case))

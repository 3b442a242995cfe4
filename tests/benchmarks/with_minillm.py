"""Our side: each case with the library's own models, as a user would run it."""

import math

import numpy as np
import shapes
from memory import give_back
from shapes import STEPS

import minillm
from minillm import functional as F
from minillm import nn, optim
from minillm.models import (
    BertConfig,
    BertForPreTraining,
    BertForSequenceClassification,
    GPTConfig,
    GPTForCausalLM,
)
from minillm.models.lstm_classifier import LSTMConfig, LSTMForSequenceClassification
from minillm.training.parallel import MicroBatches
from minillm.training.processes import MicroBatchProcesses

CLASSES = {0: "negative", 1: "positive"}


def gpt(shape: shapes.Transformer) -> nn.Module:
    return GPTForCausalLM(
        GPTConfig(
            vocab_size=shape.vocab,
            n_positions=shape.length,
            n_embd=shape.width,
            n_layer=shape.layers,
            n_head=shape.heads,
            resid_pdrop=shape.dropout,
            embd_pdrop=shape.dropout,
            attn_pdrop=shape.dropout,
        )
    )


def bert_config(shape: shapes.Transformer) -> BertConfig:
    return BertConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.width,
        hidden_dropout_prob=shape.dropout,
        attention_probs_dropout_prob=shape.dropout,
        id2label=CLASSES,
    )


def lstm(shape: shapes.Recurrent) -> nn.Module:
    return LSTMForSequenceClassification(
        LSTMConfig(
            vocab_size=shape.vocab,
            id2label=CLASSES,
            embedding_size=shape.width,
            hidden_size=shape.width,
            num_layers=shape.layers,
            use_mask=False,  # the texts are all of one length
        )
    )


def model_of(case: str) -> nn.Module:
    """The model of a step, with the weights that both sides start from."""
    shape = STEPS[case]
    if isinstance(shape, shapes.Recurrent):
        model = lstm(shape)
    elif case.startswith("gpt"):
        model = gpt(shape)
    elif case.startswith("bert"):
        model = BertForPreTraining(bert_config(shape))
    else:
        model = BertForSequenceClassification(bert_config(shape))
    return load(model)


def load(model: nn.Module) -> nn.Module:
    model.load_state_dict(shapes.weights({n: p.shape for n, p in model.state_dict().items()}))
    return model


class Step:
    """One training step: forward, backward, clipping, update; as `Trainer.train_step` does it.

    By default both cores are left to BLAS; processes=2 or threads=2 gives half of the batch to each
    of two processes or threads.
    """

    def __init__(self, model: nn.Module, batch: dict, optimizer, processes=1, threads=1):
        self.model, self.batch, self.parts = model, batch, max(processes, threads)
        self.optimizer = optimizer(model.parameters(), lr=shapes.RATE)
        if processes == 1:
            self.micro_batches = MicroBatches(model, self.compute, threads)
        else:
            self.micro_batches = MicroBatchProcesses(model, self.compute, processes)
        self.steps = 0

    def gradient(self, batch: dict) -> float:
        """Fill the gradients; the loss."""
        cuts = [np.array_split(array, self.parts) for array in batch.values()]
        parts = [dict(zip(batch, part, strict=True)) for part in zip(*cuts, strict=True)]
        jobs = [(self.steps, micro, len(parts), part) for micro, part in enumerate(parts)]
        return sum(self.micro_batches.run(jobs))

    @staticmethod
    def compute(model, step: int, micro: int, divisor: int, part: dict | None) -> float:
        if part is None:
            give_back()
            return 0.0
        minillm.manual_seed([0, step, micro])
        loss = model(**{n: minillm.tensor(a) for n, a in part.items()}).loss / divisor
        loss.backward()
        return loss.item()

    def run(self, batch: dict | None = None) -> tuple[float, float]:
        """The loss and the gradient's norm."""
        loss = self.gradient(self.batch if batch is None else batch)
        norm = optim.clip_grad_norm_(self.model.parameters(), 1.0).item()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise ArithmeticError(f"loss {loss}, gradient norm {norm}")
        self.optimizer.step()
        self.steps += 1
        return loss, norm

    def check(self) -> dict:
        self.model.eval()  # no dropout, which is random
        results = [self.run(shapes.some_rows(self.batch)) for _ in range(shapes.CHECKED_STEPS)]
        self.model.train()
        return shapes.named_results(results)

    def forget(self) -> None:
        """Free what a step leaves behind but weights and moments, in all processes."""
        self.model.zero_grad()
        self.micro_batches.run([(0, micro, self.parts, None) for micro in range(self.parts)])


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
        for parameter in self.parameters:
            parameter.grad = parameter.data.copy()
        self.optimizer = optim.AdamW(self.parameters, lr=shapes.RATE)

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


def make(case: str, processes: int = 1, threads: int = 1):
    """The case called `case`: an object with `run()` and `check()`."""
    minillm.manual_seed(0)
    if case in STEPS:
        optimizer = optim.Adam if case == "lstm" else optim.AdamW
        return Step(model_of(case), shapes.batch_of(case), optimizer, processes, threads)
    if case == shapes.ADAMW:
        return Update(model_of("bert-mini"))
    return Part(FUNCTIONS[case], shapes.part_arguments(case))

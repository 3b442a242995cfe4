"""The peer: each case in PyTorch's own eager code."""

import math

import numpy as np
import shapes
import torch
from shapes import STEPS
from torch import nn
from torch.nn import functional as F
from torch_models import BERT, GPT, LSTM, BERTClassifier, Published


class Step:
    """One training step: forward, backward, clipping, update."""

    def __init__(self, model: nn.Module, batch: dict, optimizer):
        self.model, self.batch = model, batch
        self.optimizer = optimizer(model.parameters(), lr=shapes.RATE)

    def run(self, batch: dict | None = None) -> tuple[float, float]:
        """The loss and the gradient's norm."""
        batch = self.batch if batch is None else batch
        self.optimizer.zero_grad()
        loss = self.model(**{name: torch.from_numpy(array) for name, array in batch.items()})
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        loss, norm = loss.item(), norm.item()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise ArithmeticError(f"loss {loss}, gradient norm {norm}")
        self.optimizer.step()
        return loss, norm

    def check(self) -> dict:
        self.model.eval()  # no dropout, which is random
        results = [self.run(shapes.some_rows(self.batch)) for _ in range(shapes.CHECKED_STEPS)]
        self.model.train()
        return shapes.named_results(results)

    def forget(self) -> None:
        """Free what a step leaves behind but weights and moments."""
        self.optimizer.zero_grad()


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
        self.parameters = list(model.parameters())
        for parameter in self.parameters:
            parameter.grad = parameter.detach().clone()
        self.optimizer = torch.optim.AdamW(self.parameters, lr=shapes.RATE)

    def run(self) -> None:
        self.optimizer.step()

    def check(self) -> dict:
        self.run()
        return {"weights": math.sqrt(sum((p.detach() ** 2).sum().item() for p in self.parameters))}


def model_of(case: str) -> nn.Module:
    """The model of a step, with the weights that both sides start from."""
    kinds = {"gpt": GPT, "bert": BERT, "minilm": BERTClassifier, "lstm": LSTM}
    model = kinds[case.partition("-")[0]](STEPS[case])
    values = shapes.weights({n: tuple(p.shape) for n, p in model.state_dict().items()})
    model.load_state_dict({name: torch.from_numpy(value) for name, value in values.items()})
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


def make(case: str, published: bool = False):
    """The case called `case`: an object with `run()` and `check()`."""
    torch.manual_seed(0)
    if case in STEPS:
        model = Published(STEPS[case]) if published else model_of(case)
        optimizer = torch.optim.Adam if case == "lstm" else torch.optim.AdamW
        return Step(model, shapes.batch_of(case), optimizer)
    if case == shapes.ADAMW:
        return Update(model_of("bert-mini"))
    return Part(FUNCTIONS[case], shapes.part_arguments(case))

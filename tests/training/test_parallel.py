"""Threads compute what the plain loop computes, to the last bit."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import minillm
from minillm import functional as F
from minillm import nn
from minillm.training import Trainer
from minillm.training.parallel import MicroBatches, replicate


class Tied(nn.Module):
    """One table used for looking up and for predicting, and dropout between."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.inner = nn.Linear(6, 6)
        self.dropout = nn.Dropout(0.3)

    def forward(self, ids):
        h = self.dropout(F.tanh(self.inner(self.embedding(ids))))
        return F.linear(h, self.embedding.weight)


def train(device, threads):
    minillm.manual_seed(0)
    model = Tied()

    def batch(index):
        ids = np.random.default_rng(index).integers(0, 11, (4, 5))
        return {"ids": ids, "targets": (ids + 1) % 11}

    def objective(model, batch):
        logits = model(batch["ids"]).reshape(-1, 11)
        return F.cross_entropy(logits, batch["targets"].reshape(-1)), {}

    trainer = Trainer(
        model,
        objective,
        batch,
        steps=6,
        learning_rate=1e-2,
        accumulate=4,
        threads=threads,
        device=device,
        progress=False,
    )
    with threadpool_limits(1):
        history = trainer.run()
    state = {name: minillm.Tensor(a).numpy() for name, a in model.state_dict().items()}
    return [record["loss"] for record in history], state


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_threads_equal_the_plain_loop(device, threads):
    if device == "cuda":
        pytest.skip("threads share micro batches on the CPU only")
    plain_losses, plain = train(device, 1)
    losses, state = train(device, threads)
    assert losses == plain_losses
    for name, array in plain.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)


def test_a_replica_shares_values_but_not_gradients(device):
    model = Tied().to(device)
    replica = replicate(model)
    assert [n for n, _ in replica.named_parameters()] == [n for n, _ in model.named_parameters()]
    for mine, twin in zip(model.parameters(), replica.parameters(), strict=True):
        assert twin is not mine and twin.data is mine.data
    ids = minillm.tensor(np.arange(5), device=device)
    replica(ids).sum().backward()
    assert replica.embedding.weight.grad is not None
    assert model.embedding.weight.grad is None


def test_an_error_in_a_thread_reaches_the_caller(device):
    def compute(model, micro):
        raise ValueError(f"micro batch {micro}")

    with MicroBatches(Tied().to(device), compute, 2) as micro_batches:
        with pytest.raises(ValueError, match="micro batch 0"):
            micro_batches.run([(0,), (1,)])


def test_what_a_failed_run_computed_is_not_in_the_next(device):
    def compute(model, fails):
        model.weight.sum().backward()  # adds 1
        if fails:
            raise ValueError("after the gradient")

    model = nn.Linear(2, 2).to(device)
    with MicroBatches(model, compute) as micro_batches:
        with pytest.raises(ValueError, match="after the gradient"):
            micro_batches.run([(True,)])
        micro_batches.run([(False,)])
    assert (model.weight.grad == 1).all()


def test_every_thread_needs_a_micro_batch(device):
    with pytest.raises(ValueError, match="threads=2: every thread needs a micro batch"):
        Trainer(Tied(), None, None, steps=1, learning_rate=1, threads=2, device=device)

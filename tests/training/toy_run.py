"""A run of a second: a small network learns to count modulo 17.

Tests use it within their process, or as a program that they can kill:
`python toy_run.py --out FOLDER [--resume]`.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

import minillm
from minillm import functional as F
from minillm import nn
from minillm.training import Trainer, TrainingInterrupted
from minillm.training.checkpoint_folder import digest_of_content

V, T, WIDTH = 17, 6, 16  # ids, positions, width


class Counter(nn.Module):
    """id -> embedding -> hidden layer with dropout -> logits of the next id."""

    def __init__(self, width: int = WIDTH, dropout: float = 0.1):
        super().__init__()
        self.embedding = nn.Embedding(V, width)
        self.hidden = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, V)

    def forward(self, ids):
        x = F.relu(self.hidden(self.embedding(ids)))
        return self.output(self.dropout(self.norm(x)))


def make_model(width: int = WIDTH, dropout: float = 0.1) -> Counter:
    minillm.manual_seed(1)
    return Counter(width, dropout)


def batches(index: int, size: int = 8) -> dict[str, np.ndarray]:
    """Sequences that count up from random numbers: ids [size, T] and the ids that follow them."""
    start = np.random.default_rng([3, index]).integers(V, size=(size, 1))
    counted = (start + np.arange(T + 1)) % V
    return {"input_ids": counted[:, :-1], "labels": counted[:, 1:]}


def objective(model, batch):
    logits, labels = model(batch["input_ids"]), batch["labels"]
    loss = F.cross_entropy(logits.reshape(-1, V), labels.reshape(-1))
    with minillm.no_grad():
        spread = logits.max() - logits.mean()
    return loss, {"logit_spread": spread, "sequences": len(labels)}


def validate(model) -> dict[str, float]:
    assert not model.training
    device = next(iter(model.parameters())).device
    batch = {n: minillm.tensor(a, device=device) for n, a in batches(10_000).items()}
    return {"loss": objective(model, batch)[0].item()}


def make_trainer(model=None, **changes) -> Trainer:
    settings = {
        "steps": 12,
        "learning_rate": 0.02,
        "warmup_steps": 3,
        "validate": validate,
        "validate_every": 5,
        "seed": 11,
        "progress": False,
    }
    settings |= changes
    parts = {"objective": objective, "batches": batches}
    parts = {name: settings.pop(name, part) for name, part in parts.items()}
    return Trainer(make_model() if model is None else model, **parts, **settings)


def interrupt_at(step: int, number: signal.Signals = signal.SIGINT):
    """An objective that sends this process a signal in the given step (from 0), as Ctrl-C does."""
    steps_begun = iter(range(1_000_000))

    def interrupted(model, batch):
        if next(steps_begun) == step:
            signal.raise_signal(number)
        return objective(model, batch)

    return interrupted


def write_trainer_json(path: Path, content: dict) -> None:
    """A trainer.json whose digest is right, as another version of minillm may have written it."""
    content["digests"]["trainer.json"] = digest_of_content(content)
    (path / "trainer.json").write_text(json.dumps(content))


def environment() -> dict[str, str]:
    """For a process that runs this program: where it finds this minillm, and this file."""
    folders = [Path(minillm.__file__).parents[1], Path(__file__).parent]
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    if options.device == "strict":
        sys.path.insert(0, str(Path(__file__).parents[1]))
        from strict_device import StrictDevice

        from minillm.backend import register_device

        register_device(StrictDevice())
    trainer = make_trainer(
        steps=options.steps,
        out=options.out,
        device=options.device,
        checkpoint_every=2,
        monitor="-loss",
    )
    try:
        trainer.run(resume=options.resume)
    except TrainingInterrupted as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(128 + stopped.signal)


if __name__ == "__main__":
    main()


def split_batches(batches, parts):
    """Micro batches: number i is part i % parts of batch i // parts, every parts-th row of it."""

    def part(index):
        return {n: a[index % parts :: parts].copy() for n, a in batches(index // parts).items()}

    return part

"""The training loop, and all that lets a run be trusted: it can be stopped, resumed, followed.

    theta <- AdamW(theta, clip(mean gradient of the micro batches), learning rate of the step)

Everything that a step needs follows from its number: the batch (`batches`), the learning rate
(`schedule`), the random numbers (seeded anew at each step).  So the parameters and the optimizer's
moments are the whole state of a run, and a resumed run is the same run, bit for bit.
"""

import contextlib
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import numpy as np

import minillm
from minillm import functional as F
from minillm import optim
from minillm.autograd import Tensor
from minillm.backend import get_device
from minillm.training import checkpoint
from minillm.training.interrupt import StopRequest, TrainingInterrupted
from minillm.training.progress import Metrics, ProgressBar
from minillm.training.run_folder import own_run_folder

RANK = 0  # among processes that train together; each needs random numbers of its own

# What a run computes: a run may only be resumed with the same.
SETTINGS = (
    *("steps", "learning_rate", "warmup_steps", "schedule", "weight_decay", "betas", "eps"),
    *("clip_norm", "accumulate", "seed", "data_fingerprint"),
)

# The learning rate, a function of (step, peak, warmup, total).
SCHEDULES = {
    "linear": optim.linear_warmup_decay,
    "cosine": optim.cosine_warmup_decay,
    "constant": lambda step, peak, warmup, total: optim.constant(step, peak, warmup),
}


class TrainingDiverged(RuntimeError):
    """The loss or the gradient is no longer a finite number; the last checkpoint is intact."""


@dataclass(eq=False, repr=False)
class Trainer:
    """Changes the parameters of `model` step by step so that the loss of `objective` falls.

    trainer = Trainer(model, objective, batches, steps=1000, learning_rate=1e-3, out="runs/first")
    history = trainer.run()            # one record (a dict) a step: see progress.py
    history = trainer.run(resume=True) # goes on where a stopped run left off

    Raises ValueError for a setting out of its range; RuntimeError if the device isn't there.
    """

    model: object  # a Module
    objective: Callable  # (model, batch) -> (loss: 0-d Tensor, {name: number or 0-d Tensor})
    batches: Callable[[int], Mapping[str, np.ndarray]]  # a pure function of step*accumulate + micro
    _: KW_ONLY
    steps: int  # updates of the parameters
    learning_rate: float  # the highest, reached after
    warmup_steps: int = 0  # steps of linear rise; then
    schedule: str = "linear"  # or "cosine" decay to 0 at the end, or "constant"
    weight_decay: float = 0.01  # of matrices only: see `parameter_groups`
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    clip_norm: float | None = 1.0  # longer gradients are scaled down to this norm; None: never
    accumulate: int = 1  # micro batches an update: a large batch in the memory of a small one
    seed: int = 0  # of dropout
    device: str = "cpu"
    out: str | os.PathLike | None = None  # the run's folder; None: nothing is written
    validate: Callable | None = None  # model -> {name: number}, in evaluation mode under no_grad
    validate_every: int | None = None  # steps; always at the end
    checkpoint_every: int | None = None  # steps; always at the end
    keep_checkpoints: int = 2  # older ones are removed
    data_fingerprint: str | None = None  # another string for other data: compared on resuming
    progress: bool = True

    def __post_init__(self):
        for name in (
            "steps",
            "accumulate",
            "keep_checkpoints",
            "validate_every",
            "checkpoint_every",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value}, expected 1 or more")
        if self.checkpoint_every is not None and self.out is None:
            raise ValueError("checkpoint_every needs a folder to write to: give out=")
        if not 0 <= self.warmup_steps <= self.steps:
            raise ValueError(f"warmup_steps={self.warmup_steps}, expected 0 to steps={self.steps}")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if not (value is None or value > 0):
                raise ValueError(f"{name}={value}, expected more than 0")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule={self.schedule!r}, expected {', '.join(SCHEDULES)}")
        get_device(self.device)
        self.out = None if self.out is None else Path(self.out)
        self.optimizer = None

    # ------------------------------------------------------------------------------ one step

    def train_step(self, step: int) -> dict:
        """One update of the parameters; returns the step's record."""
        began = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = rate = self.learning_rate_at(step)
        values, tokens = self.compute_gradient(step)
        values["gradient_norm"] = optim.clip_grad_norm_(
            self.model.parameters(), math.inf if self.clip_norm is None else self.clip_norm
        )
        values = _read(values)
        if not (math.isfinite(values["loss"]) and math.isfinite(values["gradient_norm"])):
            raise TrainingDiverged(self._diagnose(step, values))
        self.optimizer.step()
        seconds = time.perf_counter() - began
        record = {"step": step + 1, "learning_rate": rate, "tokens": tokens}
        return record | values | {"tokens_per_second": tokens / seconds}

    def compute_gradient(self, step: int) -> tuple[dict, int]:
        """Fill `.grad` with dL/dtheta, L the mean loss of the step's micro batches.

        Returns the loss and the metrics (means, too), and the number of tokens.
        """
        minillm.manual_seed([self.seed, step, RANK])
        self.optimizer.zero_grad()
        means, tokens = {}, 0
        for micro in range(self.accumulate):
            arrays = self.batches(step * self.accumulate + micro)
            batch = {n: minillm.tensor(a, device=self.device) for n, a in arrays.items()}
            loss, metrics = _checked(self.objective(self.model, batch))
            loss = loss / self.accumulate  # so the gradients add up to that of the mean
            loss.backward()
            with minillm.no_grad():
                means["loss"] = means.get("loss", 0) + loss
                for name, value in metrics.items():
                    means[name] = means.get(name, 0) + value / self.accumulate
            tokens += _count_tokens(arrays)
        return means, tokens

    def learning_rate_at(self, step: int) -> float:
        """The rate of the update from `step` to step + 1, steps counted from 0."""
        schedule = SCHEDULES[self.schedule]
        return schedule(step, self.learning_rate, self.warmup_steps, self.steps)

    def _diagnose(self, step: int, values: dict) -> str:
        """Run the step, whose update didn't take place, again: who computed the first nan?"""
        try:
            with minillm.detect_anomaly(), np.errstate(all="ignore"):
                self.compute_gradient(step)
            cause = "each gradient is finite, but the sum of their squares is not"
        except FloatingPointError as error:
            cause = str(error)
        saved = checkpoint.checkpoints(self.out)[-1:] if self.out is not None else []
        return (
            f"training diverged in step {step + 1}: loss {values['loss']}, gradient norm "
            f"{values['gradient_norm']}, learning rate {self.learning_rate_at(step):.3g}. First "
            f"fault: {cause}. A lower learning rate or a longer warm-up may help; "
            + (f"the last checkpoint, {saved[0]}, is intact" if saved else "no checkpoint was made")
        )

    # ----------------------------------------------------------------------------- the whole run

    def run(self, resume: bool = False) -> list[dict]:
        """Train from the first step, or with `resume` from the newest checkpoint in `out`.

        Returns the records of all steps; the model is then in evaluation mode.

        Raises TrainingDiverged; TrainingInterrupted after Ctrl-C or SIGTERM (the state is saved);
        FileExistsError if `out` holds a run already and `resume` is not set; CheckpointError if
        its checkpoint doesn't fit; OSError and RunFolderInUse if `out` can't be used.
        """
        if resume and self.out is None:
            raise ValueError("resume=True needs the folder of the run to go on with: give out=")
        with contextlib.ExitStack() as stack:
            if self.out is not None:
                stack.enter_context(own_run_folder(self.out))
            done = self._begin(resume)
            metrics = stack.enter_context(Metrics(self.out, done))
            bar = stack.enter_context(ProgressBar(self.steps, done, self.progress))
            stop = stack.enter_context(StopRequest())
            before = metrics.history[-1]["seconds"] if metrics.history else 0
            began = time.perf_counter() - before
            for step in range(done, self.steps):
                self.model.train()
                record = self.train_step(step)
                if self.validate is not None and self._due(step + 1, self.validate_every):
                    record |= self._validate()
                metrics.append(record | {"seconds": time.perf_counter() - began})
                bar.update(record)
                if self.out is not None and (
                    stop.signal or self._due(step + 1, self.checkpoint_every)
                ):
                    metrics.sync()
                    self._save(step + 1)
                if stop.signal:
                    raise TrainingInterrupted(self._how_to_go_on(step + 1), stop.signal)
        self.model.eval()
        return metrics.history

    def _begin(self, resume: bool) -> int:
        """Make the optimizer, load a checkpoint if asked to; returns the number of steps done."""
        self.model.to(self.device)
        self.optimizer = optim.AdamW(
            parameter_groups(self.model, self.weight_decay),
            lr=self.learning_rate,
            betas=self.betas,
            eps=self.eps,
        )
        if self.out is None:
            return 0
        if not resume:
            if checkpoint.checkpoints(self.out):
                raise FileExistsError(
                    f"{self.out} holds the checkpoints of a run: go on with it by --resume "
                    "(trainer.run(resume=True)), or choose another folder"
                )
            return 0
        path = checkpoint.latest_checkpoint(self.out)
        if path is None:  # stopped before its first checkpoint: begin again
            return 0
        return checkpoint.load_checkpoint(path, self.model, self.optimizer, self._settings())

    def _settings(self) -> dict:
        settings = {name: getattr(self, name) for name in SETTINGS}
        if self.schedule == "constant":  # then a run may be made longer: no step changes by it
            del settings["steps"]
        return settings

    def _save(self, done: int) -> Path:
        return checkpoint.save_checkpoint(
            self.out, done, self.model, self.optimizer, self._settings(), self.keep_checkpoints
        )

    def _due(self, done: int, every: int | None) -> bool:
        return done == self.steps or (every is not None and done % every == 0)

    def _validate(self) -> dict:
        self.model.eval()
        with minillm.no_grad():
            values = _read(self.validate(self.model))
        return {f"validation_{name}": value for name, value in values.items()}

    def _how_to_go_on(self, done: int) -> str:
        if self.out is None:
            return f"stopped after step {done} of {self.steps}; nothing was saved (out=None)"
        return (
            f"stopped after step {done} of {self.steps} and saved in {self.out}; to go on: the "
            "same command with --resume (trainer.run(resume=True))"
        )


def parameter_groups(model, weight_decay: float) -> list[dict]:
    """Matrices decay; biases and LayerNorm weights (fewer than two dimensions) don't.

    Decay pulls towards 0: a simpler function in the case of a matrix, only a shifted or scaled one
    in the case of a bias or a norm's weight.
    """
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def _checked(result) -> tuple[Tensor, Mapping]:
    """What an objective returned, or a TypeError that says what it should have."""
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], Tensor)):
        raise TypeError(
            "objective must return (loss, metrics), a Tensor and a dict (perhaps empty), "
            f"got {type(result).__name__}"
        )
    return result


def _count_tokens(arrays: Mapping[str, np.ndarray]) -> int:
    """The tokens that aren't padding; without an attention_mask, the first array's elements."""
    if "attention_mask" in arrays:
        return int(arrays["attention_mask"].sum())
    return next(iter(arrays.values())).size


def _read(values: Mapping) -> dict[str, float]:
    """Numbers and 0-d Tensors as Python numbers, by one transfer: each would wait for the GPU."""
    tensors = {n: v.detach().to("float64") for n, v in values.items() if isinstance(v, Tensor)}
    numbers = {n: v.item() if isinstance(v, np.generic) else v for n, v in values.items()}
    if tensors:
        on_cpu = F.stack(list(tensors.values())).numpy().tolist()
        numbers |= dict(zip(tensors, on_cpu, strict=True))
    return numbers

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
from typing import Any

import numpy as np

import minillm
from minillm import functional as F
from minillm import nn, optim
from minillm.autograd import Tensor
from minillm.backend import get_device
from minillm.training import checkpoint
from minillm.training.divergence import TrainingDiverged, diagnose
from minillm.training.interrupt import StopRequest, TrainingInterrupted
from minillm.training.parallel import MicroBatches
from minillm.training.progress import Metrics, ProgressBar
from minillm.training.run_folder import own_run_folder

RANK = 0  # among processes that train together; each needs random numbers of its own

# The learning rate, a function of (step, peak, warmup, total).
SCHEDULES = {
    "linear": optim.linear_warmup_decay,
    "cosine": optim.cosine_warmup_decay,
    "constant": lambda step, peak, warmup, total: optim.constant(step, peak, warmup),
}
# What a run computes: a run may only be resumed with the same.
SETTINGS = (
    *("steps", "learning_rate", "warmup_steps", "schedule", "weight_decay", "betas", "eps"),
    *("clip_norm", "accumulate", "seed", "data_fingerprint"),
)
# What a record says of itself; an objective's metrics need other names.
OWN_FIELDS = {"step", "loss", "learning_rate", "gradient_norm", "tokens", "tokens_per_second"}


@dataclass(eq=False, repr=False)
class Trainer:
    """Changes the parameters of `model` step by step so that the loss of `objective` falls.

    trainer = Trainer(model, objective, batches, steps=1000, learning_rate=1e-3, out="runs/first")
    history = trainer.run()             # one record (a dict) a step: see progress.py
    history = trainer.run(resume=True)  # goes on where a stopped run left off

    Raises ValueError for a setting out of its range; RuntimeError if the device isn't there.
    """

    model: nn.Module
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
    threads: int = 1  # micro batches computed at the same time (on the CPU): see parallel.py
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
        for name in SETTINGS:  # np.float64 would turn the float32 arrays it meets into float64
            if isinstance(getattr(self, name), np.generic):
                setattr(self, name, getattr(self, name).item())
        counts = ("steps", "accumulate", "threads", "keep_checkpoints")
        counts += ("validate_every", "checkpoint_every")
        for name in counts:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value}, expected 1 or more")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value}, expected more than 0")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}, expected 0 or more")
        if not 0 <= self.warmup_steps <= self.steps:
            raise ValueError(f"warmup_steps={self.warmup_steps}, expected 0 to steps={self.steps}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule={self.schedule!r}, expected {', '.join(SCHEDULES)}")
        if self.checkpoint_every is not None and self.out is None:
            raise ValueError("checkpoint_every needs a folder to write to: give out=")
        if self.threads > self.accumulate or (self.threads > 1 and self.device == "cuda"):
            raise ValueError(
                f"threads={self.threads}: every thread needs a micro batch (accumulate="
                f"{self.accumulate}), and the arrays must be on the CPU (device={self.device!r})"
            )
        get_device(self.device)

    # --------------------------------------------------------------------------------- one step

    def train_step(self, step: int) -> dict:
        """The update from `step` to step + 1 (steps count from 0); returns its record."""
        began = time.perf_counter()
        rate = self.learning_rate_at(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        values, tokens = self.compute_gradient(step, self.micro_batches)
        values["gradient_norm"] = optim.clip_grad_norm_(
            self.model.parameters(), math.inf if self.clip_norm is None else self.clip_norm
        )
        values = _numbers(values)
        loss, norm = values["loss"], values["gradient_norm"]
        if not (math.isfinite(loss) and math.isfinite(norm)):
            where = f"step {step + 1}: loss {loss}, gradient norm {norm}, learning rate {rate:.3g}"
            saved = checkpoint.checkpoints(self.out) if self.out is not None else []
            last = saved[-1] if saved else None
            in_this_thread = MicroBatches(self.model)
            raise TrainingDiverged(
                diagnose(lambda: self.compute_gradient(step, in_this_thread), where, last)
            )
        self.optimizer.step()
        speed = tokens / (time.perf_counter() - began)
        values |= {"learning_rate": rate, "tokens": tokens, "tokens_per_second": speed}
        return {"step": step + 1} | values

    def compute_gradient(self, step: int, micro_batches: MicroBatches) -> tuple[dict, int]:
        """Fill `.grad` with dL/dtheta, L the mean loss of the step's micro batches.

        Returns the loss and the metrics (means, too), and the number of tokens.
        """
        first = step * self.accumulate
        arrays = [self.batches(first + micro) for micro in range(self.accumulate)]

        def compute(model, micro):
            minillm.manual_seed([self.seed, step, micro, RANK])
            batch = {n: minillm.tensor(a, device=self.device) for n, a in arrays[micro].items()}
            loss, metrics = _checked(self.objective(model, batch))
            loss = loss / self.accumulate  # so the gradients add up to that of the mean
            loss.backward()
            shares = {name: value / self.accumulate for name, value in metrics.items()}
            return {"loss": loss.detach()} | shares

        means: dict = {}
        for values in micro_batches.run(compute, self.accumulate):
            with minillm.no_grad():
                means = {name: means.get(name, 0) + value for name, value in values.items()}
        return means, sum(_count_tokens(batch) for batch in arrays)

    def learning_rate_at(self, step: int) -> float:
        """The rate of the update from `step` to step + 1."""
        schedule = SCHEDULES[self.schedule]
        return schedule(step, self.learning_rate, self.warmup_steps, self.steps)

    # --------------------------------------------------------------------------- the whole run

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
            self.micro_batches = stack.enter_context(MicroBatches(self.model, self.threads))
            metrics = stack.enter_context(Metrics(self.out, done))
            bar = stack.enter_context(ProgressBar(self.steps, done, self.progress))
            stop = stack.enter_context(StopRequest())
            began = time.perf_counter() - metrics.seconds
            for step in range(done, self.steps):
                self.model.train()
                record = self.train_step(step)
                done = step + 1
                record |= self._validate(done)
                metrics.append(record | {"seconds": time.perf_counter() - began})
                bar.update(record)
                if stop.signal or self._due(done, self.checkpoint_every):
                    metrics.sync()
                    self._save(done)
                if stop.signal:
                    raise TrainingInterrupted(stop.signal, done, self.steps, self.out)
        self.model.eval()
        return metrics.history

    def _begin(self, resume: bool) -> int:
        """Make the optimizer, load a checkpoint if asked to; returns how many steps are done."""
        self.model.to(self.device)
        groups = parameter_groups(self.model, self.weight_decay)
        self.optimizer = optim.AdamW(groups, self.learning_rate, self.betas, self.eps)
        if self.out is None:
            return 0
        if not resume and checkpoint.checkpoints(self.out):
            raise FileExistsError(
                f"{self.out} holds the checkpoints of a run: go on with it by --resume "
                "(trainer.run(resume=True)), or choose another folder"
            )
        path = checkpoint.latest_checkpoint(self.out)
        if path is None:  # a new run, or one that was stopped before its first checkpoint
            return 0
        return checkpoint.load_checkpoint(path, self.model, self.optimizer, self._settings())

    def _save(self, done: int) -> None:
        if self.out is not None:
            checkpoint.save_checkpoint(
                self.out, done, self.model, self.optimizer, self._settings(), self.keep_checkpoints
            )

    def _settings(self) -> dict:
        settings = {name: getattr(self, name) for name in SETTINGS}
        if self.schedule == "constant":  # then more steps change nothing in those before
            del settings["steps"]
        return settings

    def _due(self, done: int, every: int | None) -> bool:
        return done == self.steps or (every is not None and done % every == 0)

    def _validate(self, done: int) -> dict:
        if self.validate is None or not self._due(done, self.validate_every):
            return {}
        self.model.eval()
        with minillm.no_grad():
            values = _numbers(self.validate(self.model))
        return {f"validation_{name}": value for name, value in values.items()}


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """AdamW's groups: matrices decay; biases and LayerNorm weights (less than 2-d) don't.

    Decay pulls towards 0.  That makes a matrix simpler, but a norm's weight belongs near 1.
    """
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def _checked(result) -> tuple[Any, Mapping]:
    """What an objective returned, or an error that says what it should have."""
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], Tensor)):
        raise TypeError(
            "objective must return (loss, metrics), a Tensor and a dict (perhaps empty), "
            f"got {type(result).__name__}"
        )
    taken = OWN_FIELDS.intersection(result[1])
    if taken:
        raise ValueError(f"objective: the metric name {taken.pop()!r} is taken, choose another")
    return result


def _count_tokens(arrays: Mapping[str, np.ndarray]) -> int:
    """The tokens that aren't padding; without an attention_mask, the first array's elements."""
    if "attention_mask" in arrays:
        return int(arrays["attention_mask"].sum())
    return next(iter(arrays.values())).size


def _numbers(values: Mapping) -> dict[str, float]:
    """Tensors become Python numbers, by one transfer: on a GPU each one has to be waited for."""
    tensors = {n: v.detach().to("float64") for n, v in values.items() if isinstance(v, Tensor)}
    numbers = {n: v.item() if isinstance(v, np.generic) else v for n, v in values.items()}
    if tensors:
        on_cpu = F.stack(list(tensors.values())).numpy().tolist()
        numbers |= dict(zip(tensors, on_cpu, strict=True))
    return numbers

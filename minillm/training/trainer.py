"""The training loop, and all that lets a run be trusted: it can be stopped, resumed, followed.

    theta <- optimizer(theta, clip(mean gradient of the micro batches), learning rate of the step)

Everything that a step needs follows from its number: the batch (`batches`), the learning rate
(`schedule`), the random numbers (seeded anew at each step).  So the parameters and the optimizer's
moments (with early stopping the best parameters so far, and in float16 the loss scale) are the
whole state of a run, and a resumed run is the same run, bit for bit.
"""

import contextlib
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass

import numpy as np

import minillm
from minillm import nn, optim
from minillm.autograd import Tensor
from minillm.training.checkpoint import load_checkpoint, save_checkpoint
from minillm.training.checkpoint_folder import checkpoints, latest_checkpoint, verify_checkpoint
from minillm.training.divergence import TrainingDiverged, diagnose
from minillm.training.early_stopping import EarlyStopping
from minillm.training.interrupt import StopRequest, TrainingInterrupted
from minillm.training.mixed_precision import GradScaler, scale_loss
from minillm.training.objective import as_numbers, checked, count_examples, count_tokens
from minillm.training.parallel import MicroBatches
from minillm.training.parameter_groups import parameter_groups, split_scales
from minillm.training.processes import MicroBatchProcesses
from minillm.training.progress import Metrics, ProgressBar
from minillm.training.run_folder import own_run_folder
from minillm.training.settings import (
    OPTIMIZERS,
    SCHEDULES,
    check_settings,
    run_settings,
)

RANK = 0  # among processes that train together; each needs random numbers of its own


@dataclass(eq=False, repr=False)
class Trainer:
    """Changes the parameters of `model` step by step so that the loss of `objective` falls.

    trainer = Trainer(model, objective, batches, steps=1000, learning_rate=1e-3, out="runs/first")
    history = trainer.run()             # one record (a dict) a step: see progress.py
    history = trainer.run(resume=True)  # goes on where a stopped run left off

    or, for supervised learning, until the held-out accuracy hasn't risen for 2 epochs:

    trainer = Trainer(model, objective, batches, epochs=10, steps_per_epoch=625, validate=...,
                      validate_every="epoch", monitor="accuracy", patience=2, learning_rate=1e-3)

    The model then ends with the parameters that were best.  Frozen parameters (requires_grad
    False) stay as they are.

    A step's memory grows with its batch (tape_memory.py).  accumulate=2 and batches of half the
    size: the same gradient from half of that memory, one half after the other (with threads or
    processes at the same time: then nothing is saved).  precision="float16" needs two thirds of it.
    model.gradient_checkpointing_enable() goes further, for a third more time (recompute.py).

    Raises ValueError for a setting out of its range; RuntimeError if the device isn't there.
    """

    model: nn.Module
    objective: Callable  # (model, batch) -> (loss: 0-d Tensor, {name: number or 0-d Tensor})
    batches: Callable[[int], Mapping[str, np.ndarray]]  # a pure function of step*accumulate + micro
    _: KW_ONLY
    steps: int = None  # type: ignore[assignment]  # updates of the parameters; or instead of it
    epochs: float | None = None  # times steps_per_epoch: a part of an epoch is allowed
    steps_per_epoch: int | None = None  # updates (not micro batches) until all data was seen
    learning_rate: float  # the highest, reached after
    warmup_steps: int = 0  # steps of linear rise; then
    schedule: str = "linear"  # or "cosine" decay to 0 at the end, or "constant"
    optimizer: str = "adamw"  # or "adam" or "sgd": there weight_decay is the classical L2
    weight_decay: float = 0.01  # of matrices only: see parameter_groups.py
    betas: tuple[float, float] = (0.9, 0.999)  # of Adam and AdamW
    eps: float = 1e-8
    momentum: float = 0.0  # of SGD
    parameter_groups: Callable | None = None  # model -> groups, with "lr_scale" if wished
    clip_norm: float | None = 1.0  # longer gradients are scaled down to this norm; None: never
    accumulate: int = 1  # micro batches an update: a large batch in the memory of a small one
    threads: int = 1  # micro batches computed at the same time (on the CPU): see parallel.py
    processes: int = 1  # or by processes, which is faster, and on Linux only: see processes.py
    precision: str = "float32"  # or "float16" for most of the tape: see mixed_precision.py
    loss_scale: float = 65536.0  # of float16, at first; then halved or doubled, which it is
    loss_scale_growth: int = 2000  # after so many good steps in a row
    seed: int = 0  # of dropout
    device: str = "cpu"
    out: str | os.PathLike | None = None  # the run's folder; None: nothing is written
    validate: Callable | None = None  # model -> {name: number}, in evaluation mode under no_grad
    validate_every: int | str | None = None  # steps, or "epoch"; always at the end
    monitor: str | None = None  # what validation judges by, the best model is kept: "accuracy",
    # or "-loss" where less is better: see early_stopping.py
    patience: int | None = None  # validations without a better model until training stops
    checkpoint_every: int | str | None = None  # steps, or "epoch"; always at the end
    keep_checkpoints: int = 2  # older ones are removed
    data_fingerprint: str | None = None  # another string for other data: compared on resuming;
    # None: that of `batches`, if they have one
    progress: bool = True

    def __post_init__(self):
        check_settings(self)
        self.scaler = self._make_scaler()

    def _make_scaler(self) -> GradScaler:
        growth, enabled = self.loss_scale_growth, self.precision == "float16"
        return GradScaler(self.loss_scale, growth_interval=growth, enabled=enabled)

    # --------------------------------------------------------------------------------- one step

    def train_step(self, step: int) -> dict:
        """The update from `step` to step + 1 (steps count from 0); returns its record."""
        began = time.perf_counter()
        rate = self.learning_rate_at(step)
        for group, scale in zip(self.updater.param_groups, self.rate_scales, strict=True):
            group["lr"] = rate * scale
        values, tokens = self.compute_gradient(step, self.micro_batches)
        with self.scaler.overflow_expected():
            self.scaler.unscale_(self.updater)
            values["gradient_norm"] = optim.clip_grad_norm_(
                self.model.parameters(), math.inf if self.clip_norm is None else self.clip_norm
            )
        values = as_numbers(values)
        loss, norm, scale = values["loss"], values["gradient_norm"], self.scaler.get_scale()
        if not (math.isfinite(loss) and (math.isfinite(norm) or scale > 1)):
            where = f"step {step + 1}: loss {loss}, gradient norm {norm}, learning rate {rate:.3g}"
            saved = checkpoints(self.out) if self.out is not None else []
            last = saved[-1] if saved else None
            in_this_thread = MicroBatches(self.model, self._compute)
            raise TrainingDiverged(
                diagnose(lambda: self.compute_gradient(step, in_this_thread), where, last)
            )
        made = self.scaler.step(self.updater)
        self.scaler.update()
        if self.scaler.enabled:
            values |= {"loss_scale": scale, "skipped": int(not made)}
        if not math.isfinite(norm):
            del values["gradient_norm"]
        speed = tokens / (time.perf_counter() - began)
        values |= {"learning_rate": rate, "tokens": tokens, "tokens_per_second": speed}
        return {"step": step + 1} | values

    def compute_gradient(self, step: int, micro_batches) -> tuple[dict, int]:
        """Fill `.grad` with dL/dtheta, L the mean loss of the step's micro batches.

        A micro batch counts by its number of examples: where an epoch ends with a smaller one, its
        examples weigh no more than others.  (Between updates no such balance is made: the update
        from the last, smaller batch of an epoch is as large as any.)

        Returns the loss and the metrics (means, too), and the number of tokens.
        """
        first = step * self.accumulate
        arrays = [self.batches(first + micro) for micro in range(self.accumulate)]
        arrays = [batch for batch in arrays if count_examples(batch)]
        examples = sum(map(count_examples, arrays))
        if not examples:
            raise ValueError(f"the batches of step {step + 1} are empty: nothing to learn from")

        jobs = [
            (step, micro, batch, examples / count_examples(batch), self.scaler.get_scale())
            for micro, batch in enumerate(arrays)
        ]
        with self.scaler.overflow_expected():
            results = micro_batches.run(jobs)
        means: dict = {}
        for values in results:
            with minillm.no_grad():
                means = {name: means.get(name, 0) + value for name, value in values.items()}
        return means, sum(count_tokens(batch) for batch in arrays)

    def _compute(self, model, step: int, micro: int, arrays, divisor: float, loss_scale: float):
        """Add a micro batch's part of the gradient; perhaps in another thread or process."""
        minillm.manual_seed([self.seed, step, micro, RANK])
        batch = {n: minillm.tensor(a, device=self.device) for n, a in arrays.items()}
        with self.scaler.overflow_expected():
            with minillm.autocast(self.precision):
                loss, metrics = checked(self.objective(model, batch))
            loss = loss / divisor  # so the gradients add up to that of the mean
            scale_loss(loss, loss_scale).backward()
        shares = {name: value / divisor for name, value in metrics.items()}
        return {
            name: value.detach() if isinstance(value, Tensor) else value
            for name, value in ({"loss": loss} | shares).items()
        }

    def learning_rate_at(self, step: int) -> float:
        """The rate of the update from `step` to step + 1."""
        rate = SCHEDULES[self.schedule]
        return rate(step, self.learning_rate, self.warmup_steps, self.steps)

    # --------------------------------------------------------------------------- the whole run

    def run(self, resume: bool = False) -> list[dict]:
        """Train from the first step, or with `resume` from the newest checkpoint in `out`.

        Returns the records of all steps; the model is then in evaluation mode.  With `monitor` it
        has the parameters of the step that the last record names as best_step; if patience ran
        out, that record's step is less than `steps`.

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
            self.micro_batches = stack.enter_context(self._share_the_work())
            metrics = stack.enter_context(Metrics(self.out, done, self.sealed_metrics))
            bar = stack.enter_context(ProgressBar(self.steps, done, self.progress))
            stop = stack.enter_context(StopRequest())
            began = time.perf_counter() - metrics.seconds
            while not self._finished(done):
                self.model.train()
                record = self.train_step(done)
                done += 1
                record |= self._validate(done)
                metrics.append(record | {"seconds": time.perf_counter() - began})
                bar.update(record)
                if stop.signal or self._due(done, self.checkpoint_every):
                    metrics.sync()
                    self._save(done, metrics.seal)
                if stop.signal:
                    raise TrainingInterrupted(stop.signal, done, self.steps, self.out)
            if self.early_stopping is not None:
                self.early_stopping.restore(self.model)
                bar.say(f"ended after step {done:,} of {self.steps:,}; {self.early_stopping}")
        self.model.eval()
        return metrics.history

    def _share_the_work(self):
        if self.processes > 1:
            return MicroBatchProcesses(self.model, self._compute, self.processes)
        return MicroBatches(self.model, self._compute, self.threads)

    def _begin(self, resume: bool) -> int:
        """Make the optimizer, load a checkpoint if asked to; returns how many steps are done."""
        self.model.to(self.device)
        if self.parameter_groups is None:
            groups = parameter_groups(self.model, self.weight_decay)
        else:
            groups = self.parameter_groups(self.model)
        groups, self.rate_scales = split_scales(self.model, groups)
        self.updater = OPTIMIZERS[self.optimizer](groups, self)
        self.scaler = self._make_scaler()
        self.early_stopping = None
        if self.monitor is not None:
            self.early_stopping = EarlyStopping(self.monitor, self.patience)
        self.sealed_metrics = None
        if self.out is None:
            return 0
        if not resume and checkpoints(self.out):
            hint = "go on with it by --resume (trainer.run(resume=True)), or choose another folder"
            raise FileExistsError(f"{self.out} holds the checkpoints of a run: {hint}")
        path = latest_checkpoint(self.out)
        if path is None:  # a new run, or one that was stopped before its first checkpoint
            return 0
        self.sealed_metrics = verify_checkpoint(path).get("metrics")
        return load_checkpoint(
            *(path, self.model, self.updater, run_settings(self)),
            early_stopping=self.early_stopping,
            scaler=self.scaler,
        )

    def _save(self, done: int, sealed_metrics: str | None) -> None:
        if self.out is not None:
            save_checkpoint(
                *(self.out, done, self.model, self.updater, run_settings(self)),
                keep=self.keep_checkpoints,
                early_stopping=self.early_stopping,
                scaler=self.scaler,
                metrics=sealed_metrics,
            )

    def _due(self, done: int, every) -> bool:
        return self._finished(done) or (every is not None and done % every == 0)

    def _finished(self, done: int) -> bool:
        return done == self.steps or (self.early_stopping is not None and self.early_stopping.stop)

    def _validate(self, done: int) -> dict:
        if self.validate is None or not self._due(done, self.validate_every):
            return {}
        self.model.eval()
        with minillm.no_grad():
            values = as_numbers(self.validate(self.model))
        record = {f"validation_{name}": value for name, value in values.items()}
        if self.early_stopping is not None:
            self.early_stopping.update(done, values, self.model)
            record["best_step"] = self.early_stopping.best_step
        return record

"""What a training run may be asked for: the choices, and what goes with what.

Everything is checked before the first step: a wrong setting must not show after an hour.
"""

from collections.abc import Collection

import numpy as np

from minillm import optim
from minillm.backend import get_device
from minillm.training.mixed_precision import PRECISIONS
from minillm.training.parameter_groups import describe_groups
from minillm.training.processes import processes_are_possible

# The learning rate, a function of (step, peak, warmup, total).
SCHEDULES = {
    "linear": optim.linear_warmup_decay,
    "cosine": optim.cosine_warmup_decay,
    "constant": lambda step, peak, warmup, total: optim.constant(step, peak, warmup),
}
# The optimizer, a function of the parameter groups and the Trainer.  Weight decay is decoupled in
# AdamW; in Adam and SGD it is the classical L2 penalty, added to the gradient.
OPTIMIZERS = {
    "adamw": lambda groups, t: optim.AdamW(groups, t.learning_rate, t.betas, t.eps, t.weight_decay),
    "adam": lambda groups, t: optim.Adam(groups, t.learning_rate, t.betas, t.eps, t.weight_decay),
    "sgd": lambda groups, t: optim.SGD(
        groups, t.learning_rate, t.momentum, weight_decay=t.weight_decay
    ),
}
# What a run computes: a run may only be resumed with the same.
SETTINGS = (
    *("steps", "learning_rate", "warmup_steps", "schedule", "weight_decay", "betas", "eps"),
    *("clip_norm", "accumulate", "seed", "data_fingerprint", "optimizer", "momentum", "monitor"),
)
MIXED_PRECISION_SETTINGS = ("precision", "loss_scale", "loss_scale_growth")
_COUNTS = (
    *("steps", "steps_per_epoch", "accumulate", "threads", "processes", "keep_checkpoints"),
    *("validate_every", "checkpoint_every", "patience", "loss_scale_growth"),
)


def check_settings(trainer) -> None:
    """Raise ValueError for what is out of its range or doesn't fit together; RuntimeError for a
    device that isn't there.  Epochs are converted to steps, and NumPy's numbers to Python's.
    """
    for name, value in list(vars(trainer).items()):
        if isinstance(value, np.generic):  # np.float64 would widen the float32 arrays it meets
            setattr(trainer, name, value.item())
    _convert_epochs(trainer)
    for name in _COUNTS:
        value = getattr(trainer, name)
        if value is not None and not (isinstance(value, int) and value >= 1):
            epoch = " or 'epoch'" if name in ("validate_every", "checkpoint_every") else ""
            raise ValueError(f"{name}={value!r}, expected a whole number from 1{epoch}")
    for name in ("learning_rate", "clip_norm", "loss_scale"):
        value = getattr(trainer, name)
        if value is not None and not value > 0:
            raise ValueError(f"{name}={value}, expected more than 0")
    if trainer.seed < 0:
        raise ValueError(f"seed={trainer.seed}, expected 0 or more")
    if not 0 <= trainer.warmup_steps <= trainer.steps:
        raise ValueError(
            f"warmup_steps={trainer.warmup_steps}, expected 0 to steps={trainer.steps}"
        )
    choices_of: dict[str, Collection[str]] = {
        "schedule": SCHEDULES,
        "optimizer": OPTIMIZERS,
        "precision": PRECISIONS,
    }
    for name, choices in choices_of.items():
        if getattr(trainer, name) not in choices:
            raise ValueError(f"{name}={getattr(trainer, name)!r}, expected {', '.join(choices)}")
    if trainer.momentum and trainer.optimizer != "sgd":
        raise ValueError(
            f"momentum={trainer.momentum} is a setting of optimizer='sgd', not of "
            f"{trainer.optimizer!r}, whose first beta has its part"
        )
    if trainer.checkpoint_every is not None and trainer.out is None:
        raise ValueError("checkpoint_every needs a folder to write to: give out=")
    if trainer.patience is not None and trainer.monitor is None:
        raise ValueError(
            f"patience={trainer.patience} for what? give monitor=, the name of a number that "
            "validate returns: 'accuracy', or '-loss' where less is better"
        )
    if trainer.monitor is not None and (trainer.validate is None or not trainer.validate_every):
        raise ValueError(
            f"monitor={trainer.monitor!r} is a result of validation: give validate= and "
            "validate_every= (steps, or 'epoch')"
        )
    if trainer.threads > trainer.accumulate or (trainer.threads > 1 and trainer.device == "cuda"):
        raise ValueError(
            f"threads={trainer.threads}: every thread needs a micro batch (accumulate="
            f"{trainer.accumulate}), and the arrays must be on the CPU (device={trainer.device!r})"
        )
    if trainer.processes > 1:
        _check_processes(trainer)
    get_device(trainer.device)


def run_settings(trainer) -> dict:
    """What a resumed run must have in common with this one.  (Patience is not among it: with
    more of it, a run goes on where less has stopped it.)"""
    settings = {name: getattr(trainer, name) for name in SETTINGS}
    if trainer.data_fingerprint is None:  # the batches of minillm.data know their own
        settings["data_fingerprint"] = getattr(trainer.batches, "fingerprint", None)
    frozen = [name for name, p in trainer.model.named_parameters() if not p.requires_grad]
    settings["frozen"] = frozen or None
    if trainer.precision != "float32":
        settings |= {name: getattr(trainer, name) for name in MIXED_PRECISION_SETTINGS}
    if trainer.parameter_groups is not None:
        settings["groups"] = describe_groups(trainer.updater.param_groups, trainer.rate_scales)
    if trainer.monitor is not None:  # what is kept depends on when it is looked for
        settings["validate_every"] = trainer.validate_every
    elif trainer.schedule == "constant":  # then more steps change nothing in those before
        del settings["steps"]
    return settings


def _check_processes(trainer) -> None:
    if trainer.processes > trainer.accumulate or trainer.threads > 1 or trainer.device != "cpu":
        raise ValueError(
            f"processes={trainer.processes}: every process needs a micro batch (accumulate="
            f"{trainer.accumulate}) and runs one thread (threads={trainer.threads}), and the "
            f"arrays must be on the CPU (device={trainer.device!r})"
        )
    if not processes_are_possible():
        raise ValueError(
            f"processes={trainer.processes} needs Linux, where a process can be copied safely: use "
            f"threads={trainer.processes}"
        )


def _convert_epochs(trainer) -> None:
    """`epochs` becomes `steps`, and "epoch" the number of steps that it has."""
    if (trainer.steps is None) == (trainer.epochs is None):
        raise ValueError(
            f"steps={trainer.steps}, epochs={trainer.epochs}: give one of the two, steps=... or "
            "epochs=... with steps_per_epoch=..."
        )
    per_epoch = trainer.steps_per_epoch
    every = [n for n in ("validate_every", "checkpoint_every") if getattr(trainer, n) == "epoch"]
    if per_epoch is None and (trainer.epochs is not None or every):
        what = f"{every[0]}='epoch'" if every else f"epochs={trainer.epochs}"
        raise ValueError(f"{what} needs steps_per_epoch=, the updates in an epoch")
    if per_epoch is not None and not (isinstance(per_epoch, int) and per_epoch >= 1):
        raise ValueError(f"steps_per_epoch={per_epoch!r}, expected a whole number, 1 or more")
    if trainer.epochs is not None:
        if not 0 < trainer.epochs < float("inf"):
            raise ValueError(f"epochs={trainer.epochs}, expected more than 0")
        trainer.steps = max(1, round(trainer.epochs * per_epoch))
    for name in every:
        setattr(trainer, name, per_epoch)

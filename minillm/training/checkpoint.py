"""A checkpoint: everything that a run needs to go on as if it had never stopped.

    checkpoint-000120/
        model.safetensors        the parameters (with config.json, if the model has one)
        optimizer.safetensors    the optimizer's arrays (Adam's moments)
        best.safetensors         the best parameters so far, if early stopping keeps them
        trainer.json             step, settings, versions, and a SHA-256 digest of every file

The folder is written under a temporary name and appears by one rename, and older checkpoints are
removed only after that: at any moment a kill leaves a complete checkpoint (files.py).  A disk can
still damage what was written long ago; so the digests are verified before anything is read, and
the checkpoint before a damaged one takes its place.  Nothing in these files can execute.
"""

import json
import os
import platform
import shutil
import textwrap
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

import minillm
from minillm.backend import device_of
from minillm.files import TEMPORARY_PREFIX, atomic_directory
from minillm.foreign_files import folder_file, shortened
from minillm.sealed_weights import write_weights
from minillm.training.checkpoint_folder import (
    BEST_FILE,
    MODEL_FILE,
    OPTIMIZER_FILE,
    TRAINER_FILE,
    CheckpointError,
    checkpoints,
    digest_of,
    digest_of_content,
    step_of,
    verify_checkpoint,
)
from minillm.training.saved_state import (
    check_early_stopping_state,
    check_optimizer_state,
    check_scaler_state,
)
from minillm.weights_file import read_weights

# What to say of a setting that differs, where its name isn't enough.
_MEANING = {
    "data_fingerprint": "the texts, the tokenizer, or how batches are made of them has changed "
    "since then: put the old ones back, or begin a new run in another folder"
}
# Settings that checkpoints of earlier versions don't name.
_BEFORE_THERE_WAS_A_CHOICE = {"optimizer": "adamw", "momentum": 0.0}


# ------------------------------------------------------------------------------------- writing


def save_checkpoint(
    folder: str | os.PathLike,
    step: int,
    model,
    optimizer,
    settings: Mapping,
    keep: int = 2,
    early_stopping=None,
    metrics: str | None = None,
    scaler=None,
) -> Path:
    """Write `folder`/checkpoint-<step>, then remove all but the newest `keep` up to this step.

    settings: JSON-able, what the run computes; `load_checkpoint` compares it.
    early_stopping: an EarlyStopping whose state belongs to the run, too.
    metrics: the digest of the run's records so far (see progress.py).
    scaler: the GradScaler of a run in mixed precision.  Returns the path.
    Raises OSError, with path and reason, if it can't be written (a full disk): the checkpoints
    that were there are then still there.
    """
    path = Path(folder) / f"checkpoint-{step:06d}"
    content = {
        "step": step,
        "settings": _as_json(settings),
        "model": _describe(model),
        "versions": _versions(),
    }
    if metrics is not None:
        content["metrics"] = metrics
    if scaler is not None and scaler.enabled:
        content["scaler"] = scaler.state_dict()
    with atomic_directory(path) as temporary:
        _write(temporary, content, model, optimizer, early_stopping)
    for old in [p for p in checkpoints(folder) if step_of(p) <= step][:-keep]:
        _remove(old)
    return path


def _remove(old: Path) -> None:
    """First out of sight, by one rename: a kill must not leave half a checkpoint behind."""
    try:
        hidden = old.with_name(TEMPORARY_PREFIX + old.name)
        os.rename(old, hidden)
    except OSError as error:  # the new one stands, so the run may go on
        warnings.warn(f"{old} can't be removed ({error.strerror})", stacklevel=3)
    else:
        shutil.rmtree(hidden, ignore_errors=True)


def _write(folder: Path, content: dict, model, optimizer, early_stopping) -> None:
    content["optimizer"] = optimizer.state_dict()  # numbers and options, and
    _write_arrays(folder / OPTIMIZER_FILE, content["optimizer"].pop("state"))
    if early_stopping is not None:
        content["early_stopping"] = early_stopping.state_dict()
        _write_arrays(folder / BEST_FILE, content["early_stopping"].pop("parameters"))
    if hasattr(model, "save_pretrained"):
        model.save_pretrained(folder)
    else:
        _write_arrays(folder / MODEL_FILE, model.state_dict())
    content["digests"] = {file.name: digest_of(file) for file in sorted(folder.iterdir())}
    content["digests"][TRAINER_FILE] = digest_of_content(content)
    (folder / TRAINER_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")


def _write_arrays(file: Path, state: Mapping) -> None:
    arrays = {n: np.ascontiguousarray(device_of(a).to_numpy(a)) for n, a in state.items()}
    write_weights(file, arrays)


def _as_json(settings: Mapping) -> dict:
    """As they are when read back from the file: tuples are lists."""
    return json.loads(json.dumps(dict(settings)))


def _describe(model) -> dict:
    config = getattr(model, "config", None)
    fields = {} if config is None else _as_json(vars(config))
    return {"class": type(model).__name__} | fields


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "minillm": minillm.__version__,
        "numpy": np.__version__,
        "safetensors": safetensors.__version__,
    }


# ------------------------------------------------------------------------------------- reading


def load_checkpoint(
    path: str | os.PathLike,
    model,
    optimizer,
    settings: Mapping,
    early_stopping=None,
    scaler=None,
) -> int:
    """Put a checkpoint's state into `model`, `optimizer`, `early_stopping` and `scaler`, return its
    step.

    Raises CheckpointError, before any of them is touched, if it is damaged, comes from another
    model, or was made with other `settings`: then going on would not be the same run.
    """
    path = Path(path)
    content = verify_checkpoint(path)
    _must_equal(path, "another model", content["model"], _describe(model))
    saved, own = _read_model(path, model), model.state_dict()
    _must_equal(path, "another model", _shapes(saved), _shapes(own))
    made_with = {n: v for n, v in _BEFORE_THERE_WAS_A_CHOICE.items() if n in settings}
    made_with |= content["settings"]
    _must_equal(path, "a run with other settings", made_with, _as_json(settings))
    for library, version in content["versions"].items():
        if _versions().get(library) != version:
            warnings.warn(
                f"{path} was made with {library} {version}, this is {_versions().get(library)}: "
                "the run can go on, but perhaps not bit for bit",
                stacklevel=2,
            )
    moments = content["optimizer"] | {"state": _read_arrays(path / OPTIMIZER_FILE)}
    try:
        check_optimizer_state(moments, optimizer.state_dict())
        if early_stopping is not None:
            best = content["early_stopping"] | {"parameters": _read_arrays(path / BEST_FILE)}
            check_early_stopping_state(best, own)
        if scaler is not None and scaler.enabled:
            check_scaler_state(content["scaler"])
        optimizer.load_state_dict(moments)
    except KeyError as error:
        raise CheckpointError(f"{path}: {TRAINER_FILE} has no entry {error}") from error
    except CheckpointError:
        raise
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path} doesn't fit this run: {shortened(error)}") from error
    model.load_state_dict(saved)
    if scaler is not None and scaler.enabled:
        scaler.load_state_dict(content["scaler"])
    if early_stopping is not None:
        early_stopping.load_state_dict(best)
    return content["step"]


def _read_model(path: Path, model) -> dict:
    if not hasattr(model, "from_pretrained"):
        return _read_arrays(path / MODEL_FILE)
    try:
        return type(model).from_pretrained(path).state_dict()
    except ValueError as error:
        raise CheckpointError(f"{path} is a checkpoint of another model: {error}") from error


def _read_arrays(file: Path) -> dict[str, np.ndarray]:
    try:
        return read_weights(folder_file(file.parent, file.name))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file.parent} is damaged: {file.name}: {error}") from error


def _shapes(state: Mapping) -> dict[str, str]:
    return {name: f"{array.dtype}{list(array.shape)}" for name, array in state.items()}


def _must_equal(path: Path, whose: str, saved: Mapping, own: Mapping) -> None:
    """CheckpointError that lists (the first five of) the entries that differ."""
    names = [name for name in {**saved, **own} if saved.get(name) != own.get(name)]
    if names:
        differences = "; ".join(
            f"{name:.80} is {_short(saved, name)} there and {_short(own, name)} here"
            + (f" ({_MEANING[name]})" if name in _MEANING else "")
            for name in names[:5]
        )
        more = f"; and {len(names) - 5} more" if len(names) > 5 else ""
        raise CheckpointError(f"{path} is a checkpoint of {whose}: {differences}{more}")


def _short(values: Mapping, name: str) -> str:
    return textwrap.shorten(str(values.get(name, "absent")), 100, placeholder=" ...")

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

import hashlib
import json
import os
import platform
import re
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
from minillm.foreign_files import MB, check_ordinary, folder_file, read_bytes, shortened
from minillm.sealed_weights import write_weights
from minillm.strict_json import parse_json
from minillm.training.saved_state import (
    check_early_stopping_state,
    check_optimizer_state,
    check_scaler_state,
)
from minillm.weights_file import read_header, read_weights

MODEL_FILE, OPTIMIZER_FILE = "model.safetensors", "optimizer.safetensors"
BEST_FILE, TRAINER_FILE = "best.safetensors", "trainer.json"
_LARGEST = 64 * MB  # of a trainer.json
_NAME = re.compile(r"checkpoint-(\d{6,})")
# What trainer.json holds besides the digests.
_CONTENT = {"step": int, "settings": dict, "model": dict, "versions": dict, "optimizer": dict}
# What to say of a setting that differs, where its name isn't enough.
_MEANING = {
    "data_fingerprint": "the texts, the tokenizer, or how batches are made of them has changed "
    "since then: put the old ones back, or begin a new run in another folder"
}
# Settings that checkpoints of earlier versions don't name.
_BEFORE_THERE_WAS_A_CHOICE = {"optimizer": "adamw", "momentum": 0.0}


class CheckpointError(ValueError):
    """A checkpoint that is damaged, or that belongs to another model or another run."""


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
    for old in [p for p in checkpoints(folder) if _step(p) <= step][:-keep]:
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
    content["digests"] = {file.name: _digest(file) for file in sorted(folder.iterdir())}
    content["digests"][TRAINER_FILE] = _digest_of_content(content)
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


def _digest(file: Path) -> str:
    sha256 = hashlib.sha256()
    with open(file, "rb") as stream:
        while block := stream.read(1 << 20):
            sha256.update(block)
    return sha256.hexdigest()


def _digest_of_content(content: dict) -> str:
    """The digest of trainer.json, which can't contain its own: of all the rest of it."""
    digests = {name: d for name, d in content["digests"].items() if name != TRAINER_FILE}
    text = json.dumps(content | {"digests": digests}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


# ------------------------------------------------------------------------------------- reading


def checkpoints(folder: str | os.PathLike) -> list[Path]:
    """The checkpoint folders in `folder`, oldest first, damaged or not."""
    found = [p for p in Path(folder).glob("checkpoint-*") if _NAME.fullmatch(p.name)]
    return sorted((p for p in found if p.is_dir()), key=_step)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("checkpoint-"))


def latest_checkpoint(folder: str | os.PathLike) -> Path | None:
    """The newest checkpoint in `folder` whose files are all as they were written; None if `folder`
    has no checkpoint at all.

    Warns of each damaged one that it passes over; raises CheckpointError if all are damaged.
    """
    found = checkpoints(folder)
    for path in reversed(found):
        try:
            verify_checkpoint(path)
            return path
        except CheckpointError as error:
            damage = error
            warnings.warn(f"{error}; looking for the checkpoint before it", stacklevel=2)
    if found:
        raise CheckpointError(f"no checkpoint in {folder} is intact, the oldest neither: {damage}")
    return None


def verify_checkpoint(path: str | os.PathLike) -> dict:
    """The content of trainer.json, if every file has its digest; else CheckpointError."""
    path = Path(path)
    try:
        file = folder_file(path, TRAINER_FILE)
        content = parse_json(read_bytes(file, _LARGEST), file, infinite=True)
        digests = content["digests"]
        for name, kind in _CONTENT.items():
            if type(content[name]) is not kind:
                raise TypeError(name)
        for name in (TRAINER_FILE, MODEL_FILE, OPTIMIZER_FILE, *digests):
            file = folder_file(path, name)  # and nothing that lies elsewhere
            _check_size(file)
            found = _digest_of_content(content) if name == TRAINER_FILE else _digest(file)
            if found != digests[name]:
                raise CheckpointError(f"{path} is damaged: {name} differs from its digest")
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    except OSError as error:
        reason = f"{error.filename or path} can't be read: {error.strerror}"
        raise CheckpointError(f"{path} is damaged: {reason}") from error
    except CheckpointError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        # not JSON any more, or another one
        raise CheckpointError(
            f"{path} is damaged: {TRAINER_FILE} can't be read ({shortened(error)})"
        ) from error
    return content


def _check_size(file: Path) -> None:
    """Before a digest of all of it: arrays take what their header says, other files little."""
    try:
        if file.suffix == ".safetensors":
            read_header(file)
        else:
            check_ordinary(file, _LARGEST)
    except ValueError as error:
        raise CheckpointError(f"{file.parent} is damaged: {error}") from error


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

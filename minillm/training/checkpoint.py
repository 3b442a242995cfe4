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

MODEL_FILE, OPTIMIZER_FILE = "model.safetensors", "optimizer.safetensors"
BEST_FILE, TRAINER_FILE = "best.safetensors", "trainer.json"
_NAME = re.compile(r"checkpoint-(\d{6,})")
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
) -> Path:
    """Write `folder`/checkpoint-<step>, then remove all but the newest `keep` up to this step.

    settings: JSON-able, what the run computes; `load_checkpoint` compares it.
    early_stopping: an EarlyStopping whose state belongs to the run, too.  Returns the path.
    Raises OSError (a full disk): the checkpoints that were there are then still there.
    """
    path = Path(folder) / f"checkpoint-{step:06d}"
    content = {
        "step": step,
        "settings": _as_json(settings),
        "model": _describe(model),
        "versions": _versions(),
    }
    try:
        with atomic_directory(path) as temporary:
            _write(temporary, content, model, optimizer, early_stopping)
    except OSError as error:
        raise type(error)(
            f"{path} can't be written ({error.strerror or error}); the checkpoints before it are "
            "intact"
        ) from error
    for old in [p for p in checkpoints(folder) if _step(p) <= step][:-keep]:
        # First out of sight, by one rename: a kill must not leave half a checkpoint behind.
        hidden = old.with_name(TEMPORARY_PREFIX + old.name)
        os.rename(old, hidden)
        shutil.rmtree(hidden, ignore_errors=True)
    return path


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
    file.write_bytes(safetensors.numpy.save(arrays, metadata={"format": "pt"}))


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
        content = json.loads((path / TRAINER_FILE).read_text(encoding="utf-8"))
        digests = content["digests"]
        for name in (TRAINER_FILE, MODEL_FILE, OPTIMIZER_FILE, *digests):
            found = _digest_of_content(content) if name == TRAINER_FILE else _digest(path / name)
            if found != digests[name]:
                raise CheckpointError(f"{path} is damaged: {name} differs from its digest")
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is damaged: {error.filename} is missing") from error
    except CheckpointError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # not (this) JSON any more
        raise CheckpointError(f"{path} is damaged: {TRAINER_FILE} can't be read") from error
    return content


def load_checkpoint(
    path: str | os.PathLike, model, optimizer, settings: Mapping, early_stopping=None
) -> int:
    """Put a checkpoint's state into `model`, `optimizer` and `early_stopping`, return its step.

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
    moments = safetensors.numpy.load_file(path / OPTIMIZER_FILE)
    optimizer.load_state_dict(content["optimizer"] | {"state": moments})
    model.load_state_dict(saved)
    if early_stopping is not None:
        best = safetensors.numpy.load_file(path / BEST_FILE)
        early_stopping.load_state_dict(content["early_stopping"] | {"parameters": best})
    return content["step"]


def _read_model(path: Path, model) -> dict:
    if not hasattr(model, "from_pretrained"):
        return safetensors.numpy.load_file(path / MODEL_FILE)
    try:
        return type(model).from_pretrained(path).state_dict()
    except ValueError as error:
        raise CheckpointError(f"{path} is a checkpoint of another model: {error}") from error


def _shapes(state: Mapping) -> dict[str, str]:
    return {name: f"{array.dtype}{list(array.shape)}" for name, array in state.items()}


def _must_equal(path: Path, whose: str, saved: Mapping, own: Mapping) -> None:
    """CheckpointError that lists (the first five of) the entries that differ."""
    names = [name for name in {**saved, **own} if saved.get(name) != own.get(name)]
    if names:
        differences = "; ".join(
            f"{name} is {_short(saved, name)} there and {_short(own, name)} here"
            for name in names[:5]
        )
        more = f"; and {len(names) - 5} more" if len(names) > 5 else ""
        raise CheckpointError(f"{path} is a checkpoint of {whose}: {differences}{more}")


def _short(values: Mapping, name: str) -> str:
    return textwrap.shorten(str(values.get(name, "absent")), 100, placeholder=" ...")

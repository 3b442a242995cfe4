"""Which checkpoints a run's folder holds, and whether their files are as they were written."""

import hashlib
import json
import os
import re
import warnings
from pathlib import Path

from minillm.foreign_files import MB, check_ordinary, folder_file, read_bytes, shortened
from minillm.strict_json import parse_json
from minillm.weights_file import read_header

MODEL_FILE, OPTIMIZER_FILE = "model.safetensors", "optimizer.safetensors"
BEST_FILE, TRAINER_FILE = "best.safetensors", "trainer.json"
_LARGEST = 64 * MB  # of a trainer.json
_NAME = re.compile(r"checkpoint-(\d{6,})")
# What trainer.json holds besides the digests.
_CONTENT = {"step": int, "settings": dict, "model": dict, "versions": dict, "optimizer": dict}


class CheckpointError(ValueError):
    """A checkpoint that is damaged, or that belongs to another model or another run."""


def checkpoints(folder: str | os.PathLike) -> list[Path]:
    """The checkpoint folders in `folder`, oldest first, damaged or not."""
    found = [p for p in Path(folder).glob("checkpoint-*") if _NAME.fullmatch(p.name)]
    return sorted((p for p in found if p.is_dir()), key=step_of)


def step_of(path: Path) -> int:
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
            found = digest_of_content(content) if name == TRAINER_FILE else digest_of(file)
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


def digest_of(file: Path) -> str:
    sha256 = hashlib.sha256()
    with open(file, "rb") as stream:
        while block := stream.read(1 << 20):
            sha256.update(block)
    return sha256.hexdigest()


def digest_of_content(content: dict) -> str:
    """The digest of trainer.json, which can't contain its own: of all the rest of it."""
    digests = {name: d for name, d in content["digests"].items() if name != TRAINER_FILE}
    text = json.dumps(content | {"digests": digests}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()

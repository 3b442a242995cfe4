"""A model as a folder: `config.json` + `model.safetensors`, the Hugging Face libraries' layout.

A safetensors file is a JSON header (names, dtypes, shapes, offsets) and the raw numbers: nothing
in it can execute.  Every model class has one table, `hugging_face_names`, from its own parameter
names to those in the file.
"""

import functools
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from minillm import nn
from minillm.backend import device_of
from minillm.files import atomic_files, complete_files
from minillm.foreign_files import folder_file, shortened
from minillm.nn.module import at_most_parameters
from minillm.recompute import checkpoint
from minillm.sealed_weights import check_seal, write_weights
from minillm.strict_json import read_json
from minillm.weights_file import check_finite, read_header, read_weights

NameTable = dict[str, str | tuple[str, ...]]


class Transposed(str):
    """A name in a file that holds the matrix transposed."""


T = TypeVar("T")
# The attributes of configs that say how many layers there are.
_LAYER_COUNTS = ("num_hidden_layers", "n_layer", "num_layers")
_LARGEST_CONFIG = 4 << 20  # bytes: the names of 100,000 classes
# Written by Hugging Face besides the parameters: copies of tied weights, and constants.
_IGNORED_NAMES = re.compile(
    r"cls\.predictions\.decoder\.(weight|bias)|(bert\.)?embeddings\.position_ids"
    r"|(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)"  # GPT-2's causal mask
    r"|(model\.)?(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq"
)


class PretrainedModel(nn.Module):
    """A Module that is saved to and opened from a folder.  Subclasses give `config_class` (with
    `from_dict` and `to_json`), the attribute `config`, and `hugging_face_names(config)`.

    base_prefix: how a file saved with heads begins the names of the part without ("bert.").
    """

    config_class: type
    base_prefix = ""
    config: Any
    gradient_checkpointing = False

    def __init__(self, config):
        super().__init__()
        self.config = config

    @classmethod
    def check_config(cls, config) -> None:
        """Raise ValueError for a config that is right by itself, but not for this model."""

    def gradient_checkpointing_enable(self) -> None:
        """While training, keep each layer's input only, and run the layer again in the backward
        pass: a third more work, a fraction of the memory, the same gradients (recompute.py)."""
        self._switch_gradient_checkpointing(True)

    def gradient_checkpointing_disable(self) -> None:
        """Keep what the layers computed."""
        self._switch_gradient_checkpointing(False)

    def _switch_gradient_checkpointing(self, enabled: bool) -> None:
        for module in self.modules():  # the model with the layers may be a part of this one
            if isinstance(module, PretrainedModel):
                module.gradient_checkpointing = enabled

    def checkpointed(self, layer: nn.Module):
        """`layer`, or what computes the same without keeping its tape, if that is wished for."""
        if self.gradient_checkpointing and self.training:
            return functools.partial(checkpoint, layer)
        return layer

    @classmethod
    def hugging_face_names(cls, config) -> NameTable:
        """Our parameter's name -> its name in Hugging Face's files; several are stacked rows."""
        raise TypeError(f"{cls.__name__} has no table of names")

    def save_pretrained(self, folder: str | os.PathLike) -> None:
        """Write `config.json` and `model.safetensors` into `folder`, made if need be.

        The two are replaced together: an interrupted write leaves the old ones, and a full disk
        does, too (OSError, with path and reason).
        """
        with atomic_files(folder) as new:
            self.write_files(new)

    def write_files(self, folder: Path, more: Mapping[str, Any] | None = None) -> None:
        """Write the two files into a folder of files.py.  more: what config.json says besides."""
        config = json.loads(self.config.to_json(type(self).__name__)) | dict(more or {})
        text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
        (folder / "config.json").write_text(text, encoding="utf-8")
        tensors = to_hugging_face(self.state_dict(), self.hugging_face_names(self.config))
        write_weights(folder / "model.safetensors", tensors, beside=["config.json"])

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike) -> "PretrainedModel":
        """Open a folder that minillm or transformers saved; the model is in evaluation mode.

        Raises FileNotFoundError if `folder` is not a local folder or a file is missing in it, and
        ValueError, with the file's name, for one that is cut off, foreign or doesn't fit.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{str(folder)!r} is not a local folder; models are not downloaded by name: give "
                "the path of a folder with config.json and model.safetensors"
            )
        complete_files(folder)
        config = _read_config(folder_file(folder, "config.json"), cls.config_class)
        cls.check_config(config)
        path = folder_file(folder, "model.safetensors")
        entries = _modern_names(read_header(path))
        try:
            _check_layers(config, len(entries))
            table = cls.hugging_face_names(config)
            if getattr(config, "tie_word_embeddings", False):
                entries.pop("lm_head.weight", None)  # a copy of the embeddings
            entries = _with_our_prefix(entries, table, cls.base_prefix)
            _check_names(entries, table)
            # Whatever the config says, a model far larger than the file is not made.  (One that is
            # a little larger is, for a message that names what doesn't fit.)
            with at_most_parameters(2 * sum(e.size for e in entries.values()) + 100_000):
                model = cls(config)
            check_seal(path)
            tensors = read_weights(path, entries)
            check_finite(path, tensors)
            model.load_state_dict(from_hugging_face(tensors, table))
        except (ValueError, KeyError, RuntimeError) as error:
            raise ValueError(
                f"{path} doesn't fit config.json and {cls.__name__}: {shortened(error, 2000)}"
            ) from error
        model.eval()
        return model


def to_hugging_face(state: dict, table: dict) -> dict[str, np.ndarray]:
    """Rename (and unstack) our state_dict by the table."""
    result: dict[str, np.ndarray] = {}
    for name, array in state.items():
        theirs = table[name]
        array = np.ascontiguousarray(device_of(array).to_numpy(array))
        if isinstance(theirs, tuple):
            parts = np.split(array, len(theirs))
            result |= {t: np.ascontiguousarray(p) for t, p in zip(theirs, parts, strict=True)}
        elif isinstance(theirs, Transposed):
            result[str(theirs)] = np.ascontiguousarray(array.T)
        else:
            result[theirs] = array
    return result


def from_hugging_face(tensors: dict[str, np.ndarray], table: dict) -> dict[str, np.ndarray]:
    """The inverse of `to_hugging_face`; names that the table doesn't know stay as they are."""
    _check_names(tensors, table)
    tensors = dict(tensors)
    state = {}
    for ours, theirs in table.items():
        parts = theirs if isinstance(theirs, tuple) else (theirs,)
        arrays = [tensors.pop(name) for name in parts]
        state[ours] = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        if isinstance(theirs, Transposed):
            state[ours] = state[ours].T
    return state | tensors


def _read_config(path: Path, config_class):
    values = read_json(path, _LARGEST_CONFIG)
    try:
        if not isinstance(values, dict):
            raise ValueError(f"expected a JSON object, found {values!r:.80}")
        return config_class.from_dict(values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {shortened(error)}") from error


def _check_layers(config, arrays: int) -> None:
    """Each layer has an array of its own, at least: a table of a billion names isn't made."""
    for name in _LAYER_COUNTS:
        if getattr(config, name, 0) > arrays:
            raise ValueError(f"{name}={getattr(config, name)}, but there are {arrays} arrays")


def _check_names(tensors: dict, table: NameTable) -> None:
    for theirs in table.values():
        for name in theirs if isinstance(theirs, tuple) else (theirs,):
            if name not in tensors:
                raise ValueError(f"{name} is missing")


def _modern_names(tensors: dict[str, T]) -> dict[str, T]:
    """Old files call LayerNorm's weight and bias gamma and beta, and hold copies and constants."""
    renamed: dict[str, T] = {}
    for name, array in tensors.items():
        if _IGNORED_NAMES.fullmatch(name):
            continue
        name = name.replace("LayerNorm.gamma", "LayerNorm.weight")
        renamed[name.replace("LayerNorm.beta", "LayerNorm.bias")] = array
    return renamed


def _with_our_prefix(tensors: dict[str, T], table: NameTable, prefix: str) -> dict[str, T]:
    """A model without heads opens a file saved with them, whose names begin with the prefix; a
    model with a head opens a file saved without, if the head is tied.
    """
    expected = next(name for name in table.values() if isinstance(name, str))
    if not prefix or expected in tensors:
        return tensors
    if prefix + expected in tensors:
        return {
            name.removeprefix(prefix): array
            for name, array in tensors.items()
            if name.startswith(prefix)
        }
    if expected.startswith(prefix) and expected.removeprefix(prefix) in tensors:
        heads = [name for name in table.values() if not str(name).startswith(prefix)]
        return {n if n in heads else prefix + n: array for n, array in tensors.items()}
    return tensors

"""A model as a folder: `config.json` + `model.safetensors`, the Hugging Face libraries' layout.

A safetensors file is a JSON header (names, dtypes, shapes, offsets) and the raw numbers: nothing
in it can execute.  Every model class has one table, `hugging_face_names`, from its own parameter
names to those in the file.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from minillm import nn
from minillm.backend import device_of
from minillm.files import atomic_write

NameTable = dict[str, str | tuple[str, ...]]


class Transposed(str):
    """A name in a file that holds the matrix transposed."""


_FLOATS = {"F16": np.float16, "F32": np.float32, "F64": np.float64}
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

    def __init__(self, config):
        super().__init__()
        self.config = config

    @classmethod
    def hugging_face_names(cls, config) -> NameTable:
        """Our parameter's name -> its name in Hugging Face's files; several are stacked rows."""
        raise TypeError(f"{cls.__name__} has no table of names")

    def save_pretrained(self, folder: str | os.PathLike) -> None:
        """Write `config.json` and `model.safetensors` into `folder`, made if need be.

        Each file is replaced in one step: an interrupted write leaves the old one.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = to_hugging_face(self.state_dict(), self.hugging_face_names(self.config))
        # transformers asks for this note before it opens a file.
        data = safetensors.numpy.save(tensors, metadata={"format": "pt"})
        atomic_write(folder / "model.safetensors", data)
        atomic_write(folder / "config.json", self.config.to_json(type(self).__name__))

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
        for name in ("config.json", "model.safetensors"):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder / name} is missing: not a complete model folder")
        config = _read_config(folder / "config.json", cls.config_class)
        model = cls(config)
        tensors = read_safetensors(folder / "model.safetensors")
        table = cls.hugging_face_names(config)
        tensors = _modern_names(tensors)
        if getattr(config, "tie_word_embeddings", False):
            tensors.pop("lm_head.weight", None)  # a copy of the embeddings
        tensors = _with_our_prefix(tensors, table, cls.base_prefix)
        try:
            model.load_state_dict(from_hugging_face(tensors, table))
        except (ValueError, KeyError, RuntimeError) as error:
            raise ValueError(
                f"{folder / 'model.safetensors'} doesn't fit config.json and {cls.__name__}: "
                f"{error}"
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
    tensors = dict(tensors)
    state = {}
    for ours, theirs in table.items():
        parts = theirs if isinstance(theirs, tuple) else (theirs,)
        missing = [name for name in parts if name not in tensors]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        arrays = [tensors.pop(name) for name in parts]
        state[ours] = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        if isinstance(theirs, Transposed):
            state[ours] = state[ours].T
    return state | tensors


def read_safetensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """All tensors of a file as NumPy arrays; ValueError, with the path, if it can't be read."""
    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {}
            for name in file.keys():  # noqa: SIM118 (not a dict)
                dtype = file.get_slice(name).get_dtype()
                if (
                    dtype not in _FLOATS
                    and not dtype.startswith(("I", "U", "B"))
                    or dtype == "BF16"
                ):
                    raise ValueError(
                        f"{path}: {name} is stored as {dtype}, which NumPy doesn't have; convert "
                        "it to float32 first"
                    )
                tensors[name] = file.get_tensor(name)
            return tensors
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a complete safetensors file ({error}): it was cut off or damaged; "
            "copy or save it again"
        ) from error


def _read_config(path: Path, config_class):
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("expected a JSON object")
        return config_class.from_dict(values)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error


def _modern_names(tensors: dict) -> dict:
    """Old files call LayerNorm's weight and bias gamma and beta, and hold copies and constants."""
    renamed = {}
    for name, array in tensors.items():
        if _IGNORED_NAMES.fullmatch(name):
            continue
        name = name.replace("LayerNorm.gamma", "LayerNorm.weight")
        renamed[name.replace("LayerNorm.beta", "LayerNorm.bias")] = array
    return renamed


def _with_our_prefix(tensors: dict, table: dict, prefix: str) -> dict:
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

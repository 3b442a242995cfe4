"""An n-gram model as a folder: config.json, model.safetensors, and ngrams.txt, one n-gram a line.

Column v of every array in model.safetensors belongs to line v of ngrams.txt (from 0).
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minillm.files import atomic_files
from minillm.foreign_files import folder_file, shortened
from minillm.models.labels import label_table
from minillm.models.ngrams import NGramVocabulary
from minillm.models.text_classifier import read_classifier_config
from minillm.sealed_weights import check_seal, write_weights
from minillm.weights_file import check_finite, read_weights


class NGramFolder(NamedTuple):
    """What is in it.  settings: those it was trained with, a dict that goes into JSON.

    tensors: "ratio" and "weight" (K, V), "bias" (K,), K being 1 for two classes, or the classes.
    """

    label_names: list[str]
    settings: dict
    vocabulary: NGramVocabulary
    tensors: dict[str, np.ndarray]


def write_ngram_folder(
    folder: str | os.PathLike, content: NGramFolder, architecture: str, model_type: str
) -> None:
    """Write the three files.

    All of them or none: an interrupted write, or a full disk, leaves the old ones.
    """
    with atomic_files(folder) as new:
        _write_files(new, content, architecture, model_type)


def _write_files(folder: Path, content: NGramFolder, architecture: str, model_type: str) -> None:
    names: Sequence[str] = content.label_names
    config = {
        "architectures": [architecture],
        "model_type": model_type,
        "id2label": dict(enumerate(names)),
        "label2id": {name: id for id, name in enumerate(names)},
        "minillm": content.settings | {"lowercase": content.vocabulary.lowercase},
    }
    tensors = {name: np.ascontiguousarray(t) for name, t in content.tensors.items()}
    content.vocabulary.save(folder / "ngrams.txt")
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")
    write_weights(folder / "model.safetensors", tensors, beside=["config.json", "ngrams.txt"])


def read_ngram_folder(folder: str | os.PathLike, model_type: str) -> NGramFolder:
    """Read what `write_ngram_folder` wrote.

    Raises FileNotFoundError if it isn't a model's folder or a file is missing in it; ValueError,
    with the file's name, for another kind of model, or files that are damaged or don't fit.
    """
    folder = Path(folder)
    config = read_classifier_config(folder)
    path = folder / "config.json"
    if config["model_type"] != model_type:
        raise ValueError(f"{path}: a {config['model_type']!r} model, expected {model_type!r}")
    weights, ngrams = (folder_file(folder, name) for name in ("model.safetensors", "ngrams.txt"))
    settings = config.get("minillm")
    if not isinstance(settings, dict) or not isinstance(settings.get("lowercase"), bool):
        raise ValueError(f'{path}, section "minillm": {settings!r:.80}, expected the settings')
    try:
        label_names = list(label_table(config["id2label"]).values())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    settings = dict(settings)
    vocabulary = NGramVocabulary.from_file(ngrams, settings.pop("lowercase"))
    tensors = read_weights(weights)
    check_seal(weights)
    V, K = len(vocabulary), len(label_names) if len(label_names) > 2 else 1
    expected = {"ratio": (K, V), "weight": (K, V), "bias": (K,)}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if found != expected:
        raise ValueError(
            f"{weights} holds {shortened(found)}, but {V} n-grams and {len(label_names)} classes "
            f"need {expected}: the files don't belong together"
        )
    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f":
            raise ValueError(f"{weights}: {name} is {tensor.dtype}, expected floating numbers")
    check_finite(weights, tensors)
    return NGramFolder(label_names, settings, vocabulary, tensors)

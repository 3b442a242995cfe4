"""What every classifier is to a program that uses it: texts in, probabilities out.

    from minillm.models import TextClassifier

    classifier = TextClassifier.from_pretrained("runs/reviews/model")
    classifier(["A joy from start to end."])    # [{"label": "positive", "score": 0.98}]

Whatever is inside (n-grams, a convolution, an LSTM, BERT) is written in the folder's config.json.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from minillm.files import complete_files
from minillm.foreign_files import folder_file
from minillm.strict_json import read_json

NETWORKS = ("bert", "minillm-average", "minillm-cnn", "minillm-lstm")
NGRAMS = ("minillm-ngram", "minillm-ngram-network")


class TextClassifier(ABC):
    """The interface of all classifiers.  A subclass gives `label_names`, `predict_proba`,
    `save_pretrained`, `from_pretrained` and `num_parameters`.
    """

    label_names: list[str]

    @abstractmethod
    def predict_proba(
        self, texts: Sequence[str], batch_size: int = 32, show_progress: bool = False
    ) -> np.ndarray:
        """The probability of every class for every text: (N, C) float64, rows sum to 1."""

    def predict(
        self, texts: Sequence[str], batch_size: int = 32, show_progress: bool = False
    ) -> np.ndarray:
        """The most probable class of every text: (N,) int64, an index into `label_names`."""
        return self.predict_proba(texts, batch_size, show_progress).argmax(axis=1)

    def __call__(self, texts: str | Sequence[str], batch_size: int = 32) -> list[dict]:
        """[{"label": name, "score": probability}, ...], as pipelines of Hugging Face give it.

        One text gives a list of one.  Raises TypeError for what isn't a text.
        """
        p = self.predict_proba([texts] if isinstance(texts, str) else texts, batch_size)
        best = p.argmax(axis=1)
        return [
            {"label": self.label_names[label], "score": float(row[label])}
            for label, row in zip(best, p, strict=True)
        ]

    @abstractmethod
    def num_parameters(self) -> int:
        """How many numbers were learned."""

    @abstractmethod
    def save_pretrained(self, folder: str | os.PathLike) -> None:
        """Write everything that `from_pretrained` needs into `folder`."""

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike) -> "TextClassifier":
        """Open a folder that a classifier was saved to, of whatever kind.

        Raises FileNotFoundError if it isn't a model's folder; ValueError if it holds a model of
        another kind, one without classes, or damaged files.
        """
        model_type = read_classifier_config(folder)["model_type"]
        return _class_of(model_type).from_pretrained(folder)


def read_classifier_config(folder: str | os.PathLike) -> dict:
    """The contents of a classifier's config.json; raises as `TextClassifier.from_pretrained`."""
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{str(folder)!r} is not a folder; give the path of a saved model")
    complete_files(folder)
    try:
        path = folder_file(folder, "config.json")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{str(folder)!r} is not a model's folder: it has no config.json"
        ) from None
    try:
        config = read_json(path)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} is damaged: expected a JSON object, found {config!r:.80}")
    model_type = config.get("model_type")
    if model_type not in NETWORKS + NGRAMS:
        raise ValueError(
            f"{path}: model_type is {model_type!r:.80}, expected one of "
            f"{', '.join(NETWORKS + NGRAMS)}"
        )
    if not config.get("id2label"):
        raise ValueError(
            f"{path} names no classes (id2label): this model isn't a classifier; fine-tune it first"
        )
    return config


def check_texts(texts: Iterable[str]) -> list[str]:
    """The texts as a list; TypeError for a single text, or naming the first that is not one."""
    if isinstance(texts, str | bytes):
        raise TypeError(f"expected a list of texts, got one text: {texts!r:.80}; write [text]")
    texts = list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text number {i} is {text!r:.80}; expected a str")
    return texts


def _class_of(model_type: str) -> type[TextClassifier]:
    # Imported here, as these files import this one.
    if model_type in NETWORKS:
        from minillm.models.network_classifier import NetworkClassifier

        return NetworkClassifier
    if model_type == "minillm-ngram":
        from minillm.models.ngram_classifier import NGramClassifier

        return NGramClassifier
    from minillm.models.ngram_network import NGramNetworkClassifier

    return NGramNetworkClassifier

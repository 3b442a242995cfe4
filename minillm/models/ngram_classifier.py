"""The baseline that a network has to beat: n-grams, weighed by naive Bayes and logistic regression.

    classifier = NGramClassifier.train(texts, labels, ["negative", "positive"])
    classifier(["Not a good film."])        # [{"label": "negative", "score": 0.97}]

text -> the n-grams in it (ngrams.py) -> one score a class (naive_bayes.py) -> probabilities.

With more than two classes each has a classifier of its own, "this class or another?", and their
probabilities are divided by their sum.

Source: Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic
Classification".
"""

import os
import warnings
from collections.abc import Sequence

import numpy as np

from minillm.models.classification import probabilities
from minillm.models.naive_bayes import (
    check_labels,
    class_targets,
    fit_logistic_regression,
    inverse_lengths,
    log_count_ratio,
)
from minillm.models.ngram_folder import NGramFolder, read_ngram_folder, write_ngram_folder
from minillm.models.ngrams import NGramVocabulary
from minillm.models.text_classifier import TextClassifier, check_texts


class NGramClassifier(TextClassifier):
    """A trained classifier: made by `train` or `from_pretrained`.

    vocabulary  : its n-grams
    label_names : the classes
    ratio       : r (K, V), K being 1 for two classes (the scores of class 1), or their number
    weight      : w (K, V);  bias: b (K,)
    settings    : those it was trained with
    """

    def __init__(
        self,
        vocabulary: NGramVocabulary,
        label_names: Sequence[str],
        ratio: np.ndarray,
        weight: np.ndarray,
        bias: np.ndarray,
        settings: dict,
    ):
        self.vocabulary, self.label_names = vocabulary, list(label_names)
        self.ratio, self.weight, self.bias = ratio, weight, bias
        self.settings = settings

    @classmethod
    def train(
        cls,
        texts: Sequence[str],
        labels: Sequence[int] | np.ndarray,
        label_names: Sequence[str],
        ngrams: int = 3,
        min_count: int = 2,
        max_features: int | None = None,
        lowercase: bool = True,
        alpha: float = 1.0,
        l2: float = 0.01,
        tolerance: float = 1e-3,
        max_iterations: int = 500,
        show_progress: bool = False,
    ) -> "NGramClassifier":
        """Learn from texts and their labels (numbers of `label_names`); deterministic.

        ngrams         : n-grams of 1 to so many words
        min_count      : that stand in so many texts at least
        max_features   : at most so many n-grams, the most frequent
        lowercase      : whether "Good" is "good"
        alpha          : what naive Bayes adds to each count
        l2             : how strongly the weights are held near 0; 1 / C of scikit-learn
        tolerance      : trained until the gradient is so small, compared to the start; a warning
                         (RuntimeWarning) if it isn't after `max_iterations`

        Raises ValueError or TypeError for texts, labels and settings that can't be.
        """
        texts = check_texts(texts)
        y = check_labels(labels, len(texts), label_names)
        settings: dict = {"ngrams": ngrams, "min_count": min_count, "max_features": max_features}
        settings |= {"alpha": alpha, "l2": l2}
        vocabulary = NGramVocabulary.fit(
            texts, ngrams, min_count, max_features, lowercase, show_progress
        )
        X = vocabulary.transform(texts, show_progress)
        rows = []
        for positive in class_targets(y, len(label_names)):
            # Computed in float64, kept in float32: half the file.
            r = log_count_ratio(X, positive, alpha).astype(np.float32).astype(np.float64)
            w, b, minimum = fit_logistic_regression(X, positive, r, l2, tolerance, max_iterations)
            if not minimum.converged:
                warnings.warn(
                    f"the weights are not at the minimum after {minimum.iterations} iterations: "
                    "raise max_iterations, tolerance or l2",
                    RuntimeWarning,
                    stacklevel=2,
                )
            rows.append((r, w, b))
        ratio, weight, bias = (np.array(column, np.float32) for column in zip(*rows, strict=True))
        return cls(vocabulary, label_names, ratio, weight, bias, settings)

    def scores(self, texts: Sequence[str], show_progress: bool = False) -> np.ndarray:
        """z (N, K) float64: the log odds of each class against the others (class 1 of two)."""
        X = self.vocabulary.transform(texts, show_progress)
        z = np.empty((X.shape[0], len(self.bias)))
        for k, b in enumerate(self.bias):
            r, w = self.ratio[k].astype(np.float64), self.weight[k].astype(np.float64)
            z[:, k] = inverse_lengths(X, r) * X.times(r * w) + b
        return z

    def predict_proba(
        self, texts: Sequence[str], batch_size: int = 32, show_progress: bool = False
    ) -> np.ndarray:
        """The probability of every class for every text: (N, C) float64, rows sum to 1.

        batch_size is there as all classifiers have it; nothing depends on it here.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}, expected 1 or more")
        z = self.scores(texts, show_progress)
        if z.shape[1] > 1:
            # sigmoid(z_c) / sum of them = softmax of log sigmoid(z): never 0/0.
            z = -np.logaddexp(0, -z)
        return probabilities(z)

    def num_parameters(self) -> int:
        """How many numbers were learned: weights and biases."""
        return self.weight.size + self.bias.size

    def save_pretrained(self, folder: str | os.PathLike) -> None:
        """Write config.json, model.safetensors and ngrams.txt into `folder`."""
        tensors = {"ratio": self.ratio, "weight": self.weight, "bias": self.bias}
        content = NGramFolder(self.label_names, self.settings, self.vocabulary, tensors)
        write_ngram_folder(folder, content, "NGramClassifier", "minillm-ngram")

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike) -> "NGramClassifier":
        """Open a folder that `save_pretrained` wrote; errors as in `read_ngram_folder`."""
        content = read_ngram_folder(folder, "minillm-ngram")
        t = content.tensors
        return cls(
            content.vocabulary,
            content.label_names,
            t["ratio"],
            t["weight"],
            t["bias"],
            content.settings,
        )

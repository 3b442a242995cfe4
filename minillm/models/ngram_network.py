"""A bag of n-grams as a neural network: naive Bayes to begin with, then trained by minibatches.

    z = b + sum over the n-grams i in the text of  r_i w_i

with r_i from naive Bayes (naive_bayes.py), which stays, and w_i learned.  All w_i begin at one
small number: so the network begins as naive Bayes, which is already right for most texts but far
too sure of itself, as its n-grams overlap; hence the small number.

While training, half of a text's n-grams are left out at random, others each time (dropout).  A text
has hundreds, and some rare one would do to tell its label from the others': what stood in one
text of the class only.  The network can't rely on it if it is often missing.  That, and stopping
after some epochs, is what takes it past the logistic regression on the same n-grams.

SGD, not Adam: Adam moves every weight equally far, however rare the n-gram is; in SGD a weight
moves with r_i and with the number of texts that it stands in.

Sources: Wang and Manning 2012, "Baselines and Bigrams"; Li et al. 2016, "Weighted Neural
Bag-of-n-grams Model"; dropout on features: Wang and Manning 2013, "Fast dropout training".
"""

import math
import os
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

import minillm
from minillm import functional as F
from minillm import nn, optim
from minillm.models.classification import (
    SequenceClassifierOutput,
    classification_loss,
    probabilities,
)
from minillm.models.naive_bayes import check_labels, class_targets, log_count_ratio
from minillm.models.ngram_folder import NGramFolder, read_ngram_folder, write_ngram_folder
from minillm.models.ngrams import NGramVocabulary, PresenceMatrix
from minillm.models.text_classifier import TextClassifier, check_texts
from minillm.nn.module import check_probability


class NGramNetwork(nn.Module):
    """The network; the formula stands at the head of this file.

    ratio   : r, an array (V, K), K being 1 for two classes, or the number of classes
    start   : what all w begin with
    dropout : the part of a text's n-grams that is left out while training
    """

    def __init__(self, ratio: np.ndarray, start: float = 0.025, dropout: float = 0.5):
        super().__init__()
        check_probability(dropout=dropout)
        ratio = np.array(ratio, np.float32)
        if ratio.ndim != 2 or not np.all(np.isfinite(ratio)):
            raise ValueError(f"ratio {ratio.shape}: expected finite numbers (n-grams, scores)")
        self.dropout = dropout
        self.ratio = nn.Parameter(ratio, requires_grad=False)  # counted, not trained
        self.weight = nn.Parameter(np.full_like(ratio, start))
        self.bias = nn.Parameter(np.zeros(ratio.shape[1], np.float32))

    def forward(self, ngrams, offsets, labels=None) -> SequenceClassifierOutput:
        """ngrams (N,): ids, those of text b from offsets[b] on; offsets, labels (B,).

        Returns logits (B, K) and, with labels, the mean cross-entropy (K = 1: the binary one).
        """
        present = minillm.tensor(
            np.ones(ngrams.shape, np.float64), dtype=self.weight.dtype, device=self.weight.device
        )
        if self.training:
            present = F.dropout(present, self.dropout)  # 0, or 1 / (1 - dropout)
        table = F.multiply(self.ratio, self.weight)  # (V, K)
        logits = F.embedding_bag(ngrams, table, offsets, "sum", present) + self.bias
        loss = None if labels is None else classification_loss(logits, labels)
        return SequenceClassifierOutput(loss, logits)

    def extra_repr(self):
        n, k = self.ratio.shape
        return f"{n}, {k}, dropout={self.dropout}"


class NGramNetworkClassifier(TextClassifier):
    """An NGramNetwork with its n-grams and classes: made by `train` or `from_pretrained`."""

    def __init__(
        self,
        network: NGramNetwork,
        vocabulary: NGramVocabulary,
        label_names: Sequence[str],
        settings: dict,
    ):
        self.network, self.vocabulary = network, vocabulary
        self.label_names, self.settings = list(label_names), settings

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
        start: float = 0.025,
        dropout: float = 0.5,
        epochs: int = 20,
        batch_size: int = 50,
        learning_rate: float = 0.75,
        seed: int = 0,
        device: str = "cpu",
        show_progress: bool = False,
    ) -> "NGramNetworkClassifier":
        """Learn from texts and their labels (numbers of `label_names`) by SGD.

        ngrams, min_count, max_features, lowercase, alpha: as in `NGramClassifier.train`; start,
        dropout: as in `NGramNetwork`.  The learning rate falls linearly to 0.  The same seed gives
        the same network, bit for bit.

        Raises ValueError or TypeError for texts, labels and settings that can't be,
        FloatingPointError if the loss isn't finite any more.
        """
        texts = check_texts(texts)
        y = check_labels(labels, len(texts), label_names)
        for name, value in {"epochs": epochs, "batch_size": batch_size}.items():
            if value < 1:
                raise ValueError(f"{name}={value}, expected 1 or more")
        if not 0 < learning_rate < math.inf:
            raise ValueError(f"learning_rate={learning_rate}, expected more than 0")
        if seed < 0:
            raise ValueError(f"seed={seed}, expected 0 or more")
        check_probability(dropout=dropout)
        settings: dict = {"ngrams": ngrams, "min_count": min_count, "max_features": max_features}
        settings |= {"alpha": alpha, "start": start, "dropout": dropout, "epochs": epochs}
        settings |= {"batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
        vocabulary = NGramVocabulary.fit(
            texts, ngrams, min_count, max_features, lowercase, show_progress
        )
        X = vocabulary.transform(texts, show_progress)
        targets = class_targets(y, len(label_names))
        ratio = np.stack([log_count_ratio(X, positive, alpha) for positive in targets], axis=1)
        network = NGramNetwork(ratio, start, dropout)
        network.to(device)
        _train(network, X, y, epochs, batch_size, learning_rate, seed, show_progress)
        return cls(network, vocabulary, label_names, settings)

    def predict_proba(
        self, texts: Sequence[str], batch_size: int = 32, show_progress: bool = False
    ) -> np.ndarray:
        """The probability of every class for every text: (N, C) float64, rows sum to 1."""
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}, expected 1 or more")
        X = self.vocabulary.transform(texts, show_progress)
        was_training = self.network.training
        self.network.eval()
        logits = [np.zeros((0, self.network.bias.shape[0]))]
        with minillm.no_grad():
            for start in range(0, X.shape[0], batch_size):
                rows = np.arange(start, min(start + batch_size, X.shape[0]))
                logits.append(self.network(*_batch(self.network, X, rows)).logits.numpy())
        self.network.train(was_training)
        return probabilities(np.concatenate(logits))

    def num_parameters(self) -> int:
        """How many numbers were learned: weights and biases."""
        return self.network.num_parameters(only_trainable=True)

    def save_pretrained(self, folder: str | os.PathLike) -> None:
        """Write config.json, model.safetensors and ngrams.txt into `folder`."""
        tensors = {name: p.numpy().T for name, p in self.network.named_parameters()}
        content = NGramFolder(self.label_names, self.settings, self.vocabulary, tensors)
        write_ngram_folder(folder, content, "NGramNetworkClassifier", "minillm-ngram-network")

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike) -> "NGramNetworkClassifier":
        """Open a folder that `save_pretrained` wrote; errors as in `read_ngram_folder`."""
        content = read_ngram_folder(folder, "minillm-ngram-network")
        tensors = content.tensors
        try:
            network = NGramNetwork(tensors["ratio"].T, dropout=content.settings["dropout"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{folder}/config.json, section "minillm": {error!r}') from error
        network.load_state_dict({name: tensor.T for name, tensor in tensors.items()})
        network.eval()
        return cls(network, content.vocabulary, content.label_names, content.settings)


def _batch(network: NGramNetwork, X: PresenceMatrix, rows: np.ndarray) -> list:
    """The n-grams of the chosen texts, and where each text begins, as tensors."""
    chosen, device = X.rows(rows), network.weight.device
    return [minillm.tensor(a, device=device) for a in (chosen.indices, chosen.indptr[:-1])]


def _train(network, X, labels, epochs, batch_size, learning_rate, seed, show_progress) -> None:
    """SGD on the mean cross-entropy of minibatches, drawn in a new order each epoch."""
    N = len(labels)
    steps_per_epoch = math.ceil(N / batch_size)
    steps = epochs * steps_per_epoch
    optimizer = optim.SGD([network.weight, network.bias], learning_rate)
    network.train()
    for step in tqdm(range(steps), desc="training", unit=" steps", disable=not show_progress):
        epoch, place = divmod(step, steps_per_epoch)
        if place == 0:
            order = np.random.default_rng([seed, epoch]).permutation(N)
        rows = order[place * batch_size : (place + 1) * batch_size]
        minillm.manual_seed([seed, step])  # of dropout
        optimizer.param_groups[0]["lr"] = learning_rate * (1 - step / steps)
        optimizer.zero_grad()
        y = minillm.tensor(labels[rows], device=network.weight.device)
        loss = network(*_batch(network, X, rows), y).loss
        if not math.isfinite(loss.item()):
            raise FloatingPointError(
                f"step {step + 1}: the loss is {loss.item()}: learning_rate={learning_rate} is "
                "too high"
            )
        loss.backward()
        optimizer.step()
    network.eval()

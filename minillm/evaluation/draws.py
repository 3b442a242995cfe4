"""The accuracy of a way to train, not of one network: what another draw of examples would change.

A network trained on 100 examples depends on which 100 these were.  So the training is repeated with
other draws, and the interval has to allow for both: other examples, and other texts to judge by.
"""

import numpy as np


def accuracy_over_draws(
    correct, n: int = 2000, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """(mean, low, high) of the accuracy of several draws on the same test texts.

    correct: (draws, N) booleans, whether draw d labelled text i rightly.
    The interval is a percentile bootstrap over both axes: draws and texts are drawn anew `n` times,
    with replacement (the pigeonhole bootstrap, Owen 2007, "The pigeonhole bootstrap").  With few
    draws it is too narrow; with one it only allows for the texts.
    Raises ValueError unless `correct` has two axes and an element, and 0 < confidence < 1.
    """
    correct = np.asarray(correct, np.float64)
    if correct.ndim != 2 or correct.size == 0:
        raise ValueError(f"correct has shape {correct.shape}, (draws, texts) was expected")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}, expected more than 0 and less than 1")
    rng = np.random.default_rng(seed)
    draws, N = correct.shape
    means = np.empty(n)
    for i in range(n):
        # How often each draw and each text comes up: the weights of a weighted mean.
        of_draws = np.bincount(rng.integers(0, draws, draws), minlength=draws)
        of_texts = np.bincount(rng.integers(0, N, N), minlength=N)
        means[i] = of_draws @ correct @ of_texts / (draws * N)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(correct.mean()), float(low), float(high)

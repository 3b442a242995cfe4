"""Exercises for lesson 07: fine-tuning, from a cut text to the moment to stop.

Fill in the functions; NumPy and the standard library are all you need.  Grade them with

    python -m pytest tests/exercises -k ex07

The lines after >>> can be typed into Python as they stand.

Names of parameters are those of minillm's BertForSequenceClassification: "bert.embeddings...",
"bert.layers.0...", "bert.layers.1..." and so on (layer 0 is the lowest), "bert.pooler..." and
"classifier...".
"""

import numpy as np


def head_and_tail(ids: list[int], max_length: int) -> list[int]:
    """Cut a long text to its beginning and its end.

    ids: the tokens of a text, without special tokens; max_length >= 1.  A text of at most
    max_length tokens stays as it is.  Of a longer one keep exactly max_length tokens: the first

        head = floor(max_length * 128 / 510)

    and the last max_length - head (Sun et al. 2019 took 128 and 382 of 510).

    Example: head = floor(8 * 128 / 510) = floor(2.008) = 2: two tokens and the last six are kept.
        >>> head_and_tail([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 8)
        [0, 1, 4, 5, 6, 7, 8, 9]

    Difficulty: 1 of 3. Lesson 07, section 3.
    """
    raise NotImplementedError("to do")


def epoch_batches(n: int, batch_size: int, rng: np.random.Generator) -> list[list[int]]:
    """Which examples make up the batches of one epoch.

    Shuffle the numbers 0 to n - 1 with `rng` and cut the row into batches of batch_size; the last
    batch is smaller if n isn't a multiple of it.  Returns a list of batches, each a list of
    numbers: every example is in exactly one.

    Example: five examples in batches of two, such as [[3, 0], [4, 1], [2]].
        >>> batches = epoch_batches(5, 2, np.random.default_rng(0))
        >>> [len(batch) for batch in batches]
        [2, 2, 1]

    Difficulty: 1 of 3. Lesson 07, section 3.
    """
    raise NotImplementedError("to do")


def mean_pool(hidden: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
    """One vector for each text: the mean of the vectors of its tokens, without the padding.

    hidden: (B, L, H); attention_mask: (B, L), 1 for a token, 0 for padding.  Returns (B, H):

        y[b] = sum_l mask[b, l] hidden[b, l] / sum_l mask[b, l]

    and zeros for a text without any token.

    Example: the third vector is padding, so the mean is that of the first two.
        >>> hidden = np.array([[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]])
        >>> mean_pool(hidden, np.array([[1, 1, 0]]))
        array([[2., 3.]])

    Difficulty: 2 of 3. Lesson 07, section 2.
    """
    raise NotImplementedError("to do")


def mean_pool_backward(dy: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
    """The gradient of `mean_pool` with respect to its hidden vectors.

    dy: (B, H), the gradient dL/dy; attention_mask: (B, L).  Returns dL/dhidden, (B, L, H):

        dhidden[b, l] = mask[b, l] dy[b] / sum_k mask[b, k]

    Padding gets no gradient, and a text without any token gets none at all.

    Example: each of the two tokens gets a half of dy, padding nothing.
        >>> mean_pool_backward(np.array([[2.0, 4.0]]), np.array([[1, 1, 0]]))
        array([[[1., 2.],
                [1., 2.],
                [0., 0.]]])

    Difficulty: 2 of 3. Lesson 07, section 2.
    """
    raise NotImplementedError("to do")


def learning_parameters(names: list[str], frozen_layers: int) -> list[str]:
    """Which parameters still learn if the lowest layers are frozen.

    names: names of parameters (see the head of this file); frozen_layers: n >= 0.  With n >= 1 the
    embeddings and the layers 0 to n - 1 are frozen; with n = 0 nothing is.  The upper layers, the
    pooler and the classifier always learn.  Returns the names of those that learn, in the order
    of `names`.

    Example: with two frozen layers, layer 2 and the classifier learn.
        >>> names = ["bert.embeddings.word.weight", "bert.layers.0.output.bias"]
        >>> names += ["bert.layers.1.output.bias", "bert.layers.2.output.bias", "classifier.bias"]
        >>> learning_parameters(names, 2)
        ['bert.layers.2.output.bias', 'classifier.bias']

    (A BERT may well have a layer 10, too: it isn't layer 1.)

    Difficulty: 2 of 3. Lesson 07, section 2.
    """
    raise NotImplementedError("to do")


def layer_learning_rates(
    names: list[str], n_layers: int, learning_rate: float, decay: float
) -> dict[str, float]:
    """A learning rate for each parameter: the lower it stands, the less it should change.

    names: names of parameters of a BERT with n_layers layers (see the head of this file).  With
    the depth d

        0              the embeddings
        i + 1          layer i (so 1 for the lowest, n_layers for the uppermost)
        n_layers + 1   the pooler and the classifier

    the rate is

        learning_rate * decay^(n_layers + 1 - d)

    Returns a dict: name -> rate.

    Example: two layers; the rate is halved from the classifier to layer 1, to layer 0, to the
    embeddings.
        >>> names = ["bert.embeddings.word.weight", "bert.layers.0.output.bias"]
        >>> names += ["bert.layers.1.output.bias", "classifier.bias"]
        >>> list(layer_learning_rates(names, 2, 0.8, 0.5).values())
        [0.1, 0.2, 0.4, 0.8]

    Difficulty: 2 of 3. Lesson 07, section 3.
    """
    raise NotImplementedError("to do")


def class_weights(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Weights with which all classes count alike in sum, however rare they are.

    labels: (N,) integers from 0 to C - 1, C = n_classes, each of which occurs.  With N_c the number
    of examples of class c, returns (C,):

        w_c = N / (C N_c)

    Example: w = [4 / (2 * 3), 4 / (2 * 1)]. Both classes weigh the same, 3 * 2/3 = 1 * 2.
        >>> class_weights(np.array([0, 0, 0, 1]), 2).round(4)
        array([0.6667, 2.    ])

    Difficulty: 1 of 3. Lesson 07, section 1.
    """
    raise NotImplementedError("to do")


def weighted_cross_entropy(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """Cross-entropy in which the examples of a class count with its weight.

    logits: (B, C); labels: (B,) integers; weights: (C,).  With p the softmax of the logits over the
    classes, and w_b = weights[labels[b]] the weight of example b:

        loss = sum_b w_b (-log p[b, labels[b]]) / sum_b w_b

    It is a weighted mean: the divisor is the sum of the examples' weights.  Logits may be as large
    as 1000.

    Example: p is [[1/2, 1/2], [1/4, 3/4]], the losses of the examples are 0.6931 and 0.2877, and
    (1 * 0.6931 + 3 * 0.2877) / (1 + 3) = 1.5562 / 4:
        >>> logits, labels = np.array([[0.0, 0.0], [0.0, np.log(3.0)]]), np.array([0, 1])
        >>> round(weighted_cross_entropy(logits, labels, np.array([1.0, 3.0])), 4)
        0.389

    Difficulty: 2 of 3. Lesson 07, section 3.
    """
    raise NotImplementedError("to do")


def early_stopping(losses: list[float], patience: int) -> tuple[int, int]:
    """When does training stop, and which parameters are kept?

    losses: the validation losses, one after the other, as they would come if training went on; the
    first is a number.  A loss is better if it is less than the best before it (equal isn't better,
    and nan never is).  Training stops as soon as `patience` validations in a row weren't better
    than the best before them.  Returns

        (number of the best validation, counted from 0;
         how many validations were made, the one after which training stops included)

    If it never stops, all of them were made.

    Example: 0.7 is the best; 0.8, 0.75 and 0.74 aren't better than that, so training stops there,
    and 0.6 is never seen.
        >>> early_stopping([0.9, 0.7, 0.8, 0.75, 0.74, 0.73, 0.6], 3)
        (1, 5)

    Difficulty: 3 of 3. Lesson 07, section 3.
    """
    raise NotImplementedError("to do")

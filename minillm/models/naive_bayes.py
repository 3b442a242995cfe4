"""What naive Bayes knows of each n-gram, and logistic regression that starts from it.

Naive Bayes counts in how many texts of a class, and of the others, an n-gram stands:

    p = alpha + counts in the class        q = alpha + counts in the other classes
    r = log( (p / sum p) / (q / sum q) )   the log-count ratio, a number for each n-gram

"superb" gets a large r, "waste" a negative one, "the" one near 0.  Naive Bayes adds up the r of
what stands in a text; as if every n-gram were evidence by itself, although "waste", "a waste" and
"waste of" are one piece of evidence.  Logistic regression weighs them against each other:

    z_d = b + sum over n-grams i in text d of  r_i w_i / |r_d|       p(class | d) = sigmoid(z_d)
    L(w, b) = sum_d log(1 + exp(-t_d z_d)) + l2/2 |w|^2              t_d = +1 or -1

|r_d| is the length of the vector of the r in the text: long and short texts speak equally loud.
The penalty pulls w, not r w, to zero.  So where r is large, a weight r w comes cheap; where r is
near 0, as that of "the" is, it costs much: that is what naive Bayes contributes.

Source: Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic
Classification" (there with a support vector machine).
"""

from collections.abc import Sequence

import numpy as np

from minillm.models.lbfgs import Minimum, minimize_lbfgs
from minillm.models.ngrams import PresenceMatrix


def check_labels(
    labels: Sequence[int] | np.ndarray, n: int, label_names: Sequence[str]
) -> np.ndarray:
    """The labels as (n,) int64; an error unless each is the number of a name and each name occurs.

    Raises ValueError for another number of labels, less than two classes, a label that has no
    name, or a class without texts; TypeError for labels that aren't whole numbers.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu" and labels.size:
        raise TypeError(f"labels are {labels.dtype}, expected whole numbers: 0, 1, ...")
    if labels.shape != (n,):
        raise ValueError(f"labels of shape {labels.shape} for {n} texts, expected one a text")
    if len(label_names) < 2:
        raise ValueError(f"label_names={list(label_names)}: expected two classes or more")
    outside = np.flatnonzero((labels < 0) | (labels >= len(label_names)))
    if len(outside):
        raise ValueError(
            f"label number {outside[0]} is {labels[outside[0]]}, expected 0 to "
            f"{len(label_names) - 1}: {', '.join(label_names)}"
        )
    labels = labels.astype(np.int64)
    for label, count in enumerate(np.bincount(labels, minlength=len(label_names))):
        if count == 0:
            raise ValueError(f"no text has the label {label} ({label_names[label]!r})")
    return labels


def class_targets(labels: np.ndarray, classes: int) -> list[np.ndarray]:
    """Which texts belong to a class: one boolean array (N,) for each question that is asked.

    Two classes: one question, "is it class 1?".  More: "is it class c?" for each (one versus rest).
    """
    return [labels == c for c in (range(classes) if classes > 2 else [1])]


def log_count_ratio(X: PresenceMatrix, positive: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """r (V,) as above, float64; positive (N,) bool: which texts are of the class.

    alpha: added to all counts, so that an n-gram never seen in a class isn't impossible there.
    Raises ValueError unless alpha is above 0.
    """
    if not 0 < alpha < np.inf:
        raise ValueError(f"alpha={alpha}, expected more than 0")
    p = alpha + X.transposed_times(positive.astype(np.float64))
    q = alpha + X.transposed_times(1.0 - positive)
    return np.log((p / p.sum()) / (q / q.sum()))


def inverse_lengths(X: PresenceMatrix, r: np.ndarray) -> np.ndarray:
    """1 / |r_d| (N,) for each text; 0 for a text whose n-grams, if any, all have r = 0."""
    squares = X.times(r * r)
    return np.divide(1, np.sqrt(squares), out=np.zeros_like(squares), where=squares > 0)


def fit_logistic_regression(
    X: PresenceMatrix,
    positive: np.ndarray,
    r: np.ndarray,
    l2: float = 0.01,
    tolerance: float = 1e-4,
    max_iterations: int = 500,
) -> tuple[np.ndarray, float, Minimum]:
    """The weights w (V,), the bias b, and how the minimum of L(w, b) was found.

    l2 is 1 / C of scikit-learn's LogisticRegression.  The bias isn't penalised.
    Raises ValueError unless l2 is above 0: without a penalty the weights of separable texts
    grow for ever.
    """
    if not 0 < l2 < np.inf:
        raise ValueError(f"l2={l2}, expected more than 0")
    t = np.where(positive, 1.0, -1.0)
    scale = inverse_lengths(X, r)

    def loss(parameters):
        w, b = parameters[:-1], parameters[-1]
        z = scale * X.times(r * w) + b
        value = np.logaddexp(0, -t * z).sum() + l2 / 2 * (w @ w)
        # dL/dz = -t sigmoid(-t z); sigmoid(x) = tanh(x/2)/2 + 1/2
        dz = -t * (0.5 * np.tanh(-0.5 * t * z) + 0.5)
        dw = r * X.transposed_times(scale * dz) + l2 * w
        return value, np.append(dw, dz.sum())

    minimum = minimize_lbfgs(loss, np.zeros(len(r) + 1), tolerance, max_iterations)
    return minimum.x[:-1], float(minimum.x[-1]), minimum

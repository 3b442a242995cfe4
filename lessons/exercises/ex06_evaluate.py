"""Exercises for lesson 06: how good is a classifier, and how sure is that number?

Fill in the functions; NumPy and the standard library are all you need.  Grade them with

    python -m pytest tests/exercises -k ex06

The lines after >>> can be typed into Python as they stand.

Labels are whole numbers.  0 / 0 is taken as 0 throughout.
"""

import numpy as np


def confusion_matrix(y_true: np.ndarray, y_pred: np.ndarray, n_classes: int) -> np.ndarray:
    """Who is taken for whom: a row for each true class, a column for each predicted one.

    y_true, y_pred: (N,) labels from 0 to K - 1, K = n_classes.  Returns (K, K) integers:

        C[i, j] = number of rows n with y_true[n] = i and y_pred[n] = j

    Classes that don't occur have a row and a column of zeros.

    Example: of the two rows of class 0 one is taken for class 1, and the row of class 2 for 0.
        >>> confusion_matrix(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3)
        array([[1, 1, 0],
               [0, 1, 0],
               [1, 0, 0]])

    Difficulty: 1 of 3. Lesson 06, section 9.
    """
    raise NotImplementedError("to do")


def precision_recall_f1(
    y_true: np.ndarray, y_pred: np.ndarray, positive: int
) -> tuple[float, float, float]:
    """Precision, recall and F1 of the class `positive`.

    y_true, y_pred: (N,) labels.  With tp the number of rows that are positive and were called so:

        P = tp / (number called positive)      R = tp / (number that are positive)
        F1 = 2 P R / (P + R)                   (the harmonic mean)

    Returns (P, R, F1).  Where a quotient is 0 / 0 it is 0.

    Example: tp = 2; three rows were called positive, four are. So P = 2/3, R = 2/4 and
    F1 = 2 (1/3) / (7/6) = 4/7:
        >>> y_true, y_pred = np.array([1, 1, 1, 1, 0, 0]), np.array([1, 1, 0, 0, 1, 0])
        >>> [round(x, 4) for x in precision_recall_f1(y_true, y_pred, 1)]
        [0.6667, 0.5, 0.5714]

    Difficulty: 1 of 3. Lesson 06, section 4.
    """
    raise NotImplementedError("to do")


def macro_f1(y_true: np.ndarray, y_pred: np.ndarray, n_classes: int) -> float:
    """The mean of the classes' F1: every class counts alike, however rare.

    y_true, y_pred: (N,) labels from 0 to K - 1, K = n_classes.

        macro F1 = 1/K sum_c F1_c

    with F1_c as in `precision_recall_f1` with c as the positive class.  All K classes count, with
    0 where a class neither occurs nor is predicted.

    Example: class 0 has P = 2/2, R = 2/3, F1 = 0.8; class 1 has P = 1/2, R = 1/1, F1 = 2/3.
        >>> round(macro_f1(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2), 4)
        0.7333

    Difficulty: 2 of 3. Lesson 06, section 4.
    """
    raise NotImplementedError("to do")


def roc_auc(y_true: np.ndarray, scores: np.ndarray) -> float:
    """The area under the ROC curve: how often a positive row scores higher than a negative one.

    y_true: (N,) labels 0 and 1, both occur; scores: (N,) numbers, larger means more positive.

        AUC = mean over all pairs (p positive, n negative) of
              1 if scores[p] > scores[n],  1/2 if they are equal,  0 otherwise

    You may go through all pairs, or sort and count; equal scores must count half either way.

    Example: 0.9 beats all three negatives; 0.4 equals 0.4, beats 0.3 and loses to 0.6, which makes
    1.5. So it is 4.5 of 6 pairs:
        >>> scores = np.array([0.9, 0.4, 0.4, 0.3, 0.6])
        >>> float(roc_auc(np.array([1, 1, 0, 0, 0]), scores))
        0.75

    Difficulty: 3 of 3. Lesson 06, section 4.
    """
    raise NotImplementedError("to do")


def stratified_split(
    labels: np.ndarray, test_size: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Split the rows into a training and a test part that hold the classes in equal proportions.

    labels: (N,) integers; test_size: a fraction.  Returns (training, test): two arrays of row
    numbers (0 to N - 1), in any order.  Each row is in exactly one of them.  Of the n_c rows of
    class c,

        test_size * n_c

    are in the test part, chosen at random with `rng`.  (All sizes in the tests make that a whole
    number; but mind that 0.29 * 100 is 28.999999999999996 for a computer.)

    Example: the test part gets one of the rows 0 and 1, and two of the rows 2, 3, 4 and 5; it may
    be [1, 2, 5], and then training is [0, 3, 4].
        >>> labels = np.array([0, 0, 1, 1, 1, 1])
        >>> training, test = stratified_split(labels, 0.5, np.random.default_rng(0))
        >>> np.bincount(labels[test])
        array([1, 2])
        >>> np.sort([*training, *test])
        array([0, 1, 2, 3, 4, 5])

    Difficulty: 3 of 3. Lesson 06, section 1.
    """
    raise NotImplementedError("to do")


def bootstrap_interval(
    correct: np.ndarray, n: int, confidence: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Where the accuracy would lie on other test sets of the same size: the percentile bootstrap.

    correct: (N,) of 0 and 1, whether each test text was classified rightly.  Repeat n times: draw
    N of the N rows with replacement and note the mean.  The interval holds the middle
    `confidence` of these n means:

        low, high = their quantiles (1 - confidence) / 2 and (1 + confidence) / 2

    Take the random numbers from `rng`.

    Example: if all are right, so are all in every resample.
        >>> low, high = bootstrap_interval(np.ones(5, int), 20, 0.9, np.random.default_rng(0))
        >>> float(low), float(high)
        (1.0, 1.0)

    If 320 of 400 are right, confidence 0.95 and n = 2000 give about (0.76, 0.84): the accuracy 0.8
    has the standard deviation sqrt(0.8 * 0.2 / 400) = 0.02, and 95 % of a normal distribution lie
    within 1.96 of them.

    Difficulty: 2 of 3. Lesson 06, section 4.
    """
    raise NotImplementedError("to do")


def mcnemar(y_true: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[int, int, float]:
    """Is A better than B?  McNemar's exact test.

    y_true, a, b: (N,) labels: the truth, and what the classifiers A and B say.  Returns
    (only_a, only_b, p): how many rows A alone has right, how many B alone, and the probability of
    so unequal a division or a more unequal one, if a coin decided each of these m rows:

        m = only_a + only_b,  k = min(only_a, only_b)
        p = min(1, 2 sum_{i = 0}^{k} (m over i) / 2^m)

    Example: A alone is right 5 times, B alone once, so m = 6, k = 1 and p = 2 (1 + 6) / 64.
        >>> y_true = np.array([1, 1, 1, 1, 1, 1, 1, 1])
        >>> a = np.array([1, 1, 1, 1, 1, 0, 1, 0])
        >>> b = np.array([0, 0, 0, 0, 0, 1, 1, 0])
        >>> mcnemar(y_true, a, b)
        (5, 1, 0.21875)

    Difficulty: 2 of 3. Lesson 06, section 5.
    """
    raise NotImplementedError("to do")


def expected_calibration_error(y_true: np.ndarray, probabilities: np.ndarray, n_bins: int) -> float:
    """ECE: by how much the confidence of a classifier misses its accuracy.

    y_true: (N,) labels from 0 to C - 1; probabilities: (N, C), each row with the sum 1.  The
    confidence of a row is its largest probability; the row is right if that is the true class.
    Sort the rows into M = n_bins equal bins by confidence: bin m = 1 ... M holds

        (m - 1) / M < confidence <= m / M

        ECE = sum_m |B_m| / N  | accuracy of B_m - mean confidence of B_m |

    with |B_m| the number of rows in the bin.  Empty bins count nothing.

    Example: the first four rows are in the bin (0.75, 1], accuracy 2/4, mean confidence 0.85: off
    by 0.35. The last is in (0.5, 0.75], accuracy 1, confidence 0.7: off by 0.3. So ECE is
    4/5 * 0.35 + 1/5 * 0.3:
        >>> p = np.array([[0.2, 0.8], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9], [0.7, 0.3]])
        >>> round(expected_calibration_error(np.array([1, 1, 0, 0, 0]), p, 4), 4)
        0.34

    Difficulty: 3 of 3. Lesson 06, section 4.
    """
    raise NotImplementedError("to do")

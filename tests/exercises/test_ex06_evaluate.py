"""Graders of lesson 06's exercises: judging a classifier."""

import math

import numpy as np
from grading.answer import Rng, rng
from grading.compare import as_numbers
from grading.draws import follows_the_generator


def test_confusion_matrix(answer):
    answer.equals(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3)
    answer.equals(np.array([1, 1, 0]), np.array([1, 1, 1]), 2)
    answer.equals(np.array([3, 1, 3]), np.array([1, 1, 3]), 4)
    generator = rng("confusion_matrix")
    for K, N in [(2, 6), (3, 12), (5, 12), (6, 100)]:
        answer.equals(generator.integers(0, K, N), generator.integers(0, K, N), K)


def test_precision_recall_f1(answer):
    answer.equals(np.array([1, 1, 1, 1, 0, 0]), np.array([1, 1, 0, 0, 1, 0]), 1)
    answer.equals(np.array([1, 1, 0, 2]), np.array([2, 1, 0, 2]), 2)
    answer.equals(np.array([0, 1, 1]), np.array([0, 0, 0]), 1)  # P = 0 / 0
    answer.equals(np.array([0, 0, 0]), np.array([0, 1, 0]), 1)  # R = 0 / 0
    answer.equals(np.array([1, 0]), np.array([0, 1]), 1)  # F1 = 0 / 0
    answer.equals(np.array([1, 0]), np.array([1, 0]), 3)
    generator = rng("precision_recall_f1")
    for K, N in [(2, 5), (2, 9), (3, 10), (4, 50)]:
        y_true, y_pred = generator.integers(0, K, (2, N))
        for positive in range(K):
            answer.equals(y_true, y_pred, positive)


def test_macro_f1(answer):
    answer.equals(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2)
    answer.equals(np.array([0, 0, 1]), np.array([0, 2, 1]), 3)  # 2 is predicted, but never true
    answer.equals(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)  # 2 is neither
    generator = rng("macro_f1")
    for K, N in [(2, 6), (3, 10), (5, 8), (4, 60)]:
        answer.equals(generator.integers(0, K, N), generator.integers(0, K, N), K)


def test_roc_auc(answer):
    answer.equals(np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.4, 0.4, 0.3, 0.6]))
    answer.equals(np.array([0, 1]), np.array([0.2, 0.3]))
    answer.equals(np.array([1, 0, 1, 0]), np.array([0.5, 0.5, 0.5, 0.5]))
    answer.equals(np.array([1, 0, 0]), np.array([-3.0, -2.0, -5.0]))  # scores, not probabilities
    generator = rng("roc_auc")
    for N in (4, 8, 20, 200):
        y_true = generator.permutation(np.arange(N) % 3 == 0).astype(int)
        answer.equals(y_true, generator.normal(size=N) + y_true)
        answer.equals(y_true, np.round(generator.random(N), 1))  # many equal scores


def test_stratified_split(answer):
    cases = [(np.array([0, 0, 1, 1, 1, 1]), 0.5, seed) for seed in range(4)]
    cases += [(np.array([1, 0, 2, 1, 0, 1, 2, 1]), 0.5, seed) for seed in range(4)]
    generator = rng("stratified_split")
    # 0.29 * 100 is 28.999999999999996.
    mixed = generator.permutation(np.repeat([0, 1, 2], [100, 200, 300]))
    cases += [(mixed, size, seed) for size in (0.29, 0.1, 0.75) for seed in range(2)]
    for labels, test_size, seed in cases:
        value = answer(labels, test_size, Rng(seed))
        N, counts = len(labels), np.bincount(labels)
        wanted = [round(test_size * n) for n in counts]

        def require(condition, hint, value=value):
            answer.require(bool(condition), hint, value=value)

        both = isinstance(value, (list, tuple, np.ndarray)) and len(value) == 2
        require(both, "return two arrays, (training, test)")
        training, test = (as_numbers(part) for part in value)
        fit = [part is not None and part.ndim == 1 for part in (training, test)]
        require(all(fit), "training and test must be one row of numbers each")
        training, test = (part.astype(np.int64) for part in (training, test))
        together = np.r_[training, test]
        hint = "row numbers are expected, from 0 to N - 1, each part without repetition"
        if len(together) == N and (np.sort(together) == np.sort(labels)).all():
            hint = "these are the labels instead of the row numbers"
        elif len(together) == N and together.max() < counts.max() and len(counts) > 1:
            hint = "these are numbers within the class: translate them back to rows of `labels`"
        elif len(np.unique(test)) < len(test) and len(np.intersect1d(training, test)) == 0:
            hint = "a row stands twice in a part: draw without replacement"
        unique = all(len(np.unique(part)) == len(part) for part in (training, test))
        inside = len(together) > 0 and together.min() >= 0 and together.max() < N
        require(unique and inside, hint)
        if len(np.intersect1d(training, test)):
            require(together.max() > counts.max() or len(together) != N, hint)
            require(False, "the same row on both sides: the test would only ask what was learned")
        require(len(together) == N, "rows are missing from both parts")
        got = np.bincount(labels[test], minlength=len(counts)).tolist()
        of_training = np.bincount(labels[training], minlength=len(counts)).tolist()
        if got != wanted:
            hint = "the classes have other proportions in the test part: divide class by class"
            if of_training == wanted:
                hint = "training and test are swapped: the training part comes first"
            elif got == [int(test_size * n) for n in counts]:
                hint = "a row too few: round, don't cut off (0.29 * 100 is 28.999999999999996)"
            elif len(set(got)) == 1:
                hint = "as many rows of each class: it must be the same share of each"
            case = f"classes of {counts.tolist()} rows, test_size {test_size}: test rows of each"
            answer.require(False, hint, case, got, wanted)

    # Of 1,000 rows 500 are drawn; of the first 500 so many: 250, 5.5 sigma are 62.
    labels = np.arange(2000) % 2
    for seed in range(2):
        first = int(sum(np.asarray(answer(labels, 0.5, Rng(seed))[1]) < 1000))
        answer.require(
            abs(first - 500) < 124,
            "always the first rows of each class (or the last): draw them at random",
            "labels 0, 1, 0, 1 ... (2,000), test_size 0.5: test rows among the first 1,000 (about)",
            first,
            500,
        )
    follows_the_generator(answer, lambda seed: answer(labels[:100], 0.5, Rng(seed)))


def binomial_quantile(N, p, level):
    """The smallest k / N with P(at most k of N are right) >= level."""
    total = 0.0
    for k in range(N + 1):
        log = math.lgamma(N + 1) - math.lgamma(k + 1) - math.lgamma(N - k + 1)
        total += math.exp(log + k * math.log(p) + (N - k) * math.log(1 - p))
        if total >= level:
            return k / N
    return 1.0


def test_bootstrap_interval(answer):
    hint = "if all are right, so are all in every resample: (1, 1), not in percent"
    answer.equals(np.ones(5, int), 20, 0.9, Rng(0), expected=(1.0, 1.0), hint=hint)
    generator = rng("bootstrap_interval")
    # The mean of a resample is a binomial number of right ones, divided by N.  Of n such means a
    # quantile lies where the binomial has its level, give or take 5.5 sigma of n tosses.
    for N, right, n, confidence in [
        (400, 320, 2000, 0.8),
        (400, 320, 2000, 0.95),
        (60, 50, 2000, 0.5),
    ]:
        correct = generator.permutation(np.arange(N) < right).astype(int)
        case = f"{right} of {N} are right, n {n}, confidence {confidence}: about"
        value = answer(correct, n, confidence, Rng(N + n))
        pair = as_numbers(value)
        ok = pair is not None and pair.shape == (2,) and np.isfinite(pair).all()
        answer.require(ok, "return two numbers, (low, high)", case, value)
        bounds, middle = [], []
        for level in ((1 - confidence) / 2, (1 + confidence) / 2):
            e = 5.5 * math.sqrt(level * (1 - level) / n)
            least = binomial_quantile(N, right / N, max(level - e, 0)) - 1 / N
            bounds.append((least, binomial_quantile(N, right / N, level + e) + 1 / N))
            middle.append(binomial_quantile(N, right / N, level))
        low, high = float(pair[0]), float(pair[1])
        if all(a <= x <= b for x, (a, b) in zip((low, high), bounds, strict=True)):
            continue
        width = (high - low) / (middle[1] - middle[0])
        hint = "the ends of the interval are not where the means' quantiles lie"
        if high > 1.5:
            hint = "accuracies from 0 to 1 are expected, not in percent"
        elif width < 0:
            hint = "low comes first, then high"
        elif width == 0:
            hint = "the interval has no width: draw with replacement, or all means are equal"
        elif (low, high) == (0, 1):
            hint = "the quantiles of the means, not of the rows, are asked for"
        elif width < 0.1:
            hint = (
                "far too narrow: was the deviation divided by the root of n once more? The means' "
            )
            hint += "own quantiles are the interval"
        elif abs(width - math.sqrt(N / n)) < 0.1:
            hint = "too narrow: a resample has N rows, not n"
        elif 0.5 < width < 0.9:
            hint = "too narrow: leave half of the rest on each side, (1 - confidence) / 2"
        elif width > 2:
            hint = "too wide: the quantiles are asked for, not the smallest and the largest mean"
        elif width > 1.25:
            hint = (
                "too wide: is it always 95 %, whatever `confidence` says? Or are fewer rows drawn "
            )
            hint += "for a resample than there are? It has N rows, not n or a part of them"
        answer.require(False, hint, case, value, tuple(middle))
    correct = np.arange(1000) % 2
    follows_the_generator(
        answer, lambda seed: [answer(correct, 30, 0.8, Rng(6 * seed + i)) for i in range(6)]
    )


def test_mcnemar(answer):
    ones = np.ones(8, int)
    answer.equals(ones, np.array([1, 1, 1, 1, 1, 0, 1, 0]), np.array([0, 0, 0, 0, 0, 1, 1, 0]))
    answer.equals(np.array([2, 1]), np.array([1, 1]), np.array([0, 0]))  # the first: both wrong
    answer.equals(ones[:3], np.array([1, 0, 1]), np.array([0, 1, 1]))  # p would be 1.5
    answer.equals(ones[:2], np.array([1, 0]), np.array([1, 0]))  # m = 0
    generator = rng("mcnemar")
    for K, N in [(2, 6), (3, 12), (3, 30), (4, 60)]:
        y_true = generator.integers(0, K, N)
        a, b = (
            np.where(generator.random(N) < p, y_true, generator.integers(0, K, N))
            for p in (0.7, 0.3)
        )
        answer.equals(y_true, a, b)


def test_expected_calibration_error(answer):
    p = np.array([[0.2, 0.8], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9], [0.7, 0.3]])
    answer.equals(np.array([1, 1, 0, 0, 0]), p, 4)
    # Confidences on edges: 0.5 and 0.75 belong to the bins below them, 1 to the last.
    p = np.array([[0.25, 0.75], [0.625, 0.375], [0.5, 0.5], [0, 1], [0.125, 0.875]])
    answer.equals(np.array([1, 1, 0, 1, 0]), p, 4)
    generator = rng("expected_calibration_error")
    for C, N, M in [(2, 3, 2), (2, 6, 5), (3, 8, 10), (3, 50, 7), (5, 200, 15)]:
        p = np.exp(2 * generator.normal(size=(N, C)))
        p /= p.sum(axis=1, keepdims=True)
        answer.equals(generator.integers(0, C, N), p, M)

"""Mistakes that students make in lesson 06's exercises, each with the words that must name it."""

import math

import numpy as np

from grading.mistakes import mistake

# confusion_matrix


def _count(y_true, y_pred, K):
    C = np.zeros((K, K), int)
    np.add.at(C, (y_true, y_pred), 1)
    return C


@mistake("confusion_matrix", "transposed: rows are the true classes")
def rows_are_predictions(y_true, y_pred, n_classes):
    return _count(y_pred, y_true, n_classes)


@mistake("confusion_matrix", "the same cell twice counts once: use np.add.at")
def fancy_index(y_true, y_pred, n_classes):
    C = np.zeros((n_classes, n_classes), int)
    C[y_true, y_pred] += 1
    return C


@mistake("confusion_matrix", "classes that don't occur are left out")
def only_present_classes(y_true, y_pred, n_classes):
    classes, codes = np.unique(np.concatenate([y_true, y_pred]), return_inverse=True)
    return _count(*np.split(codes, 2), len(classes))


@mistake("confusion_matrix", "counts, not shares")
def normalised(y_true, y_pred, n_classes):
    C = _count(y_true, y_pred, n_classes)
    return C / np.maximum(C.sum(axis=1, keepdims=True), 1)


@mistake("confusion_matrix", "the last row of the data is left out")
def without_last_row(y_true, y_pred, n_classes):
    return _count(y_true[:-1], y_pred[:-1], n_classes)


@mistake("confusion_matrix", "only the right ones are counted")
def only_the_diagonal(y_true, y_pred, n_classes):
    right = y_true == y_pred
    return _count(y_true[right], y_pred[right], n_classes)


# precision_recall_f1


def _tally(y_true, y_pred, positive):
    """tp, how many were called positive, how many are."""
    one, said = np.asarray(y_true) == positive, np.asarray(y_pred) == positive
    return int((one & said).sum()), int(said.sum()), int(one.sum())


def _divide(a, b):
    return a / b if b else 0.0


def _prf(y_true, y_pred, positive, f1=lambda P, R: _divide(2 * P * R, P + R)):
    tp, said, true = _tally(y_true, y_pred, positive)
    P, R = _divide(tp, said), _divide(tp, true)
    return P, R, f1(P, R)


@mistake("precision_recall_f1", "precision and recall are swapped")
def precision_for_recall(y_true, y_pred, positive):
    return _prf(y_pred, y_true, positive)


@mistake("precision_recall_f1", "F1 is the harmonic mean, 2 P R / (P + R)")
def arithmetic_mean(y_true, y_pred, positive):
    return _prf(y_true, y_pred, positive, lambda P, R: (P + R) / 2)


@mistake("precision_recall_f1", "F1 is the harmonic mean, 2 P R / (P + R)")
def geometric_mean(y_true, y_pred, positive):
    return _prf(y_true, y_pred, positive, lambda P, R: math.sqrt(P * R))


@mistake("precision_recall_f1", "the factor 2 of F1 is missing")
def without_two(y_true, y_pred, positive):
    return _prf(y_true, y_pred, positive, lambda P, R: _divide(P * R, P + R))


@mistake("precision_recall_f1", "the class is `positive`, not always 1")
def always_class_one(y_true, y_pred, positive):
    return _prf(y_true, y_pred, 1)


@mistake("precision_recall_f1", "0 / 0 must be 0")
def divides_by_zero(y_true, y_pred, positive):
    tp, said, true = _tally(y_true, y_pred, positive)
    P, R = tp / said, tp / true
    return P, R, 2 * P * R / (P + R)


@mistake("precision_recall_f1", "0 / 0 must be 0")
def not_a_number(y_true, y_pred, positive):
    with np.errstate(all="ignore"):
        tp, said, true = map(np.float64, _tally(y_true, y_pred, positive))
        P, R = tp / said, tp / true
        return float(P), float(R), float(2 * P * R / (P + R))


@mistake("precision_recall_f1", "integer division")
def whole_numbers(y_true, y_pred, positive):
    tp, said, true = _tally(y_true, y_pred, positive)
    P, R = tp // max(said, 1), tp // max(true, 1)
    return P, R, _divide(2 * P * R, P + R)


@mistake("precision_recall_f1", "the accuracy in place of the precision")
def accuracy_for_precision(y_true, y_pred, positive):
    _, R, _ = _prf(y_true, y_pred, positive)
    P = float(np.mean(np.asarray(y_true) == np.asarray(y_pred)))
    return P, R, _divide(2 * P * R, P + R)


@mistake("precision_recall_f1", "true negatives are counted as found")
def negatives_counted_as_found(y_true, y_pred, positive):
    tp, said, true = _tally(y_true, y_pred, positive)
    right = int(np.sum(np.asarray(y_true) == np.asarray(y_pred)))
    P, R = _divide(right, said), _divide(right, true)
    return P, R, _divide(2 * P * R, P + R)


# macro_f1


def _f1s(y_true, y_pred, classes):
    return [_prf(y_true, y_pred, c)[2] for c in classes]


@mistake("macro_f1", "micro for macro: that is the accuracy")
def micro(y_true, y_pred, n_classes):
    return float(np.mean(y_true == y_pred))


@mistake("macro_f1", "weighted by how often a class occurs: all must count alike")
def weighted(y_true, y_pred, n_classes):
    counts = np.bincount(y_true, minlength=n_classes)
    return float(np.average(_f1s(y_true, y_pred, range(n_classes)), weights=counts))


@mistake("macro_f1", "the F1 of mean precision and mean recall")
def f1_of_the_means(y_true, y_pred, n_classes):
    P, R, _ = np.mean([_prf(y_true, y_pred, c) for c in range(n_classes)], axis=0)
    return float(_divide(2 * P * R, P + R))


@mistake("macro_f1", "all n_classes count, also those that don't occur")
def only_true_classes(y_true, y_pred, n_classes):
    return float(np.mean(_f1s(y_true, y_pred, np.unique(y_true))))


@mistake("macro_f1", "all n_classes count, also those that don't occur")
def only_classes_in_the_data(y_true, y_pred, n_classes):
    return float(np.mean(_f1s(y_true, y_pred, np.unique(np.r_[y_true, y_pred]))))


@mistake("macro_f1", "the F1 of class 1 alone")
def only_class_one(y_true, y_pred, n_classes):
    return _f1s(y_true, y_pred, [1])[0]


@mistake("macro_f1", "the sum over the classes instead of the mean")
def summed(y_true, y_pred, n_classes):
    return float(np.sum(_f1s(y_true, y_pred, range(n_classes))))


@mistake("macro_f1", "0 / 0 must be 0")
def nan_for_absent_classes(y_true, y_pred, n_classes):
    values = []
    for c in range(n_classes):
        tp, said, true = _tally(y_true, y_pred, c)
        values.append(2 * tp / (said + true) if said + true else math.nan)
    return float(np.mean(values))


@mistake("macro_f1", "the recall of each class, not its F1")
def mean_recall(y_true, y_pred, n_classes):
    return float(np.mean([_prf(y_true, y_pred, c)[1] for c in range(n_classes)]))


# roc_auc


def _pairs(y_true, scores):
    """For each pair the score of the positive minus that of the negative row."""
    return scores[y_true == 1][:, None] - scores[y_true == 0]


@mistake("roc_auc", "equal scores must count half")
def ties_lost(y_true, scores):
    return float((_pairs(y_true, scores) > 0).mean())


@mistake("roc_auc", "equal scores must count half")
def ties_won(y_true, scores):
    return float((_pairs(y_true, scores) >= 0).mean())


@mistake("roc_auc", "the wrong way round: larger scores mean positive")
def reversed_order(y_true, scores):
    d = _pairs(y_true, scores)
    return float(((d < 0) + 0.5 * (d == 0)).mean())


@mistake("roc_auc", "no threshold is needed: compare the scores themselves")
def cut_at_one_half(y_true, scores):
    d = _pairs(y_true, (scores >= 0.5).astype(float))
    return float(((d > 0) + 0.5 * (d == 0)).mean())


@mistake("roc_auc", "that is the accuracy at 0.5, not the AUC")
def accuracy(y_true, scores):
    return float(((scores >= 0.5) == y_true).mean())


@mistake("roc_auc", "divide by the number of pairs of a positive and a negative row")
def over_all_pairs(y_true, scores):
    d = _pairs(y_true, scores)
    return float(((d > 0) + 0.5 * (d == 0)).sum() / len(y_true) ** 2)


@mistake("roc_auc", "compare each positive row with each negative one")
def paired_in_order(y_true, scores):
    p, n = scores[y_true == 1], scores[y_true == 0]
    k = min(len(p), len(n))
    return float(((p[:k] > n[:k]) + 0.5 * (p[:k] == n[:k])).mean())


@mistake("roc_auc", "the difference of the mean scores is no AUC")
def difference_of_means(y_true, scores):
    return float(scores[y_true == 1].mean() - scores[y_true == 0].mean())


# stratified_split


def _by_class(labels, test_size, rng, count=lambda x: round(x), order=None):
    training, test = [], []
    for c in np.unique(labels):
        rows = np.flatnonzero(labels == c)
        rows = rng.permutation(rows) if order is None else order(rows)
        n = count(test_size * len(rows))
        test.append(rows[:n]), training.append(rows[n:])
    return np.concatenate(training), np.concatenate(test)


@mistake("stratified_split", "class by class")
def not_stratified(labels, test_size, rng):
    rows = rng.permutation(len(labels))
    n = round(test_size * len(labels))
    return rows[n:], rows[:n]


@mistake("stratified_split", "always the first rows of each class")
def first_rows(labels, test_size, rng):
    return _by_class(labels, test_size, rng, order=lambda rows: rows)


@mistake("stratified_split", "numbers within the class")
def numbers_within_the_class(labels, test_size, rng):
    return _by_class(labels, test_size, rng, order=lambda rows: rng.permutation(len(rows)))


@mistake("stratified_split", "training and test are swapped")
def swapped(labels, test_size, rng):
    return _by_class(labels, test_size, rng)[::-1]


@mistake("stratified_split", "the same row on both sides")
def trained_on_everything(labels, test_size, rng):
    return np.arange(len(labels)), _by_class(labels, test_size, rng)[1]


@mistake("stratified_split", "a row stands twice in a part")
def drawn_with_replacement(labels, test_size, rng):
    test = []
    for c in np.unique(labels):
        rows = np.flatnonzero(labels == c)
        test.append(rng.choice(rows, round(test_size * len(rows))))
    test = np.concatenate(test)
    return np.setdiff1d(np.arange(len(labels)), test), test


@mistake("stratified_split", "round, don't cut off")
def cut_off(labels, test_size, rng):
    return _by_class(labels, test_size, rng, count=int)


@mistake("stratified_split", "rows are missing from both parts")
def last_row_dropped(labels, test_size, rng):
    training, test = _by_class(labels, test_size, rng)
    return training[:-1], test


@mistake("stratified_split", "as many rows of each class")
def balanced(labels, test_size, rng):
    K = len(np.unique(labels))
    n = round(test_size * len(labels) / K)
    return _by_class(labels, test_size, rng, count=lambda x: n)


@mistake("stratified_split", "the labels instead of the row numbers")
def labels_returned(labels, test_size, rng):
    training, test = _by_class(labels, test_size, rng)
    return labels[training], labels[test]


@mistake("stratified_split", "from `rng`")
def split_by_another_generator(labels, test_size, rng):
    return _by_class(labels, test_size, np.random.default_rng(42))


# bootstrap_interval


def _means(correct, n, rng, size=None):
    N = len(correct)
    return correct[rng.integers(0, N, (n, size or N))].mean(axis=1)


def _middle(means, confidence):
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


@mistake("bootstrap_interval", "with replacement")
def without_replacement(correct, n, confidence, rng):
    return _middle(rng.permuted(np.tile(correct, (n, 1)), axis=1).mean(axis=1), confidence)


@mistake("bootstrap_interval", "half of the rest on each side")
def one_sided(correct, n, confidence, rng):
    means = _means(correct, n, rng)
    return float(np.quantile(means, 1 - confidence)), float(np.quantile(means, confidence))


@mistake("bootstrap_interval", "N rows, not n")
def n_rows(correct, n, confidence, rng):
    return _middle(_means(correct, n, rng, size=n), confidence)


@mistake("bootstrap_interval", "N rows, not n")
def half_of_the_rows(correct, n, confidence, rng):
    return _middle(_means(correct, n, rng, size=max(1, len(correct) // 2)), confidence)


@mistake("bootstrap_interval", "of the means, not of the rows")
def quantiles_of_the_rows(correct, n, confidence, rng):
    return _middle(np.array(correct), confidence)


@mistake("bootstrap_interval", "the smallest and the largest")
def extremes(correct, n, confidence, rng):
    means = _means(correct, n, rng)
    return float(means.min()), float(means.max())


@mistake("bootstrap_interval", "always 95 %")
def always_95(correct, n, confidence, rng):
    return _middle(_means(correct, n, rng), 0.95)


@mistake("bootstrap_interval", "divided by the root of n once more")
def standard_error_of_the_means(correct, n, confidence, rng):
    means = _means(correct, n, rng)
    half = 1.28 * means.std() / np.sqrt(n)
    return float(means.mean() - half), float(means.mean() + half)


@mistake("bootstrap_interval", "low comes first")
def high_first(correct, n, confidence, rng):
    return _middle(_means(correct, n, rng), confidence)[::-1]


@mistake("bootstrap_interval", "from `rng`")
def interval_of_another_generator(correct, n, confidence, rng):
    return _middle(_means(correct, n, np.random.default_rng(3)), confidence)


@mistake("bootstrap_interval", "not in percent")
def in_percent(correct, n, confidence, rng):
    low, high = _middle(_means(correct, n, rng), confidence)
    return 100 * low, 100 * high


# mcnemar


def _only(y_true, a, b):
    right_a, right_b = a == y_true, b == y_true
    return int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())


def _tail(m, k):
    return sum(math.comb(m, i) for i in range(k + 1))


def _exact(n_a, n_b):
    m = n_a + n_b
    return n_a, n_b, min(1.0, 2 * _tail(m, min(n_a, n_b)) / 2**m)


@mistake("mcnemar", "both sides: twice the tail")
def one_tail(y_true, a, b):
    n_a, n_b = _only(y_true, a, b)
    return n_a, n_b, _tail(n_a + n_b, min(n_a, n_b)) / 2 ** (n_a + n_b)


@mistake("mcnemar", "a probability is at most 1")
def above_one(y_true, a, b):
    n_a, n_b = _only(y_true, a, b)
    return n_a, n_b, 2 * _tail(n_a + n_b, min(n_a, n_b)) / 2 ** (n_a + n_b)


@mistake("mcnemar", "rows that both have wrong say nothing, even if differently wrong")
def both_wrong_counted(y_true, a, b):
    n_a = int(((a == y_true) & (a != b)).sum())
    return _exact(n_a, int((a != b).sum()) - n_a)


@mistake("mcnemar", "only_a and only_b are swapped")
def swapped_counts(y_true, a, b):
    return _exact(*_only(y_true, b, a))


@mistake("mcnemar", "rows that both have right say nothing")
def all_right_ones(y_true, a, b):
    return _exact(int((a == y_true).sum()), int((b == y_true).sum()))


@mistake("mcnemar", "chi-square is an approximation")
def chi_square(y_true, a, b):
    n_a, n_b = _only(y_true, a, b)
    chi2 = max(abs(n_a - n_b) - 1, 0) ** 2 / max(n_a + n_b, 1)
    return n_a, n_b, math.erfc(math.sqrt(chi2 / 2))


@mistake("mcnemar", "the sum ends with k, the smaller number")
def up_to_the_larger(y_true, a, b):
    n_a, n_b = _only(y_true, a, b)
    m = n_a + n_b
    return n_a, n_b, min(1.0, 2 * _tail(m, max(n_a, n_b)) / 2**m)


@mistake("mcnemar", "the sum includes k")
def without_k(y_true, a, b):
    n_a, n_b = _only(y_true, a, b)
    m = n_a + n_b
    return n_a, n_b, min(1.0, 2 * _tail(m, min(n_a, n_b) - 1) / 2**m)


@mistake("mcnemar", "the whole tail, not k alone")
def k_alone(y_true, a, b):
    n_a, n_b = _only(y_true, a, b)
    m = n_a + n_b
    return n_a, n_b, min(1.0, 2 * math.comb(m, min(n_a, n_b)) / 2**m)


@mistake("mcnemar", "integer division")
def divided_as_integers(y_true, a, b):
    n_a, n_b = _only(y_true, a, b)
    m = n_a + n_b
    return n_a, n_b, min(1, 2 * _tail(m, min(n_a, n_b)) // 2**m)


# expected_calibration_error


def _bins(y_true, p, M, confidence=None, right=None, lower=False):
    """[(rows, accuracy, confidence, centre)] of the bins that aren't empty."""
    confidence = p.max(axis=1) if confidence is None else confidence
    right = p.argmax(axis=1) == y_true if right is None else right
    place = np.floor(confidence * M) if lower else np.ceil(confidence * M) - 1
    place = np.clip(place, 0, M - 1).astype(int)
    return [
        (len(c), right[place == m].mean(), c.mean(), (m + 0.5) / M)
        for m in range(M)
        if len(c := confidence[place == m])
    ]


@mistake("expected_calibration_error", "the distance of each bin is never negative")
def signed(y_true, probabilities, n_bins):
    bins = _bins(y_true, probabilities, n_bins)
    return abs(float(sum(n * (acc - conf) for n, acc, conf, _ in bins) / len(y_true)))


@mistake("expected_calibration_error", "weight each bin by its number of rows")
def unweighted(y_true, probabilities, n_bins):
    return float(np.mean([abs(a - c) for _, a, c, _ in _bins(y_true, probabilities, n_bins)]))


@mistake("expected_calibration_error", "divide by the number of rows, not of bins")
def divided_by_bins(y_true, probabilities, n_bins):
    bins = _bins(y_true, probabilities, n_bins)
    return float(sum(n * abs(a - c) for n, a, c, _ in bins) / n_bins)


@mistake("expected_calibration_error", "the mean of the bins, not the largest")
def largest(y_true, probabilities, n_bins):
    return float(max(abs(a - c) for _, a, c, _ in _bins(y_true, probabilities, n_bins)))


@mistake(
    "expected_calibration_error",
    "the mean confidence, not the middle of the bin",
)
def middle_of_the_bin(y_true, probabilities, n_bins):
    bins = _bins(y_true, probabilities, n_bins)
    return float(sum(n * abs(a - middle) for n, a, _, middle in bins) / len(y_true))


@mistake(
    "expected_calibration_error",
    "the largest probability, not that of the true class",
)
def confidence_in_the_truth(y_true, probabilities, n_bins):
    confidence = probabilities[np.arange(len(y_true)), y_true]
    bins = _bins(y_true, probabilities, n_bins, confidence)
    return float(sum(n * abs(a - c) for n, a, c, _ in bins) / len(y_true))


@mistake(
    "expected_calibration_error",
    "the largest probability, not that of the last class",
)
def confidence_in_the_last_class(y_true, probabilities, n_bins):
    last = probabilities.shape[1] - 1
    bins = _bins(y_true, probabilities, n_bins, probabilities[:, last], y_true == last)
    return float(sum(n * abs(a - c) for n, a, c, _ in bins) / len(y_true))


@mistake("expected_calibration_error", "an edge belongs to the lower bin")
def edges_belong_to_the_upper_bin(y_true, probabilities, n_bins):
    bins = _bins(y_true, probabilities, n_bins, lower=True)
    return float(sum(n * abs(a - c) for n, a, c, _ in bins) / len(y_true))


@mistake("expected_calibration_error", "absolute distances, not squared ones")
def squared(y_true, probabilities, n_bins):
    bins = _bins(y_true, probabilities, n_bins)
    return float(sum(n * (a - c) ** 2 for n, a, c, _ in bins) / len(y_true))


@mistake("expected_calibration_error", "an empty bin counts nothing")
def nan_of_an_empty_bin(y_true, probabilities, n_bins):
    bins = _bins(y_true, probabilities, n_bins)
    if len(bins) < n_bins:  # 0 / 0 in the others
        return math.nan
    return float(sum(n * abs(a - c) for n, a, c, _ in bins) / len(y_true))

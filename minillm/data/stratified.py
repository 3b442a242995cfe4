"""Splits for labelled texts: every part holds the classes in the proportion of the whole.

    training, test = train_test_split(data, test_size=0.2, seed=0)
    for training, test in stratified_folds(data, k=5): ...

An accuracy is only worth something on texts that the model hasn't seen, and two splits are only
comparable if they don't differ in how common each class is.  So each class is shuffled and divided
by itself (stratified).  The counts are exact, and the split depends on the labels, the seed and
the sizes alone: the same call gives the same split anywhere.

What stands on both sides tells the model the answer: equal texts are warned of.  With `groups`,
texts that belong together (equal texts, reviews of one film) stay on one side.
"""

import warnings
from collections.abc import Iterator

import numpy as np

from minillm.data.labelled import LabelledTexts


def train_test_split(
    data: LabelledTexts,
    test_size: float | int = 0.2,
    seed: int = 0,
    groups=None,
) -> tuple[LabelledTexts, LabelledTexts]:
    """Split into (training part, test part), stratified, each part shuffled.

    test_size: the fraction of texts in the test part (between 0 and 1), or their number (int).
    Class c with n_c of the N texts gets n_test * n_c / N in the test part, rounded by the largest
    remainders so that the sum is exact; but each class has one text at least on each side.

    groups: (N,) numbers, such as `data.text_groups()` or `data.groups`: texts with equal numbers
    stay on one side.  The counts are then as near to the exact ones as groups assigned one by one,
    large ones first, come.

    Warns (UserWarning) of equal texts on both sides.  Raises ValueError for a test_size out of
    range, a class with less than two texts (or groups), or fewer test texts than classes.
    """
    n, counts = len(data), _checked_counts(data, 2)
    n_test = _test_count(test_size, n, counts)
    rng = np.random.default_rng(seed)
    if groups is None:
        in_test = np.zeros(n, dtype=bool)
        for label, count in enumerate(_apportion(n_test, counts, most=counts - 1)):
            rows = rng.permutation(np.flatnonzero(data.labels == label))
            in_test[rows[:count]] = True
    else:
        side = _assign_groups(data, groups, np.array([n - n_test, n_test]), rng)
        in_test = side == 1
    _check_classes_everywhere(data, in_test.astype(np.int64), 2)
    training, test = rng.permutation(np.flatnonzero(~in_test)), np.flatnonzero(in_test)
    _warn_of_equal_texts(data, in_test)
    return (
        data.subset(training, f"{data.name}, training"),
        data.subset(rng.permutation(test), f"{data.name}, test"),
    )


def stratified_sample(data: LabelledTexts, n: int, seed: int = 0) -> LabelledTexts:
    """`n` of the texts, shuffled, each class in its proportion (1 text at least).

    Raises ValueError for an n below the number of classes or above the number of texts.
    """
    counts = _checked_counts(data, 1, "a sample")
    if not len(counts) <= n <= len(data):
        raise ValueError(
            f"n={n}: a sample of {data.name} has {len(counts)} (one for each class) to {len(data)}"
        )
    rng = np.random.default_rng(seed)
    share = _apportion(n, counts, most=counts)
    rows = [
        rng.permutation(np.flatnonzero(data.labels == label))[:count]
        for label, count in enumerate(share)
    ]
    return data.subset(rng.permutation(np.concatenate(rows)), f"{data.name}, {n} of them")


def stratified_folds(
    data: LabelledTexts, k: int = 5, seed: int = 0, groups=None
) -> Iterator[tuple[LabelledTexts, LabelledTexts]]:
    """Yield k times (training part, test part): each text is in the test part exactly once.

    The k test parts differ by one text at most, and so does each class in them.  With `groups` (see
    `train_test_split`) they are as equal as groups assigned one by one come.

    Warns of equal texts in different folds.  Raises ValueError, at once, for a k below 2 or above
    the number of texts (or groups) in the smallest class.
    """
    if k < 2 or k != int(k):
        raise ValueError(f"k={k}: a whole number of folds from 2 was expected")
    _checked_counts(data, k, f"k={k} folds")
    rng = np.random.default_rng(seed)
    if groups is None:
        # All texts in a row, one class after the other, are dealt out like cards.
        row = [rng.permutation(np.flatnonzero(data.labels == c)) for c in range(_classes(data))]
        fold = np.empty(len(data), dtype=np.int64)
        fold[np.concatenate(row)] = np.arange(len(data)) % k
    else:
        fold = _assign_groups(data, groups, np.full(k, len(data) / k), rng)
    _check_classes_everywhere(data, fold, k)
    _warn_of_equal_texts(data, fold)
    orders = [rng.permutation(len(data)) for _ in range(k)]

    def parts():
        for i, order in enumerate(orders):
            name = f"{data.name}, fold {i + 1} of {k}"
            yield (
                data.subset(order[fold[order] != i], f"{name}, training"),
                data.subset(order[fold[order] == i], f"{name}, test"),
            )

    return parts()


def _apportion(n_part: int, counts: np.ndarray, most: np.ndarray) -> np.ndarray:
    """How many of the n_c texts of each class a part of n_part texts has, by largest remainders.

    The exact share n_part * n_c / N is rounded down; what is missing goes to those that lost most.
    Class c has 1 at least and most_c at most.
    """
    n = counts.sum()
    share = np.clip(n_part * counts // n, 1, most)
    while (missing := n_part - share.sum()) != 0:
        lost = n_part * counts - share * n  # N times as much: whole numbers don't round
        if missing > 0:
            share[np.argmax(np.where(share < most, lost, np.iinfo(np.int64).min))] += 1
        else:
            share[np.argmin(np.where(share > 1, lost, np.iinfo(np.int64).max))] -= 1
    return share


def _assign_groups(
    data: LabelledTexts, groups, sizes: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The side of each text, (N,), so that groups stay together: sides are to have `sizes` texts.

    Side s is to have the target t_sc = sizes_s * n_c / N texts of class c.  The groups come by
    size, the largest first (in random order among equals), and each goes where it makes the
    distance  sum_sc (count_sc - t_sc)^2 / t_sc  (Pearson's chi-square) grow least.
    """
    groups = np.asarray(groups)
    if groups.shape != (len(data),):
        raise ValueError(
            f"groups of shape {groups.shape} for {len(data)} texts: a number for each was expected"
        )
    group = np.unique(groups, return_inverse=True)[1].reshape(-1)
    classes = _classes(data)
    table = np.zeros((group.max() + 1, classes))  # texts of each group and class
    np.add.at(table, (group, data.labels), 1)

    present = data.counts() > 0
    target = np.outer(sizes, data.counts()[present] / len(data))
    missing = -target  # count - target
    order = rng.permutation(len(table))
    order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
    side = np.empty(len(table), dtype=np.int64)
    for g in order:
        new = table[g, present]  # (m + new)^2 - m^2 = (2 m + new) new
        side[g] = s = np.argmin(((2 * missing + new) * new / target).sum(axis=1))
        missing[s] += new
    return side[group]


def _classes(data: LabelledTexts) -> int:
    return len(data.label_names)


def _checked_counts(data: LabelledTexts, least: int, what: str = "a split") -> np.ndarray:
    counts = data.counts()
    if len(data) == 0:
        raise ValueError(f"{data.name}: there is no text to split")
    for name, count in zip(data.label_names, counts, strict=True):
        if count < least:
            raise ValueError(
                f"class {name!r} has {count} text{'' if count == 1 else 's'}, {what} needs {least} "
                "or more of each class: add some, or leave the class out"
            )
    return counts


def _test_count(test_size: float | int, n: int, counts: np.ndarray) -> int:
    whole = isinstance(test_size, (int, np.integer)) and not isinstance(test_size, bool)
    if not (0 < test_size < (n if whole else 1)):
        raise ValueError(
            f"test_size={test_size}: a fraction between 0 and 1 (0.2), or a number of texts from "
            f"1 to {n - 1}, was expected"
        )
    n_test = int(test_size) if whole else round(test_size * n)
    if not len(counts) <= n_test <= n - len(counts):
        raise ValueError(
            f"test_size={test_size} of {n} texts makes {n_test} for the test and {n - n_test} for "
            f"training: with {len(counts)} classes each side needs {len(counts)} or more"
        )
    return n_test


def _check_classes_everywhere(data: LabelledTexts, part: np.ndarray, parts: int) -> None:
    """With groups, a class may miss a side: then the split would be useless."""
    for label, name in enumerate(data.label_names):
        if len(np.unique(part[data.labels == label])) < parts:
            raise ValueError(
                f"class {name!r} doesn't reach all {parts} parts, because its texts are in too few "
                "groups: use finer groups, or fewer parts"
            )


def _warn_of_equal_texts(data: LabelledTexts, part: np.ndarray) -> None:
    """Warn if a text (by `document_key`) is in more than one part."""
    group = data.text_groups()
    first = np.zeros(group.max() + 1, dtype=part.dtype)
    first[group] = part  # the part of one of the equal texts
    crossing = len(np.unique(group[part != first[group]]))
    if crossing:
        warnings.warn(
            f"{data.name}: {crossing} {'text is' if crossing == 1 else 'texts are'} on both sides "
            "of the split (equal but for case, markup and punctuation), which flatters the "
            "result; groups=data.text_groups() keeps equal texts together",
            UserWarning,
            stacklevel=3,
        )

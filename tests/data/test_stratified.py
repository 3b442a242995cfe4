"""Every part of a split has its exact share of each class, and nothing else decides about it."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minillm.data import LabelledTexts, stratified_folds, stratified_sample, train_test_split

PINNED_TEST = ["t4", "t9", "t6"]
PINNED_FOLDS = [["t8", "t6", "t9", "t5"], ["t11", "t4", "t1", "t0"], ["t7", "t2", "t3", "t10"]]
COUNTS = st.lists(st.integers(2, 40), min_size=2, max_size=5)


def make(counts, groups=None) -> LabelledTexts:
    """`counts[c]` texts of class c, all different, in an order that doesn't follow the classes."""
    labels = np.repeat(np.arange(len(counts)), counts)
    labels = labels[np.argsort(np.sin(np.arange(len(labels))))]
    texts = [f"text {chr(97 + label)} {i}" for i, label in enumerate(labels)]
    return LabelledTexts(texts, labels, [f"class {c}" for c in range(len(counts))], groups=groups)


def test_25_000_balanced_reviews_give_20_000_and_5_000():
    training, test = train_test_split(make([12_500, 12_500]))
    assert training.counts().tolist() == [10_000, 10_000]
    assert test.counts().tolist() == [2_500, 2_500]
    folds = list(stratified_folds(make([12_500, 12_500]), k=5))
    assert [test.counts().tolist() for _, test in folds] == [[2_500, 2_500]] * 5


@given(counts=COUNTS, fraction=st.floats(0.05, 0.95), seed=st.integers(0, 2**32))
def test_each_text_is_on_one_side_and_classes_have_their_share(counts, fraction, seed):
    data = make(counts)
    n_test = round(fraction * len(data))
    assume(len(counts) <= n_test <= len(data) - len(counts))
    training, test = train_test_split(data, fraction, seed)
    assert sorted([*training, *test]) == sorted(data)
    assert len(test) == n_test
    assert test.counts().min() >= 1 and training.counts().min() >= 1
    # the exact share or one of its neighbours; small classes may be lifted to 1 at others' cost
    share = n_test * np.array(counts) / len(data)
    if share.min() >= 1 and (counts - share).min() >= 1:
        assert np.abs(test.counts() - share).max() < 1
        kept = np.sort((share % 1)[test.counts() > share])
        lost = np.sort((share % 1)[test.counts() < share])
        assert not len(kept) or not len(lost) or kept[0] >= lost[-1] - 1e-9  # largest remainders


def test_largest_remainders_by_hand():
    """20 % of 10, 11 and 13 is 2, 2.2 and 2.6; 7 texts in all: the 0.6 is rounded up."""
    assert train_test_split(make([10, 11, 13]))[1].counts().tolist() == [2, 2, 3]
    assert train_test_split(make([2, 98]), test_size=10)[1].counts().tolist() == [1, 9]


def test_a_number_of_texts_is_as_good_as_a_fraction():
    data = make([30, 70])
    by_fraction, by_number = train_test_split(data, 0.2, 5), train_test_split(data, 20, 5)
    assert [list(part) for part in by_fraction] == [list(part) for part in by_number]


@given(seed=st.integers(0, 2**32))
def test_the_seed_decides_alone(seed):
    data = make([20, 30])
    once = [list(part) for part in train_test_split(data, seed=seed)]
    np.random.seed(1)
    np.random.default_rng(seed).random(3)
    assert [list(part) for part in train_test_split(data, seed=seed)] == once
    # Labels, sizes and seed decide, whatever the texts and class names are.
    other = LabelledTexts([f"other {i}" for i in range(50)], data.labels, ["x", "y"])
    place = {text: i for i, text in enumerate(data.texts)}
    expected = [[f"other {place[text]}" for text, _ in part] for part in once]
    assert [part.texts for part in train_test_split(other, seed=seed)] == expected


def test_the_split_of_a_seed_never_changes():
    """Pinned: written-down results name a seed, and its split must stay what it was."""
    data = LabelledTexts([f"t{i}" for i in range(12)], [0, 1] * 6, ["a", "b"])
    assert train_test_split(data, 0.25, seed=0)[1].texts == PINNED_TEST
    folds = [test.texts for _, test in stratified_folds(data, 3, seed=0)]
    assert folds == PINNED_FOLDS


def test_other_seeds_give_other_splits_and_parts_are_shuffled():
    data = make([50, 50])
    tests = [train_test_split(data, seed=seed)[1].texts for seed in range(10)]
    assert len({tuple(sorted(texts)) for texts in tests}) == 10
    order = [data.texts.index(text) for text in train_test_split(data)[0].texts]
    assert order != sorted(order)


@given(counts=COUNTS, k=st.integers(2, 6), seed=st.integers(0, 2**32))
def test_folds_test_each_text_once_and_are_equal_but_for_one(counts, k, seed):
    assume(min(counts) >= k)
    data = make(counts)
    folds = list(stratified_folds(data, k, seed))
    assert len(folds) == k
    assert sorted(example for _, test in folds for example in test) == sorted(data)
    for training, test in folds:
        assert sorted([*training, *test]) == sorted(data)
    table = np.array([test.counts() for _, test in folds])
    assert (table.max(axis=0) - table.min(axis=0)).max() <= 1
    assert table.sum(axis=1).max() - table.sum(axis=1).min() <= 1
    again = stratified_folds(data, k, seed)
    assert [list(test) for _, test in again] == [list(test) for _, test in folds]


@given(counts=st.lists(st.integers(1, 20), min_size=2, max_size=5), draw=st.data())
def test_a_sample_has_its_size_and_all_classes(counts, draw):
    data = make(counts)
    n = draw.draw(st.integers(len(counts), len(data)))
    sample = stratified_sample(data, n, seed=draw.draw(st.integers(0, 99)))
    assert len(sample) == len(set(sample.texts)) == n
    assert set(sample) <= set(data)
    assert sample.counts().min() >= 1
    if n == len(data):
        assert sample.counts().tolist() == counts


# ----------------------------------------------------------------------------------------- groups


@given(
    sizes=st.lists(st.integers(1, 6), min_size=30, max_size=60),
    seed=st.integers(0, 2**32),
    k=st.integers(2, 4),
)
def test_a_group_stays_on_one_side(sizes, seed, k):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    counts = [len(groups) // 2, len(groups) - len(groups) // 2]
    data = make(counts, groups=groups)
    training, test = train_test_split(data, 0.3, seed, groups=data.groups)
    assert sorted([*training, *test]) == sorted(data)
    assert not set(training.groups) & set(test.groups)
    # Within a group of the share: single texts come last and fill what large groups leave.
    assert abs(len(test) - 0.3 * len(data)) <= max(sizes)
    for training, test in stratified_folds(data, k, seed, groups=data.groups):
        assert not set(training.groups) & set(test.groups)
        assert abs(len(test) - len(data) / k) <= max(sizes)


def test_with_single_groups_the_shares_are_exact():
    data = make([300, 700])
    training, test = train_test_split(data, 0.2, seed=3, groups=np.arange(1000))
    assert test.counts().tolist() == [60, 140]
    folds = stratified_folds(data, 5, groups=np.arange(1000))
    assert [test.counts().tolist() for _, test in folds] == [[60, 140]] * 5


def test_groups_of_one_class_still_give_each_side_its_share():
    """Films of which all reviews are alike: the classes must still be balanced on both sides."""
    labels = np.repeat([0, 1] * 50, 10)
    groups = np.repeat(np.arange(100), 10)
    data = LabelledTexts([f"text {i}" for i in range(1000)], labels, ["a", "b"], groups=groups)
    assert train_test_split(data, 0.2, groups=groups)[1].counts().tolist() == [100, 100]


def test_groups_that_keep_a_class_on_one_side_are_refused():
    data = make([10, 10])
    with pytest.raises(ValueError, match="class 'class 0' doesn't reach all 2 parts.*finer"):
        train_test_split(data, groups=data.labels)
    with pytest.raises(ValueError, match=r"groups of shape \(3,\) for 20 texts"):
        train_test_split(data, groups=[1, 2, 3])


# --------------------------------------------------------------------------------- warnings, errors


def test_equal_texts_on_both_sides_are_warned_of_and_groups_help():
    texts = [f"Text number {i // 2}{'!' if i % 2 else ''}" for i in range(100)]
    data = LabelledTexts(texts, [0, 0, 1, 1] * 25, ["a", "b"], "reviews")
    with pytest.warns(UserWarning, match=r"reviews: \d+ texts are on both sides.*text_groups\(\)"):
        training, test = train_test_split(data)
    both = {text.rstrip("!") for text in training.texts} & {t.rstrip("!") for t in test.texts}
    with pytest.warns(UserWarning, match=f"reviews: {len(both)} texts are"):
        train_test_split(data)
    with pytest.warns(UserWarning, match="on both sides"):
        list(stratified_folds(data))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(5):
            _, test = train_test_split(data, seed=seed, groups=data.text_groups())
            assert test.counts().tolist() == [10, 10]
        list(stratified_folds(data, groups=data.text_groups()))
        train_test_split(make([5, 5]))  # nothing comes twice: no warning


@pytest.mark.parametrize("test_size", [0, 0.0, 1.0, 1, -0.2, 1.5, 20, float("nan"), True, 0.05])
def test_a_test_size_out_of_range_is_refused(test_size):
    with pytest.raises(ValueError, match="test_size="):
        train_test_split(make([10, 10]), test_size)


def test_a_class_that_cannot_be_on_both_sides_is_named():
    with pytest.raises(ValueError, match="class 'class 1' has 1 text, a split needs 2 or more"):
        train_test_split(make([10, 1]))
    with pytest.raises(ValueError, match="class 'class 1' has 4 texts, k=5 folds needs 5 or more"):
        stratified_folds(make([10, 4]))
    for k in (1, 0, 2.5):
        with pytest.raises(ValueError, match=f"k={k}: a whole number of folds from 2"):
            stratified_folds(make([10, 10]), k)
    with pytest.raises(ValueError, match="no text to split"):
        train_test_split(make([10, 10]).subset([]))
    for n in (1, 21):
        with pytest.raises(ValueError, match=f"n={n}: a sample of .* to 20"):
            stratified_sample(make([10, 10]), n)

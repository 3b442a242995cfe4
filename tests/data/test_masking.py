"""Masking: as many tokens as asked for, 80/10/10, never a special one, whole words whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data import Masking

SEEDS = st.integers(0, 2**32)
PARTS = st.sampled_from([(0.8, 0.1, 0.1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.25, 0.25)])


def draw_ids(tokenizer, seed, rows=4, length=20):
    """Random ids of all kinds, special ones too."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, tokenizer.get_vocab_size(), size=(rows, length))


@given(SEEDS, st.floats(0, 1), PARTS, st.booleans())
def test_labels_are_the_original_ids_and_nothing_else_changes(tokenizer, seed, p, parts, whole):
    masking = Masking(tokenizer, p, parts, whole)
    ids = draw_ids(tokenizer, seed)
    before = ids.copy()
    input_ids, labels = masking(ids, np.random.default_rng(seed))
    chosen = labels != -100
    np.testing.assert_array_equal(ids, before)
    np.testing.assert_array_equal(labels[chosen], ids[chosen])
    np.testing.assert_array_equal(input_ids[~chosen], ids[~chosen])
    assert not np.any(masking.is_special[ids] & chosen)
    put_in = input_ids[input_ids != ids]
    assert not np.any(masking.is_special[put_in] & (put_in != masking.mask_id))
    assert input_ids.dtype == labels.dtype == np.int64


@given(SEEDS, st.floats(0.001, 1))
def test_the_number_of_chosen_tokens_is_exact(tokenizer, seed, p):
    masking = Masking(tokenizer, p)
    ids = draw_ids(tokenizer, seed, rows=6)
    ids[0] = tokenizer.token_to_id("[PAD]")  # nothing to choose
    _, labels = masking(ids, np.random.default_rng(seed))
    for row, row_labels in zip(ids, labels, strict=True):
        n = int((~masking.is_special[row]).sum())
        expected = max(1, round(p * n)) if n else 0
        assert (row_labels != -100).sum() == expected


@given(SEEDS, st.floats(0.001, 1))
def test_whole_words_are_chosen_with_all_their_pieces(tokenizer, seed, p):
    masking = Masking(tokenizer, p, whole_words=True)
    ids = draw_ids(tokenizer, seed)
    _, labels = masking(ids, np.random.default_rng(seed))
    for row, row_labels in zip(ids, labels, strict=True):
        words, previous_special = [], True
        for i, token in enumerate(row):
            special = bool(masking.is_special[token])
            continues = (tokenizer.id_to_token(int(token)) or "").startswith("##")
            if not special and continues and not previous_special:
                words[-1].append(i)
            elif not special:
                words.append([i])
            previous_special = special
        chosen = [word for word in words if row_labels[word[0]] != -100]
        assert all((row_labels[word] != -100).all() for word in chosen)
        count = sum(map(len, chosen))
        assert count == (row_labels != -100).sum()
        n = sum(map(len, words))
        wanted = max(1, round(p * n)) if n else 0
        # The last word may go beyond; without it there weren't enough.
        assert wanted <= count < wanted + max(map(len, words), default=1)


def test_eighty_ten_ten_in_this_order(tokenizer):
    masking = Masking(tokenizer, 0.5)
    rng = np.random.default_rng(0)
    ids = rng.choice(masking.ordinary_ids, size=(400, 500))
    input_ids, labels = masking(ids, rng)
    chosen = labels != -100
    n = chosen.sum()
    masked = (input_ids == masking.mask_id).sum() / n
    same = (input_ids == ids)[chosen].sum() / n
    # One random token in as many as there are ordinary ones is the original by chance.
    by_chance = 0.1 / len(masking.ordinary_ids)
    tolerance = 5 * (0.8 * 0.2 / n) ** 0.5
    assert abs(masked - 0.8) < tolerance
    assert abs(same - (0.1 + by_chance)) < tolerance
    assert abs((1 - masked - same) - (0.1 - by_chance)) < tolerance


@pytest.mark.parametrize("parts", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_each_part_alone(tokenizer, parts):
    masking = Masking(tokenizer, 0.3, parts)
    ids = np.random.default_rng(0).choice(masking.ordinary_ids, size=(50, 100))
    input_ids, labels = masking(ids, np.random.default_rng(1))
    seen, original = input_ids[labels != -100], ids[labels != -100]
    assert len(seen) == 50 * 30
    if parts == (1, 0, 0):
        assert np.all(seen == masking.mask_id)
    elif parts == (0, 1, 0):
        assert (seen != original).mean() > 0.9
        assert set(seen.tolist()) == set(masking.ordinary_ids.tolist())  # any ordinary token
    else:
        assert np.all(seen == original)


@pytest.mark.parametrize("whole_words", [False, True])
def test_every_place_is_chosen_equally_often(tokenizer, whole_words):
    masking = Masking(tokenizer, 0.15, whole_words=whole_words)
    whole = masking.ordinary_ids[~masking.continues_word[masking.ordinary_ids]]
    ids = np.random.default_rng(0).choice(whole, size=(5000, 20))
    _, labels = masking(ids, np.random.default_rng(1))
    frequency = (labels != -100).mean(axis=0)
    assert np.all(np.abs(frequency - 0.15) < 5 * (0.15 * 0.85 / 5000) ** 0.5)


def test_the_same_generator_state_gives_the_same_masks_another_one_others(tokenizer):
    masking = Masking(tokenizer)
    ids = draw_ids(tokenizer, 0)
    one, two, other = (masking(ids, np.random.default_rng(seed))[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, two)
    assert np.any(one != other)


def test_a_probability_of_zero_masks_nothing(tokenizer):
    ids = draw_ids(tokenizer, 0)
    input_ids, labels = Masking(tokenizer, 0)(ids, np.random.default_rng(0))
    np.testing.assert_array_equal(input_ids, ids)
    assert np.all(labels == -100)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"mask_probability": 15}, "mask_probability=15: a probability from 0 to 1"),
        ({"mask_probability": -0.1}, "mask_probability=-0.1"),
        ({"replace": (0.8, 0.1, 0.2)}, r"replace=\(0.8, 0.1, 0.2\) adds up to 1.1"),
        ({"replace": (1.2, -0.1, -0.1)}, "replace=1.2: a probability"),
        ({"replace": (0.9, 0.1)}, "three parts"),
    ],
)
def test_impossible_parts_are_refused(tokenizer, arguments, message):
    with pytest.raises(ValueError, match=message):
        Masking(tokenizer, **arguments)

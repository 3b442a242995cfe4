"""Rank correlation by hand, and evaluation files small enough to solve by eye."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.evaluation import evaluate_word_analogies, evaluate_word_pairs, spearman
from minillm.evaluation.word_vectors import Analogies, average_ranks, pearson
from minillm.models import KeyedVectors


def test_equal_numbers_share_the_mean_of_their_ranks():
    assert average_ranks([30, 10, 20, 20, 20]).tolist() == [5, 1, 3, 3, 3]


def test_spearman_by_hand():
    """Ranks 1 2 3 4 5 against 2 1 4 3 5: 1 - 6 * 4 / (5 * 24) = 0.8."""
    assert spearman([1, 2, 3, 4, 5], [20, 10, 400, 300, 9000]) == pytest.approx(0.8)
    assert spearman([1, 2, 2], [5, 6, 6]) == pytest.approx(1)
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=20, unique=True))
def test_only_the_order_counts(x):
    assert spearman(x, np.exp(np.array(x) / 10)) == pytest.approx(1)
    assert spearman(x, [-y for y in x]) == pytest.approx(-1)


def test_correlation_needs_rows_of_finite_numbers():
    with pytest.raises(ValueError, match="equal length"):
        spearman([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="equal length"):
        pearson([1], [1])
    with pytest.raises(ValueError, match="finite"):
        spearman([1, np.nan], [1, 2])


def plane(**words):
    return KeyedVectors(
        list(words), [[np.cos(a), np.sin(a)] for a in np.radians([*words.values()])]
    )


ANGLES = plane(sun=0, moon=10, star=30, stone=90, Tree=180)


def test_word_pairs_of_a_file(tmp_path):
    """Cosines fall as the angles rise: 10, 30, 90, 180 degrees; people swap the last two."""
    (tmp_path / "pairs.tsv").write_text(
        "# Word 1\tWord 2\tHuman\n"
        "sun\tmoon\t9.5\nsun\tSTAR\t8\n\nsun\tstone\t1\nsun\ttree\t2\nsun\tcomet\t10\n"
    )
    found = evaluate_word_pairs(ANGLES, tmp_path / "pairs.tsv")
    assert found.spearman == pytest.approx(0.8)
    cosines = np.cos(np.radians([10, 30, 90, 180]))
    assert found.pearson == pytest.approx(pearson(cosines, [9.5, 8, 1, 2]))
    assert (found.pairs, found.missing) == (4, 1)
    exact = evaluate_word_pairs(ANGLES, tmp_path / "pairs.tsv", case_insensitive=False)
    assert (exact.pairs, exact.missing) == (2, 3)
    frequent = evaluate_word_pairs(ANGLES, tmp_path / "pairs.tsv", restrict_vocab=4)
    assert (frequent.pairs, frequent.missing) == (3, 2)


@pytest.mark.parametrize("line", ["sun moon 3", "sun\tmoon", "sun\tmoon\tvery"])
def test_a_line_that_is_no_pair(tmp_path, line):
    (tmp_path / "pairs.tsv").write_text(f"sun\tmoon\t3\n{line}\n")
    with pytest.raises(ValueError, match="line 2: expected two words and a number"):
        evaluate_word_pairs(ANGLES, tmp_path / "pairs.tsv")


def test_too_few_known_pairs(tmp_path):
    (tmp_path / "pairs.tsv").write_text("sun\tmoon\t3\nsun\tcomet\t3\n")
    with pytest.raises(ValueError, match="1 pairs of known words, 1 of unknown"):
        evaluate_word_pairs(ANGLES, tmp_path / "pairs.tsv")


# Two features: a row of words for male and female, one for small and large.
FAMILY = KeyedVectors(
    "man woman king queen big bigger tall taller".split(),
    np.array(
        [
            [1, 0, 0, 0, 0],
            [1, 1, 0, 0, 0],
            [0, 0, 1, 0, 0],
            [0, 1, 1, 0, 0],
            [0, 0, 0, 1, 0],
            [0, 0, 0, 1, 1],
            [0, 0, 0.2, 1, 0],
            [0, 0, 0.2, 1, 1],
        ]
    ),
)
QUESTIONS = """: family
man woman king queen
MAN Woman queen tall

: comparative
big bigger tall taller
big bigger small smaller
"""


def test_analogies_of_a_file(tmp_path):
    """woman - man + queen is nearest to king, not to tall: one question is answered wrongly."""
    (tmp_path / "questions.txt").write_text(QUESTIONS)
    found = evaluate_word_analogies(FAMILY, tmp_path / "questions.txt")
    assert found == {
        "family": Analogies(correct=1, total=2, missing=0),
        "comparative": Analogies(correct=1, total=1, missing=1),
        "total": Analogies(correct=2, total=3, missing=1),
    }
    assert found["family"].accuracy == 0.5
    exact = evaluate_word_analogies(FAMILY, tmp_path / "questions.txt", case_insensitive=False)
    assert exact["family"] == Analogies(1, 1, 1)
    few = evaluate_word_analogies(FAMILY, tmp_path / "questions.txt", restrict_vocab=2)
    assert few["total"] == Analogies(0, 0, 4) and np.isnan(few["total"].accuracy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b c d\n", "line 1: expected four words below a line with the name"),
        (": g\na b c\n", "line 2: expected four words, got 'a b c'"),
    ],
)
def test_a_line_that_is_no_analogy(tmp_path, text, message):
    (tmp_path / "questions.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        evaluate_word_analogies(FAMILY, tmp_path / "questions.txt")

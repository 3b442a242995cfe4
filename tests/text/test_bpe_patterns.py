"""Patterns: where texts are cut, nothing is lost, and every character belongs to one word."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.text.bpe_patterns import PATTERNS, Pattern

some_text = st.one_of(
    st.text(),
    st.text(alphabet="aZ é书1²' \n\r\t._\u3000😀\U0001e922\ud800"),
)


@pytest.mark.parametrize(
    "name, words",
    [
        (
            "gpt2",
            ["I", "'m", " here", ",", " ", " 2024", '!"', "\n", "\n", "Don", "'", "T", " ²", "é书"],
        ),
        (
            "cl100k",
            ["I", "'m", " here", ",", " ", " ", "202", "4", '!"\n\n', "Don", "'T", " ", "²", "é书"],
        ),
        ("whitespace", ["I'm", " here,", " ", ' 2024!"', "\n", "\nDon'T", " ²é书"]),
        (None, ["I'm here,  2024!\"\n\nDon'T ²é书"]),
        ("[a-z]+", ["I'", "m", " ", "here", ',  2024!"\n\nD', "on", "'T ²é书"]),
    ],
)
def test_where_a_text_is_cut(name, words):
    text = "I'm here,  2024!\"\n\nDon'T ²é书"
    assert Pattern(name).words(text) == words


def test_a_run_of_spaces_leaves_its_last_one_to_the_word_behind_it():
    assert Pattern("gpt2").words("a    b  ") == ["a", "   ", " b", "  "]


@pytest.mark.parametrize("name", [*PATTERNS, None, r"\p{Lu}(\p{Ll})*", r"\d*", "(a)|(b)"])
@given(text=some_text)
def test_the_words_are_the_text(name, text):
    pattern = Pattern(name)
    words = pattern.words(text)
    assert "".join(words) == text and "" not in words
    assert [text[start:end] for start, end in pattern.spans(text)] == words


@given(st.text())
def test_the_tables_are_white_space_and_letters_as_re_knows_them(text):
    """But for the separators U+001C to U+001F, which only Python takes for white space."""
    text = re.sub("[\x1c-\x1f]", "", text)
    assert Pattern("whitespace").words(text) == re.findall(r"\s?\S+|\s+(?!\S)|\s+", text)


def test_young_letters_are_letters_under_every_python():
    garay, nothing = "\U00010d4a", "\u0378"  # of Unicode 16, and of none
    assert Pattern("gpt2").words(f"a{garay}a") == [f"a{garay}a"]
    assert Pattern("gpt2").words(f"a{nothing}a") == ["a", nothing, "a"]


@pytest.mark.parametrize("broken", ["[a-", "(", r"\p{Nonsense}"])
def test_what_is_no_regular_expression_is_refused(broken):
    with pytest.raises(ValueError, match="neither one of 'gpt2'"):
        Pattern(broken)


def test_what_is_no_pattern_is_refused():
    with pytest.raises(TypeError, match="expected a str or None"):
        Pattern(3)

"""Added tokens are found in the text before it is cut into words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.text.added_tokens import AddedToken, AddedTokenFinder, added_token_ids


def cut(text: str, *tokens: AddedToken) -> list[str]:
    """The parts of the text, added tokens as <part>."""
    finder = AddedTokenFinder({token.content: (token, i) for i, token in enumerate(tokens)})
    parts = finder.split(text)
    return [text[s:e] if id is None else f"<{text[s:e]}>" for id, s, e in parts]


def test_leftmost_and_then_longest():
    tokens = AddedToken("[A]"), AddedToken("[A][B]"), AddedToken("A]["), AddedToken("x.")
    assert cut("u[A][B]v[A]xx.", *tokens) == ["u", "<[A][B]>", "v", "<[A]>", "x", "<x.>"]


def test_single_word_is_not_found_inside_of_words():
    token = AddedToken("cat", single_word=True)
    assert cut("cat concat cats, cat", token) == ["<cat>", " concat cats, ", "<cat>"]


def test_space_is_swallowed_on_the_asked_side():
    assert cut("a  [M]  b", AddedToken("[M]", lstrip=True)) == ["a", "<  [M]>", "  b"]
    assert cut("a  [M]  b", AddedToken("[M]", rstrip=True)) == ["a  ", "<[M]  >", "b"]
    both = AddedToken("[M]", lstrip=True, rstrip=True)
    assert cut(" [M] [M] ", both) == ["< [M] >", "<[M] >"]


def test_without_tokens_the_text_is_one_part():
    assert cut("text") == ["text"]
    assert cut("") == []


@given(st.text(alphabet="[A] b", max_size=30), st.booleans(), st.booleans(), st.booleans())
def test_the_parts_make_the_text(text, single_word, lstrip, rstrip):
    finder = AddedTokenFinder(
        {
            "[A]": (AddedToken("[A]", single_word, lstrip, rstrip), 0),
            " b": (AddedToken(" b"), 1),
        }
    )
    assert "".join(text[start:end] for _, start, end in finder.split(text)) == text


@pytest.mark.parametrize(
    "tokens, message",
    [
        ({AddedToken(""): 0}, "empty"),
        ({AddedToken("a"): 0, AddedToken("a", special=False): 0}, "'a' is twice there"),
        ({AddedToken("a"): 1}, "'a' has id 1, but 0 in the vocabulary"),
    ],
)
def test_contradictions_are_refused(tokens, message):
    with pytest.raises(ValueError, match=message):
        added_token_ids(tokens, {"a": 0})

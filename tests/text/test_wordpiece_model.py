"""Words become the longest pieces from the left, or [UNK] as a whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.text.wordpiece_model import WordPiece, join_pieces

TOKENS = ["[UNK]", "un", "##aff", "##able", "##a", "##b", "a", "aff", "u", "##n", "你", "b", "ab"]
VOCAB = {token: id for id, token in enumerate(TOKENS)}


def pieces(word: str, **options) -> list[str]:
    return [TOKENS[id] for id in WordPiece(VOCAB, **options)[word]]


@pytest.mark.parametrize(
    "word, expected",
    [
        ("unaffable", ["un", "##aff", "##able"]),
        ("un", ["un"]),
        ("unab", ["un", "##a", "##b"]),
        ("你", ["你"]),
        ("你a", ["你", "##a"]),
        ("a你", ["[UNK]"]),  # no ##你: the whole word is unknown, not its end
        ("unaffabel", ["[UNK]"]),
        ("ab" + "a" * 98, ["ab"] + ["##a"] * 98),
        ("a" * 101, ["[UNK]"]),
        ("\ud800", ["[UNK]"]),
    ],
)
def test_greedy_longest_match(word, expected):
    assert pieces(word) == expected


def shortest_description(word: str) -> list[str]:
    """The definition, without cache or bound: try every end from the right."""
    result, start = [], 0
    while start < len(word):
        ends = [
            end
            for end in range(start + 1, len(word) + 1)
            if ("##" if start else "") + word[start:end] in VOCAB
        ]
        if not ends:
            return ["[UNK]"]
        result.append(("##" if start else "") + word[start : ends[-1]])
        start = ends[-1]
    return result


@given(st.text(alphabet="aunfbl", min_size=1, max_size=12))
def test_equals_the_definition_and_pieces_tile_the_word(word):
    assert pieces(word) == shortest_description(word)
    spans = WordPiece(VOCAB).piece_spans(word)
    assert [id for id, _, _ in spans] == list(WordPiece(VOCAB)[word])
    assert [start for _, start, _ in spans] == [0, *(end for _, _, end in spans[:-1])]
    assert spans[-1][2] == len(word)
    if len(spans) > 1:
        assert all(TOKENS[id].removeprefix("##") == word[s:e] for id, s, e in spans)


def test_other_prefix_and_length():
    assert pieces("una", continuing_subword_prefix="") == ["un", "a"]
    assert pieces("unab", max_input_chars_per_word=3) == ["[UNK]"]


def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(WordPiece, "CACHE_SIZE", 10)
    model = WordPiece(VOCAB)
    for i in range(100):
        assert model["un" + "ab" * i]
        assert len(model) <= 10


def test_the_unknown_token_must_be_there():
    with pytest.raises(ValueError, match=r"'<unk>' isn't in the vocabulary"):
        WordPiece(VOCAB, unk_token="<unk>")


@pytest.mark.parametrize(
    "tokens, cleanup, text",
    [
        (["un", "##aff", "##able", "!"], True, "unaffable!"),
        (["un", "##aff", "##able", "!"], False, "unaffable !"),
        (["##ab", "a", ",", "b", ".", "?"], True, "##ab a, b.?"),
        (["don", "'", "t"], True, "don ' t"),
        (["你", "好"], True, "你 好"),
        ([], True, ""),
    ],
)
def test_pieces_are_joined(tokens, cleanup, text):
    assert join_pieces(tokens, cleanup=cleanup) == text

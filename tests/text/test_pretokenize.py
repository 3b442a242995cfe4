"""Normalisation gives one spelling, and every character still knows where it comes from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.text.pretokenize import BertNormalizer, split_words, word_spans

any_text = st.text(alphabet=st.characters(), max_size=40)  # lone surrogates too
normalizers = st.builds(
    BertNormalizer,
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, True, False]),
    st.booleans(),
)


@pytest.mark.parametrize(
    "options, text, normalized",
    [
        ({}, "Héllo\tWÖRLD", "hello world"),
        ({}, "e\u0301a\u0327\u0301", "ea"),
        ({}, "你好, 世界", " 你  好 ,  世  界 "),
        ({}, "かな 한", "かな \u1112\u1161\u11ab"),  # kana and Hangul are not CJK ideographs
        ({}, "a\x00b\u200bc\ufffdd\ud800e\x0b", "abcde"),
        ({}, "\u00a0\u3000\r\n", "    "),
        ({}, "ΟΔΟΣ İ", "οδος i".replace("ς", "σ")),
        ({"strip_accents": False}, "É İ", "é i\u0307"),
        ({"lowercase": False}, "É", "É"),
        ({"lowercase": False, "strip_accents": True}, "É", "E"),
        ({"handle_chinese_chars": False}, "你好", "你好"),
        ({"clean_text": False}, "a\x00\tb", "a\x00\tb"),
    ],
)
def test_the_four_steps(options, text, normalized):
    assert BertNormalizer(**options).normalize_str(text) == normalized


def test_origins_follow_removed_and_added_characters():
    normalizer = BertNormalizer(strip_accents=False)
    assert normalizer.normalize("\u200bİ你") == ("i\u0307 你 ", [1, 1, 2, 2, 2])


@given(normalizers, any_text)
def test_each_normalised_character_comes_from_its_origin(normalizer, text):
    normalized, origins = normalizer.normalize(text)
    assert normalized == normalizer.normalize_str(text)
    assert len(origins) == len(normalized)
    assert list(origins) == sorted(origins)
    for i, character in enumerate(normalized):
        assert character in normalizer.normalize_str(text[origins[i]])


@given(any_text)
def test_normalising_twice_changes_nothing_but_spaces(text):
    once = BertNormalizer().normalize_str(text)
    assert BertNormalizer().normalize_str(once).split() == once.split()


def test_words_are_cut_at_space_and_around_punctuation():
    text = "don't pay $3.50 (now)！ok\u3000_x_"
    words = [
        "don",
        "'",
        "t",
        "pay",
        "$",
        "3",
        ".",
        "50",
        "(",
        "now",
        ")",
        "！",
        "ok",
        "_",
        "x",
        "_",
    ]
    assert split_words(text) == words


@given(any_text)
def test_spans_are_the_words_and_between_them_is_only_space(text):
    end = 0
    spans = word_spans(text)
    assert [word for word, _, _ in spans] == split_words(text)
    for word, start, stop in [*spans, ("", len(text), len(text))]:
        assert text[start:stop] == word
        assert text[end:start].strip() == ""
        end = stop

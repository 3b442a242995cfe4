"""The alphabet of bytes: one visible character a byte, there and back; surrogates."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.text.byte_alphabet import (
    CHARACTERS,
    check_errors,
    encodable,
    is_alphabetic,
    to_bytes,
    to_characters,
)


def test_every_byte_has_a_visible_character_of_its_own():
    assert len(set(CHARACTERS)) == 256
    assert all(unicodedata.category(c)[0] not in "ZC" for c in CHARACTERS)


def test_the_characters_are_gpt2s():
    assert to_characters(b" hello\n") == "ĠhelloĊ"
    assert to_characters("é".encode()) == "Ã©"
    assert to_characters(b"\x00\x7f\xa0\xad\xff") == "Āġł\u0143ÿ"


@given(st.binary())
def test_any_bytes_come_back(data):
    assert is_alphabetic(to_characters(data))
    assert to_bytes(to_characters(data)) == data


@pytest.mark.parametrize("token", ["a b", "书", "\n", "\xa0"])
def test_a_character_that_is_no_byte_is_named(token):
    assert not is_alphabetic(token)
    with pytest.raises(ValueError, match="stands for no byte"):
        to_bytes(token)


@given(st.text())
def test_proper_texts_stay_as_they_are(text):
    for errors in ("strict", "replace", "surrogateescape"):
        assert encodable(text, errors) == text


def test_a_lone_surrogate_is_an_error_with_its_place():
    with pytest.raises(ValueError, match=r"U\+D83D, at character 3"):
        encodable("é a\ud83d b")
    with pytest.raises(ValueError, match=r"U\+D83D, at character 1"):
        encodable("\udc80\ud83d", "surrogateescape")


def test_or_is_replaced_or_becomes_the_byte_that_it_stands_for():
    assert encodable("é\ud83d\udfffb", "replace") == "é\ufffd\ufffdb"
    assert encodable("\udcff", "surrogateescape").encode("utf-8", "surrogateescape") == b"\xff"


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="'ignore'; expected one of 'strict'"):
        check_errors("ignore")

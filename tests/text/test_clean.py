"""Cleaning removes dirt, keeps what only looks like it, and takes linear time."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.text import (
    clean_text,
    decode_entities,
    normalize_unicode,
    normalize_whitespace,
    remove_invisible,
    replace_urls,
    strip_html,
)


@pytest.mark.parametrize(
    "dirty, clean",
    [
        ("one<br /><br />two", "one\n\ntwo"),
        ("one<BR>two", "one\ntwo"),
        ("wo<b>rd</b> <i>x</i>", "word x"),
        ("<p class=a>one</p><p>two", "\none\n\ntwo"),
        ("<a title='x > y' href=\"q\">link</a>", "link"),
        ("<a title=don't>link</a>", "link"),
        ("a<!-- b > c -->d<!---->e", "ade"),
        ("a<script src='x'>if (a<b) c('</p>')</script>b", "a\nb"),
        ("a<STYLE>p{}</Style >b", "a\nb"),
        ("<!DOCTYPE html><?xml version='1'?>text<![endif]>", "text"),
        ("你<br/>好<span>吗</span>", "你\n好吗"),
    ],
)
def test_markup_goes_and_its_text_stays(dirty, clean):
    assert strip_html(dirty) == clean


@pytest.mark.parametrize(
    "text",
    [
        "I <3 this",
        "a < b and c > d",
        "x<y, y>z",
        "the <unk> of <john@example.com>",
        "<a never closed",
        "<b <",
        "a </ b> c <> d",
        "<",
        "",
    ],
)
def test_what_only_looks_like_markup_stays(text):
    assert strip_html(text) == text


@pytest.mark.parametrize("opening", ["<!--", "<script>", "<style>"])
def test_an_opening_without_an_end_does_not_swallow_the_text(opening):
    assert clean_text(f"before {opening} after") in ("before after", "before\nafter")


def test_separator_replaces_line_breaking_elements():
    assert strip_html("a<br>b<b>c</b>", separator=" ") == "a bc"


@pytest.mark.parametrize(
    "encoded, decoded",
    [
        ("&amp;&lt;b&gt;&quot;&apos;", "&<b>\"'"),
        ("caf&eacute; &#8217;&#x4f60;&#X597D;", "café ’你好"),
        ("&#150;&#0;&#xD800;&#99999999;", "–\ufffd\ufffd\ufffd"),
        ("&amp;lt;", "&lt;"),
    ],
)
def test_entities_become_characters(encoded, decoded):
    assert decode_entities(encoded) == decoded


@pytest.mark.parametrize(
    "text", ["AT&T", "?a=1&copy=2", "&notareference;", "&#;", "&#x;", "& amp;"]
)
def test_what_only_looks_like_an_entity_stays(text):
    assert decode_entities(text) == text


def test_invisible_characters_go_and_line_breaks_become_newlines():
    assert remove_invisible("a\x00b\u200bc\ufeffd\xade\u202ef\ud800g\x7f") == "abcdefg"
    assert remove_invisible("a\r\nb\rc\u2028d\x85e\tf\ng") == "a\nb\nc\nd\ne\tf\ng"


def test_unicode_forms():
    assert normalize_unicode("e\u0301") == "é"
    assert normalize_unicode("ＡＢＣ，１") == "ＡＢＣ，１"
    assert normalize_unicode("ＡＢＣ，１　ﬁ", "NFKC") == "ABC,1 fi"
    with pytest.raises(ValueError, match="form is 'NFX'"):
        normalize_unicode("é", "NFX")


def test_more_marks_than_any_language_needs_are_dropped():
    assert normalize_unicode("a" + "\u0327" * 100, "NFD") == "a" + "\u0327" * 30


@given(st.text(max_size=30), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_normalisation_is_pythons_where_marks_are_few(text, form):
    assert normalize_unicode(text, form) == unicodedata.normalize(form, text)


@pytest.mark.parametrize(
    "text, without",
    [
        ("see http://a.org/x?y=1#z.", "see ."),
        ("(www.b.com) and HTTPS://C.org!", "() and !"),
        ("see http://a.org/x_(y), ok", "see , ok"),
        ("请看http://example.com/a。谢谢", "请看。谢谢"),
        ("awww.nice http:// ftp", "awww.nice http:// ftp"),
    ],
)
def test_urls_go_and_the_punctuation_behind_them_stays(text, without):
    assert replace_urls(text) == without


def test_urls_can_be_replaced():
    assert clean_text("at http://a.org/x.", url_replacement="[URL]") == "at [URL]."
    assert clean_text("at http://a.org/x.", url_replacement=None) == "at http://a.org/x."


def test_white_space_shrinks_and_paragraphs_stay():
    text = " a \t b\u3000c \n d\n \n\n e\n"
    assert normalize_whitespace(text) == "a b c\nd\n\ne"
    assert normalize_whitespace(text, keep_newlines=False) == "a b c d e"


def test_clean_text_does_it_all_in_the_right_order():
    dirty = "Great film!<br /><br />I&#39;d see it again\u200b &amp; again: http://t.co/x &lt;b&gt;"
    assert clean_text(dirty) == "Great film!\n\nI'd see it again & again: <b>"
    assert clean_text("a&nbsp;<br>&#8203;b", keep_newlines=False) == "a b"
    assert clean_text("<b>x</b>", html=False) == "<b>x</b>"
    assert clean_text("ｅ\u0301", unicode_form="NFKC") == "é"
    assert clean_text("e\u0301", unicode_form=None) == "e\u0301"


@given(st.text(alphabet=st.characters(), max_size=60))
def test_any_text_can_be_cleaned_and_is_clean(text):
    clean = clean_text(text)
    assert clean == clean.strip()
    assert remove_invisible(clean) == clean
    assert unicodedata.is_normalized("NFC", clean)


@given(st.text(alphabet="<>/!-abprs\"'= &#;x3", max_size=60))
def test_markup_like_noise_never_loses_text_outside_of_angle_brackets(noise):
    assert strip_html(noise + "<br>终").endswith("终")


@pytest.mark.parametrize(
    "attack",
    [
        "<", "<a ", "<!--", "<script>", "<style><script>", "<script></scrip", "<a \"'", "<![", "</",
        "&", "&#", "&a", " ", "\n", "http://a)", "www.", "x", "\u200b", "\u0301\u0327", "a.",
        "<p='",
    ],
)  # fmt: skip
@pytest.mark.parametrize("start", ["", '<a "', "<script>", "<!--"])
def test_repetition_is_no_attack(attack, start):
    """Linear work ends at once; work that grows with the square would take minutes."""
    assert isinstance(clean_text(start + attack * 100_000), str)


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_ten_megabytes_of_one_character(form):
    assert len(clean_text("x" * 10_000_000, unicode_form=form)) == 10_000_000


@pytest.mark.parametrize("wrong", [None, b"bytes", 3, ["text"]])
def test_only_texts_can_be_cleaned(wrong):
    with pytest.raises(TypeError, match="expected a text"):
        clean_text(wrong)


@given(st.text(st.sampled_from("a \t\n\u00a0\u3000\r")), st.booleans())
def test_white_space_equals_the_plain_way(text, keep_newlines):
    """Run by run: a space, a newline or an empty line for each."""
    words = re.split(r"(\s+)", text)
    for i in range(1, len(words), 2):
        newlines = words[i].count("\n") if keep_newlines else 0
        words[i] = ("\n" * min(newlines, 2)) or " "
    assert normalize_whitespace(text, keep_newlines) == "".join(words).strip()


@given(st.lists(st.sampled_from(["WwW.a", "httpſ://", "HTTP://b", "www", "a.", ":", "/", " "])))
def test_urls_are_looked_for_where_one_could_be(parts):
    """The quick look before the search misses none."""
    text = "".join(parts)
    assert replace_urls(text, "<>") == replace_urls(text + " www.x", "<>").removesuffix(" <>")

"""Cleaning dirty text: each function removes one kind of dirt, `clean_text` composes them.

    "Great film!<br /><br />I&#39;d see it again\\u200b &amp; again: http://t.co/x"
    -> "Great film!\\n\\nI'd see it again & again:"

What only looks like dirt stays: "I <3 this", "a < b", "<unk>", "AT&T".  Only what HTML defines
counts as a tag or an entity.  Every function takes time linear in the length of the text, whatever
the text is: nothing is searched for twice, and no regular expression can backtrack far.

Sources: the HTML standard (whatwg.org), sections on tokenization and named character references;
Unicode Standard Annex #15 (normalisation forms).
"""

import html as html_standard
import re
import unicodedata
from html.entities import html5
from typing import Literal, get_args

import regex

# The elements of HTML, past and present.  Those inside a line vanish without a trace
# ("wo<b>rd</b>" is one word); all others break the line.
_INLINE = frozenset(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark nobr q rb "
    "ruby s samp small span strike strong sub sup time tt u var wbr".split()
)
_BREAKING = frozenset(
    "address applet area article aside audio base basefont blink blockquote body br button canvas "
    "caption center col colgroup datalist dd details dialog dir div dl dt embed fieldset "
    "figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html "
    "iframe image img input legend li link main map marquee menu menuitem meta meter nav noembed "
    "noframes noscript object ol optgroup option output p param picture plaintext pre progress "
    "rp rt rtc script search section select slot source style summary svg table tbody td template "
    "textarea tfoot th thead title tr track ul video xmp".split()
)
_TAG_NAME = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)(?=[\s/>])")
_TAG_STOP = re.compile("[\"'>]")
_DECLARATION = re.compile(r"<!doctype\b|<!\[|<\?xml", re.IGNORECASE)
# What isn't text: from the start tag to the end tag.
_UNSEEN = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style")}
_COMMENT_END = re.compile("-->")


def strip_html(text: str, separator: str = "\n") -> str:
    """Remove tags, comments, declarations, and <script> and <style> with their contents.

    Elements that break the line (<br>, <p>, <li> ...) leave `separator`.  A tag must bear the
    name of an HTML element and be closed by ">" before the next "<"; a comment, script or style
    without an end loses its opening only, so that a stray "<!--" doesn't swallow the text.
    """
    kept = []
    done = 0  # text[:done] has been dealt with
    endless: set[re.Pattern] = set()  # what has no further end: searched for once, not again
    position = text.find("<")
    while position >= 0:
        following = text.find("<", position + 1)
        end, replacement = _markup_at(
            text, position, following if following >= 0 else len(text), separator, endless
        )
        if end > position:
            kept += [text[done:position], replacement]
            done = end
        position = text.find("<", end) if following >= 0 and following < end else following
    kept.append(text[done:])
    return "".join(kept)


def _markup_at(
    text: str, start: int, following: int, separator: str, endless: set[re.Pattern]
) -> tuple[int, str]:
    """(end, replacement) of the markup at text[start] == "<"; end == start if there is none."""
    if text.startswith("<!--", start):
        return _find_end(text, start + 4, _COMMENT_END, endless), ""
    if _DECLARATION.match(text, start, following):
        return max(start, text.find(">", start, following) + 1), ""
    name_match = _TAG_NAME.match(text, start, following)
    if name_match is None:
        return start, ""
    name = name_match.group(1).lower()
    end = _tag_end(text, name_match.end(), following)
    if end < 0 or (name not in _INLINE and name not in _BREAKING):
        return start, ""
    if name in _UNSEEN and text[start + 1] != "/" and text[end - 2] != "/":
        close = _find_end(text, end, _UNSEEN[name], endless)
        if close > end:
            end = text.find(">", close) + 1 or len(text)
    return end, "" if name in _INLINE else separator


def _find_end(text: str, start: int, pattern: re.Pattern, endless: set[re.Pattern]) -> int:
    """Where the next match of pattern ends; start if there is none."""
    match = None if pattern in endless else pattern.search(text, start)
    if match is None:
        endless.add(pattern)
        return start
    return match.end()


def _tag_end(text: str, start: int, following: int) -> int:
    """Behind the ">" that ends a tag before the next "<", -1 if none does.

    A ">" in a quoted attribute doesn't count, unless the quotes are unbalanced.
    """
    position = start
    while stop := _TAG_STOP.search(text, position, following):
        if stop.group() == ">":
            return stop.end()
        closing_quote = text.find(stop.group(), stop.end(), following)
        if closing_quote < 0:
            break
        position = closing_quote + 1
    return text.find(">", start, following) + 1 or -1


_ENTITY = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,8}|([A-Za-z][A-Za-z0-9]{1,31}));")


def decode_entities(text: str) -> str:
    """Replace HTML's character references by their characters: &amp; &eacute; &#8217; &#x4f60;

    Only complete ones, with the semicolon, so that "AT&T" and "?a=1&copy=2" stay.  What is
    encoded twice is decoded once.  Impossible numbers become U+FFFD.
    """
    return _ENTITY.sub(_character_of, text)


def _character_of(entity: re.Match) -> str:
    if entity.group(1) and entity.group(1) + ";" not in html5:
        return entity.group()  # no such name
    return html_standard.unescape(entity.group())


_LINE_BREAK = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Control characters except tab and newline; soft hyphen; zero-width spaces, joiners, fillers and
# no-breaks; variation selectors; directional, byte-order and annotation marks; lone surrogates;
# non-characters.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)


def remove_invisible(text: str) -> str:
    """Remove control and zero-width characters; unusual line breaks become newlines.

    Joiners go too, so an emoji that several are joined into falls apart into its parts.
    """
    return _INVISIBLE.sub("", _LINE_BREAK.sub("\n", text))


UnicodeForm = Literal["NFC", "NFD", "NFKC", "NFKD"]

# At most 30 marks on one character (no language needs more; UAX #15, Stream-Safe Text Format).
# Python sorts a character's marks by insertion, which takes quadratic time on a million of them.
_TOO_MANY_MARKS = regex.compile(r"(\p{M}{30})\p{M}+")


def normalize_unicode(text: str, form: UnicodeForm = "NFC") -> str:
    """One code for what looks the same ("e" + accent -> "é"), in the form NFC, NFD, NFKC or NFKD.

    NFKC also replaces compatible forms: full-width "ＡＢＣ，１" -> "ABC,1", "ﬁ" -> "fi".
    Of more than 30 combining marks in a row the rest is dropped.  Raises ValueError for another
    form.
    """
    if form not in get_args(UnicodeForm):
        raise ValueError(f"form is {form!r}; expected 'NFC', 'NFD', 'NFKC' or 'NFKD'")
    if text.isascii():
        return text
    return unicodedata.normalize(form, _TOO_MANY_MARKS.sub(r"\1", text))


# ASCII only, so that a URL in the middle of Chinese text ends where the Chinese goes on.
_URL = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:https?|ftp)://|www\.)[A-Za-z0-9][A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*",
    re.IGNORECASE,
)
_AFTER_URL = ".,;:!?'*"


def replace_urls(text: str, replacement: str = "") -> str:
    """Replace http://..., https://..., ftp://... and www....; punctuation behind them stays."""

    def keep_punctuation(match: re.Match) -> str:
        url = match.group().rstrip(_AFTER_URL)
        if url.endswith(")") and "(" not in url:  # "(see http://a.org)"
            url = url.rstrip(")" + _AFTER_URL)
        return replacement + match.group()[len(url) :]

    if "://" not in text and "www." not in text.lower():
        return text  # what nearly every text is: don't look closer
    return _URL.sub(keep_punctuation, text)


# A run of white space, unless it is a single space, as nearly all are: those stay anyway.
_WHITE_SPACE = re.compile(r"(?: \s|[^\S ])\s*")


def normalize_whitespace(text: str, keep_newlines: bool = True) -> str:
    """One space for each run of white space, none at the ends.

    With keep_newlines a run that holds a newline becomes a newline, one that holds two or more
    becomes an empty line: the paragraphs stay.
    """

    def shortest(match: re.Match) -> str:
        newlines = match.group().count("\n") if keep_newlines else 0
        return "\n\n" if newlines > 1 else "\n" if newlines else " "

    return _WHITE_SPACE.sub(shortest, text).strip()


def clean_text(
    text: str,
    html: bool = True,
    unicode_form: UnicodeForm | None = "NFC",
    url_replacement: str | None = "",
    keep_newlines: bool = True,
) -> str:
    """All of the above, in this order: HTML, invisible characters, Unicode, URLs, white space.

    html            : False leaves tags and entities as they are
    unicode_form    : "NFKC" for full-width forms too; None leaves them as they are
    url_replacement : put in the place of URLs; None leaves them as they are
    keep_newlines   : False makes it one line

    Raises TypeError for anything but str, ValueError for an unknown Unicode form.
    """
    if not isinstance(text, str):
        raise TypeError(f"expected a text (str), got {type(text).__name__}: {text!r:.80}")
    if html:
        text = decode_entities(strip_html(text))
    text = remove_invisible(text)
    if unicode_form is not None:
        text = normalize_unicode(text, unicode_form)
    if url_replacement is not None:
        text = replace_urls(text, url_replacement)
    return normalize_whitespace(text, keep_newlines)

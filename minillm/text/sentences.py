"""Where does a sentence end?  English and Chinese, also mixed in one text.

Chinese says it plainly: 。！？ end a sentence, and closing quotes behind them belong to it.  In
English "." is also an abbreviation, an initial, a decimal point or a third of an ellipsis, so the
decision looks at the word before it and at what comes next:

    Dr. Smith paid $3.50 in the U.S. last year. "Why?" he asked.  ->  two sentences

The rules are a few and good for most of real text; none of them is right always.  Each stop is
looked at once, with a bounded look to both sides, so the time is linear in the text's length.
"""

import re

# A run of stops and the quotes and brackets that close behind it.
_STOP = re.compile(
    "(?P<stops>[.!?…。！？｡]+)(?P<closers>[\"'”’»)\\]}」』》】〉）］｣]*)|\n[^\\S\n]*\n"
)
_SOMETHING = re.compile(r"\S")
_CHINESE_STOP = re.compile("[。！？｡]")
# Chinese, Japanese and Korean characters and their full-width punctuation: no spaces between
# sentences.
_CJK = re.compile(
    "[\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff01-\uffef]"
)
# Punctuation that can't begin a sentence: the stop before it wasn't the end.
_GOES_ON = re.compile("[,;:，、；：,.!?…。！？｡)\\]}”’」』》】〉）］]")
_OPENERS = "\"'“‘«([{「『《【〈（［"
_NOT_IN_WORD = re.compile(r"[^\w.&'’-]")
_WORD_CHARACTERS = re.compile(r"[\w']+")
_LETTERS_AND_STOPS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")  # U.S, p.m
_LOOK = 40  # no abbreviation and no first word is longer

# A name, a number or an explanation follows: never the end of a sentence.
_BEFORE_SOMETHING = frozenset(
    "mr mrs ms messrs mme mlle dr prof capt cmdr col lt maj sgt e.g i.e viz cf vs approx fig figs "
    "eq eqs vol vols pp nos".split()
)
# May stand at the end: it does if a word follows that commonly begins a sentence.
_ANYWHERE = frozenset(
    "etc al inc ltd co corp bros jr sr esq ph.d rev hon pres gov sen rep gen adm pvt st mt ft sec "
    "ch ed eds resp dept univ est ave blvd rd sq jan feb apr jun jul aug sep sept oct nov dec tue "
    "tues thu thur thurs hr hrs".split()
)
_FIRST_WORDS = frozenset(
    "a after all also although an and another are as at because both but by did do does each even "
    "every for from had has have he her here his how however i i'm i've if in is it it's its many "
    "maybe most my no nobody not nothing now of on one only or our perhaps she so some still "
    "such that that's the their then there there's these they they're this those though thus to we "
    "we're well were what what's when where which while who why with yes yet you you're "
    "your".split()
)


def split_sentences(text: str) -> list[str]:
    """The sentences of the text in their order, without the white space around them.

    An empty line always ends a sentence; a single newline doesn't.
    Raises TypeError for anything but str.
    """
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """The places of the sentences: text[start:end], never empty, without white space around."""
    if not isinstance(text, str):
        raise TypeError(f"expected a text (str), got {type(text).__name__}: {text!r:.80}")
    spans = []
    start = _skip_space(text, 0)
    for match in _STOP.finditer(text, start):
        if match.start() < start:
            continue  # an empty line in white space that has been skipped
        end = match.end()
        following = _skip_space(text, end)
        if match["stops"] is None:  # an empty line
            end = match.start()
        elif following < len(text) and not _ends_sentence(text, start, match, following):
            continue
        span = _stripped(text, start, end)
        if span[0] < span[1]:
            spans.append(span)
        start = following
    span = _stripped(text, start, len(text))
    if span[0] < span[1]:
        spans.append(span)
    return spans


def _skip_space(text: str, position: int) -> int:
    something = _SOMETHING.search(text, position)
    return something.start() if something else len(text)


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _ends_sentence(text: str, start: int, match: re.Match, following: int) -> bool:
    """Does the stop end the sentence that began at `start`?  text[following] is what comes next."""
    stops, closers = match["stops"], match["closers"]
    next_character = text[following]
    spaced = following > match.end()
    if _GOES_ON.match(next_character):
        return False
    if _CHINESE_STOP.search(stops):
        return True
    if not spaced:  # 3.14, example.com, but also 真的吗?我不信 and 我……不知道
        return bool(_CJK.match(next_character))
    first_letter = _skip_openers(text, following)
    word_match = _WORD_CHARACTERS.match(text, first_letter, first_letter + _LOOK)
    word_after = word_match.group() if word_match else ""
    goes_on_small = word_after[:1].islower()
    if "!" in stops or "?" in stops:
        return not (closers and goes_on_small)  # "Stop!" he said
    if goes_on_small:
        return False
    if stops != ".":
        return True  # ... with a capital or a number behind it
    return not _is_abbreviation(text, start, match.start(), word_after)


def _skip_openers(text: str, position: int) -> int:
    limit = min(len(text), position + 3)
    while position < limit and text[position] in _OPENERS:
        position += 1
    return position


def _is_abbreviation(text: str, start: int, stop: int, word_after: str) -> bool:
    """Is the single stop at text[stop] part of the word before it, and not of the sentence?"""
    word = _NOT_IN_WORD.split(text[max(start, stop - _LOOK) : stop])[-1]
    begins_sentence = stop - len(word) == start
    if word.isdecimal():
        return begins_sentence  # "1. First ..." is a numbered item
    is_initial = len(word) == 1 and word.isupper()  # "J. R. R. Tolkien"
    word = word.lower().lstrip("'’-")
    if word in _BEFORE_SOMETHING:
        return True
    if word == "no" and word_after[:1].isdecimal():  # "No. 5"
        return True
    if is_initial or word in _ANYWHERE or _LETTERS_AND_STOPS.fullmatch(word):
        return word_after.lower() not in _FIRST_WORDS
    return False

"""BERT's normalisation and pre-tokenization: from raw text to the words that WordPiece cuts up.

Normalisation makes one of many spellings: "Café", "CAFE" and "cafe" become the same word.
Pre-tokenization then cuts at white space and around every punctuation mark:

    "Hé said: 你好!"  --normalise-->  "he said:  你  好 !"  --pre-tokenize-->  he said : 你 好 !

Both keep track of where each piece came from, so that a token can be marked in the original text
(question answering needs that).  Normalisation may change the length: a control character
vanishes, "İ" becomes two characters in lower case, "é" is taken apart into "e" and an accent that
is dropped.  Hence `origins[i]`, the index in the original text of normalised character i.

Source: Devlin et al. 2018, "BERT", released code (BasicTokenizer); characters and offsets are
those of BertNormalizer and BertPreTokenizer in the Hugging Face tokenizers library.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from minillm.text.unicode_tables import (
    CHINESE,
    CONTROLS,
    MARKS,
    PUNCTUATION,
    SURROGATES,
    WHITE_SPACE,
    character_class,
)

_REMOVED = re.compile(f"[{character_class(CONTROLS, SURROGATES)}]")
_MARK = re.compile(f"[{character_class(MARKS)}]")
_SPACE = re.compile(f"[{character_class(WHITE_SPACE)}]")
_CHINESE = re.compile(f"[{character_class(CHINESE)}]")
# A word is a run of characters that are neither space nor punctuation, or one punctuation mark.
_WORD = re.compile(
    f"[^{character_class(WHITE_SPACE, PUNCTUATION)}]+|[{character_class(PUNCTUATION)}]"
)


class _CharacterTable(dict):
    """{code point: what it is normalised to}, filled on demand: the form str.translate reads."""

    def __init__(self, normalize_character):
        self.normalize_character = normalize_character

    def __missing__(self, code_point: int) -> str:
        self[code_point] = normalized = self.normalize_character(chr(code_point))
        return normalized


@dataclass(frozen=True)
class BertNormalizer:
    """The four steps, each of which can be switched off; names are Hugging Face's.

    clean_text            removes control characters, makes every white space a plain space
    handle_chinese_chars  puts spaces around each Chinese character
    strip_accents         "é" -> "e" (NFD, then without non-spacing marks); None: as `lowercase`
    lowercase             lower case, character by character

    Every step looks at one character at a time, so a text is normalised through a table that
    remembers each character's result; that makes it fast.  (NFD could also reorder several marks
    on one letter, but the marks that it reorders are the ones that are dropped.  The few marks
    younger than the frozen tables stay, in the order in which they were written.)
    """

    clean_text: bool = True
    handle_chinese_chars: bool = True
    strip_accents: bool | None = None
    lowercase: bool = True
    _table: _CharacterTable = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "_table", _CharacterTable(self._normalize_character))

    def _normalize_character(self, character: str) -> str:
        strip_accents = self.lowercase if self.strip_accents is None else self.strip_accents
        result = character
        if self.clean_text:
            result = " " if _is_space(character) else _REMOVED.sub("", character)
        if self.handle_chinese_chars and _CHINESE.fullmatch(result):
            result = f" {result} "
        if strip_accents:
            result = _MARK.sub("", unicodedata.normalize("NFD", result))
        if self.lowercase:
            # One by one: "Σ".lower() is "σ" everywhere, where "ΟΔΟΣ".lower() would end in "ς".
            result = "".join(c.lower() for c in result)
        return result

    def normalize_str(self, text: str) -> str:
        """The normalised text."""
        return text.translate(self._table)

    def normalize(self, text: str) -> tuple[str, Sequence[int]]:
        """(normalised, origins): character i of `normalised` comes from text[origins[i]]."""
        pieces = [self._table[ord(character)] for character in text]
        normalized = "".join(pieces)
        if len(normalized) == len(text) and "" not in pieces:
            return normalized, range(len(text))  # nothing moved: the common case of plain text
        origins = [i for i, piece in enumerate(pieces) for _ in piece]
        return normalized, origins


def _is_space(character: str) -> bool:
    """White space that cleaning turns into a space; control codes such as \\v are removed."""
    return character in "\t\n\r" or bool(_SPACE.match(character) and not _REMOVED.match(character))


def split_words(normalized: str) -> list[str]:
    """The words of a normalised text: cut at white space, each punctuation mark by itself."""
    return _WORD.findall(normalized)


def word_spans(normalized: str) -> list[tuple[str, int, int]]:
    """The same words as (word, start, end), with normalized[start:end] == word."""
    return [(m.group(), m.start(), m.end()) for m in _WORD.finditer(normalized)]

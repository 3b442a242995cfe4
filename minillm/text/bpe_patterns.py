r"""Patterns that cut a text into words before BPE: no token may reach from one word into the next.

Without them the most frequent pairs would join the ends and beginnings of words ("e" + " t"), and
"dog", "dog." and "dog!" would each become a token.  A word keeps the space before it, and nothing
is lost: the words, one after another, are the text.

    gpt2        "I'm here, 2024!"  ->  I 'm _here , _2024 !            (_ is a space)
    cl100k      "I'm here, 2024!"  ->  I 'm _here , _ 202 4 !
    whitespace  "I'm here, 2024!"  ->  I'm _here, _2024!

GPT-2's: a contraction, or letters, or digits, or other marks, each with at most one space before
it, or spaces.  In `\s+(?!\S)` a run of spaces leaves its last one to the word that follows.
cl100k, of GPT-4 (and Llama 3): contractions in either case, numbers in threes, marks with their
line ends, and any one mark before letters belongs to them: "(word".
Source: Radford et al. 2019 (GPT-2's code); OpenAI's tiktoken.
"""

import re
from collections.abc import Iterator

import regex

from minillm.text.letter_tables import LETTERS, NUMBERS
from minillm.text.unicode_tables import WHITE_SPACE, character_class

PATTERNS = {
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "whitespace": r"\s?\S+|\s+(?!\S)|\s+",
}

_TABLES = {r"\p{L}": LETTERS, r"\p{N}": NUMBERS, r"\s": WHITE_SPACE}
_PROPERTIES = re.compile(r"\\[pPN]\{[^{}]*\}")  # \p{Lu}
_BASIC_PLANE = 0xFFFF  # the last code point of Unicode's first plane
_ESCAPE = re.compile(r"\\p\{[LN]\}|\\[sS]|\\.|\[\^?|\]", re.DOTALL)


# An expression of somebody's own may run away: `(a+)+$` takes 2^n steps for n letters and a comma.
# Such a one gets so much time: a hundred times what an ordinary one needs.
_SECONDS, _SECONDS_A_CHARACTER = 0.2, 1e-5
_LONGEST = 2000  # characters of an expression
# What calls itself, or allows for typing errors, is no pattern for words, and eats memory.
_NOT_FOR_WORDS = re.compile(r"\(\?(?:R|[0-9+&-]|P>|P?&)|\{[^{}]*[a-z<=]")


class Pattern:
    """A pattern, given by one of the names above, or as a regular expression.

    Letters, numbers and white space are those of frozen tables (see letter_tables.py).  What an
    expression doesn't match, between two matches, is a word too.  `None` as a pattern: no cutting.

    Raises ValueError for something that is no regular expression; when a text is cut, for an
    expression that takes more than 0.2 seconds and 10 microseconds a character.
    """

    def __init__(self, pattern: str | None):
        if not isinstance(pattern, str | None):
            raise TypeError(f"pattern is {pattern!r:.80}; expected a str or None")
        self.name = pattern
        expression = r"(?s:.+)" if pattern is None else PATTERNS.get(pattern, pattern)
        self._trusted = pattern is None or pattern in PATTERNS
        try:
            if pattern is not None and not self._trusted:
                _check_own(pattern)
            self._everywhere = _compile(expression, 0x10FFFF, self._trusted)
            # A table of the first plane is looked up in one step, the ranges beyond one by one.
            # Few texts go beyond it: the others are cut four times as fast by a pattern without.
            self._basic = _compile(expression, _BASIC_PLANE, self._trusted)
        except (regex.error, OverflowError, ValueError, RecursionError) as error:
            known = ", ".join(map(repr, PATTERNS))
            raise ValueError(
                f"the pattern {pattern!r:.200} is neither one of {known} nor a regular "
                f"expression: {error}"
            ) from None

    def words(self, text: str) -> list[str]:
        """The words of the text; joined they are the text."""
        compiled = self._compiled_for(text)
        if compiled.groups == 0 and self._trusted:
            words = compiled.findall(text)
            if sum(map(len, words)) == len(text) and "" not in words:
                return words
        return [text[start:end] for start, end in self.spans(text)]

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """(start, end) of each word."""
        compiled, done = self._compiled_for(text), 0
        matches = compiled.finditer(text) if self._trusted else self._in_time(compiled, text)
        for match in matches:
            start, end = match.span()
            if start > done:
                yield done, start
            if end > start:
                yield start, end
            done = end
        if done < len(text):
            yield done, len(text)

    def _in_time(self, compiled, text: str) -> list:
        """The matches of an expression that nobody here has looked at."""
        seconds = _SECONDS + _SECONDS_A_CHARACTER * len(text)
        try:
            return list(compiled.finditer(text, timeout=seconds))
        except (TimeoutError, MemoryError):
            raise ValueError(
                f"the pattern {self.name!r:.80} runs away: it needs more than {seconds:.2g} s for "
                f"{len(text)} characters; a repetition in a repetition does this, as in (a+)+"
            ) from None

    def _compiled_for(self, text: str):
        basic = text.isascii() or ord(max(text)) <= _BASIC_PLANE
        return self._basic if basic else self._everywhere


def _check_own(pattern: str) -> None:
    if len(pattern) > _LONGEST:
        raise ValueError(f"it has {len(pattern)} characters, at most {_LONGEST} may be")
    if _NOT_FOR_WORDS.search(_PROPERTIES.sub("", pattern)):
        raise ValueError("recursion and approximate matching are not for words")


def _compile(expression: str, last: int, trusted: bool):
    r"""Compile with \p{L}, \p{N} and \s written out, up to the code point `last`.

    Our own expressions by `re`, which is twice as fast as `regex`; others by `regex`, which knows a
    time limit.  There too they mean what they mean to `re`, unless they ask for more of Unicode
    than that can (\p{Lu}, classes that are subtracted ...).
    """
    classes = {escape: _class_up_to(table, last) for escape, table in _TABLES.items()}
    inside = False  # within [...]

    def written_out(match: re.Match) -> str:
        nonlocal inside
        escape = match.group()
        if escape in ("[", "[^", "]"):
            inside = escape != "]"
        elif escape in classes:
            return classes[escape] if inside else f"[{classes[escape]}]"
        elif escape == r"\S" and not inside:
            return f"[^{classes[chr(92) + 's']}]"
        return escape

    expression = _ESCAPE.sub(written_out, expression)
    if trusted:
        return re.compile(expression)
    try:
        re.compile(expression)
        return regex.compile(expression, regex.V0)
    except re.error:
        return regex.compile(expression, regex.V1)


def _class_up_to(table: str, last: int) -> str:
    ranges = (r for r in table.split() if int(r.partition("-")[0], 16) <= last)
    return character_class(" ".join(ranges))

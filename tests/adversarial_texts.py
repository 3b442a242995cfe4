"""Texts that are made to be slow: of any length, one kind of character or of broken markup each."""

import random
from collections.abc import Callable

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def repeated(unit: str) -> Callable[[int], str]:
    """A function: how many bytes of UTF-8 -> the unit, so often."""
    return lambda n_bytes: unit * (n_bytes // len(unit.encode()))


def nested(opening: str, closing: str) -> Callable[[int], str]:
    def text(n_bytes: int) -> str:
        depth = n_bytes // (len(opening) + len(closing))
        return opening * depth + closing * depth

    return text


def random_text(units: str, n_bytes: int) -> str:
    n = n_bytes // len(units[0].encode())
    return "".join(random.Random(0).choices(units, k=n))


def short_words(n_bytes: int) -> str:
    """One line of English-looking words, of which most are there again and again."""
    generator = random.Random(0)
    words = ["".join(generator.choices(LETTERS, k=generator.randint(1, 9))) for _ in range(20_000)]
    line = " ".join(generator.choices(words, k=n_bytes // 6 + 1))
    return line[:n_bytes]


SHAPES: dict[str, Callable[[int], str]] = {
    "a line of short words": short_words,
    "one long word": lambda n_bytes: random_text(LETTERS, n_bytes),
    "one letter": repeated("a"),
    "spaces": repeated(" "),
    "newlines": repeated("\n"),
    "spaces and newlines": repeated(" \n"),
    "digits": lambda n_bytes: random_text("0123456789", n_bytes),
    "nested tags": nested("<div>", "</div>"),
    "tags that don't end": repeated("<a "),
    "attributes that don't end": repeated('<a href="'),
    "quotes in a tag": lambda n_bytes: "<a" + ' "' * (n_bytes // 2),
    "<": repeated("<"),
    "comments that don't end": repeated("<!--"),
    "scripts that don't end": repeated("<script>"),
    "styles and scripts": repeated("<style><script></style>"),
    "&": repeated("&"),
    "entities that don't end": repeated("&amp"),
    "numbers that don't end": repeated("&#1234567"),
    "combining marks": repeated("\u0301"),
    "marks in the wrong order": repeated("\u0301\u0327\u0323\u0334"),
    "Chinese": lambda n_bytes: random_text("".join(map(chr, range(0x4E00, 0x5E00))), n_bytes),
    "Korean in letters": repeated("\u1112\u1161\u11ab"),
    "alternating scripts": repeated("aя中א"),
    "emoji that are joined": repeated("\U0001f469\u200d"),
    "punctuation": repeated(".,;:!?()[]"),
    "full stops": repeated("."),
    "initials": repeated("A. "),
    "exclamations": repeated("! "),
    "closing brackets": repeated(")"),
    "apostrophes": repeated("'"),
    "contractions": repeated("'s"),
    "Web addresses": repeated("http://"),
    "www": repeated("www."),
    "special tokens": repeated("<|endoftext|>"),
}

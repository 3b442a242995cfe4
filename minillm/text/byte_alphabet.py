"""256 printable characters, one for each byte: the alphabet in which byte-level BPE writes tokens.

A token is a string of bytes, and bytes need not be text: a token may hold half of "é" or a line
end.  Files of tokens are text all the same, so GPT-2 gave every byte a visible character.  The
printable bytes of Latin-1 stand for themselves; the other 68, in order, are the characters from
U+0100 on.  So a space (byte 0x20) is written "Ġ" and a line end (0x0A) "Ċ":

    " hello\\n" -> "ĠhelloĊ"        "é" -> bytes C3 A9 -> "Ã©"

Source: Radford et al. 2019, "Language models are unsupervised multitask learners", section 2.2,
and the code released with it.
"""

import re


def _alphabet() -> str:
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in visible else next(others)) for byte in range(256))


CHARACTERS = _alphabet()  # CHARACTERS[byte] is the byte's character
_TO_BYTE = {character: byte for byte, character in enumerate(CHARACTERS)}
_SURROGATE = re.compile("[\ud800-\udfff]")


def to_characters(data: bytes) -> str:
    """Bytes as they are written in a vocabulary: b" a" -> "Ġa"."""
    return data.decode("latin-1").translate(CHARACTERS)  # Latin-1: byte b is character b


def is_alphabetic(token: str) -> bool:
    """Whether all characters are among the 256."""
    return _TO_BYTE.keys() >= set(token)


def to_bytes(token: str) -> bytes:
    """The reverse.  Raises ValueError for a character that isn't one of the 256."""
    try:
        return bytes([_TO_BYTE[character] for character in token])
    except KeyError as error:
        raise ValueError(
            f"the token {token!r:.80} holds {error.args[0]!r}, which stands for no byte"
        ) from None


ERRORS = ("strict", "replace", "surrogateescape")


def check_errors(errors: str) -> None:
    """Raise ValueError for an unknown way to treat surrogates."""
    if errors not in ERRORS:
        raise ValueError(f"errors is {errors!r}; expected one of {', '.join(map(repr, ERRORS))}")


def encodable(text: str, errors: str = "strict", name: str = "the text") -> str:
    """The text, if it can be written in UTF-8: it may hold no lone surrogate (U+D800 to U+DFFF).

    A Python string can hold surrogates: half of an emoji in a broken JSON file, or a byte that
    isn't UTF-8 in a file that was opened with errors="surrogateescape".  What becomes of them:

    errors="strict"           ValueError that names the first one and its place
    errors="replace"          each becomes U+FFFD, the replacement character
    errors="surrogateescape"  those that stand for a byte (U+DC80 to U+DCFF) become that byte again,
                              others are a ValueError
    """
    if text.isascii():
        return text
    try:
        text.encode("utf-8", "surrogateescape" if errors == "surrogateescape" else "strict")
    except UnicodeEncodeError as error:
        if errors == "replace":
            return _SURROGATE.sub("\ufffd", text)
        raise ValueError(
            f"{name} holds a lone surrogate, U+{ord(text[error.start]):04X}, at character "
            f"{error.start}: it can't be written in UTF-8. Read the file with errors='replace' "
            "(in a lesson: --replace-invalid), or make the tokenizer with errors='replace'"
        ) from None
    return text

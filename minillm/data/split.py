"""A held-out part that no training text reaches: the split by document.

On which side a document falls is decided by its own text alone: a hash of the text is a number
between 0 and 1 that looks random but never changes, and a document is held out if its number is
below the fraction wanted.  So

- the same text always falls on the same side: exact duplicates can't leak from one to the other;
- documents that are added or removed later don't move any other;
- nothing has to be counted, sorted or remembered: the corpus streams through.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator

import regex

from minillm.data.corpus import Corpus, Documents
from minillm.text import clean_text

_NOT_LETTERS_OR_DIGITS = regex.compile(r"[^\p{L}\p{N}]+")
_ASCII_NOT_LETTERS_OR_DIGITS = bytes(b for b in range(128) if not chr(b).isalnum())


def document_key(text: str, seed: int = 0) -> int:
    """A 64-bit number made of the document's text (and the seed), by BLAKE2b.

    What a tokenizer may not see doesn't count: markup, case, accents, punctuation, white space,
    and the several ways in which Unicode writes a character.  So two documents with equal token
    ids have equal keys.
    """
    return clean_document_key(clean_text(text), seed)


def clean_document_key(text: str, seed: int = 0) -> int:
    """`document_key` of a text that `clean_text` has cleaned already."""
    if text.isascii():  # the same, eight times as fast
        letters = text.lower().encode().translate(None, _ASCII_NOT_LETTERS_OR_DIGITS)
    else:
        text = unicodedata.normalize("NFKD", text).casefold()
        text = unicodedata.normalize("NFKD", text)
        letters = _NOT_LETTERS_OR_DIGITS.sub("", text).encode("utf-8")
    salt = (seed % 2**64).to_bytes(8, "little")
    digest = hashlib.blake2b(letters, digest_size=8, salt=salt).digest()
    return int.from_bytes(digest, "little")


def is_held_out(text: str, held_out: float = 0.1, seed: int = 0) -> bool:
    """Whether a document belongs to the held-out part: u(text, seed) < held_out, u in [0, 1).

    held_out: the fraction of documents (in expectation).  The documents held out at 0.1 are among
    those held out at 0.2.  Raises ValueError if it isn't between 0 and 1.
    """
    if not 0 <= held_out <= 1:
        raise ValueError(f"held_out={held_out}: a fraction of the documents, from 0 to 1, expected")
    return document_key(text, seed) < held_out * 2**64


def split_documents(
    documents: Corpus | Iterable[str], held_out: float = 0.1, seed: int = 0
) -> tuple[Corpus, Corpus]:
    """Split a corpus (or any iterable of str) into (training part, held-out part), by document.

    Both parts are views that stream from the corpus.  Raises ValueError if `held_out` isn't
    between 0 and 1.
    """
    is_held_out("", held_out, seed)  # raises now, not when the first document is read
    corpus = documents if isinstance(documents, Corpus) else Documents(documents)
    return Part(corpus, held_out, seed, False), Part(corpus, held_out, seed, True)


class Part(Corpus):
    """One side of a split: the documents of `corpus` that fall on it."""

    def __init__(self, corpus: Corpus, held_out: float, seed: int, held_out_side: bool):
        self.corpus, self.held_out, self.seed = corpus, held_out, seed
        self.held_out_side = held_out_side
        self.name = f"{corpus.name}, {'held out' if held_out_side else 'training'}"

    def holds(self, clean: str, key: int) -> bool:
        """Whether a document is on this side: its cleaned text, and `clean_document_key` of it."""
        if self.seed != 0:
            key = clean_document_key(clean, self.seed)
        return (key < self.held_out * 2**64) == self.held_out_side

    def __iter__(self) -> Iterator[str]:
        for document in self.corpus:
            if is_held_out(document, self.held_out, self.seed) == self.held_out_side:
                yield document

    def fingerprint(self) -> str:
        side = f"{self.held_out!r}:{self.seed}:{self.held_out_side}"
        return f"split:{side}:{self.corpus.fingerprint()}"

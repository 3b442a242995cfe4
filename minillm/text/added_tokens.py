"""Tokens that are found in the raw text before anything else happens to it.

"[MASK]" written in a text must become the one token [MASK], and not the words "[", "mask", "]".
So the text is first cut at such tokens, and only what lies between them is normalised, cut into
words and pieces.  Options and rules are those of `AddedToken` in the Hugging Face tokenizers.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from minillm.text.unicode_tables import WHITE_SPACE, character_class

_SPACE = character_class(WHITE_SPACE)
_NO_SPACE = re.compile(f"[^{_SPACE}]")
_WORD_CHARACTER = re.compile(r"\w")


@dataclass(frozen=True)
class AddedToken:
    """A token that is looked for as it stands.

    content      : the text to find
    single_word  : only where no letter or digit touches it
    lstrip       : swallows the white space to its left; rstrip: to its right
    normalized   : looked for in the normalised text (and itself normalised), not in the raw text
    special      : left out by decode(..., skip_special_tokens=True)
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False
    special: bool = True


def added_token_ids(
    added_tokens: Mapping[AddedToken, int], vocab: Mapping[str, int]
) -> dict[str, int]:
    """{content: id}.  Raises ValueError for an empty token, one that is there twice, or one that
    has another id in the vocabulary."""
    ids: dict[str, int] = {}
    for token, id in added_tokens.items():
        content = token.content
        if not content or content in ids:
            raise ValueError(f"added token {content!r} is {'twice there' if content else 'empty'}")
        if vocab.get(content, id) != id:
            raise ValueError(
                f"added token {content!r} has id {id}, but {vocab[content]} in the vocabulary"
            )
        ids[content] = id
    return ids


class AddedTokenFinder:
    """Finds tokens in a text: leftmost first, and of those that begin there the longest."""

    def __init__(self, tokens: Mapping[str, tuple[AddedToken, int]]):
        """tokens: {text to look for: (token, id)}."""
        self.tokens = tokens
        longest_first = sorted(tokens, key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, longest_first)))

    def split(self, text: str) -> Iterator[tuple[int | None, int, int]]:
        """Cut text into (id, start, end); id is None for what lies between added tokens."""
        matches = self.pattern.finditer(text) if self.tokens else ()
        done = 0  # text[:done] has been given out
        for match in matches:
            token, id = self.tokens[match.group()]
            start, end = match.span()
            if start < done:
                continue  # swallowed as white space by the token before
            if token.single_word and (
                _WORD_CHARACTER.match(text[start - 1 : start])
                or _WORD_CHARACTER.match(text[end : end + 1])
            ):
                continue
            if token.lstrip:
                while start > done and not _NO_SPACE.match(text[start - 1]):
                    start -= 1
            if token.rstrip:
                no_space = _NO_SPACE.search(text, end)
                end = no_space.start() if no_space else len(text)
            if start > done:
                yield None, done, start
            yield id, start, end
            done = end
        if done < len(text):
            yield None, done, len(text)

"""One text to its pieces: added tokens, normalisation, words and pieces, one after the other.

    "Café [MASK]!"  -> sections  "Café ", [MASK], "!"
                    -> "cafe ", [MASK], "!"  -> words  cafe, [MASK], !  -> pieces  ca ##fe [MASK] !

How a section is cut into words and pieces is the cutter's part, another one for each kind of
tokenizer.

Two ways through the same steps: `ids` is fast and gives ids only, `encode` keeps the place of
every piece in the text too.  The tests hold them equal.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from minillm.text.added_tokens import AddedToken, AddedTokenFinder
from minillm.text.encoding import Encoding


class Normalizer(Protocol):
    """What happens to a text before it is cut."""

    def normalize_str(self, text: str) -> str:
        """The normalised text."""

    def normalize(self, text: str) -> tuple[str, Sequence[int]]:
        """(normalised, origins): character i of `normalised` comes from text[origins[i]]."""


class NoNormalizer:
    """Leaves texts as they are."""

    def normalize_str(self, text: str) -> str:
        return text

    def normalize(self, text: str) -> tuple[str, Sequence[int]]:
        return text, range(len(text))


class Cutter(Protocol):
    """Cuts a normalised section of text into pieces of the vocabulary."""

    def ids(self, text: str) -> Iterable[int]:
        """The ids of the pieces."""

    def words(self, text: str) -> Iterator[list[tuple[int, int, int]]]:
        """For each word its pieces as (id, start, end), where text[start:end] is their place."""


class Segmenter:
    """Cuts texts into pieces of the vocabulary."""

    def __init__(
        self, normalizer: Normalizer, added_tokens: Mapping[AddedToken, int], cutter: Cutter
    ):
        self.normalizer = normalizer
        self.cutter = cutter
        raw = {t.content: (t, id) for t, id in added_tokens.items() if not t.normalized}
        normalized = {
            normalizer.normalize_str(t.content): (t, id)
            for t, id in added_tokens.items()
            if t.normalized
        }
        normalized.pop("", None)  # a token of control characters only: can't be found
        self._in_raw_text = AddedTokenFinder(raw)
        self._in_normalized_text = AddedTokenFinder(normalized)

    def ids(self, text: str) -> list[int]:
        """The ids of the text's pieces."""
        ids: list[int] = []
        for token_id, start, end in self._in_raw_text.split(text):
            if token_id is not None:
                ids.append(token_id)
                continue
            normalized = self.normalizer.normalize_str(text[start:end])
            for token_id, start, end in self._in_normalized_text.split(normalized):
                if token_id is not None:
                    ids.append(token_id)
                else:
                    ids.extend(self.cutter.ids(normalized[start:end]))
        return ids

    def encode(self, text: str, sequence_id: int, tokens: list[str]) -> Encoding:
        """The text's pieces with their places; tokens[id] is the name of a piece."""
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        word_ids: list[int | None] = []
        for word_id, pieces in enumerate(self._words(text)):
            for id, start, end in pieces:
                ids.append(id)
                offsets.append((start, end))
                word_ids.append(word_id)
        n = len(ids)
        return Encoding(
            ids=ids,
            type_ids=[sequence_id] * n,
            tokens=[tokens[id] for id in ids],
            offsets=offsets,
            attention_mask=[1] * n,
            special_tokens_mask=[0] * n,
            word_ids=word_ids,
            sequence_ids=[sequence_id] * n,
        )

    def _words(self, text: str) -> Iterator[list[tuple[int, int, int]]]:
        """For each word its pieces as (id, start, end), where text[start:end] is their place."""
        for token_id, first, last in self._in_raw_text.split(text):
            if token_id is not None:
                yield [(token_id, first, last)]
                continue
            normalized, origins = self.normalizer.normalize(text[first:last])
            for token_id, start, end in self._in_normalized_text.split(normalized):
                if token_id is not None:
                    words: Iterable = ([(token_id, 0, end - start)],)
                else:
                    words = self.cutter.words(normalized[start:end])
                for pieces in words:
                    # A piece's place: from its first character's origin to behind its last's.
                    yield [
                        (id, first + origins[start + s], first + origins[start + e - 1] + 1)
                        for id, s, e in pieces
                    ]

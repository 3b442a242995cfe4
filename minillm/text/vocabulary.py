"""A vocabulary: every token has an id, every id from 0 to V - 1 has a token.

The ids are row numbers of the embedding matrix (V, d), so they may have neither gaps nor doubles.
"""

import os
from collections.abc import Iterator, Mapping

from minillm.foreign_files import MB, read_bytes

LARGEST = 32 * MB  # of a vocab.txt


class Vocabulary:
    """A two-way map between tokens (str) and ids 0 .. V - 1.

    vocab["cat"] -> 42, vocab.tokens[42] -> "cat", "cat" in vocab, len(vocab) -> V.

    Raises ValueError when the ids aren't exactly 0 .. V - 1, each once, or V is 0; TypeError when
    a token isn't a str or an id isn't an int.
    """

    def __init__(self, ids: Mapping[str, int]):
        if not ids:
            raise ValueError("the vocabulary is empty; it needs at least the unknown token")
        for token, id in ids.items():
            if not isinstance(token, str) or not isinstance(id, int) or isinstance(id, bool):
                raise TypeError(
                    f"a vocabulary maps str to int, but holds {token!r:.80}: {id!r:.80}"
                )
        tokens: dict[int, str] = {}
        for token, id in ids.items():
            if not 0 <= id < len(ids):
                raise ValueError(
                    f"the vocabulary has {len(ids)} tokens, so its ids must be 0 to "
                    f"{len(ids) - 1} without gaps, but {token!r:.80} has id {id}"
                )
            if id in tokens:
                raise ValueError(f"{tokens[id]!r:.80} and {token!r:.80} have the same id {id}")
            tokens[id] = token
        self.tokens: list[str] = [tokens[id] for id in range(len(tokens))]
        self.ids: dict[str, int] = {token: id for id, token in enumerate(self.tokens)}

    def __getitem__(self, token: str) -> int:
        return self.ids[token]

    def __contains__(self, token: str) -> bool:
        return token in self.ids

    def __len__(self) -> int:
        return len(self.tokens)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tokens)

    @classmethod
    def from_lines(cls, path: str | os.PathLike) -> "Vocabulary":
        """Read BERT's `vocab.txt`: one token a line, the line number (from 0) is the id.

        Raises FileNotFoundError, and ValueError for a file that is empty, isn't UTF-8, or has an
        empty line or the same token twice.
        """
        try:
            lines = read_bytes(path, LARGEST).decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} isn't a vocabulary in UTF-8: {error}") from None
        lines = [line.removesuffix("\r") for line in lines]
        if lines[-1] == "":
            lines.pop()  # the end of the last line, not a token
        if not lines:
            raise ValueError(f"{path} is empty; expected one token a line")
        ids: dict[str, int] = {}
        for id, token in enumerate(lines):
            if token == "" or token in ids:
                problem = f"repeats line {ids[token] + 1}: {token!r:.80}" if token else "is empty"
                raise ValueError(f"{path}, line {id + 1} {problem}; expected a new token a line")
            ids[token] = id
        return cls(ids)

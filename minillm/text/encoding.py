"""What the tokenizer makes of a text: ids and all that goes with them, cut and padded to length.

    tokens               [CLS]  un  ##aff  ##able  [SEP]  [PAD]
    ids                    2    71    93     112     3      0     rows of the embedding matrix
    type_ids               0    0     0      0       0      0     0: first sequence, 1: second
    attention_mask         1    1     1      1       1      0     0: padding, not to be looked at
    special_tokens_mask    1    0     0      0       1      1     1: not from the text
    word_ids             None   0     0      0      None   None   which word the piece belongs to
    sequence_ids         None   0     0      0      None   None   which of the two texts
    offsets              (0,0) (0,2) (2,5) (5,9)   (0,0)  (0,0)   the place in the original text

Names and rules are those of the Hugging Face tokenizers library.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields


@dataclass
class Encoding:
    """The encoding of one text or of a pair; lists of equal length, one entry a token."""

    ids: list[int] = field(default_factory=list)
    type_ids: list[int] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    offsets: list[tuple[int, int]] = field(default_factory=list)
    attention_mask: list[int] = field(default_factory=list)
    special_tokens_mask: list[int] = field(default_factory=list)
    word_ids: list[int | None] = field(default_factory=list)
    sequence_ids: list[int | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of_special_tokens(
        cls, ids: Sequence[int], tokens: Sequence[str], type_id: int, attention: int = 1
    ) -> "Encoding":
        """Tokens that don't come from the text: [CLS], [SEP], padding."""
        n = len(ids)
        return cls(
            ids=list(ids),
            type_ids=[type_id] * n,
            tokens=list(tokens),
            offsets=[(0, 0)] * n,
            attention_mask=[attention] * n,
            special_tokens_mask=[1] * n,
            word_ids=[None] * n,
            sequence_ids=[None] * n,
        )

    def extend(self, other: "Encoding") -> None:
        """Append the tokens of `other`."""
        for column in fields(self):
            getattr(self, column.name).extend(getattr(other, column.name))

    def truncate(self, max_length: int, direction: str = "right") -> None:
        """Keep `max_length` tokens; direction is the side that is cut off."""
        if len(self) > max_length:
            first = len(self) - max_length if direction == "left" else 0
            for column in fields(self):
                values = getattr(self, column.name)
                setattr(self, column.name, values[first : first + max_length])

    def pad(
        self,
        length: int,
        direction: str = "right",
        pad_id: int = 0,
        pad_type_id: int = 0,
        pad_token: str = "[PAD]",
    ) -> None:
        """Append (or, direction "left", prepend) padding up to `length` tokens."""
        missing = length - len(self)
        if missing <= 0:
            return
        padding = self.of_special_tokens(
            [pad_id] * missing, [pad_token] * missing, pad_type_id, attention=0
        )
        for column in fields(self):
            old, new = getattr(self, column.name), getattr(padding, column.name)
            setattr(self, column.name, new + old if direction == "left" else old + new)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(repr, choices))}")


def _check_count(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; expected an int")
    if value < least:
        raise ValueError(f"{name} is {value}; expected at least {least}")


@dataclass(frozen=True)
class Truncation:
    """How long encodings are cut; see `WordPieceTokenizer.enable_truncation`."""

    max_length: int
    strategy: str = "longest_first"
    direction: str = "right"

    def __post_init__(self):
        _check_count("max_length", self.max_length, 1)
        _check_choice("strategy", self.strategy, ("longest_first", "only_first", "only_second"))
        _check_choice("direction", self.direction, ("right", "left"))

    def apply(self, first: Encoding, second: Encoding | None, n_special: int) -> None:
        """Cut the sequences so that with `n_special` special tokens they have max_length tokens.

        Raises ValueError if that is impossible.
        """
        room = self.max_length - n_special
        n1, n2 = len(first), 0 if second is None else len(second)
        if n1 + n2 <= room:
            return
        if room < 0:
            raise ValueError(
                f"max_length {self.max_length} has no room for {n_special} special tokens"
            )
        if room == 0:
            n1 = n2 = 0
        elif self.strategy == "longest_first":
            n1, n2 = (room, 0) if second is None else _shorten_longest(n1, n2, room)
        elif self.strategy == "only_second" and second is None:
            raise ValueError("truncation 'only_second' needs a pair, but there is one text")
        else:
            other = n2 if self.strategy == "only_first" else n1
            if other >= room:
                raise ValueError(
                    f"truncation {self.strategy!r} to {self.max_length} tokens is impossible: the "
                    f"other text has {other} and there are {n_special} special tokens; "
                    "raise max_length or use 'longest_first'"
                )
            n1, n2 = (room - n2, n2) if self.strategy == "only_first" else (n1, room - n1)
        first.truncate(n1, self.direction)
        if second is not None:
            second.truncate(n2, self.direction)


def _shorten_longest(n1: int, n2: int, room: int) -> tuple[int, int]:
    """Take tokens from the longer sequence until it is as short as the other, then from both."""
    short = min(n1, n2)
    if 2 * short <= room:  # the shorter one fits into its half: it stays whole
        return (n1, room - n1) if n1 <= n2 else (room - n2, n2)
    half = room // 2  # an odd token goes to the longer one; of equals, to the second
    return (half, room - half) if n1 <= n2 else (room - half, half)


@dataclass(frozen=True)
class Padding:
    """How short encodings are filled; see `WordPieceTokenizer.enable_padding`."""

    direction: str = "right"
    pad_id: int = 0
    pad_type_id: int = 0
    pad_token: str = "[PAD]"
    length: int | None = None
    pad_to_multiple_of: int | None = None

    def __post_init__(self):
        _check_choice("direction", self.direction, ("right", "left"))
        _check_count("pad_id", self.pad_id, 0)
        _check_count("pad_type_id", self.pad_type_id, 0)
        if not isinstance(self.pad_token, str):
            raise TypeError(f"pad_token is {self.pad_token!r}; expected a str")
        if self.length is not None:
            _check_count("length", self.length, 1)
        if self.pad_to_multiple_of is not None:
            _check_count("pad_to_multiple_of", self.pad_to_multiple_of, 1)

    def apply(self, encodings: Sequence[Encoding]) -> None:
        """Pad all to `length`, or where it is None to the longest of them."""
        length = self.length
        if length is None:
            length = max(map(len, encodings), default=0)
        if self.pad_to_multiple_of is not None:
            length += -length % self.pad_to_multiple_of
        for encoding in encodings:
            encoding.pad(length, self.direction, self.pad_id, self.pad_type_id, self.pad_token)

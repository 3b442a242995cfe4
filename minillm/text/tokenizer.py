"""What every tokenizer does, whichever way it cuts a text into pieces.

    text --added tokens--> sections --normalise--> --cut--> pieces
         --truncate--> --template ([CLS] A [SEP] B [SEP])--> --pad--> Encoding

Each step has its own file; here they are put together.  WordPiece, byte-level BPE and characters
differ in how a section is cut (segmentation.py says what a cutter must offer), in how pieces
become text again, and in their files.  Names, argument order and results are those of `Tokenizer`
in the Hugging Face tokenizers library.
"""

import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import chain
from typing import Any

from minillm.foreign_files import shortened
from minillm.text.added_tokens import AddedToken, added_token_ids
from minillm.text.encoding import Encoding, Padding, Truncation
from minillm.text.segmentation import Cutter, Normalizer, Segmenter
from minillm.text.template import TemplateProcessing
from minillm.text.tokenizer_json import TokenizerFormatError
from minillm.text.vocabulary import Vocabulary


class Tokenizer(ABC):
    """The common part.  A kind of tokenizer adds `_read`, `save` and `_join`.

    vocab          : {token: id} of the model, without added tokens
    cutter         : cuts a section of text into pieces of the vocabulary
    normalizer     : what happens to a text before it is cut
    added_tokens   : {AddedToken: id}, found before that
    post_processor : TemplateProcessing, where special tokens go

    Raises ValueError for ids that have gaps or doubles.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        cutter: Cutter,
        normalizer: Normalizer,
        added_tokens: Mapping[AddedToken, int],
        post_processor: TemplateProcessing,
    ):
        self.normalizer = normalizer
        self.added_tokens = dict(added_tokens)
        self.post_processor = post_processor
        self.vocabulary = Vocabulary({**vocab, **added_token_ids(self.added_tokens, vocab)})
        for id, token in chain.from_iterable(post_processor.special_tokens.values()):
            if not isinstance(id, int) or not 0 <= id < len(self.vocabulary):
                raise ValueError(
                    f"the template's {token!r:.80} has id {id!r}: not in the vocabulary"
                )
        self._model_vocab = dict(sorted(vocab.items(), key=operator.itemgetter(1)))
        self.segmenter = Segmenter(normalizer, self.added_tokens, cutter)
        self._special_ids = {id for token, id in self.added_tokens.items() if token.special}
        self._truncation: Truncation | None = None
        self._padding: Padding | None = None

    # ------------------------------------------------------------------ files

    @classmethod
    def from_file(cls, path: str | os.PathLike):
        """Open a tokenizer.json, made by `save` or by the Hugging Face libraries for this kind.

        Raises FileNotFoundError, and TokenizerFormatError (a ValueError) for a file that is empty
        or broken, or describes a tokenizer of another kind.
        """
        settings = cls._read(path)
        truncation, padding = settings.pop("truncation"), settings.pop("padding")
        try:
            tokenizer = cls(**settings)
            if padding is not None and padding.pad_id >= len(tokenizer.vocabulary):
                raise ValueError(f"padding with id {padding.pad_id}, which isn't in the vocabulary")
        except (TypeError, ValueError) as error:
            raise TokenizerFormatError(f"{path}: {shortened(error)}") from None
        tokenizer._truncation, tokenizer._padding = truncation, padding
        return tokenizer

    @staticmethod
    @abstractmethod
    def _read(path: str | os.PathLike) -> dict[str, Any]:
        """The file's content: the arguments of the class, truncation and padding."""

    @abstractmethod
    def save(self, path: str | os.PathLike) -> None:
        """Write tokenizer.json, which `tokenizers.Tokenizer.from_file` opens too.

        The file appears at once or not at all; OSError says why it can't be written.
        """

    # ------------------------------------------------------------------ the vocabulary

    def token_to_id(self, token: str) -> int | None:
        """The token's id, None if there is no such token."""
        return self.vocabulary.ids.get(token)

    def id_to_token(self, id: int) -> str | None:
        """The id's token, None if there is no such id."""
        return self.vocabulary.tokens[id] if 0 <= id < len(self.vocabulary) else None

    def get_vocab(self, with_added_tokens: bool = True) -> dict[str, int]:
        """{token: id} in the order of the ids."""
        if with_added_tokens:
            return dict(self.vocabulary.ids)
        return dict(self._model_vocab)

    def get_vocab_size(self, with_added_tokens: bool = True) -> int:
        """The number of tokens: the number of rows that an embedding matrix needs."""
        return len(self.vocabulary) if with_added_tokens else len(self._model_vocab)

    # ------------------------------------------------------------------ truncation and padding

    def enable_truncation(
        self,
        max_length: int,
        stride: int = 0,
        strategy: str = "longest_first",
        direction: str = "right",
    ) -> None:
        """From now on cut encodings to max_length tokens, special tokens included.

        strategy  : which text of a pair is cut: "longest_first" (token by token the longer one),
                    "only_first" or "only_second"
        direction : the side that is cut off, "right" or "left"
        stride    : only 0; encodings of what was cut off aren't made

        Raises ValueError for other values, or when max_length has no room for special tokens.
        """
        if stride != 0:
            raise ValueError(f"stride is {stride!r}; only 0 is supported (no overlapping rests)")
        truncation = Truncation(max_length, strategy, direction)
        if max_length < self.num_special_tokens_to_add(False):
            raise ValueError(
                f"max_length {max_length} has no room for "
                f"{self.num_special_tokens_to_add(False)} special tokens"
            )
        self._truncation = truncation

    def no_truncation(self) -> None:
        """Encode texts whole again."""
        self._truncation = None

    @property
    def truncation(self) -> dict | None:
        """The arguments of enable_truncation, None if it is off."""
        return None if self._truncation is None else {**asdict(self._truncation), "stride": 0}

    def enable_padding(
        self,
        direction: str = "right",
        pad_id: int = 0,
        pad_type_id: int = 0,
        pad_token: str = "[PAD]",
        length: int | None = None,
        pad_to_multiple_of: int | None = None,
    ) -> None:
        """From now on pad encodings to `length`, or where it is None to the longest of the batch,
        rounded up to a multiple.  Raises ValueError for an id that isn't in the vocabulary."""
        padding = Padding(direction, pad_id, pad_type_id, pad_token, length, pad_to_multiple_of)
        if pad_id >= len(self.vocabulary):
            raise ValueError(f"pad_id is {pad_id}; the ids go from 0 to {len(self.vocabulary) - 1}")
        self._padding = padding

    def no_padding(self) -> None:
        """Leave encodings as long as they are again."""
        self._padding = None

    @property
    def padding(self) -> dict | None:
        """The arguments of enable_padding, None if it is off."""
        return None if self._padding is None else asdict(self._padding)

    def num_special_tokens_to_add(self, is_pair: bool) -> int:
        """How many special tokens the template adds: for BERT 2, for a pair 3."""
        return self.post_processor.n_special_tokens(is_pair)

    # ------------------------------------------------------------------ text -> ids

    def encode(
        self, text: str, pair: str | None = None, add_special_tokens: bool = True
    ) -> Encoding:
        """Encode one text, or a pair of texts.  Raises TypeError for anything but str."""
        encoding = self._encode(text, pair, add_special_tokens)
        if self._padding is not None:
            self._padding.apply([encoding])
        return encoding

    def encode_batch(
        self, inputs: Iterable[str | tuple[str, str]], add_special_tokens: bool = True
    ) -> list[Encoding]:
        """Encode many texts or pairs (text, pair); padding is to the longest of them."""
        if isinstance(inputs, str | bytes):
            raise TypeError(f"expected a list of texts or pairs, got one text: {inputs!r:.80}")
        encodings = []
        for item in inputs:
            if isinstance(item, tuple | list) and len(item) != 2:
                raise TypeError(f"expected a text or a pair of texts, got {item!r:.80}")
            text, pair = item if isinstance(item, tuple | list) else (item, None)
            encodings.append(self._encode(text, pair, add_special_tokens))
        if self._padding is not None:
            self._padding.apply(encodings)
        return encodings

    def encode_ids(self, text: str) -> list[int]:
        """The ids alone, without special tokens, truncation or padding: the fast way for a corpus.

        Equals encode(text, add_special_tokens=False).ids with truncation and padding off.
        """
        return self.segmenter.ids(self._checked(text))

    def _encode(self, text: str, pair: str | None, add_special_tokens: bool) -> Encoding:
        tokens = self.vocabulary.tokens
        first = self.segmenter.encode(self._checked(text), 0, tokens)
        second = None if pair is None else self.segmenter.encode(self._checked(pair), 1, tokens)
        if self._truncation is not None:
            n_special = self.num_special_tokens_to_add(pair is not None)
            self._truncation.apply(first, second, n_special if add_special_tokens else 0)
        self._adjust(first)
        if second is not None:
            self._adjust(second)
        return self.post_processor.apply(first, second, add_special_tokens)

    def _checked(self, text: str) -> str:
        """The text that is encoded.  Raises TypeError for anything but str."""
        if not isinstance(text, str):
            raise TypeError(f"expected a text (str), got {type(text).__name__}: {text!r:.80}")
        return text

    def _adjust(self, encoding: Encoding) -> None:  # noqa: B027
        """What a kind of tokenizer changes in a text's encoding, before special tokens come."""

    # ------------------------------------------------------------------ ids -> text

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """The text of the ids (lists or arrays).

        Raises ValueError for an id that isn't in the vocabulary, TypeError for what isn't an int.
        """
        return self._join(self._checked_ids(ids, skip_special_tokens))

    def decode_batch(
        self, sequences: Iterable[Iterable[int]], skip_special_tokens: bool = True
    ) -> list[str]:
        """Decode every sequence."""
        return [self.decode(ids, skip_special_tokens) for ids in sequences]

    @abstractmethod
    def _join(self, ids: list[int]) -> str:
        """The text of these tokens."""

    def _checked_ids(self, ids: Iterable[int], skip_special_tokens: bool) -> list[int]:
        size = len(self.vocabulary)
        checked = []
        for id in ids:
            index = operator.index(id)
            if not 0 <= index < size:
                raise ValueError(f"id {index} is out of range: the ids go from 0 to {size - 1}")
            if not (skip_special_tokens and index in self._special_ids):
                checked.append(index)
        return checked

"""GPT-2's tokenizer, byte-level BPE: text -> ids and back, without an unknown token.

    text --added tokens--> sections --> words --> bytes --merges--> tokens
         --truncate--> --template--> --pad--> Encoding

Each step has its own file: bpe_patterns.py (words), byte_alphabet.py (bytes), bpe_model.py
(merges), bpe_training.py (how they are learned), bpe_files.py; what all tokenizers share is in
tokenizer.py.  Whatever is fed in comes out again: any text, and with `encode_bytes` any bytes.
Names, argument order and results are those of `Tokenizer` and `ByteLevelBPETokenizer` in the
Hugging Face tokenizers library, and the files that either of the two saves can be opened by the
other.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from minillm.foreign_files import shortened
from minillm.text import bpe_files
from minillm.text.added_tokens import AddedToken
from minillm.text.bpe_files import TrimOffsets
from minillm.text.bpe_model import BPE, BPECutter
from minillm.text.bpe_patterns import Pattern
from minillm.text.bpe_training import check_ties, learn_merges
from minillm.text.byte_alphabet import check_errors, encodable, is_alphabetic, to_bytes
from minillm.text.encoding import Encoding
from minillm.text.segmentation import NoNormalizer
from minillm.text.template import NO_TEMPLATE, TemplateProcessing
from minillm.text.tokenizer import Tokenizer
from minillm.text.unicode_tables import WHITE_SPACE, character_class
from minillm.text.word_counts import count_words
from minillm.text.wordpiece_training import check_training_options

END_OF_TEXT = "<|endoftext|>"
_SPACES = re.compile(f"[Ġ{character_class(WHITE_SPACE)}]*")


class BPETokenizer(Tokenizer):
    """Byte-level BPE.  Made by `train`, `from_file` or `from_gpt2_files`, or from its parts:

    vocab            : {token: id}, tokens written in the byte alphabet ("Ġthe" for " the")
    merges           : pairs of tokens, the first learned first
    added_tokens     : {AddedToken: id}, found in the raw text; None: "<|endoftext|>", if vocab has
                       it.  Their ids may continue those of vocab.
    pattern          : how a text is cut into words: "gpt2", "cl100k", "whitespace", a regular
                       expression, or None for not at all (see bpe_patterns.py)
    add_prefix_space : a section of text that doesn't begin with a space gets one
    post_processor   : TemplateProcessing, where special tokens go; None: no special tokens
    trim_offsets     : TrimOffsets: offsets leave out spaces; None: a word's offsets hold its space
    ignore_merges    : a word that is in the vocabulary is one token in any case (Llama 3)
    errors           : what happens to a lone surrogate in a text, which can't be written in UTF-8:
                       "strict" (an error), "replace" or "surrogateescape" (see byte_alphabet.py).
                       The choice isn't saved.

    Raises ValueError for ids that have gaps or doubles, and merges that contradict the vocabulary.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Iterable[Sequence[str]],
        added_tokens: Mapping[AddedToken, int] | None = None,
        pattern: str | None = "gpt2",
        add_prefix_space: bool = False,
        post_processor: TemplateProcessing | None = None,
        trim_offsets: TrimOffsets | None = None,
        ignore_merges: bool = False,
        errors: str = "strict",
    ):
        check_errors(errors)
        if added_tokens is None:
            added_tokens = (
                {AddedToken(END_OF_TEXT): vocab[END_OF_TEXT]} if END_OF_TEXT in vocab else {}
            )
        self.errors = errors
        self.trim_offsets = trim_offsets
        self.model = BPE(vocab, merges, ignore_merges)
        self.cutter = BPECutter(self.model, Pattern(pattern), add_prefix_space)
        super().__init__(
            vocab, self.cutter, NoNormalizer(), added_tokens, post_processor or NO_TEMPLATE
        )
        added = {token.content for token in self.added_tokens}
        self._bytes = [
            token.encode() if token in added or not is_alphabetic(token) else to_bytes(token)
            for token in self.vocabulary.tokens
        ]

    # ------------------------------------------------------------------ making, saving, loading

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int = 8192,
        min_frequency: int = 2,
        special_tokens: Sequence[str] = (END_OF_TEXT,),
        pattern: str | None = "gpt2",
        show_progress: bool = False,
        processes: int | None = None,
        *,
        add_prefix_space: bool = False,
        ties: str = "bytes",
        errors: str = "strict",
    ) -> "BPETokenizer":
        """Learn a vocabulary of at most vocab_size tokens from the texts, which are read once.

        min_frequency  : a pair of tokens is merged only if it occurs so often in the texts
        special_tokens : take the first ids, in this order
        pattern, add_prefix_space, errors : see the class
        processes      : how many cut texts into words; None: one a core
        ties           : which of equally frequent pairs is merged first: "bytes", the greatest, or
                         "ids", the one with the smallest ids, as the Hugging Face trainer does

        The order of the ids stands at `learn_merges`.
        Raises TypeError for what isn't an iterable of str, ValueError for texts without a word, a
        vocab_size below 256 + special tokens, or a text with a lone surrogate (errors="strict").
        """
        check_training_options(vocab_size, min_frequency, special_tokens, None)
        check_ties(ties)
        check_errors(errors)
        least = 256 + len(special_tokens)
        if vocab_size < least:
            raise ValueError(
                f"vocab_size is {vocab_size}; expected at least {least}: 256 bytes and "
                f"{len(special_tokens)} special tokens"
            )
        cut = _Cut(Pattern(pattern), add_prefix_space, errors)
        counts = count_words(texts, cut, processes, show_progress)
        if not counts:
            raise ValueError("there is no word to train on: the texts are empty (or no texts came)")
        tokens, merges = learn_merges(
            counts, vocab_size, min_frequency, special_tokens, ties, show_progress
        )
        vocab = {token: id for id, token in enumerate(tokens)}
        return cls(
            vocab,
            merges,
            {AddedToken(token): vocab[token] for token in special_tokens},
            pattern,
            add_prefix_space,
            errors=errors,
        )

    @classmethod
    def from_gpt2_files(
        cls,
        vocab_json: str | os.PathLike,
        merges_txt: str | os.PathLike,
        special_tokens: Sequence[str] = (END_OF_TEXT,),
        **options: Any,
    ) -> "BPETokenizer":
        """Open GPT-2's pair of files (vocab.json or encoder.json, merges.txt or vocab.bpe).

        special_tokens: those of them that the vocabulary has are found in texts as they stand.
        options: as for the class.
        Raises FileNotFoundError, ValueError for broken files or merges without their tokens.
        """
        vocab, merges = bpe_files.read_gpt2_files(vocab_json, merges_txt)
        try:
            added = {AddedToken(token): vocab[token] for token in special_tokens if token in vocab}
            return cls(vocab, merges, added, **options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{vocab_json}, {merges_txt}: {shortened(error)}") from None

    def save_gpt2_files(self, folder: str | os.PathLike) -> None:
        """Write vocab.json (with the added tokens) and merges.txt; the pattern isn't in them."""
        bpe_files.write_gpt2_files(folder, self.get_vocab(), self.model.merges)

    @staticmethod
    def _read(path: str | os.PathLike) -> dict[str, Any]:
        return bpe_files.read(path)

    def save(self, path: str | os.PathLike) -> None:
        """Write tokenizer.json, which `tokenizers.Tokenizer.from_file` opens too.

        The file appears at once or not at all; OSError says why it can't be written.
        """
        bpe_files.write(
            path,
            vocab=self.get_vocab(with_added_tokens=False),
            merges=self.model.merges,
            ignore_merges=self.model.ignore_merges,
            pattern=self.cutter.pattern.name,
            add_prefix_space=self.cutter.add_prefix_space,
            trim_offsets=self.trim_offsets,
            post_processor=self.post_processor,
            added_tokens=self.added_tokens,
            truncation=self._truncation,
            padding=self._padding,
        )

    # ------------------------------------------------------------------ text -> ids

    def encode_bytes(self, data: bytes) -> list[int]:
        """The ids of any bytes, UTF-8 or not; decode_bytes gives the same bytes again.

        Bytes that aren't UTF-8 count as marks, neither letter nor digit, when words are cut.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"expected bytes, got {type(data).__name__}: {data!r:.80}")
        return self.segmenter.ids(bytes(data).decode("utf-8", "surrogateescape"))

    def _checked(self, text: str) -> str:
        return encodable(super()._checked(text), self.errors)

    def _adjust(self, encoding: Encoding) -> None:
        """Take the spaces at a token's ends out of its offsets, if so chosen."""
        if self.trim_offsets is None:
            return
        for i, token in enumerate(encoding.tokens):
            start, end = encoding.offsets[i]
            left, right = _n_spaces(token), _n_spaces(token[::-1])
            if left == 1 and self.trim_offsets.add_prefix_space and (i == 0 or start == 0):
                left = 0  # the space was added: the text's own characters are all meant
            start = min(start + left, end)
            if end >= right:
                end = max(end - right, start)
            encoding.offsets[i] = start, end

    # ------------------------------------------------------------------ ids -> text

    def decode_bytes(self, ids: Iterable[int], skip_special_tokens: bool = False) -> bytes:
        """The bytes that the ids stand for, exactly: a token may end within a character.

        Raises ValueError for an id that isn't in the vocabulary, TypeError for what isn't an int.
        """
        return b"".join([self._bytes[id] for id in self._checked_ids(ids, skip_special_tokens)])

    def _join(self, ids: list[int]) -> str:
        """The tokens as text; bytes that aren't UTF-8, as of half a character, become U+FFFD."""
        return b"".join([self._bytes[id] for id in ids]).decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"BPETokenizer(vocab_size={len(self.vocabulary)}, {self.cutter.pattern.name!r})"


def _n_spaces(token: str) -> int:
    """How many spaces the token begins with."""
    spaces = _SPACES.match(token)
    return spaces.end() if spaces else 0


class _Cut:
    """text -> its words, in training."""

    def __init__(self, pattern: Pattern, add_prefix_space: bool, errors: str):
        self.pattern, self.add_prefix_space, self.errors = pattern, add_prefix_space, errors

    def __call__(self, text: str) -> list[str]:
        text = encodable(text, self.errors, f"the text {text!r:.40}")
        if self.add_prefix_space and text and not text.startswith(" "):
            text = " " + text
        return self.pattern.words(text)

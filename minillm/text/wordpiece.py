"""The tokenizer: text -> ids and back, as BERT does it.

    text --added tokens--> sections --normalise--> --words--> --WordPiece--> pieces
         --truncate--> --template ([CLS] A [SEP] B [SEP])--> --pad--> Encoding

Each step has its own file; here they are put together.  Names, argument order and results are
those of `Tokenizer` and `BertWordPieceTokenizer` in the Hugging Face tokenizers library, and the
files that either of the two saves can be opened by the other.
"""

import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain

from minillm.text import tokenizer_json
from minillm.text.added_tokens import AddedToken, added_token_ids
from minillm.text.encoding import Encoding, Padding, Truncation
from minillm.text.pretokenize import BertNormalizer
from minillm.text.segmentation import Segmenter
from minillm.text.template import TemplateProcessing, bert_template
from minillm.text.tokenizer_json import TokenizerFormatError
from minillm.text.vocabulary import Vocabulary
from minillm.text.wordpiece_model import WordPiece, join_pieces
from minillm.text.wordpiece_training import check_training_options, count_words, train_vocabulary

BERT_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class WordPieceTokenizer:
    """BERT's tokenizer.  Made by `train`, `from_file` or `from_vocab_file`, or from a vocabulary:

    vocab           : {token: id}
    normalizer      : BertNormalizer, how the text is normalised
    added_tokens    : {AddedToken: id}, found in the raw text; None: BERT's five, where vocab has
                      them.  Their ids may continue those of vocab.
    post_processor  : TemplateProcessing, where special tokens go; None: [CLS] A [SEP] B [SEP],
                      if vocab has both
    unk_token, continuing_subword_prefix, max_input_chars_per_word : see WordPiece
    decoder         : (prefix, cleanup), see join_pieces; None: tokens joined by spaces

    Raises ValueError for ids that have gaps or doubles, or when the unknown token is missing.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        normalizer: BertNormalizer | None = None,
        added_tokens: Mapping[AddedToken, int] | None = None,
        post_processor: TemplateProcessing | None = None,
        unk_token: str = "[UNK]",
        continuing_subword_prefix: str = "##",
        max_input_chars_per_word: int = 100,
        decoder: tuple[str, bool] | None = ("##", True),
    ):
        if added_tokens is None:
            added_tokens = {AddedToken(t): vocab[t] for t in BERT_SPECIAL_TOKENS if t in vocab}
        if post_processor is None:
            post_processor = bert_template(vocab)
        self.normalizer = normalizer or BertNormalizer()
        self.added_tokens = dict(added_tokens)
        self.post_processor = post_processor
        self.decoder = decoder
        self.vocabulary = Vocabulary({**vocab, **added_token_ids(self.added_tokens, vocab)})
        for id, token in chain.from_iterable(post_processor.special_tokens.values()):
            if not isinstance(id, int) or not 0 <= id < len(self.vocabulary):
                raise ValueError(f"the template's {token!r} has id {id!r}: not in the vocabulary")
        self.model = WordPiece(
            vocab, unk_token, continuing_subword_prefix, max_input_chars_per_word
        )
        self.segmenter = Segmenter(self.normalizer, self.added_tokens, self.model)
        self._special_ids = {id for token, id in self.added_tokens.items() if token.special}
        self._truncation: Truncation | None = None
        self._padding: Padding | None = None

    # ------------------------------------------------------------------ making, saving, loading

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int = 30522,
        min_frequency: int = 2,
        special_tokens: Sequence[str] = BERT_SPECIAL_TOKENS,
        lowercase: bool = True,
        limit_alphabet: int | None = 1000,
        show_progress: bool = True,
        *,
        clean_text: bool = True,
        handle_chinese_chars: bool = True,
        strip_accents: bool | None = None,
    ) -> "WordPieceTokenizer":
        """Learn a vocabulary of at most vocab_size tokens from the texts, which are read once.

        min_frequency   : a pair of pieces is merged only if it occurs so often in the texts
        special_tokens  : take the first ids, in this order; "[UNK]" must be among them
        limit_alphabet  : so many of the most frequent characters make the alphabet (a word with
                          another character becomes [UNK]); None: all.  Chinese wants several
                          thousand.

        Defaults are BertWordPieceTokenizer's.  The rules of merging and the order of the ids
        stand at `train_vocabulary`.
        Raises TypeError for what isn't an iterable of str, ValueError for texts without a word,
        a vocab_size below special tokens + alphabet, or special tokens without "[UNK]".
        """
        check_training_options(vocab_size, min_frequency, special_tokens, limit_alphabet)
        if "[UNK]" not in special_tokens:
            raise ValueError(f"special_tokens {tuple(special_tokens)} must hold '[UNK]'")
        normalizer = BertNormalizer(clean_text, handle_chinese_chars, strip_accents, lowercase)
        tokens = train_vocabulary(
            count_words(texts, normalizer, show_progress),
            vocab_size,
            min_frequency,
            special_tokens,
            limit_alphabet,
            show_progress=show_progress,
        )
        vocab = {token: id for id, token in enumerate(tokens)}
        return cls(vocab, normalizer, {AddedToken(token): vocab[token] for token in special_tokens})

    @classmethod
    def from_vocab_file(
        cls,
        path: str | os.PathLike,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        handle_chinese_chars: bool = True,
        clean_text: bool = True,
    ) -> "WordPieceTokenizer":
        """Open BERT's `vocab.txt` (the file doesn't say whether the model is lower case: you do).

        Raises FileNotFoundError, ValueError for an empty or broken file or one without [UNK].
        """
        vocabulary = Vocabulary.from_lines(path)
        normalizer = BertNormalizer(clean_text, handle_chinese_chars, strip_accents, lowercase)
        try:
            return cls(vocabulary.ids, normalizer)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> "WordPieceTokenizer":
        """Open a tokenizer.json, made by `save` or by the Hugging Face libraries for BERT.

        Raises FileNotFoundError, and TokenizerFormatError (a ValueError) for a file that is empty
        or broken, or describes a tokenizer that isn't BERT's WordPiece.
        """
        settings = tokenizer_json.read(path)
        truncation, padding = settings.pop("truncation"), settings.pop("padding")
        try:
            tokenizer = cls(**settings)
        except (TypeError, ValueError) as error:
            raise TokenizerFormatError(f"{path}: {error}") from None
        tokenizer._truncation, tokenizer._padding = truncation, padding
        return tokenizer

    def save(self, path: str | os.PathLike) -> None:
        """Write tokenizer.json, which `tokenizers.Tokenizer.from_file` opens too.

        The file appears at once or not at all; OSError says why it can't be written.
        """
        tokenizer_json.write(
            path,
            vocab=self.get_vocab(with_added_tokens=False),
            unk_token=self.model.unk_token,
            continuing_subword_prefix=self.model.continuing_subword_prefix,
            max_input_chars_per_word=self.model.max_input_chars_per_word,
            decoder=self.decoder,
            normalizer=self.normalizer,
            post_processor=self.post_processor,
            added_tokens=self.added_tokens,
            truncation=self._truncation,
            padding=self._padding,
        )

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
        return dict(sorted(self.model.vocab.items(), key=operator.itemgetter(1)))

    def get_vocab_size(self, with_added_tokens: bool = True) -> int:
        """The number of tokens: the number of rows that an embedding matrix needs."""
        return len(self.vocabulary) if with_added_tokens else len(self.model.vocab)

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
        return self.segmenter.ids(text)

    def _encode(self, text: str, pair: str | None, add_special_tokens: bool) -> Encoding:
        tokens = self.vocabulary.tokens
        first = self.segmenter.encode(text, 0, tokens)
        second = None if pair is None else self.segmenter.encode(pair, 1, tokens)
        if self._truncation is not None:
            n_special = self.num_special_tokens_to_add(pair is not None)
            self._truncation.apply(first, second, n_special if add_special_tokens else 0)
        return self.post_processor.apply(first, second, add_special_tokens)

    # ------------------------------------------------------------------ ids -> text

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """The text of the ids (lists or arrays), with the usual spacing around punctuation.

        Raises ValueError for an id that isn't in the vocabulary, TypeError for what isn't an int.
        """
        tokens = []
        for id in ids:
            index = operator.index(id)
            if not 0 <= index < len(self.vocabulary):
                raise ValueError(
                    f"id {index} is out of range: the ids go from 0 to {len(self.vocabulary) - 1}"
                )
            if not (skip_special_tokens and index in self._special_ids):
                tokens.append(self.vocabulary.tokens[index])
        if self.decoder is None:
            return " ".join(tokens)
        return join_pieces(tokens, *self.decoder)

    def decode_batch(
        self, sequences: Iterable[Iterable[int]], skip_special_tokens: bool = True
    ) -> list[str]:
        """Decode every sequence."""
        return [self.decode(ids, skip_special_tokens) for ids in sequences]

    def __repr__(self) -> str:
        return f"WordPieceTokenizer(vocab_size={len(self.vocabulary)}, {self.normalizer})"

"""BERT's tokenizer: text -> ids and back.

    text --added tokens--> sections --normalise--> --words--> --WordPiece--> pieces
         --truncate--> --template ([CLS] A [SEP] B [SEP])--> --pad--> Encoding

Each step has its own file, and what all tokenizers share is in tokenizer.py.  Names, argument
order and results are those of `Tokenizer` and `BertWordPieceTokenizer` in the Hugging Face
tokenizers library, and the files that either of the two saves can be opened by the other.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from minillm.text import wordpiece_files
from minillm.text.added_tokens import AddedToken
from minillm.text.pretokenize import BertNormalizer
from minillm.text.template import TemplateProcessing, bert_template
from minillm.text.tokenizer import Tokenizer
from minillm.text.vocabulary import Vocabulary
from minillm.text.wordpiece_model import WordPiece, WordPieceCutter, join_pieces
from minillm.text.wordpiece_training import check_training_options, count_words, train_vocabulary

BERT_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class WordPieceTokenizer(Tokenizer):
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

    normalizer: BertNormalizer

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
        self.decoder = decoder
        self.model = WordPiece(
            vocab, unk_token, continuing_subword_prefix, max_input_chars_per_word
        )
        super().__init__(
            vocab,
            WordPieceCutter(self.model),
            normalizer or BertNormalizer(),
            added_tokens,
            post_processor,
        )

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

    @staticmethod
    def _read(path: str | os.PathLike) -> dict[str, Any]:
        return wordpiece_files.read(path)

    def save(self, path: str | os.PathLike) -> None:
        """Write tokenizer.json, which `tokenizers.Tokenizer.from_file` opens too.

        The file appears at once or not at all; OSError says why it can't be written.
        """
        wordpiece_files.write(
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

    # ------------------------------------------------------------------ ids -> text

    def _join(self, ids: list[int]) -> str:
        """The tokens as text, with the usual spacing around punctuation."""
        tokens = [self.vocabulary.tokens[id] for id in ids]
        if self.decoder is None:
            return " ".join(tokens)
        return join_pieces(tokens, *self.decoder)

    def __repr__(self) -> str:
        return f"WordPieceTokenizer(vocab_size={len(self.vocabulary)}, {self.normalizer})"

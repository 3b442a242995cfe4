"""From raw text to ids: cleaning, sentences, and tokenizers: BERT's WordPiece, GPT's byte-level
BPE, characters.

    from minillm.text import BPETokenizer, WordPieceTokenizer, clean_text, split_sentences

    tokenizer = WordPieceTokenizer.train(texts, vocab_size=8192)
    tokenizer.encode("Hello, 你好!").ids

Nothing in here knows of arrays, gradients or models.
"""

from minillm.text.added_tokens import AddedToken
from minillm.text.bpe import BPETokenizer
from minillm.text.bpe_files import TrimOffsets
from minillm.text.characters import CharacterTokenizer
from minillm.text.clean import (
    clean_text,
    decode_entities,
    normalize_unicode,
    normalize_whitespace,
    remove_invisible,
    replace_urls,
    strip_html,
)
from minillm.text.encoding import Encoding
from minillm.text.opening import open_tokenizer
from minillm.text.pretokenize import BertNormalizer
from minillm.text.sentences import sentence_spans, split_sentences
from minillm.text.template import TemplateProcessing
from minillm.text.tokenizer import Tokenizer
from minillm.text.tokenizer_json import TokenizerFormatError
from minillm.text.vocabulary import Vocabulary
from minillm.text.wordpiece import WordPieceTokenizer

__all__ = [
    "AddedToken",
    "BPETokenizer",
    "BertNormalizer",
    "CharacterTokenizer",
    "Encoding",
    "TemplateProcessing",
    "Tokenizer",
    "TokenizerFormatError",
    "TrimOffsets",
    "Vocabulary",
    "WordPieceTokenizer",
    "clean_text",
    "decode_entities",
    "normalize_unicode",
    "normalize_whitespace",
    "open_tokenizer",
    "remove_invisible",
    "replace_urls",
    "sentence_spans",
    "split_sentences",
    "strip_html",
]

"""From raw text to ids: cleaning, sentences, and BERT's WordPiece tokenizer.

    from minillm.text import WordPieceTokenizer, clean_text, split_sentences

    tokenizer = WordPieceTokenizer.train(texts, vocab_size=8192)
    tokenizer.encode("Hello, 你好!").ids

Nothing in here knows of arrays, gradients or models.
"""

from .added_tokens import AddedToken
from .clean import (
    clean_text,
    decode_entities,
    normalize_unicode,
    normalize_whitespace,
    remove_invisible,
    replace_urls,
    strip_html,
)
from .encoding import Encoding
from .pretokenize import BertNormalizer
from .sentences import sentence_spans, split_sentences
from .template import TemplateProcessing
from .tokenizer_json import TokenizerFormatError
from .vocabulary import Vocabulary
from .wordpiece import WordPieceTokenizer

__all__ = [
    "AddedToken",
    "BertNormalizer",
    "Encoding",
    "TemplateProcessing",
    "TokenizerFormatError",
    "Vocabulary",
    "WordPieceTokenizer",
    "clean_text",
    "decode_entities",
    "normalize_unicode",
    "normalize_whitespace",
    "remove_invisible",
    "replace_urls",
    "sentence_spans",
    "split_sentences",
    "strip_html",
]

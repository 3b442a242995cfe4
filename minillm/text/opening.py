"""Opening a tokenizer of any kind: the file says which it is."""

import os
from pathlib import Path

from minillm.foreign_files import folder_file
from minillm.text.bpe import BPETokenizer
from minillm.text.characters import CharacterTokenizer
from minillm.text.tokenizer import Tokenizer
from minillm.text.tokenizer_json import TokenizerFormatError, read_document
from minillm.text.wordpiece import WordPieceTokenizer

TOKENIZER_FILE = "tokenizer.json"


def open_tokenizer(path: str | os.PathLike) -> Tokenizer:
    """Open a tokenizer.json, or the one in a folder, as the class that fits its model.

    Raises FileNotFoundError, and TokenizerFormatError (a ValueError) for a file that is broken or
    describes a tokenizer of a kind that isn't supported, which it names.
    """
    path = Path(path)
    if path.is_dir():
        path = folder_file(path, TOKENIZER_FILE)
    document = read_document(path)
    model = document["model"]
    kind = model.get("type")
    if kind == "WordPiece" or (kind is None and "max_input_chars_per_word" in model):
        return WordPieceTokenizer.from_file(path)
    if kind == "BPE" or (kind is None and "merges" in model):
        decoder = document.get("decoder")
        if isinstance(decoder, dict) and decoder.get("type") == "Fuse":
            return CharacterTokenizer.from_file(path)
        return BPETokenizer.from_file(path)
    raise TokenizerFormatError(
        f"{path}: the model is {kind!r:.80}; only WordPiece and byte-level BPE can be opened"
    )

"""The encoded corpus: a corpus turned into token ids once, and kept on disk.

Four arrays hold everything, each in a file of its own:

    tokens             uint16 (uint32 if the vocabulary is larger)   all ids, one after another
    sentence_offsets   int64 [sentences + 1]   sentence s is tokens[offsets[s] : offsets[s + 1]]
    document_offsets   int64 [documents + 1]   document d has the sentences offsets[d] to [d+1]
    document_keys      uint64 [documents]      a hash of the text: equal texts have equal keys

They are opened as memory maps: the operating system reads the pages that are touched and drops
them when memory is short, so a corpus larger than memory trains, and a second run starts at once.
The folder is named by a digest of all that the ids depend on.  It is written in a temporary place
and appears by one rename: there is never half of one.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from minillm.data.corpus import Corpus, Documents
from minillm.data.split import clean_document_key
from minillm.files import TEMPORARY_PREFIX, atomic_directory
from minillm.text import clean_text, split_sentences

FORMAT = 1  # counts up when the files, or the way from text to sentences and ids, change
ARRAYS = ("tokens", "sentence_offsets", "document_offsets", "document_keys")
INFO_FILE = "encoded.json"
_FLUSH_LENGTH = 1 << 18
_DEAD_SECONDS = 3600


@dataclass(frozen=True, eq=False)
class EncodedCorpus:
    """Token ids of a corpus, by sentence and document (see the top of the file for the arrays).

    name: where the text comes from.  digest: of the ids (empty for one made in memory).
    tokenizer_digest: of the tokenizer that made the ids.
    """

    tokens: np.ndarray
    sentence_offsets: np.ndarray
    document_offsets: np.ndarray
    document_keys: np.ndarray
    name: str = "encoded corpus"
    digest: str = ""
    tokenizer_digest: str = ""

    @property
    def token_count(self) -> int:
        return len(self.tokens)

    @property
    def sentence_count(self) -> int:
        return len(self.sentence_offsets) - 1

    @property
    def document_count(self) -> int:
        return len(self.document_offsets) - 1

    def sentence(self, s: int) -> np.ndarray:
        """The token ids of sentence `s` (without [CLS] and [SEP])."""
        return self.tokens[self.sentence_offsets[s] : self.sentence_offsets[s + 1]]

    @classmethod
    def open(cls, folder: str | os.PathLike, verify: bool = True) -> "EncodedCorpus":
        """Open an encoded corpus that `encode_corpus` wrote, as memory maps.

        verify: read every byte once and compare its digest (about 1 GB/s); the lengths of the
        files are compared in any case.  Raises FileNotFoundError, or ValueError for a folder that
        is damaged or was written in another format.
        """
        folder = Path(folder)
        info = _read_info(folder)
        arrays = {}
        for name in ARRAYS:
            path, entry = folder / f"{name}.bin", info["arrays"][name]
            dtype = np.dtype(entry["dtype"])
            size, expected = path.stat().st_size, entry["length"] * dtype.itemsize
            if size != expected:
                raise ValueError(f"{str(path)!r} has {size} bytes, {expected} were written")
            if verify and _file_digest(path) != entry["digest"]:
                raise ValueError(f"{str(path)!r} isn't what was written: its digest differs")
            arrays[name] = np.memmap(path, dtype=dtype, mode="r", shape=(entry["length"],))
        return cls(
            **arrays,
            name=info["name"],
            digest="-".join(info["arrays"][name]["digest"] for name in ARRAYS),
            tokenizer_digest=info["tokenizer_digest"],
        )


def encode_corpus(
    corpus: Corpus | Iterable[str],
    tokenizer,
    cache_folder: str | os.PathLike,
    progress: bool = True,
    verify: bool = True,
    whole_documents: bool = False,
) -> EncodedCorpus:
    """Encode a corpus, or open what an earlier call with the same corpus and tokenizer wrote.

    Each document is cleaned, split into sentences, and each sentence encoded without special
    tokens; sentences and documents in which nothing is left are dropped.

    whole_documents: a document is encoded as it stands, as if it were a single sentence.  BERT asks
    about sentences; a model that writes needs what is between them as well, spaces and line breaks.

    cache_folder: holds one folder for each corpus and tokenizer.  progress: show a progress bar.
    verify: see `EncodedCorpus.open`.
    Memory stays flat however long the corpus is (but a `Documents` corpus is in memory itself).
    A damaged cache is encoded again, with a warning.  Raises ValueError if the corpus holds no
    token at all; if anything is raised on the way, nothing is left behind.
    """
    if not isinstance(corpus, Corpus):
        corpus = Documents(corpus)
    tokenizer_name = tokenizer_digest(tokenizer)
    state = f"{FORMAT}\n{tokenizer_name}\n{corpus.fingerprint()}"
    if whole_documents:
        state += "\nwhole documents"
    key = hashlib.sha256(state.encode()).hexdigest()
    cache_folder = Path(cache_folder)
    folder = cache_folder / f"encoded-{key[:20]}"
    if folder.exists():
        try:
            return EncodedCorpus.open(folder, verify)
        except (OSError, ValueError) as error:
            warnings.warn(
                f"the encoded corpus is damaged ({error}): encoding {corpus.name} again",
                RuntimeWarning,
                stacklevel=2,
            )
    cache_folder.mkdir(parents=True, exist_ok=True)
    _remove_dead_builds(cache_folder)
    with atomic_directory(folder) as temporary:
        _write(corpus, tokenizer, tokenizer_name, temporary, progress, whole_documents)
    return EncodedCorpus.open(folder, verify=False)


def tokenizer_digest(tokenizer) -> str:
    """A digest of all that decides about the ids: of the file that the tokenizer saves.

    But for truncation and padding, which `encode_ids` knows nothing of.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tokenizer.json")
        tokenizer.save(str(path))
        state = json.loads(path.read_text(encoding="utf-8"))
    state = {name: value for name, value in state.items() if name not in ("truncation", "padding")}
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _write(
    corpus: Corpus,
    tokenizer,
    tokenizer_name: str,
    folder: Path,
    progress: bool,
    whole_documents: bool,
) -> None:
    tokens_dtype = "<u2" if tokenizer.get_vocab_size() <= 2**16 else "<u4"
    with contextlib.ExitStack() as files:
        tokens, sentence_offsets, document_offsets, document_keys = writers = [
            _ArrayWriter(files.enter_context(open(folder / f"{name}.bin", "wb")), dtype)
            for name, dtype in zip(ARRAYS, (tokens_dtype, "<i8", "<i8", "<u8"), strict=True)
        ]
        sentence_offsets.extend([0])
        document_offsets.extend([0])
        total = len(corpus) if hasattr(corpus, "__len__") else None
        for document in tqdm(
            corpus, f"encoding {corpus.name}", total, unit=" documents", disable=not progress
        ):
            sentences_before = sentence_offsets.length
            text = clean_text(document)
            for sentence in [text] if whole_documents else split_sentences(text):
                ids = tokenizer.encode_ids(sentence)
                if ids:
                    tokens.extend(ids)
                    sentence_offsets.extend([tokens.length])
            if sentence_offsets.length > sentences_before:
                document_offsets.extend([sentence_offsets.length - 1])
                document_keys.extend([clean_document_key(text)])
        if tokens.length == 0:
            raise ValueError(
                f"{corpus.name}: no document with a token in it: nothing to learn. Add documents, "
                "or check that they are separated (by blank lines in a text file)"
            )
        entries = {name: writer.finish() for name, writer in zip(ARRAYS, writers, strict=True)}
    info = {
        "format": FORMAT,
        "name": corpus.name,
        "tokenizer_digest": tokenizer_name,
        "arrays": entries,
    }
    (folder / INFO_FILE).write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")


class _ArrayWriter:
    """Writes a long array to an open file piece by piece, and keeps its digest."""

    def __init__(self, file: BinaryIO, dtype: str):
        self.file, self.dtype = file, dtype
        self.digest = hashlib.blake2b(digest_size=16)
        self.buffer: list[int] = []
        self.length = 0

    def extend(self, values: list[int]) -> None:
        self.buffer += values
        self.length += len(values)
        if len(self.buffer) >= _FLUSH_LENGTH:
            self._flush()

    def _flush(self) -> None:
        content = np.array(self.buffer, dtype=self.dtype).tobytes()
        self.file.write(content)
        self.digest.update(content)
        self.buffer = []

    def finish(self) -> dict:
        self._flush()
        return {"dtype": self.dtype, "length": self.length, "digest": self.digest.hexdigest()}


def _read_info(folder: Path) -> dict:
    path = folder / INFO_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no encoded corpus in {str(folder)!r} ({INFO_FILE} is missing): "
            "make one with encode_corpus"
        )
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        complete = info["format"] == FORMAT and all(
            isinstance(info["arrays"][name]["length"], int)
            and isinstance(info["arrays"][name]["digest"], str)
            and np.dtype(info["arrays"][name]["dtype"]).kind in "iu"
            for name in ARRAYS
        )
        complete = complete and isinstance(info["name"], str)
        complete = complete and isinstance(info["tokenizer_digest"], str)
    except (ValueError, KeyError, TypeError):
        complete = False
    if not complete:
        raise ValueError(f"{str(path)!r} is damaged, or was written in another format")
    return info


def _file_digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _remove_dead_builds(cache_folder: Path) -> None:
    """Remove what builds that were killed left behind: temporary folders long untouched.

    The hour's wait leaves alone what another process may be writing at this moment.
    """
    for leftover in cache_folder.glob(f"{TEMPORARY_PREFIX}*"):
        files = [leftover, *leftover.glob("*")]
        if time.time() - max(file.stat().st_mtime for file in files) > _DEAD_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)

"""From documents to the arrays of an encoded corpus: the work of several processes.

    documents --chunks--> [process 1: clean, split, encode] --arrays--> files
                          [process 2: clean, split, encode]

The documents are read by one process, which hands them out in chunks of about a megabyte and
writes what comes back, in the order of the chunks: the files are the same for any number of
processes.  In memory are the chunks under way (see minillm/text/processes.py), and nothing that
grows with the corpus.
"""

import contextlib
import hashlib
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from minillm.data.corpus import Corpus
from minillm.data.fingerprints import SavedFile
from minillm.data.split import Part, clean_document_key
from minillm.text import clean_text, split_sentences
from minillm.text.processes import chunks_of_texts, map_chunks, number_of_processes

CHUNK_CHARACTERS = 1 << 20


def tokens_dtype(tokenizer) -> str:
    """The smallest type that holds every id."""
    return "<u2" if tokenizer.get_vocab_size() <= 2**16 else "<u4"


@dataclass(frozen=True)
class EncodedChunk:
    """The sentences of some documents; documents in which nothing is left aren't counted.

    tokens [tokens], sentence_lengths [sentences] (in tokens), document_lengths [documents] (in
    sentences), document_keys [documents].  n_texts, n_bytes: what was read for it.
    """

    tokens: np.ndarray
    sentence_lengths: np.ndarray
    document_lengths: np.ndarray
    document_keys: np.ndarray
    n_texts: int
    n_bytes: int


class DocumentEncoder:
    """Encodes chunks of documents: `encoder(["First document.", "Second."]) -> EncodedChunk`.

    Each document is cleaned, split into sentences, and each sentence encoded; sentences and
    documents in which nothing is left are dropped.
    whole_documents: a document is encoded as if it were a single sentence.
    part: only the documents that belong to it (which side of a split a document is on depends on
    its cleaned text, so it is cheap to find out here).
    """

    def __init__(self, tokenizer, whole_documents: bool, part: Part | None):
        self.tokenizer, self.whole_documents, self.part = tokenizer, whole_documents, part
        self.dtype = tokens_dtype(tokenizer)

    def __call__(self, documents: list[str]) -> EncodedChunk:
        tokens: list[int] = []
        sentence_lengths: list[int] = []
        document_lengths: list[int] = []
        keys: list[int] = []
        n_bytes = 0
        for document in documents:
            n_bytes += len(document.encode("utf-8", "surrogatepass"))
            text = clean_text(document)
            key = clean_document_key(text)
            if self.part is not None and not self.part.holds(text, key):
                continue
            sentences = [text] if self.whole_documents else split_sentences(text)
            lengths = []
            for ids in map(self.tokenizer.encode_ids, sentences):
                if ids:
                    tokens += ids
                    lengths.append(len(ids))
            if lengths:
                sentence_lengths += lengths
                document_lengths.append(len(lengths))
                keys.append(key)
        return EncodedChunk(
            np.array(tokens, self.dtype),
            np.array(sentence_lengths, np.int64),
            np.array(document_lengths, np.int64),
            np.array(keys, "<u8"),
            len(documents),
            n_bytes,
        )


def encode_chunks(
    corpus: Corpus, tokenizer, whole_documents: bool, processes: int | None, progress: bool
) -> Generator[EncodedChunk, None, None]:
    """The corpus, chunk by chunk, in order; shows a progress bar."""
    part, source = (corpus, corpus.corpus) if isinstance(corpus, Part) else (None, corpus)
    encoder = DocumentEncoder(tokenizer, whole_documents, part)
    encoded = map_chunks(
        encoder, chunks_of_texts(source, CHUNK_CHARACTERS), number_of_processes(processes)
    )
    # How far is it?  By documents where their number is known, else by bytes, if those are.
    total = len(source) if hasattr(source, "__len__") else None
    in_bytes = total is None and source.size() is not None
    if in_bytes:
        total = source.size()
    with tqdm(
        desc=f"encoding {corpus.name}",
        total=total,
        unit="B" if in_bytes else " documents",
        unit_scale=in_bytes,
        disable=not progress,
    ) as bar:
        for chunk in encoded:
            yield chunk
            bar.update(chunk.n_bytes if in_bytes else chunk.n_texts)
        if in_bytes:  # the bytes between the documents are done, too
            bar.update(total - bar.n)


class ArrayWriter:
    """Writes a long array to an open file piece by piece, and keeps its digest."""

    def __init__(self, file: BinaryIO, dtype: str):
        self.file, self.dtype = file, np.dtype(dtype)
        self.digest = hashlib.blake2b(digest_size=16)
        self.length = 0

    def extend(self, values: np.ndarray) -> None:
        content = np.ascontiguousarray(values, self.dtype).tobytes()
        self.file.write(content)
        self.digest.update(content)
        self.length += len(values)


def write_arrays(
    chunks: Iterable[EncodedChunk], dtype_of_tokens: str, folder: Path
) -> dict[str, dict]:
    """Write NAME.bin for the four arrays of an `EncodedCorpus`; return what is known of each."""
    dtypes = {
        "tokens": dtype_of_tokens,
        "sentence_offsets": "<i8",
        "document_offsets": "<i8",
        "document_keys": "<u8",
    }
    with contextlib.ExitStack() as files:
        writers = {
            name: ArrayWriter(files.enter_context(open(folder / f"{name}.bin", "wb")), dtype)
            for name, dtype in dtypes.items()
        }
        tokens, sentences = writers["tokens"], writers["sentence_offsets"]
        documents, keys = writers["document_offsets"], writers["document_keys"]
        sentences.extend(np.zeros(1))
        documents.extend(np.zeros(1))
        for chunk in chunks:
            n_tokens, n_sentences = tokens.length, sentences.length - 1  # so far
            tokens.extend(chunk.tokens)
            sentences.extend(n_tokens + np.cumsum(chunk.sentence_lengths))
            documents.extend(n_sentences + np.cumsum(chunk.document_lengths))
            keys.extend(chunk.document_keys)
    entries = {}
    for name, writer in writers.items():
        saved = SavedFile.of(folder / f"{name}.bin", writer.digest.hexdigest())
        entries[name] = {"dtype": writer.dtype.str, "length": writer.length, **vars(saved)}
    return entries

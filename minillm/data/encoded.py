"""The encoded corpus: a corpus turned into token ids once, and kept on disk.

Four arrays hold everything, each in a file of its own:

    tokens             uint16 (uint32 if the vocabulary is larger)   all ids, one after another
    sentence_offsets   int64 [sentences + 1]   sentence s is tokens[offsets[s] : offsets[s + 1]]
    document_offsets   int64 [documents + 1]   document d has the sentences offsets[d] to [d+1]
    document_keys      uint64 [documents]      a hash of the text: equal texts have equal keys

They are opened as memory maps: the operating system reads the pages that are touched and drops
them when memory is short, so a corpus larger than memory trains, and a second run starts at once.
(One file for each, however long: a map costs nothing until it is touched, so cutting the files
into shards would save nothing.)
The folder is named by a digest of all that the ids depend on.  It is written in a temporary place
and appears by one rename: there is never half of one.
"""

import contextlib
import hashlib
import json
import mmap
import os
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minillm.data.corpus import Corpus, Documents
from minillm.data.encoding import encode_chunks, tokens_dtype, write_arrays
from minillm.data.fingerprints import SavedFile
from minillm.files import atomic_directory, remove_leftovers
from minillm.foreign_files import folder_file
from minillm.strict_json import read_json

FORMAT = 2  # counts up when the files, or the way from text to sentences and ids, change
ARRAYS = ("tokens", "sentence_offsets", "document_offsets", "document_keys")
INFO_FILE = "encoded.json"
RELEASE_EVERY = 16  # steps: batches call `release` so often
_DTYPES = dict(zip(ARRAYS, (("<u2", "<u4"), ("<i8",), ("<i8",), ("<u8",)), strict=True))
_BLOCK = 1 << 20  # offsets that are looked at together


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

    def release(self) -> None:
        """Hand the pages that were read back to the operating system, which keeps them in its cache
        as long as there is room.

        It would take them by itself when memory is short; until then they count as resident, and
        a run that draws from everywhere would seem to hold the whole corpus.
        """
        for name in ARRAYS:
            pages = getattr(getattr(self, name), "_mmap", None)
            if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
                pages.madvise(mmap.MADV_DONTNEED)

    def sentence(self, s: int) -> np.ndarray:
        """The token ids of sentence `s` (without [CLS] and [SEP])."""
        return self.tokens[self.sentence_offsets[s] : self.sentence_offsets[s + 1]]

    @classmethod
    def open(cls, folder: str | os.PathLike, verify: bool | str = True) -> "EncodedCorpus":
        """Open an encoded corpus that `encode_corpus` wrote, as memory maps.

        verify: True: compare digests; of a file over 16 MB whose date is that of its writing a
        digest of samples, of any other that of every byte.  "all": of every byte in any case
        (about 1 GB/s).  False: compare the lengths of the files only.
        Raises FileNotFoundError, or ValueError for a folder that is damaged or was written in
        another format.
        """
        folder = Path(folder)
        info = _read_info(folder)
        arrays = {}
        for name in ARRAYS:
            path, entry = folder_file(folder, f"{name}.bin"), info["arrays"][name]
            dtype = np.dtype(entry["dtype"])
            size, expected = path.stat().st_size, entry["length"] * dtype.itemsize
            if size != expected:
                raise ValueError(f"{str(path)!r} has {size} bytes, {expected} were written")
            if verify:
                saved = {field: entry[field] for field in SavedFile.__dataclass_fields__}
                SavedFile(**saved).check(path, every_byte=verify == "all")
            arrays[name] = np.memmap(path, dtype=dtype, mode="r", shape=(entry["length"],))
        _check_offsets(folder, *(arrays[name] for name in ARRAYS))
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
    verify: bool | str = True,
    whole_documents: bool = False,
    processes: int | None = None,
) -> EncodedCorpus:
    """Encode a corpus, or open what an earlier call with the same corpus and tokenizer wrote.

    Each document is cleaned, split into sentences, and each sentence encoded without special
    tokens; sentences and documents in which nothing is left are dropped.

    whole_documents: a document is encoded as it stands, as if it were a single sentence.  BERT asks
    about sentences; a model that writes needs what is between them as well, spaces and line breaks.

    cache_folder: holds one folder for each corpus and tokenizer.  progress: show a progress bar.
    verify: see `EncodedCorpus.open`.  processes: how many encode; None: one for each core that this
    process may use.  The result is the same for any number.

    Memory stays flat however long the corpus is (but a `Documents` corpus is in memory itself), and
    what is found in the cache is opened in a moment (see fingerprints.py).
    A damaged cache is encoded again, with a warning.  Raises ValueError if the corpus holds no
    token at all, RuntimeError if its files changed while they were read, OSError if the disk is
    full; if anything is raised on the way, nothing is left behind.
    """
    if not isinstance(corpus, Corpus):
        corpus = Documents(corpus)
    tokenizer_name, fingerprint = tokenizer_digest(tokenizer), corpus.fingerprint()
    state = f"{FORMAT}\n{tokenizer_name}\n{fingerprint}"
    if whole_documents:
        state += "\nwhole documents"
    key = hashlib.sha256(state.encode()).hexdigest()
    cache_folder = Path(cache_folder)
    folder = cache_folder / f"encoded-{key[:20]}"
    remove_leftovers(cache_folder)
    if folder.exists():
        try:
            return EncodedCorpus.open(folder, verify)
        except (OSError, ValueError) as error:
            warnings.warn(
                f"the encoded corpus is damaged ({error}): encoding {corpus.name} again",
                RuntimeWarning,
                stacklevel=2,
            )
    with atomic_directory(folder) as temporary:
        with contextlib.closing(
            encode_chunks(corpus, tokenizer, whole_documents, processes, progress)
        ) as chunks:
            entries = write_arrays(chunks, tokens_dtype(tokenizer), temporary)
        if entries["tokens"]["length"] == 0:
            raise ValueError(
                f"{corpus.name}: no document with a token in it: nothing to learn. Add documents, "
                "or check that they are separated (by blank lines in a text file)"
            )
        if corpus.fingerprint() != fingerprint:
            raise RuntimeError(
                f"{corpus.name} was changed while it was being encoded: start again when nothing "
                "writes to it any more"
            )
        info = {
            "format": FORMAT,
            "name": corpus.name,
            "tokenizer_digest": tokenizer_name,
            "arrays": entries,
        }
        content = json.dumps(info, indent=2) + "\n"
        (temporary / INFO_FILE).write_text(content, encoding="utf-8")
    return EncodedCorpus.open(folder, verify=False)


def tokenizer_digest(tokenizer) -> str:
    """A digest of all that decides about the ids: of the file that the tokenizer saves.

    But for truncation and padding, which `encode_ids` knows nothing of.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "tokenizer.json")
        tokenizer.save(str(path))
        state = json.loads(path.read_text(encoding="utf-8"))
    state = {name: value for name, value in state.items() if name not in ("truncation", "padding")}
    state["model"].pop("sha256", None)  # a digest of those two as well
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _read_info(folder: Path) -> dict:
    path = folder / INFO_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no encoded corpus in {str(folder)!r} ({INFO_FILE} is missing): "
            "make one with encode_corpus"
        )
    try:
        info = read_json(folder_file(folder, INFO_FILE))
        complete = info["format"] == FORMAT and all(
            type(info["arrays"][name]["length"]) is int
            and info["arrays"][name]["length"] > 0
            and isinstance(info["arrays"][name]["digest"], str)
            and SavedFile.__dataclass_fields__.keys() <= info["arrays"][name].keys()
            and info["arrays"][name]["dtype"] in _DTYPES[name]
            for name in ARRAYS
        )
        complete = complete and isinstance(info["name"], str)
        complete = complete and isinstance(info["tokenizer_digest"], str)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}") from error
    except (KeyError, TypeError, AttributeError):
        complete = False
    if not complete:
        raise ValueError(f"{str(path)!r} is damaged, or was written in another format")
    return info


def _check_offsets(folder: Path, tokens, sentence_offsets, document_offsets, document_keys) -> None:
    """The offsets must ascend from 0 to the end of what they point to: one sweep over each."""
    for name, offsets, end in (
        ("sentence_offsets", sentence_offsets, len(tokens)),
        ("document_offsets", document_offsets, len(sentence_offsets) - 1),
    ):
        blocks = (offsets[i : i + _BLOCK + 1] for i in range(0, len(offsets), _BLOCK))
        ascending = all((block[1:] >= block[:-1]).all() for block in blocks)
        if offsets[0] != 0 or offsets[-1] != end or not ascending:
            path = folder / f"{name}.bin"
            raise ValueError(f"{str(path)!r} is damaged: it doesn't ascend from 0 to {end}")
    if len(document_keys) != len(document_offsets) - 1:
        path = folder / "document_keys.bin"
        raise ValueError(
            f"{str(path)!r} is damaged: {len(document_keys)} keys of "
            f"{len(document_offsets) - 1} documents"
        )

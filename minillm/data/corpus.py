"""Where text comes from: a corpus is a row of documents that can be read again and again.

A document is a str: one review, one article, one chapter.  The unit matters: sentence pairs are
drawn within a document, and the held-out part is split off by document.  Nothing is read before
it is asked for, and no file is ever held in memory whole (a document is).
"""

import abc
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from minillm.data.fingerprints import file_state
from minillm.data.textfile import check_errors, check_text_file, has_blank_lines, read_lines
from minillm.foreign_files import refuse_escape
from minillm.strict_json import parse_row
from minillm.text.byte_alphabet import encodable

TEXT_SUFFIXES = (".txt", ".text", ".md", ".rst")  # what counts as a text file inside a folder
JSON_LINES_SUFFIXES = (".jsonl", ".ndjson")
TABLE_SUFFIXES = (".csv", ".tsv", ".json", ".xml")  # text, but not text to train on as it stands


class Corpus(abc.ABC):
    """Documents (str) that can be iterated over any number of times.

    `name` says in a few words what it is.  `fingerprint()` changes whenever the documents do: what
    was computed from a corpus (see encoded.py) is found again under it.
    """

    name: str

    @abc.abstractmethod
    def __iter__(self) -> Iterator[str]:
        """Yield the documents, always in the same order."""

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """A short text that is equal for two corpora only if their documents are.

        Of files it is made without reading them whole: see fingerprints.py.
        """

    def size(self) -> int | None:
        """About how many bytes of text these are, where that is known without reading them."""
        return None

    def first(self, n: int) -> "Corpus":
        """A corpus of the first `n` documents of this one."""
        return _First(self, n)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Documents(Corpus):
    """A corpus of documents that are in memory already: `Documents(["One.", "Two."])`."""

    def __init__(self, documents: Iterable[str], name: str = "documents"):
        if isinstance(documents, str):
            raise TypeError(
                "documents is one str, a list of str was expected: [text], or open_corpus(path) "
                "for the path of a file"
            )
        self.documents = list(documents)
        self.name = name
        for i, document in enumerate(self.documents):
            if not isinstance(document, str):
                raise TypeError(f"document {i} is {type(document).__name__}, str was expected")

    def __iter__(self) -> Iterator[str]:
        return iter(self.documents)

    def __len__(self) -> int:
        return len(self.documents)

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for document in self.documents:  # the length first: ["ab"] isn't ["a", "b"]
            content = document.encode("utf-8", errors="surrogatepass")
            digest.update(len(content).to_bytes(8, "little") + content)
        return f"documents:{digest.hexdigest()}"


class TextFile(Corpus):
    """A text file (`.gz` or plain): documents are separated by blank lines.

    In a file without blank lines (in its first 64 MB) every line is a document.
    errors: "replace" reads bytes that aren't UTF-8 as U+FFFD; with "strict" they are a ValueError.
    """

    def __init__(self, path: str | os.PathLike, errors: str = "strict"):
        self.path, self.errors = Path(path), check_errors(errors)
        check_text_file(self.path, errors)
        self.name = self.path.name
        self.one_document_a_line = not has_blank_lines(self.path)

    def __iter__(self) -> Iterator[str]:
        lines = []
        for _, line in read_lines(self.path, self.errors):
            if line.strip():
                lines.append(line)
            if lines and (self.one_document_a_line or not line.strip()):
                yield "\n".join(lines)
                lines = []
        if lines:
            yield "\n".join(lines)

    def fingerprint(self) -> str:
        return f"text:{_of_errors(self.errors)}{file_state(self.path)}"

    def size(self) -> int | None:
        return _size_of_text(self.path)


class TextFolder(Corpus):
    """A folder: each text file in it or below it is one document, in the order of their paths.

    Text files are those that end in .txt, .text, .md or .rst (also with .gz behind it); hidden
    files and folders (`.git`) are left out.  errors: as for `TextFile`.
    """

    def __init__(self, path: str | os.PathLike, errors: str = "strict"):
        self.path, self.errors = Path(path), check_errors(errors)
        self.name = self.path.resolve().name
        first = next(iter(self._files()), None)
        if first is None:
            raise ValueError(
                f"there is no text file in the folder {str(self.path)!r} or below it: expected "
                f"files that end in {', '.join(TEXT_SUFFIXES)}"
            )

    def _files(self) -> list[Path]:
        files = []
        for folder, subfolders, names in os.walk(self.path):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            files += [Path(folder, name) for name in names if _is_text_name(name)]
        for path in files:
            refuse_escape(path, self.path)
        return sorted(files)

    def __iter__(self) -> Iterator[str]:
        for path in self._files():
            if path.stat().st_size == 0:
                continue
            check_text_file(path, self.errors)
            document = "\n".join(line for _, line in read_lines(path, self.errors))
            if document.strip():
                yield document

    def fingerprint(self) -> str:
        # Not even samples of the files are read here: there may be a hundred thousand of them.
        states = "\n".join(file_state(path, samples=False) for path in self._files())
        digest = hashlib.sha256(states.encode("utf-8", "surrogatepass")).hexdigest()
        return f"folder:{_of_errors(self.errors)}{digest}"

    def size(self) -> int | None:
        sizes = [_size_of_text(path) for path in self._files()]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None


class JsonLines(Corpus):
    """A file with one JSON object a line (`.gz` or plain); a document is its field `text_field`.

    errors: as for `TextFile`; also of lone surrogates, such as "\\ud83d", half of an emoji.
    """

    def __init__(self, path: str | os.PathLike, text_field: str = "text", errors: str = "strict"):
        self.path, self.errors = Path(path), check_errors(errors)
        self.text_field = text_field
        check_text_file(self.path, errors)
        self.name = self.path.name

    def __iter__(self) -> Iterator[str]:
        for number, line in read_lines(self.path, self.errors):
            if not line.strip():
                continue
            document = self._field(line, f"row {number} of {str(self.path)!r}")
            if document.strip():
                yield document

    def _field(self, line: str, where: str) -> str:
        try:
            row = parse_row(line)
        except ValueError as error:
            raise ValueError(
                f"{where} is not JSON ({error}): each line must be one JSON object, such as "
                f'{{"{self.text_field}": "..."}}'
            ) from None
        if not isinstance(row, dict):
            raise ValueError(f"{where} is a {type(row).__name__}, a JSON object was expected")
        if self.text_field not in row:
            raise ValueError(
                f"{where} has no field {self.text_field!r}, it has {sorted(row)}: name the field "
                "that holds the text with text_field="
            )
        if not isinstance(row[self.text_field], str):
            raise ValueError(
                f"{where}: field {self.text_field!r} is {type(row[self.text_field]).__name__}, "
                "a text was expected"
            )
        return encodable(row[self.text_field], self.errors, where)

    def fingerprint(self) -> str:
        return f"jsonl:{_of_errors(self.errors)}{self.text_field}:{file_state(self.path)}"

    def size(self) -> int | None:
        return _size_of_text(self.path)


class _First(Corpus):
    """The first n documents of another corpus."""

    def __init__(self, corpus: Corpus, n: int):
        if n < 1:
            raise ValueError(f"first({n}): at least 1 document was expected")
        self.corpus, self.n = corpus, n
        self.name = f"first {n} of {corpus.name}"

    def __iter__(self) -> Iterator[str]:
        return itertools.islice(iter(self.corpus), self.n)

    def fingerprint(self) -> str:
        return f"first:{self.n}:{self.corpus.fingerprint()}"


def open_corpus(
    path: str | os.PathLike, text_field: str = "text", errors: str = "strict"
) -> Corpus:
    """Open a user's own text, by what `path` is:

    - a folder: each text file in it or below it is one document (`TextFolder`);
    - .jsonl, .jsonl.gz: one JSON object a line, the document is its `text_field` (`JsonLines`);
    - any other file, plain or .gz: text, documents separated by blank lines, or one document a
      line if there are no blank lines (`TextFile`).

    errors="replace": what isn't UTF-8 is read as U+FFFD, the replacement character, and so is a
    lone surrogate in a JSONL file; with "strict" it is an error that names the place.

    Raises FileNotFoundError; ValueError for an empty or binary file, one that isn't UTF-8, a JSONL
    row without the field, a folder without text files, or a table (.csv, .tsv, .json, .xml).
    Errors further down in a file are raised when iterating reaches them.
    """
    path = Path(path)
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    suffix = suffixes[-1] if suffixes else ""
    if path.is_dir():
        corpus: Corpus = TextFolder(path, errors)
    elif suffix in JSON_LINES_SUFFIXES:
        corpus = JsonLines(path, text_field, errors)
    else:
        check_text_file(path, check_errors(errors))
        if suffix in TABLE_SUFFIXES:
            raise ValueError(
                f"{str(path)!r}: {suffix} is not read as a corpus. Write its texts into a .jsonl "
                f'file, one {{"{text_field}": "..."}} a line, or into a .txt file with a blank '
                "line between documents"
            )
        corpus = TextFile(path, errors)
    if next(iter(corpus), None) is None:
        raise ValueError(f"{str(path)!r} holds nothing but white space: no document to learn from")
    return corpus


def _is_text_name(name: str) -> bool:
    return not name.startswith(".") and name.lower().removesuffix(".gz").endswith(TEXT_SUFFIXES)


def _of_errors(errors: str) -> str:
    """The part of a fingerprint that says how what isn't UTF-8 was read."""
    return "" if errors == "strict" else f"{errors}:"


def _size_of_text(path: Path) -> int | None:
    return None if path.suffix.lower() == ".gz" else path.stat().st_size

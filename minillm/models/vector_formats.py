"""Word vectors as files: the two formats of the word2vec program, and GloVe's.

text      a line "V d", then V lines: the word, a space, d numbers separated by spaces
binary    a line "V d", then V times: the word, a space, d float32 numbers (little-endian, 4 bytes
          each), and in some files a line feed
GloVe     the text format without its first line

Words are UTF-8.  A file is not believed: the sizes in its first line are compared with its length
before memory is taken, each row must have d finite numbers, and rows must be as many as promised.
"""

import mmap
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minillm.files import atomic_file
from minillm.foreign_files import check_ordinary

_WHITE_SPACE = re.compile(r"[ \t\n\r\v\f]")  # what ends a word for the C programs
_NUMBER = np.dtype("<f4")
_LONGEST_NUMBER = 100  # characters
_LONGEST_LINE = 1 << 22  # bytes; 300 numbers take 4 thousand


def write(
    path: str | os.PathLike, words: Sequence[str], vectors: np.ndarray, binary: bool, header: bool
) -> None:
    """See KeyedVectors.save_word2vec_format."""
    for word in words:
        if not word or _WHITE_SPACE.search(word):
            raise ValueError(
                f"can't write {path}: the word {word!r} is empty or has white space in it, which "
                f"ends a word in this format; rename it, for instance with _ for a space"
            )
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(1))[0])
        raise ValueError(f"can't write {path}: the vector of {words[row]!r} isn't finite")
    with atomic_file(path) as file:
        if header:
            file.write(f"{len(words)} {vectors.shape[1]}\n".encode())
        for word, vector in zip(words, vectors, strict=True):
            if binary:
                file.write(word.encode() + b" " + vector.astype(_NUMBER).tobytes() + b"\n")
            else:  # as text of float32: the shortest that is read as the same number
                file.write(f"{word} {' '.join(vector.astype('U'))}\n".encode())


def read_text(
    path: str | os.PathLike, header: bool, limit: int | None, unicode_errors: str
) -> tuple[list[str], np.ndarray]:
    """(words, vectors (V, d)) from the text format, or GloVe's (header=False)."""
    size = check_ordinary(path)
    with open(path, "rb") as file:
        _check_unpacked(path, file)
        number, promised, d = 0, None, 0  # d = 0: not known yet
        if header:
            promised, d = _read_header(path, file)
            number = 1
            if promised * (2 * d + 1) > size - file.tell():
                raise _cut_off(path, promised, d)
        words: list[str] = []
        rows = bytearray()  # of float32, and not a list of arrays, of which each takes 100 bytes
        while line := file.readline(_LONGEST_LINE + 1):
            number += 1
            if len(line) > _LONGEST_LINE:
                raise ValueError(
                    f"{path}, line {number} has more than {_LONGEST_LINE} bytes: no word and its "
                    "numbers; for the binary format give binary=True"
                )
            if len(words) == limit:
                break
            line = line.rstrip(b" \r\n")
            if not line:
                continue
            if not d:
                d = _count_numbers(path, line)
            # From the right: a word of GloVe's largest file may itself contain spaces.
            word, *numbers = line.rsplit(b" ", d)
            if len(numbers) != d or not word:
                raise ValueError(
                    f"{path}, line {number}: expected a word and {d} numbers, got {line[:60]!r} "
                    f"with {len(line.split()) - 1} numbers"
                )
            rows += _parse(path, number, numbers).tobytes()
            words.append(_decode(path, f"line {number}", word, unicode_errors))
    if promised is not None:
        wanted = promised if limit is None else min(promised, limit)
        if len(words) < wanted:
            raise _cut_off(path, promised, d, len(words))
        if len(words) > wanted:
            raise ValueError(f"{path} promises {promised} words in line 1, but has more")
    if not rows:
        raise ValueError(f"{path}: there are no vectors in it")
    return _without_repetition(path, words, np.frombuffer(rows, np.float32).reshape(-1, d))


def read_binary(
    path: str | os.PathLike, limit: int | None, unicode_errors: str
) -> tuple[list[str], np.ndarray]:
    """(words, vectors (V, d)) from the binary format."""
    size = check_ordinary(path)
    with open(path, "rb") as file:
        _check_unpacked(path, file)
        promised, d = _read_header(path, file)
        position = file.tell()
        if promised * (d * _NUMBER.itemsize + 2) > size - position:
            raise _cut_off(path, promised, d)
        wanted = promised if limit is None else min(promised, limit)
        words: list[str] = []
        vectors = np.empty((wanted, d), np.float32)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for row in range(wanted):
                if data[position : position + 1] == b"\n":  # the end of the vector before
                    position += 1
                space = data.find(b" ", position)
                begin = space + 1
                position_after = begin + d * _NUMBER.itemsize
                if space < 0 or position_after > size:
                    raise _cut_off(path, promised, d, row)
                if space == position:
                    raise ValueError(f"{path}, word {row + 1}: the word is empty; not this format?")
                word = data[position:space]
                words.append(_decode(path, f"word {row + 1}", word, unicode_errors))
                vectors[row] = np.frombuffer(data[begin:position_after], _NUMBER)
                position = position_after
            left = data[position:].strip(b"\r\n") if limit is None else b""
        finite = np.isfinite(vectors).all(1)
        if not finite.all():
            row = int(np.argmin(finite))
            raise ValueError(f"{path}, word {row + 1}: the vector of {words[row]!r} isn't finite")
        if left:
            raise ValueError(
                f"{path} promises {promised} words of {d} numbers, but {len(left)} bytes follow"
            )
    return _without_repetition(path, words, vectors)


def _check_unpacked(path, file) -> None:
    if file.read(2) == b"\x1f\x8b":
        raise ValueError(f"{path} is compressed: unpack it first (gunzip)")
    file.seek(0)


def _read_header(path, file) -> tuple[int, int]:
    """V and d from the line "V d"."""
    line = file.readline(1000)
    match = re.fullmatch(rb"(\d{1,15}) (\d{1,9})\s*", line)
    if not match:
        raise ValueError(
            f"{path}, line 1: expected the number of words and of numbers a word (such as "
            f"'50000 100'), got {line[:60]!r}; a file of GloVe's has no such line: no_header=True"
        )
    promised, d = int(match[1]), int(match[2])
    if promised < 1 or d < 1:
        raise ValueError(f"{path}, line 1: {promised} words of {d} numbers; expected at least 1")
    return promised, d


def _count_numbers(path, line: bytes) -> int:
    """d, from the first line of a file without header."""
    d = len(line.split(b" ")) - 1
    if d < 1 or re.fullmatch(rb"\d+ \d+", line):
        raise ValueError(
            f"{path}, line 1: expected a word and its numbers, got {line[:60]!r}; is this "
            f"word2vec's format (no_header=False)?"
        )
    return d


def _parse(path, number: int, numbers: list[bytes]) -> np.ndarray:
    try:
        if max(map(len, numbers)) > _LONGEST_NUMBER:
            raise ValueError(f"a number of {max(map(len, numbers))} characters")
        with np.errstate(over="ignore"):  # told below
            row = np.array(numbers, dtype=np.float32)
    except ValueError as error:
        raise ValueError(
            f"{path}, line {number}: {error}; for the binary format give binary=True"
        ) from None
    if not np.isfinite(row).all():
        raise ValueError(f"{path}, line {number}: a number is infinite or none (nan)")
    return row


def _decode(path, where: str, word: bytes, unicode_errors: str) -> str:
    try:
        return word.decode("utf-8", unicode_errors)
    except UnicodeDecodeError:
        raise ValueError(
            f"{path}, {where}: {word[:60]!r} is not UTF-8; unicode_errors='replace' reads it anyway"
        ) from None


def _cut_off(path, promised: int, d: int, found: int | None = None) -> ValueError:
    what = "it is too short for them" if found is None else f"it ends after {found}"
    return ValueError(
        f"{path} promises {promised} words of {d} numbers in line 1, but {what}: is it cut off, "
        f"or of the other format (text, binary)?"
    )


def _without_repetition(path, words: list[str], vectors: np.ndarray):
    """Of a word that comes twice (in some files) the first vector counts, as in gensim."""
    first: dict[str, int] = {}
    for row, word in enumerate(words):
        first.setdefault(word, row)
    if len(first) < len(words):
        repeated = next(w for row, w in enumerate(words) if first[w] != row)
        warnings.warn(
            f"{Path(path).name}: {len(words) - len(first)} words come more than once, such as "
            f"{repeated!r}; the first vector of each is kept",
            stacklevel=4,
        )
        words, vectors = list(first), vectors[list(first.values())]
    return words, vectors

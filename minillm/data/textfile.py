"""Reading text files of unknown quality, line by line, with errors that say what to do.

A corpus that a user brings may be in another encoding, compressed, cut off, or no text at all.
What is wrong is said with the file's name and the place, before a model is trained on garbage.
Where single bytes are broken and the rest is good text, errors="replace" reads on: U+FFFD, the
replacement character, stands for what can't be read, as in Python's own `open`.
Memory holds one line at a time, so the size of the file doesn't matter.
"""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

BLANK_LINE_WITHIN = 1 << 26  # bytes
_FIRST_BYTES = 1 << 16
# Of a .gz: text packs to a third, tables to a tenth.
_LONGEST_LINE, _UNPACKED, _TIMES = 1 << 25, 1 << 20, 20

ERRORS = ("strict", "replace")


def check_errors(errors: str) -> str:
    """Return `errors`; raise ValueError for an unknown way to treat what isn't UTF-8."""
    if errors not in ERRORS:
        raise ValueError(f"errors={errors!r}: expected one of {', '.join(map(repr, ERRORS))}")
    return errors


def read_lines(path: Path, errors: str = "strict") -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its line end) of a UTF-8 file, `.gz` or plain.

    errors: "strict": bytes that aren't UTF-8 are an error; "replace": they become U+FFFD.
    A byte order mark at the beginning is left out.  Raises ValueError, naming the line, where the
    file holds a NUL byte (no text) or bytes that aren't UTF-8, and for a damaged `.gz`.
    """
    check_errors(errors)
    position = 0  # of the line's first byte
    for number, line in enumerate(_binary_lines(path), start=1):
        start, position = position, position + len(line)
        if number == 1 and line.startswith(codecs.BOM_UTF8):
            line, start = line[len(codecs.BOM_UTF8) :], start + len(codecs.BOM_UTF8)
        if b"\0" in line:
            raise _not_text(path, start + line.index(b"\0"), number)
        try:
            text = line.decode("utf-8", errors)
        except UnicodeDecodeError as error:
            raise _not_utf8(path, start + error.start, number, line[error.start]) from None
        yield number, text.rstrip("\r\n")


def check_text_file(path: Path, errors: str = "strict") -> None:
    """Look at the beginning of a file; raise where it is clear already that it is no UTF-8 text.

    errors: as for `read_lines`.
    Raises FileNotFoundError, IsADirectoryError, or ValueError (empty, binary, UTF-16, not UTF-8).
    """
    if not path.exists():
        raise FileNotFoundError(
            f"there is no file or folder {str(path)!r} (looked from {str(Path.cwd())!r}): "
            "check the spelling, or give the full path"
        )
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder, a text file was expected")
    if path.stat().st_size == 0:
        raise ValueError(f"{str(path)!r} is empty (0 bytes): there is nothing to learn from")
    with _open_binary(path) as file, _damage_named(path):
        beginning = file.read(_FIRST_BYTES)
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(
            f"{str(path)!r} is UTF-16, not UTF-8: convert it, for example with "
            "`iconv -f UTF-16 -t UTF-8 old.txt > new.txt`"
        )
    if b"\0" in beginning:
        position = beginning.index(b"\0")
        raise _not_text(path, position, beginning[:position].count(b"\n") + 1)
    try:  # final=False: a character may be cut in two where the block ends
        codecs.getincrementaldecoder("utf-8")(errors).decode(beginning, final=False)
    except UnicodeDecodeError as error:
        number = beginning[: error.start].count(b"\n") + 1
        raise _not_utf8(path, error.start, number, beginning[error.start]) from None


def has_blank_lines(path: Path) -> bool:
    """Whether a blank line stands between two lines of text, in the first 64 MB.

    Reads until it finds the first.  (A document is held in memory, so one of more than 64 MB
    without a blank line in it can't be meant; and a start must not read gigabytes.)
    """
    seen_text = seen_blank = False
    read = 0
    for line in _binary_lines(path):
        blank = not line.removeprefix(codecs.BOM_UTF8).strip()
        if not blank and seen_blank:
            return True
        seen_text = seen_text or not blank
        seen_blank = seen_text and blank
        read += len(line)
        if read >= BLANK_LINE_WITHIN:
            break
    return False


def _open_binary(path: Path):
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else open(path, "rb")


def _binary_lines(path: Path) -> Iterator[bytes]:
    with _damage_named(path):
        if path.suffix.lower() == ".gz":
            yield from _unpacked_lines(path)
            return
        with open(path, "rb") as file:
            yield from file


def _unpacked_lines(path: Path) -> Iterator[bytes]:
    """The lines of a .gz.  A kilobyte of it can unpack to a megabyte: ValueError where it does,
    for text doesn't."""
    with open(path, "rb") as raw, gzip.GzipFile(fileobj=raw) as file:
        unpacked = allowed = 0
        while line := file.readline(_LONGEST_LINE + 1):
            unpacked += len(line)
            if unpacked > allowed:
                allowed = _UNPACKED + _TIMES * raw.tell()
            if unpacked > allowed or len(line) > _LONGEST_LINE:
                raise ValueError(
                    f"{str(path)!r}: {raw.tell()} bytes of it unpack to {unpacked} and more, in "
                    "lines that no text has: unpack it yourself if it can be trusted"
                )
            yield line


class _damage_named:
    """Turn what the gzip module raises on a damaged file into one error that names the file."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if isinstance(error, (gzip.BadGzipFile, EOFError, zlib.error)):
            raise ValueError(
                f"{str(self.path)!r} is damaged or no gzip file ({error}): copy or download it "
                "again, or take the ending .gz off if it isn't compressed"
            ) from error


def _not_text(path: Path, position: int, number: int) -> ValueError:
    return ValueError(
        f"{str(path)!r} is not a text file: byte {position} (line {number}) is NUL. "
        "Give a UTF-8 text file, a .jsonl file, or a folder of text files"
    )


def _not_utf8(path: Path, position: int, number: int, byte: int) -> ValueError:
    return ValueError(
        f"{str(path)!r} is not UTF-8: byte 0x{byte:02x} at position {position}, line {number}. "
        "Convert it, for example with `iconv -f WINDOWS-1252 -t UTF-8 old.txt > new.txt` "
        "(western text is often WINDOWS-1252, Chinese text GB18030); or read U+FFFD for such "
        "bytes: errors='replace', in a lesson --replace-invalid"
    )

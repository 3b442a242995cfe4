"""Is it still the same file?  Answered without reading gigabytes.

Reading two gigabytes to compare a digest takes seconds at best, minutes from a slow disk, and
would have to happen at each start.  So a file is looked at in three ways, from cheap to dear:

    state     name, size, and the times at which its content and its entry were last changed
    samples   a digest of pieces spread evenly over it; of a short file, of all of it
    digest    of every byte

A corpus (`file_state`) is taken for unchanged if its state and samples are those of before.  The
second time (ctime) is what makes that safe: every write moves it, and no program can move it back,
so a file that was edited in place and then given its old date again has another state.  What could
slip through is an edit between the samples, of the same length, within the same tick of the clock
as the last one.  The price is a false alarm: after `chmod`, or a copy to another machine, the text
is encoded once more.

What minillm has written itself (`SavedFile`) carries the digest of every byte.  A long file that
still has the size, the date and the samples which it was written with isn't read again as a whole;
any other is.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

SHORT = 1 << 24  # bytes; a file that we wrote and that is no longer than this is read whole
_PIECES, _PIECE = 64, 1 << 12
_PIECES_OF_A_TEXT = 16


def file_state(path: Path, samples: bool = True) -> str:
    """A text that changes when the file does: its name, size, times, and samples of it.

    samples=False: of many small files none is opened.
    """
    state = path.stat()
    text = f"{path.resolve()}:{state.st_size}:{state.st_mtime_ns}:{state.st_ctime_ns}"
    return f"{text}:{sample_digest(path, _PIECES_OF_A_TEXT)}" if samples else text


def sample_digest(path: Path, pieces: int = _PIECES) -> str:
    """A digest of the size and of so many pieces of 4 KiB, the first and the last among them."""
    size = path.stat().st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    with open(path, "rb") as file:
        if size <= pieces * _PIECE:
            digest.update(file.read())
        else:
            for i in range(pieces):
                file.seek((size - _PIECE) * i // (pieces - 1))
                digest.update(file.read(_PIECE))
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """A digest of every byte (about 1 GB/s)."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True)
class SavedFile:
    """What is known of a file that was written: enough to notice that it was damaged."""

    size: int
    time: int  # st_mtime_ns
    samples: str
    digest: str

    @classmethod
    def of(cls, path: str | os.PathLike, digest: str) -> "SavedFile":
        """path: a file that is written and closed; digest: `file_digest` of it."""
        state = os.stat(path)
        return cls(state.st_size, state.st_mtime_ns, sample_digest(Path(path)), digest)

    def check(self, path: Path, every_byte: bool = False) -> None:
        """Raise ValueError if the file isn't what was written.

        every_byte: read it whole in any case.
        """
        state = path.stat()
        untouched = state.st_size == self.size and state.st_mtime_ns == self.time
        if every_byte or not untouched or self.size <= SHORT:
            same = file_digest(path) == self.digest
        else:
            same = sample_digest(path) == self.samples
        if not same:
            raise ValueError(f"{str(path)!r} isn't what was written: its digest differs")

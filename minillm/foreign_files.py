"""Files from strangers: which may be opened at all, before anybody looks at what is in them.

A folder that was sent or downloaded may hold a link to somebody's private files or to an endless
device, a pipe that blocks whoever reads it, or a gigabyte where a kilobyte is usual.
"""

import os
import re
import stat
from pathlib import Path

MB = 1 << 20


def check_ordinary(path: str | os.PathLike, largest: int | None = None) -> int:
    """The size of a file in bytes.

    Raises FileNotFoundError; ValueError, with the path, for what is no ordinary file (a device, a
    pipe), or one of more than `largest` bytes.
    """
    state = os.stat(path)
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(f"{path} is a folder, a file was expected")
    if not stat.S_ISREG(state.st_mode):
        raise ValueError(f"{path} is not an ordinary file but a device or a pipe")
    if largest is not None and state.st_size > largest:
        raise ValueError(
            f"{path} has {state.st_size} bytes; a file of its kind has at most {largest}"
        )
    return state.st_size


def read_bytes(path: str | os.PathLike, largest: int) -> bytes:
    """The content of an ordinary file of at most `largest` bytes; raises as `check_ordinary`."""
    size = check_ordinary(path, largest)
    with open(path, "rb") as file:
        return file.read(size)  # takes memory for `size` bytes at once


def folder_file(folder: str | os.PathLike, name: str) -> Path:
    """folder/name, if that is a file in this folder; `name` may come from a file's content.

    A name with a path in it and a link that leads elsewhere are refused: what somebody packed must
    not open what lies beside it.  But for the cache of Hugging Face, whose snapshots/x/ consists
    of links to blobs/.
    Raises FileNotFoundError if there is no (ordinary) file, ValueError for one that is elsewhere.
    """
    if name in ("", ".", "..") or re.search(r"[/\\\0:]", name):
        raise ValueError(f"{name!r:.80} is no name of a file in the folder {folder}")
    path = Path(folder, name)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: not a complete folder")
    home, target = Path(folder).resolve(), path.resolve()
    blobs = home.parent.parent / "blobs" if home.parent.name == "snapshots" else home
    if target.parent not in (home, blobs):
        raise ValueError(f"{path} is a link that leads out of its folder; copy the file itself")
    return path


def refuse_escape(path: Path, folder: Path) -> None:
    """ValueError if `path`, somewhere in `folder`, is a link that leads out of it."""
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{path} is a link that leads out of {folder}; copy what it leads to")


def shortened(error: object, width: int = 400) -> str:
    """A message that quotes a stranger's file, cut where it would fill the screen."""
    text = str(error)
    return text if len(text) <= width else f"{text[:width]}..."

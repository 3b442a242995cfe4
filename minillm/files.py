"""Writing files so that a crash, a full disk or a second reader never sees half of one.

The rule is the same for a file and for a folder: write everything under a temporary name beside
the target, force it to the disk (fsync), then make it appear by a rename, which the file system
does at once or not at all.  Whatever stood there before stays readable until that moment.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

TEMPORARY_PREFIX = ".tmp-"


def atomic_write(path: str | os.PathLike, data: str | bytes) -> None:
    """Write `data` (str as UTF-8) to `path`: readers see the old content or the new, never a part.

    Raises OSError (a full disk, a folder that can't be written); the old file then still stands.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"can't write {path}: there is no folder {path.parent}")
    if isinstance(data, str):
        data = data.encode("utf-8")
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary folder to fill; on leaving the block it becomes `path` by one rename.

    A folder that stood at `path` is moved aside first and removed last.  If the block raises, the
    temporary folder is removed and `path` is untouched.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"can't write the folder {path}: a file of that name stands there")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=path.parent))
    try:
        os.chmod(temporary, 0o777 & ~_umask())
        yield temporary
        for file in sorted(temporary.rglob("*")):
            if file.is_dir():
                _sync_folder(file)
            else:
                _sync_file(file)
        _sync_folder(temporary)
        if path.exists():
            # rename() can't replace a folder that holds something: move the old one aside.  The
            # moment between the two renames is covered by `recover_directory`.
            aside = path.with_name(f"{TEMPORARY_PREFIX}old-{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            os.rename(path, aside)
            os.rename(temporary, path)
            shutil.rmtree(aside, ignore_errors=True)
        else:
            os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        recover_directory(path)
        raise
    _sync_folder(path.parent)


def recover_directory(path: str | os.PathLike) -> None:
    """Put back the old folder at `path` if a kill fell between the two renames that replace it."""
    path = Path(path)
    aside = path.with_name(f"{TEMPORARY_PREFIX}old-{path.name}")
    if aside.is_dir() and not path.exists():
        os.rename(aside, path)


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Remove what an interrupted write left in `folder` (only call it in a folder that you own)."""
    folder = Path(folder)
    for leftover in folder.glob(f"{TEMPORARY_PREFIX}*"):
        old = leftover.name.removeprefix(f"{TEMPORARY_PREFIX}old-")
        if old != leftover.name:
            recover_directory(folder / old)
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(path: Path) -> None:
    """Force the folder's entries to the disk (POSIX; elsewhere a folder can't be opened)."""
    if os.name == "posix":
        _sync_file(path)

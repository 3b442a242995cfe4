"""Writing files so that a crash, a full disk or a second reader never sees half of one.

The rule is the same for a file and for a folder: write everything under a temporary name beside
the target, force it to the disk (fsync), then make it appear by a rename, which the file system
does at once or not at all.  Whatever stood there before stays readable until that moment.

    atomic_write, atomic_file    one file: its whole content, or piece by piece
    atomic_directory             a folder, replaced as a whole
    atomic_files                 some files of a folder, all of them or none

A kill leaves a temporary file behind.  Its writer held a lock (flock) on it, which the operating
system takes back when a process ends, however it ends: so the next one who writes into the folder
can tell what is dead from what is being written at this moment, and removes it.
"""

import contextlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from minillm.disk import (
    cannot_write,
    lock_file,
    os_error,
    reason_of,
    sync_folder_of,
    sync_tree,
    unlock_file,
)

TEMPORARY_PREFIX = ".tmp-minillm-"
_OLD = TEMPORARY_PREFIX + "old-"  # a folder on its way out, see atomic_directory
_READY = TEMPORARY_PREFIX + "ready"  # files on their way in, see atomic_files
# Where nothing can be locked, what was untouched for this long is taken for dead.
_DEAD_SECONDS = 3600


# -------------------------------------------------------------------------------- one file


def atomic_write(path: str | os.PathLike, data: str | bytes) -> None:
    """Write `data` (str as UTF-8) to `path`: readers see the old content or the new, never a part.

    Raises OSError (a full disk, a folder that can't be written), which names the path and the
    reason; the old file then still stands.
    """
    if isinstance(data, str):
        data = data.encode("utf-8")
    with atomic_file(path) as file:
        file.write(data)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Give a binary file to write into; on leaving the block it becomes `path` by one rename.

    For contents that one doesn't want in memory as a whole.  If the block raises, nothing changes.
    Raises OSError as `atomic_write` does.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"can't write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise IsADirectoryError(f"can't write {path}: a folder of that name stands there")
    if path.exists() and not path.is_file():  # a pipe, /dev/stdout: nothing to be kept there
        with open(path, "wb") as stream:
            yield stream
        return
    remove_leftovers(path.parent)
    with _temporary(path, is_folder=False) as temporary:
        with open(temporary, "wb") as file:
            if path.exists():  # a private file stays private
                os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    sync_folder_of(path)


# ------------------------------------------------------------------------------- one folder


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary folder to fill; on leaving the block it becomes `path` by one rename.

    A folder that stood at `path` is moved aside first and removed last.  If the block raises, the
    temporary folder is removed and `path` is untouched.  Raises OSError as `atomic_write` does.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"can't write the folder {path}: a file of that name stands there")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    remove_leftovers(path.parent)
    with _temporary(path, is_folder=True) as temporary:
        yield temporary
        sync_tree(temporary)
        if path.exists():
            _replace_folder(temporary, path)
        else:
            os.rename(temporary, path)
    sync_folder_of(path)


def _replace_folder(new: Path, path: Path) -> None:
    """rename() can't replace a folder that holds something: move the old one aside.

    A kill between the two renames is what `recover_directory` is for.  The lock says that the old
    folder is not forgotten, but on its way.
    """
    aside = path.with_name(_OLD + path.name)
    shutil.rmtree(aside, ignore_errors=True)
    lock = lock_file(path)
    try:
        os.rename(path, aside)
        try:
            os.rename(new, path)
        except BaseException:
            os.rename(aside, path)
            raise
        shutil.rmtree(aside, ignore_errors=True)
    finally:
        unlock_file(lock)


def recover_directory(path: str | os.PathLike) -> None:
    """Put back the old folder at `path` if a kill fell between the two renames that replace it."""
    path = Path(path)
    aside = path.with_name(_OLD + path.name)
    if aside.is_dir() and not path.exists():
        os.rename(aside, path)


# --------------------------------------------------------------------- some files of a folder


@contextlib.contextmanager
def atomic_files(folder: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary folder to fill; on leaving the block its files take their places in
    `folder`, all of them or none.  Other files of `folder` stay as they are.

    A `folder` that isn't there yet appears by one rename.  In one that is there, several renames
    are needed; the first of them decides: it gives the temporary folder the name "ready", and from
    then on anybody who finds it so moves its files into place (`complete_files`).  A program that
    doesn't know this, and looks between two of these renames, sees some new files and some old.
    Raises OSError as `atomic_write` does.
    """
    folder = Path(folder)
    if not folder.is_dir():
        with atomic_directory(folder) as new:
            yield new
        return
    complete_files(folder)
    remove_leftovers(folder)
    with _temporary(folder, is_folder=True, inside=True) as temporary:
        yield temporary
        for name in os.listdir(temporary):
            if (folder / name).is_dir():
                raise IsADirectoryError(f"can't write {folder / name}: it is a folder")
        sync_tree(temporary)
        complete_files(folder)  # another process may have saved here meanwhile
        os.rename(temporary, folder / _READY)
    sync_folder_of(folder / _READY)
    complete_files(folder)


def complete_files(folder: str | os.PathLike) -> None:
    """Move files into place that `atomic_files` has decided on, if a kill left them waiting.

    Several processes may do this at once.  Raises OSError if it is needed and can't be done.
    """
    folder = Path(folder)
    ready = folder / _READY
    if ready.is_symlink() or not ready.is_dir():  # a link may lead to somebody's own files
        return
    try:
        for name in sorted(os.listdir(ready)):
            with contextlib.suppress(FileNotFoundError):  # another one was faster
                os.replace(ready / name, folder / name)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(ready)
    except OSError as error:
        raise os_error(
            error,
            f"{folder} was saved, but some of its new files are still in {ready} and can't be "
            f"moved into place ({reason_of(error)}): what opens the folder next will do it",
        ) from error
    sync_folder_of(ready)


# --------------------------------------------------------------------------------- leftovers


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Remove what interrupted writes left in `folder`, and put back an old folder (see
    `recover_directory`).  What a process is writing at this moment is left alone, and so is what
    can't be removed.
    """
    folder = Path(folder)
    try:
        names = [name for name in os.listdir(folder) if name.startswith(TEMPORARY_PREFIX)]
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            if name == _READY:
                complete_files(folder)
            else:
                _remove_leftover(folder / name)


def _remove_leftover(leftover: Path) -> None:
    lock = lock_file(leftover, wait=False)
    try:
        if lock is None:
            if time.time() - _last_touched(leftover) < _DEAD_SECONDS:
                return
        elif not os.path.samestat(os.fstat(lock), os.stat(leftover)):
            return  # it was finished meanwhile, and another one has this name
        if leftover.name.startswith(_OLD):
            recover_directory(leftover.with_name(leftover.name.removeprefix(_OLD)))
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)
    finally:
        unlock_file(lock)


def _last_touched(path: Path) -> float:
    return max(file.stat().st_mtime for file in (path, *path.rglob("*")))


@contextlib.contextmanager
def _temporary(path: Path, is_folder: bool, inside: bool = False) -> Iterator[Path]:
    """A new file or folder beside `path` (or inside it), locked; removed if the block raises.

    OSErrors that are about it become ones about `path`.
    """
    temporary, lock = None, None
    try:
        temporary, lock = _new_temporary(path if inside else path.parent, is_folder)
        yield temporary
    except BaseException as error:
        if temporary is not None:
            _remove(temporary)
        if isinstance(error, OSError) and _is_about(error, path):
            raise cannot_write(path, error) from error
        raise
    finally:
        unlock_file(lock)


def _new_temporary(place: Path, is_folder: bool) -> tuple[Path, int | None]:
    """The new file or folder, and its lock."""
    while True:
        temporary = place / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        if is_folder:
            os.mkdir(temporary)
        else:
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        # Somebody's remove_leftovers may be faster than the lock: then once more.
        with contextlib.suppress(FileNotFoundError):
            lock = lock_file(temporary)
            if temporary.exists():
                return temporary, lock
            unlock_file(lock)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _is_about(error: OSError, path: Path) -> bool:
    """Whether the error came from writing `path`, not from what the block did besides."""
    if error.filename is None:  # write() and fsync() don't say which file they failed on
        return error.errno is not None
    name = os.fspath(error.filename)
    return name == str(path) or TEMPORARY_PREFIX in str(name)

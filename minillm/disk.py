"""What files.py asks of the operating system: locks, fsync, and what its errors mean."""

import errno
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # not POSIX: no locks there
    fcntl = None  # type: ignore[assignment]


def lock_file(path: Path, wait: bool = True) -> int | None:
    """Lock a file or folder; returns the handle that holds the lock, None where there are none.

    Raises BlockingIOError if another one holds it and `wait` is False.
    """
    if fcntl is None:
        return None
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:  # some network file systems have no locks
        os.close(handle)
        return None
    return handle


def unlock_file(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.is_file():
            sync(path)
    sync(folder)


def sync(path: Path) -> None:
    if path.is_dir() and os.name != "posix":  # there a folder can't be opened
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder_of(path: Path) -> None:
    """Force the rename of `path`, which has been made, to the disk."""
    try:
        sync(path.parent)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            return  # not every file system can, nor is every folder readable
        raise os_error(
            error,
            f"{path} was written, but {path.parent} can't be forced to the disk "
            f"({reason_of(error)}): a power cut may still take it away",
        ) from error


def cannot_write(
    path: str | os.PathLike, error: OSError, then: str = "what was there before is kept"
) -> OSError:
    """An error of the same kind as `error`, with the path and the reason in words."""
    return os_error(error, f"{path} can't be written ({reason_of(error)}); {then}")


def os_error(error: OSError, message: str) -> OSError:
    return type(error)(message) if error.errno is None else OSError(error.errno, message)


def reason_of(error: OSError) -> str:
    return str(error) if error.errno is None else os.strerror(error.errno)

"""A run's folder belongs to one process at a time.

Two runs that write into one folder would remove each other's checkpoints.  So the process that
trains holds a lock (flock) on a file in the folder.  The operating system takes the lock back
when the process ends, however it ends: a kill leaves no lock that somebody has to delete.
"""

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from minillm.files import remove_leftovers

try:
    import fcntl
except ImportError:  # not POSIX: there one has to take care oneself
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = "run.lock"


class RunFolderInUse(RuntimeError):
    """Another process, which is still alive, trains in this folder."""


@contextlib.contextmanager
def own_run_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Make the folder if need be, and be the only one to write into it during the block.

    Removes what an interrupted write left there.  Raises OSError if the folder can't be written,
    RunFolderInUse, with the process id, if another process holds it.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = open(path / LOCK_FILE, "a+", encoding="utf-8")  # a+: keeps the holder's id
    except OSError as error:
        raise type(error)(
            f"the run folder {path} can't be written ({error.strerror}): choose another one"
        ) from error
    with lock:
        _lock(lock, path)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        remove_leftovers(path)
        try:
            yield path
        finally:
            lock.truncate(0)


def _lock(lock, path: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise RunFolderInUse(
            f"the run folder {path} is in use by process {lock.read() or '(just starting)'}: "
            "wait until it has ended, stop it, or choose another folder"
        ) from None
    except OSError as error:  # some network file systems have no locks
        warnings.warn(
            f"{path} can't be locked ({error.strerror}): see to it that no other run uses it",
            stacklevel=2,
        )

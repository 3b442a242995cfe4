"""A run's folder belongs to one process at a time.

Two runs that write into one folder would remove each other's checkpoints.  So the process that
trains holds a lock (flock) on a file in the folder, and notes in it who it is:

    {"pid": 4711, "host": "lab3", "since": "2030-01-31 09:00:00"}

The operating system takes the lock back when the process ends, however it ends: a kill leaves no
lock that somebody has to delete.  Some network file systems have no locks.  There the note itself
stands for one: it is obeyed unless its process is seen to have ended.
"""

import contextlib
import json
import os
import socket
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from minillm.disk import cannot_write
from minillm.files import remove_leftovers

try:
    import fcntl
except ImportError:  # not POSIX: no locks there
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = "run.lock"


class RunFolderInUse(RuntimeError):
    """Another process, which is still alive, trains in this folder."""


@contextlib.contextmanager
def own_run_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Make the folder if need be, and be the only one to write into it during the block.

    Removes what an interrupted write left there.  Raises OSError if the folder can't be written,
    RunFolderInUse, with process, host and time, if another process holds it.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _choose_another(path, error) from error
    try:
        _lock(lock, path)
        _write_note(lock, path)
        remove_leftovers(path)
        try:
            yield path
        finally:
            with contextlib.suppress(OSError):  # a note without a lock is no lock
                os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def _lock(lock: int, path: Path) -> None:
    """Take the lock, or raise RunFolderInUse."""
    try:
        if fcntl is None:
            raise OSError("this system has no file locks")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunFolderInUse(
            _in_use(path, _read_note(lock)) + ", or choose another folder"
        ) from None
    except OSError as error:
        note = _read_note(lock)
        if _may_live(note):
            raise RunFolderInUse(
                f"{_in_use(path, note)}, or remove {path / LOCK_FILE} if it has ended (locks don't "
                "work in this folder)"
            ) from None
        warnings.warn(
            f"{path} can't be locked ({error.strerror or error}): see to it that no other run "
            "uses it",
            stacklevel=4,
        )


def _in_use(path: Path, note: dict) -> str:
    who = "another process (just starting)"
    if note:
        who = f"process {note['pid']} on {note['host']} since {note['since']}"
    return f"the run folder {path} is in use by {who}: wait until it has ended, stop it"


def _write_note(lock: int, path: Path) -> None:
    note = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    try:
        os.ftruncate(lock, 0)
        os.lseek(lock, 0, os.SEEK_SET)
        os.write(lock, (json.dumps(note) + "\n").encode())
    except OSError as error:
        raise _choose_another(path, error) from error


def _choose_another(path: Path, error: OSError) -> OSError:
    return cannot_write(f"the run folder {path}", error, "choose another one")


def _read_note(lock: int) -> dict:
    """Who holds, or held, the folder: pid, host and since; empty if nobody says so."""
    os.lseek(lock, 0, os.SEEK_SET)
    try:
        note = json.loads(os.read(lock, 10_000))
    except ValueError:
        return {}
    complete = isinstance(note, dict) and isinstance(note.get("pid"), int)
    return {"host": "?", "since": "?"} | note if complete else {}


def _may_live(note: dict) -> bool:
    """Whether the process of a note may be alive; of another computer's it can't be known."""
    if not note or note["pid"] == os.getpid():
        return False
    if note["host"] != socket.gethostname():
        return True
    try:
        os.kill(note["pid"], 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is another user's
        return True
    return True

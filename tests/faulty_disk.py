"""A disk that fails at the call we want: full, read-only, or forbidden.

    for n in itertools.count():
        with FaultyDisk(fail_at=n) as disk:
            try: write_something()
            except OSError: ...
        if not disk.failed:
            break        # it made no more than n calls that change the disk

Python's ways to the disk are replaced by ones that count: the functions of `os`, and files opened
by `open`, whose every write(2) is a call of its own.  What writes past Python (a C library) would
not be seen: `system_writes` asks Linux how many writes there really were.
"""

import builtins
import contextlib
import errno
import io
import os
from pathlib import Path

# Calls that change the disk.  On a full disk these need room (those that shorten don't).
NEED_ROOM = ("mkdir", "rename", "replace", "link", "symlink", "fsync", "chmod", "fchmod")
NEED_NONE = ("unlink", "remove", "rmdir", "truncate", "ftruncate")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class FaultyDisk(contextlib.AbstractContextManager):
    """Within the block, the call number `fail_at` (from 0) that changes the disk fails.

    error: what it fails with; errno.EROFS concerns every call, the others those that need room.
    lasting: all calls after it fail as well, as on a disk that stays full.
    calls: the names of the calls, with the file's name where there is one.  failed: how many did.
    """

    def __init__(self, fail_at: int | None = None, error: int = errno.ENOSPC, lasting=False):
        self.fail_at, self.error, self.lasting = fail_at, error, lasting
        self.calls: list[tuple[str, str]] = []
        self.failed = 0

    def __enter__(self):
        self._real = {name: getattr(os, name) for name in (*NEED_ROOM, *NEED_NONE)}
        self._real |= {"open": os.open, "write": os.write}
        self._real_open = builtins.open
        for name in (*NEED_ROOM, *NEED_NONE):
            setattr(os, name, self._counted(name))
        os.open, os.write = self._os_open, self._os_write
        builtins.open = io.open = self._open
        return self

    def __exit__(self, *exception):
        for name, function in self._real.items():
            setattr(os, name, function)
        builtins.open = io.open = self._real_open

    def call(self, name: str, target, needs_room: bool = True) -> None:
        """Note a call; OSError if it is to fail."""
        if not needs_room and self.error == errno.ENOSPC:
            return
        number = len(self.calls)
        self.calls.append((name, Path(os.fsdecode(target)).name if _is_path(target) else ""))
        if self.fail_at is None or number < self.fail_at:
            return
        if number == self.fail_at or self.lasting:
            self.failed += 1
            path = target if _is_path(target) and name != "write" else None
            raise OSError(self.error, os.strerror(self.error), path)

    def _counted(self, name):
        real = self._real[name]

        def counted(target, *args, **kwargs):
            self.call(name, target, name in NEED_ROOM)
            if name != "fsync":  # it takes time, and changes nothing that a test could see
                return real(target, *args, **kwargs)

        return counted

    def _os_open(self, path, flags, *args, **kwargs):
        if flags & _WRITING:
            self.call("open", path)
        return self._real["open"](path, flags, *args, **kwargs)

    def _os_write(self, handle, data):
        if handle > 2:  # not what is said on the screen
            self.call("write", None)
        return self._real["write"](handle, data)

    def _open(
        self,
        file,
        mode="r",
        buffering=-1,
        encoding=None,
        errors=None,
        newline=None,
        *args,
        **kwargs,
    ):
        if not set(mode) & set("wax+"):
            return self._real_open(
                file, mode, buffering, encoding, errors, newline, *args, **kwargs
            )
        self.call("open", file)
        raw = _File(self, file, mode.replace("b", "").replace("t", ""), *args, **kwargs)
        if buffering == 0:
            return raw
        size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
        binary = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw, size)
        return binary if "b" in mode else io.TextIOWrapper(binary, encoding, errors, newline)


class _File(io.FileIO):
    """A file whose writes are counted; the one that fails has half of its bytes on the disk."""

    def __init__(self, disk: FaultyDisk, file, *args, **kwargs):
        super().__init__(file, *args, **kwargs)
        self.disk = disk

    def write(self, data):
        try:
            self.disk.call("write", self.name)
        except OSError:
            super().write(memoryview(data).cast("B")[: len(memoryview(data).cast("B")) // 2])
            raise
        return super().write(data)

    def truncate(self, size=None):
        self.disk.call("truncate", self.name, needs_room=False)
        return super().truncate(size)


def _is_path(target) -> bool:
    return isinstance(target, (str, bytes, os.PathLike))


def system_writes() -> int | None:
    """How often this process has called write(2); None where there is no Linux to ask."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return None
    return int(dict(line.split(": ") for line in lines)["syscw"])

"""How much memory a process and its children took at most, and a step of theirs (Linux).

VmHWM is a process's largest resident size so far; writing 5 to clear_refs starts it anew from the
present size.  A child made by fork shares pages with its parent: what both have is counted once, as
far as it was there before the step.  (Pages that both touch for the first time in it count twice.)
"""

import ctypes
import os
from pathlib import Path


def give_back() -> None:
    """Return what was freed to the system, where malloc has kept it (glibc)."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return


class Memory:
    """The resident size of this process and its children; elsewhere than on Linux, unknown."""

    def __init__(self):
        self.held: dict[int, int] = {}  # of each process
        self.before = self.private = 0

    def hold(self) -> None:
        """Now is "before the step": what is in use here was there before it."""
        if not Path("/proc/self/clear_refs").exists():
            return
        give_back()
        own, helpers = os.getpid(), children()
        self.before = read(own, "status", "VmHWM")
        self.private = sum(
            read(helper, "smaps_rollup", kind)
            for helper in helpers
            for kind in ("Private_Clean", "Private_Dirty")
        )
        for process in (own, *helpers):
            try:
                Path(f"/proc/{process}/clear_refs").write_text("5")
            except OSError:  # not allowed
                self.held.clear()
                return
            self.held[process] = read(process, "status", "VmRSS")

    def report(self) -> dict[str, int | None]:
        """Bytes: {"process": at most, all together, "step": what of it came with the step}."""
        if not self.held:
            return {"process": None, "step": None}
        step = sum(read(p, "status", "VmHWM") - held for p, held in self.held.items())
        return {
            "process": max(self.before, self.held[os.getpid()] + self.private + step),
            "step": step,
        }


def children() -> list[int]:
    """The processes that this one has started, from any of its threads."""
    lists = Path("/proc/self/task").glob("*/children")
    return [int(number) for file in lists for number in file.read_text().split()]


def read(process: int, file: str, name: str) -> int:
    """A size in /proc/PROCESS/FILE, in bytes."""
    lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name + ":")).split()[1])

"""The CPU's memory: freed buffers are kept for the next step."""

import ctypes
import sys


def keep_freed_memory() -> None:
    """Ask glibc to keep large freed buffers instead of returning them to the system.

    A training step frees and takes the same few hundred megabytes again; by default each large
    buffer is mapped anew and every page of it faults once a step (a quarter of the step's time).
    """
    M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
    if sys.platform != "linux":
        return
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:  # not glibc
        return
    libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
    libc.mallopt(M_TRIM_THRESHOLD, 1 << 30)
    libc.mallopt(M_ARENA_MAX, 1)  # the heaps of other threads are too small for large buffers

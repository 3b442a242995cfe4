"""Switches of the tape: record or not, inspect every value or not.  Each thread has its own."""

import contextlib
import threading
from collections.abc import Callable


class Mode(threading.local):  # each thread decides for itself whether it records
    grad_enabled = True
    anomaly = False
    autocast: Callable | None = None  # what prepares the arguments of a function: see autocast.py


mode = Mode()


@contextlib.contextmanager
def no_grad():
    """Within this block nothing is recorded: evaluation needs neither the time nor the memory."""
    before, mode.grad_enabled = mode.grad_enabled, False
    try:
        yield
    finally:
        mode.grad_enabled = before


def is_grad_enabled() -> bool:
    """Whether calls are recorded (so: whether keeping something for `backward` is worthwhile)."""
    return mode.grad_enabled


@contextlib.contextmanager
def detect_anomaly():
    """Within this block the first value or gradient that is not finite raises FloatingPointError.

    The error names the function.  Every result is inspected, so use it to find a fault, not to
    train.
    """
    before, mode.anomaly = mode.anomaly, True
    try:
        yield
    finally:
        mode.anomaly = before

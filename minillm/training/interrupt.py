"""Ctrl-C without loss: the running step is finished and saved, then the run stops."""

import contextlib
import os
import signal
import threading


class TrainingInterrupted(KeyboardInterrupt):
    """A signal stopped the run, in good order: the message says how to go on.

    signal: its number; a program conventionally exits with the status 128 + signal.
    """

    def __init__(self, signal: int, done: int, steps: int, folder):
        message = f"stopped after step {done:,} of {steps:,}; "
        if folder is None:
            message += "nothing was saved (out=None)"
        else:
            message += f"saved in {folder}; to go on: the same command with --resume"
        super().__init__(message)
        self.signal = signal


class StopRequest(contextlib.AbstractContextManager):
    """Within this block SIGINT (Ctrl-C) and SIGTERM are noted in `signal` instead of obeyed.

    A second one acts at once, as usual.  Only the main thread may take signals: elsewhere the
    block changes nothing.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self):
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def _note(self, number, frame):
        self.signal = number
        self._restore()
        # Not print(): the signal may have come in the middle of one.
        with contextlib.suppress(OSError):
            os.write(2, b"\nstopping after this step; once more: at once\n")

    def _restore(self):
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def __exit__(self, *exception):
        self._restore()

"""A student's function in a process of its own (worker.py), stopped when it goes too far.

The process has a few seconds for a call and little memory; it is killed with the exercise. What
comes out of it is text from a stranger: looked at, never run. What it does to NumPy, to itself, to
its output hurts this exercise alone.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from grading.guard import SPOILED, TESTS

WORKER = Path(TESTS) / "grading" / "worker.py"
MAX_REPLY = 8 * 2**20  # bytes
MAX_PRINTED = 3000

FORGED = ("wrote into the grader's connection", "print() is for text")
ENDLESS = "a loop that never ends (what changes its condition?), or far too slow"
SLOW = "far too slow: a loop in a loop where one would do?"


@dataclass(frozen=True)
class Limits:
    call: float = 5.0  # seconds of a call (and of running the file itself)
    exercise: float = 30.0  # seconds of all calls of an exercise
    start: float = 60.0  # seconds until Python and NumPy are there, however busy the machine is
    memory: int = 2**30  # bytes, with Python and NumPy


class Isolated:
    """Calls `function` of the file `path`, as InProcess does; the first call starts the process."""

    def __init__(self, path: Path, function: str, limits: Limits | None = None):
        self.path, self.function = Path(path).resolve(), function
        self.limits = limits or Limits()
        self.process = None
        self.left = self.limits.exercise  # seconds
        self.end = None  # the reply to everything, once the process is gone
        self.broke_loading = self.killed = False
        self.output = bytearray()

    def call(self, request) -> dict:
        if self.process is None:
            self._start()
        if self.end is not None:
            return self.end
        began = time.monotonic()
        reply = self._exchange(request, min(self.limits.call, self.left))
        self.left -= time.monotonic() - began
        if reply["kind"] in ("ready", "loaded"):  # said before, so somebody else says it
            reply = stopped(*FORGED)
        if reply["kind"] == "stopped":
            self.end = reply
            self._kill()
        return reply

    def close(self) -> str:
        """End the process; what it has printed, its beginning at least."""
        if self.process is not None:
            self._kill()
            self.process.wait()
            self.reader.join(timeout=1)
            for stream in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(OSError):  # the pipe of a process that is gone
                    stream.close()
        return self.output[:MAX_PRINTED].decode("utf-8", "replace")

    def _start(self):
        kept = ("PATH", "HOME", "LANG", "SYSTEMROOT", "APPDATA", "USERPROFILE", "LD_LIBRARY_PATH")
        environment = {k: os.environ[k] for k in kept if k in os.environ}
        one_thread = {f"{k}_NUM_THREADS": "1" for k in ("OMP", "OPENBLAS", "MKL")}
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-X", "utf8", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.path.parent,
            env={**environment, **one_thread, "PYTHONHASHSEED": "0"},
            start_new_session=os.name == "posix",  # so that all of it can be killed
        )
        self.reader = threading.Thread(target=self._collect, args=[self.process.stderr])
        self.reader.daemon = True
        self.reader.start()
        ready = self._exchange(None, self.limits.start)
        if ready["kind"] != "ready":
            printed = self.close()
            raise RuntimeError(f"the process for an exercise doesn't start: {ready}\n{printed}")
        start = {
            "file": str(self.path),
            "function": self.function,
            "memory": self.limits.memory,
            "cpu": int(self.limits.exercise + 2 * self.limits.call) + 5,
        }
        loaded = self._exchange(start, self.limits.call)
        if loaded["kind"] != "loaded":
            self.broke_loading = loaded["kind"] == "stopped" or "loading" in loaded
            self.end = {**loaded, "loading": self.broke_loading}
            self._kill()

    def _exchange(self, request, seconds: float) -> dict:
        """Send a line, wait for a line, `seconds` at most."""
        late = threading.Event()

        def stop():
            late.set()
            self._kill()  # which ends the reading below

        timer = threading.Timer(max(seconds, 0.01), stop)
        timer.start()
        try:
            if request is not None:
                self.process.stdin.write(json.dumps(request).encode() + b"\n")
                self.process.stdin.flush()
            line = self.process.stdout.readline(MAX_REPLY + 1)
        except OSError:  # a broken pipe: the process is gone
            line = b""
        finally:
            timer.cancel()
        if line.endswith(b"\n"):
            return checked(line)
        if len(line) > MAX_REPLY:
            return stopped(f"returns too much: more than {MAX_REPLY // 2**20} MB")
        if late.is_set():
            if seconds < self.limits.call:
                return stopped(f"took more than {self.limits.exercise:.3g} seconds in all", SLOW)
            return stopped(f"didn't come back and was stopped after {seconds:.3g} seconds", ENDLESS)
        return self._gone()

    def _gone(self) -> dict:
        try:
            code = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it has closed its output and goes on
            return stopped("closed its connection to the grader")
        if code == SPOILED:
            return stopped("broke Python itself", "were built-in functions or open files replaced?")
        if code >= 0:
            how = f"ended the whole process (exit code {code})"
            return stopped(how, "return the result; don't call exit")
        likely = "a recursion without end?" if code == -getattr(signal, "SIGSEGV", 0) else None
        return stopped(f"ended the whole process ({signal.strsignal(-code)})", likely)

    def _kill(self):
        if self.killed:
            return
        self.killed = True
        try:
            if os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        except (ProcessLookupError, PermissionError):  # gone already
            return

    def _collect(self, stream):
        """Read all that is printed, so that nobody waits; keep its beginning."""
        with stream:
            while chunk := stream.read1(2**16):
                self.output += chunk[: MAX_PRINTED + 1 - len(self.output)]


def stopped(message: str, likely: str | None = None) -> dict:
    return {"kind": "stopped", "message": message, "likely": likely}


def checked(line: bytes) -> dict:
    """The reply in a line, if it is one."""
    spoiled = stopped(*FORGED)
    try:
        reply = json.loads(line)
    except (ValueError, RecursionError):
        return spoiled
    if not isinstance(reply, dict):
        return spoiled
    texts = {"raised": ["error", "message"], "unsendable": ["message"], "stopped": ["message"]}
    wanted = texts.get(reply.get("kind"), []) if isinstance(reply.get("kind"), str) else None
    if wanted is None or not all(isinstance(reply.get(key), str) for key in wanted):
        return spoiled
    if reply["kind"] == "value":
        changed = reply.get("changed")
        if "value" not in reply or not isinstance(changed, list):
            return spoiled
        if not all(isinstance(name, int | str) for name in changed):
            return spoiled
    elif reply["kind"] not in {*texts, "to do", "memory", "ready", "loaded"}:
        return spoiled
    return reply

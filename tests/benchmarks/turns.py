"""Processes that take turns: each side of a case is one, and waits on a pipe while others run.

In one process the libraries' threads would fight for the cores, and a slow minute of the machine
would meet one side only.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from worker import THREADS

HERE = Path(__file__).resolve().parent
PAUSE = 0.05  # seconds between turns: after a product OpenBLAS's threads spin for 0.025
TOLERANCE = 1e-3  # relative, between the sides' losses and norms

# glibc's malloc gives large buffers back to the system at once, and their pages fault again at the
# next step.  Above these thresholds (bytes) it keeps them, as minillm/backend/memory.py makes it.
KEPT = 2**30
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(KEPT), "MALLOC_TRIM_THRESHOLD_": str(KEPT)}


class Worker:
    """A process that runs one side of one case on request: `program SIDE CASE`, and more words."""

    def __init__(self, side, case, program="worker.py", threads: int = THREADS, words=()):
        self.side, self.case = side, case
        # OpenBLAS shall choose its kernel for this processor, as it does for a user.
        left_out = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", *MALLOC)
        environment = {n: value for n, value in os.environ.items() if n not in left_out}
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[name] = str(threads)
        if side == "torch-malloc":
            environment |= MALLOC
        environment["PYTHONPATH"] = os.pathsep.join(  # measure this checkout
            [str(HERE.parents[1]), *filter(None, [environment.get("PYTHONPATH")])]
        )
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / program), side, case, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.library = None

    def ready(self) -> None:
        """Wait until the process is set up, and let it say what it runs on."""
        self.library = self._answer()

    def ask(self, request: str):
        print(request, file=self.process.stdin, flush=True)
        answer = self._answer()
        time.sleep(PAUSE)
        return answer

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:  # the worker has printed its traceback
            raise SystemExit(f"{self.case}: the process for {self.side!r} stopped")
        return json.loads(line)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception) -> None:
        self.process.stdin.close()  # no more requests: the worker ends
        self.process.wait()


def measure(case: str, sides: tuple[str, ...], rounds: int, turn: float) -> dict:
    """{"seconds": {side: one number a round}, "memory": {side: sizes}, "libraries": ...}."""
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(side, case)) for side in sides]
        for worker in workers:
            worker.ready()
        compared = {w.side: w for w in workers if w.side not in ("sgemm", "published")}
        if case != "dropout":  # its result is random
            compare(case, {side: worker.ask("check") for side, worker in compared.items()})
        # The product takes long enough at once.
        counts = [worker.ask(f"warm {0 if worker.side == 'sgemm' else turn}") for worker in workers]
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        for number in range(rounds):
            turns = list(zip(workers, counts, strict=True))
            for worker, count in turns if number % 2 == 0 else reversed(turns):
                seconds[worker.side].append(worker.ask(f"time {count}"))
        return {
            "seconds": seconds,
            "memory": {worker.side: worker.ask("memory") for worker in workers},
            "libraries": {worker.side: worker.library for worker in workers},
        }


def compare(case: str, results: dict[str, dict[str, float]]) -> None:
    """Stop unless all sides computed the same: a ratio of different things means nothing."""
    first, *others = results
    for side in others:
        for name, expected in results[first].items():
            found = results[side][name]
            if not abs(found - expected) <= TOLERANCE * abs(expected):
                raise SystemExit(
                    f"{case}: {name} is {expected} on the side {first!r}, {found} on {side!r}"
                )

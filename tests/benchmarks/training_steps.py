"""How long training steps and their parts take: minillm against PyTorch eager, on the CPU.

    python tests/benchmarks/training_steps.py [--rounds N] [--only NAME ...] [--quick]

Each side of a case is a process of its own (in one process the libraries' threads would fight),
and the processes take turns: while one runs, the others wait on a pipe.  So a slow moment of the
machine meets all of them, and the ratio of the medians is worth more than any single time.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import shapes
from worker import THREADS

HERE = Path(__file__).resolve().parent
PAUSE = 0.05  # seconds between turns: after a product OpenBLAS's threads spin for 0.025
TOLERANCE = 1e-3  # relative, between the sides' losses and norms

CASES = [*shapes.STEPS, *shapes.PARTS, shapes.ADAMW]


class Worker:
    """A process that runs one side of one case on request."""

    def __init__(self, side: str, case: str):
        self.side, self.case = side, case
        # OpenBLAS shall choose its kernel for this processor, as it does for a user.
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
        }
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[name] = str(THREADS)
        environment["PYTHONPATH"] = os.pathsep.join(  # measure this checkout
            [str(HERE.parents[1]), *filter(None, [environment.get("PYTHONPATH")])]
        )
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), side, case],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
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


def measure(case: str, rounds: int, turn: float) -> tuple[dict, dict, dict]:
    """{side: median seconds}, {side: bytes}, {side: library} of one case."""
    sides = ("torch", "blas", "threads") if case in shapes.STEPS else ("torch", "blas")
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(side, case)) for side in sides]
        if case != "dropout":  # its result is random
            compare(case, {worker.side: worker.ask("check") for worker in workers})
        counts = [worker.ask(f"warm {turn}") for worker in workers]
        times: dict[str, list[float]] = {side: [] for side in sides}
        for number in range(rounds):
            turns = list(zip(workers, counts, strict=True))
            for worker, count in turns if number % 2 == 0 else reversed(turns):
                times[worker.side].append(worker.ask(f"time {count}"))
        memory = {worker.side: worker.ask("memory") for worker in workers}
        libraries = {worker.side: worker.library for worker in workers}
    return {side: statistics.median(t) for side, t in times.items()}, memory, libraries


def compare(case: str, results: dict[str, dict[str, float]]) -> None:
    """Stop unless all sides computed the same: a ratio of different things means nothing."""
    expected = results["torch"]
    for side, found in results.items():
        for name, value in expected.items():
            if not abs(found[name] - value) <= TOLERANCE * abs(value):
                raise SystemExit(f"{case}: {name} is {value} in PyTorch, {found[name]} in {side!r}")


def row(case: str, times: dict, memory: dict) -> str:
    cells = [f"{case:<17}", f"{1e3 * times['torch']:9.2f}"]
    for side in ("blas", "threads"):
        if side in times:
            cells += [f"{1e3 * times[side]:9.2f}", f"{times[side] / times['torch']:6.2f}"]
        else:
            cells += [f"{'':9}", f"{'':6}"]
    if case in shapes.STEPS:
        megabytes = [memory[side] for side in ("torch", "blas", "threads")]
        cells += [f"{'-' if m is None else round(m / 2**20):>6}" for m in megabytes]
    return " ".join(cells).rstrip()


HEADER = """
                    PyTorch       ours, BLAS   ours, 2 halves   peak memory in MB:
                         ms        ms  ratio        ms  ratio PyTorch  BLAS halves"""


def processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="turns of each side (default 9)")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=CASES, default=CASES)
    parser.add_argument("--quick", action="store_true", help="2 short rounds: does it work?")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: expected 1 or more")
    if importlib.util.find_spec("torch") is None:
        raise SystemExit("PyTorch, the peer, is not installed: pip install 'minillm[interop]'")
    rounds, turn = (2, 0.05) if options.quick else (options.rounds, 1.0)
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for number, case in enumerate(name for name in CASES if name in options.only):
        times, memory, libraries = measure(case, rounds, turn)
        if number == 0:
            print(f"{libraries['blas']}; {libraries['torch']}; {rounds} rounds, medians")
            print(HEADER)
        print(row(case, times, memory), flush=True)


if __name__ == "__main__":
    main()

"""Runs many cases in worker processes and tells what became of them.

For a report: PYTHONPATH=tests python -m hostile.campaign 100000
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from hostile.seeds import KINDS


class Tally(NamedTuple):
    """What became of the cases of a kind.  failed: those that did neither open nor get refused."""

    kind: str
    outcomes: Counter
    failed: list[dict]
    slowest: dict
    largest: dict

    def __str__(self):
        counts = ", ".join(f"{self.outcomes[o]} {o}" for o in ("opened", "refused", "failed"))
        return (
            f"{self.kind:15} {counts}; slowest {self.slowest['seconds']:.2f} s (case "
            f"{self.slowest['number']}), largest {self.largest['megabytes']:.0f} MB beyond its "
            f"files (case {self.largest['number']})"
        )


def run(kind: str, cases: int, first: int = 0) -> Tally:
    """Cases `first` to first + cases of a kind; a process that dies fails its case, and the next
    goes on behind it."""
    rows: list[dict] = []
    stop = first + cases
    with tempfile.TemporaryDirectory() as folder:
        while first < stop:
            done, died = _run_worker(kind, first, stop, folder)
            rows += done
            first = stop if died is None else died["number"] + 1
            if died is not None:
                rows.append(died)
    return Tally(
        kind,
        Counter(row["outcome"] for row in rows),
        [row for row in rows if row["outcome"] == "failed"],
        max(rows, key=lambda row: row["seconds"]),
        max(rows, key=lambda row: row["megabytes"]),
    )


def _run_worker(kind: str, first: int, stop: int, folder: str) -> tuple[list[dict], dict | None]:
    """(what the worker wrote of its cases, the case in which it died or None)."""
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root / "tests"), str(root)])}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    arguments = [sys.executable, "-m", "hostile.worker", kind, str(first), str(stop), folder]
    process = subprocess.run(arguments, env=environment, stdout=subprocess.PIPE, check=False)
    lines = process.stdout.decode().splitlines()
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    if process.returncode == 0:
        return rows, None
    begun = [int(line) for line in lines if line.isdecimal()]
    if not begun:
        raise RuntimeError(f"the worker for {kind} didn't begin: status {process.returncode}")
    name = signal.Signals(-process.returncode).name if process.returncode < 0 else "an error"
    what = f"the process ended by {name}"
    died = {"number": begun[-1], "seed": "?", "outcome": "failed", "what": what, "bytes": 0}
    return rows, died | {"seconds": 0.0, "megabytes": 0.0}


def main() -> None:
    cases = int(sys.argv[1]) // len(KINDS)
    total: Counter = Counter()
    for kind in KINDS:
        tally = run(kind, cases)
        total += tally.outcomes
        print(tally, flush=True)
        for row in tally.failed[:20]:
            print("   ", row, flush=True)
    print(f"{sum(total.values())} cases: {dict(total)}")


if __name__ == "__main__":
    main()

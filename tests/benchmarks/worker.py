"""One side of one case, in a process of its own: waits on a pipe, runs when it is its turn.

    python worker.py SIDE CASE          SIDE: blas, threads (both are minillm) or torch

Each line on standard input is a request, answered by one line of JSON:
    check           -> numbers that must be equal on all sides
    warm SECONDS    -> runs that long, unmeasured; then how many repetitions fill a turn of that
                       length
    time COUNT      -> seconds that one of COUNT repetitions took
    memory          -> bytes, the largest at any time, beyond what the imports took
"""

import json
import sys
import time
from pathlib import Path

THREADS = 2  # for each side


def largest_memory() -> int | None:
    """The largest resident size of this process so far (Linux; None elsewhere)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def seconds_of(run, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - began) / count


def make(side: str, case: str):
    """The case and what runs it, in words."""
    import numpy
    from threadpoolctl import threadpool_info

    if side == "torch":
        import torch
        import with_torch

        torch.set_num_threads(THREADS)
        library = f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"
        before = largest_memory()
        return with_torch.make(case), library, before
    import with_minillm

    blas = ", ".join(
        f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')} "
        f"({pool['num_threads']} threads)"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    )
    before = largest_memory()
    made = with_minillm.make(case, THREADS if side == "threads" else 1)
    return made, f"NumPy {numpy.__version__}, {blas}", before


def main(side: str, case: str) -> None:
    made, library, before = make(side, case)
    print(json.dumps(library), flush=True)
    for request in sys.stdin:
        action, _, number = request.strip().partition(" ")
        if action == "check":
            answer = {name: float(value) for name, value in made.check().items()}
        elif action == "warm":
            deadline, single = time.perf_counter() + float(number), None
            while single is None or time.perf_counter() < deadline:
                single = seconds_of(made.run, 1)
            answer = max(1, round(float(number) / single))
        elif action == "time":
            made.run()  # the other process had the caches
            answer = seconds_of(made.run, int(number))
        else:
            answer = None if before is None else largest_memory() - before
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

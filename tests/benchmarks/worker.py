"""One side of one case, in a process of its own: waits on a pipe, runs when it is its turn.

    python worker.py SIDE CASE          SIDE and CASE: see training_steps.py

Each line on standard input is a request, answered by one line of JSON:
    check           -> numbers that must be equal on all sides
    warm SECONDS    -> runs that long, unmeasured; then how many repetitions fill a turn of that
                       length
    time COUNT      -> seconds that one of COUNT repetitions took
    memory          -> bytes, see memory.py
"""

import json
import sys
import time

import numpy as np
from memory import Memory

THREADS = 2  # for each side
PRODUCT = 4096  # rows and columns of the matrices whose product shows what the machine can do


class Product:
    """C = A B in float32: the speed that a step's matrix products could have at best."""

    def __init__(self):
        self.A, self.B = np.random.default_rng(0).random((2, PRODUCT, PRODUCT), np.float32)
        self.C = np.empty_like(self.A)

    def run(self) -> None:
        np.matmul(self.A, self.B, out=self.C)


def seconds_of(run, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - began) / count


def make(side: str, case: str):
    """The case, and what runs it, in words."""
    if side in ("torch", "torch-malloc", "published"):
        import torch
        import with_torch

        torch.set_num_threads(THREADS)
        library = f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"
        return with_torch.make(case, published=side == "published"), library
    from threadpoolctl import threadpool_info

    blas = ", ".join(
        f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')} "
        f"({pool['num_threads']} threads)"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    )
    library = f"NumPy {np.__version__}, {blas}"
    if side == "sgemm":
        return Product(), library
    import with_minillm

    ways = {"ours-2": {"processes": 2}, "ours-threads": {"threads": 2}}
    return with_minillm.make(case, **ways.get(side, {})), library


def main(side: str, case: str) -> None:
    made, library = make(side, case)
    memory = Memory()
    print(json.dumps(library), flush=True)
    for request in sys.stdin:
        action, _, number = request.strip().partition(" ")
        if action == "check":
            answer = {name: float(value) for name, value in made.check().items()}
        elif action == "warm":
            if hasattr(made, "forget"):
                made.forget()
            memory.hold()
            deadline, single = time.perf_counter() + float(number), None
            while single is None or time.perf_counter() < deadline:
                single = seconds_of(made.run, 1)
            answer = max(1, round(float(number) / single))
        elif action == "time":
            if int(number) > 3:  # else it matters little that another process had the caches
                made.run()
            answer = seconds_of(made.run, int(number))
        else:
            answer = memory.report()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

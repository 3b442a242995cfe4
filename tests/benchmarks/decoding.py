"""How long a token takes to write, batch 1: minillm against plain PyTorch with a cache, on the CPU.

    python tests/benchmarks/decoding.py [--rounds N] [--only NAME ...] [--threads N] [--quick]

As in training_steps.py each side is a process of its own and the processes take turns.
"""

import argparse
import contextlib
import importlib.util
import os
import platform
import statistics

from decoding_sides import CASES, POSITIONS
from training_steps import processor
from turns import TOLERANCE, Worker

SIDES = ("torch", "minillm")


def start(side: str, case: str, threads: int) -> Worker:
    """A process that writes tokens on request."""
    return Worker(side, case, "decoding_sides.py", threads, words=[str(threads)])


def measure(case: str, rounds: int, count: int, threads: int) -> tuple[dict, dict]:
    """{(side, position): the seconds a token took in each turn}, {side: library}."""
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(start(side, case, threads)) for side in SIDES]
        for worker in workers:
            worker.ready()
        compare(case, *(worker.ask("check") for worker in workers))
        times: dict = {(side, position): [] for side in SIDES for position in POSITIONS}
        for position in POSITIONS:
            for worker in workers:  # not counted: it reads the prompt
                worker.ask(f"time {position} {count}")
        for number in range(rounds):
            for position in POSITIONS:
                for worker in workers if number % 2 == 0 else reversed(workers):
                    seconds = worker.ask(f"time {position} {count}")
                    times[worker.side, position].append(seconds)
        return times, {worker.side: worker.library for worker in workers}


def compare(case: str, theirs: dict, ours: dict) -> None:
    """Stop unless both sides wrote the same."""
    if theirs["tokens"] != ours["tokens"]:
        raise SystemExit(f"{case}: PyTorch wrote {theirs['tokens']}, minillm {ours['tokens']}")
    if abs(theirs["norm"] - ours["norm"]) > TOLERANCE * theirs["norm"]:
        raise SystemExit(f"{case}: logits' norm {theirs['norm']} in PyTorch, {ours['norm']} here")


EARLY, LATE = (f"ms a token from {position:>4}" for position in POSITIONS)
HEADER = f"""
              {EARLY}         {LATE}         late / early
            PyTorch    ours   ratio    PyTorch    ours   ratio    PyTorch   ours"""


def row(case: str, times: dict, choose) -> str:
    """Ratios are PyTorch's time by ours: tokens a second, ours by PyTorch's."""
    value = {key: choose(turns) for key, turns in times.items()}
    cells = [f"{case:<10}"]
    for position in POSITIONS:
        torch, ours = value["torch", position], value["minillm", position]
        cells.append(f"{1e3 * torch:8.2f} {1e3 * ours:7.2f} {torch / ours:7.2f}  ")
    early, late = POSITIONS
    growth = [value[side, late] / value[side, early] for side in SIDES]
    return " ".join(cells) + f"{growth[0]:9.2f} {growth[1]:6.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="turns of each side (default 15)")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=CASES, default=list(CASES))
    parser.add_argument("--threads", type=int, default=2, help="of each side (default 2)")
    parser.add_argument("--quick", action="store_true", help="2 short rounds: does it work?")
    options = parser.parse_args()
    for name in ("rounds", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} {getattr(options, name)}: expected 1 or more")
    if importlib.util.find_spec("torch") is None:
        raise SystemExit("PyTorch, the peer, is not installed: pip install 'minillm[interop]'")
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for number, case in enumerate(name for name in CASES if name in options.only):
        count = 4 if options.quick else 10 if case == "gpt2" else 60
        rounds = 2 if options.quick else options.rounds
        times, libraries = measure(case, rounds, count, options.threads)
        if number == 0:
            print(f"{libraries['minillm']}; {libraries['torch']}; {options.threads} threads each")
            print(f"{rounds} rounds, medians; below each row the fastest turns")
            print(HEADER)
        print(row(case, times, statistics.median))
        print(row("  fastest", times, min), flush=True)


if __name__ == "__main__":
    main()

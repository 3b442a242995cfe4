"""How long training steps and their parts take: minillm against PyTorch eager, on the CPU.

    python tests/benchmarks/training_steps.py [--only NAME ...] [--sides SIDE ...] [--rounds N]
                                              [--json FILE] [--pool FILE ...] [--quick]

README.md in this folder says what the rows are and how they are measured.
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
from pathlib import Path

import flops
import shapes
from turns import KEPT, measure
from worker import PRODUCT

PARTS = [*shapes.PARTS, shapes.ADAMW]
GROUPS = {  # short names for --only
    "a": ["gpt"],
    "b": ["gpt-characters"],
    "c": ["bert-mini"],
    "d": ["lstm"],
    "e": ["minilm-128", "minilm-256"],
    "steps": list(shapes.STEPS),
    "parts": PARTS,
}
NAMES = {
    "torch": "PyTorch",
    "torch-malloc": "PyTorch, memory kept",
    "published": "transformers",
    "ours-1": "minillm, one process",
    "ours-2": "minillm, two processes",
    "ours-threads": "minillm, two threads",
}
OURS = "ours-1", "ours-2", "ours-threads"
USUAL = ["torch", "torch-malloc", "ours-1", "ours-2"]
SIDES_OF_PART = "torch", "torch-malloc", "ours-1"


def describe(case: str) -> str:
    shape = shapes.STEPS[case]
    heads = "" if isinstance(shape, shapes.Recurrent) else f" ({shape.heads} heads)"
    return (
        f"{case}: vocabulary {shape.vocab:,}, {shape.layers} layers of {shape.width}{heads}, "
        f"length {shape.length}, batch {shape.batch}"
    )


def step_lines(case: str, result: dict) -> list[str]:
    """The table of a step: a line for each side, the better of ours marked."""
    shape = shapes.STEPS[case]
    tokens, operations = shape.batch * shape.length, flops.of_step(case)
    medians = {side: statistics.median(s) for side, s in result["seconds"].items()}
    peak = 2 * PRODUCT**3 / medians.pop("sgemm")  # operations a second
    best = min((side for side in OURS if side in medians), key=medians.get, default=None)
    lines = [
        f"\n{describe(case)}; {tokens:,} tokens, {operations / 1e9:.1f} GFLOP; "
        f"sgemm {peak / 1e9:.0f} GFLOP/s",
        f"{'':22} {'ms':>8} {'of rounds':>15} {'tokens/s':>9} {'of sgemm':>8} {'MB':>6} "
        f"{'step MB':>8} {'ratio':>6} {'kept':>6}",
    ]
    for side, median in medians.items():
        rounds, memory = result["seconds"][side], result["memory"][side]
        cells = [
            f"{NAMES[side] + (' *' if side == best else ''):<22}",
            f"{1e3 * median:8.1f}",
            f"{f'{1e3 * min(rounds):.1f}-{1e3 * max(rounds):.1f}':>15}",
            f"{tokens / median:9,.0f}",
            f"{operations / median / peak:8.0%}",
            f"{megabytes(memory['process']):>6}",
            f"{megabytes(memory['step']):>8}",
            *(ratio(median, medians.get(peer)) for peer in ("torch", "torch-malloc")),
        ]
        lines.append(" ".join(cells))
    return lines


def ratio(median: float, peer: float | None) -> str:
    return f"{'-' if peer is None else f'{median / peer:.2f}':>6}"


def megabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 2**20:.0f}"


PARTS_HEADER = f"\n{'':18} {'PyTorch ms':>10} {'kept':>8} {'minillm':>8} {'ratio':>6} {'kept':>6}"


def part_line(case: str, result: dict) -> str:
    torch, kept, ours = (statistics.median(result["seconds"][side]) for side in SIDES_OF_PART)
    return (
        f"{case:<18} {1e3 * torch:10.2f} {1e3 * kept:8.2f} {1e3 * ours:8.2f} "
        f"{ours / torch:6.2f} {ours / kept:6.2f}"
    )


def report(case: str, result: dict, header: bool) -> None:
    """Print a row; header: it is the first of the parts."""
    if case in shapes.STEPS:
        print("\n".join(step_lines(case, result)), flush=True)
    else:
        print((PARTS_HEADER + "\n" if header else "") + part_line(case, result), flush=True)


def pooled(files: list[str]) -> dict[str, dict]:
    """{case: result} of several runs: the rounds of all, the largest memory of any."""
    together: dict[str, dict] = {}
    for file in files:
        for case, result in json.loads(Path(file).read_text())["results"].items():
            if case not in together:
                together[case] = result
                continue
            known = together[case]
            for side, rounds in result["seconds"].items():
                known["seconds"].setdefault(side, []).extend(rounds)
                sizes = known["memory"].setdefault(side, result["memory"][side])
                for name, size in result["memory"][side].items():
                    sizes[name] = max(filter(None, (sizes[name], size)), default=None)
    return together


def processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def chosen(words: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """The cases that --only names, each once, in our order."""
    wanted = []
    for word in ",".join(words).split(","):
        if word and word not in GROUPS and word not in shapes.STEPS and word not in PARTS:
            names = ", ".join([*GROUPS, *shapes.STEPS, *PARTS])
            parser.error(f"--only {word}: expected some of {names}")
        wanted += GROUPS.get(word, [word])
    return [case for case in [*shapes.STEPS, *PARTS] if case in wanted]


def sides_of(case: str, wanted: list[str]) -> list[str]:
    """The sides of a case that are measured; with a step, what the machine can do at best."""
    if case in PARTS:
        return list(SIDES_OF_PART)
    if not case.startswith("minilm"):  # the only cases that transformers has, too
        wanted = [side for side in wanted if side != "published"]
    return ["sgemm", *(side for side in NAMES if side in wanted)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side (default 7)")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", default=["steps"], help="rows: a,c or gpt bert-mini"
    )
    parser.add_argument("--json", metavar="FILE", help="write all rounds to FILE, too")
    parser.add_argument(
        "--pool", nargs="+", metavar="FILE", help="measure nothing: the rounds in these files"
    )
    parser.add_argument(
        "--sides",
        nargs="+",
        metavar="SIDE",
        choices=list(NAMES),
        default=USUAL,
        help=f"of the steps (default: {' '.join(USUAL)}); further: ours-threads, published",
    )
    parser.add_argument("--quick", action="store_true", help="2 short rounds: does it work?")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: expected 1 or more")
    cases = chosen(options.only, parser)
    if options.pool:
        results = pooled(options.pool)
        cases = [case for case in [*shapes.STEPS, *PARTS] if case in results]
    first_part = next((case for case in cases if case in PARTS), None)
    if options.pool:
        for case in cases:
            report(case, results[case], case == first_part)
        return
    if importlib.util.find_spec("torch") is None:
        raise SystemExit("PyTorch, the peer, is not installed: pip install 'minillm[interop]'")
    rounds, turn = (2, 0.05) if options.quick else (options.rounds, 1.0)
    machine = f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(machine)
    results = {}
    for case in cases:
        sides = sides_of(case, options.sides)
        result = measure(case, sides, rounds, turn)
        if not results:
            libraries = "; ".join(sorted(set(result["libraries"].values())))
            print(f"{libraries}; medians of {rounds} rounds")
            print(f"'kept': with MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ of {KEPT:,}")
        report(case, result, case == first_part)
        results[case] = result
        if options.json:
            text = json.dumps({"machine": machine, "results": results}, indent=1)
            Path(options.json).write_text(text + "\n")


if __name__ == "__main__":
    main()

"""What a training step of a GPT costs as the model grows: one measure at a time, as a picture.

    python tests/benchmarks/cost_curve.py [--only width ...] [--rounds N] [--json FILE] [--out PNG]

Width, length, layers, batch and vocabulary are varied, each around the same small GPT.  Beside the
measured times stands what the formula of flops.py asks for: at the speed of the small GPT itself
(so that only the slopes are compared), and at that of one large matrix product (the least that a
step could take).  Two of the trainer's ways are measured: one process, whose BLAS has both cores,
and two processes with half of the batch each.  A point is the fastest of its steps in any round:
what else happens on the machine can only add to that.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

THREADS = "2"  # of BLAS; before NumPy is imported
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = THREADS
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # measure this checkout

import flops  # noqa: E402
import shapes  # noqa: E402
import with_minillm  # noqa: E402
from worker import PRODUCT, Product, seconds_of  # noqa: E402

from minillm import optim  # noqa: E402

BASE = shapes.Transformer(vocab=2048, width=256, layers=4, heads=8, length=128, batch=8)
HEAD = BASE.width // BASE.heads  # columns of a head: a wider model has more of them
VALUES = {
    "width": (64, 128, 256, 512, 1024),
    "length": (16, 32, 64, 128, 256, 512),
    "layers": (1, 2, 4, 8, 16),
    "batch": (2, 4, 8, 16, 32, 64),
    "vocab": (128, 512, 2048, 8192, 32768),
}
WAYS = (1, 2)  # processes
NAMES = {1: "one process", 2: "two processes"}
TURN, REPETITIONS = 1.0, 3  # a turn ends after this many seconds or repetitions
PAUSE = 0.05  # seconds: after a product OpenBLAS's threads spin for 0.025


def shape_of(measure: str, value: int) -> shapes.Transformer:
    """The base with one measure changed."""
    if measure == "width":
        return replace(BASE, width=value, heads=value // HEAD)
    return replace(BASE, **{measure: value})


def seconds_of_step(shape: shapes.Transformer, processes: int) -> float:
    """The fastest of a few steps, after two that aren't counted."""
    model = with_minillm.load(with_minillm.gpt(shape))
    step = with_minillm.Step(model, shapes.gpt_batch(shape), optim.AdamW, processes)
    with step.micro_batches:
        for _ in range(2):
            step.run()
        times = [seconds_of(step.run, 1)]
        while sum(times) < TURN and len(times) < REPETITIONS:
            times.append(seconds_of(step.run, 1))
    time.sleep(PAUSE)
    return min(times)


def measure_round(measures: list[str], rounds: dict) -> None:
    """Every point once; `rounds` gets its seconds, {measure: {value: {processes: [...]}}}."""
    rounds.setdefault("sgemm", []).append(min(seconds_of(Product().run, 1) for _ in range(3)))
    base = {}  # it belongs to every measure, but is measured once
    for measure in measures:
        for value in VALUES[measure]:
            for processes in WAYS:
                is_base = value == getattr(BASE, measure)
                if is_base and processes in base:
                    seconds = base[processes]
                else:
                    seconds = seconds_of_step(shape_of(measure, value), processes)
                if is_base:
                    base[processes] = seconds
                points = rounds.setdefault(measure, {}).setdefault(str(value), {})
                points.setdefault(str(processes), []).append(seconds)


def milliseconds(rounds: dict, measure: str, value: int, processes: int) -> float:
    """The fastest of all rounds; the base is a point of every measure."""
    if value == getattr(BASE, measure):
        points = [rounds[m][str(getattr(BASE, m))] for m in VALUES if m in rounds]
    else:
        points = [rounds[measure][str(value)]]
    return 1e3 * min(seconds for point in points for seconds in point[str(processes)])


class Curve:
    """One measure: values, milliseconds of both ways, and of the formula."""

    def __init__(self, measure: str, rounds: dict):
        self.measure, self.values = measure, VALUES[measure]
        self.measured = {
            processes: [milliseconds(rounds, measure, v, processes) for v in self.values]
            for processes in WAYS
        }
        operations = [flops.gpt(shape_of(measure, value)) for value in self.values]
        place = self.values.index(getattr(BASE, measure))
        at_base = min(self.measured[processes][place] for processes in WAYS)
        self.formula = [at_base * n / operations[place] for n in operations]
        speed = 2 * PRODUCT**3 / min(rounds["sgemm"]) / 1e3  # an ms
        self.least = [n / speed for n in operations]

    def lines(self) -> list[str]:
        best = [min(both) for both in zip(*self.measured.values(), strict=True)]
        lines = [
            f"\n{self.measure:>7} {'1 process':>11} {'2 processes':>11} {'formula':>9} "
            f"{'of sgemm':>8}   times what the value before takes (formula)"
        ]
        for i, value in enumerate(self.values):
            step = ""
            if i:
                grown = best[i] / best[i - 1], self.formula[i] / self.formula[i - 1]
                step = f"{grown[0]:.2f} ({grown[1]:.2f})"
            lines.append(
                f"{value:7,} {self.measured[1][i]:11.1f} {self.measured[2][i]:11.1f} "
                f"{self.formula[i]:9.1f} {self.least[i] / best[i]:8.0%}   {step}"
            )
        return lines


def draw(curves: list[Curve], out: str) -> None:
    """A panel for each curve, both axes logarithmic: a power of the measure is a straight line."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    figure, axes = plt.subplots(2, 3, figsize=(10, 6), layout="constrained")
    for axis, curve in zip(axes.flat, curves, strict=False):
        axis.plot(curve.values, curve.formula, "--", color="0.4", label="formula, from the base on")
        axis.plot(curve.values, curve.least, ":", color="0.4", label="formula, at sgemm's speed")
        for processes, marker, color in ((1, "o", "tab:blue"), (2, "s", "tab:orange")):
            axis.plot(
                *(curve.values, curve.measured[processes], marker),
                color=color,
                markersize=5,
                label=f"measured, {NAMES[processes]}",
            )
        axis.set(xscale="log", yscale="log", title=curve.measure)
        axis.set_xticks(curve.values, [f"{value:,}" for value in curve.values], fontsize=8)
        axis.xaxis.minorticks_off()
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.grid(alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel("ms a step")
    for axis in list(axes.flat)[len(curves) :]:
        axis.axis("off")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    base = (
        f"Base: a GPT of {BASE.layers} layers of {BASE.width},\nvocabulary {BASE.vocab:,}, "
        f"length {BASE.length}, batch {BASE.batch};\nin each panel one measure changes."
    )
    axes.flat[-1].legend(handles, labels, loc="center", title=base, frameon=False)
    figure.savefig(out, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(VALUES), default=list(VALUES))
    parser.add_argument("--rounds", type=int, default=3, help="0: only draw what is in --json")
    parser.add_argument(
        "--json", metavar="FILE", help="keep all rounds here; those already in it count, too"
    )
    parser.add_argument("--out", metavar="PNG", default="cost_curve.png", help="the picture")
    options = parser.parse_args()
    rounds: dict = {}
    if options.json and Path(options.json).exists():
        rounds = json.loads(Path(options.json).read_text())
    for _ in range(options.rounds):
        measure_round([measure for measure in VALUES if measure in options.only], rounds)
        if options.json:
            Path(options.json).write_text(json.dumps(rounds, indent=1) + "\n")
    curves = [Curve(measure, rounds) for measure in VALUES if measure in rounds]
    if not curves:
        parser.error("--rounds 0 needs the --json FILE of an earlier run")
    for curve in curves:
        print("\n".join(curve.lines()))
    draw(curves, options.out)
    print(f"\n{options.out}")


if __name__ == "__main__":
    main()

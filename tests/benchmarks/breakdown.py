"""Where the time of one of our training steps goes, function by function.

    python tests/benchmarks/breakdown.py bert-mini [--threads 2] [--steps 5]

The names are those of the rows of training_steps.py; the table is that of `minillm.profile()`.
"""

import argparse
import os
import sys
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "2"  # BLAS reads them when NumPy is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # measure this checkout

import shapes  # noqa: E402
import with_minillm  # noqa: E402

import minillm  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", choices=list(shapes.STEPS))
    parser.add_argument("--threads", type=int, default=1, choices=(1, 2), help="the trainer's")
    parser.add_argument("--steps", type=int, default=5, help="that are measured, after two others")
    options = parser.parse_args()
    step = with_minillm.make(options.case, threads=options.threads)
    for _ in range(2):
        step.run()
    with minillm.profile() as profile:
        for _ in range(options.steps):
            step.run()
    print(f"{options.case}, threads={options.threads}, {options.steps} steps")
    print(profile)


if __name__ == "__main__":
    main()

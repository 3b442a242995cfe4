"""A long run stays as small as it was: memory, open files, and a file of metrics without a gap.

The suite runs a short one.  The long one, 20,000 steps (some minutes):

    MINILLM_SOAK=20000 pytest tests/training/test_soak.py -s
"""

import gc
import os
import sys
from pathlib import Path

from toy_run import make_trainer, objective

from minillm.training import checkpoints, read_metrics

STEPS = int(os.environ.get("MINILLM_SOAK", "400"))
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def state() -> dict[str, int]:
    """What this process holds; resident memory and open files where Linux tells them."""
    gc.collect()
    process = Path("/proc/self")
    known = process.is_dir()
    return {
        "blocks of Python": sys.getallocatedblocks(),
        "resident bytes": int((process / "statm").read_text().split()[1]) * PAGE if known else 0,
        "open files": len(list((process / "fd").iterdir())) if known else 0,
    }


def test_a_long_run_holds_memory_and_files_flat(device, tmp_path):
    marks = {STEPS // 10: {}, STEPS // 2: {}, STEPS - 1: {}}
    steps_begun = iter(range(STEPS))

    def watched(model, batch):
        step = next(steps_begun)
        if step in marks:
            marks[step] = state()
        return objective(model, batch)

    trainer = make_trainer(
        objective=watched,
        device=device,
        steps=STEPS,
        out=tmp_path,
        checkpoint_every=max(STEPS // 40, 10),
        validate_every=max(STEPS // 40, 10),
        monitor="-loss",
    )
    history = trainer.run()
    for step, found in marks.items():
        print(f"step {step:,}: " + ", ".join(f"{n} {v:,}" for n, v in found.items()))
    first, _, last = marks.values()
    # Caches fill up (tokens of the regular expressions, free lists): a little, and not by step.
    assert last["blocks of Python"] - first["blocks of Python"] < 1000
    assert last["resident bytes"] - first["resident bytes"] < 8 << 20
    assert last["open files"] == first["open files"]
    records = read_metrics(tmp_path / "metrics.jsonl")
    assert [record["step"] for record in records] == list(range(1, STEPS + 1))
    assert history == records
    assert len(checkpoints(tmp_path)) == 2
    assert not list(tmp_path.glob(".tmp-*"))

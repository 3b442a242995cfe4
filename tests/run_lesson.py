"""Run a lesson as a reader would, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

LESSONS = Path(__file__).parents[1] / "lessons"


def run_lesson(name, *arguments, cwd):
    """`python lessons/NAME.py ARGUMENTS` in the folder `cwd`, with what it printed as text."""
    return subprocess.run(
        [sys.executable, str(LESSONS / f"{name}.py"), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "MINILLM_TRACEBACK"},
    )

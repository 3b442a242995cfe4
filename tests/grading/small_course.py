"""A course of a few one-line exercises in a folder of its own, to try the grading on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from grading.scoreboard import read_report

TESTS = Path(__file__).parents[1]

STUB = '''
def {name}(x):
    """Twice x: f(x) = 2 x. Example: 2 * 3 = 6.

    Difficulty: {points} of 3. Lesson 99, section 1.
    """
    raise NotImplementedError("to do")
'''
GRADER = """
def test_{name}(answer):
    answer.equals(3.0)
    answer.equals(np.arange(3.0))
    answer.equals(rng("{name}").normal(size=(2, 3)))
"""
SOLUTION = "\ndef {name}(x):\n    return 2 * np.asarray(x)\n"
MISTAKE = """
@mistake("{name}", "add it to itself, don't square it")
def {name}(x):
    return x * x
"""


class Course:
    """Sets of exercises that all ask for twice x; points 1, 2, 3, 1, 2, 3 ..."""

    def __init__(self, root: Path, sets: dict[str, list[str]]):
        self.root = root
        grading, exercises = root / "tests" / "grading", root / "tests" / "exercises"
        exercises.mkdir(parents=True)
        skip = shutil.ignore_patterns("ex[0-9]*", "test_*", "__pycache__")
        shutil.copytree(TESTS / "grading", grading, ignore=skip)
        shutil.copy(TESTS / "exercises" / "conftest.py", exercises)
        (root / "pyproject.toml").write_text(
            "[tool.pytest.ini_options]\n"
            'addopts = "--import-mode=importlib"\n'
            'pythonpath = ["tests"]\n'
        )
        (root / "lessons" / "exercises").mkdir(parents=True)
        for set_name, names in sets.items():
            self._write(f"lessons/exercises/{set_name}.py", "", STUB, names)
            graders = "import numpy as np\nfrom grading.answer import rng\n"
            self._write(f"tests/exercises/test_{set_name}.py", graders, GRADER, names)
            self._write(
                f"tests/grading/solutions/{set_name}.py", "import numpy as np\n", SOLUTION, names
            )
            mistakes = "from grading.mistakes import mistake\n"
            self._write(f"tests/grading/mistakes/{set_name}.py", mistakes, MISTAKE, names)

    def _write(self, path, head, template, names):
        parts = [template.format(name=n, points=1 + i % 3) for i, n in enumerate(names)]
        (self.root / path).write_text("\n".join([head, *parts]))

    def run(self, *arguments, target="tests/exercises"):
        """pytest in the course's folder."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
        return subprocess.run(
            [sys.executable, "-m", "pytest", target, "-q", "-p", "no:cacheprovider"]
            + [str(a) for a in arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            env={**kept, "PYTHONPATH": str(TESTS.parent)},
        )

    def grade(self, submission: Path, *arguments):
        """(the finished process, the report) of a submission."""
        report = self.root / "grades.json"
        run = self.run("--submission", submission, "--report", report, *arguments)
        return run, read_report(report)

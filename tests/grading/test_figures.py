"""`python -m grading.figures`: the counts, and an exit code that says whether all is well."""

import os
import subprocess
import sys

import pytest

from grading.small_course import TESTS, Course


@pytest.fixture
def course(tmp_path):
    return Course(tmp_path / "course", {"ex01_small": ["one", "two"], "ex02_other": ["three"]})


def figures(course):
    run = subprocess.run(
        [sys.executable, "-m", "grading.figures"],
        cwd=course.root / "tests",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
    )
    lines = run.stdout.splitlines()
    return run.returncode, {line.split()[0]: line.split()[1:] for line in lines[1:]}


def test_all_is_well(course):
    code, table = figures(course)
    assert code == 0
    assert table["ex01_small"] == ["3", "2", "2", "2", "2", "6", "0"]
    assert table["all"] == ["4", "3", "3", "3", "3", "9", "0"]


def test_a_grader_that_lets_a_mistake_pass_is_counted(course):
    """2 * 2 is 2 ** 2, and a single case can't tell a rule from its one answer."""
    path = course.root / "tests" / "exercises" / "test_ex02_other.py"
    path.write_text("def test_three(answer):\n    answer.equals(2.0)\n")
    code, table = figures(course)
    assert code == 1
    # points, stubs, solutions, mistakes caught, named, non-answers caught, alternatives
    assert " ".join(table["ex02_other"]) == "1 1 1 0 of 1 0 of 1 2 of 3 0"

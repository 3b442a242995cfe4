"""`pytest tests/exercises` as students and teachers use it, in a process of its own."""

import json
import subprocess
import sys

import pytest

from grading.small_course import TESTS, Course

RIGHT = """
import numpy as np
def one(x): return 2 * x
def two(x): return [two(v) for v in x] if np.ndim(x) else 2 * x
"""
WRONG = """
def one(x): return 2 * x
def three(x):
    print("x is", x)
    return x * x
"""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    root = tmp_path_factory.mktemp("course")
    return Course(root, {"ex01_small": ["one", "two", "three"], "ex02_other": ["four"]})


@pytest.fixture
def folder(course, tmp_path):
    """A student's empty folder."""
    folder = tmp_path / "ada"
    folder.mkdir()
    return folder


def test_untouched_stubs_are_all_to_do(course):
    run = course.run()
    assert run.returncode == 0
    assert "4 skipped" in run.stdout
    assert "ex01_small      0      0      3     0 of 6" in run.stdout
    assert "all             0      0      4     0 of 7" in run.stdout


def test_an_empty_folder_is_all_to_do(course, folder):
    run, report = course.grade(folder)
    assert run.returncode == 0
    assert (report["to do"], report["points"], report["max_points"]) == (4, 0, 7)


def test_a_right_submission(course, folder):
    (folder / "ex01_small.py").write_text(RIGHT + "three = one\n")
    (folder / "ex02_other.py").write_text("four = lambda x: x + x\n")
    run, report = course.grade(folder)
    assert run.returncode == 0
    assert (report["done"], report["points"]) == (4, 7)
    assert {e["status"] for e in report["exercises"]} == {"done"}


def test_a_wrong_answer(course, folder):
    """Exit code 1; the message has the case, both values, the mistake's name and what was printed;
    no traceback. The report has it all; what isn't there is to do."""
    (folder / "ex01_small.py").write_text(WRONG)
    run, report = course.grade(folder)
    assert run.returncode == 1
    for line in (
        "three gives a wrong value",
        "case      three(x=3.0)",
        "yours     9.0",
        "expected  6.0",
        "likely    add it to itself, don't square it",
        "printed   x is 3.0",
    ):
        assert line in run.stdout
    assert "Traceback" not in run.stdout and "def test_" not in run.stdout
    assert report == {
        "submission": str(folder),
        "done": 1,
        "wrong": 1,
        "to do": 2,
        "points": 1,
        "max_points": 7,
        "exercises": [
            _row("ex01_small", "one", "done", 1, 1),
            _row("ex01_small", "two", "to do", 0, 2),
            _row(
                "ex01_small",
                "three",
                "wrong",
                0,
                3,
                "three gives a wrong value; likely: add it to itself, don't square it",
            ),
            _row("ex02_other", "four", "to do", 0, 1),
        ],
    }
    assert "done   one" in run.stdout and "wrong  three" in run.stdout


def _row(set_name, exercise, status, points, most, hint=""):
    return {
        "set": set_name,
        "exercise": exercise,
        "status": status,
        "points": points,
        "max_points": most,
        "hint": hint,
    }


def test_one_set_alone(course, folder):
    """-k as everywhere; the report counts what was graded."""
    (folder / "ex02_other.py").write_text("four = lambda x: x + x\n")
    run, report = course.grade(folder, "-k", "ex02")
    assert run.returncode == 0
    assert [e["exercise"] for e in report["exercises"]] == ["four"]
    assert report["max_points"] == 1


def test_a_class_in_one_line_of_shell(course, tmp_path):
    """The loop of the teacher's page; a class's grades don't depend on each other."""
    for name, text in {"ada": RIGHT, "bob": WRONG, "eve": "import os; os._exit(9)"}.items():
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "ex01_small.py").write_text(text)
    loop = (
        f'for s in {tmp_path}/class/*/; do "{sys.executable}" -m pytest tests/exercises -q'
        ' --submission "$s" --report "$s/grades.json"; done'
    )
    env = {"PYTHONPATH": str(TESTS.parent), "PATH": "/usr/bin:/bin"}
    subprocess.run(["sh", "-c", loop], cwd=course.root, capture_output=True, env=env, check=False)
    points = {
        path.parent.name: json.loads(path.read_text())["points"]
        for path in tmp_path.glob("class/*/grades.json")
    }
    assert points == {"ada": 3, "bob": 1, "eve": 0}


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--submission", "nobody"], "--submission: there is no folder 'nobody'"),
        (["--report", "nowhere/grades.json"], "--report: there is no folder 'nowhere'"),
        (["--report", "tests"], "is a folder"),
        (["--seconds", "0"], "--seconds: 0.0 is not above 0"),
    ],
)
def test_usage_errors(course, arguments, words):
    run = course.run(*arguments)
    assert run.returncode == 4
    assert words in run.stderr


def test_the_report_replaces_a_link_instead_of_following_it(course, folder):
    """A student may not choose which of the teacher's files is overwritten."""
    precious = folder.parent / "precious"
    precious.write_text("keep me")
    (folder / "grades.json").symlink_to(precious)
    course.run("--submission", folder, "--report", folder / "grades.json")
    assert precious.read_text() == "keep me"
    assert json.loads((folder / "grades.json").read_text())["to do"] == 4


def test_odd_files_are_to_do_or_wrong_but_never_an_error(course, folder):
    (folder / "ex01_small.py").mkdir()
    (folder / "ex02_other.py").write_bytes(b"\xff\x00def four(x): return 2 * x")
    run, report = course.grade(folder)
    assert run.returncode == 1
    assert [e["status"] for e in report["exercises"]] == ["to do", "to do", "to do", "wrong"]
    assert "SyntaxError" in report["exercises"][3]["hint"]


def test_a_stub_among_answers_is_to_do(course, folder):
    """Files as students hand them in: stubs for what they skipped, with Windows's line ends."""
    text = (course.root / "lessons" / "exercises" / "ex01_small.py").read_text()
    text = text.replace('raise NotImplementedError("to do")', "return 2 * x", 1)
    (folder / "ex01_small.py").write_bytes(text.replace("\n", "\r\n").encode())
    _, report = course.grade(folder, "-k", "ex01")
    assert [e["status"] for e in report["exercises"]] == ["done", "to do", "to do"]


def test_a_stub_that_is_overwritten_later_counts(course, folder):
    text = (course.root / "lessons" / "exercises" / "ex01_small.py").read_text()
    (folder / "ex01_small.py").write_text(text + "\ntwo = lambda x: 2 * x\n")
    (folder / "helper.py").write_text("def three(x): return 2 * x\n")
    with open(folder / "ex01_small.py", "a") as file:
        file.write("from helper import *\n")
    _, report = course.grade(folder, "-k", "ex01")
    assert [e["status"] for e in report["exercises"]] == ["to do", "done", "done"]


def test_a_file_under_a_wrong_name_is_pointed_out(course, folder):
    (folder / "ex01_Small (1).py").write_text(RIGHT)
    run, report = course.grade(folder)
    assert report["to do"] == 4 and report["not_graded"] == ["ex01_Small (1).py"]
    assert "no exercise has this name: ex01_Small (1).py" in run.stdout


def test_the_whole_suite_grades_the_stubs(course):
    """`pytest` from the top finds the options too late: the defaults hold, a table is printed."""
    (course.root / "tests" / "test_of_the_library.py").write_text("def test_it(): pass\n")
    run = course.run(target=".")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 passed, 4 skipped" in run.stdout
    assert "0 of 7" in run.stdout


def test_a_broken_grader_is_the_teachers_problem(tmp_path):
    """It shows as an ordinary failure with its traceback, and as an error in the report."""
    course = Course(tmp_path / "course", {"ex01_small": ["one"]})
    path = course.root / "tests" / "exercises" / "test_ex01_small.py"
    path.write_text("def test_one(answer):\n    return 1 / 0\n")
    (tmp_path / "ada").mkdir()
    run, report = course.grade(tmp_path / "ada")
    assert run.returncode == 1 and "ZeroDivisionError" in run.stdout
    assert report["error"] == 1 and report["exercises"][0]["status"] == "error"


def test_an_answer_that_the_graders_code_trips_over_is_wrong(tmp_path):
    """The grader computes with an array; the student gives a text."""
    course = Course(tmp_path / "course", {"ex01_small": ["one"]})
    path = course.root / "tests" / "exercises" / "test_ex01_small.py"
    path.write_text("def test_one(answer):\n    assert answer(3.0).shape == ()\n")
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "ex01_small.py").write_text("def one(x): return str(x)\n")
    run, report = course.grade(tmp_path / "ada")
    assert report["exercises"][0]["status"] == "wrong"
    assert "yours     '3.0'" in run.stdout and "expected  6.0" in run.stdout


def test_text_that_could_spoil_a_terminal_is_shown_harmlessly(course, folder):
    """Escape sequences, half characters, 10,000 lines: in the value, the exception, the output."""
    (folder / "ex01_small.py").write_text(
        "def one(x): return '\\x1b[2J\\ud800' * 9999\n"
        "def two(x): raise ValueError('\\x1b[2J\\ud800' * 9999)\n"
        "def three(x):\n    print('\\x1b[2J\\n\\ud800' * 9999)\n    return x\n"
    )
    run, report = course.grade(folder)
    assert report["wrong"] == 3
    assert "\x1b" not in run.stdout
    assert len(run.stdout) < 12_000

"""Points and counts, as a table and as a file for a grade book."""

import json
from pathlib import Path

import pytest

from grading.scoreboard import Scoreboard, read_report
from grading.sets import Exercise


def board(statuses):
    board = Scoreboard(Path("class/ada"))
    for i, (set_name, status) in enumerate(statuses):
        row = board.expect(Exercise(set_name, f"task_{i}", "", 1 + i % 3, None))
        row.status, row.hint = status, "because" if status == "wrong" else ""
    return board


STATUSES = [("ex01_a", "done"), ("ex01_a", "wrong"), ("ex01_a", "to do"), ("ex02_b", "done")]


def test_the_table():
    assert board(STATUSES).lines() == [
        "exercises   done  wrong  to do    points",
        "ex01_a         1      1      1     1 of 6",
        "    done   task_0",
        "    wrong  task_1",
        "    to do  task_2",
        "ex02_b         1      0      0     1 of 1",
        "    done   task_3",
        "all            2      1      1     2 of 7",
    ]


def test_a_set_that_nobody_touched_takes_one_line():
    lines = board([("ex01_a", "to do")] * 3).lines()
    assert len(lines) == 2 and lines[1].endswith("0 of 6")


def test_long_lists_are_wrapped():
    assert max(map(len, board([("ex01_a", "done")] * 50).lines())) <= 98


def test_the_report():
    report = json.loads(board(STATUSES).report())
    assert report["submission"] == "class/ada"
    assert (report["done"], report["wrong"], report["to do"]) == (2, 1, 1)
    assert (report["points"], report["max_points"]) == (2, 7)
    assert report["exercises"][1] == {
        "set": "ex01_a",
        "exercise": "task_1",
        "status": "wrong",
        "points": 0,
        "max_points": 2,
        "hint": "because",
    }
    assert sum(e["points"] for e in report["exercises"]) == report["points"]
    assert "error" not in report


def test_an_exercise_without_a_verdict_is_an_error():
    """The grader itself failed: to be seen, not to be counted against the student in silence."""
    unfinished = board(STATUSES)
    unfinished.expect(Exercise("ex02_b", "task_9", "", 3, None))
    report = json.loads(unfinished.report())
    assert report["error"] == 1
    assert report["exercises"][-1]["status"] == "error"
    assert "    error  task_9" in unfinished.lines()


def test_hints_are_ascii_in_the_file():
    """Whatever a student's exception says: any reader of JSON can read the report."""
    odd = board([("ex01_a", "wrong")])
    odd.rows["ex01_a", "task_0"].hint = "你好 \ud800"
    assert odd.report().isascii()
    assert json.loads(odd.report())["exercises"][0]["hint"] == "你好 \ud800"


@pytest.mark.parametrize("change", [(b'"points": 1', b'"points": 3'), (b"task_1", b"task_0")])
def test_grades_that_were_changed_are_noticed(tmp_path, change):
    path = tmp_path / "grades.json"
    path.write_text(board([("ex01_a", "done"), ("ex01_a", "wrong")]).report())
    assert read_report(path)["done"] == 1
    changed = path.read_bytes().replace(*change)
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    with pytest.raises(ValueError, match="grades.json was changed since it was written"):
        read_report(path)


@pytest.mark.parametrize("length", [0, 1, 200])
def test_grades_that_are_cut_off_are_refused(tmp_path, length):
    path = tmp_path / "grades.json"
    path.write_text(board([("ex01_a", "done")]).report()[:length])
    with pytest.raises(ValueError, match="grades.json is damaged"):
        read_report(path)

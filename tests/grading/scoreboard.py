"""Who has done what: the table at the end of a run, and the file for a grade book.

    {"submission": "class/ada", "done": 3, "wrong": 1, "to do": 4, "points": 6, "max_points": 16,
     "exercises": [{"set": "ex03_autograd", "exercise": "softmax", "status": "done", "points": 2,
                    "max_points": 2, "hint": ""}, ...]}

An exercise that the grader itself failed on has the status "error": the teacher's problem, not the
student's.  The last entry, "sha256", is a digest of the others: `read_report` compares it.
"""

import hashlib
import json
import textwrap
from dataclasses import dataclass
from pathlib import Path

from grading.sets import Exercise

STATUSES = ("done", "wrong", "to do")


@dataclass
class Row:
    exercise: Exercise
    status: str = "error"  # until a verdict comes
    hint: str = "the grader failed"

    @property
    def points(self) -> int:
        return self.exercise.points if self.status == "done" else 0


class Scoreboard:
    def __init__(self, submission: Path, not_graded: list[str] | None = None):
        self.submission, self.not_graded = submission, not_graded or []
        self.rows: dict[tuple[str, str], Row] = {}

    def expect(self, exercise: Exercise) -> Row:
        """A row for an exercise that is about to be graded."""
        row = self.rows[exercise.set_name, exercise.name] = Row(exercise)
        return row

    def count(self, status: str, set_name: str | None = None) -> int:
        return sum(row.status == status for row in self._rows(set_name))

    def points(self, set_name: str | None = None) -> tuple[int, int]:
        """(reached, to be reached)"""
        rows = self._rows(set_name)
        return sum(row.points for row in rows), sum(row.exercise.points for row in rows)

    def _rows(self, set_name):
        return [r for r in self.rows.values() if set_name in (None, r.exercise.set_name)]

    def lines(self) -> list[str]:
        """The table: a line for a set, and its exercises where one has been tried."""
        names = list(dict.fromkeys(set_name for set_name, _ in self.rows))
        width = max([len("exercises"), *map(len, names)])
        lines = [f"{'exercises':<{width}}   done  wrong  to do    points"]
        for name in names:
            lines.append(self._line(name, name, width))
            for status in (*STATUSES, "error"):
                some = [r.exercise.name for r in self._rows(name) if r.status == status]
                if some and (status != "to do" or len(some) < len(self._rows(name))):
                    head = f"    {status:<6} "
                    lines += textwrap.wrap(head + ", ".join(some), 98, subsequent_indent=" " * 11)
        if len(names) > 1:
            lines.append(self._line("all", None, width))
        if self.not_graded:
            names = ", ".join(ascii(name)[1:-1] for name in self.not_graded)
            lines += textwrap.wrap(f"not graded, since no exercise has this name: {names}", 98)
        return lines

    def _line(self, title, set_name, width):
        counts = "".join(f"{self.count(status, set_name):>7}" for status in STATUSES)
        reached, most = self.points(set_name)
        return f"{title:<{width}}{counts}   {reached:>3} of {most}"

    def report(self) -> str:
        """The JSON text."""
        reached, most = self.points()
        report = {
            "submission": str(self.submission),
            **{status: self.count(status) for status in STATUSES},
            "points": reached,
            "max_points": most,
            "exercises": [
                {
                    "set": row.exercise.set_name,
                    "exercise": row.exercise.name,
                    "status": row.status,
                    "points": row.points,
                    "max_points": row.exercise.points,
                    "hint": row.hint,
                }
                for row in self.rows.values()
            ],
        }
        if self.not_graded:
            report["not_graded"] = self.not_graded
        if errors := self.count("error"):
            report["error"] = errors
        return json.dumps(report | {"sha256": _digest(report)}, indent=1) + "\n"


def read_report(path: str | Path) -> dict:
    """What a grade file says; ValueError, with the path, if it isn't what was written."""
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        digest = report.pop("sha256")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged, or no file of grades: {error}") from error
    if digest != _digest(report):
        raise ValueError(
            f"{path} was changed since it was written (its digest differs): grade again"
        )
    return report


def _digest(report: dict) -> str:
    return hashlib.sha256(json.dumps(report, sort_keys=True).encode()).hexdigest()

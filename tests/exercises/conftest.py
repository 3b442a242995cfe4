"""The exercises graded, a test for each.

    python -m pytest tests/exercises -k ex03
    python -m pytest tests/exercises --submission class/ada --report class/ada/grades.json

To do is skipped, wrong is failed with a hint and no traceback, and a scoreboard ends the run.
"""

from pathlib import Path

import pytest
from grading import sets
from grading.grade import Verdict, answer_of, verdict_of
from grading.guard import memory_can_be_limited
from grading.isolation import Limits
from grading.scoreboard import Scoreboard
from grading.submission import Submission

from minillm.files import atomic_write

BOARD, SUBMISSION, ROW = pytest.StashKey(), pytest.StashKey(), pytest.StashKey()


def pytest_addoption(parser):
    group = parser.getgroup("exercises")
    group.addoption(
        "--submission",
        metavar="FOLDER",
        help="grade the exNN_*.py files of this folder (default: lessons/exercises)",
    )
    group.addoption("--report", metavar="FILE", help="write the grades to this file, as JSON")
    group.addoption(
        "--seconds",
        type=float,
        default=Limits.call,
        help="how long one call of an answer may take (default: %(default)s)",
    )


def pytest_configure(config):
    # In a run of the whole suite this file is found too late for the options: defaults hold.
    folder = config.getoption("--submission", None)
    report = config.getoption("--report", None)
    if folder is not None and not Path(folder).is_dir():
        raise pytest.UsageError(f"--submission: there is no folder {folder!r}")
    if report is not None and not Path(report).resolve().parent.is_dir():
        raise pytest.UsageError(f"--report: there is no folder {str(Path(report).parent)!r}")
    if report is not None and Path(report).is_dir():
        raise pytest.UsageError(f"--report: {report!r} is a folder, a file is needed")
    folder = sets.STUBS if folder is None else Path(folder)
    seconds = config.getoption("--seconds", Limits.call)
    if not seconds > 0:
        raise pytest.UsageError(f"--seconds: {seconds} is not above 0")
    submission = Submission(folder, Limits(call=seconds, exercise=6 * seconds))
    config.stash[SUBMISSION] = submission
    config.stash[BOARD] = Scoreboard(folder, submission.not_graded())


def pytest_report_header(config):
    if not memory_can_be_limited():
        return "exercises: this system can't limit a process's memory, so answers may take it all"


@pytest.fixture
def answer(request):
    """The student's function behind a counter (grading/answer.py), in a process of its own."""
    set_name = request.path.stem.removeprefix("test_")
    name = request.node.originalname.removeprefix("test_")
    row = request.config.stash[BOARD].expect(sets.exercise(set_name, name))
    request.node.stash[ROW] = row
    caller = request.config.stash[SUBMISSION].caller(set_name, name)
    yield answer_of(set_name, name, caller)
    caller.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    row = item.stash.get(ROW, None)
    if row is None:  # no grader
        return (yield)
    try:
        yield
        verdict = Verdict("done")
    except Exception as error:
        verdict = verdict_of(error, item.funcargs["answer"])
    row.status, row.hint = verdict.status, verdict.hint
    if verdict.status == "to do":
        pytest.skip("to do")
    if verdict.status == "wrong":
        pytest.fail(verdict.message, pytrace=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter, config):
    yield  # the list of what failed comes first
    board = config.stash[BOARD]
    if board.rows:
        terminalreporter.section("scoreboard")
        for line in board.lines():
            terminalreporter.write_line(line)


def pytest_sessionfinish(session):
    report = session.config.getoption("--report", None)
    if report is not None and not session.config.getoption("collectonly"):
        try:
            atomic_write(report, session.config.stash[BOARD].report())
        except OSError as error:  # the old grades are still there
            pytest.exit(f"--report: {error}", pytest.ExitCode.INTERNAL_ERROR)

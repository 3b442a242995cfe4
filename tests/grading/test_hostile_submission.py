"""A folder of the worst answers: each costs its own exercise, the others keep their points."""

import os
import re
from pathlib import Path

import pytest

from grading.small_course import Course

HOSTILE = {
    "loops": ("while True: pass", "stopped after 3 seconds"),
    "loops_in_c": ("return 3 ** 3 ** 25", "stopped after 3 seconds"),
    "exits": ("import sys; sys.exit(0)", "raises SystemExit"),
    "leaves": ("import os; os._exit(0)", "ended the whole process"),
    "takes_memory": ("import numpy; return numpy.ones(20 * 2**30 // 8)", "too much memory"),
    "prints": ("print('spam ' * 2_000_000); return x", "printed   spam spam"),
    "patches_numpy": (
        "import numpy as np; np.isclose = np.array_equal = lambda *a, **k: True; return 0 * x",
        "gives a wrong value",
    ),
    "reads_graders": ("return open(GRADERS).read() and 2 * x", "reads no files"),
    "imports_solutions": (
        "from grading.solutions import ex98_hostile as s; return s.loops(x)",
        "write it by hand",
    ),
    "imports_the_library": ("import minillm; return 2 * x", "write it by hand"),
    "recurses": ("return recurses(x)", "which case stops it?"),
    "recurses_to_death": (
        "import sys; sys.setrecursionlimit(10**9)\n    f = lambda g: g(g)\n    return f(f)",
        "",
    ),
    "generates": ("return (2 * v for v in [x])", "list(...)"),
    "fights": ("return Evil()", "an object of type Evil that resists a look"),
    "is_endless": ("a = [x]; a.append(a); return a", "nested more than"),
    "is_deep": (
        "a = []\n    for _ in range(200_000): a = [a]\n    return a",
        "nested more than",
    ),
    "deletes": ("import os; os.remove(PRECIOUS); return 2 * x", "may not do this"),
    "writes": ("open(PRECIOUS, 'w').write(''); return 2 * x", "writes no files"),
    "starts_programs": ("import os; os.system('touch ' + PWNED); return 2 * x", "may not do this"),
    "kills_the_grader": ("import os; os.kill(os.getppid(), 9)", "may not do this"),
    "writes_garbage": (
        "import os\n    for fd in range(64):\n        try: os.write(fd, b'garbage')\n"
        "        except OSError: pass\n    return 0 * x",
        "grader's connection",
    ),
    "changes_it": ("x *= 2; return x", "work on a copy"),
    "raises_the_worst": ("raise Evil2()", "raises Evil2"),
}
HONEST = {
    "leaves_threads": (
        "import threading, time\n"
        "    threading.Thread(target=lambda: time.sleep(99)).start()\n    return 2 * x"
    ),
    "closes_output": (
        "import sys, os\n    try:\n        print('bye'); sys.stdout.close(); os.close(1)\n"
        "    except Exception: pass\n    return 2 * x"
    ),
    "honest": "return 2 * x",
    "also_honest": "return x + x",
}
HEAD = """
GRADERS, PRECIOUS, PWNED = {paths}

class Evil:
    def __eq__(self, other): return True
    def __getattribute__(self, name): raise SystemExit
    __hash__ = None

class Evil2(BaseException):
    def __str__(self): raise SystemExit
"""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    names = [*HOSTILE, *HONEST]
    return Course(
        tmp_path_factory.mktemp("course"),
        {
            "ex95_loops": ["one", "two", "three"],
            "ex96_patched": ["one"],
            "ex97_broken": ["one", "two"],
            "ex98_hostile": names,
            "ex99_honest": ["one", "two"],
        },
    )


@pytest.fixture(scope="module")
def graded(course):
    """(the run, the report, the folder) of the hostile submission."""
    folder = course.root / "class" / "mallory"
    folder.mkdir(parents=True)
    (folder / "precious.txt").write_text("keep me")
    paths = (
        course.root / "tests" / "exercises" / "test_ex98_hostile.py",
        folder / "precious.txt",
        folder / "pwned",
    )
    parts = [HEAD.format(paths=tuple(map(str, paths)))]
    bodies = {name: body for name, (body, _) in HOSTILE.items()} | HONEST
    parts += [f"def {name}(x):\n    {body}\n" for name, body in bodies.items()]
    (folder / "ex98_hostile.py").write_text("\n".join(parts))
    (folder / "ex97_broken.py").write_text(
        "def one(x):\n    return (2 * x\n\ndef two(x): return x\n"
    )
    doubles = "def one(x): return 2 * x\ndef two(x): return 2 * x\ndef three(x): return 2 * x\n"
    (folder / "ex95_loops.py").write_text(doubles + "while True: pass\n")
    patch = "import builtins, json\nbuiltins.len = json.dumps = lambda *a, **k: 0\n"
    (folder / "ex96_patched.py").write_text(patch + doubles)
    (folder / "ex99_honest.py").write_text(doubles)
    run, report = course.grade(folder, "--seconds", 3)
    return run, {(e["set"], e["exercise"]): e for e in report["exercises"]}, folder


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_is_wrong_and_told_why(graded, name):
    run, grades, _ = graded
    grade, words = grades["ex98_hostile", name], HOSTILE[name][1]
    assert (grade["status"], grade["points"]) == ("wrong", 0)
    failures = re.split(r"\n=+ short test summary", run.stdout)[0]  # the rest is a list of them all
    message = failures.partition(f"_ test_{name} _")[2].partition("\n____")[0]
    assert words in message
    assert len(message) < 6000


@pytest.mark.parametrize("name", HONEST)
def test_honest_answers_beside_them_have_their_points(graded, name):
    grade = graded[1]["ex98_hostile", name]
    assert (grade["status"], grade["points"]) == ("done", grade["max_points"])


def test_other_files_have_their_points(graded):
    for name in ("one", "two"):
        assert graded[1]["ex99_honest", name]["status"] == "done"


def test_a_file_with_a_syntax_error_says_where(graded):
    for name in ("one", "two"):
        grade = graded[1]["ex97_broken", name]
        assert grade["status"] == "wrong"
        assert "SyntaxError" in grade["hint"] and "line 2" in grade["hint"]


def test_a_file_that_never_ends_is_run_once(graded):
    """Its first exercise waits for it, the others know."""
    for name in ("one", "two", "three"):
        grade = graded[1]["ex95_loops", name]
        assert grade["status"] == "wrong"
        assert "the file didn't come back" in grade["hint"]


def test_a_patched_interpreter_hurts_itself_only(graded):
    assert graded[1]["ex96_patched", "one"]["status"] == "wrong"


def test_nothing_was_harmed(graded):
    """Files stand, no program ran, the report is whole and says what pytest says."""
    run, grades, folder = graded
    assert (folder / "precious.txt").read_text() == "keep me"
    assert not (folder / "pwned").exists()
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        ["precious.txt", *(f"ex{n}.py" for n in _sets())]
    )
    assert run.returncode == 1
    assert len(grades) == len(HOSTILE) + len(HONEST) + 8
    assert "Traceback" not in run.stdout
    assert "\x1b" not in run.stdout


def _sets():
    return ["95_loops", "96_patched", "97_broken", "98_hostile", "99_honest"]


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks into /proc")
def test_no_process_is_left(graded):
    folder = str(graded[2].parents[1])
    running = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                running.append((entry / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:  # gone meanwhile
                continue
    assert not [line for line in running if folder in line and "worker.py" in line]

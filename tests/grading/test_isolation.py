"""A function in a process of its own: its values, its limits, and what it may not do."""

import json
import sys

import numpy as np
import pytest

from grading.call import perform
from grading.encoding import Named, Rng, decode, encode
from grading.isolation import Isolated, Limits, checked
from grading.submission import Submission


def request(*args, **kwargs):
    return {"args": encode(list(args)), "kwargs": encode(kwargs), "after": True}


@pytest.fixture
def isolated(tmp_path):
    """isolated(text, **limits) -> what calls f of a file with that text."""
    made = []

    def make(text, **limits):
        (tmp_path / "ex01_try.py").write_text(text)
        made.append(Isolated(tmp_path / "ex01_try.py", "f", Limits(**limits)))
        return made[-1]

    yield make
    for caller in made:
        caller.close()


def test_the_process_answers_as_a_call_here_does(isolated):
    """Values, changed arguments, exceptions: the same replies, call after call."""
    text = """
def f(x, times=2):
    if isinstance(x, str):
        raise ValueError("a text: " + x)
    if isinstance(x, dict):
        x["new"] = 1
    return [x, times, (1.5, None), {"a": {2, 3}}]
"""
    caller, space = isolated(text), {}
    exec(compile(text, caller.path, "exec"), space)  # the same text, run here
    for r in [
        request(np.arange(6.0).reshape(2, 3)),
        request({"a": 1}, times=3),
        request("word"),
        request(b"\x00\xff", np.float32(1)),
        request(),
    ]:
        assert caller.call(r) == perform(space["f"], r)


def test_generators_and_functions_arrive(isolated):
    caller = isolated("def f(r, g): return g(r.normal(size=3))")
    reply = caller.call(request(Rng(5), Named("square_sum")))
    assert decode(reply["value"]) == np.sum(np.random.default_rng(5).normal(size=3) ** 2)


def test_a_file_has_numpy_the_standard_library_and_its_neighbours(isolated, tmp_path):
    (tmp_path / "ex02_other.py").write_text("def g(x): return 2 * x\n")
    (tmp_path / "data.txt").write_text("3")
    caller = isolated(
        "from __future__ import annotations\n"
        "import collections, dataclasses, html, json, math, re, statistics, string, unicodedata\n"
        "import numpy.fft, numpy.polynomial\n"
        "from ex02_other import g\n"
        "@dataclasses.dataclass\n"
        "class Point:\n    x: float\n"
        "def f(x): return g(Point(x).x) + int(open('data.txt').read())\n"
    )
    assert caller.call(request(4)).get("value") == 11


def test_an_endless_loop_is_stopped_and_stays_stopped(isolated):
    caller = isolated("def f(x):\n    print('here')\n    while x: pass\n    return 1", call=1.5)
    assert caller.call(request(0))["value"] == 1
    reply = caller.call(request(1))
    assert (reply["kind"], "after 1.5 seconds" in reply["message"]) == ("stopped", True)
    assert caller.process.wait(timeout=5) != 0
    assert caller.call(request(0)) == reply
    assert caller.close() == "here\nhere\n"


def test_many_slow_calls_are_stopped_together(isolated):
    caller = isolated("import time\ndef f(): time.sleep(0.4)", exercise=1)
    kinds = [caller.call(request())["kind"] for _ in range(4)]
    assert kinds[0] == "value" and kinds[-1] == "stopped"
    assert "more than 1 seconds in all" in caller.end["message"]


def test_print_is_kept_in_part(isolated):
    caller = isolated("def f(): print('spam ' * 10**6); print('é')")
    assert caller.call(request())["kind"] == "value"
    assert caller.close() == "spam " * 600


def test_nothing_can_be_typed_in(isolated):
    assert isolated("def f(): return input()").call(request())["error"] == "EOFError"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory can't be limited here")
@pytest.mark.parametrize(
    "body",
    [
        "return np.ones(20 * 2**30 // 8)",
        "return [0] * 10**10",
        "return 'x' * (20 * 2**30)",
        "a = [1]\n    while True: a = a + a",
    ],
)
def test_memory_is_limited(isolated, body):
    caller = isolated(f"import numpy as np\ndef f():\n    {body}", call=60, exercise=120)
    assert caller.call(request())["kind"] == "memory"
    assert caller.call(request())["kind"] == "memory"  # it is still alive


def test_too_large_an_answer_is_refused(isolated):
    reply = isolated("import numpy as np\ndef f(): return np.zeros(10**7)", call=60).call(request())
    assert "returns too much" in reply["message"]


@pytest.mark.parametrize(
    "deed",
    [
        "import torch",
        "import sklearn.metrics",
        "import minillm",
        "from grading.solutions import ex03_autograd",
        "import importlib; importlib.import_module('pytest')",
        "open('/etc/passwd')",
        "open('new.txt', 'w')",
        "open(__file__, 'a')",
        "import os; os.open('new.txt', os.O_CREAT)",
        "import pathlib; pathlib.Path('new.txt').touch()",
        "import pathlib, os; pathlib.Path(__file__).unlink()",
        "import os; os.rename(__file__, 'other.py')",
        "import shutil, os; shutil.rmtree(os.path.dirname(__file__))",
        "import subprocess; subprocess.run(['ls'])",
        "import os; os.system('ls')",
        "import os; os.fork()",
        "import os; os.execv('/bin/ls', ['ls'])",
        "import os; os.kill(os.getppid(), 9)",
        "import socket; socket.socket()",
        "import urllib.request; urllib.request.urlopen('http://localhost')",
        "import ctypes; ctypes.CDLL(None)",
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "import tempfile; tempfile.mkdtemp()",
        "import numpy as np; np.save('new.npy', np.ones(2))",
        "import multiprocessing; multiprocessing.Pool(1)",
    ],
)
def test_what_is_refused(isolated, tmp_path, deed):
    if "resource" in deed or "fork" in deed:
        pytest.importorskip("resource")
    caller = isolated(f"def f():\n    {deed}\n    return 1\n")
    reply = caller.call(request())
    assert reply["kind"] == "raised"
    refusals = ("ImportError", "PermissionError", "URLError", "FileNotFoundError", "OSError")
    assert reply["error"] in refusals, reply
    assert [p.name for p in tmp_path.iterdir()] == ["ex01_try.py"]


def test_the_graders_cant_be_read_even_from_a_folder_above_them(tmp_path):
    """A submission folder that contains the tests, as a careless teacher's might."""
    from grading.guard import TESTS

    text = f"def f(): return open({TESTS!r} + '/grading/answer.py').read()"
    (tmp_path / "ex01_try.py").write_text(text)
    caller = Isolated(tmp_path / "ex01_try.py", "f")
    assert caller.call(request())["error"] == "PermissionError"
    caller.close()


@pytest.mark.parametrize(
    "text, kind, words",
    [
        ("def f(:", "raised", "SyntaxError"),
        ("1 / 0\ndef f(): return 1", "raised", "ZeroDivisionError"),
        ("import sys; sys.exit()", "raised", "SystemExit"),
        ("import os; os._exit(3)", "stopped", "exit code 3"),
        ("while True: pass", "stopped", "didn't come back"),
        ("f = 3", "stopped", "is no function but int"),
        ("g = 3", "to do", ""),
        ("raise NotImplementedError", "to do", ""),
        ("import torch", "raised", "torch can't be imported here"),
    ],
)
def test_files_that_cant_be_run(isolated, text, kind, words):
    caller = isolated(text, call=2)
    reply = caller.call(request())
    assert reply["kind"] == kind
    assert words in f"{reply.get('error')} {reply.get('message')}"
    assert caller.call(request()) == reply


def test_a_broken_file_is_run_once(tmp_path):
    """Eight exercises in a file that loops would take eight times as long."""
    (tmp_path / "ex01_try.py").write_text("import pathlib\nwhile True: pass\n")
    submission = Submission(tmp_path, Limits(call=1))
    first = submission.caller("ex01_try", "f")
    second = submission.caller("ex01_try", "g")
    assert first.call(request()) == second.call(request())
    assert second.process is None
    first.close()


@pytest.mark.parametrize(
    "line",
    [
        b"garbage\n",
        b"\xff\xfe\n",
        b"[" * 10**6 + b"\n",
        b"1" * 10**6 + b"\n",
        b"[]\n",
        b"null\n",
        b"{}\n",
        b'{"kind": "done"}\n',
        b'{"kind": ["value"]}\n',
        b'{"kind": "value"}\n',
        b'{"kind": "value", "value": 1}\n',
        b'{"kind": "value", "value": 1, "changed": [[]]}\n',
        b'{"kind": "raised"}\n',
        b'{"kind": "raised", "error": 1, "message": ""}\n',
        b'{"kind": "stopped"}\n',
    ],
)
def test_forged_replies_are_no_replies(line):
    assert checked(line)["message"] == "wrote into the grader's connection"


def test_a_reply_from_the_students_hand_is_an_answer_like_any_other(isolated):
    """It can put a value on the wire, not the right value: that isn't known there."""
    forged = json.dumps({"kind": "value", "value": 6, "changed": [], "after": None})
    caller = isolated(
        "import os\ndef f(x):\n    for fd in range(3, 9):\n"
        f"        try: os.write(fd, b'{forged}\\n')\n        except OSError: pass\n    return 0\n"
    )
    assert caller.call(request(3))["value"] == 6
    assert caller.call(request(3))["value"] == 0  # and is out of step from there on


def test_a_forged_greeting_is_no_answer(isolated):
    caller = isolated(
        "import os\ndef f(x):\n    for fd in range(3, 9):\n"
        '        try: os.write(fd, b\'{"kind": "ready"}\\n\')\n        except OSError: pass\n'
    )
    assert "grader's connection" in caller.call(request(3))["message"]


def test_no_expected_value_is_in_the_process(isolated):
    """Solutions, mistakes and graders aren't loaded there."""
    caller = isolated("import sys\ndef f(): return [m for m in sys.modules if 'grading' in m]")
    assert set(decode(caller.call(request())["value"])) == {
        "grading",
        "grading.call",
        "grading.encoding",
        "grading.functions",
        "grading.guard",
    }


def test_secrets_of_the_environment_stay_outside(isolated, monkeypatch):
    monkeypatch.setenv("A_SECRET", "x")
    caller = isolated("import os\ndef f(): return dict(os.environ)")
    assert "A_SECRET" not in decode(caller.call(request())["value"])

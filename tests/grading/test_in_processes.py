"""Real sets graded as a student's are, in processes: what is right here is right there.

(The other tests of graders call functions directly, for speed.)
"""

import inspect
from pathlib import Path

import pytest

from grading import alternatives, mistakes, sets
from grading.alternatives import alternatives_of
from grading.grade import grade
from grading.mistakes import mistakes_of
from grading.submission import Submission, Untouched

EVERY = 3  # every third exercise of a set


def hand_in(folder: Path, set_name: str, module, functions: dict) -> Submission:
    """A student's file made of a module of planted answers: {exercise: function in it}."""
    text = (Path(module.__file__).parent / f"{set_name}.py").read_text(encoding="utf-8")
    for word in ("mistake", "alternative"):
        line = f"from grading.{word}s import {word}\n"
        text = text.replace(line, f"def {word}(*words): return lambda f: f\n")
    text += "".join(f"\n{name} = {f.__name__}" for name, f in functions.items())
    (folder / f"{set_name}.py").write_text(text, encoding="utf-8")
    return Submission(folder)


def status(submission, set_name, exercise):
    caller = submission.caller(set_name, exercise)
    verdict = grade(set_name, exercise, caller)
    caller.close()
    return verdict.status, verdict.message


@pytest.mark.parametrize("set_name", sets.set_names())
def test_right_answers_are_done(set_name, tmp_path):
    functions = {a.exercise: a.function for a in alternatives_of(set_name)}
    submission = hand_in(tmp_path, set_name, alternatives, functions)
    for exercise in sets.exercises(set_name)[::EVERY]:
        assert status(submission, set_name, exercise.name) == ("done", "")


@pytest.mark.parametrize("set_name", sets.set_names())
def test_planted_mistakes_are_wrong_and_named(set_name, tmp_path):
    planted = {m.exercise: m for m in mistakes_of(set_name)}
    functions = {name: m.function for name, m in planted.items()}
    submission = hand_in(tmp_path, set_name, mistakes, functions)
    for exercise in sets.exercises(set_name)[::EVERY]:
        mistake = planted[exercise.name]
        found, message = status(submission, set_name, exercise.name)
        assert found == "wrong"
        assert mistake.words in message, inspect.getsource(mistake.function)


@pytest.mark.parametrize("set_name", sets.set_names())
def test_the_stubs_are_to_do_without_a_process(set_name):
    submission = Submission(sets.STUBS)
    for exercise in sets.exercises(set_name):
        caller = submission.caller(set_name, exercise.name)
        assert isinstance(caller, Untouched)
        assert grade(set_name, exercise.name, caller).status == "to do"

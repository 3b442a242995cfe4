"""The graders graded: they accept what is right, refuse what is wrong and name the mistake.

For one set: python -m pytest tests/grading/test_graders.py -k ex03
"""

import ast
import inspect
import sys

import pytest

from grading import sets
from grading.alternatives import alternatives_of
from grading.answer import InProcess
from grading.grade import grade
from grading.mistakes import mistakes_of
from grading.no_answers import no_answers

SETS = sets.set_names()
EXERCISES = [e for name in SETS for e in sets.exercises(name)]


def planted(set_name):
    """A set that can't be imported has none here and fails in test_a_set_is_complete, alone."""
    try:
        return mistakes_of(set_name)
    except Exception:
        return []


def named(e):
    return f"{e.set_name}-{e.name}"


each_set = pytest.mark.parametrize("set_name", SETS)
each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=named)


@each_set
def test_a_set_is_complete(set_name):
    """Every stub has a grader (in its order), a solution, four mistakes, another right answer."""
    names = [e.name for e in sets.exercises(set_name)]
    assert 6 <= len(names) <= 10
    assert list(sets.graders(set_name)) == names
    for name in names:
        assert sets.solution(set_name, name)
        words = [m.words for m in mistakes_of(set_name, name)]
        assert len(words) >= 4, f"{name}: {words}"
        assert len(alternatives_of(set_name, name)) >= 1, name
    for other in [*mistakes_of(set_name), *alternatives_of(set_name)]:
        assert other.exercise in names, f"{other.exercise} is no exercise of {set_name}"


@each_set
def test_stubs_import_only_numpy_and_the_standard_library(set_name):
    """All that a student's process has."""
    tree = ast.parse((sets.STUBS / f"{set_name}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module]
        for name in names:
            top = name.split(".")[0]
            assert top == "numpy" or top in sys.stdlib_module_names, name


@each_exercise
def test_a_docstring_says_what_it_takes(exercise):
    """An example, a difficulty, a section; the stub and the solution take the same arguments."""
    number = exercise.set_name[2:4]
    assert exercise.difficulty in (1, 2, 3), f"{named(exercise)}: 'Difficulty: 2 of 3.' is missing"
    assert exercise.section and exercise.section.startswith(f"Lesson {number}")
    assert len(exercise.docstring.splitlines()) >= 5
    stub = getattr(sets.load_file(sets.STUBS / f"{exercise.set_name}.py"), exercise.name)
    solution = sets.solution(exercise.set_name, exercise.name)
    ours = inspect.signature(solution).parameters
    assert list(inspect.signature(stub).parameters) == list(ours)
    for name, parameter in inspect.signature(stub).parameters.items():
        assert _same(parameter.default, ours[name].default), name


def _same(a, b):
    return a is b or a == b


@each_exercise
def test_a_stub_is_to_do(exercise):
    stub = getattr(sets.load_file(sets.STUBS / f"{exercise.set_name}.py"), exercise.name)
    assert grade(exercise.set_name, exercise.name, InProcess(stub)).status == "to do"


@each_exercise
def test_a_solution_is_done(exercise):
    solution = sets.solution(exercise.set_name, exercise.name)
    verdict = grade(exercise.set_name, exercise.name, InProcess(solution))
    assert verdict.status == "done", verdict.message


@each_exercise
def test_another_right_answer_is_done(exercise):
    for other in alternatives_of(exercise.set_name, exercise.name):
        verdict = grade(exercise.set_name, exercise.name, InProcess(other.function))
        assert verdict.status == "done", f"{other.function.__name__}:\n{verdict.message}"


@pytest.mark.parametrize(
    "set_name, mistake",
    [(name, m) for name in SETS for m in planted(name)],
    ids=lambda x: f"{x.exercise}-{x.words}" if hasattr(x, "words") else x,
)
def test_a_planted_mistake_is_caught_and_named(set_name, mistake):
    verdict = grade(set_name, mistake.exercise, InProcess(mistake.function))
    assert verdict.status == "wrong", f"{mistake.function.__name__} passes"
    assert mistake.words in verdict.message, verdict.message
    assert mistake.words in verdict.hint, verdict.hint
    assert len(verdict.message) < 6000


@pytest.mark.parametrize("kind", ["None", "zeros", "the first answer"])
@each_exercise
def test_no_answer_is_caught(exercise, kind):
    """Exceptions swallowed; zeros of the right shape; the first case's answer for all cases."""
    caller = no_answers(sets.solution(exercise.set_name, exercise.name))[kind]
    verdict = grade(exercise.set_name, exercise.name, caller)
    assert verdict.status == "wrong", f"{kind} passes"
    if kind == "None":
        assert "None" in verdict.message, verdict.message

"""The worked examples in the stubs are true.

They are doctests (lines after >>>). Here the solutions answer in place of the stubs.
"""

import doctest
import inspect

import numpy as np
import pytest

from grading import sets
from grading.answer import InProcess
from grading.compare import difference
from grading.encoding import decode
from grading.grade import answer_of

DRAWN = ("draw_negatives", "kaiming_normal")  # the examples of these are draws
EXERCISES = [exercise for name in sets.set_names() for exercise in sets.exercises(name)]
each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)


def run_examples(exercise):
    """Run the docstring's examples with the solution: (doctest's report, its calls' arguments)."""
    solution = sets.solution(exercise.set_name, exercise.name)
    calls = []

    def recorded(*args, **kwargs):
        calls.append(inspect.signature(solution).bind(*args, **kwargs).arguments)
        return solution(*args, **kwargs)

    names = {"np": np, exercise.name: recorded}
    test = doctest.DocTestParser().get_doctest(exercise.docstring, names, exercise.name, None, None)
    report = []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    return "".join(report), calls


@each_exercise
def test_the_example_in_the_docstring_is_true(exercise):
    report, calls = run_examples(exercise)
    assert calls, f"{exercise.name}: no example"
    assert report == ""


@each_exercise
def test_the_example_is_the_first_case_of_the_grader(exercise):
    """So that a student's first message is about a case that can be followed by hand."""
    _, calls = run_examples(exercise)
    solution = sets.solution(exercise.set_name, exercise.name)
    answer = answer_of(exercise.set_name, exercise.name, InProcess(solution))
    sets.graders(exercise.set_name)[exercise.name](answer)
    cases = answer.calls if exercise.name in DRAWN else answer.calls[:1]
    bind = inspect.signature(solution).bind
    asked = [bind(*decode(r["args"], True), **decode(r["kwargs"], True)) for r, _ in cases]
    shown = plain(calls[0])
    assert any(difference(plain(case.arguments), shown) is None for case in asked)


def plain(arguments):
    """Without functions and random generators, which aren't compared."""
    return {
        name: value
        for name, value in arguments.items()
        if not callable(value) and not isinstance(value, np.random.Generator)
    }

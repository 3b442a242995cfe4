"""Planted mistakes, one module a set: the wrong answers that students really give.

    @mistake("softmax", "subtract the maximum")
    def without_maximum(x, axis=-1):
        e = np.exp(x)
        return e / e.sum(axis, keepdims=True)

They serve twice. A grader that lets one pass is itself wrong (tests/grading/test_graders.py). And a
student whose values are those of a planted mistake is told its name. So a mistake must end by
itself and must compute what the misled student's code would compute.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec


@dataclass(frozen=True)
class Mistake:
    exercise: str
    words: str  # its name: the grader's message contains these words
    function: Callable


_planted = defaultdict(list)


def mistake(exercise: str, words: str):
    """Register the decorated function as a wrong answer to `exercise`, known by `words`."""

    def plant(function):
        _planted[function.__module__].append(Mistake(exercise, words, function))
        return function

    return plant


def mistakes_of(set_name: str, exercise: str | None = None) -> list[Mistake]:
    """The mistakes planted for a set ("ex03_autograd"), or for one exercise of it."""
    module = f"{__name__}.{set_name}"
    if find_spec(module) is None:
        return []
    import_module(module)
    return [m for m in _planted[module] if exercise in (None, m.exercise)]

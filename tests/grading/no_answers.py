"""Wrong answers to any exercise: nothing, zeros, the first case's answer for all.

Every grader must refuse them; nobody plants them (mistakes/ has those of one exercise).
"""

import numpy as np

from grading.answer import InProcess
from grading.call import perform


def swallows(*args, **kwargs):
    """Fails inside, says nothing and returns None."""
    try:
        raise ValueError("a mistake that nobody hears of")
    except ValueError:
        return None


def zeros_of(solution):
    """The right answer's type and shape, and nothing in it."""

    def zeros(*args, **kwargs):
        return _zeros(solution(*args, **kwargs))

    return zeros


class FirstAnswer(InProcess):
    """Hard-coded: gives the right answer to the first case, whatever is asked."""

    def __init__(self, solution):
        super().__init__(solution)
        self.first = None

    def call(self, request) -> dict:
        self.first = self.first or perform(self.function, request)
        return {**self.first, "changed": []}


def no_answers(solution) -> dict[str, InProcess]:
    """What calls each of them, by a name."""
    return {
        "None": InProcess(swallows),
        "zeros": InProcess(zeros_of(solution)),
        "the first answer": FirstAnswer(solution),
    }


def _zeros(value):
    if isinstance(value, np.ndarray):
        return np.zeros_like(value) if value.dtype.kind in "biuf" else value[:0]
    if isinstance(value, dict):
        return {k: _zeros(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(_zeros(v) for v in value)
    if isinstance(value, list) and any(isinstance(v, np.ndarray | list | tuple) for v in value):
        return [_zeros(v) for v in value]
    if isinstance(value, list) and value and all(isinstance(v, int | float) for v in value):
        return [0 * v for v in value]
    if value is None:
        return None
    return type(value)()

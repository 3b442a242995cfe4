"""What a grader holds in its hand: `answer`, the student's function behind a counter.

    def test_softmax(answer):
        answer.equals([[1.0, 2.0, 3.0]])

The function may live here (InProcess, for tests of the graders) or in a process of its own
(isolation.Isolated); the grader can't tell. The README has the rules for writing one.
"""

import inspect
import zlib

import numpy as np

from grading.call import perform
from grading.compare import NOT_THE_SAME, difference
from grading.diagnose import diagnose
from grading.encoding import Named, Rng, decode, encode
from grading.gradient import check_gradient
from grading.reply import explain, like
from grading.show import Missing, show_call
from grading.verdict import ToDo, Wrong

__all__ = ["Answer", "InProcess", "Named", "Rng", "ToDo", "Wrong", "rng"]


def rng(name: str) -> np.random.Generator:
    """Random numbers that depend on the name alone: the same cases in every run."""
    return np.random.default_rng(zlib.crc32(name.encode()))


class InProcess:
    """Calls a function right here: for solutions, alternatives and planted mistakes."""

    def __init__(self, function):
        self.function = function

    def call(self, request) -> dict:
        return perform(self.function, request)

    def close(self) -> str:
        """What it has printed: that stays on the screen here."""
        return ""


class Answer:
    """A student's function `exercise`, reached through `caller.call(request) -> reply`.

    `solution` is the true function, `mistakes` the planted ones (their functions and words).
    """

    def __init__(self, exercise: str, caller, solution, mistakes=()):
        self.exercise, self.caller = exercise, caller
        self.solution, self.mistakes = solution, mistakes
        self.calls = []  # (request, reply) of every call so far

    def __call__(self, *args, **kwargs):
        """The student's value. Wrong if the function changes an argument."""
        request, reply = self._call(args, kwargs)
        if reply["changed"]:
            names = " and ".join(f"`{self._parameter(n)}`" for n in reply["changed"])
            raise self.wrong(
                f"{self.exercise} changes its argument {names} in place: work on a copy",
                case=self._case(request),
            )
        return self._decoded(reply["value"])

    def in_place(self, *args, **kwargs):
        """(value, the arguments after the call), for a function that is to change them."""
        request, reply = self._call(args, kwargs, after=True)
        return self._decoded(reply["value"]), self._decoded(reply["after"])

    def raises(self, error: type[Exception], *args, hint: str | None = None, **kwargs):
        """The function must refuse these arguments by this exception."""
        request, reply = self._request(args, kwargs, after=False)
        kind = {c.__name__ for c in _subclasses(error)}
        if reply["kind"] == "raised" and reply.get("error") in kind:
            return
        what = f"{self.exercise} must raise {error.__name__} here"
        if reply["kind"] == "value":
            value = self._decoded(reply["value"])
            raise self.wrong(what, hint, case=self._case(request), value=value)
        if reply["kind"] == "raised":
            what = f"{what}, not {reply['error']}: {reply['message']}"
            raise self.wrong(what, hint, case=self._case(request))
        self._interpret(request, reply)

    def equals(
        self,
        *args,
        expected=Missing,
        rtol: float = 1e-6,
        atol: float = 1e-8,
        exact_type: bool = False,
        hint: str | None = None,
        **kwargs,
    ):
        """The student's value, which must be `expected`: the solution's on the same arguments.

        `hint` is said where no planted mistake explains the value.
        """
        if expected is Missing:
            expected = self._true_value(args, kwargs)
        else:
            expected = decode(encode(expected))
        value = self(*args, **kwargs)
        where = difference(value, expected, rtol, atol, exact_type)
        if where is None:
            return value
        request = self.calls[-1][0]
        reason = f"{self.exercise} gives a wrong value"
        if value is None:
            reason = f"{self.exercise} returns None"
        likely = self._mistake() or hint or diagnose(value, expected)
        if exact_type and not difference(value, expected, rtol, atol):
            reason, likely = f"{self.exercise} gives the right value in a wrong type", where
        if where in (likely, NOT_THE_SAME):  # says nothing that isn't seen already
            where = None
        raise Wrong(reason, likely, self._case(request), value, expected, where)

    def require(self, condition, hint: str, case=None, value=Missing, expected=Missing):
        """A property of the student's values; `hint` names the mistake if it doesn't hold."""
        if condition:
            return
        if case is None and self.calls:
            case = self._case(self.calls[-1][0])
        raise self.wrong(hint, case=case, value=value, expected=expected)

    def is_gradient(self, forward, inputs, dy, gradients, names=None, rtol=1e-5):
        """`gradients` (an array, or one an input) must be those of sum(dy * forward(*inputs)).

        forward is the true function, on float64 arrays, returning one array or number.
        """
        fault = check_gradient(forward, inputs, dy, gradients, names, rng(self.exercise), rtol)
        if fault is None:
            return
        reason, likely, value, expected = fault
        case = self._case(self.calls[-1][0]) if self.calls else None
        raise Wrong(reason, self._mistake() or likely, case, value, expected)

    def wrong(self, reason, likely=None, case=None, value=Missing, expected=Missing) -> Wrong:
        """The exception to raise, with the planted mistake's name if one behaves like this."""
        likely = self._mistake() or likely
        if likely is not None and likely in reason:
            likely = None
        return Wrong(reason, likely, case, value, expected)

    def unusable(self, error: Exception) -> Wrong:
        """The grader stumbled over the student's value: a list where it computes with arrays.

        If the value is the true one, the grader itself is to blame: its exception is raised again.
        """
        request, reply = self.calls[-1]
        if reply["kind"] != "value":
            raise error
        value, expected = self._decoded(reply["value"]), Missing
        reason = f"{self.exercise} returns something the grader can't use ({error})"
        try:
            expected = decode(encode(self._run(self.solution, request)))
        except Exception:  # a case made to be refused has no true value to show
            return self.wrong(reason, None, self._case(request), value)
        if difference(value, expected, exact_type=True) is None:
            raise error
        likely = self._mistake() or diagnose(value, expected)
        return Wrong(reason, likely, self._case(request), value, expected)

    def _call(self, args, kwargs, after=False):
        request, reply = self._request(args, kwargs, after)
        self._interpret(request, reply)
        return request, reply

    def _request(self, args, kwargs, after):
        request = {"args": encode(list(args)), "kwargs": encode(kwargs), "after": after}
        reply = self.caller.call(request)
        self.calls.append((request, reply))
        return request, reply

    def _interpret(self, request, reply):
        if reply["kind"] == "to do":
            raise ToDo
        if reply["kind"] != "value":
            reason, likely = explain(self.exercise, reply)
            if reply.get("loading"):
                raise Wrong(reason, likely)
            raise self.wrong(reason, likely, case=self._case(request))

    def _decoded(self, tree):
        try:
            return decode(tree)
        except (ValueError, RecursionError) as error:
            raise Wrong(f"{self.exercise} sent something that is no value: {error}") from None

    def _true_value(self, args, kwargs):
        request = {"args": encode(list(args)), "kwargs": encode(kwargs)}
        return decode(encode(self._run(self.solution, request)))

    @staticmethod
    def _run(function, request):
        args = decode(request["args"], arguments=True)
        return function(*args, **decode(request["kwargs"], arguments=True))

    def _mistake(self) -> str | None:
        """The words of the planted mistakes that behave like the student in every call so far."""
        words = []
        for mistake in self.mistakes:
            with np.errstate(all="ignore"):
                # Backwards: the last call is the one that went wrong.
                if all(like(perform(mistake.function, q), r) for q, r in reversed(self.calls)):
                    words.append(mistake.words)
        if not words or self._blameless():
            return None
        return " (or: ".join(dict.fromkeys(words)) + ")" * (len(set(words)) - 1)

    def _blameless(self) -> bool:
        """Whether the true function behaves like this as well: then nothing points to a mistake."""
        with np.errstate(all="ignore"):
            return all(like(perform(self.solution, q), r) for q, r in reversed(self.calls))

    def _parameter(self, name) -> str:
        return name if isinstance(name, str) else self._parameters()[name]

    def _parameters(self) -> list[str]:
        names = []
        for p in inspect.signature(self.solution).parameters.values():
            names.append(f"*{p.name}" if p.kind is p.VAR_POSITIONAL else p.name)
        return names + [f"argument {i}" for i in range(len(names), 20)]

    def _case(self, request) -> str:
        """The call as the student would write it."""
        names = self._parameters()
        shown = {}
        for i, tree in enumerate(request["args"]):
            shown[names[i] if i < len(names) else f"argument {i}"] = _shown(tree)
        for key, tree in request["kwargs"]["dict"]:
            shown[key] = _shown(tree)
        return show_call(self.exercise, shown)


def _shown(tree):
    """An argument for a message: the names for what arrives as a generator or a function."""
    if isinstance(tree, dict) and "rng" in tree:
        return Rng(tree["rng"])
    if isinstance(tree, dict) and "named" in tree:
        return Named(tree["named"])
    return decode(tree, arguments=True)


def _subclasses(error: type) -> list[type]:
    return [error, *(c for direct in error.__subclasses__() for c in _subclasses(direct))]

"""One call of a student's function: an encoded request in, an encoded reply out.

It is the same in the student's own process (worker.py) and in the grader's (answer.InProcess).

    request  {"args": tree, "kwargs": tree, "after": bool}
    reply    {"kind": "value", "value": tree, "changed": [0, "axis"], "after": tree or None}
             {"kind": "to do" | "memory" | "unsendable" | "raised", "error": ..., "message": ...,
              "line": 12, "code": "the line's text"}
"""

import linecache

from grading.encoding import Unsendable, decode, encode


def perform(function, request) -> dict:
    args = decode(request["args"], arguments=True)
    kwargs = decode(request["kwargs"], arguments=True)
    before = _states(args, kwargs)
    try:
        value = function(*args, **kwargs)
    except BaseException as error:  # also SystemExit, KeyboardInterrupt: all of it is an answer
        code = getattr(function, "__code__", None)
        return failure(error, code and code.co_filename)
    after = _states(args, kwargs)
    try:
        reply = {"kind": "value", "value": encode(value)}
        reply["after"] = [after[i] for i in range(len(args))] if request.get("after") else None
    except Unsendable as error:
        return {"kind": "unsendable", "message": str(error)}
    except MemoryError as error:
        return failure(error)
    except BaseException:
        name = type(value).__name__[:60]
        return {"kind": "unsendable", "message": f"an object of type {name} that resists a look"}
    reply["changed"] = [name for name in before if before[name] != after[name]]
    return reply


def failure(error: BaseException, file: str | None = None) -> dict:
    """The reply for an exception, with the last line of the student's `file` that it came from."""
    if isinstance(error, NotImplementedError):
        return {"kind": "to do"}
    if isinstance(error, MemoryError):
        return {"kind": "memory"}
    try:
        message = str(error)[:500]
    except BaseException:
        message = "(an exception that can't be printed)"
    reply = {"kind": "raised", "error": type(error).__name__[:80], "message": message}
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == file:
            reply["line"] = step.tb_lineno
        step = step.tb_next
    if "line" in reply:
        reply["code"] = linecache.getline(file, reply["line"]).strip()[:120]
    return reply


def _states(args, kwargs) -> dict:
    """What each argument is, to find out later whether it was changed."""
    states = {}
    for name, value in [*enumerate(args), *kwargs.items()]:
        try:
            states[name] = encode(value)
        except Unsendable:  # a generator of random numbers changes, a function doesn't
            states[name] = None
    return states

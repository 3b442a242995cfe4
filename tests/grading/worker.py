"""The student's process: loads one file, answers calls of one function. Started by isolation.py.

It reads requests from standard input and writes replies to standard output, a line of JSON each.
Before the student's code runs, both are moved out of its way: input() finds nothing to read, and
print() goes to standard error, which the grader collects. No expected value is ever in here.
"""

import json
import os
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # tests/

from grading import guard  # noqa: E402
from grading.call import failure, perform  # noqa: E402

del sys.path[0]


def private_channel():
    """(requests, replies) on descriptors of their own; 0 reads nothing, 1 goes where 2 goes."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    return requests, replies


def load(path: str):
    """The student's file, run as a module."""
    name = os.path.splitext(os.path.basename(path))[0]
    module = module_from_spec(spec_from_loader(name, SourceFileLoader(name, path)))
    sys.modules[name] = module  # dataclasses look their module up
    module.__spec__.loader.exec_module(module)
    return module


def serve(requests, replies):
    """Load the file that the first request names, then call its function until nobody asks."""

    def send(reply):
        replies.write(json.dumps(reply).encode() + b"\n")
        replies.flush()

    send({"kind": "ready"})
    start = json.loads(requests.readline())
    path = start["file"]
    sys.path.append(os.path.dirname(path))  # an exercise may import another one's file
    guard.limit_resources(start["memory"], start["cpu"])
    guard.forbid(os.path.dirname(path))
    try:
        function = getattr(load(path), start["function"], None)
    except BaseException as error:
        send({**failure(error, path), "loading": True})
        return
    if not callable(function):
        kind = "to do" if function is None else "stopped"
        send({"kind": kind, "message": f"is no function but {type(function).__name__}"})
        return
    send({"kind": "loaded"})
    for line in requests:
        send(perform(function, json.loads(line)))


if __name__ == "__main__":
    try:
        serve(*private_channel())
    except BaseException:  # the student's code has changed Python itself, or closed the channel
        os._exit(guard.SPOILED)
    os._exit(0)  # threads of the student's don't keep the process alive

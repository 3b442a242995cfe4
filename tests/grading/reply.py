"""Replies of a call (call.py, isolation.py): what they tell a student, and when two are alike."""

from grading.compare import difference
from grading.encoding import decode


def explain(exercise: str, reply) -> tuple[str, str | None]:
    """(reason, likely mistake) for a reply that holds no value."""
    kind, message = reply["kind"], reply.get("message", "")
    if reply.get("loading"):
        exercise = "the file"
    if kind == "unsendable":
        return f"{exercise} returns {message}", None
    if kind == "memory":
        return f"{exercise} needs too much memory", (
            "a table of all pairs where a sum would do, or a list that grows for ever?"
        )
    if kind == "stopped":  # isolation.py says in words why
        return f"{exercise} {message}", reply.get("likely")
    error = reply["error"]
    line = f"\nline {reply['line']}: {reply['code']}" if reply.get("code") else ""
    reason = f"{exercise} raises {error}: {message}{line}"
    if reply.get("loading"):
        return f"the file can't be run: {error}: {message}{line}", None
    if error == "RecursionError":
        return reason, "it calls itself without end: which case stops it?"
    if error == "SystemExit":
        return reason, "return the result; don't call exit()"
    if error == "EOFError":
        return reason, "nothing can be typed in here: use the arguments instead of input()"
    return reason, None


def like(reply, other) -> bool:
    """Whether two answers behave the same: the same value, or the same exception."""
    if reply["kind"] != other["kind"]:
        return False
    if reply["kind"] == "raised":
        return reply["error"] == other["error"]
    if reply["kind"] != "value":
        return reply.get("message") == other.get("message")
    if reply["changed"] != other["changed"]:
        return False
    try:
        return difference(decode(reply["value"]), decode(other["value"])) is None
    except (ValueError, RecursionError):
        return False

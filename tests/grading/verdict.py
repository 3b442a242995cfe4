"""What a grader says of an answer: nothing (it is right), ToDo or Wrong."""

import textwrap

from grading.show import Missing, clean, show


class ToDo(Exception):
    """The student hasn't written this one yet."""


class Wrong(Exception):
    """The answer is wrong. `hint` is one line for the grade book; str(...) is for the student."""

    def __init__(self, reason, likely=None, case=None, value=Missing, expected=Missing, where=None):
        self.reason, self.likely = reason, likely
        self.case, self.value, self.expected, self.where = case, value, expected, where
        self.printed = ""
        super().__init__(reason)

    @property
    def hint(self) -> str:
        text = f"{self.reason}; likely: {self.likely}" if self.likely else self.reason
        return " ".join(clean(text, 500).split())

    def __str__(self):
        rows = [("", clean(self.reason, 700))]
        if self.case is not None:
            rows.append(("case", self.case if isinstance(self.case, str) else show(self.case)))
        if self.value is not Missing:
            rows.append(("yours", show(self.value)))
        if self.expected is not Missing:
            rows.append(("expected", show(self.expected)))
        rows.append(("where", self.where))
        rows.append(("likely", self.likely and clean(self.likely, 700)))
        rows.append(("printed", _beginning(self.printed)))
        return "\n".join(_row(name, text) for name, text in rows if text)


def _beginning(printed: str) -> str:
    """The first lines of what was printed, 12 at most."""
    lines = clean(printed[:900], 4000).rstrip("\n").split("\n")
    more = len(printed) > 900 or len(lines) > 12
    rows = [row for line in lines[:12] for row in textwrap.wrap(line, 88) or [""]]
    return "\n".join(rows) + (" ... (there is more)" if more else "")


def _row(name, text):
    if not name:
        return text
    first, *rest = str(text).splitlines() or [""]
    return "\n".join([f"  {name:<9} {first}", *(" " * 12 + line for line in rest)])

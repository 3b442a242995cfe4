"""A folder of a student's files, ex01_preprocess.py and so on; a file that isn't there is to do."""

import re
from pathlib import Path

from grading import sets
from grading.isolation import Isolated, Limits

MAX_FILE = 10**6  # characters that are looked at


class Untouched:
    """Calls a stub: nothing has to run to see that it is to do."""

    def call(self, request) -> dict:
        return {"kind": "to do"}

    def close(self) -> str:
        return ""


class Submission:
    def __init__(self, folder: Path, limits: Limits | None = None):
        self.folder, self.limits = Path(folder), limits or Limits()
        self.broken = {}  # files that can't be run: the reply, so that each is tried once only

    def not_graded(self) -> list[str]:
        """Other Python files in the folder: helpers, or exercises under a wrong name."""
        names = {f"{set_name}.py" for set_name in sets.set_names()}
        return sorted(p.name for p in self.folder.glob("*.py") if p.name not in names)

    def caller(self, set_name: str, exercise: str):
        """What calls the student's function."""
        path = self.folder / f"{set_name}.py"
        if not path.is_file() or is_untouched(path, set_name, exercise):
            return Untouched()
        return _Remembering(self, path, exercise)


class _Remembering(Isolated):
    """Knows from an earlier exercise that the file can't be run."""

    def __init__(self, submission, path, exercise):
        super().__init__(path, exercise, submission.limits)
        self.broken = submission.broken

    def call(self, request) -> dict:
        if self.path in self.broken:
            return self.broken[self.path]
        reply = super().call(request)
        if self.broke_loading:
            self.broken[self.path] = reply
        return reply


def is_untouched(path: Path, set_name: str, exercise: str) -> bool:
    """Whether the file has our stub of the exercise, letter by letter, and no other definition.

    The text alone is looked at: parsing a stranger's file can crash Python (deep nesting).
    """
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read(MAX_FILE)
    name = re.escape(exercise)
    given = rf"^(async\s+def|def|class)\s+{name}\b|^{name}\s*[:=]|\bimport\b.*(\b{name}\b|\*)"
    found = re.findall(given, text, re.MULTILINE)
    return len(found) == 1 and sets.stub_text(set_name, exercise) in text

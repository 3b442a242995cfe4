"""The exercise sets: which there are, their stubs, graders and solutions.

A set `ex03_autograd` is lessons/exercises/ex03_autograd.py, tests/exercises/test_ex03_autograd.py
and the modules of that name in grading/solutions, mistakes and alternatives.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

ROOT = Path(__file__).parents[2]
STUBS = ROOT / "lessons" / "exercises"
GRADERS = ROOT / "tests" / "exercises"


@dataclass(frozen=True)
class Exercise:
    set_name: str
    name: str
    docstring: str
    difficulty: int | None  # 1, 2 or 3: the points of a right answer
    section: str | None  # "Lesson 03, section 4"

    @property
    def points(self) -> int:
        return self.difficulty or 1


def set_names() -> list[str]:
    return sorted(path.stem for path in STUBS.glob("ex[0-9][0-9]_*.py"))


@cache
def exercises(set_name: str) -> tuple[Exercise, ...]:
    """The exercises of a set: the public functions of its stubs, in their order."""
    tree = ast.parse((STUBS / f"{set_name}.py").read_text(encoding="utf-8"))
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            doc = ast.get_docstring(node) or ""
            level = re.search(r"Difficulty:\s*([123]) of 3", doc)
            section = re.search(r"Lesson \d\d, sections? \d", doc)
            found.append(
                Exercise(
                    set_name,
                    node.name,
                    doc,
                    int(level[1]) if level else None,
                    section[0] if section else None,
                )
            )
    return tuple(found)


@cache
def stub_text(set_name: str, name: str) -> str:
    """The lines of a stub, as they are handed out."""
    text = (STUBS / f"{set_name}.py").read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return ast.get_source_segment(text, node)
    raise LookupError(f"lessons/exercises/{set_name}.py has no function {name}()")


def exercise(set_name: str, name: str) -> Exercise:
    for found in exercises(set_name):
        if found.name == name:
            return found
    raise LookupError(f"lessons/exercises/{set_name}.py has no function {name}()")


def solution(set_name: str, name: str):
    module = import_module(f"grading.solutions.{set_name}")
    if not hasattr(module, name):
        raise LookupError(f"tests/grading/solutions/{set_name}.py has no function {name}()")
    return getattr(module, name)


@cache
def graders(set_name: str) -> dict:
    """The graders of a set by the exercise's name."""
    module = load_file(GRADERS / f"test_{set_name}.py")
    return {k.removeprefix("test_"): v for k, v in vars(module).items() if k.startswith("test_")}


def load_file(path: Path):
    """The module in a file, whatever folder it is in."""
    spec = spec_from_file_location(path.stem, path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

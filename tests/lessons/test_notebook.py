"""A lesson opens as a notebook and runs in it from top to bottom, its pictures shown."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbconvert")

LESSONS = Path(__file__).parents[2] / "lessons"


@pytest.mark.parametrize("lesson", sorted(LESSONS.glob("0*.py")), ids=lambda path: path.stem)
def test_prose_and_code_become_cells(lesson):
    cells = jupytext.read(lesson).cells
    assert cells[0].cell_type == "markdown" and cells[0].source.startswith(
        f"# Lesson {lesson.stem[:2]}"
    )
    assert {cell.cell_type for cell in cells} == {"markdown", "code"}


def test_the_commands_of_the_page_make_a_notebook_that_runs(tmp_path):
    """As lessons/README.md says it; MINILLM_OPTIONS stands for the command line."""
    notebook = tmp_path / "03_autograd.ipynb"
    environment = os.environ | {"MINILLM_OPTIONS": "--quick"}
    for command in (
        ["jupytext", "--to", "ipynb", "--output", notebook, LESSONS / "03_autograd.py"],
        ["jupyter", "nbconvert", "--to", "notebook", "--execute", "--inplace", notebook],
    ):
        program = Path(sys.executable).parent / command[0]
        result = subprocess.run(
            [program, *command[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr[-2000:]
    outputs = [
        output
        for cell in nbformat.read(notebook, as_version=4).cells
        for output in cell.get("outputs", ())
    ]
    shown = {kind for output in outputs for kind in output.get("data", {})}
    assert shown & {"image/png", "image/svg+xml"}
    assert (tmp_path / "runs" / "03_autograd").is_dir()

"""What the README promises: its commands and its first example."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_calls_exactly_the_test_command():
    section = README.split("## Two commands")[1].split("\n## ")[0]
    commands = re.findall(r"```bash\n(.*?)\n```", section, re.DOTALL)
    assert len(commands) == 2 and all("\n" not in command for command in commands)
    assert commands[1] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_first_example_runs(tmp_path):
    example = re.search(r"```python\n(import minillm.*?)```", README, re.DOTALL).group(1)
    result = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert "[" in result.stdout


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target

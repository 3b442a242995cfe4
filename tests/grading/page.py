"""The table of exercises on the teachers' page, made from the stubs: python -m grading.page

So that the page never says other points than the scoreboard.
"""

from grading import sets

PAGE = sets.ROOT / "lessons" / "README.md"
BEGIN, END = "<!-- exercises: begin -->\n", "<!-- exercises: end -->\n"


def table() -> str:
    """A row for each set: its exercises with their points, and the sum."""
    rows = ["| set | exercises (points) | points |\n", "|---|---|---|\n"]
    for name in sets.set_names():
        exercises = sets.exercises(name)
        listed = ", ".join(f"{e.name} ({e.points})" for e in exercises)
        points = sum(e.points for e in exercises)
        rows.append(f"| [{name}](exercises/{name}.py) | {listed} | {points} |\n")
    return "".join(rows)


def with_table(page: str) -> str:
    """The page with a new table between the two marks."""
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return before + BEGIN + table() + END + after


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

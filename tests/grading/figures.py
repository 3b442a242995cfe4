"""The graders in figures: what they refuse, what they accept. From the folder tests/:

    python -m grading.figures

Exit code 1 if anything is refused or accepted wrongly.
"""

import sys

from grading import sets
from grading.alternatives import alternatives_of
from grading.answer import InProcess
from grading.grade import grade
from grading.mistakes import mistakes_of
from grading.no_answers import no_answers


def count(set_name: str) -> dict[str, tuple[int, int]]:
    """{what: (as it should be, in all)} of a set."""
    exercises = sets.exercises(set_name)

    def verdict(exercise: str, caller):
        return grade(set_name, exercise, caller)

    def tally(results):
        results = list(results)
        return sum(results), len(results)

    stubs = vars(sets.load_file(sets.STUBS / f"{set_name}.py"))
    mistakes = [(m, verdict(m.exercise, InProcess(m.function))) for m in mistakes_of(set_name)]
    others = alternatives_of(set_name)
    empty = [
        verdict(e.name, caller)
        for e in exercises
        for caller in no_answers(sets.solution(set_name, e.name)).values()
    ]
    return {
        "points": (sum(e.points for e in exercises),) * 2,
        "stubs to do": tally(
            verdict(e.name, InProcess(stubs[e.name])).status == "to do" for e in exercises
        ),
        "solutions done": tally(
            verdict(e.name, InProcess(sets.solution(set_name, e.name))).status == "done"
            for e in exercises
        ),
        "mistakes caught": tally(v.status == "wrong" for _, v in mistakes),
        "and named": tally(m.words in v.message for m, v in mistakes),
        "non-answers caught": tally(v.status == "wrong" for v in empty),
        "alternatives accepted": tally(
            verdict(a.exercise, InProcess(a.function)).status == "done" for a in others
        ),
    }


def main() -> int:
    table = {name: count(name) for name in sets.set_names()}
    columns = list(next(iter(table.values())))
    width = max(map(len, table)) + 2
    print(" " * width + "  ".join(columns))
    sums = {c: [sum(t[c][i] for t in table.values()) for i in (0, 1)] for c in columns}
    for name, row in [*table.items(), ("all", sums)]:
        cells = [f"{_cell(*row[c]):>{len(c)}}" for c in columns]
        print(f"{name:<{width}}" + "  ".join(cells))
    return int(any(right != most for right, most in sums.values()))


def _cell(right, most) -> str:
    return str(most) if right == most else f"{right} of {most}"


if __name__ == "__main__":
    sys.exit(main())

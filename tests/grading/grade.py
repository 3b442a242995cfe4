"""One exercise graded: the grader run on a student's function, and what came out."""

from dataclasses import dataclass

from grading import sets
from grading.answer import Answer, ToDo, Wrong
from grading.mistakes import mistakes_of


@dataclass(frozen=True)
class Verdict:
    status: str  # "done", "wrong" or "to do"
    message: str = ""  # for the student
    hint: str = ""  # one line, for the grade book


def answer_of(set_name: str, exercise: str, caller) -> Answer:
    """What the grader of `exercise` gets to hold, with the function that `caller` calls."""
    return Answer(
        exercise,
        caller,
        sets.solution(set_name, exercise),
        mistakes_of(set_name, exercise),
    )


def verdict_of(error: Exception, answer: Answer) -> Verdict:
    """What an exception in a grader means. One that isn't about the answer is raised again."""
    if isinstance(error, ToDo):
        return Verdict("to do")
    if not isinstance(error, Wrong):
        if not answer.calls:
            raise error
        error = answer.unusable(error)
    error.printed = answer.caller.close()
    return Verdict("wrong", str(error), error.hint)


def grade(set_name: str, exercise: str, caller) -> Verdict:
    """Run the grader of an exercise."""
    answer = answer_of(set_name, exercise, caller)
    grader = sets.graders(set_name)[exercise]
    try:
        grader(answer)
    except Exception as error:
        return verdict_of(error, answer)
    return Verdict("done") if answer.calls else Verdict("wrong", "the grader never asked")

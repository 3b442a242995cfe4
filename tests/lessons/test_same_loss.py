"""Gradients by hand (lesson 02) and by the tape (lesson 03) give the same losses to six digits."""

import re

from run_lesson import run_lesson


def losses(name, *arguments, cwd):
    """The lines of the table of losses, and the loss of step 100 from the sentence below it."""
    result = run_lesson(name, "--quick", *arguments, cwd=cwd)
    assert result.returncode == 0, result.stderr
    table = re.findall(r"^ *(1|10|25|50|100) +(\d+\.\d{6})$", result.stdout, re.MULTILINE)
    (last,) = re.findall(r"^The loss of step 100: (\d+\.\d{6})", result.stdout, re.MULTILINE)
    assert table[-1] == ("100", last)
    return table


def test_both_lessons_print_the_same_digits(tmp_path):
    by_hand = losses("02_word_vectors", "--seed", 5, cwd=tmp_path)
    by_tape = losses("03_autograd", "--seed", 5, cwd=tmp_path)
    assert [step for step, _ in by_tape] == ["1", "10", "25", "50", "100"]
    assert by_hand == by_tape

"""The teachers' page lists the exercises that there are."""

from grading.page import PAGE, with_table


def test_the_table_of_exercises_is_up_to_date():
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page, "run `python -m grading.page` in the folder tests"

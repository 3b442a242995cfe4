"""What a grader asks of an answer, and what it says if it doesn't get it."""

import numpy as np
import pytest

from grading.answer import Answer, InProcess, Named, Rng, ToDo, Wrong, rng
from grading.mistakes import Mistake


def twice(x, times=1):
    return 2 * np.asarray(x) * times


def answer_of(function, solution=twice, mistakes=()):
    mistakes = [Mistake("twice", words, wrong) for words, wrong in mistakes]
    return Answer("twice", InProcess(function), solution, mistakes)


def told(call, *args, **kwargs) -> str:
    """What the student is told."""
    with pytest.raises(Wrong) as caught:
        call(*args, **kwargs)
    assert caught.value.hint and "\n" not in caught.value.hint
    return str(caught.value)


def test_a_right_answer_returns_its_value():
    answer = answer_of(lambda x, times=1: [2 * v * times for v in x])
    assert answer.equals([1, 2]) == [2, 4]
    assert answer.equals(np.array([1.0, 2.0]), times=3) == [6.0, 12.0]
    assert answer([1, 2]) == [2, 4]


def test_a_wrong_value_is_shown_with_its_case():
    message = told(answer_of(lambda x: x).equals, [1, 2])
    assert message == (
        "twice gives a wrong value\n"
        "  case      twice(x=[1, 2])\n"
        "  yours     [1, 2]\n"
        "  expected  [2, 4]\n"
        "  where     at [0]: 1 instead of 2 (2 of 2 differ)\n"
        "  likely    every number is 0.5 times what it should be: mean for sum, or a lost factor?"
    )


def test_expected_may_be_given():
    answer = answer_of(lambda x: [x, x])
    answer.equals(1, expected=(1, 1))
    assert "in a wrong type" in told(answer.equals, 1, expected=(1, 1), exact_type=True)
    answer.equals(1.001, expected=[1, 1], rtol=0.01)
    told(answer.equals, 1.001, expected=[1, 1])


def test_the_planted_mistake_is_named():
    mistakes = [("square", lambda x: x * x), ("add 2", lambda x: x + 2)]
    message = told(answer_of(lambda x: x**2, mistakes=mistakes).equals, 3)
    assert "likely    square" in message


def test_mistakes_are_told_apart_by_the_cases_before():
    """3 * 3 is 3 + 6; 2 * 2 is 2 + 2, which is right: only one of them has been right so far."""
    mistakes = [("add 6", lambda x: x + 6), ("square", lambda x: x * x)]
    answer = answer_of(lambda x: x * x, mistakes=mistakes)
    answer.equals(2)
    message = told(answer.equals, 3)
    assert "likely    square" in message and "add 6" not in message


def test_mistakes_that_cant_be_told_apart_are_both_named():
    mistakes = [("add 6", lambda x: x + 6), ("square", lambda x: x * x)]
    assert "add 6 (or: square)" in told(answer_of(lambda x: x * x, mistakes=mistakes).equals, 3)


def test_an_exception_is_shown_and_a_mistake_that_raises_it_too_is_named():
    def divides(x):
        return 1 / 0

    mistakes = [("don't divide", lambda x: 3 // 0)]
    message = told(answer_of(divides, mistakes=mistakes), 3)
    assert "twice raises ZeroDivisionError" in message and "return 1 / 0" in message
    assert "likely    don't divide" in message


def test_todo():
    def stub(x):
        raise NotImplementedError("to do")

    for call in (answer_of(stub), answer_of(stub).equals):
        with pytest.raises(ToDo):
            call(1)


def test_changing_an_argument_is_wrong():
    def in_place(x, times=1):
        x *= 2
        return x

    x = np.arange(3.0)
    message = told(answer_of(in_place), x)
    assert "changes its argument `x` in place" in message
    assert x[1] == 1.0  # the grader's own stays what it was
    value, after = answer_of(in_place).in_place(x)
    assert value.tolist() == [0, 2, 4] and after[0].tolist() == [0, 2, 4]


def test_changes_deep_inside_are_seen():
    def empties(x, times=1):
        x["a"][0].clear()

    assert "in place" in told(answer_of(empties), {"a": [[1, 2]]})


def test_generators_and_functions_may_be_used_up():
    def draws(x, f):
        return f(x.normal(size=3))

    answer = answer_of(draws, solution=draws)
    answer.equals(Rng(3), Named("square_sum"))
    message = told(answer.equals, Rng(3), Named("square_sum"), expected=0)
    assert "Rng(seed=3)" in message and "square_sum" in message


def test_require_names_the_hint():
    answer = answer_of(lambda x: x)
    value = answer(3)
    answer.require(value == 3, "never said")
    message = told(answer.require, value == 6, "it must be twice x", value=value, expected=6)
    assert message.startswith("it must be twice x\n  case      twice(x=3)\n  yours     3")


def test_require_names_a_mistake_that_explains_all_calls():
    answer = answer_of(lambda x: x, mistakes=[("you return x itself", lambda x: x)])
    assert "likely    you return x itself" in told(answer.require, answer(3) == 6, "not even")


def test_a_mistake_isnt_blamed_for_what_the_solution_does_too():
    """A grader's property that fails where the values are right, says its own hint only."""
    answer = answer_of(twice, mistakes=[("a mistake elsewhere", twice)])
    answer(3)
    assert "elsewhere" not in told(answer.require, False, "never")


def test_raises():
    def refuses(x):
        if x < 0:
            raise ValueError("negative")
        return 2 * x

    answer_of(refuses).raises(ValueError, -1)
    answer_of(refuses).raises(Exception, -1)
    assert "must raise ValueError" in told(answer_of(twice).raises, ValueError, -1)
    assert "not ValueError: negative" in told(answer_of(refuses).raises, KeyError, -1)
    stub = answer_of(lambda x: (_ for _ in ()).throw(NotImplementedError))
    with pytest.raises(ToDo):
        stub.raises(ValueError, -1)


def test_unsendable_values():
    assert "list(...)" in told(answer_of(lambda x: (i for i in [x])), 1)


def test_none_is_named():
    message = told(answer_of(lambda x: None).equals, 1)
    assert "twice returns None" in message and "return" in message


def forward(x, w):
    return np.tanh(x @ w)


X, W, DY = (rng(n).normal(size=s) for n, s in [("x", (2, 3)), ("w", (3, 4)), ("dy", (2, 4))])
SLOPE = DY * (1 - forward(X, W) ** 2)
DX, DW = SLOPE @ W.T, X.T @ SLOPE


def check(*gradients, names=("x", "w")):
    answer_of(twice).is_gradient(forward, [X, W], DY, gradients, names)


def test_the_true_gradient_passes():
    check(DX, DW)
    check(DX.tolist(), DW.tolist())
    check(DX.astype(np.float32), DW.astype(np.float32))
    answer_of(twice).is_gradient(lambda x: forward(x, W), [X], DY, DX)
    answer_of(twice).is_gradient(lambda x: forward(x, W), [X], DY, (DX,))


@pytest.mark.parametrize(
    "gradients, words",
    [
        ((DX, -DW), "the gradient of w is wrong"),
        ((DX, -DW), "sign"),
        ((DX / 2, DW), "the gradient of x is wrong"),
        ((DX / 2, DW), "0.5 times"),
        ((DX * 1.0001, DW), "the gradient of x is wrong"),
        ((DX, DW.T), "the gradient of w has shape (4, 3), not (3, 4)"),
        ((np.zeros_like(DX), DW), "all zeros"),
        ((None, DW), "the gradient of x is no array of numbers"),
        ((DX,), "1 gradients instead of 2 (x, w)"),
        ((DX * np.nan, DW), "the gradient of x is wrong"),
        ((DX, "w"), "the gradient of w is no array of numbers"),
    ],
)
def test_a_false_gradient_is_found_with_the_input_at_fault(gradients, words):
    assert words in told(check, *gradients)


def test_a_list_of_one_row_is_a_gradient():
    x = X[:1]
    answer_of(twice).is_gradient(lambda x: x**2, [x], np.ones((1, 3)), (2 * x).tolist())
    answer_of(twice).is_gradient(lambda x: x**2, [x], np.ones((1, 3)), [2 * x])


def test_a_grader_that_fails_on_a_right_value_is_to_blame_itself():
    answer = answer_of(twice)
    answer(3)
    with pytest.raises(ZeroDivisionError):
        raise answer.unusable(ZeroDivisionError())
    answer = answer_of(lambda x: [2 * x])
    answer(3)
    assert "can't use" in str(answer.unusable(TypeError()))


def test_a_false_number_in_a_large_gradient_is_found():
    x = rng("large").normal(size=(50, 40))
    gradient = 2 * x
    gradient[31, 7] = 0
    message = told(answer_of(twice).is_gradient, lambda x: x**2, [x], np.ones((50, 40)), gradient)
    assert "the gradient of x is wrong" in message
    assert len(message) < 2000


def test_seeds_are_steady():
    assert rng("softmax").integers(10**9) == rng("softmax").integers(10**9)
    assert rng("softmax").integers(10**9) != rng("sigmoid").integers(10**9)

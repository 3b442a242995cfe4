"""Answers that draw: what every one of them must satisfy, whatever it draws."""


def follows_the_generator(answer, call):
    """`call(seed)` is a draw with generators made from `seed`: equal ones repeat it, others don't.

    It must be large enough for two draws not to be equal by chance, and short enough for its repr
    to show all of it.
    """
    first, again, other = (repr(call(seed)) for seed in (1, 1, 2))
    what = "take all random numbers from `rng`: "
    answer.require(
        first == again,
        what + "a generator that begins alike must lead to the same result",
        case="twice, both times with a new default_rng(1)",
    )
    answer.require(
        first != other,
        what + "another generator changes nothing",
        case="once with default_rng(1), once with default_rng(2)",
    )

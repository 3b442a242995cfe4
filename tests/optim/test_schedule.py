"""Learning-rate schedules: the values at the corners, and the shape between them."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minillm import optim

close = pytest.approx
warmup_decays = st.sampled_from([optim.linear_warmup_decay, optim.cosine_warmup_decay])


@given(warmup_decays, st.integers(0, 50), st.integers(1, 100), st.sampled_from([0.0, 0.2]))
def test_warm_up_and_decay_have_the_documented_corners(schedule, warmup, decay, final):
    total = warmup + decay

    def rate(step):
        return schedule(step, 2.0, warmup, total, final)

    assert rate(0) == (2.0 if warmup == 0 else 0.0)
    assert rate(warmup) == close(2.0)
    assert rate(total) == close(final) and rate(total + 100) == close(final)
    for step in range(warmup):
        assert rate(step) == close(2.0 * step / warmup)
    rates = [rate(step) for step in range(warmup, total + 1)]
    assert all(later < earlier for earlier, later in zip(rates, rates[1:], strict=False))


def test_the_decays_have_their_shapes():
    assert optim.linear_warmup_decay(25, 1.0, 0, 100) == close(0.75)
    assert optim.linear_warmup_decay(25, 1.0, 0, 100, final=0.2) == close(0.8)
    assert optim.cosine_warmup_decay(25, 1.0, 0, 100) == close((1 + math.sqrt(0.5)) / 2)
    assert optim.cosine_warmup_decay(60, 1.0, 20, 100, final=0.2) == close(0.6)


@given(warmup_decays, st.integers(1, 9))
def test_all_warm_up_and_no_decay_ends_at_the_final_rate(schedule, total):
    assert schedule(total - 1, 1.0, total, total, 0.5) == close((total - 1) / total)
    assert schedule(total, 1.0, total, total, 0.5) == 0.5


def test_constant():
    assert [optim.constant(step, 3.0) for step in (0, 1, 1000)] == [3, 3, 3]
    assert [optim.constant(step, 3.0, warmup=3) for step in range(5)] == close([0, 1, 2, 3, 3])


@given(st.integers(0, 60), st.floats(0.5, 1), st.integers(1, 10))
def test_exponential_and_step_decay(step, gamma, size):
    expected = stepped = 0.3
    for t in range(step):
        expected *= gamma
        stepped *= gamma if (t + 1) % size == 0 else 1
    assert optim.exponential_decay(step, 0.3, gamma) == close(expected)
    assert optim.step_decay(step, 0.3, size, gamma) == close(stepped)


def test_step_decay_divides_by_ten_by_default():
    assert optim.step_decay(20, 1.0, 10) == close(0.01)


@given(warmup_decays, st.integers(-5, 5), st.integers(-5, 5))
def test_impossible_arguments_are_refused(schedule, warmup, total):
    assume(warmup < 0 or warmup > total)
    with pytest.raises(ValueError, match=f"warmup {warmup} must lie between 0 and .* {total}"):
        schedule(0, 1.0, warmup, total)


def test_other_impossible_arguments_are_refused():
    for call in (
        lambda: optim.constant(-1, 1.0),
        lambda: optim.linear_warmup_decay(-1, 1.0, 0, 10),
        lambda: optim.exponential_decay(-1, 1.0, 0.9),
    ):
        with pytest.raises(ValueError, match="step must not be negative, got -1"):
            call()
    with pytest.raises(ValueError, match="step_size must be a positive integer, got 0"):
        optim.step_decay(1, 1.0, 0)
    with pytest.raises(ValueError, match="warmup -1 must not be negative"):
        optim.constant(1, 1.0, -1)

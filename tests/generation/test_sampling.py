"""The filters against formulas written another way, and the draw against its distribution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minillm.backend import get_device
from minillm.generation import sampling

FINITE = st.floats(-30, 30).map(lambda x: round(x, 3))
LOGITS = arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 12)), elements=FINITE)
SHARE = st.floats(0.01, 1.0)


def probabilities(logits):
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def kept(filtered, logits):
    """Which tokens stayed; those that did are unchanged."""
    allowed = filtered > -np.inf
    np.testing.assert_array_equal(filtered[allowed], logits[allowed])
    assert allowed.any(-1).all()
    return allowed


@given(LOGITS, st.floats(0.05, 20))
def test_temperature_is_a_power_of_the_probabilities(logits, t):
    expected = probabilities(logits) ** (1 / t)
    expected /= expected.sum(-1, keepdims=True)
    np.testing.assert_allclose(probabilities(sampling.temperature(logits, t)), expected, atol=1e-9)


@given(LOGITS, st.integers(1, 15))
def test_top_k_keeps_what_fewer_than_k_surpass(logits, k):
    surpassed_by = (logits[:, None, :] > logits[:, :, None]).sum(-1)
    np.testing.assert_array_equal(kept(sampling.top_k(logits, k), logits), surpassed_by < k)


@given(LOGITS, SHARE)
def test_top_p_keeps_the_smallest_set_with_mass_p(logits, p):
    allowed = kept(sampling.top_p(logits, p), logits)
    for row, prob in zip(allowed, probabilities(logits), strict=True):
        assert prob[row].sum() >= p - 1e-9
        assert prob[row].min() >= prob[~row].max(initial=0)  # nothing more probable left out
        assert prob[row].sum() - prob[row].min() < p + 1e-9  # one fewer would be too few


@given(LOGITS, SHARE)
def test_min_p_keeps_a_share_of_the_largest(logits, p):
    prob = probabilities(logits)
    ratio = prob / prob.max(-1, keepdims=True)
    allowed = kept(sampling.min_p(logits, p), logits)
    assert allowed[ratio > p * (1 + 1e-9)].all() and not allowed[ratio < p * (1 - 1e-9)].any()


@given(LOGITS, st.integers(1, 12))
def test_each_filter_can_be_made_to_keep_several(logits, least):
    least = min(least, logits.shape[1])
    strictest = sampling.top_k(logits, 1, least), sampling.top_p(logits, 1e-9, least)
    for filtered in (*strictest, sampling.min_p(logits, 1.0, least)):
        assert (kept(filtered, logits).sum(-1) >= least).all()


@given(LOGITS, st.floats(0.2, 5), st.data())
def test_repetition_penalty(logits, penalty, data):
    B, V = logits.shape
    ids = data.draw(arrays(np.int64, (B, 4), elements=st.integers(0, V - 1)))
    before = logits.copy()
    found = sampling.repetition_penalty(logits, ids, penalty)
    for b in range(B):
        for v in range(V):
            z = logits[b, v]
            if v in ids[b]:  # once, however often it stands there
                z = z * penalty if z < 0 else z / penalty
            assert found[b, v] == z
    np.testing.assert_array_equal(logits, before)


def test_filters_that_are_off_change_nothing():
    logits = np.random.default_rng(0).standard_normal((2, 9))
    ids = np.zeros((2, 3), np.int64)
    for same in (
        sampling.temperature(logits, 1.0),
        sampling.top_k(logits, 9),
        sampling.top_p(logits, 1.0),
        sampling.min_p(logits, 0.0),
        sampling.repetition_penalty(logits, ids, 1.0),
    ):
        np.testing.assert_array_equal(same, logits)


def test_top_p_among_equals_keeps_the_lowest_ids():
    allowed = sampling.top_p(np.zeros((1, 8)), 0.5) > -np.inf
    assert allowed.tolist() == [[True] * 4 + [False] * 4]


def test_a_vector_is_one_distribution():
    z = np.array([0.0, 3.0, 1.0, 2.0])
    assert np.flatnonzero(sampling.top_k(z, 2) > -np.inf).tolist() == [1, 3]
    assert np.flatnonzero(sampling.top_p(z, 0.7) > -np.inf).tolist() == [1, 3]
    assert sampling.repetition_penalty(z, np.array([1, 1]), 2.0).tolist() == [0, 1.5, 1, 2]


def test_filters_run_where_their_arrays_are(device):
    place = get_device(device)
    z = np.random.default_rng(3).standard_normal((3, 10))
    ids = np.array([[1, 2], [3, 3], [9, 0]])
    there, ids_there = place.from_numpy(z.copy()), place.from_numpy(ids.copy())
    for found, expected in (
        (sampling.temperature(there, 0.7), sampling.temperature(z, 0.7)),
        (sampling.top_k(there, 3), sampling.top_k(z, 3)),
        (sampling.top_p(there, 0.6, 2), sampling.top_p(z, 0.6, 2)),
        (sampling.min_p(there, 0.3, 2), sampling.min_p(z, 0.3, 2)),
        (sampling.log_softmax(there), sampling.log_softmax(z)),
        (
            sampling.repetition_penalty(there, ids_there, 1.5),
            sampling.repetition_penalty(z, ids, 1.5),
        ),
    ):
        np.testing.assert_allclose(place.to_numpy(found), expected)


@given(LOGITS)
def test_log_softmax(logits):
    np.testing.assert_allclose(
        np.exp(sampling.log_softmax(logits)), probabilities(logits), atol=1e-12
    )


def test_draw_has_the_distribution():
    logits = np.log(np.array([[0.5, 0.0001, 0.2, 0.2999]]))
    uniform = (np.arange(10_000) + 0.5) / 10_000  # evenly over [0, 1)
    tokens = sampling.draw(np.repeat(logits, 10_000, axis=0), uniform)
    assert np.bincount(tokens).tolist() == [5000, 1, 2000, 2999]


@given(LOGITS, st.floats(0, 1, exclude_max=True))
def test_draw_never_takes_what_is_forbidden(logits, u):
    filtered = sampling.top_k(logits, 2)
    tokens = sampling.draw(filtered, np.full(len(logits), u))
    assert (filtered[np.arange(len(logits)), tokens] > -np.inf).all()


@pytest.mark.parametrize("u", [0.0, np.nextafter(1, 0)])
def test_draw_at_the_ends(u):
    logits = np.array([[-np.inf, 0.0, 0.0, -np.inf]])
    assert sampling.draw(logits, np.array([u]))[0] == (1 if u == 0 else 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z: sampling.temperature(z, 0.0), r"temperature=0.0.*positive.*do_sample=False"),
        (lambda z: sampling.temperature(z, -1.0), "temperature=-1.0"),
        (lambda z: sampling.temperature(z, float("nan")), "temperature=nan"),
        (lambda z: sampling.top_k(z, 0), "top_k=0"),
        (lambda z: sampling.top_k(z, 2.5), "top_k=2.5"),
        (lambda z: sampling.top_p(z, 0.0), r"top_p=0.0.*\(0, 1\]"),
        (lambda z: sampling.top_p(z, 1.01), "top_p=1.01"),
        (lambda z: sampling.min_p(z, -0.1), "min_p=-0.1"),
        (lambda z: sampling.min_p(z, 1.5), "min_p=1.5"),
        (lambda z: sampling.repetition_penalty(z, np.zeros((1, 1), int), 0.0), "penalty=0.0"),
    ],
)
def test_bad_values_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((1, 4)))

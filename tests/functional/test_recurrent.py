"""lstm and rnn: step by step in plain NumPy, and as compositions of primitive functions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import check_op, check_same, normal, seeds, to_host

import minillm
from minillm import functional as F


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def own_steps(T, length, reverse):
    """The steps that a sequence of `length` walks, in its order."""
    return range(length - 1, -1, -1) if reverse else range(length)


def one_sequence_at_a_time(step, x, initial, lengths, reverse):
    """States (T, B, H) for each of the initial states; past its end a sequence stands still.

    What is expected at a step past the end of a forward sequence is its last state; a reversed
    one has not yet begun there, so its first state.
    """
    T, B, _ = x.shape
    states = [np.empty((T, B, s.shape[1])) for s in initial]
    for b in range(B):
        length = T if lengths is None else int(lengths[b])
        state = [s[b] for s in initial]
        for t in range(length, T) if reverse else ():
            for k, s in enumerate(initial):
                states[k][t, b] = s[b]
        for t in own_steps(T, length, reverse):
            state = step(x[t, b], *state)
            for k, s in enumerate(state):
                states[k][t, b] = s
        for t in () if reverse else range(length, T):
            for k, s in enumerate(state):
                states[k][t, b] = s
    return states


@st.composite
def recurrent_cases(draw):
    T, B, D, H = (draw(st.integers(1, n)) for n in (4, 3, 3, 3))
    lengths = None
    if draw(st.booleans()):
        lengths = np.array(draw(st.lists(st.integers(0, T), min_size=B, max_size=B)))
    return T, B, D, H, lengths, draw(st.booleans()), draw(st.booleans())


@given(case=recurrent_cases(), seed=seeds)
def test_lstm(device, case, seed):
    T, B, D, H, lengths, reverse, has_bias = case
    x, h0, c0, w_ih, w_hh, b_ih, b_hh = normal(
        seed, (T, B, D), (B, H), (B, H), (4 * H, D), (4 * H, H), (4 * H,), (4 * H,)
    )

    def step(x, h, c):
        z = w_ih @ x + w_hh @ h + (b_ih + b_hh if has_bias else 0)
        i, f, g, o = z[:H], z[H : 2 * H], z[2 * H : 3 * H], z[3 * H :]
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    expected = np.stack(one_sequence_at_a_time(step, x, (h0, c0), lengths, reverse))
    biases = (b_ih, b_hh) if has_bias else (None, None)
    check_op(
        lambda *a: F.lstm(*a, reverse=reverse),
        *(x, h0, c0, w_ih, w_hh, *biases, lengths),
        device=device,
        expected=expected,
    )


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@given(case=recurrent_cases(), seed=seeds)
def test_rnn(device, nonlinearity, case, seed):
    T, B, D, H, lengths, reverse, has_bias = case
    x, h0, w_ih, w_hh, b_ih, b_hh = normal(seed, (T, B, D), (B, H), (H, D), (H, H), (H,), (H,))
    function = np.tanh if nonlinearity == "tanh" else lambda z: np.where(z > 0, z, 0)

    def step(x, h):
        return (function(w_ih @ x + w_hh @ h + (b_ih + b_hh if has_bias else 0)),)

    (expected,) = one_sequence_at_a_time(step, x, (h0,), lengths, reverse)
    biases = (b_ih, b_hh) if has_bias else (None, None)
    check_op(
        lambda *a: F.rnn(*a, reverse=reverse, nonlinearity=nonlinearity),
        *(x, h0, w_ih, w_hh, *biases, lengths),
        device=device,
        expected=expected,
    )


@pytest.mark.parametrize("lengths", [None, np.array([4, 1, 0])], ids=["whole", "lengths"])
@pytest.mark.parametrize("reverse", [False, True])
def test_lstm_equals_its_composition(device, reverse, lengths):
    """The plain form: one step after the other, out of primitive functions."""
    T, B, D, H = 4, 3, 2, 5
    arrays = normal(0, (T, B, D), (B, H), (B, H), (4 * H, D), (4 * H, H), (4 * H,), (4 * H,))
    real = np.ones((T, B, 1))
    if lengths is not None:
        real = (np.arange(T)[:, None] < lengths).astype(float)[:, :, None]
    real = minillm.tensor(real, device=device)

    def composed(x, h, c, w_ih, w_hh, b_ih, b_hh, _):
        hs, cs = [None] * T, [None] * T
        for t in reversed(range(T)) if reverse else range(T):
            z = F.linear(x[t], w_ih, b_ih) + F.linear(h, w_hh, b_hh)
            i, f, g, o = F.split(z, H, dim=1)
            new_c = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
            new_h = F.sigmoid(o) * F.tanh(new_c)
            # Past its end a sequence's state stands still.
            h = real[t] * new_h + (1 - real[t]) * h
            c = real[t] * new_c + (1 - real[t]) * c
            hs[t], cs[t] = h, c
        return F.stack([F.stack(hs), F.stack(cs)])

    check_same(
        lambda *a: F.lstm(*a, reverse=reverse),
        composed,
        *arrays,
        lengths,
        device=device,
        tolerance=1e-9,
    )


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_rnn_equals_its_composition(device, nonlinearity):
    T, B, D, H = 4, 3, 2, 5
    arrays = normal(0, (T, B, D), (B, H), (H, D), (H, H), (H,), (H,))
    function = getattr(F, nonlinearity)

    def composed(x, h, w_ih, w_hh, b_ih, b_hh):
        hs = []
        for t in range(T):
            h = function(F.linear(x[t], w_ih, b_ih) + F.linear(h, w_hh, b_hh))
            hs.append(h)
        return F.stack(hs)

    check_same(
        lambda *a: F.rnn(*a, nonlinearity=nonlinearity),
        composed,
        *arrays,
        device=device,
        tolerance=1e-9,
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_what_stands_past_the_end_of_a_sequence_has_no_influence(device, reverse):
    """NaN in the padding reaches neither the real states nor any gradient."""
    x, h0, c0, w_ih, w_hh = normal(0, (4, 2, 3), (2, 2), (2, 2), (8, 3), (8, 2))
    lengths = np.array([2, 4])
    results = []
    for filler in (0.0, 5.0):
        x[2:, 0] = filler
        leaves = [minillm.tensor(a, requires_grad=True, device=device) for a in (x, w_ih, w_hh)]
        states = F.lstm(
            leaves[0],
            *(minillm.tensor(a, device=device) for a in (h0, c0)),
            *leaves[1:],
            lengths=minillm.tensor(lengths, device=device),
            reverse=reverse,
        )
        (states * states).sum().backward()
        results.append([states.numpy(), *(to_host(leaf.grad) for leaf in leaves)])
        assert (results[-1][1][2:, 0] == 0).all()  # no gradient for the padding
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_last_state_of_a_short_sequence_is_that_of_its_last_real_step(device):
    x, h0, w_ih, w_hh = normal(0, (4, 2, 3), (2, 2), (2, 3), (2, 2))
    tensors = [minillm.tensor(a, device=device) for a in (x, h0, w_ih, w_hh)]
    states = F.rnn(*tensors, lengths=minillm.tensor([2, 4], device=device)).numpy()
    np.testing.assert_array_equal(states[3, 0], states[1, 0])
    assert (states[3, 1] != states[1, 1]).all()


def arguments(device, **replaced):
    shapes = dict(x=(4, 2, 3), h0=(2, 5), c0=(2, 5), w_ih=(20, 3), w_hh=(20, 5), b_ih=None)
    shapes |= replaced
    return {
        name: shape if shape is None else minillm.tensor(np.ones(shape), device=device)
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize(
    "replaced, words",
    [
        ({"x": (4, 2, 6)}, r"\(4, 2, 6\).*\(20, 3\)"),
        ({"x": (2, 3)}, r"\(2, 3\)"),
        ({"x": (0, 2, 3)}, "0 steps"),
        ({"h0": (3, 5)}, r"h0 \(3, 5\).*\(2, 5\)"),
        ({"c0": (5,)}, r"c0 \(5,\).*\(2, 5\)"),
        ({"w_hh": (20, 4)}, r"\(20, 4\)"),
        ({"b_ih": (20,)}, "both biases or none"),
        ({"lengths": (3,)}, r"lengths \(3,\).*\(2,\)"),
    ],
)
def test_lstm_names_what_does_not_fit(device, replaced, words):
    with pytest.raises(ValueError, match=words):
        F.lstm(**arguments(device, **replaced))


@pytest.mark.parametrize(
    "replaced, words",
    [
        ({"x": (4, 2, 6)}, r"\(4, 2, 6\).*\(5, 3\)"),
        ({"h0": (3, 5)}, r"h0 \(3, 5\).*\(2, 5\)"),
        ({"b_ih": (5,)}, "both biases or none"),
    ],
)
def test_rnn_names_what_does_not_fit(device, replaced, words):
    shapes = arguments(device, **{"w_ih": (5, 3), "w_hh": (5, 5)} | replaced)
    del shapes["c0"]
    with pytest.raises(ValueError, match=words):
        F.rnn(**shapes)


def test_rnn_names_an_unknown_nonlinearity(device):
    shapes = arguments(device, w_ih=(5, 3), w_hh=(5, 5))
    del shapes["c0"]
    with pytest.raises(ValueError, match="'gelu'.*'tanh' or 'relu'"):
        F.rnn(**shapes, nonlinearity="gelu")

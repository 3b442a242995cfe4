"""RNN and LSTM, against the recurrence computed for one sequence at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import normal, seeds

import minillm
from minillm import functional as F
from minillm import nn


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm_step(x, h, c, w_ih, w_hh, bias):
    i, f, g, o = np.split(w_ih @ x + w_hh @ h + bias, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def rnn_step(nonlinearity):
    def step(x, h, c, w_ih, w_hh, bias):
        z = w_ih @ x + w_hh @ h + bias
        return (np.tanh(z) if nonlinearity == "tanh" else np.maximum(z, 0)), c

    return step


def one_by_one(step, w, x, lengths, num_layers, H, bidirectional):
    """Each sequence alone, without its padding: outputs (T, B, D H), both last states."""
    T, B, _ = x.shape
    suffixes = ["", "_reverse"] if bidirectional else [""]
    outputs = np.zeros((T, B, H * len(suffixes)))
    last_h, last_c = np.zeros((2, num_layers * len(suffixes), B, H))
    for b in range(B):
        sequence = x[: lengths[b], b]  # (t, X)
        for layer in range(num_layers):
            directions = []
            for d, suffix in enumerate(suffixes):
                name = f"l{layer}{suffix}"
                bias = w.get(f"bias_ih_{name}", 0) + w.get(f"bias_hh_{name}", 0)
                weights = w[f"weight_ih_{name}"], w[f"weight_hh_{name}"], bias
                h = c = np.zeros(H)
                states = []
                for row in sequence[::-1] if d else sequence:
                    h, c = step(row, h, c, *weights)
                    states.append(h)
                place = layer * len(suffixes) + d
                last_h[place, b], last_c[place, b] = h, c
                directions.append(np.array(states[::-1] if d else states))
            sequence = np.concatenate(directions, axis=1)
        outputs[: lengths[b], b] = sequence
    return outputs, last_h, last_c


shape_options = {
    "seed": seeds,
    "T": st.integers(1, 4),
    "B": st.integers(1, 3),
    "num_layers": st.integers(1, 2),
    "bias": st.booleans(),
    "bidirectional": st.booleans(),
    "batch_first": st.booleans(),
    "ragged": st.booleans(),
}
X, H = 2, 3


def check(check_module, module, step, seed, T, B, ragged):
    """The output and the last states, flattened into one, for a sequence of values and lengths."""
    lengths = np.random.default_rng(seed).integers(1, T + 1, B) if ragged else np.full(B, T)
    x = normal(seed, (B, T, X) if module.batch_first else (T, B, X))

    def formula(w, x, *_):
        x = x.swapaxes(0, 1) if module.batch_first else x
        output, h, c = one_by_one(step, w, x, lengths, module.num_layers, H, module.bidirectional)
        output = output.swapaxes(0, 1) if module.batch_first else output
        states = (h, c) if isinstance(module, nn.LSTM) else (h,)
        return np.concatenate([a.reshape(-1) for a in (output, *states)])

    def call(module, x, *lengths):
        output, states = module(x, None, *lengths)
        states = states if isinstance(states, tuple) else (states,)
        return F.concatenate([t.reshape(-1) for t in (output, *states)])

    given_lengths = (lengths,) if ragged else ()
    check_module(module, formula, x, *given_lengths, call=call, seed=seed)


@given(**shape_options)
def test_lstm(check_module, seed, T, B, num_layers, bias, bidirectional, batch_first, ragged):
    module = nn.LSTM(X, H, num_layers, bias, batch_first, bidirectional=bidirectional)
    check(check_module, module, lstm_step, seed, T, B, ragged)


@given(**shape_options)
def test_rnn(check_module, seed, T, B, num_layers, bias, bidirectional, batch_first, ragged):
    module = nn.RNN(X, H, num_layers, "tanh", bias, batch_first, bidirectional=bidirectional)
    check(check_module, module, rnn_step("tanh"), seed, T, B, ragged)


def test_rnn_with_relu(check_module):
    check(check_module, nn.RNN(X, H, 2, "relu"), rnn_step("relu"), 3, 3, 2, True)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.RNN])
def test_a_sequence_in_two_halves_is_the_sequence_in_one(device, randomize, kind):
    """The state handed over as hx, gradients included, carries everything."""
    module = randomize(kind(X, H, 2))
    x = normal(0, (5, 2, X))

    def gradients(halves):
        module.zero_grad()
        outputs, state = [], None
        leaf = minillm.tensor(x, requires_grad=True, device=device)
        for part in (leaf[:2], leaf[2:]) if halves else (leaf,):
            output, state = module(part, state)
            outputs.append(output)
        y = F.concatenate(outputs)
        (y * y).sum().backward()
        return [minillm.Tensor(g).numpy() for g in (y.data, leaf.grad)] + [
            minillm.Tensor(p.grad).numpy().copy() for p in module.parameters()
        ]

    for whole, halves in zip(gradients(False), gradients(True), strict=True):
        np.testing.assert_allclose(halves, whole, rtol=1e-9, atol=1e-12)


def test_lengths_may_be_a_list_an_array_or_a_tensor(device):
    module = nn.LSTM(X, H).to(device)
    x = minillm.tensor(normal(0, (4, 2, X)).astype("f"), device=device)
    expected = module(x, lengths=[4, 2])[0].numpy()
    for lengths in (np.array([4, 2]), minillm.tensor([4, 2], device=device)):
        np.testing.assert_array_equal(module(x, lengths=lengths)[0].numpy(), expected)
    assert (expected[2:, 1] == 0).all() and (expected[2:, 0] != 0).all()


def test_what_lies_beyond_the_end_has_no_influence(device, randomize):
    module = randomize(nn.LSTM(X, H, 2, bidirectional=True))
    x = normal(0, (4, 2, X))
    other = x.copy()
    other[3, 1] = 100.0
    results = []
    for values in (x, other):
        leaf = minillm.tensor(values, requires_grad=True, device=device)
        output, (h, c) = module(leaf, lengths=[4, 3])
        (output.sum() + h.sum() + c.sum()).backward()
        results.append([t.numpy() for t in (output, h, c)])
        assert (minillm.Tensor(leaf.grad).numpy()[3, 1] == 0).all()
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_dropout_acts_between_the_layers_only_and_while_training_only(device):
    x = minillm.tensor(normal(0, (3, 2, X)).astype("f"), device=device)
    one, two = nn.LSTM(X, H, 1, dropout=0.5).to(device), nn.LSTM(X, H, 2, dropout=0.5).to(device)
    np.testing.assert_array_equal(one(x)[0].numpy(), one(x)[0].numpy())
    output, (h, _) = two(x)
    again, (h_again, _) = two(x)
    np.testing.assert_array_equal(h.numpy()[0], h_again.numpy()[0])
    assert not np.array_equal(output.numpy(), again.numpy())
    two.eval()
    np.testing.assert_array_equal(two(x)[0].numpy(), two(x)[0].numpy())


def test_errors_are_in_words(device):
    with pytest.raises(ValueError, match="hidden_size must be a positive integer, got 0"):
        nn.LSTM(2, 0)
    with pytest.raises(ValueError, match="dropout must be a probability"):
        nn.LSTM(2, 2, dropout=2)
    with pytest.raises(ValueError, match="nonlinearity='gelu': expected 'tanh' or 'relu'"):
        nn.RNN(2, 2, nonlinearity="gelu")
    module = nn.LSTM(X, H, batch_first=True).to(device)
    x = minillm.tensor(np.zeros((2, 4, X), "f"), device=device)
    with pytest.raises(ValueError, match=r"LSTM: input \(4, 2\), expected \(batch, time, input\)"):
        module(x[0])
    with pytest.raises(ValueError, match=r"initial state \(1, 4, 3\), expected .* \(1, 2, 3\)"):
        state = minillm.tensor(np.zeros((1, 4, H), "f"), device=device)
        module(x, (state, state))
    for lengths in ([1], [1.0, 2.0]):
        with pytest.raises(ValueError, match="lengths must be 2 integers"):
            module(x, lengths=lengths)
    if device != "cuda":
        for lengths in ([0, 4], [4, 5]):
            with pytest.raises(ValueError, match="expected 1 to 4, the number of steps"):
                module(x, lengths=lengths)

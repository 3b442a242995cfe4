"""Recurrent networks of several layers and both directions (a single one: `F.rnn`, `F.lstm`).

Layer k reads the outputs of layer k-1; with `bidirectional` a second network reads the sequence
from its end, and an output is both states side by side.  Parameters are named as in PyTorch:
weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, then ..._l0_reverse, then ..._l1 and so on.
"""

import math

import numpy as np

from minillm import functional as F
from minillm.autograd import Tensor
from minillm.backend import array_module, device_of
from minillm.nn import init
from minillm.nn.module import Module, check_positive, check_probability, empty_parameter


class _Recurrent(Module):
    """What RNN and LSTM share: parameters, layers, directions, lengths.

    A subclass says how many gates a step has and how one layer runs (`_scan`).
    """

    gates = 1

    def __init__(
        self, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
    ):
        super().__init__()
        check_positive(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_probability(dropout=dropout)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first = bias, batch_first
        self.dropout, self.bidirectional = dropout, bidirectional
        rows = self.gates * hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * (1 + bidirectional)
            for suffix in self._suffixes(layer):
                setattr(self, f"weight_ih_{suffix}", empty_parameter(rows, width))
                setattr(self, f"weight_hh_{suffix}", empty_parameter(rows, hidden_size))
                if bias:
                    setattr(self, f"bias_ih_{suffix}", empty_parameter(rows))
                    setattr(self, f"bias_hh_{suffix}", empty_parameter(rows))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values anew: everything uniform in +-1/sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _suffixes(self, layer):
        return [f"l{layer}", f"l{layer}_reverse"] if self.bidirectional else [f"l{layer}"]

    def _weights(self, suffix):
        names = ("weight_ih_", "weight_hh_", "bias_ih_", "bias_hh_")
        return [getattr(self, name + suffix, None) for name in names]

    def _layers(self, input, initial, lengths):
        """All layers -> (output, the last state of each layer and direction, stacked).

        initial: None, or one (layers * directions, B, H) for each part of the state.
        """
        self._check_input(input, initial)
        x = F.transpose(input, 0, 1) if self.batch_first else input  # (T, B, I)
        T, B = x.shape[:2]
        ended = None
        if lengths is not None:
            lengths = self._lengths(lengths, T, B)
            ended = array_module(lengths).arange(T)[:, None] >= lengths[None, :]  # (T, B)
            ended = ended[:, :, None]
        zeros = None
        if initial is None:
            weight = self.weight_ih_l0.data
            zeros = array_module(weight).zeros((B, self.hidden_size), weight.dtype)
        last_states = []
        for layer in range(self.num_layers):
            if layer > 0 and self.training and self.dropout > 0:
                x = F.dropout(x, self.dropout)
            outputs = []
            for reverse, suffix in enumerate(self._suffixes(layer)):
                state = zeros if initial is None else [part[len(last_states)] for part in initial]
                output, last = self._scan(x, state, self._weights(suffix), lengths, bool(reverse))
                outputs.append(output)
                last_states.append(last)
            x = F.concatenate(outputs, -1) if self.bidirectional else outputs[0]
        if ended is not None:
            x = F.masked_fill(x, ended, 0.0)
        return (F.transpose(x, 0, 1) if self.batch_first else x), F.stack(last_states)

    def _check_input(self, input, initial):
        order = "(batch, time, input)" if self.batch_first else "(time, batch, input)"
        if len(input.shape) != 3 or input.shape[2] != self.input_size or 0 in input.shape:
            raise ValueError(
                f"{type(self).__name__}: input {input.shape}, expected {order} with input size "
                f"{self.input_size} and at least one step (batch_first={self.batch_first})"
            )
        B = input.shape[0 if self.batch_first else 1]
        expected = (self.num_layers * (1 + self.bidirectional), B, self.hidden_size)
        for part in initial or ():
            if part.shape != expected:
                raise ValueError(
                    f"{type(self).__name__}: initial state {part.shape}, expected "
                    f"(num_layers * directions, batch, hidden) = {expected}"
                )

    def _lengths(self, lengths, T, B):
        """Lengths (a list, an array, a Tensor) as an array on the parameters' device."""
        device = device_of(self.weight_ih_l0.data)
        if isinstance(lengths, Tensor):
            lengths = lengths.data
        if isinstance(lengths, list | tuple):
            lengths = np.array(lengths)
        if device_of(lengths) is not device:
            lengths = device.from_numpy(device_of(lengths).to_numpy(lengths))
        if lengths.shape != (B,) or lengths.dtype.kind not in "iu":
            raise ValueError(
                f"lengths must be {B} integers, one for each sequence, got "
                f"{lengths.dtype} of shape {lengths.shape}"
            )
        # On a GPU the check would have to wait for the device.
        if device.checks_ids and (lengths.min() < 1 or lengths.max() > T):
            raise ValueError(
                f"lengths from {int(lengths.min())} to {int(lengths.max())}: expected 1 to {T}, "
                "the number of steps of the input"
            )
        return lengths

    def extra_repr(self):
        shown = f"{self.input_size}, {self.hidden_size}"
        shown += f", num_layers={self.num_layers}" if self.num_layers != 1 else ""
        shown += "" if self.bias else ", bias=False"
        shown += f", dropout={self.dropout}" if self.dropout else ""
        for option in ("batch_first", "bidirectional"):
            shown += f", {option}=True" if getattr(self, option) else ""
        return shown


class RNN(_Recurrent):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), or relu (Elman 1990).

    forward(input, hx=None, lengths=None) -> (output, h_n):
    input (T, B, input_size) -> output (T, B, directions * hidden_size); with batch_first B leads.
    hx, h_n (num_layers * directions, B, hidden_size); hx defaults to zeros.
    lengths (B,): how many steps of each sequence are real.  Beyond its end the output is zero,
    h_n is the state at each sequence's own end, and the reverse direction starts there: what
    PyTorch does with packed sequences.
    dropout: probability between the layers, while training.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity={nonlinearity!r}: expected 'tanh' or 'relu'")
        self.nonlinearity = nonlinearity
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        )

    def forward(self, input, hx=None, lengths=None):
        return self._layers(input, None if hx is None else (hx,), lengths)

    def _scan(self, x, state, weights, lengths, reverse):
        h0 = state[0] if isinstance(state, list) else state
        states = F.rnn(x, h0, *weights, lengths, reverse, self.nonlinearity)  # (T, B, H)
        return states, states[0 if reverse else -1]


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997); see `F.lstm` for the gates.

    forward(input, hx=None, lengths=None) -> (output, (h_n, c_n)); hx = (h_0, c_0).  Shapes and
    lengths as for `RNN`; the gates' rows in the weights are in the order i, f, g, o.
    """

    gates = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ):
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        )

    def forward(self, input, hx=None, lengths=None):
        output, last = self._layers(input, hx, lengths)  # last (layers * directions, 2, B, H)
        return output, (last[:, 0], last[:, 1])

    def _scan(self, x, state, weights, lengths, reverse):
        h0, c0 = state if isinstance(state, list) else (state, state)
        states = F.lstm(x, h0, c0, *weights, lengths, reverse)  # (2, T, B, H)
        return states[0], states[:, 0 if reverse else -1]

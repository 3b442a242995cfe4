"""Recurrent layers over whole sequences: the plain RNN (Elman 1990) and the LSTM.

The inputs of all steps meet W_ih in one matrix product before the loop; the loop holds only what
truly depends on the step before.  Backward walks the steps in the opposite order and leaves the
weights' gradients to one product over all steps at the end.  A step is one matrix product and a
handful of passes over arrays that are small enough to stay in the cache; they are written with
`out=` into memory that is taken once, since new memory for each would cost as much as the passes.

Sequences of different lengths: `lengths` (B,) says how many steps of each are real.  Where a
sequence has ended its state stands still, so the last state is that of its last real step; a
reversed layer starts at each sequence's own end.
"""

from minillm.autograd import differentiable
from minillm.backend import array_module


def _check_shapes(name, gates, x, states, w_ih, w_hh, b_ih, b_hh, lengths) -> None:
    """ValueError, naming the shapes, unless everything fits; `gates` rows of H a weight."""
    H = w_hh.shape[-1]
    if x.ndim != 3 or w_ih.shape != (gates * H, x.shape[2]) or w_hh.shape != (gates * H, H):
        raise ValueError(
            f"{name}: x {x.shape}, w_ih {w_ih.shape}, w_hh {w_hh.shape}: expected (T, B, I), "
            f"({gates}H, I) and ({gates}H, H)"
        )
    T, B, _ = x.shape
    if T == 0:
        raise ValueError(f"{name}: x {x.shape} has 0 steps, expected at least one")
    for state_name, state in states.items():
        if state.shape != (B, H):
            raise ValueError(f"{name}: {state_name} {state.shape}, expected {(B, H)}")
    if (b_ih is None) != (b_hh is None):
        raise ValueError(f"{name}: give both biases or none")
    for bias in () if b_ih is None else (b_ih, b_hh):
        if bias.shape != (gates * H,):
            raise ValueError(f"{name}: a bias has shape {bias.shape}, expected {(gates * H,)}")
    if lengths is not None and lengths.shape != (B,):
        raise ValueError(f"{name}: lengths {lengths.shape}, expected {(B,)}")


def _alive(xp, T, lengths):
    """(T, B, 1): whether step t of a sequence is real; None without `lengths`."""
    return None if lengths is None else (xp.arange(T)[:, None] < lengths[None, :])[:, :, None]


@differentiable
def lstm(x, h0, c0, w_ih, w_hh, b_ih=None, b_hh=None, lengths=None, reverse=False):
    """One LSTM layer in one direction (Hochreiter & Schmidhuber 1997; gates as in PyTorch).

        z_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh         four gates i, f, g, o: (B, 4H)
        i, f, o = sigmoid(z_i, z_f, z_o)    g = tanh(z_g)
        c_t = f * c_{t-1} + i * g           h_t = o * tanh(c_t)

    x (T, B, I); h0, c0 (B, H); w_ih (4H, I); w_hh (4H, H); biases (4H,); lengths (B,) or None
    -> (2, T, B, H): the states h and c after each step.

    Backward, with dh and dc arriving from outside and from the step after:
        do = dh * tanh(c)         dc += dh * o * (1 - tanh(c)^2)
        di = dc * g    dg = dc * i    df = dc * c_{t-1}    dc_{t-1} = dc * f
        dz = [di i(1-i), df f(1-f), dg (1-g^2), do o(1-o)]     dh_{t-1} = dz W_hh
    """
    _check_shapes("lstm", 4, x, {"h0": h0, "c0": c0}, w_ih, w_hh, b_ih, b_hh, lengths)
    xp = array_module(x)
    (T, B, _), H = x.shape, w_hh.shape[1]
    x = x.reshape(T * B, -1)
    alive = _alive(xp, T, lengths)
    # sigmoid(z) = tanh(z/2)/2 + 1/2: with these factors, the inner of which go into the weights,
    # one tanh serves all four gates.
    factor = xp.full(4 * H, 0.5, x.dtype)
    factor[2 * H : 3 * H] = 1
    offset = 1 - factor
    w_hhT = xp.ascontiguousarray((w_hh * factor[:, None]).T)
    z = x @ (w_ih * factor[:, None]).T
    if b_ih is not None:
        z += (b_ih + b_hh) * factor
    z = z.reshape(T, B, 4 * H)  # the loop turns it into the gates, backward these into dz

    before, after = _room_for_states(xp, T, reverse, h0, c0)
    (h_before, c_before), (h, c) = before, after  # each (T, B, H)
    tanh_c = xp.empty((T, B, H), x.dtype)
    order = range(T - 1, -1, -1) if reverse else range(T)
    recurrent = xp.empty((B, 4 * H), x.dtype)
    written = xp.empty((B, H), x.dtype)
    for t in order:
        gates = z[t]
        gates += xp.matmul(h_before[t], w_hhT, out=recurrent)
        xp.tanh(gates, out=gates)
        gates *= factor
        gates += offset
        i, f, g, o = _apart(gates)
        xp.multiply(f, c_before[t], out=c[t])
        c[t] += xp.multiply(i, g, out=written)
        xp.tanh(c[t], out=tanh_c[t])
        xp.multiply(o, tanh_c[t], out=h[t])
        if alive is not None:
            h[t] = xp.where(alive[t], h[t], h_before[t])
            c[t] = xp.where(alive[t], c[t], c_before[t])

    def backward(dstates):
        dh = xp.zeros((B, H), x.dtype)
        dc = xp.zeros((B, H), x.dtype)
        d, slope = xp.empty((2, B, 4 * H), x.dtype)
        d_i, d_f, d_g, d_o = _apart(d)
        slope_g = _apart(slope)[2]
        through_h = xp.empty((B, H), x.dtype)
        for t in reversed(order):
            dh += dstates[0, t]
            dc += dstates[1, t]
            if alive is not None:  # a state that stood still hands its gradient on
                idle_dh, idle_dc = dh * ~alive[t], dc * ~alive[t]
                dh *= alive[t]
                dc *= alive[t]
            gates = z[t]
            i, f, g, o = _apart(gates)
            _one_minus_square(xp, tanh_c[t], through_h)
            through_h *= o
            through_h *= dh
            dc += through_h  # dh * o * (1 - tanh(c)^2)
            xp.multiply(dc, g, out=d_i)
            xp.multiply(dc, c_before[t], out=d_f)
            xp.multiply(dc, i, out=d_g)
            xp.multiply(dh, tanh_c[t], out=d_o)
            dc *= f
            xp.subtract(1, gates, out=slope)
            slope *= gates  # of the sigmoids: i (1 - i), and so on
            _one_minus_square(xp, g, slope_g)  # of the tanh
            dz = xp.multiply(d, slope, out=gates)  # in the gates' place
            xp.matmul(dz, w_hh, out=dh)
            if alive is not None:
                dh += idle_dh
                dc += idle_dc
        dz = z.reshape(T * B, 4 * H)
        dbias = None if b_ih is None else dz.sum(axis=0)
        return (
            (dz @ w_ih).reshape(T, B, -1),
            dh,
            dc,
            dz.T @ x,
            dz.T @ h_before.reshape(T * B, H),
            dbias,
            None if dbias is None else dbias.copy(),
        )

    return after, backward


def _apart(gates):
    """(B, 4H) as four views (B, H): i, f, g, o."""
    H = gates.shape[1] // 4
    return gates[:, :H], gates[:, H : 2 * H], gates[:, 2 * H : 3 * H], gates[:, 3 * H :]


def _one_minus_square(xp, y, out):
    """out = 1 - y^2: the derivative of tanh where it is y."""
    xp.multiply(y, y, out=out)
    xp.subtract(1, out, out=out)


def _room_for_states(xp, T, reverse, *initial):
    """Memory for the states of all steps, the initial ones (B, H) among them.

    -> before, after: (n, T, B, H) each for n kinds of state.  before[:, t] is what step t
    reads, after[:, t] what it writes, and both are views of one array of T + 1 rows, so what one
    step writes the next one reads.
    """
    B, H = initial[0].shape
    rows = xp.empty((len(initial), T + 1, B, H), initial[0].dtype)
    for state, row in zip(initial, rows, strict=True):
        row[T if reverse else 0] = state
    before, after = (rows[:, 1:], rows[:, :-1]) if reverse else (rows[:, :-1], rows[:, 1:])
    return before, after


@differentiable
def rnn(x, h0, w_ih, w_hh, b_ih=None, b_hh=None, lengths=None, reverse=False, nonlinearity="tanh"):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), or relu: one layer, one direction.

    x (T, B, I); h0 (B, H); w_ih (H, I); w_hh (H, H); biases (H,) -> states (T, B, H).
    Backward: dz = dh * (1 - h^2) (relu: where h > 0), dh_{t-1} = dz W_hh.
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"rnn: nonlinearity {nonlinearity!r}, expected 'tanh' or 'relu'")
    _check_shapes("rnn", 1, x, {"h0": h0}, w_ih, w_hh, b_ih, b_hh, lengths)
    xp = array_module(x)
    (T, B, _), H = x.shape, w_hh.shape[1]
    x = x.reshape(T * B, -1)
    alive = _alive(xp, T, lengths)
    z = x @ w_ih.T
    if b_ih is not None:
        z += b_ih + b_hh
    z = z.reshape(T, B, H)
    w_hhT = xp.ascontiguousarray(w_hh.T)
    (h_before,), (h,) = _room_for_states(xp, T, reverse, h0)  # each (T, B, H)
    order = range(T - 1, -1, -1) if reverse else range(T)
    for t in order:
        xp.matmul(h_before[t], w_hhT, out=h[t])
        h[t] += z[t]
        if nonlinearity == "tanh":
            xp.tanh(h[t], out=h[t])
        else:
            xp.maximum(h[t], 0, out=h[t])
        if alive is not None:
            h[t] = xp.where(alive[t], h[t], h_before[t])

    def backward(dh_outside):
        slope = 1 - h * h if nonlinearity == "tanh" else (h > 0).astype(x.dtype)  # (T, B, H)
        if alive is not None:  # a state that stood still hands its gradient on
            slope *= alive
        dz = slope  # overwritten step by step
        dh = xp.zeros((B, H), x.dtype)
        for t in reversed(order):
            dh += dh_outside[t]
            dz[t] *= dh
            if alive is None:
                xp.matmul(dz[t], w_hh, out=dh)
            else:
                dh = dz[t] @ w_hh + dh * ~alive[t]
        dz = dz.reshape(T * B, H)
        dbias = None if b_ih is None else dz.sum(axis=0)
        return (
            (dz @ w_ih).reshape(T, B, -1),
            dh,
            dz.T @ x,
            dz.T @ h_before.reshape(T * B, H),
            dbias,
            None if dbias is None else dbias.copy(),
        )

    return h, backward

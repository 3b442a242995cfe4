"""Recurrent layers over whole sequences: the plain RNN (Elman 1990) and the LSTM.

The inputs of all steps meet W_ih in one matrix product before the loop; the loop holds only what
truly depends on the step before.  Backward walks the steps in the opposite order and leaves the
weights' gradients to one product over all steps at the end.

Sequences of different lengths: `lengths` (B,) says how many steps of each are real.  Where a
sequence has ended its state stands still, so the last state is that of its last real step; a
reversed layer starts at each sequence's own end.
"""

from minillm.autograd import differentiable
from minillm.backend import array_module


def _steps(xp, T, B, lengths, reverse):
    """The order of the steps, and for each whether a sequence is alive (T, B, 1), or None."""
    order = range(T - 1, -1, -1) if reverse else range(T)
    if lengths is None:
        return order, None
    return order, (xp.arange(T)[:, None] < lengths[None, :])[:, :, None]


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
    order, alive = _steps(xp, T, B, lengths, reverse)
    z = (x.reshape(T * B, -1) @ w_ih.T).reshape(T, B, 4 * H)
    if b_ih is not None:
        z += b_ih + b_hh
    w_hhT = xp.ascontiguousarray(w_hh.T)
    # sigmoid(z) = tanh(z/2)/2 + 1/2: with these factors one tanh serves all four gates.
    factor = xp.full(4 * H, 0.5, x.dtype)
    factor[2 * H : 3 * H] = 1
    offset = 1 - factor

    states = xp.empty((2, T, B, H), x.dtype)
    hs, cs = states
    tanh_c = xp.empty((T, B, H), x.dtype)
    h, c = h0, c0
    for t in order:
        gates = z[t]  # a view: z holds the gates' values after the loop
        gates += h @ w_hhT
        gates *= factor
        xp.tanh(gates, out=gates)
        gates *= factor
        gates += offset
        i, f, g, o = (gates[:, k * H : (k + 1) * H] for k in range(4))
        xp.multiply(f, c, out=cs[t])
        cs[t] += i * g
        xp.tanh(cs[t], out=tanh_c[t])
        xp.multiply(o, tanh_c[t], out=hs[t])
        if alive is not None:
            hs[t] = xp.where(alive[t], hs[t], h)
            cs[t] = xp.where(alive[t], cs[t], c)
        h, c = hs[t], cs[t]

    def backward(dstates):
        dz = xp.empty((T, B, 4 * H), x.dtype)
        dh = xp.zeros((B, H), x.dtype)
        dc = xp.zeros((B, H), x.dtype)
        before = list(order)[:-1]
        previous_h = xp.empty((T, B, H), x.dtype)  # h_{t-1} for each t
        for t, earlier in zip(reversed(order), [*reversed(before), None], strict=True):
            c_before = c0 if earlier is None else cs[earlier]
            previous_h[t] = h0 if earlier is None else hs[earlier]
            dh += dstates[0, t]
            dc += dstates[1, t]
            if alive is not None:  # a state that stood still hands its gradient on
                idle_dh, idle_dc = dh * ~alive[t], dc * ~alive[t]
                dh *= alive[t]
                dc *= alive[t]
            gates, tc = z[t], tanh_c[t]
            i, f, g, o = (gates[:, k * H : (k + 1) * H] for k in range(4))
            dc += dh * o * (1 - tc * tc)
            d = dz[t]
            xp.multiply(dc, g, out=d[:, :H])
            xp.multiply(dc, c_before, out=d[:, H : 2 * H])
            xp.multiply(dc, i, out=d[:, 2 * H : 3 * H])
            xp.multiply(dh, tc, out=d[:, 3 * H :])
            slope = gates * (1 - gates)
            slope[:, 2 * H : 3 * H] = 1 - g * g
            d *= slope
            dc *= f
            dh = d @ w_hh
            if alive is not None:
                dh += idle_dh
                dc += idle_dc
        dz = dz.reshape(T * B, 4 * H)
        dbias = None if b_ih is None else dz.sum(axis=0)
        return (
            (dz @ w_ih).reshape(x.shape),
            dh,
            dc,
            dz.T @ x.reshape(T * B, -1),
            dz.T @ previous_h.reshape(T * B, H),
            dbias,
            None if dbias is None else dbias.copy(),
        )

    return states, backward


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
    order, alive = _steps(xp, T, B, lengths, reverse)
    z = (x.reshape(T * B, -1) @ w_ih.T).reshape(T, B, H)
    if b_ih is not None:
        z += b_ih + b_hh
    w_hhT = xp.ascontiguousarray(w_hh.T)
    hs = xp.empty((T, B, H), x.dtype)
    h = h0
    for t in order:
        z[t] += h @ w_hhT
        hs[t] = xp.tanh(z[t]) if nonlinearity == "tanh" else xp.maximum(z[t], 0)
        if alive is not None:
            hs[t] = xp.where(alive[t], hs[t], h)
        h = hs[t]

    def backward(dhs):
        dz = xp.empty((T, B, H), x.dtype)
        dh = xp.zeros((B, H), x.dtype)
        before = list(order)[:-1]
        previous_h = xp.empty((T, B, H), x.dtype)
        for t, earlier in zip(reversed(order), [*reversed(before), None], strict=True):
            previous_h[t] = h0 if earlier is None else hs[earlier]
            dh += dhs[t]
            slope = 1 - hs[t] * hs[t] if nonlinearity == "tanh" else (hs[t] > 0)
            dz[t] = dh * slope if alive is None else dh * slope * alive[t]
            idle = None if alive is None else dh * ~alive[t]
            dh = dz[t] @ w_hh
            if idle is not None:
                dh += idle
        dz = dz.reshape(T * B, H)
        dbias = None if b_ih is None else dz.sum(axis=0)
        return (
            (dz @ w_ih).reshape(x.shape),
            dh,
            dz.T @ x.reshape(T * B, -1),
            dz.T @ previous_h.reshape(T * B, H),
            dbias,
            None if dbias is None else dbias.copy(),
        )

    return hs, backward

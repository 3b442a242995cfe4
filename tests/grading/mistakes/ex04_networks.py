"""Planted mistakes in ex04_networks: each must be caught, and called by its name."""

import math

import numpy as np

from grading.mistakes import mistake

# ---- linear_backward ----


def _rows(a):
    return a.reshape(-1, a.shape[-1])


def _right_linear(dy, x, weight):
    return dy @ weight, _rows(dy).T @ _rows(x), _rows(dy).sum(axis=0)


@mistake("linear_backward", "the weight is transposed: dx = dy W, not dy W^T")
def dx_with_the_transposed_weight(dy, x, weight):
    _, dweight, dbias = _right_linear(dy, x, weight)
    return dy @ weight.T, dweight, dbias


@mistake("linear_backward", "dweight is transposed: it has the weight's shape, (out, in)")
def dweight_transposed(dy, x, weight):
    dx, dweight, dbias = _right_linear(dy, x, weight)
    return dx, dweight.T, dbias


@mistake("linear_backward", "dweight is the sum over the rows, not the mean")
def dweight_as_a_mean(dy, x, weight):
    dx, dweight, dbias = _right_linear(dy, x, weight)
    return dx, dweight / len(_rows(x)), dbias


@mistake("linear_backward", "dbias is the sum over the rows, not the mean")
def dbias_as_a_mean(dy, x, weight):
    dx, dweight, dbias = _right_linear(dy, x, weight)
    return dx, dweight, dbias / len(_rows(x))


@mistake("linear_backward", "dbias is the sum over the rows, one number for each output")
def dbias_along_the_wrong_axis(dy, x, weight):
    dx, dweight, _ = _right_linear(dy, x, weight)
    return dx, dweight, dy.sum(axis=-1)


@mistake("linear_backward", "dbias has to be summed over the rows")
def dbias_not_summed(dy, x, weight):
    dx, dweight, _ = _right_linear(dy, x, weight)
    return dx, dweight, dy.copy()


@mistake(
    "linear_backward",
    "all axes but the last are rows: reshape to (-1, features) for dweight and dbias",
)
def first_axis_only(dy, x, weight):
    if x.ndim == 2:
        return _right_linear(dy, x, weight)
    return dy @ weight, np.swapaxes(dy, -1, -2) @ x, dy.sum(axis=0)


@mistake("linear_backward", "dx, dweight, dbias, in this order")
def results_in_another_order(dy, x, weight):
    dx, dweight, dbias = _right_linear(dy, x, weight)
    return dweight, dx, dbias


# ---- binary_cross_entropy ----


def _sigmoid(z):
    return 0.5 * np.tanh(0.5 * z) + 0.5


def _right_bce(z, t):
    losses = np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))
    return float(losses.mean()), (_sigmoid(z) - t) / z.size


@mistake("binary_cross_entropy", "the loss is the mean, not the sum")
def bce_sum(logits, targets):
    loss, dlogits = _right_bce(logits, targets)
    return loss * logits.size, dlogits * logits.size


@mistake("binary_cross_entropy", "the gradient of a mean is divided by n, too")
def gradient_not_divided(logits, targets):
    loss, dlogits = _right_bce(logits, targets)
    return loss, dlogits * logits.size


@mistake(
    "binary_cross_entropy",
    "the loss is not finite: e^800 overflows, log(0) is -inf; use the form with e^-|z|",
)
def bce_by_the_first_form(logits, targets):
    with np.errstate(all="ignore"):
        p = 1 / (1 + np.exp(-logits))
        losses = -(targets * np.log(p) + (1 - targets) * np.log(1 - p))
    return float(losses.mean()), (p - targets) / logits.size


@mistake(
    "binary_cross_entropy",
    "a clipped probability hides a large loss: use the form with e^-|z|",
)
def bce_with_clipped_probabilities(logits, targets):
    p = np.clip(_sigmoid(logits), 1e-7, 1 - 1e-7)
    losses = -(targets * np.log(p) + (1 - targets) * np.log(1 - p))
    return float(losses.mean()), (_sigmoid(logits) - targets) / logits.size


@mistake("binary_cross_entropy", "the part of the zeros, (1 - t) log(1 - p), is missing")
def positives_only(logits, targets):
    losses = targets * np.log1p(np.exp(-logits))
    return float(losses.mean()), _right_bce(logits, targets)[1]


@mistake("binary_cross_entropy", "the gradient's sign is wrong: p - t")
def bce_gradient_sign(logits, targets):
    loss, dlogits = _right_bce(logits, targets)
    return loss, -dlogits


@mistake(
    "binary_cross_entropy",
    "that is the gradient by p, not by the logits: multiply by p (1 - p)",
)
def gradient_by_probability(logits, targets):
    p = _sigmoid(logits)
    return _right_bce(logits, targets)[0], (p - targets) / (p * (1 - p)) / logits.size


@mistake(
    "binary_cross_entropy",
    "the slope of the sigmoid is in p - t already: don't multiply by p (1 - p) again",
)
def slope_twice(logits, targets):
    loss, dlogits = _right_bce(logits, targets)
    p = _sigmoid(logits)
    return loss, dlogits * p * (1 - p)


@mistake(
    "binary_cross_entropy",
    "the logits were taken for probabilities: the gradient is sigmoid(z) - t",
)
def without_the_sigmoid(logits, targets):
    return _right_bce(logits, targets)[0], (logits - targets) / logits.size


@mistake("binary_cross_entropy", "divide by all n elements, not by the first axis")
def mean_over_the_first_axis(logits, targets):
    loss, dlogits = _right_bce(logits, targets)
    return loss * logits.size / len(logits), dlogits * logits.size / len(logits)


# ---- max_over_time ----


@mistake("max_over_time", "padding is counted: look at the real steps only")
def padding_may_win(x, lengths):
    return x.max(axis=1)


@mistake("max_over_time", "zeros win over negative values: start from (or put) -inf, not 0")
def padding_set_to_zero(x, lengths):
    real = np.arange(x.shape[1])[None, :] < lengths[:, None]
    return (x * real[:, :, None]).max(axis=1)


@mistake("max_over_time", "take the maximum over time, axis 1, not over the features")
def maximum_over_features(x, lengths):
    real = np.arange(x.shape[1])[None, :] < lengths[:, None]
    return np.where(real[:, :, None], x, -np.inf).max(axis=2)


@mistake("max_over_time", "take the largest value, not the mean")
def mean_over_time(x, lengths):
    return np.stack([s[:n].mean(axis=0) for s, n in zip(x, lengths, strict=True)])


@mistake("max_over_time", "take the largest value, not the last")
def last_real_step(x, lengths):
    return np.stack([s[n - 1] for s, n in zip(x, lengths, strict=True)])


@mistake("max_over_time", "one step too many: the real ones are 0 to lengths - 1")
def one_step_too_many(x, lengths):
    return np.stack([s[: n + 1].max(axis=0) for s, n in zip(x, lengths, strict=True)])


@mistake("max_over_time", "the last real step is left out")
def one_step_too_few(x, lengths):
    return np.stack([s[: max(n - 1, 1)].max(axis=0) for s, n in zip(x, lengths, strict=True)])


@mistake("max_over_time", "each sequence has its own length: the longest lets padding in")
def longest_of_all(x, lengths):
    return x[:, : lengths.max()].max(axis=1)


@mistake("max_over_time", "zeros win over negative values: start from (or put) -inf, not 0")
def started_from_zero(x, lengths):
    y = np.zeros((len(x), x.shape[2]))
    for b, n in enumerate(lengths):
        for t in range(n):
            y[b] = np.maximum(y[b], x[b, t])
    return y


@mistake("max_over_time", "in place")
def padding_overwritten_in_place(x, lengths):
    for b, n in enumerate(lengths):
        x[b, n:] = -np.inf
    return x.max(axis=1)


# ---- lstm_cell ----


def _gates(x, h, w_ih, w_hh, bias):
    return np.split(x @ w_ih.T + h @ w_hh.T + bias, 4, axis=1)


def _cell(i, f, g, o, c):
    """From the gates before their squashing: (new h, new c)."""
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


@mistake("lstm_cell", "the blocks are i, f, g, o in this order")
def order_ifog(x, h, c, w_ih, w_hh, bias):
    i, f, o, g = _gates(x, h, w_ih, w_hh, bias)
    return _cell(i, f, g, o, c)


@mistake("lstm_cell", "f multiplies the old c, i what is written")
def forget_and_input_swapped(x, h, c, w_ih, w_hh, bias):
    f, i, g, o = _gates(x, h, w_ih, w_hh, bias)
    return _cell(i, f, g, o, c)


@mistake("lstm_cell", "g = tanh(z_g), not a sigmoid")
def sigmoid_for_g(x, h, c, w_ih, w_hh, bias):
    i, f, g, o = _gates(x, h, w_ih, w_hh, bias)
    c = _sigmoid(f) * c + _sigmoid(i) * _sigmoid(g)
    return _sigmoid(o) * np.tanh(c), c


@mistake("lstm_cell", "new h = o * tanh(new c), the tanh is missing")
def without_the_second_tanh(x, h, c, w_ih, w_hh, bias):
    i, f, g, o = _gates(x, h, w_ih, w_hh, bias)
    _, c = _cell(i, f, g, o, c)
    return _sigmoid(o) * c, c


@mistake("lstm_cell", "new h takes the new c, not the old one")
def h_from_the_old_c(x, h, c, w_ih, w_hh, bias):
    i, f, g, o = _gates(x, h, w_ih, w_hh, bias)
    return _sigmoid(o) * np.tanh(c), _cell(i, f, g, o, c)[1]


@mistake("lstm_cell", "first the new h, then the new c")
def c_before_h(x, h, c, w_ih, w_hh, bias):
    return _cell(*_gates(x, h, w_ih, w_hh, bias), c)[::-1]


@mistake("lstm_cell", "h W_hh^T is missing")
def without_recurrence(x, h, c, w_ih, w_hh, bias):
    return _cell(*_gates(x, np.zeros_like(h), w_ih, w_hh, bias), c)


@mistake("lstm_cell", "the bias is missing")
def without_bias(x, h, c, w_ih, w_hh, bias):
    return _cell(*_gates(x, h, w_ih, w_hh, 0 * bias), c)


@mistake("lstm_cell", "the bias is added once")
def bias_twice(x, h, c, w_ih, w_hh, bias):
    return _cell(*_gates(x, h, w_ih, w_hh, 2 * bias), c)


@mistake("lstm_cell", "the old c is kept whole: multiply it by f")
def without_forgetting(x, h, c, w_ih, w_hh, bias):
    i, f, g, o = _gates(x, h, w_ih, w_hh, bias)
    c = c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


@mistake("lstm_cell", "four blocks of H columns, not every fourth column")
def interleaved_gates(x, h, c, w_ih, w_hh, bias):
    z = x @ w_ih.T + h @ w_hh.T + bias
    return _cell(*(z[:, k::4] for k in range(4)), c)


@mistake("lstm_cell", "in place")
def c_in_place(x, h, c, w_ih, w_hh, bias):
    i, f, g, o = _gates(x, h, w_ih, w_hh, bias)
    c *= _sigmoid(f)
    c += _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


# ---- causal_attention ----


def _softmax(S, axis=-1):
    e = np.exp(S - S.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _scores(q, k):
    return q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])


def _attend(S, v, allowed, axis=-1):
    with np.errstate(all="ignore"):
        return _softmax(np.where(allowed, S, -np.inf), axis) @ v


def _causal(S, offset=0):
    return np.tri(S.shape[-2], S.shape[-1], offset, dtype=bool)


@mistake("causal_attention", "later positions are seen: the causal mask is missing")
def without_mask(q, k, v):
    return _softmax(_scores(q, k)) @ v


@mistake("causal_attention", "the mask begins one too early: a position sees itself, too")
def itself_hidden(q, k, v):
    S = _scores(q, k)
    return _attend(S, v, _causal(S, -1))


@mistake("causal_attention", "the mask begins one too early: a position sees itself, too")
def itself_hidden_by_a_large_number(q, k, v):
    S = _scores(q, k)
    return _softmax(np.where(_causal(S, -1), S, -1e9)) @ v


@mistake(
    "causal_attention",
    "the mask begins one too late: each position sees one position too far ahead",
)
def one_ahead(q, k, v):
    S = _scores(q, k)
    return _attend(S, v, _causal(S, 1))


@mistake("causal_attention", "the mask is the wrong way round: row i sees the columns j <= i")
def mask_transposed(q, k, v):
    S = _scores(q, k)
    return _attend(S, v, _causal(S).T)


@mistake("causal_attention", "the scale 1 / sqrt(d) is missing")
def without_scale(q, k, v):
    S = q @ np.swapaxes(k, -1, -2)
    return _attend(S, v, _causal(S))


@mistake("causal_attention", "divide by sqrt(d), not by d")
def divided_by_d(q, k, v):
    S = q @ np.swapaxes(k, -1, -2) / q.shape[-1]
    return _attend(S, v, _causal(S))


@mistake("causal_attention", "d is the length of a query, not the number of positions")
def divided_by_root_of_T(q, k, v):
    S = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-2])
    return _attend(S, v, _causal(S))


@mistake(
    "causal_attention",
    "the softmax runs over the columns (the last axis): each row of P sums to 1",
)
def softmax_over_the_queries(q, k, v):
    S = _scores(q, k)
    return _attend(S, v, _causal(S), axis=-2)


@mistake(
    "causal_attention",
    "masked after the softmax, the rows no longer sum to 1: mask the scores",
)
def masked_after_the_softmax(q, k, v):
    S = _scores(q, k)
    return (_softmax(S) * _causal(S)) @ v


@mistake("causal_attention", "a score of 0 still has e^0 = 1: a hidden score is -inf, not 0")
def scores_times_mask(q, k, v):
    S = _scores(q, k)
    return _softmax(S * _causal(S)) @ v


@mistake("causal_attention", "subtract the maximum before exp")
def attention_without_maximum(q, k, v):
    S = _scores(q, k)
    with np.errstate(all="ignore"):
        e = np.exp(np.where(_causal(S), S, -np.inf))
        return e / e.sum(axis=-1, keepdims=True) @ v


@mistake("causal_attention", "the rows belong to q, the columns to k")
def queries_and_keys_swapped(q, k, v):
    S = _scores(k, q)
    return _attend(S, v, _causal(S))


# ---- momentum_step ----


def _right_momentum(p, g, velocity, lr, momentum, weight_decay):
    velocity = momentum * velocity + g + weight_decay * p
    return p - lr * velocity, velocity


@mistake("momentum_step", "go against the gradient: minus")
def uphill(parameter, gradient, velocity, lr, momentum=0.9, weight_decay=0.0):
    new = _right_momentum(parameter, gradient, velocity, lr, momentum, weight_decay)[1]
    return parameter + lr * new, new


@mistake("momentum_step", "the parameter moves with the new velocity, not the old one")
def old_velocity(parameter, gradient, velocity, lr, momentum=0.9, weight_decay=0.0):
    new = _right_momentum(parameter, gradient, velocity, lr, momentum, weight_decay)[1]
    return parameter - lr * velocity, new


@mistake("momentum_step", "the gradient is not multiplied by 1 - momentum")
def averaged(parameter, gradient, velocity, lr, momentum=0.9, weight_decay=0.0):
    g = gradient + weight_decay * parameter
    velocity = momentum * velocity + (1 - momentum) * g
    return parameter - lr * velocity, velocity


@mistake("momentum_step", "the learning rate doesn't belong into the velocity")
def rate_in_the_velocity(parameter, gradient, velocity, lr, momentum=0.9, weight_decay=0.0):
    velocity = momentum * velocity + lr * (gradient + weight_decay * parameter)
    return parameter - velocity, velocity


@mistake("momentum_step", "the weight decay is missing")
def without_decay(parameter, gradient, velocity, lr, momentum=0.9, weight_decay=0.0):
    return _right_momentum(parameter, gradient, velocity, lr, momentum, 0.0)


@mistake("momentum_step", "the weight decay has the wrong sign")
def weights_grow(parameter, gradient, velocity, lr, momentum=0.9, weight_decay=0.0):
    return _right_momentum(parameter, gradient, velocity, lr, momentum, -weight_decay)


@mistake("momentum_step", "the weight decay goes through the velocity: add it to the gradient")
def decoupled(parameter, gradient, velocity, lr, momentum=0.9, weight_decay=0.0):
    new, velocity = _right_momentum(parameter, gradient, velocity, lr, momentum, 0.0)
    return new - lr * weight_decay * parameter, velocity


@mistake("momentum_step", "the momentum is missing")
def without_momentum(parameter, gradient, velocity, lr, momentum=0.9, weight_decay=0.0):
    return _right_momentum(parameter, gradient, velocity, lr, 0.0, weight_decay)


@mistake("momentum_step", "that is Nesterov's step")
def nesterov(parameter, gradient, velocity, lr, momentum=0.9, weight_decay=0.0):
    g = gradient + weight_decay * parameter
    velocity = momentum * velocity + g
    return parameter - lr * (g + momentum * velocity), velocity


@mistake("momentum_step", "in place")
def updated_in_place(parameter, gradient, velocity, lr, momentum=0.9, weight_decay=0.0):
    velocity *= momentum
    velocity += gradient + weight_decay * parameter
    parameter -= lr * velocity
    return parameter, velocity


# ---- adam_step ----


def _moments(g, m, v, betas):
    return betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g * g


def _hats(m, v, step, betas):
    return m / (1 - betas[0] ** step), v / (1 - betas[1] ** step)


@mistake("adam_step", "the bias correction is missing")
def without_correction(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    m, v = _moments(gradient, m, v, betas)
    return parameter - lr * m / (np.sqrt(v) + eps), m, v


@mistake("adam_step", "the bias correction of v is missing")
def without_correction_of_v(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    m, v = _moments(gradient, m, v, betas)
    return parameter - lr * _hats(m, v, step, betas)[0] / (np.sqrt(v) + eps), m, v


@mistake("adam_step", "the bias correction of m is missing")
def without_correction_of_m(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    m, v = _moments(gradient, m, v, betas)
    return parameter - lr * m / (np.sqrt(_hats(m, v, step, betas)[1]) + eps), m, v


@mistake("adam_step", "eps stands outside the root: sqrt(vhat) + eps")
def eps_inside_the_root(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    m, v = _moments(gradient, m, v, betas)
    mhat, vhat = _hats(m, v, step, betas)
    return parameter - lr * mhat / np.sqrt(vhat + eps), m, v


@mistake("adam_step", "eps is added after the correction of v")
def eps_before_the_correction(
    parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8
):
    m, v = _moments(gradient, m, v, betas)
    rate = lr * math.sqrt(1 - betas[1] ** step) / (1 - betas[0] ** step)
    return parameter - rate * m / (np.sqrt(v) + eps), m, v


@mistake("adam_step", "the root of vhat is missing")
def without_the_root(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    m, v = _moments(gradient, m, v, betas)
    mhat, vhat = _hats(m, v, step, betas)
    return parameter - lr * mhat / (vhat + eps), m, v


@mistake("adam_step", "return m and v, not mhat and vhat")
def corrected_moments_kept(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    m, v = _hats(*_moments(gradient, m, v, betas), step, betas)
    return parameter - lr * m / (np.sqrt(v) + eps), m, v


@mistake("adam_step", "step counts from 1 already: beta^step, not beta^(step + 1)")
def step_counted_from_zero(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    m, v = _moments(gradient, m, v, betas)
    mhat, vhat = _hats(m, v, step + 1, betas)
    return parameter - lr * mhat / (np.sqrt(vhat) + eps), m, v


@mistake("adam_step", "beta^step, not beta * step")
def beta_times_step(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    m, v = _moments(gradient, m, v, betas)
    with np.errstate(all="ignore"):
        mhat, vhat = m / (1 - betas[0] * step), v / (1 - betas[1] * step)
        return parameter - lr * mhat / (np.sqrt(vhat) + eps), m, v


@mistake("adam_step", "v averages the squares of g")
def square_forgotten(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    new_v = betas[1] * v + (1 - betas[1]) * gradient
    m = _moments(gradient, m, v, betas)[0]
    mhat, vhat = _hats(m, new_v, step, betas)
    with np.errstate(all="ignore"):
        return parameter - lr * mhat / (np.sqrt(vhat) + eps), m, new_v


@mistake("adam_step", "the two betas are swapped")
def betas_swapped(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    betas = betas[::-1]
    m, v = _moments(gradient, m, v, betas)
    mhat, vhat = _hats(m, v, step, betas)
    return parameter - lr * mhat / (np.sqrt(vhat) + eps), m, v


@mistake("adam_step", "m and v are averages: the factor 1 - beta is missing")
def sums_for_averages(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    m, v = betas[0] * m + gradient, betas[1] * v + gradient**2
    mhat, vhat = _hats(m, v, step, betas)
    return parameter - lr * mhat / (np.sqrt(vhat) + eps), m, v


@mistake("adam_step", "go against the gradient: minus")
def adam_uphill(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    m, v = _moments(gradient, m, v, betas)
    mhat, vhat = _hats(m, v, step, betas)
    return parameter + lr * mhat / (np.sqrt(vhat) + eps), m, v


@mistake("adam_step", "in place")
def moments_in_place(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    m *= betas[0]
    m += (1 - betas[0]) * gradient
    v *= betas[1]
    v += (1 - betas[1]) * gradient**2
    mhat, vhat = _hats(m, v, step, betas)
    return parameter - lr * mhat / (np.sqrt(vhat) + eps), m, v


# ---- warmup_cosine ----


def _cosine(done, peak, final):
    return final + (peak - final) * (1 + math.cos(math.pi * done)) / 2


@mistake("warmup_cosine", "at step 0 the rate is 0: step / warmup, not (step + 1) / warmup")
def warmup_from_one(step, peak, warmup, total, final=0.0):
    if step < warmup:
        return peak * (step + 1) / warmup
    return _cosine(min(1, (step - warmup) / (total - warmup)), peak, final)


@mistake("warmup_cosine", "the decay begins where the warmup ends")
def decay_from_step_zero(step, peak, warmup, total, final=0.0):
    if step < warmup:
        return peak * step / warmup
    return _cosine(min(1, step / total), peak, final)


@mistake("warmup_cosine", "the decay lasts total - warmup steps")
def decay_lasts_total_steps(step, peak, warmup, total, final=0.0):
    if step < warmup:
        return peak * step / warmup
    return _cosine(min(1, (step - warmup) / total), peak, final)


@mistake("warmup_cosine", "after `total` the cosine comes up again: stay at `final`")
def cosine_goes_on(step, peak, warmup, total, final=0.0):
    if step < warmup:
        return peak * step / warmup
    return _cosine((step - warmup) / (total - warmup), peak, final)


@mistake("warmup_cosine", "`final` is not used")
def final_ignored(step, peak, warmup, total, final=0.0):
    if step < warmup:
        return peak * step / warmup
    return _cosine(min(1, (step - warmup) / (total - warmup)), peak, 0.0)


@mistake("warmup_cosine", "the decay ends at `final`: the cosine's factor is peak - final")
def final_added(step, peak, warmup, total, final=0.0):
    if step < warmup:
        return peak * step / warmup
    return final + _cosine(min(1, (step - warmup) / (total - warmup)), peak, 0.0)


@mistake("warmup_cosine", "integer division cuts off the fraction: use /")
def whole_numbers_only(step, peak, warmup, total, final=0.0):
    if step < warmup:
        return peak * (step // warmup)
    return _cosine(min(1, (step - warmup) // (total - warmup)), peak, final)


@mistake("warmup_cosine", "the way down is half a cosine, not a line")
def line_for_cosine(step, peak, warmup, total, final=0.0):
    if step < warmup:
        return peak * step / warmup
    return peak + (final - peak) * min(1, (step - warmup) / (total - warmup))


@mistake("warmup_cosine", "that is a quarter of the cosine's wave: (1 + cos(pi * done)) / 2")
def quarter_wave(step, peak, warmup, total, final=0.0):
    if step < warmup:
        return peak * step / warmup
    done = min(1, (step - warmup) / (total - warmup))
    return final + (peak - final) * math.cos(math.pi / 2 * done)


@mistake("warmup_cosine", "the warmup may be 0: divide by it only while step < warmup")
def divides_by_the_warmup(step, peak, warmup, total, final=0.0):
    return min(
        peak * step / warmup, _cosine(min(1, (step - warmup) / (total - warmup)), peak, final)
    )


# ---- kaiming_normal ----


def _fan_in(shape):
    return math.prod(shape[1:])


@mistake("kaiming_normal", "fan_in, not fan_out")
def fan_out(shape, generator):
    return generator.normal(0, math.sqrt(2 / (shape[0] * math.prod(shape[2:]))), shape)


@mistake("kaiming_normal", "the kernel's K counts, too")
def kernel_forgotten(shape, generator):
    return generator.normal(0, math.sqrt(2 / shape[1]), shape)


@mistake("kaiming_normal", "the root is missing")
def variance_for_std(shape, generator):
    return generator.normal(0, 2 / _fan_in(shape), shape)


@mistake("kaiming_normal", "the 2 is missing")
def without_the_gain(shape, generator):
    return generator.normal(0, math.sqrt(1 / _fan_in(shape)), shape)


@mistake("kaiming_normal", "that is Xavier's rule")
def xavier(shape, generator):
    fan_out = shape[0] * math.prod(shape[2:])
    return generator.normal(0, math.sqrt(2 / (_fan_in(shape) + fan_out)), shape)


@mistake("kaiming_normal", "not uniform")
def uniform(shape, generator):
    bound = math.sqrt(3) * math.sqrt(2 / _fan_in(shape))
    return generator.uniform(-bound, bound, shape)


@mistake("kaiming_normal", "the mean is 0")
def positive_only(shape, generator):
    return np.abs(generator.normal(0, math.sqrt(2 / _fan_in(shape)), shape))


@mistake("kaiming_normal", "the shape is transposed")
def transposed(shape, generator):
    return generator.normal(0, math.sqrt(2 / _fan_in(shape)), shape[::-1])


@mistake("kaiming_normal", "take every random number from the generator that was handed to you")
def a_generator_of_its_own(shape, generator):
    return np.random.default_rng(0).normal(0, math.sqrt(2 / _fan_in(shape)), shape)


@mistake("kaiming_normal", "take every random number from the generator that was handed to you")
def numpys_global_generator(shape, generator):
    return np.random.normal(0, math.sqrt(2 / _fan_in(shape)), shape)


@mistake("kaiming_normal", "every row is the same")
def one_row_repeated(shape, generator):
    row = generator.normal(0, math.sqrt(2 / _fan_in(shape)), shape[1:])
    return np.broadcast_to(row, shape).copy()


# ---- dropout ----


@mistake("dropout", "divide what is kept by 1 - p")
def not_scaled(x, p, generator, training=True):
    return x * (generator.random(x.shape) >= p) if training else x.copy()


@mistake("dropout", "p is the probability to drop, not to keep")
def p_is_the_share_kept(x, p, generator, training=True):
    if not training or p == 0:
        return x.copy()
    return x * (generator.random(x.shape) < p) / p


@mistake("dropout", "p is the probability to drop, not to keep")
def keeps_with_probability_p(x, p, generator, training=True):
    return x * (generator.random(x.shape) < p) / (1 - p) if training else x.copy()


@mistake("dropout", "divide what is kept by 1 - p, not by p")
def divided_by_p(x, p, generator, training=True):
    if not training or p == 0:
        return x.copy()
    return x * (generator.random(x.shape) >= p) / p


@mistake("dropout", "divide what is kept by 1 - p, don't multiply")
def multiplied(x, p, generator, training=True):
    return x * (generator.random(x.shape) >= p) * (1 - p) if training else x.copy()


@mistake("dropout", "without training nothing is dropped and nothing scaled")
def always_training(x, p, generator, training=True):
    return x * (generator.random(x.shape) >= p) / (1 - p)


@mistake("dropout", "without training nothing is dropped and nothing scaled")
def scaled_at_evaluation(x, p, generator, training=True):
    keep = generator.random(x.shape) >= p
    return x * keep if training else x * (1 - p)


@mistake("dropout", "every element has its own throw of the dice")
def whole_rows(x, p, generator, training=True):
    keep = generator.random((*x.shape[:-1], 1)) >= p
    return x * keep / (1 - p) if training else x.copy()


@mistake("dropout", "every element has its own throw of the dice")
def whole_columns(x, p, generator, training=True):
    keep = generator.random(x.shape[-1:]) >= p
    return x * keep / (1 - p) if training else x.copy()


@mistake("dropout", "every element has its own throw of the dice")
def an_exact_number_dropped(x, p, generator, training=True):
    if not training:
        return x.copy()
    y = x.reshape(-1) / (1 - p)
    y[generator.permutation(x.size)[: round(p * x.size)]] = 0
    return y.reshape(x.shape)


@mistake("dropout", "take every random number from the generator that was handed to you")
def dropout_with_its_own_generator(x, p, generator, training=True):
    keep = np.random.default_rng(0).random(x.shape) >= p
    return x * keep / (1 - p) if training else x.copy()


@mistake("dropout", "take every random number from the generator that was handed to you")
def dropout_with_the_global_generator(x, p, generator, training=True):
    return x * (np.random.random(x.shape) >= p) / (1 - p) if training else x.copy()


@mistake("dropout", "in place")
def x_in_place(x, p, generator, training=True):
    if training:
        x *= generator.random(x.shape) >= p
        x /= 1 - p
    return x

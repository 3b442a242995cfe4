"""Right answers to ex04_networks in another style: loops, lists, other formulas."""

import math

import numpy as np

from grading.alternatives import alternative


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


@alternative("linear_backward")
def linear_backward_with_loops(dy, x, weight):
    n_out, n_in = weight.shape
    dx, dweight, dbias = np.zeros(x.shape), np.zeros(weight.shape), [0.0] * n_out
    for n in np.ndindex(x.shape[:-1]):
        for o in range(n_out):
            dbias[o] += dy[n][o]
            for i in range(n_in):
                dx[n][i] += dy[n][o] * weight[o, i]
                dweight[o, i] += dy[n][o] * x[n][i]
    return [dx, dweight, dbias]


@alternative("linear_backward")
def linear_backward_with_einsum(dy, x, weight):
    rows, columns = dy.reshape(-1, len(weight)), x.reshape(-1, len(weight[0]))
    dx = np.einsum("...o,oi->...i", dy, weight)
    return dx, np.einsum("no,ni->oi", rows, columns), np.einsum("no->o", rows)


@alternative("binary_cross_entropy")
def bce_element_by_element(logits, targets):
    total, gradient = 0.0, []
    for z, t in zip(logits.reshape(-1).tolist(), targets.reshape(-1).tolist(), strict=True):
        signed = z if t == 1 else -z  # the loss is log(1 + e^-signed)
        total += (
            math.log1p(math.exp(-signed)) if signed > 0 else math.log1p(math.exp(signed)) - signed
        )
        gradient.append((_sigmoid(z) - t) / logits.size)
    return total / logits.size, np.array(gradient).reshape(logits.shape)


@alternative("binary_cross_entropy")
def bce_by_logaddexp(logits, targets):
    p = np.exp(-np.logaddexp(0, -logits))
    loss = np.mean(targets * np.logaddexp(0, -logits) + (1 - targets) * np.logaddexp(0, logits))
    return [loss, (p - targets) / np.size(logits)]


@alternative("max_over_time")
def max_over_time_with_loops(x, lengths):
    return [
        [max(float(step[d]) for step in sequence[:n]) for d in range(x.shape[2])]
        for sequence, n in zip(x, lengths, strict=True)
    ]


@alternative("max_over_time")
def padding_at_minus_infinity(x, lengths):
    padding = np.arange(x.shape[1]) >= np.asarray(lengths).reshape(-1, 1)
    return np.where(padding[..., None], -np.inf, x).max(axis=1)


@alternative("lstm_cell")
def lstm_cell_with_loops(x, h, c, w_ih, w_hh, bias):
    B, H = h.shape
    new_h, new_c = np.empty((B, H)), np.empty((B, H))
    for b in range(B):
        for j in range(H):
            i, f, g, o = (
                sum(w_ih[row, n] * x[b, n] for n in range(x.shape[1]))
                + sum(w_hh[row, n] * h[b, n] for n in range(H))
                + bias[row]
                for row in (j, H + j, 2 * H + j, 3 * H + j)
            )
            new_c[b, j] = _sigmoid(f) * c[b, j] + _sigmoid(i) * math.tanh(g)
            new_h[b, j] = _sigmoid(o) * math.tanh(new_c[b, j])
    return [new_h.tolist(), new_c.tolist()]


@alternative("lstm_cell")
def lstm_cell_by_one_product(x, h, c, w_ih, w_hh, bias):
    z = np.concatenate([w_ih, w_hh], axis=1) @ np.concatenate([x, h], axis=1).T + bias[:, None]
    z = z.reshape(4, h.shape[1], -1).transpose(0, 2, 1)
    i, f, o = (np.exp(-np.logaddexp(0, -z[gate])) for gate in (0, 1, 3))
    cell = i * np.tanh(z[2]) + f * c
    return np.tanh(cell) * o, cell


@alternative("causal_attention")
def attention_position_by_position(q, k, v):
    y = np.empty(v.shape)
    for b in np.ndindex(q.shape[:-2]):
        for i in range(q.shape[-2]):
            scores = k[b][: i + 1] @ q[b][i] / math.sqrt(q.shape[-1])
            weights = np.exp(scores - scores.max())
            y[b][i] = weights @ v[b][: i + 1] / weights.sum()
    return y


@alternative("causal_attention")
def attention_with_a_large_number(q, k, v):
    T, d = q.shape[-2:]
    S = np.einsum("...id,...jd->...ij", q, k) * d**-0.5
    S = S - 1e9 * np.triu(np.ones((T, T)), 1)
    e = np.exp(S - S.max(-1)[..., None])
    return (e @ v) / e.sum(-1)[..., None]


@alternative("momentum_step")
def momentum_with_loops(parameter, gradient, velocity, lr, momentum=0.9, weight_decay=0.0):
    new_parameter, new_velocity = np.empty(parameter.shape), np.empty(parameter.shape)
    for i in np.ndindex(parameter.shape):
        g = gradient[i] + weight_decay * parameter[i]
        new_velocity[i] = momentum * velocity[i] + g
        new_parameter[i] = parameter[i] - lr * new_velocity[i]
    return [new_parameter, new_velocity]


@alternative("momentum_step")
def on_copies_in_place(parameter, gradient, velocity, lr, momentum=0.9, weight_decay=0.0):
    p, b = np.copy(parameter), np.copy(velocity)
    b *= momentum
    b += gradient
    b += weight_decay * p
    p -= lr * b
    return p, b


@alternative("adam_step")
def adam_with_loops(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    p, m, v = parameter.copy(), m.copy(), v.copy()
    for i in np.ndindex(p.shape):
        m[i] += (1 - betas[0]) * (gradient[i] - m[i])
        v[i] += (1 - betas[1]) * (gradient[i] * gradient[i] - v[i])
        mhat, vhat = m[i] / (1 - betas[0] ** step), v[i] / (1 - betas[1] ** step)
        p[i] -= lr * mhat / (math.sqrt(vhat) + eps)
    return [p, m, v]


@alternative("adam_step")
def corrections_as_numbers(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    beta1, beta2 = betas
    v = beta2 * v + (1 - beta2) * np.square(gradient)
    m = beta1 * m + (1 - beta1) * gradient
    root = math.sqrt(1 - beta2**step)
    rate = lr * root / (1 - beta1**step)
    return parameter - rate * m / (np.sqrt(v) + eps * root), m, v


@alternative("warmup_cosine")
def by_the_square_of_a_cosine(step, peak, warmup, total, final=0.0):
    """(1 + cos a) / 2 = cos^2(a / 2)."""
    if warmup > step:
        return step / warmup * peak
    done = min(1.0, (step - warmup) / (total - warmup))
    share = math.cos(math.pi / 2 * done) ** 2
    return peak * share + final * (1 - share)


@alternative("warmup_cosine")
def with_numpy(step, peak, warmup, total, final=0.0):
    angles = np.interp(step, [warmup, total], [0, np.pi])
    rate = final + (peak - final) * (0.5 + 0.5 * np.cos(angles))
    return np.where(step < warmup, peak * step / max(warmup, 1), rate)


@alternative("kaiming_normal")
def scaled_standard_normal(shape, generator):
    fan_in = np.prod(shape) // shape[0]
    return generator.standard_normal(size=shape) * np.sqrt(2.0 / fan_in)


@alternative("kaiming_normal")
def one_number_at_a_time(shape, generator):
    weight = np.empty(shape, np.float32)
    for i in np.ndindex(shape):
        weight[i] = generator.normal() * (2 / weight[0].size) ** 0.5
    return weight


@alternative("dropout")
def dropout_with_loops(x, p, generator, training=True):
    if not training:
        return x
    y = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        if generator.random() < 1 - p:
            y[i] = x[i] / (1 - p)
    return y


@alternative("dropout")
def dropout_by_a_binomial(x, p, generator, training=True):
    keep = generator.binomial(1, 1 - p, size=x.shape) if training else np.ones(x.shape, int)
    return np.where(keep == 1, x / (1 - p if training else 1), 0.0)

"""Exercises of lesson 04: what networks are made of, and what trains them.

Fill in the functions, in this order or any other; NumPy and the standard library are all you need.
Grade yourself with `python -m pytest tests/exercises -k ex04`. The lines after >>> can be typed
into Python as they stand.

Arrays go in and arrays come out. Never write into an array that was handed to you: return a new
one. Where a function draws random numbers it is handed a `generator` (np.random.default_rng(...));
take every number from that one, so that a seed decides the result.
"""

import math

import numpy as np


def linear_backward(dy, x, weight):
    """(dx, dweight, dbias) of y = x W^T + b, from dy = dL/dy.

        y_no = sum_i x_ni W_oi + b_o
        dx = dy W          dW = dy^T x, summed over all rows          db = the sum of dy's rows

    dy (..., out), x (..., in), weight (out, in) -> dx (..., in), dweight (out, in), dbias (out,).
    The axes before the last may be one (N, in) or several (B, T, in); all of them count as rows.

    Example. The first row of dx is 1 * [3, 4] + 10 * [5, 6]; dweight[0] is 1 * [1, 2] + 1 * [0, 1]:
        >>> dy, x = np.array([[1.0, 10.0], [1.0, 0.0]]), np.array([[1.0, 2.0], [0.0, 1.0]])
        >>> dx, dweight, dbias = linear_backward(dy, x, np.array([[3.0, 4.0], [5.0, 6.0]]))
        >>> dx
        array([[53., 64.],
               [ 3.,  4.]])
        >>> dweight
        array([[ 1.,  3.],
               [10., 20.]])
        >>> dbias
        array([ 2., 10.])

    Difficulty: 2 of 3. Lesson 04, section 1.
    """
    raise NotImplementedError("to do")


def binary_cross_entropy(logits, targets):
    """(loss, dlogits): the mean binary cross-entropy of sigmoid(logits), and its gradient.

    With z a logit, t its target (0 or 1) and p = sigmoid(z) = 1 / (1 + e^-z), averaged over all n:

        loss = -(t log p + (1 - t) log(1 - p)) = max(z, 0) - z t + log(1 + e^-|z|)
        dz = (p - t) / n

    The second form never overflows and never takes the logarithm of 0: for z = -800 and t = 1 the
    loss is 800. (And p = (tanh(z/2) + 1) / 2 doesn't overflow either.)

    logits, targets: arrays of the same shape -> a float, and an array of that shape.

    Example: p is [1/2, 3/4], the losses are log 2 and log 4 (0.693147 and 1.386294):
        >>> loss, dz = binary_cross_entropy(np.log([1.0, 3.0]), np.array([1.0, 0.0]))
        >>> print(round(loss, 6))
        1.039721
        >>> dz
        array([-0.25 ,  0.375])

    Difficulty: 2 of 3. Lesson 04, section 2.
    """
    raise NotImplementedError("to do")


def max_over_time(x, lengths):
    """The largest value of every feature over the real steps of each sequence.

    x (B, T, D): B sequences padded to T steps; lengths (B,): how many steps of each are real (at
    least 1), the steps after those are padding and don't count, whatever stands there. -> (B, D).

    Example: the first sequence has two real steps, the second has three:
        >>> x = np.array([[[1.0, -5.0], [2.0, -3.0], [5.0, 5.0], [9.0, 9.0]],
        ...               [[1.0, 1.0], [0.0, 2.0], [7.0, 0.0], [9.0, 9.0]]])
        >>> max_over_time(x, np.array([2, 3]))
        array([[ 2., -3.],
               [ 7.,  2.]])

    Difficulty: 1 of 3. Lesson 04, section 3.
    """
    raise NotImplementedError("to do")


def lstm_cell(x, h, c, w_ih, w_hh, bias):
    """(new h, new c): one step of an LSTM.

        z = x W_ih^T + h W_hh^T + bias         (B, 4H): four blocks of H columns, i, f, g, o
        i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o)        g = tanh(z_g)
        new c = f * c + i * g                  forget some of the old, write some of the new
        new h = o * tanh(new c)                show some of it

    x (B, I); h, c (B, H); w_ih (4H, I); w_hh (4H, H); bias (4H,) -> (B, H), (B, H).

    Example, where x opens the forget gate and closes the output gate, and h is what is written:
    i = 1/2, f = sigmoid(log 3) = 3/4, g = tanh(log 2) = 0.6, o = sigmoid(-log 3) = 1/4:
        >>> x, h, c = np.log([[3.0]]), np.log([[2.0]]), np.array([[0.4]])
        >>> w_ih = np.array([[0.0], [1.0], [0.0], [-1.0]])
        >>> w_hh = np.array([[0.0], [0.0], [1.0], [0.0]])
        >>> new_h, new_c = lstm_cell(x, h, c, w_ih, w_hh, np.zeros(4))
        >>> new_c.round(6)  # 3/4 * 0.4 + 1/2 * 0.6
        array([[0.6]])
        >>> new_h.round(6)  # 1/4 * tanh(0.6)
        array([[0.134262]])

    Difficulty: 2 of 3. Lesson 04, section 3.
    """
    raise NotImplementedError("to do")


def causal_attention(q, k, v):
    """Every position's mixture of the values at its own and at earlier positions.

        S = q k^T / sqrt(d)           (..., T, T): row = who looks, column = who is looked at
        P = softmax(S) over the columns j <= i of row i; 0 for the later ones
        y = P v

    q, k (..., T, d), v (..., T, e) -> y (..., T, e). Scores can be large: mind e^1000.

    Example with d = 4, so sqrt(d) = 2. Position 0 sees only itself. Position 1 has the scores 0
    and log(9) / 2 = log 3, so it takes 1/4 of the first value and 3/4 of the second. Position 2 has
    three equal scores, and takes a third of each value:
        >>> q, k = np.zeros((3, 4)), np.zeros((3, 4))
        >>> q[:, 0], k[:, 0] = [0.0, np.log(9.0), 0.0], [0.0, 1.0, 2.0]
        >>> v = np.array([[2.0, 0.0], [4.0, 8.0], [0.0, 4.0]])
        >>> causal_attention(q, k, v)
        array([[2. , 0. ],
               [3.5, 6. ],
               [2. , 4. ]])

    Difficulty: 3 of 3. Lesson 04, section 3.
    """
    raise NotImplementedError("to do")


def momentum_step(parameter, gradient, velocity, lr, momentum=0.9, weight_decay=0.0):
    """(new parameter, new velocity): one step of gradient descent with momentum and L2.

        g = gradient + weight_decay * parameter       L2: every weight is drawn towards 0
        new velocity = momentum * velocity + g
        new parameter = parameter - lr * new velocity

    Three arrays of the same shape, three numbers -> two arrays of that shape.

    Example: g = 2 + 0.5 * 1 = 2.5, new velocity = 0.5 * 3 + 2.5 = 4, new parameter = 1 - 0.1 * 4:
        >>> parameter, gradient, velocity = np.array([1.0]), np.array([2.0]), np.array([3.0])
        >>> momentum_step(parameter, gradient, velocity, lr=0.1, momentum=0.5, weight_decay=0.5)
        (array([0.6]), array([4.]))

    Difficulty: 1 of 3. Lesson 04, section 4.
    """
    raise NotImplementedError("to do")


def adam_step(parameter, gradient, m, v, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    """(new parameter, new m, new v): one step of Adam.

        new m = beta1 m + (1 - beta1) g               which way g usually points
        new v = beta2 v + (1 - beta2) g^2             how large it usually is, squared
        mhat = new m / (1 - beta1^step)               both began at 0 and are too small at first
        vhat = new v / (1 - beta2^step)
        new parameter = parameter - lr mhat / (sqrt(vhat) + eps)

    Four arrays of the same shape; step counts from 1 -> three arrays of that shape.

    Example, with an eps so large that you can see where it belongs: new m = 0.5 * 2 = 1 and
    new v = 0.04 * 4 = 0.16, so mhat = 1 / 0.5 = 2, vhat = 0.16 / 0.04 = 4, and the step is
    0.1 * 2 / (2 + 2) = 0.05:
        >>> parameter, gradient, zero = np.array([1.0]), np.array([2.0]), np.array([0.0])
        >>> adam_step(parameter, gradient, zero, zero, 1, lr=0.1, betas=(0.5, 0.96), eps=2.0)
        (array([0.95]), array([1.]), array([0.16]))

    Difficulty: 2 of 3. Lesson 04, section 4.
    """
    raise NotImplementedError("to do")


def warmup_cosine(step, peak, warmup, total, final=0.0):
    """The learning rate at a step: up in a line, down along half a cosine.

        step < warmup:             peak * step / warmup
        warmup <= step < total:    final + (peak - final) * (1 + cos(pi * done)) / 2,
                                   done = (step - warmup) / (total - warmup)
        step >= total:             final

    step, warmup, total: integers with 0 <= warmup < total; warmup may be 0 -> a float.

    Example: half of the way up, at the top, half of the way down, at the end:
        >>> [round(warmup_cosine(step, 1.0, 10, 110), 6) for step in (5, 10, 60, 110)]
        [0.5, 1.0, 0.5, 0.0]

    Difficulty: 1 of 3. Lesson 04, section 4.
    """
    raise NotImplementedError("to do")


def kaiming_normal(shape, generator):
    """Random weights for a layer whose outputs go through a ReLU (He et al. 2015).

        every weight from the normal distribution with mean 0 and std = sqrt(2 / fan_in)

    fan_in is the number of products that are summed up in one output: `in` for the weight of a
    linear layer, shape (out, in), and in * K for that of a convolution, shape (out, in, K).

    shape: a tuple; generator: a np.random.Generator -> an array of this shape.

    Example: sqrt(2 / 8) = 0.5, and with a kernel of 4 steps sqrt(2 / 32) = 0.25, nearly:
        >>> weight = kaiming_normal((1000, 8), np.random.default_rng(0))
        >>> print(weight.shape, round(weight.std(), 1))
        (1000, 8) 0.5
        >>> print(round(kaiming_normal((5000, 8, 4), np.random.default_rng(0)).std(), 2))
        0.25

    Difficulty: 1 of 3. Lesson 04, section 5.
    """
    raise NotImplementedError("to do")


def dropout(x, p, generator, training=True):
    """While training, zero each element with probability p and divide the others by 1 - p.

    So the mean stays what it was, and nothing has to be done when the network is used: without
    training, y = x. Every element has its own throw of the dice.

    x: an array of any shape; 0 <= p < 1; generator: a np.random.Generator -> y, of x's shape.

    Example: while training, the elements of this x become 4, 8 and 12, each with probability 1/4,
    and 0 with probability 3/4. Without training nothing happens:
        >>> x = np.array([1.0, 2.0, 3.0])
        >>> dropout(x, 0.75, np.random.default_rng(0), training=False)
        array([1., 2., 3.])
        >>> bool(np.isin(dropout(x, 0.75, np.random.default_rng(0)), [0.0, 4.0, 8.0, 12.0]).all())
        True

    Difficulty: 1 of 3. Lesson 04, section 6.
    """
    raise NotImplementedError("to do")

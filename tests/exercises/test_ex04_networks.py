"""Graders of lesson 04's exercises: what networks are made of, and what trains them."""

import math

import numpy as np
from grading.answer import Rng, rng
from grading.compare import as_numbers
from grading.solutions import ex04_networks as solution


def _numbers(answer, value, shape):
    """The student's value as an array of this shape; anything else is wrong."""
    array = as_numbers(value)
    answer.require(array is not None, "return an array of numbers", value=value)
    hint = f"the shape must be {shape}"
    if array.shape == shape[::-1]:
        hint = f"the shape is transposed: it must be {shape}"
    answer.require(array.shape == shape, hint, value=value)
    return array.astype(float)


def _uses_its_generator(answer, *before):
    """The same seed gives the same numbers, another seed others."""
    one, again, other = (answer(*before, Rng(seed)) for seed in (1, 1, 2))
    answer.require(
        np.array_equal(one, again) and not np.array_equal(one, other),
        "take every random number from the generator that was handed to you (and no other seed): "
        "the same generator must give the same result, another one another result",
        case="called with default_rng(1), again with default_rng(1), then with default_rng(2)",
        value=(one, again, other),
    )


def test_linear_backward(answer):
    dy, x = np.array([[1.0, 10.0], [1.0, 0.0]]), np.array([[1.0, 2.0], [0.0, 1.0]])
    answer.equals(dy, x, np.array([[3.0, 4.0], [5.0, 6.0]]))
    random = rng("linear_backward")
    for leading, n_in, n_out in [((1,), 2, 1), ((3,), 2, 4), ((2, 2), 3, 2), ((2, 3, 2), 2, 3)]:
        dy, x = random.normal(size=(*leading, n_out)), random.normal(size=(*leading, n_in))
        weight, bias = random.normal(size=(n_out, n_in)), random.normal(size=n_out)
        answer.is_gradient(
            lambda x, weight, bias: x @ weight.T + bias,
            [x, weight, bias],
            dy,
            answer(dy, x, weight),
            names=["x", "weight", "bias"],
        )


def test_binary_cross_entropy(answer):
    answer.equals(np.log([1.0, 3.0]), np.array([1.0, 0.0]))
    answer.equals(np.log([[1.0, 3.0], [7.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 1.0]]))
    for z, t in [(-800.0, 1.0), (800.0, 0.0), (800.0, 1.0)]:
        answer.equals(
            np.array([z]),
            np.array([t]),
            hint="e^800 is too large and log(0) not finite: use the form with e^-|z|",
        )
    random = rng("binary_cross_entropy")
    for shape in [(1,), (5,), (3, 2), (2, 3, 2)]:
        z, t = random.normal(0, 3, size=shape), random.integers(0, 2, size=shape).astype(float)
        _, dz = answer.equals(z, t)
        answer.is_gradient(
            lambda z, t=t: solution.binary_cross_entropy(z, t)[0], [z], 1.0, (dz,), ["the logits"]
        )


def test_max_over_time(answer):
    x = np.array(
        [
            [[1.0, -5.0], [2.0, -3.0], [5.0, 5.0], [9.0, 9.0]],
            [[1.0, 1.0], [0.0, 2.0], [7.0, 0.0], [9.0, 9.0]],
        ]
    )
    answer.equals(x, np.array([2, 3]))
    answer.equals(x, np.array([4, 1]))
    answer.equals(np.array([[[-3.0], [-2.0], [0.0]]]), np.array([2]))
    random = rng("max_over_time")
    for B, T, D in [(1, 3, 2), (3, 3, 3), (4, 6, 2), (8, 10, 5)]:
        x, lengths = random.integers(-20, 5, size=(B, T, D)), random.integers(1, T + 1, size=B)
        answer.equals(x.astype(float), lengths)


def test_lstm_cell(answer):
    w_ih = np.array([[0.0], [1.0], [0.0], [-1.0]])
    w_hh = np.array([[0.0], [0.0], [1.0], [0.0]])
    x, h, c = np.log([[3.0]]), np.log([[2.0]]), np.array([[0.4]])
    answer.equals(x, h, c, w_ih, w_hh, np.zeros(4))
    answer.equals(x, h, c, w_ih, w_hh, np.log([1.0, 1.0, 2.0, 3.0]))
    random = rng("lstm_cell")
    for B, n, H in [(1, 1, 2), (2, 2, 2), (3, 2, 4), (2, 5, 3)]:
        shapes = [(B, n), (B, H), (B, H), (4 * H, n), (4 * H, H), (4 * H,)]
        answer.equals(*(random.normal(size=shape) for shape in shapes))


def test_causal_attention(answer):
    q, k = np.zeros((3, 4)), np.zeros((3, 4))
    q[:, 0], k[:, 0] = [0.0, np.log(9.0), 0.0], [0.0, 1.0, 2.0]
    answer.equals(q, k, np.array([[2.0, 0.0], [4.0, 8.0], [0.0, 4.0]]))
    answer.equals(
        np.array([[1000.0], [1000.0]]),
        np.array([[1.0], [2.0]]),
        np.array([[1.0], [5.0]]),
        hint="subtract the maximum of each row before exp: e^1000 is too large for a float",
    )
    random = rng("causal_attention")
    for leading, T, d, e in [((), 1, 2, 2), ((), 4, 4, 3), ((2,), 3, 2, 2), ((2, 3), 5, 8, 4)]:
        q, k = random.normal(size=(*leading, T, d)), random.normal(size=(*leading, T, d))
        answer.equals(q, k, random.normal(size=(*leading, T, e)))


def test_momentum_step(answer):
    one = np.array([1.0]), np.array([2.0]), np.array([3.0])
    answer.equals(*one, lr=0.1, momentum=0.5, weight_decay=0.5)
    answer.equals(*one, lr=0.1)
    random = rng("momentum_step")
    for shape in [(2,), (2, 3), (2, 2, 2)]:
        arrays = [random.normal(size=shape) for _ in range(3)]
        answer.equals(*arrays, lr=0.3, momentum=0.8, weight_decay=0.1)
        answer.equals(*arrays, 0.05, 0.5)


def test_adam_step(answer):
    zero = np.array([0.0])
    p, g = np.array([1.0]), np.array([2.0])
    answer.equals(p, g, zero, zero, 1, lr=0.1, betas=(0.5, 0.96), eps=2.0)
    answer.equals(p, g, np.array([1.0]), np.array([3.0]), 2, lr=0.1, betas=(0.5, 0.75), eps=1.0)
    random = rng("adam_step")
    for shape, step in [((2,), 1), ((2,), 3), ((2, 3), 10), ((2, 2, 2), 1000)]:
        p, g, m = (random.normal(size=shape) for _ in range(3))
        v = random.uniform(0.1, 2, size=shape)
        answer.equals(p, g, m, v, step)
        answer.equals(p, g, m, v, step, 0.01, (0.8, 0.95), 1e-3)


def test_warmup_cosine(answer):
    for step in (5, 0, 10, 60, 35, 110, 200):
        answer.equals(step, 1.0, 10, 110)
    for step in (5, 60, 110, 150):
        answer.equals(step, 1.0, 10, 110, final=0.1)
    for step in (0, 1, 4):
        answer.equals(step, 1.0, 0, 4)
    random = rng("warmup_cosine")
    for _ in range(8):
        warmup, rest = random.integers(1, 50, size=2).tolist()
        step = random.integers(0, warmup + rest + 2).item()
        answer.equals(step, random.uniform(1e-4, 1.0), warmup, warmup + rest, final=1e-5)


def test_kaiming_normal(answer):
    _numbers(answer, answer((3, 2), Rng(0)), (3, 2))
    _uses_its_generator(answer, (3, 2))
    for shape in [(300, 100), (1000, 8), (1000, 8, 4), (3, 5000)]:
        w = _numbers(answer, answer(shape, Rng(0)), shape)
        _check_weights(answer, w, shape)


def _check_weights(answer, w, shape):
    """Of n numbers from N(0, std^2), mean and std lie within 6 of their own standard errors."""
    fan_in, fan_out = math.prod(shape[1:]), shape[0] * math.prod(shape[2:])
    std, n = math.sqrt(2 / fan_in), w.size
    case = f"kaiming_normal({shape}, np.random.default_rng(0)): mean and std of its numbers"
    measured, right = (w.mean().item(), w.std().item()), (0.0, std)

    def require(condition, hint):
        answer.require(condition, hint, case=case, value=measured, expected=right)

    require(w.any(), "all weights are 0: every neuron would learn the same")
    require(not (w == w[0]).all(), "every row is the same: draw all numbers, the whole shape")
    require(abs(w.mean()) < 6 * w.std() / math.sqrt(n), "the mean is 0: half of them are < 0")
    if not abs(w.std() / std - 1) < 6 / math.sqrt(2 * n):
        likely = {
            math.sqrt(2 / fan_out): "divide by fan_in, not fan_out: shape is (out, in)",
            math.sqrt(2 / shape[1]): "fan_in is in * K: the kernel's K counts, too",
            2 / fan_in: "the root is missing: 2 / fan_in is the variance",
            math.sqrt(1 / fan_in): "the 2 is missing: a ReLU cuts off half of the signal",
            math.sqrt(2 / (fan_in + fan_out)): "that is Xavier's rule, 2 / (fan_in + fan_out)",
        }
        wrong = min(likely, key=lambda s: abs(math.log(w.std() / s)))
        close = abs(w.std() / wrong - 1) < 6 / math.sqrt(2 * n)
        require(False, likely[wrong] if close else "std must be sqrt(2 / fan_in)")
    # 4.55 % of a normal distribution lie further than 2 std from 0, none of a uniform one.
    beyond, share = (abs(w) > 2 * std).sum(), 0.0455
    require(
        abs(beyond - share * n) < 6 * math.sqrt(share * (1 - share) * n),
        "the right mean and std, but the numbers aren't from a normal distribution: not uniform",
    )


def test_dropout(answer):
    x = np.array([1.0, 2.0, 3.0])
    kept = "without training nothing is dropped and nothing scaled: return x's values"
    answer.equals(x, 0.75, Rng(0), training=False, expected=x, hint=kept)
    answer.equals(x, 0.0, Rng(0), expected=x, hint="with p = 0 nothing is dropped")
    _uses_its_generator(answer, np.ones(64), 0.5)
    for p in (0.25, 0.75):
        _check_share(answer, p)
        _check_scale(answer, p)
    # Of 8 elements 4 are dropped on average, but always 4 happens once in 10^33 runs.
    x = np.ones((2, 4))
    dropped = [(_numbers(answer, answer(x, 0.5, Rng(s)), x.shape) == 0).sum() for s in range(60)]
    answer.require(
        len(set(dropped)) > 1,
        "always the same number of zeros: every element has its own throw of the dice",
        case="dropout(np.ones((2, 4)), 0.5, np.random.default_rng(s)) for s = 0, 1, ..., 59",
        value=f"zeros: {dropped[0]} each time",
    )


def _check_share(answer, p):
    """The share of zeros lies within 6 standard errors of p, and they are spread over the array."""
    x = np.ones((40, 50))
    case = f"dropout(np.ones((40, 50)), {p}, np.random.default_rng(3)): the share of zeros"
    zero = _numbers(answer, answer(x, p, Rng(3)), x.shape) == 0
    share, error = zero.mean().item(), 6 * math.sqrt(p * (1 - p) / x.size)
    for axis, lines in [(1, "rows"), (0, "columns")]:
        together = (zero.all(axis=axis) | ~zero.any(axis=axis)).all()
        answer.require(
            not together or zero.all() or not zero.any(),
            f"whole {lines} are dropped: every element has its own throw of the dice, x.shape",
            case=case,
            value=share,
        )
    hint = "p is the probability to drop, not to keep"
    if not abs(share - (1 - p)) < error:
        hint = "the share of zeros must be near p" if share else "nothing was dropped"
    answer.require(abs(share - p) < error, hint, case=case, value=share, expected=p)


def _check_scale(answer, p):
    x = np.arange(1.0, 31.0).reshape(5, 6)
    y = _numbers(answer, answer(x, p, Rng(4)), x.shape)
    factors, hint = (y / x)[y != 0], "divide what is kept by 1 - p"
    for wrong, words in [(1 / p, ", not by p"), (1 - p, ", don't multiply")]:
        hint += words if factors.size and np.isclose(factors[0], wrong) else ""
    right = x * (y != 0) / (1 - p)
    answer.require(np.allclose(y, right, rtol=1e-4), hint, value=y, expected=right)

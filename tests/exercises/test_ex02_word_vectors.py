"""Graders of lesson 02's exercises: word vectors, with the gradients by hand.

The loss functions here are written anew, so that a gradient is compared with numbers, and not with
another gradient by hand.
"""

import numpy as np
from grading.answer import Rng, rng
from grading.compare import as_numbers


def _sentences(random, n, length, vocab_size):
    """n sentences of up to `length` word ids, the first of that length."""
    lengths = [length, *random.integers(0, length + 1, n - 1)]
    return [random.integers(0, vocab_size, k).tolist() for k in lengths]


def _normal(random, *shape):
    """Random numbers with one decimal, which a student can copy from a message."""
    return random.normal(size=shape).round(1)


def _log_sigmoid(x):
    return -np.logaddexp(0, -x)


def _parts(answer, value, names):
    """What should be a tuple of as many parts as there are names."""
    right = isinstance(value, tuple | list) and len(value) == len(names)
    answer.require(right, f"must return the tuple ({', '.join(names)})", value=value)
    return value


def test_context_pairs(answer):
    answer.equals([["I", "like", "it"], ["很", "好"]], window=1)
    answer.equals([["a", "b", "c", "d", "e"]], window=2)
    answer.equals([["看", "看", "吧"]], window=1)
    answer.equals([["no"], ["not", "bad"]], window=5)
    random = rng("context_pairs")
    words = ["the", "film", "is", "好", "看", "!"]
    for n, length, window in ((1, 4, 2), (2, 5, 1), (3, 6, 3), (5, 10, 4)):
        sentences = _sentences(random, n, length, vocab_size=len(words))
        answer.equals([[words[id] for id in sentence] for sentence in sentences], window)


def test_keep_probability(answer):
    answer.equals(np.array([900, 90, 10]), sample=0.1)
    random = rng("keep_probability")
    answer.equals(np.array([5000, 300, 20, 1]))
    for n, sample in ((2, 0.5), (4, 0.01), (8, 1e-3), (50, 1e-4)):
        answer.equals(np.sort(random.integers(1, 10_000, n))[::-1].copy(), sample)


def test_draw_negatives(answer):
    drawn = answer(np.array([16, 1, 0]), 6, Rng(0))
    answer.require(np.shape(drawn) == (6,), "word ids are wanted, n of them", value=drawn)
    counts, n, seeds = np.array([1000, 0, 200, 40, 400]), 4000, range(10)
    case = f"counts = {counts.tolist()}, n = {n}, seeds 0 to 9"
    draws = [as_numbers(answer(counts, n, Rng(seed))) for seed in seeds]
    right = all(d is not None and d.shape == (n,) and d.dtype.kind in "iu" for d in draws)
    answer.require(right, "word ids are wanted, n of them", case, draws[0])
    draws = np.array(draws)
    inside = draws.min() >= 0 and draws.max() < len(counts)
    answer.require(inside, "an id is none of 0 to V - 1", case, np.unique(draws))
    answer.require(draws.min() < draws.max(), "one and the same word is drawn", case, draws[0])

    again = answer(counts, n, Rng(0))
    hint = "not from the generator `rng`: the same seed gives other draws the second time"
    answer.require(np.array_equal(draws[0], again), hint, value=again, expected=draws[0])
    hint = "a generator of its own with a fixed seed: every `rng` gives the same draws"
    answer.require((draws[0] != draws[1]).any(), hint, case, draws[1])

    times = np.array([np.bincount(row, minlength=len(counts)) for row in draws])  # (seeds, V)
    share = times.sum(axis=0) / draws.size
    p = counts**0.75 / (counts**0.75).sum()
    answer.require(
        share[counts == 0] == 0, "draws a word that never occurs", case, share.round(3), p.round(3)
    )
    # Six standard deviations and a half: a right answer fails in one of 10^9 runs.
    if (np.abs(share - p) > 6.5 * np.sqrt(p * (1 - p) / draws.size)).any():
        others = {
            "without the power 3/4": counts / counts.sum(),
            "every word is drawn equally often": (counts > 0) / (counts > 0).sum(),
            "the power is 3/4, not 1/2": np.sqrt(counts) / np.sqrt(counts).sum(),
            "the last word is never drawn": np.append(p[:-1] / p[:-1].sum(), 0),
        }
        hints = [hint for hint, q in others.items() if np.abs(share - q).max() < 0.02]
        hint = hints[0] if hints else "the words aren't drawn with these probabilities"
        raise answer.wrong(hint, case=case, value=share.round(3), expected=p.round(3))

    # Draws that are independent scatter: the sum over seeds and words of (times - n p)^2 / (n p)
    # is chi-square with 30 degrees of freedom, and below 5 in one of 10^7 runs.
    seen = counts > 0
    scatter = ((times - n * p)[:, seen] ** 2 / (n * p[seen])).sum()
    hint = "with replacement: the draws are independent of each other"
    answer.require(scatter > 5, hint, f"{case}: each word the same number of times for every seed")
    # Two draws in a row are equal with probability sum p^2 = 0.39.
    equal = (draws[:, 1:] == draws[:, :-1]).mean()
    hint = "the draws are sorted" if equal > 0.9 else "neighbouring draws depend on each other"
    answer.require(abs(equal - (p**2).sum()) < 0.03, hint, case, draws[0])


def _skip_gram_loss(v, u, negatives):
    return -_log_sigmoid(u @ v) - _log_sigmoid(-negatives @ v).sum()


def test_skip_gram(answer):
    answer.equals(np.array([1.0, 1.0]), np.array([1.0, -1.0]), np.array([[2.0, -2.0]]))
    random = rng("skip_gram")
    for k, d in ((1, 1), (2, 2), (3, 4), (5, 10)):
        v, u, negatives = _normal(random, d), _normal(random, d), _normal(random, k, d)
        value = answer(v, u, negatives)
        loss, *gradients = _parts(answer, value, ("loss", "dv", "du", "dnegatives"))
        names = ("v", "u", "negatives")
        answer.is_gradient(_skip_gram_loss, [v, u, negatives], 1.0, gradients, names)
        answer.equals(v, u, negatives)
    answer.equals(np.array([30.0]), np.array([-40.0]), np.array([[1.0]]))
    negatives = np.array([[40.0, 1.0], [-50.0, 2.0]])
    answer.equals(np.array([30.0, 1.0]), np.array([1.0, 2.0]), negatives)


def _cbow_loss(contexts, u, negatives):
    return _skip_gram_loss(contexts.mean(axis=0), u, negatives)


def test_cbow_gradients(answer):
    answer.equals(np.eye(2), np.array([1.0, -1.0]), np.array([[2.0, -2.0]]))
    random = rng("cbow_gradients")
    for c, k, d in ((1, 1, 2), (2, 2, 2), (3, 1, 2), (4, 5, 10)):
        contexts, u, negatives = _normal(random, c, d), _normal(random, d), _normal(random, k, d)
        gradients = answer(contexts, u, negatives)
        names = ("contexts", "u", "negatives")
        answer.is_gradient(_cbow_loss, [contexts, u, negatives], 1.0, gradients, names)


def test_table_gradient(answer):
    gradients = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    answer.equals(np.array([2, 0, 2]), gradients, vocab_size=4)
    gradients = np.array([[[1.0], [2.0]], [[3.0], [4.0]]])
    answer.equals(np.array([[0, 1], [1, 1]]), gradients, vocab_size=3)
    random = rng("table_gradient")
    for shape, d, vocab_size in (((3,), 2, 3), ((6,), 3, 4), ((4, 3), 2, 5), ((2, 3, 4), 2, 6)):
        ids, gradients = random.integers(0, vocab_size, shape), _normal(random, *shape, d)
        table = _normal(random, vocab_size, d)

        def rows(table, ids=ids):
            return table[ids]

        value = answer(ids, gradients, vocab_size)
        answer.is_gradient(rows, [table], gradients, value, ["table"])


def test_cooccurrence(answer):
    answer.equals([[0, 1, 2]], window=3, vocab_size=3)
    answer.equals([[0, 1, 2]], window=1, vocab_size=3)
    answer.equals([[0, 1], [2, 1]], window=2, vocab_size=3)
    answer.equals([[0, 1], [1, 0]], window=2, vocab_size=2)
    answer.equals([[1, 1, 0]], window=2, vocab_size=3)
    random = rng("cooccurrence")
    for n, length, window in ((1, 4, 2), (2, 5, 1), (3, 6, 3), (5, 10, 4)):
        answer.equals(_sentences(random, n, length, vocab_size=4), window, vocab_size=5)


def test_glove_weight(answer):
    answer.equals(np.array([0, 1, 16, 100]), x_max=81)
    answer.equals(np.array([25, 100, 400]))
    random = rng("glove_weight")
    for shape in ((3,), (2, 3), ()):
        answer.equals(random.uniform(0, 200, shape).round(1))
        answer.equals(random.uniform(0, 20, shape).round(1), x_max=10.0, alpha=0.5)


def test_glove_gradients(answer):
    example = ([[1.0, 2.0]], [[3.0, 1.0]], [1.0], [-2.0], [1])
    answer.equals(*(np.array(argument) for argument in example), x_max=16)
    random = rng("glove_gradients")
    for size, d, x_max in ((1, 2, 10.0), (2, 2, 10.0), (3, 4, 50.0), (8, 5, 100.0)):
        x = random.uniform(0.5, 2 * x_max, size).round(1)

        def loss(w, c, b, b_context, x=x, x_max=x_max):
            weight = np.where(x < x_max, (x / x_max) ** 0.75, 1)
            return 0.5 * np.sum(weight * (np.sum(w * c, axis=1) + b + b_context - np.log(x)) ** 2)

        inputs = [_normal(random, *shape) for shape in ((size, d), (size, d), (size,), (size,))]
        gradients = answer(*inputs, x, x_max)
        answer.is_gradient(loss, inputs, 1.0, gradients, ("w", "c", "b", "b_context"))
    answer.equals(*inputs, x)  # x_max = 100


def test_most_similar(answer):
    answer.equals(np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0], [-2.0, 0.0]]), [0], [], 2)
    answer.equals(np.array([[1, 0], [6, 8], [0.9, 0.1]]), [0], [], 2)
    answer.equals(np.array([[1, 0], [1, 0.2], [1, 0.1], [0, 1], [-1, 0]]), [0, 1], [2], 2)
    answer.equals(np.array([[1.0, 0.0], [0.0, 9.0], [1.0, 1.0], [1.0, 8.0]]), [0, 1], [], 2)
    answer.equals(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [9.0, -1.0]]), [0, 1], [], 2)
    answer.equals(np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [1.0, -1.0]]), [0], [1], 2)
    random = rng("most_similar")
    for vocab_size, d, n in ((6, 2, 3), (8, 3, 4), (12, 5, 6), (20, 8, 3), (20, 8, 10)):
        vectors = random.normal(size=(vocab_size, d)) * random.uniform(0.2, 5, (vocab_size, 1))
        vectors = vectors.round(2)
        a, b, c = random.permutation(vocab_size)[:3].tolist()
        answer.equals(vectors, [a, b], [c], n)
        answer.equals(vectors, [c], [], n)

"""Graders of lesson 08's exercises: tokens of bytes, the choice of a token, the cache."""

import numpy as np
from grading.answer import rng
from grading.compare import as_numbers
from grading.solutions import ex08_generate as solution


def test_bpe_merge_step(answer):
    answer.equals([list(b"hug"), list(b"pug"), list(b"hugs")], [10, 5, 5], 256)
    answer.equals([list(b"ab"), list(b"cd"), list(b"ce")], [1, 3, 2], 256)  # counts decide
    answer.equals([list(b"abab"), list(b"cd")], [2, 3], 256)  # (a, b) 4 times
    answer.equals([list(b"ab"), list(b"ba"), list(b"aa")], [2, 2, 2], 256)  # equally frequent
    answer.equals([list(b"aaa"), list(b"aaaaa")], [1, 1], 256)
    answer.equals([list(b"ac"), list(b"ba"), list(b"cb")], [3, 2, 1], 256)  # no pair across words
    answer.equals([[257, 98, 258], [97, 257, 98], [97], []], [4, 2, 9, 9], 259)
    random = rng("bpe_merge_step")
    for V, longest, n in [(2, 4, 4), (3, 6, 6), (4, 12, 10), (300, 20, 30)]:
        words = [random.integers(0, V, size=random.integers(1, longest)).tolist() for _ in range(n)]
        answer.equals([[0, 1], *words], [1, *random.integers(1, 9, size=n).tolist()], max(256, V))


def test_apply_merges(answer):
    answer.equals(list("lower"), [("e", "r"), ("l", "o"), ("o", "w"), ("lo", "w")])
    answer.equals(list("abc"), [("a", "b"), ("b", "c"), ("a", "bc")])  # no longest match
    answer.equals(list("abc"), [("b", "c"), ("a", "b")])  # the one further left was learned later
    answer.equals(list("abcd"), [("c", "d"), ("a", "b"), ("ab", "c")])
    answer.equals(list("aaa"), [("a", "a")])
    answer.equals(list("xyxy"), [("x", "y")])
    answer.equals(list("xyzxy"), [("x", "y"), ("xy", "z"), ("xyz", "xy")])
    answer.equals(["q"], [("a", "b")])
    answer.equals([], [("a", "b")])
    answer.equals(list("no pair"), [])
    # "abc" arises in two ways: ("abc", "d"), learned before ("b", "c"), becomes possible late.
    answer.equals(list("abcd"), [("a", "bc"), ("abc", "d"), ("b", "c")])
    answer.equals(list("hello"), [("l", "o"), ("h", "e"), ("he", "l"), ("l", "l"), ("he", "lo")])
    random = rng("apply_merges")
    for letters, length, n in [("ab", 5, 4), ("abc", 8, 8), ("abcd", 12, 14), ("abcde", 30, 40)]:
        word = "".join(random.choice(list(letters), size=length))
        text = ["".join(random.choice(list(letters), size=8)) for _ in range(12)]
        answer.equals(list(word), _learned([*text, word], n))


def _learned(texts, n):
    """n merges in the order of a training on these words."""
    codes = {letter: code for code, letter in enumerate(sorted(set("".join(texts))))}
    names = {code: letter for letter, code in codes.items()}
    words, merges = [[codes[letter] for letter in text] for text in texts], []
    for _ in range(n):
        if all(len(word) < 2 for word in words):
            break
        new = len(names)
        (a, b), words = solution.bpe_merge_step(words, [1] * len(words), new)
        if (names[a], names[b]) not in merges:
            merges.append((names[a], names[b]))
        names[new] = names[a] + names[b]
    return merges


def test_causal_mask(answer):
    for queries, keys in [(3, 5), (3, 3), (1, 5), (1, 1), (2, 4), (4, 5), (5, 12)]:
        answer.equals(queries, keys)


def test_temperature_and_entropy(answer):
    answer.equals(np.log([1.0, 1.0, 4.0]), 2.0)
    answer.equals(np.log([1.0, 1.0, 2.0]), 1.0)
    answer.equals(np.log([1.0, 3.0]), 0.5)
    answer.equals(
        np.array([1000.0, 1000.0, 0.0]),
        1.0,
        hint="subtract the maximum of each row before exp: e^1000 is too large for a float",
    )
    zero = "a token with p = 0 adds nothing to the entropy: 0 * log2(0) is nan in floats"
    answer.equals(np.array([0.0, -np.inf, 0.0, 0.0, 0.0]), 0.7, hint=zero)
    answer.equals(np.log([[1.0, 1.0, 4.0], [9.0, 9.0, 1.0]]), 2.0)
    random = rng("temperature_and_entropy")
    for shape, T in [((3,), 0.5), ((2, 4), 1.0), ((2, 3, 5), 1.7), ((4, 50), 0.1)]:
        answer.equals(random.normal(0, 3, size=shape), T)


def test_nucleus(answer):
    answer.equals(np.array([[0.1, 0.6, 0.2, 0.1]]), 0.7)
    answer.equals(np.array([[0.5, 0.25, 0.25]]), 0.5)  # exactly p: enough
    answer.equals(np.array([[0.25, 0.75]]), 0.125)  # the first is more than enough, and stays
    answer.equals(np.array([[0.25, 0.25, 0.25, 0.25]]), 0.6)  # ties
    answer.equals(np.array([[0.125, 0.375, 0.5], [0.75, 0.125, 0.125]]), 0.8)
    answer.equals(np.array([[0.2, 0.3, 0.5, 0.0]]), 1.0)
    random = rng("nucleus")
    for shape, p in [((1, 4), 0.3), ((2, 3), 0.6), ((3, 6), 0.9), ((4, 40), 0.95)]:
        e = np.exp(random.normal(0, 2, size=shape))
        answer.equals(e / e.sum(axis=1, keepdims=True), p)


def test_repetition_penalty(answer):
    answer.equals(np.array([2.0, -2.0, 1.0, -1.0]), [0, 1, 1], 2.0)
    answer.equals(np.array([4.0, 3.0, -1.0]), [0, 0, 0], 2.0)
    answer.equals(np.array([1.0, -3.0, 5.0]), [1], 1.5)
    answer.equals(np.array([1.0, -3.0, 5.0]), [2, 1], 0.5)
    answer.equals(np.array([1.0, -3.0, 5.0]), [], 1.5)
    random = rng("repetition_penalty")
    for V, n in [(4, 3), (8, 5), (30, 40)]:
        answer.equals(random.normal(0, 4, size=V), random.integers(0, V, size=n).tolist(), 1.3)


def test_beam_step(answer):
    log_p = np.log([[0.6, 0.2, 0.2], [0.08, 0.9, 0.02]])
    answer.equals([[0], [1]], np.log([0.5, 0.4]), log_p, 2, end_id=2)
    # At first there is a single text, and both beams come from it.
    answer.equals([[3]], np.array([0.0]), np.log([[0.1, 0.5, 0.3, 0.06, 0.04]]), 2, end_id=4)
    # Both go on from the same text: the other one is too improbable.
    answer.equals([[0], [1]], np.log([0.9, 0.1]), np.log([[0.5, 0.3, 0.2]] * 2), 2, end_id=2)
    # A finished text competes, unchanged.
    log_p = np.log([[0.45, 0.35, 0.2], [0.9, 0.07, 0.03]])
    answer.equals([[0, 1], [1, 2]], np.log([0.5, 0.3]), log_p, 2, end_id=2)
    answer.equals([[0, 1], [1, 2]], np.log([0.4, 0.6]), log_p, 3, end_id=2)
    # An end in the middle is none.
    log_p = np.log([[0.1, 0.7, 0.2], [0.2, 0.3, 0.5]])
    answer.equals([[2, 1], [2, 0]], np.log([0.3, 0.25]), log_p, 3, end_id=2)
    random = rng("beam_step")
    for n, V, length, wanted in [(2, 3, 2, 2), (3, 4, 3, 3), (4, 9, 5, 4), (8, 50, 6, 8)]:
        texts = random.integers(0, V, size=(n, length)).tolist()
        z = random.normal(0, 2, size=(n, V))
        log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        scores = -np.sort(random.exponential(3, size=n))
        answer.equals(texts, scores, log_p, wanted, end_id=int(random.integers(V)))


def test_cached_attention(answer):
    q, k = np.zeros((1, 1, 4)), np.zeros((1, 1, 4))
    q[0, 0, 0], k[0, 0, 0] = 2.0, np.log(3.0)
    answer.equals(q, k, np.array([[[10.0]]]), np.zeros((1, 2, 4)), np.array([[[5.0], [10.0]]]))
    random = rng("cached_attention")

    def case(H, m, n, d, e, size=1.0):
        q, k, keys = (size * random.normal(size=(H, L, d)).round(1) for L in (n, n, m))
        v, values = (random.integers(-9, 10, size=(H, L, e)).astype(float) for L in (n, m))
        return q, k, v, keys, values

    answer.equals(*case(1, 0, 1, 4, 2), hint="an empty cache (m = 0) must work as well")
    answer.equals(*case(1, 2, 1, 4, 2))
    answer.equals(*case(1, 0, 2, 4, 1))
    answer.equals(*case(1, 2, 2, 4, 1))
    answer.equals(*case(2, 3, 2, 4, 3))
    answer.equals(
        *case(1, 1, 2, 4, 1, size=100.0),
        hint="subtract the maximum of each row before exp: e^1000 is too large for a float",
    )
    for H, m, n, d, e in [(3, 4, 1, 9, 2), (2, 1, 5, 2, 5), (4, 10, 6, 8, 8)]:
        answer.equals(*case(H, m, n, d, e))
    # The point of it all: in pieces as at once.
    for pieces in ([2, 1, 1], [1, 1, 1, 1], [3, 1, 2]):
        q, k, v, keys, values = case(2, 0, sum(pieces), 4, 3)
        whole = solution.cached_attention(q, k, v, keys, values)[0]
        start = 0
        for n in pieces:
            new = slice(start, start + n)
            y, keys, values = answer(q[:, new], k[:, new], v[:, new], keys, values)
            y = as_numbers(y)
            same = y is not None and y.shape == whole[:, new].shape
            answer.require(
                same and np.allclose(y, whole[:, new], 1e-5, 1e-6),
                f"read in pieces of {pieces} positions, the text gives another y than at once",
                value=y,
                expected=whole[:, new],
            )
            start += n


def test_perplexity_and_bits(answer):
    answer.equals([np.log([1 / 2]), np.log([1 / 8, 1 / 4])], ["abc", "é"])
    answer.equals([np.log([1 / 4, 1 / 4])], ["abcd"])
    answer.equals([np.log([1 / 4]), np.log([1 / 2, 1 / 2, 1 / 2])], ["a", "电影 🙂"])
    random = rng("perplexity_and_bits")
    for lengths in ([3], [1, 4], [2, 9, 5], [30, 1, 100]):
        log_p = [-random.exponential(3, size=n) for n in lengths]
        answer.equals(log_p, ["".join(random.choice(list("aé语🙂"), size=n)) for n in lengths])

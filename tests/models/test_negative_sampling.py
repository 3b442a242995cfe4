"""The gradients of word2vec: pairs against differences of the loss, blocks against pairs."""

import numpy as np
import pytest

from minillm.data.word_blocks import WordBlocks
from minillm.data.word_pairs import NegativeSampler
from minillm.models.negative_sampling import (
    block_loss,
    cbow_block,
    cbow_word,
    sigmoid,
    skip_gram_block,
    skip_gram_pair,
    softplus,
)

d = 6


def normal(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).normal(size=shape)


def check_gradients(loss, inputs, gradients):
    """d loss / dt along a random direction of each input, by central differences in float64."""
    for which, (x, gradient) in enumerate(zip(inputs, gradients, strict=True)):
        direction, t = normal(*x.shape, seed=which + 1), 1e-5
        ends = [
            loss(*[y + sign * t * direction if y is x else y for y in inputs]) for sign in (1, -1)
        ]
        assert gradient.shape == x.shape
        assert (ends[0] - ends[1]) / (2 * t) == pytest.approx((gradient * direction).sum())


def test_sigmoid_and_softplus_do_not_overflow():
    s = np.array([-1000.0, -2, 0, 2, 1000], dtype=np.float32)
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid(s) == pytest.approx([0, 1 / (1 + np.e**2), 0.5, 1 / (1 + np.e**-2), 1])
        assert softplus(s) == pytest.approx([0, np.log1p(np.e**-2), np.log(2), 2.126928, 1000])


def test_a_pair_by_hand():
    """u_o . v = 0 and u_k . v = ln 3: sigma = 1/2 and 3/4."""
    v, u = np.array([1.0, 0.0]), np.array([[0.0, 2.0], [np.log(3), 1.0]])
    loss, dv, du = skip_gram_pair(v, u)
    assert loss == pytest.approx(-np.log(1 / 2) - np.log(1 / 4))
    assert du == pytest.approx(np.array([[-0.5, 0], [0.75, 0]]))
    assert dv == pytest.approx(-0.5 * u[0] + 0.75 * u[1])


@pytest.mark.parametrize("K", [1, 5])
def test_the_gradients_of_a_pair(K):
    v, u = normal(d), normal(1 + K, d)
    check_gradients(lambda v, u: skip_gram_pair(v, u)[0], (v, u), skip_gram_pair(v, u)[1:])


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("n", [1, 4])
def test_the_gradients_of_a_cbow_window(mean, n):
    v, u = normal(n, d), normal(4, d)
    check_gradients(lambda v, u: cbow_word(v, u, mean)[0], (v, u), cbow_word(v, u, mean)[1:])


def test_the_program_gives_the_whole_gradient_to_each_word_of_the_window():
    v, u = normal(4, d), normal(3, d)
    assert cbow_word(v, u, whole=True)[1] == pytest.approx(4 * cbow_word(v, u)[1])


def test_a_block_of_one_pair_is_the_pair():
    v, u = normal(1, d), normal(4, d)
    dv, du, scores = skip_gram_block(v, u, np.ones((1, 1)), negative=3)
    loss, plain_dv, plain_du = skip_gram_pair(v[0], u)
    assert dv[0] == pytest.approx(plain_dv)
    assert du == pytest.approx(plain_du)
    assert block_loss(scores, np.ones((1, 1)), negative=3) == pytest.approx(loss)


def random_block(B, M, window=2):
    """A block of a text of 9 words in two sentences; some rows are padding."""
    blocks = WordBlocks.make(
        np.arange(9),
        np.array([0, 5, 9]),
        window,
        B,
        M,
        NegativeSampler(np.ones(20)),
        np.random.default_rng(1),
    )
    return blocks.inside(0).astype(np.float64)


@pytest.mark.parametrize(("B", "M", "K"), [(1, 3, 3), (4, 5, 5), (12, 6, 6), (12, 8, 2)])
def test_a_block_is_the_sum_of_its_pairs(B, M, K):
    """Each pair with all M negatives, whose terms count K / M: with K = M the very pair."""
    inside = random_block(B, M)
    C = inside.shape[1]
    v, u = normal(B, d), normal(C + M, d)
    dv, du, scores = skip_gram_block(v, u, inside, K)
    total, plain_dv, plain_du = 0.0, np.zeros_like(v), np.zeros_like(u)
    for i, j in zip(*np.nonzero(inside), strict=True):
        rows = [j, *range(C, C + M)]
        loss, pair_dv, pair_du = skip_gram_pair(v[i], u[rows])
        alone, alone_dv, alone_du = skip_gram_pair(v[i], u[[j]])
        total += alone + K / M * (loss - alone)
        plain_dv[i] += alone_dv + K / M * (pair_dv - alone_dv)
        plain_du[j] += alone_du[0]
        plain_du[C:] += K / M * pair_du[1:]
    assert dv == pytest.approx(plain_dv)
    assert du == pytest.approx(plain_du)
    assert block_loss(scores, inside, K) == pytest.approx(total)


@pytest.mark.parametrize(("mean", "whole"), [(True, False), (False, False), (True, True)])
@pytest.mark.parametrize(("B", "M", "K"), [(1, 3, 3), (4, 5, 5), (12, 8, 2)])
def test_a_cbow_block_is_the_sum_of_its_words(B, M, K, mean, whole):
    inside = random_block(B, M)
    C = inside.shape[1]
    v, u = normal(C, d), normal(B + M, d)
    dv, du, scores, present = cbow_block(v, u, inside, K, mean, whole)
    total, plain_dv, plain_du = 0.0, np.zeros_like(v), np.zeros_like(u)
    for i in range(B):
        window = np.flatnonzero(inside[i])
        assert present[i, 0] == (len(window) > 0)
        if not len(window):
            continue
        loss, word_dv, word_du = cbow_word(v[window], u[[i, *range(B, B + M)]], mean, whole)
        alone, alone_dv, alone_du = cbow_word(v[window], u[[i]], mean, whole)
        total += alone + K / M * (loss - alone)
        plain_dv[window] += alone_dv + K / M * (word_dv - alone_dv)
        plain_du[i] += alone_du[0]
        plain_du[B:] += K / M * word_du[1:]
    assert dv == pytest.approx(plain_dv)
    assert du == pytest.approx(plain_du)
    assert block_loss(scores, present, K) == pytest.approx(total)


def test_nothing_is_written_into_the_inputs_and_float32_stays():
    inside = random_block(4, 5).astype(np.float32)
    v, u = normal(4, d).astype(np.float32), normal(inside.shape[1] + 5, d).astype(np.float32)
    before = v.copy(), u.copy(), inside.copy()
    results = skip_gram_block(v, u, inside, 5)
    results += cbow_block(u[: inside.shape[1]], normal(9, d).astype(np.float32), inside, 5)
    assert {r.dtype for r in results} == {np.dtype(np.float32)}
    for x, y in zip((v, u, inside), before, strict=True):
        assert (x == y).all()

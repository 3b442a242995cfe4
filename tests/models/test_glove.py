"""GloVe: the gradients, the tiles, and the paper's algorithm entry by entry."""

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.data.cooccurrence import Cooccurrences, count_cooccurrences
from minillm.data.word_pairs import WordCounts
from minillm.models.glove import GloVe, adagrad, chance_biases, glove_weight, tile_gradients
from minillm.models.glove_tiles import Blocks, Entries, Tiles

PLACES = ["paris", "rome", "athens"]
FOOD = ["bread", "cheese", "wine"]


def talk(n=400, seed=0):
    """Sentences about places or about food: mostly words of their kind, some of the other."""
    generator = np.random.default_rng(seed)
    kinds = [PLACES, FOOD, ["the", "a", "of"]]
    chances = [[0.6, 0.1, 0.3], [0.1, 0.6, 0.3]]
    return [
        [
            str(generator.choice(kinds[generator.choice(3, p=chances[s % 2])]))
            for _ in range(generator.integers(2, 9))
        ]
        for s in range(n)
    ]


def counted(sentences, window=4):
    vocabulary = WordCounts.count(sentences, min_count=1)
    return vocabulary, count_cooccurrences(*vocabulary.encode(sentences), len(vocabulary), window)


def random_counts(V, density, seed):
    generator = np.random.default_rng(seed)
    rows, columns = np.nonzero(np.triu(generator.random((V, V)) < density))
    counts = (generator.random(len(rows)) * 20 + 0.1).astype(np.float32)
    return Cooccurrences(rows.astype(np.int32), columns.astype(np.int32), counts, V)


# ------------------------------------------------------------------------------- the mathematics


def test_weight_by_hand():
    np.testing.assert_allclose(glove_weight([0.0, 1.0, 16.0, 50.0], 16), [0, 1 / 8, 1, 1])
    assert glove_weight(25, x_max=100, exponent=0.5) == 0.5


def some_tile(R=5, C=4, n=9, d=3):
    generator = np.random.default_rng(3)
    w, b, w2, b2 = (generator.normal(size=shape) for shape in ((R, d), R, (C, d), C))
    places = generator.choice(R * C, n, replace=False)
    log_x, f = generator.normal(size=n), generator.random(n)
    return w, b, w2, b2, Entries(places // C, places % C, log_x, f)


def test_loss_of_a_tile_is_the_sum_over_its_entries():
    w, b, w2, b2, entries = some_tile()
    expected = sum(
        0.5 * f * (w[i] @ w2[j] + b[i] + b2[j] - log_x) ** 2
        for i, j, log_x, f in zip(*entries, strict=True)
    )
    assert tile_gradients(w, b, w2, b2, entries)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("which", range(4))
def test_gradients_against_differences(which):
    parameters, entries = list(some_tile()[:4]), some_tile()[4]
    gradient = tile_gradients(*parameters, entries)[1 + which]
    step = np.random.default_rng(4).normal(size=gradient.shape)

    def loss(t):
        moved = [x + t * step if k == which else x for k, x in enumerate(parameters)]
        return tile_gradients(*moved, entries)[0]

    # J is a polynomial of degree 2 in w alone (or in any one of the four): no error but rounding.
    assert (gradient * step).sum() == pytest.approx((loss(1) - loss(-1)) / 2, rel=1e-10)


def test_gradients_write_to_no_argument():
    arguments = some_tile()
    before = [x.copy() for x in (*arguments[:4], *arguments[4])]
    tile_gradients(*arguments)
    for x, y in zip((*arguments[:4], *arguments[4]), before, strict=True):
        np.testing.assert_array_equal(x, y)


def test_adagrad_by_hand():
    x, squares = np.array([1.0, 1.0]), np.array([0.0, 7.0])
    adagrad(x, np.array([-5.0, 3.0]), squares, 0.5)
    np.testing.assert_allclose(squares, [25, 16])
    np.testing.assert_allclose(x, [1 + 0.5, 1 - 0.5 * 3 / 4])


def test_biases_of_words_that_meet_by_chance_explain_all_counts():
    share = np.array([0.5, 0.3, 0.2])
    x = np.outer(share, share) * 1000  # X_ij = X_i X_j / X
    i, j = np.triu_indices(3)
    b = chance_biases(Cooccurrences(i, j, x[i, j].astype(np.float32), 3))
    np.testing.assert_allclose(b[:, None] + b, np.log(x), rtol=1e-5)


# -------------------------------------------------------------------------------------- the tiles


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 30), st.integers(1, 30), st.floats(0, 1), st.integers(0, 99))
def test_tiles_hold_every_entry_of_the_matrix_once(V, block_size, density, seed):
    x = random_counts(V, density, seed)
    blocks = Blocks.of(V, block_size)
    assert blocks.size <= block_size and blocks.number * blocks.size >= V
    B, R = blocks
    tiles = Tiles(x, blocks, lambda counts: counts + 1)
    matrix = np.zeros((B * R, B * R), np.float32)
    for a in range(B):
        for b in range(a, B):
            i, j, log_x, f = tiles[a, b]
            np.testing.assert_allclose(f, np.exp(log_x) + 1, rtol=1e-5)
            words, others = i * B + a, j * B + b
            assert not matrix[words, others].any()
            matrix[words, others] = f - 1
            if a != b:
                matrix[others, words] = f - 1
    np.testing.assert_allclose(matrix[:V, :V], x.to_dense(), rtol=1e-5)
    assert not matrix[V:].any() and not matrix[:, V:].any()


@given(st.integers(1, 40), st.integers(1, 40))
def test_dealing_and_collecting(V, block_size):
    blocks, table = Blocks.of(V, block_size), np.arange(V * 2).reshape(V, 2)
    dealt = blocks.deal(table)
    assert dealt.shape == (blocks.number, blocks.size, 2)
    np.testing.assert_array_equal(blocks.collect(dealt, V), table)
    np.testing.assert_array_equal(
        dealt[(V - 1) % blocks.number, (V - 1) // blocks.number], table[-1]
    )


@pytest.mark.parametrize("words, expected", [(1, (1, 1)), (64, (32, 2)), (50_000, (98, 511))])
def test_blocks_by_the_number_of_words(words, expected):
    assert Blocks.of(words) == expected


def test_more_blocks_than_an_8_bit_square_can_number():
    x = random_counts(600, 0.01, 0)
    for size in (2, 3):  # 300 and 200 blocks: tiles sorted as 64-bit and as 16-bit numbers
        tiles = Tiles(x, Blocks.of(600, size), np.sqrt)
        B = tiles.number
        e = next(e for e in range(len(x.rows)) if x.rows[e] % B < x.columns[e] % B)
        i, j, log_x, f = tiles[x.rows[e] % B, x.columns[e] % B]
        found = (i == x.rows[e] // B) & (j == x.columns[e] // B)
        assert log_x[found] == pytest.approx(log(x.counts[e]), rel=1e-5)


# ------------------------------------------------------------------------------------ the training


def by_loops(x, d, x_max, learning_rate, epochs, seed, B):
    """The training in float64, with loops over entries; with B = V blocks, tiles of one entry,
    it is the algorithm of the paper: an entry, a step, the next entry."""
    V, X = x.size, x.to_dense().astype(float)
    generator = np.random.default_rng(seed)
    w, w2 = ((generator.random((V, d), np.float32) - 0.5) / d for _ in range(2))
    b = chance_biases(x)
    parameters = [p.astype(float) for p in (w, w2, b, b)]
    w, w2, b, b2 = parameters
    squares = [np.full(p.shape, 1e-8) for p in parameters]
    losses = []
    for _ in range(epochs):
        p, q = generator.permutation(B), generator.permutation(B)
        losses.append(0.0)
        for turn in range(B):
            for k in range(B):
                gradients = [np.zeros_like(p) for p in parameters]
                dw, dw2, db, db2 = gradients
                for i in range(p[k], V, B):
                    for j in range(q[(k - turn) % B], V, B):
                        if X[i, j] == 0:
                            continue
                        f = min((X[i, j] / x_max) ** 0.75, 1)
                        r = w[i] @ w2[j] + b[i] + b2[j] - log(X[i, j])
                        losses[-1] += 0.5 * f * r * r
                        dw[i] += f * r * w2[j]
                        dw2[j] += f * r * w[i]
                        db[i] += f * r
                        db2[j] += f * r
                for parameter, g, s in zip(parameters, gradients, squares, strict=True):
                    s += g * g
                    parameter -= learning_rate * g / np.sqrt(s)
    return w + w2, np.array(losses) / np.count_nonzero(X)


@pytest.mark.parametrize("block_size, workers", [(1, 1), (1, 2), (2, 1), (4, 2), (9, 1)])
def test_training_equals_loops_over_the_entries(block_size, workers):
    vocabulary, x = counted(talk(60))
    options = {"epochs": 5, "x_max": 8, "learning_rate": 0.1, "seed": 5}
    model = GloVe(vector_size=4, block_size=block_size, workers=workers, **options)
    model.build_vocab(vocabulary)
    model.train_counts(x)
    vectors, losses = by_loops(x, 4, **options, B=Blocks.of(len(vocabulary), block_size).number)
    np.testing.assert_allclose(model.wv.vectors, vectors, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model.losses, losses, rtol=1e-4)


def test_loss_falls_and_vectors_tell_places_from_food():
    sentences = talk()
    model = GloVe(sentences, vector_size=8, window=4, epochs=30, seed=2)
    assert len(model.losses) == 30
    assert model.losses[-1] < 0.5 * model.losses[0]
    assert model.wv.vectors.shape == (9, 8) and model.wv.vectors.dtype == np.float32
    for group in (PLACES, FOOD):
        nearest = [word for word, _ in model.wv.most_similar(group[0], topn=2)]
        assert set(nearest) == set(group[1:])


def test_the_same_bits_with_any_number_of_threads_and_the_same_seed():
    sentences = talk(100)
    one, two, again, other = (
        GloVe(sentences, vector_size=6, epochs=4, block_size=2, workers=workers, seed=seed)
        for workers, seed in ((1, 1), (2, 1), (2, 1), (2, 9))
    )
    np.testing.assert_array_equal(one.wv.vectors, two.wv.vectors)
    np.testing.assert_array_equal(two.wv.vectors, again.wv.vectors)
    assert one.losses == two.losses == again.losses
    assert not np.allclose(one.wv.vectors, other.wv.vectors)


def test_counts_made_before_give_what_sentences_give():
    sentences = talk(50)
    whole = GloVe(sentences, vector_size=4, window=4, min_count=1, epochs=2)
    vocabulary, x = counted(sentences, window=4)
    apart = GloVe(vector_size=4, epochs=2)
    apart.build_vocab(vocabulary)
    apart.train_counts(x)
    apart.train_counts(x)  # begins anew
    np.testing.assert_array_equal(whole.wv.vectors, apart.wv.vectors)
    assert whole.wv.index_to_key == vocabulary.words


def test_rare_words_and_words_beyond_the_largest_vocabulary_get_no_vector():
    sentences = [["a", "b", "a", "c"], ["a", "b", "c", "once"]]
    assert GloVe(sentences, min_count=2, epochs=1).wv.index_to_key == ["a", "b", "c"]
    model = GloVe(sentences, min_count=1, max_final_vocab=2, epochs=1)
    assert model.wv.index_to_key == ["a", "b"]


def test_a_word_without_neighbours_keeps_its_first_vector():
    sentences = [["a", "b"], ["alone"], ["b", "a"]]
    before = GloVe(sentences, min_count=1, vector_size=3, epochs=0).wv
    after = GloVe(sentences, min_count=1, vector_size=3, epochs=5).wv
    np.testing.assert_array_equal(before["alone"], after["alone"])
    assert np.isfinite(after.vectors).all()
    assert not np.allclose(before["a"], after["a"])


# ------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    "option, message",
    [
        ({"vector_size": 0}, "vector_size is 0; expected an integer of at least 1"),
        ({"window": 2.5}, "window is 2.5; expected an integer"),
        ({"workers": 0}, "workers is 0"),
        ({"epochs": -1}, "epochs is -1"),
        ({"block_size": 0}, "block_size is 0"),
        ({"block_size": 40_000}, "block_size is 40000; expected at most 32768"),
        ({"x_max": 0}, "x_max is 0; expected a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"exponent": -1}, "exponent is -1"),
    ],
)
def test_options_out_of_range(option, message):
    with pytest.raises(ValueError, match=message):
        GloVe(talk(3), **option)


def test_sentences_that_can_be_read_only_once():
    with pytest.raises(TypeError, match="only once"):
        GloVe(sentence for sentence in talk(3))


def test_a_text_that_was_not_split():
    with pytest.raises(TypeError, match="split_words"):
        GloVe(["the whole text"])


def test_no_word_is_frequent_enough():
    with pytest.raises(ValueError, match="min_count=99"):
        GloVe(talk(3), min_count=99)


def test_no_word_has_a_neighbour():
    with pytest.raises(ValueError, match="two known words"):
        GloVe([["a"], ["b"]], min_count=1)


def test_training_before_the_words_are_counted():
    with pytest.raises(RuntimeError, match="build_vocab"):
        GloVe().train(talk(3))


def test_counts_that_do_not_fit():
    vocabulary, x = counted(talk(30))
    model = GloVe()
    with pytest.raises(RuntimeError, match="build_vocab"):
        model.train_counts(x)
    model.build_vocab(vocabulary)
    with pytest.raises(ValueError, match="of 20 words, the vocabulary has 9"):
        model.train_counts(x._replace(size=20))
    for bad in (0, -1, np.nan, np.inf):
        counts = x.counts.copy()
        counts[3] = bad
        with pytest.raises(ValueError, match="above 0"):
            model.train_counts(x._replace(counts=counts))

"""Word2Vec: its steps against the plain pairs, what it learns, and what it refuses."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minillm.data.word_pairs import NegativeSampler, WordCounts, skip_gram_pairs
from minillm.models import Word2Vec, word2vec
from minillm.models.negative_sampling import cbow_word, skip_gram_pair

BOTH = pytest.mark.parametrize("sg", [0, 1])


def two_topics(n=300, seed=0):
    """Sentences of 12 words, each about the sea or about the kitchen, with some words of both."""
    generator = np.random.default_rng(seed)
    topics = [[f"{topic}{i}" for i in range(20)] for topic in ("sea", "kitchen")]
    both = [f"word{i}" for i in range(10)]
    return [generator.choice([*topics[i % 2], *both], 12).tolist() for i in range(n)]


SMALL = {"vector_size": 12, "min_count": 1, "sample": 0, "window": 3, "workers": 1}


def topic_accuracy(model):
    """How many of the nearest neighbours of the topics' words are of the same topic."""
    words = [w for w in model.wv.index_to_key if not w.startswith("word")]
    nearest = [model.wv.most_similar(word, topn=1)[0][0] for word in words]
    return np.mean(
        [
            a.rstrip("0123456789") == b.rstrip("0123456789")
            for a, b in zip(words, nearest, strict=True)
        ]
    )


@BOTH
@pytest.mark.parametrize("workers", [1, 2])
def test_words_of_one_topic_become_neighbours(sg, workers):
    settings = {**SMALL, "workers": workers, "alpha": 0.1}
    model = Word2Vec(two_topics(), sg=sg, epochs=10, compute_loss=True, **settings)
    assert topic_accuracy(model) > 0.9
    assert len(model.losses) == 10
    assert model.losses[-1] < model.losses[0] < 6 * np.log(2) + 0.05  # all scores 0 at first
    assert np.isfinite(model.wv.vectors).all()


@BOTH
def test_one_worker_gives_the_same_bits_and_a_seed_others(sg):
    runs = [
        Word2Vec(two_topics(100), sg=sg, epochs=2, **{**SMALL, "sample": 0.01, "seed": seed})
        for seed in (1, 1, 2)
    ]
    a, b, c = (run.wv.vectors.tobytes() for run in runs)
    assert a == b != c
    assert runs[0].syn1neg.tobytes() == runs[1].syn1neg.tobytes()


def test_one_step_with_one_pair_is_the_papers(monkeypatch):
    """A block of one center word with one neighbour: v -= rate dL/dv, u -= rate dL/du."""
    monkeypatch.setattr(word2vec, "BLOCK", 1)
    settings = {**SMALL, "window": 1, "alpha": 0.5, "min_alpha": 0.5, "negative": 1}  # one round
    model = Word2Vec(None, sg=1, epochs=1, **settings)
    model.build_vocab([["a", "b"]])
    generator = np.random.default_rng(0)
    model.wv.vectors[:] = generator.normal(size=(2, 12))
    model.syn1neg[:] = generator.normal(size=(2, 12))
    v, u = model.wv.vectors.copy(), model.syn1neg.copy()
    model.train([["a", "b"]])

    # The draws of the only job: what to keep, the windows, one negative for each of two blocks.
    generator = np.random.default_rng((1, 0))
    generator.random(2, dtype=np.float32)
    pairs = skip_gram_pairs(np.array([0, 1]), np.array([0, 2]), 1, generator)
    negatives = NegativeSampler([1, 1]).sample((2, 1), generator)
    for center, neighbour, negative in zip(*pairs, negatives[:, 0], strict=True):
        _, dv, du = skip_gram_pair(v[center], u[[neighbour, negative]])
        v[center] -= 0.5 * dv
        for row, gradient in zip((neighbour, negative), du, strict=True):
            u[row] -= 0.5 * gradient
    assert model.wv.vectors == pytest.approx(v, rel=1e-4, abs=1e-6)
    assert model.syn1neg == pytest.approx(u, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("mean", [0, 1])
def test_a_step_of_cbow_word_by_word_is_the_papers(monkeypatch, mean):
    monkeypatch.setattr(word2vec, "BLOCK", 1)
    sentence = ["a", "b", "c"]
    model = Word2Vec(
        None, sg=0, negative=1, cbow_mean=mean, epochs=1, alpha=0.5, min_alpha=0.5,
        **{**SMALL, "window": 1},
    )  # fmt: skip
    model.build_vocab([sentence])
    generator = np.random.default_rng(0)
    model.wv.vectors[:] = generator.normal(size=(3, 12))
    model.syn1neg[:] = generator.normal(size=(3, 12))
    v, u = model.wv.vectors.copy(), model.syn1neg.copy()
    model.train([sentence])

    generator = np.random.default_rng((1, 0))
    generator.random(3, dtype=np.float32)
    generator.integers(1, 2, size=3, dtype=np.int32)
    negatives = NegativeSampler([1, 1, 1]).sample((3, 1), generator)[:, 0]
    for center, window in enumerate([[1], [0, 2], [1]]):
        rows = (center, negatives[center])
        _, dv, du = cbow_word(v[window], u[[*rows]], bool(mean), whole=True)
        v[window] -= 0.5 * dv
        for row, gradient in zip(rows, du, strict=True):
            u[row] -= 0.5 * gradient
    assert model.wv.vectors == pytest.approx(v, rel=1e-4, abs=1e-6)
    assert model.syn1neg == pytest.approx(u, rel=1e-4, abs=1e-6)


def test_rows_are_added_also_where_an_id_comes_twice():
    table = np.zeros((4, 3), np.float32)
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    word2vec.add_rows(table, np.array([2, 0, 2, 2]), rows)
    assert table.tolist() == [[3, 4, 5], [0, 0, 0], [15, 18, 21], [0, 0, 0]]


def test_jobs_cover_every_sentence_once(monkeypatch):
    monkeypatch.setattr(word2vec, "JOB", 10)
    for lengths in ([3] * 20, [25, 1, 1], [0, 0, 5], [], [10, 10]):
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=int)])
        jobs = word2vec._jobs(offsets)
        assert [s for first, last in jobs for s in range(first, last)] == list(range(len(lengths)))
        assert len(jobs) <= 1 + sum(lengths) // 10


@BOTH
def test_a_word_that_is_most_of_the_text_does_not_blow_up(sg):
    """Its pairs in a block are added up: with blocks of 64 this would diverge."""
    generator = np.random.default_rng(0)
    sentences = generator.choice(["the", "a", "b", "c"], (25, 40), p=[0.7, 0.1, 0.1, 0.1]).tolist()
    model = Word2Vec(sentences, sg=sg, alpha=0.2, epochs=5, compute_loss=True, **SMALL)
    assert np.abs(model.wv.vectors).max() < 10
    assert model.losses[-1] < 6 * np.log(2)


def test_blocks_get_smaller_for_few_words_and_steps_for_large_rates():
    usual = Word2Vec(None, sg=1, alpha=0.025, window=5, negative=5)
    assert usual._block_sizes(np.ones(1000)) == (64, 64, 1)
    assert usual._block_sizes(np.array([1, 1])) == (2, 5, 1)  # 0.5 * 2 * 0.025 * 6 * 6 = 0.9
    large = Word2Vec(None, sg=1, alpha=0.1, window=10, negative=10)  # 0.1 * 11 * 11 = 12.1
    assert large._block_sizes(np.ones(1000)) == (64, 704, 7)


@BOTH
def test_sentences_without_pairs_change_nothing(sg):
    model = Word2Vec(None, sg=sg, **SMALL)
    model.build_vocab(two_topics(50))
    before = model.wv.vectors.copy()
    model.train([["sea1"], [], ["unknown", "words"], ["sea1", "unknown"]])
    assert (model.wv.vectors == before).all() and not model.syn1neg.any()
    model.train([])
    model.train(two_topics(5), epochs=0)
    assert (model.wv.vectors == before).all()


def test_training_can_go_on_and_counts_can_be_given():
    sentences = two_topics(100)
    model = Word2Vec(None, sg=1, epochs=1, compute_loss=True, **{**SMALL, "alpha": 0.1})
    model.build_vocab(WordCounts.count(sentences, 1))
    assert model.wv.vectors.shape == (50, 12) and model.wv.vectors.dtype == np.float32
    assert np.abs(model.wv.vectors).max() <= 0.5 / 12
    for _ in range(3):
        model.train(sentences)
    assert model.losses[2] < model.losses[0]


def test_the_number_of_blas_threads_is_put_back():
    def threads():
        return [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]

    before = threads()
    Word2Vec(two_topics(20), epochs=1, **SMALL)
    assert threads() == before


def test_the_progress_bar_counts_words(capsys):
    sentences = two_topics(20)
    Word2Vec(sentences, epochs=2, show_progress=True, **SMALL)
    assert f"{2 * 20 * 12}/{2 * 20 * 12}" in capsys.readouterr().err
    Word2Vec(sentences, epochs=2, **SMALL)
    assert capsys.readouterr() == ("", "")


def test_an_error_in_a_thread_is_raised(monkeypatch):
    def fail(*_, **__):
        raise MemoryError("planted")

    monkeypatch.setattr(word2vec, "skip_gram_block", fail)
    with pytest.raises(MemoryError, match="planted"):
        Word2Vec(two_topics(50), sg=1, **{**SMALL, "workers": 2})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vector_size": 0}, "vector_size is 0"),
        ({"window": 2.5}, "window is 2.5"),
        ({"negative": 0}, "negative is 0"),
        ({"workers": True}, "workers is True"),
        ({"epochs": -1}, "epochs is -1"),
        ({"alpha": -1}, "alpha is -1"),
        ({"alpha": 0.01, "min_alpha": 0.1}, "min_alpha 0.1"),
        ({"sg": 2}, "sg is 2"),
        ({"cbow_mean": 2}, "cbow_mean 2"),
    ],
)
def test_settings_that_cannot_be_meant(settings, message):
    with pytest.raises(ValueError, match=message):
        Word2Vec(None, **settings)


def test_what_is_asked_in_vain():
    with pytest.raises(TypeError, match="give a list"):
        Word2Vec((s for s in two_topics(2)), **SMALL)
    with pytest.raises(RuntimeError, match="build_vocab"):
        Word2Vec(None).train([["a"]])
    model = Word2Vec(None, **SMALL)
    model.build_vocab([["a", "b"]])
    with pytest.raises(IndexError, match="expected 0 to 1"):
        model.train_ids(np.array([0, 2]), np.array([0, 2]))
    with pytest.raises(TypeError, match="split_words"):
        Word2Vec(["a text that nobody split"], **SMALL)

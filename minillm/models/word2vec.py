"""Word2Vec: vectors of words from the company they keep (Mikolov et al. 2013).

    sentences = [split_words(text) for text in texts]
    model = Word2Vec(sentences, vector_size=100, sg=1, epochs=5)
    model.wv.most_similar("good")
    model.wv.save_word2vec_format("vectors.txt")

Names and defaults are gensim's.  The gradients are in `negative_sampling.py`; this file is the way
of the words there and of the gradients back:

    sentences -> ids -> jobs of some ten thousand words -> subsampling, windows, negatives
              -> blocks of 64 center words -> gradients -> rows of the two tables

Threads (`workers`) take jobs in turn and change the same tables without locks, as the original
program does ("Hogwild", Niu et al. 2011): now and then one overwrites what the other just wrote.
With one worker the result is the same to the last bit in every run on the same machine; with more
it differs from run to run as it does with another seed.  One is the default, for it is also the
fastest: the steps of a block are so short that two threads mostly wait for the interpreter's lock
(355,000 words a second with one, 295,000 with two).

This model is plain NumPy for the CPU: its rows are picked and added a few hundred at a time, which
would leave a GPU waiting.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from minillm.backend import check_ids
from minillm.data.word_blocks import WordBlocks
from minillm.data.word_pairs import NegativeSampler, WordCounts, keep_probability, subsample
from minillm.models.keyed_vectors import KeyedVectors
from minillm.models.negative_sampling import block_loss, cbow_block, skip_gram_block

BLOCK = 64  # center words whose scores are one matrix
JOB = 10_000  # words that a thread takes at a time
LOSS_EVERY = 8  # blocks; the mean loss is estimated from every eighth


class Word2Vec:
    """Skip-gram (sg=1) or CBOW (sg=0) with negative sampling.

    sentences     lists of words, as a list or anything that can be iterated again; None: only
                  the settings, `build_vocab` and `train` are called later
    vector_size   d, the length of the vectors
    alpha         learning rate of the first word; it falls in a straight line to min_alpha
    window        how far neighbours may be away at most (see `data.word_pairs.window_sizes`)
    min_count     words that occur less often get no vector;  max_final_vocab  at most so many do
    sample        subsampling of frequent words (see `data.word_pairs.keep_probability`)
    negative      K, negatives for each pair;  ns_exponent  power of the counts they are drawn by
    cbow_mean     1: CBOW guesses from the mean of the neighbours, 0: from their sum
    workers       threads that work on jobs at once
    compute_loss  keep the mean loss of a pair in `losses`, one number for each epoch
    show_progress a progress bar on standard error

    CBOW's gradient shares dL/dh among the n words of the window: each gets 1 / n of it.  The
    word2vec program gives all of it to each, a step n times as long, and so does this class: with
    the gradient itself, CBOW would need a larger alpha to learn as much (Irsoy et al. 2021,
    "Corrected CBOW Performs as well as Skip-gram").

    wv            the vectors v, KeyedVectors;  syn1neg  the output vectors u, (V, d)
    """

    def __init__(
        self,
        sentences: Iterable[Sequence[str]] | None = None,
        vector_size: int = 100,
        alpha: float = 0.025,
        window: int = 5,
        min_count: int = 5,
        max_final_vocab: int | None = None,
        sample: float = 1e-3,
        seed: int = 1,
        workers: int = 1,
        min_alpha: float = 0.0001,
        sg: int = 0,
        negative: int = 5,
        ns_exponent: float = 0.75,
        cbow_mean: int = 1,
        epochs: int = 5,
        compute_loss: bool = False,
        show_progress: bool = False,
    ):
        for name, value, least in (
            ("vector_size", vector_size, 1),
            ("window", window, 1),
            ("negative", negative, 1),
            ("workers", workers, 1),
            ("epochs", epochs, 0),
        ):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise ValueError(f"{name} is {value!r}; expected an integer of at least {least}")
        if not 0 <= min_alpha <= alpha:
            raise ValueError(
                f"alpha is {alpha} and min_alpha {min_alpha}; expected 0 <= min_alpha <= alpha"
            )
        if sg not in (0, 1) or cbow_mean not in (0, 1):
            raise ValueError(f"sg is {sg!r} and cbow_mean {cbow_mean!r}; expected 0 or 1")
        self.vector_size, self.alpha, self.min_alpha = vector_size, alpha, min_alpha
        self.window, self.min_count, self.max_final_vocab = window, min_count, max_final_vocab
        self.sample, self.seed, self.workers, self.sg = sample, seed, workers, sg
        self.negative, self.ns_exponent, self.cbow_mean = negative, ns_exponent, cbow_mean
        self.epochs, self.compute_loss, self.show_progress = epochs, compute_loss, show_progress
        self.losses: list[float] = []
        if sentences is not None:
            if iter(sentences) is sentences:
                raise TypeError(
                    "sentences can be iterated only once (a generator?), but is read twice: once "
                    "to count the words, once to learn from them; give a list"
                )
            self.build_vocab(sentences)
            self.train(sentences)

    def build_vocab(self, sentences: Iterable[Sequence[str]] | WordCounts) -> None:
        """Count the words, and draw their first vectors: v uniform in +-1/(2d), u zero."""
        if isinstance(sentences, WordCounts):
            self.vocabulary = sentences
        else:
            self.vocabulary = WordCounts.count(sentences, self.min_count, self.max_final_vocab)
        V, d = len(self.vocabulary), self.vector_size
        v = np.random.default_rng(self.seed).random((V, d), dtype=np.float32)
        self.wv = KeyedVectors(self.vocabulary.words, (v - np.float32(0.5)) / np.float32(d))
        self.syn1neg = np.zeros((V, d), np.float32)

    def train(self, sentences: Iterable[Sequence[str]], epochs: int | None = None) -> None:
        """Learn from the sentences, `epochs` times; the rate falls from alpha to min_alpha."""
        if not hasattr(self, "vocabulary"):
            raise RuntimeError("the words aren't counted yet: call build_vocab(sentences) first")
        self.train_ids(*self.vocabulary.encode(sentences), epochs)

    def train_ids(self, ids: np.ndarray, offsets: np.ndarray, epochs: int | None = None) -> None:
        """`train` for sentences that are encoded already (see `WordCounts.encode`)."""
        epochs = self.epochs if epochs is None else epochs
        counts = self.vocabulary.counts
        check_ids(ids, len(counts), "Word2Vec")
        keep = keep_probability(counts, self.sample)
        B, M, rounds = self._block_sizes(counts * keep)
        noise = NegativeSampler(counts, self.ns_exponent)
        jobs = _jobs(offsets)

        def learn(number: int) -> tuple[float, float]:
            first, last = jobs[number % len(jobs)]
            generator = np.random.default_rng((self.seed, number))
            rate = self.alpha - (self.alpha - self.min_alpha) * number / (epochs * len(jobs))
            words, begins = ids[offsets[first] : offsets[last]], offsets[first : last + 1]
            kept = subsample(words, begins - begins[0], keep, generator)
            blocks = WordBlocks.make(*kept, self.window, B, M, noise, generator)
            return self._learn(blocks, np.float32(rate), rounds)

        # BLAS with one thread: these products are too small to be shared.
        bar = tqdm(
            total=epochs * len(ids), desc="words", unit_scale=True, disable=not self.show_progress
        )
        with threadpool_limits(1, user_api="blas"), bar:
            for epoch in range(epochs):
                loss = pairs = 0.0
                numbers = range(epoch * len(jobs), (epoch + 1) * len(jobs))
                for job, results in zip(jobs, _map(learn, numbers, self.workers), strict=True):
                    loss, pairs = loss + results[0], pairs + results[1]
                    bar.update(int(offsets[job[1]] - offsets[job[0]]))
                if self.compute_loss:
                    self.losses.append(loss / max(pairs, 1))

    def _learn(self, blocks: WordBlocks, rate, rounds: int) -> tuple[float, float]:
        """Steps of gradient descent for each block; the loss and the number of its pairs."""
        loss = pairs = 0.0
        for i in range(len(blocks)):
            inside = blocks.inside(i)
            centers, neighbours, negatives = (
                blocks.centers[i], blocks.neighbours[i], blocks.negatives[i]
            )  # fmt: skip
            for r in range(rounds):
                part = slice(r, None, rounds)  # of the columns of the matrix of scores
                if self.sg:
                    scores, true = self._skip_gram_step(
                        centers, neighbours[part], negatives[part], inside[:, part], rate
                    )
                else:
                    scores, true = self._cbow_step(centers, neighbours, negatives, inside, rate)
                if self.compute_loss and i % LOSS_EVERY == 0:
                    loss += block_loss(scores, true, self.negative)
                    pairs += float(true.sum())
        return loss, pairs

    def _skip_gram_step(self, centers, neighbours, negatives, inside, rate):
        v, u = self.wv.vectors, self.syn1neg
        u_ids = np.concatenate([neighbours, negatives])
        dv, du, scores = skip_gram_block(v[centers], u[u_ids], inside, self.negative)
        add_rows(v, centers, -rate * dv)
        add_rows(u, u_ids, -rate * du)
        return scores, inside

    def _cbow_step(self, centers, neighbours, negatives, inside, rate):
        v, u = self.wv.vectors, self.syn1neg
        u_ids = np.concatenate([centers, negatives])
        dv, du, scores, present = cbow_block(
            v[neighbours], u[u_ids], inside, self.negative, bool(self.cbow_mean), whole=True
        )
        add_rows(v, neighbours, -rate * dv)
        add_rows(u, u_ids, -rate * du)
        return scores, present

    def _block_sizes(self, occurrences) -> tuple[int, int, int]:
        """B center words, M shared negatives, and in how many rounds a block is done.

        All scores of a block are computed before a vector moves, so the steps of a word's pairs
        are added up; with too many of them the sum jumps over the minimum, further each time.
        Mostly B = M = BLOCK and one round are good; these keep the sums small where they aren't:

        - The center of one window has about (window + 1)(1 + K) scores.  If alpha times that is
          above 2, the columns of the matrix of scores are taken in several rounds.
        - The word that makes up most of the text, a share f of it, is f B times in a block:
          B gets smaller where f is large (a text of few words).
        - Each negative takes the place of K / M in all B (window + 1) pairs: M gets larger.
        """
        f = occurrences.max() / occurrences.sum()
        K, steps = self.negative, max(self.alpha, 1e-6) * (self.window + 1)
        rounds = math.ceil(steps * (1 + K) / 2) if self.sg else 1
        B = int(np.clip(rounds / (f * steps * (1 + K)), 1, BLOCK))
        return B, max(B, K, math.ceil(B * steps * K)), rounds


def add_rows(table, ids, rows) -> None:
    """table[ids[n]] += rows[n] for every n, also where an id comes twice; table (V, d).

    Number by number: NumPy's `add.at` is several times as fast for a flat array as for rows.
    """
    d = table.shape[1]
    flat = (ids[:, None] * d + np.arange(d)).reshape(-1)
    np.add.at(table.reshape(-1), flat, rows.reshape(-1))


def _jobs(offsets: np.ndarray) -> list[tuple[int, int]]:
    """(first, last) sentences of jobs of about JOB words each."""
    words, sentences = int(offsets[-1]), len(offsets) - 1
    cuts = np.searchsorted(offsets, np.arange(JOB, words, JOB))
    cuts = np.unique(np.concatenate([[0], cuts, [sentences]]))
    return list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))


def _map(function, arguments, threads: int) -> Iterator:
    """The results in order of the arguments, with so many calls at once."""
    if threads == 1:
        yield from map(function, arguments)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="minillm-word2vec")
    try:
        yield from pool.map(function, arguments)
    finally:  # also after an error or Ctrl-C: what has not begun is dropped
        pool.shutdown(cancel_futures=True)

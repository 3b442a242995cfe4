"""GloVe: word vectors whose products are the logarithms of co-occurrence counts.

    sentences = [split_words(text) for text in texts]
    model = GloVe(sentences, vector_size=100, window=15, epochs=25)
    model.wv.most_similar("good")

A word i has a vector w_i and a bias b_i; as a neighbour, a word j has another vector w~_j and
another bias b~_j.  With X_ij the counts of `data.cooccurrence`, and the residual

    r_ij = w_i . w~_j + b_i + b~_j - log X_ij

what is minimised is the weighted sum of squares over the non-zero entries of X (equation 8):

    J = 1/2 sum_ij f(X_ij) r_ij^2            f(x) = min((x / x_max)^0.75, 1)

Without the weight f, the many pairs that were seen once, by chance, would say as much together as
the few that were seen a thousand times.  The gradients, with g_ij = f(X_ij) r_ij:

    dJ/dw_i  = sum_j g_ij w~_j               dJ/db_i  = sum_j g_ij
    dJ/dw~_j = sum_i g_ij w_i                dJ/db~_j = sum_i g_ij

X is symmetric, so w and w~ play the same part and differ by chance only.  Their sum is the vector
of the word.

**Entry by entry, or by tiles.**  The paper takes one entry (i, j) after another in random order,
tens of millions of them an epoch: a loop for C.  Here the matrix is cut into tiles of some hundred
words by some hundred words (`glove_tiles.py`), and a tile is a mini-batch: the gradients of its
entries are summed before AdaGrad makes a step.  The products of all its rows with all its columns
are one matrix product, and so are the sums over j and over i:

    P = W W~^T      dW = G W~      dW~ = G^T W        (G: g_ij at the entries of X, else 0)

Most of P isn't needed, since most of X is zero.  But a matrix product gives a hundred numbers in
the time that it takes to fetch the two vectors of one entry from memory.  The price: the time grows
with the square of the vocabulary.  It suits tens of thousands of words, not millions.

**Two threads.**  Let p and q be permutations of the blocks of words.  The tiles (p_1, q_1),
(p_2, q_2), ... have no row and no column in common, so it makes no difference which comes first, or
whether two are worked on at once: any number of threads has the same result.  With q turned by one
place after another, all tiles come up (Gemulla et al. 2011, "Large-Scale Matrix Factorization with
Distributed Stochastic Gradient Descent").

Source: Pennington, Socher and Manning 2014, "GloVe: Global Vectors for Word Representation".
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from minillm.data.cooccurrence import Cooccurrences, count_cooccurrences
from minillm.data.word_pairs import WordCounts
from minillm.models.glove_tiles import Blocks, Entries, Tiles
from minillm.models.keyed_vectors import KeyedVectors


def glove_weight(x, x_max: float = 100.0, exponent: float = 0.75):
    """f(x) = min((x / x_max)^exponent, 1): how much an entry x counts (equation 9)."""
    return np.minimum(np.asarray(x) / x_max, 1) ** exponent


def tile_gradients(w, b, w2, b2, entries: Entries):
    """J of the entries of one tile, and its gradients: (J, dw, db, dw2, db2).

    w (R, d), b (R,): vectors and biases of the rows;  w2 (C, d), b2 (C,): of the columns, those
    with the tilde;  entries: i (n,) and j (n,), where in the tile; log_x (n,) and f (n,).
    Entry by entry, with r = w[i] . w2[j] + b[i] + b2[j] - log_x  and  g = f r:

        J += 1/2 f r^2    dw[i] += g w2[j]    dw2[j] += g w[i]    db[i] += g    db2[j] += g
    """
    i, j, log_x, f = entries
    p = w @ w2.T  # (R, C)
    places = i * p.shape[1] + j
    r = p.reshape(-1)[places] + b[i] + b2[j] - log_x  # (n,)
    g = f * r
    loss = 0.5 * float(r @ g)

    G = p  # what stands there isn't needed any more
    G.fill(0)
    G.reshape(-1)[places] = g
    ones = np.ones(max(G.shape), G.dtype)  # a product with ones is the fastest way to sum
    return loss, G @ w2, G @ ones[: len(w2)], G.T @ w, ones[: len(w)] @ G


def adagrad(x, g, squares, learning_rate: float) -> None:
    """One step of AdaGrad (Duchi et al. 2011), in place; g is used up.

    s += g^2,  x -= learning_rate * g / sqrt(s)

    Every number has a step size of its own, the smaller the more it has been moved: a frequent
    word gets a large gradient from every tile, a rare word a small one now and then.
    """
    s = g * g
    squares += s
    np.sqrt(squares, out=s)
    g *= learning_rate
    g /= s
    x -= g


class _Side:
    """All w and b, or all w~ and b~, dealt into blocks, and AdaGrad's sums of squares."""

    def __init__(self, w: np.ndarray, b: np.ndarray, blocks: Blocks):
        self.w, self.b = blocks.deal(w), blocks.deal(b)
        # A number without any gradient so far must not be moved by 0 / 0.
        self.w_squares = np.full_like(self.w, 1e-8)
        self.b_squares = np.full_like(self.b, 1e-8)

    def step(self, block: int, dw, db, learning_rate: float) -> None:
        adagrad(self.w[block], dw, self.w_squares[block], learning_rate)
        adagrad(self.b[block], db, self.b_squares[block], learning_rate)


class GloVe:
    """Vectors of the words of a corpus, learned from its co-occurrence counts.

    sentences     lists of words, as a list or anything that can be iterated again; None: only
                  the settings, `build_vocab` and `train` are called later
    vector_size   d, the length of the vectors
    window        how far apart words may be to count as neighbours.  A wide one makes more counts,
                  but the learning takes as long
    min_count     words that occur less often get no vector;  max_final_vocab  at most so many do
    x_max         counts from here on have the full weight.  The paper has 100, for billions of
                  words; of ten million words, 10 learns more
    exponent      of the weight
    learning_rate of AdaGrad: the first steps of each number are about so long.  (The 0.05 of the
                  original program is another measure: there the sums of squares begin at 1)
    epochs        how often each entry is used
    workers       threads; the result does not depend on them
    block_size    rows and columns of a tile at most (None: chosen by the number of words)

    wv       the vectors w + w~, KeyedVectors
    losses   J / number of entries in each epoch, before the steps that the epoch took

    The biases begin at what they would be if words met by chance alone, with X_i = sum_j X_ij and
    X = sum_i X_i:  X_ij = X_i X_j / X,  so b_i = b~_i = log X_i - 1/2 log X.  From there on the
    vectors learn what is not chance.  (The paper begins with random numbers near 0; its vectors
    first have to learn that some words are more frequent.)
    """

    def __init__(
        self,
        sentences: Iterable[Sequence[str]] | None = None,
        vector_size: int = 100,
        window: int = 15,
        min_count: int = 5,
        max_final_vocab: int | None = None,
        x_max: float = 10.0,
        exponent: float = 0.75,
        learning_rate: float = 0.5,
        epochs: int = 25,
        seed: int = 1,
        workers: int = 2,
        block_size: int | None = None,
    ):
        for name, number, least in (
            ("vector_size", vector_size, 1),
            ("window", window, 1),
            ("epochs", epochs, 0),
            ("workers", workers, 1),
            ("block_size", 1 if block_size is None else block_size, 1),
        ):
            whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
            if not whole or number < least:
                raise ValueError(f"{name} is {number!r}; expected an integer of at least {least}")
        if block_size is not None and block_size > 1 << 15:  # 4 GiB of products
            raise ValueError(f"block_size is {block_size}; expected at most {1 << 15}")
        for name, value in (("x_max", x_max), ("learning_rate", learning_rate)):
            if not 0 < value < np.inf:
                raise ValueError(f"{name} is {value!r}; expected a number above 0")
        if not 0 <= exponent < np.inf:
            raise ValueError(f"exponent is {exponent!r}; expected 0 or more, mostly 0.75")
        self.vector_size, self.window = vector_size, window
        self.min_count, self.max_final_vocab = min_count, max_final_vocab
        self.x_max, self.exponent = float(x_max), float(exponent)
        self.learning_rate, self.epochs = float(learning_rate), epochs
        self.seed, self.workers, self.block_size = seed, workers, block_size
        self.losses: list[float] = []
        if sentences is not None:
            if iter(sentences) is sentences:
                raise TypeError(
                    "sentences can be iterated only once (a generator?), but is read twice: once "
                    "to count the words, once to count who is whose neighbour; give a list"
                )
            self.build_vocab(sentences)
            self.train(sentences)

    def build_vocab(self, sentences: Iterable[Sequence[str]] | WordCounts) -> None:
        """Count the words of `sentences`; a WordCounts is taken as it is."""
        if isinstance(sentences, WordCounts):
            self.vocabulary = sentences
        else:
            self.vocabulary = WordCounts.count(sentences, self.min_count, self.max_final_vocab)

    def train(self, sentences: Iterable[Sequence[str]], show_progress: bool = False) -> None:
        """Count the neighbours in `sentences` and learn from the counts.

        Raises RuntimeError before `build_vocab`, ValueError if no word has a neighbour.
        """
        self._check_vocabulary()
        ids, offsets = self.vocabulary.encode(sentences)
        x = count_cooccurrences(ids, offsets, len(self.vocabulary), self.window, self.workers)
        self.train_counts(x, show_progress)

    def train_counts(self, x: Cooccurrences, show_progress: bool = False) -> None:
        """Learn from counts that were made before.  Begins anew each time it is called.

        Raises ValueError for counts of another number of words, or none, or some not above 0;
        RuntimeError before `build_vocab`.
        """
        self._check_vocabulary()
        V, d = len(self.vocabulary), self.vector_size
        if x.size != V:
            raise ValueError(f"the counts are of {x.size} words, the vocabulary has {V}")
        if not len(x.counts) or not (0 < x.counts.min() and x.counts.max() < np.inf):
            raise ValueError(
                f"expected at least one count and all above 0, got {len(x.counts)} counts: "
                f"sentences need two known words or more"
            )
        blocks = Blocks.of(V, self.block_size)
        tiles = Tiles(x, blocks, lambda counts: glove_weight(counts, self.x_max, self.exponent))
        generator = np.random.default_rng(self.seed)
        b = chance_biases(x)
        words, neighbours = (
            _Side((generator.random((V, d), np.float32) - np.float32(0.5)) / d, b, blocks)
            for _ in range(2)
        )
        self.losses = []
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="minillm-glove")
        try:
            # BLAS with one thread: ours use the cores.
            with threadpool_limits(1, user_api="blas"):
                for _ in tqdm(range(self.epochs), "GloVe", disable=not show_progress):
                    loss = self._epoch(words, neighbours, tiles, generator, pool)
                    self.losses.append(loss / tiles.entries)
        finally:  # also after an error or Ctrl-C: what has not begun is dropped
            pool.shutdown(cancel_futures=True)
        vectors = blocks.collect(words.w, V) + blocks.collect(neighbours.w, V)
        self.wv = KeyedVectors(self.vocabulary.words, vectors)

    def _check_vocabulary(self) -> None:
        if not hasattr(self, "vocabulary"):
            raise RuntimeError("the words aren't counted yet: call build_vocab(sentences) first")

    def _epoch(self, words: _Side, neighbours: _Side, tiles: Tiles, generator, pool) -> float:
        """Each tile once, in random order.  The sum of J over the tiles."""

        def learn(tile: tuple[int, int]) -> float:
            a, b = tile
            rows, columns = words, neighbours
            if a > b:  # the transpose of a stored tile
                a, b, rows, columns = b, a, neighbours, words
            loss, dw, db, dw2, db2 = tile_gradients(
                rows.w[a], rows.b[a], columns.w[b], columns.b[b], tiles[a, b]
            )
            rows.step(a, dw, db, self.learning_rate)
            columns.step(b, dw2, db2, self.learning_rate)
            return loss

        loss = 0.0
        p, q = generator.permutation(tiles.number), generator.permutation(tiles.number)
        for turn in range(tiles.number):
            apart = zip(p.tolist(), np.roll(q, turn).tolist(), strict=True)
            loss += sum(pool.map(learn, apart))
        return loss


def chance_biases(x: Cooccurrences) -> np.ndarray:
    """b_i = log X_i - 1/2 log X, (V,) float32; 0 for a word without neighbours."""
    other = x.rows != x.columns
    total = np.bincount(x.rows, x.counts, x.size)
    total += np.bincount(x.columns[other], x.counts[other], x.size)
    b = np.log(np.where(total > 0, total, 1)) - 0.5 * np.log(total.sum())
    return np.where(total > 0, b, 0).astype(np.float32)

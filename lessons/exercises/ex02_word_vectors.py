"""Exercises to lesson 02: word vectors, with the gradients by hand.

Write the bodies; the graders tell you how far you are, and what may be wrong:

    python -m pytest tests/exercises -k ex02

NumPy and Python's standard library are enough.  An argument belongs to the caller: don't change it.
sigma(x) is 1 / (1 + exp(-x)), log is the natural logarithm.  In the examples arrays are written as
lists; what your functions get are arrays where the signature says so.
"""

import numpy as np


def context_pairs(sentences: list[list[str]], window: int) -> list[tuple[str, str]]:
    """What skip-gram learns from: every word with each of its neighbours.

    The neighbours of the word at position i are the words at i - window, ..., i + window of the
    same sentence, without position i itself.  Pairs never cross a sentence.

    sentences : lists of words
    window    : how far a neighbour may be, at least 1
    Returns the pairs (centre, context): sentence by sentence, centres from left to right, and for
    each centre its contexts from left to right.

    Example:
        >>> context_pairs([["I", "like", "it"], ["很", "好"]], window=1)
        [('I', 'like'), ('like', 'I'), ('like', 'it'), ('it', 'like'), ('很', '好'), ('好', '很')]

    Difficulty: 1 of 3. Lesson 02, section 2.
    """
    raise NotImplementedError("to do")


def keep_probability(counts: np.ndarray, sample: float = 1e-3) -> np.ndarray:
    """Subsampling: with which probability an occurrence of each word stays in the text.

    With f_i = counts_i / sum(counts), as in the C program of Mikolov et al. 2013:

        p_i = min(1, sqrt(sample / f_i) + sample / f_i)

    counts : (V,) how often each word occurs, at least once
    Returns (V,) float.

    Example:
        >>> keep_probability(np.array([900, 90, 10]), sample=0.1).round(6)
        array([0.444444, 1.      , 1.      ])

    f_0 = 0.9, and sqrt(1/9) + 1/9 = 4/9; f_1 = 0.09 is rarer than the sample rate already.

    Difficulty: 1 of 3. Lesson 02, section 2.
    """
    raise NotImplementedError("to do")


def draw_negatives(counts: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw words for negative sampling, independently of each other and with replacement.

        P(i) = counts_i^(3/4) / sum_j counts_j^(3/4)

    counts : (V,) how often each word occurs; may be 0
    n      : how many to draw
    rng    : the generator to draw from, and the only source of randomness
    Returns (n,) word ids, int.

    Example: counts [16, 1, 0] have the weights 8, 1 and 0, so the probabilities are 8/9, 1/9 and 0.
        >>> drawn = draw_negatives(np.array([16, 1, 0]), 6, np.random.default_rng(0))
        >>> drawn.shape, set(drawn.tolist()) <= {0, 1}
        ((6,), True)

    Difficulty: 2 of 3. Lesson 02, section 2.
    """
    raise NotImplementedError("to do")


def skip_gram(
    v: np.ndarray, u: np.ndarray, negatives: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Loss and gradients of skip-gram with negative sampling, for one pair.

        loss = -log sigma(u . v) - sum_k log sigma(-n_k . v)

    With log sigma(x) = min(x, 0) - log(1 + exp(-|x|)) it is finite for scores of any size.

    v         : (d,) vector of the centre word
    u         : (d,) output vector of the context word
    negatives : (K, d) output vectors n_k of the negative words
    Returns (loss, dv, du, dnegatives): a float, and the derivatives of the loss in the shapes of
    v, u and negatives.

    Example: both scores are 0, so both sigmas are 1/2.
        >>> v, u, negatives = np.array([1.0, 1]), np.array([1.0, -1]), np.array([[2.0, -2]])
        >>> loss, dv, du, dnegatives = skip_gram(v, u, negatives)
        >>> print(round(loss, 6), dv, du, dnegatives)
        1.386294 [ 0.5 -0.5] [-0.5 -0.5] [[0.5 0.5]]

    loss = 2 log 2,  dv = -1/2 u + 1/2 n_0,  du = -1/2 v,  dn_0 = 1/2 v.

    Difficulty: 3 of 3. Lesson 02, section 3.
    """
    raise NotImplementedError("to do")


def cbow_gradients(
    contexts: np.ndarray, u: np.ndarray, negatives: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of CBOW with negative sampling, for one window.

    CBOW predicts the centre word from the mean of its context's vectors:

        h    = 1/C sum_c contexts_c
        loss = -log sigma(u . h) - sum_k log sigma(-n_k . h)

    contexts  : (C, d) vectors of the context words
    u         : (d,) output vector of the centre word
    negatives : (K, d) output vectors n_k of the negative words
    Returns (dcontexts, du, dnegatives): the derivatives of the loss, in the shapes of contexts, u
    and negatives.

    Example: h = [0.5, 0.5], both scores are 0.
        >>> contexts = np.array([[1.0, 0], [0, 1]])
        >>> u, negatives = np.array([1.0, -1]), np.array([[2.0, -2]])
        >>> dcontexts, du, dnegatives = cbow_gradients(contexts, u, negatives)
        >>> dcontexts
        array([[ 0.25, -0.25],
               [ 0.25, -0.25]])
        >>> print(du, dnegatives)
        [-0.25 -0.25] [[0.25 0.25]]

    dh = -1/2 u + 1/2 n_0 = [0.5, -0.5], and each of the two contexts has half a share in h.

    Difficulty: 3 of 3. Lesson 02, section 4.
    """
    raise NotImplementedError("to do")


def table_gradient(ids: np.ndarray, gradients: np.ndarray, vocab_size: int) -> np.ndarray:
    """The gradient of a table of word vectors, from the gradients of the rows that were used.

    vectors = table[ids] takes rows out of a table.  A word that was taken several times gets
    the sum of its gradients; a word that wasn't taken gets zeros.

    ids        : int, of any shape (...)
    gradients  : (..., d) the gradient of table[ids]
    vocab_size : V, the number of rows of the table
    Returns (V, d).

    Example: word 2 was used twice, 1 + 3 = 4.
        >>> gradients = np.array([[1.0, 1], [2, 2], [3, 3]])
        >>> table_gradient(np.array([2, 0, 2]), gradients, vocab_size=4)
        array([[2., 2.],
               [0., 0.],
               [4., 4.],
               [0., 0.]])

    Difficulty: 2 of 3. Lesson 02, section 3.
    """
    raise NotImplementedError("to do")


def cooccurrence(sentences: list[list[int]], window: int, vocab_size: int) -> np.ndarray:
    """GloVe's counts: how much each word occurs near each other word.

    Two positions of the same sentence that are `distance` apart, 1 <= distance <= window, add
    1 / distance to X[i, j] and to X[j, i], where i and j are their words.

    sentences  : lists of word ids
    vocab_size : V
    Returns X, (V, V) float.  A word that occurs near itself adds 2 / distance to X[i, i].

    Example:
        >>> cooccurrence([[0, 1, 2]], window=3, vocab_size=3)
        array([[0. , 1. , 0.5],
               [1. , 0. , 1. ],
               [0.5, 1. , 0. ]])

    Difficulty: 2 of 3. Lesson 02, section 5.
    """
    raise NotImplementedError("to do")


def glove_weight(x: np.ndarray, x_max: float = 100.0, alpha: float = 0.75) -> np.ndarray:
    """How much a co-occurrence count weighs in GloVe's loss.

        f(x) = (x / x_max)^alpha   where x < x_max,   1 elsewhere

    x : counts, at least 0, of any shape
    Returns float, in the shape of x.

    Example: (1/81)^(3/4) = 1/27 and (16/81)^(3/4) = 8/27.
        >>> glove_weight(np.array([0.0, 1, 16, 100]), x_max=81).round(6)
        array([0.      , 0.037037, 0.296296, 1.      ])

    Difficulty: 1 of 3. Lesson 02, section 5.
    """
    raise NotImplementedError("to do")


def glove_gradients(
    w: np.ndarray,
    c: np.ndarray,
    b: np.ndarray,
    b_context: np.ndarray,
    x: np.ndarray,
    x_max: float = 100.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of GloVe's loss for a batch of B pairs of words.

        loss = 1/2 sum_p f(x_p) (w_p . c_p + b_p + b_context_p - log x_p)^2

    f is `glove_weight` with the exponent 3/4.

    w, c         : (B, d) vectors of the word and of the context word of each pair
    b, b_context : (B,) their biases
    x            : (B,) how often each pair occurs, greater than 0
    Returns (dw, dc, db, db_context): the derivatives of the loss, in the shapes of w, c, b and
    b_context.

    Example: 5 + 1 - 2 - 0 = 4 and f(1) = (1/16)^(3/4) = 1/8; all four share the factor 4/8.
        >>> w, c = np.array([[1.0, 2]]), np.array([[3.0, 1]])
        >>> b, b_context, x = np.array([1.0]), np.array([-2.0]), np.array([1.0])
        >>> dw, dc, db, db_context = glove_gradients(w, c, b, b_context, x, x_max=16)
        >>> print(dw, dc, db, db_context)
        [[1.5 0.5]] [[0.5 1. ]] [0.5] [0.5]

    Difficulty: 2 of 3. Lesson 02, section 5.
    """
    raise NotImplementedError("to do")


def most_similar(
    vectors: np.ndarray, positive: list[int], negative: list[int], n: int
) -> list[int]:
    """The n words nearest to a sum of words: neighbours and analogies.

        unit_i = vectors_i / |vectors_i|
        query  = sum of unit_i over positive - sum of unit_j over negative
        score_i = cosine of the angle between vectors_i and query

    "man is to king as woman is to ...": positive = [king, woman], negative = [man].

    vectors  : (V, d), no row is zero
    positive : word ids, at least one
    negative : word ids, may be empty
    Returns the ids of the n words with the highest scores, the highest first.  The words of
    positive and negative themselves don't take part.

    Example: the cosines to word 0 are 1, 0, 0.6 and -1.
        >>> vectors = np.array([[1.0, 0], [0, 1], [3, 4], [-2, 0]])
        >>> most_similar(vectors, positive=[0], negative=[], n=2)
        [2, 1]

    Difficulty: 2 of 3. Lesson 02, section 6.
    """
    raise NotImplementedError("to do")

"""Mistakes that students make in the exercises of lesson 02; the graders must name each."""

import numpy as np

from grading.mistakes import mistake


def _floats(*arrays):
    return tuple(np.asarray(array, float) for array in arrays)


def _sigmoid(x):
    return 0.5 * np.tanh(0.5 * x) + 0.5


def _log_sigmoid(x):
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


# ---------------------------------------------------------------- context_pairs


def _neighbours(sentence, i, window):
    return [j for j in range(max(0, i - window), min(len(sentence), i + window + 1)) if j != i]


@mistake("context_pairs", "pairs never cross a sentence")
def across_sentences(sentences, window):
    text = [word for sentence in sentences for word in sentence]
    return [(text[i], text[j]) for i in range(len(text)) for j in _neighbours(text, i, window)]


@mistake("context_pairs", "a word is no neighbour of itself")
def with_itself(sentences, window):
    return [
        (s[i], s[j])
        for s in sentences
        for i in range(len(s))
        for j in range(max(0, i - window), min(len(s), i + window + 1))
    ]


@mistake(
    "context_pairs", "i - window is negative at the beginning, and a slice from there is empty"
)
def negative_slice(sentences, window):
    return [
        (s[i], other)
        for s in sentences
        for i in range(len(s))
        for other in s[i - window : i] + s[i + 1 : i + window + 1]
    ]


@mistake(
    "context_pairs", "the last neighbour on the right is missing: the end of a range is excluded"
)
def window_without_its_end(sentences, window):
    return [
        (s[i], s[j])
        for s in sentences
        for i in range(len(s))
        for j in range(max(0, i - window), min(len(s), i + window))
        if j != i
    ]


@mistake("context_pairs", "neighbours stand on both sides")
def right_side_only(sentences, window):
    return [
        (s[i], s[j])
        for s in sentences
        for i in range(len(s))
        for j in range(i + 1, min(len(s), i + window + 1))
    ]


@mistake("context_pairs", "the centre comes first in a pair, the context second")
def context_first(sentences, window):
    return [
        (s[j], s[i]) for s in sentences for i in range(len(s)) for j in _neighbours(s, i, window)
    ]


@mistake("context_pairs", "leave out the position i, not every word that equals the centre")
def leaves_out_equal_words(sentences, window):
    return [pair for pair in with_itself(sentences, window) if pair[0] != pair[1]]


@mistake("context_pairs", "a pair that occurs twice counts twice")
def each_pair_once(sentences, window):
    pairs = [
        (s[i], s[j]) for s in sentences for i in range(len(s)) for j in _neighbours(s, i, window)
    ]
    return list(dict.fromkeys(pairs))


# ---------------------------------------------------------------- keep_probability


@mistake(
    "keep_probability", "sqrt(sample / f) alone is the formula of the paper, not of the program"
)
def formula_of_the_paper(counts, sample=1e-3):
    (counts,) = _floats(counts)
    return np.minimum(1, np.sqrt(sample * counts.sum() / counts))


@mistake("keep_probability", "the probability to keep a word, not to drop it")
def probability_to_drop(counts, sample=1e-3):
    (counts,) = _floats(counts)
    rate = sample * counts.sum() / counts
    return 1 - np.minimum(1, np.sqrt(rate) + rate)


@mistake("keep_probability", "a probability is at most 1")
def without_minimum(counts, sample=1e-3):
    (counts,) = _floats(counts)
    rate = sample * counts.sum() / counts
    return np.sqrt(rate) + rate


@mistake("keep_probability", "divide the counts by their sum")
def counts_for_frequencies(counts, sample=1e-3):
    rate = sample / np.asarray(counts, float)
    return np.minimum(1, np.sqrt(rate) + rate)


@mistake("keep_probability", "by the sum of the counts, not by the largest")
def divides_by_the_largest(counts, sample=1e-3):
    (counts,) = _floats(counts)
    rate = sample * counts.max() / counts
    return np.minimum(1, np.sqrt(rate) + rate)


@mistake("keep_probability", "sample / f, not f / sample")
def quotient_upside_down(counts, sample=1e-3):
    (counts,) = _floats(counts)
    rate = counts / counts.sum() / sample
    return np.minimum(1, np.sqrt(rate) + rate)


@mistake("keep_probability", "integer division (//) makes every frequency 0")
def integer_frequencies(counts, sample=1e-3):
    counts = np.asarray(counts)
    with np.errstate(divide="ignore"):
        rate = sample / (counts // counts.sum())
    return np.minimum(1, np.sqrt(rate) + rate)


# ---------------------------------------------------------------- draw_negatives


def _draw(weights, n, rng):
    return rng.choice(len(weights), size=n, p=weights / weights.sum())


@mistake("draw_negatives", "without the power 3/4")
def without_power(counts, n, rng):
    return _draw(np.asarray(counts, float), n, rng)


@mistake("draw_negatives", "every word is drawn equally often")
def uniform(counts, n, rng):
    return _draw((np.asarray(counts) > 0).astype(float), n, rng)


@mistake("draw_negatives", "the power is 3/4, not 1/2")
def square_root(counts, n, rng):
    return _draw(np.sqrt(counts), n, rng)


@mistake("draw_negatives", "draws a word that never occurs")
def all_words(counts, n, rng):
    return rng.integers(0, len(counts), n)


@mistake("draw_negatives", "not from the generator `rng`")
def global_generator(counts, n, rng):
    weights = np.asarray(counts, float) ** 0.75
    return np.random.choice(len(weights), size=n, p=weights / weights.sum())


@mistake("draw_negatives", "a generator of its own with a fixed seed")
def fixed_seed(counts, n, rng):
    return _draw(np.asarray(counts, float) ** 0.75, n, np.random.default_rng(0))


@mistake("draw_negatives", "the last word is never drawn")
def never_the_last(counts, n, rng):
    return _draw(np.asarray(counts, float)[:-1] ** 0.75, n, rng)


@mistake("draw_negatives", "the ids are shifted by one")
def shifted(counts, n, rng):
    cumulative = np.cumsum(np.asarray(counts, float) ** 0.75)
    return np.minimum(
        np.searchsorted(cumulative / cumulative[-1], rng.random(n)) + 1, len(counts) - 1
    )


@mistake("draw_negatives", "with replacement: the draws are independent of each other")
def without_replacement(counts, n, rng):
    # As many of each word as are expected, shuffled: the frequencies are right, the draws are not.
    weights = np.asarray(counts, float) ** 0.75
    cumulative = np.cumsum(weights) / weights.sum()
    return rng.permutation(np.searchsorted(cumulative, (np.arange(n) + 0.5) / n))


@mistake("draw_negatives", "word ids are wanted, n of them")
def counts_of_draws(counts, n, rng):
    weights = np.asarray(counts, float) ** 0.75
    return rng.multinomial(n, weights / weights.sum())


@mistake("draw_negatives", "the draws are sorted")
def sorted_draws(counts, n, rng):
    weights = np.asarray(counts, float) ** 0.75
    return np.repeat(np.arange(len(weights)), rng.multinomial(n, weights / weights.sum()))


# ---------------------------------------------------------------- skip_gram


def _skip_gram(v, u, negatives):
    v, u, negatives = _floats(v, u, negatives)
    score, scores = u @ v, negatives @ v
    loss = -_log_sigmoid(score) - _log_sigmoid(-scores).sum()
    d_score, d_scores = _sigmoid(score) - 1, _sigmoid(scores)
    return float(loss), d_score * u + d_scores @ negatives, d_score * v, np.outer(d_scores, v)


@mistake("skip_gram", "log(sigma(x)) is -inf where sigma(x) is rounded to 0")
def log_of_sigmoid(v, u, negatives):
    _, *gradients = _skip_gram(v, u, negatives)
    v, u, negatives = _floats(v, u, negatives)
    with np.errstate(all="ignore"):
        loss = -np.log(_sigmoid(u @ v)) - np.log(_sigmoid(-negatives @ v)).sum()
    return (float(loss), *gradients)


@mistake("skip_gram", "a small number inside of the logarithm hides a large loss")
def small_number_in_the_logarithm(v, u, negatives):
    _, *gradients = _skip_gram(v, u, negatives)
    v, u, negatives = _floats(v, u, negatives)
    loss = -np.log(_sigmoid(u @ v) + 1e-10) - np.log(_sigmoid(-negatives @ v) + 1e-10).sum()
    return (float(loss), *gradients)


@mistake("skip_gram", "the true pair's score has the gradient sigma - 1, not sigma")
def forgets_minus_one(v, u, negatives):
    loss, *_ = _skip_gram(v, u, negatives)
    v, u, negatives = _floats(v, u, negatives)
    d_score, d_scores = _sigmoid(u @ v), _sigmoid(negatives @ v)
    return loss, d_score * u + d_scores @ negatives, d_score * v, np.outer(d_scores, v)


@mistake("skip_gram", "a negative's score has the gradient sigma, not sigma - 1")
def negatives_like_the_true_pair(v, u, negatives):
    loss, *_ = _skip_gram(v, u, negatives)
    v, u, negatives = _floats(v, u, negatives)
    d_score, d_scores = _sigmoid(u @ v) - 1, _sigmoid(negatives @ v) - 1
    return loss, d_score * u + d_scores @ negatives, d_score * v, np.outer(d_scores, v)


@mistake("skip_gram", "dv is missing the negatives' part")
def dv_without_negatives(v, u, negatives):
    loss, _, du, dnegatives = _skip_gram(v, u, negatives)
    v, u = _floats(v, u)
    return loss, (_sigmoid(u @ v) - 1) * u, du, dnegatives


@mistake(
    "skip_gram",
    "the sign: the gradients point downhill, but the derivatives of the loss are wanted",
)
def downhill(v, u, negatives):
    loss, *gradients = _skip_gram(v, u, negatives)
    return (loss, *(-gradient for gradient in gradients))


@mistake("skip_gram", "the negatives are summed, not averaged")
def mean_over_negatives(v, u, negatives):
    v, u, negatives = _floats(v, u, negatives)
    score, scores = u @ v, negatives @ v
    loss = -_log_sigmoid(score) - _log_sigmoid(-scores).mean()
    d_score, d_scores = _sigmoid(score) - 1, _sigmoid(scores) / len(scores)
    return float(loss), d_score * u + d_scores @ negatives, d_score * v, np.outer(d_scores, v)


@mistake("skip_gram", "v has been changed before du was taken from it")
def updates_too_early(v, u, negatives):
    loss, dv, *_ = _skip_gram(v, u, negatives)
    v, u, negatives = _floats(v, u, negatives)
    d_score, d_scores = _sigmoid(u @ v) - 1, _sigmoid(negatives @ v)
    v = v - 0.1 * dv
    return loss, dv, d_score * v, np.outer(d_scores, v)


@mistake("skip_gram", "dnegatives is the same for all negatives, but each has its own score")
def one_gradient_for_all_negatives(v, u, negatives):
    loss, dv, du, dnegatives = _skip_gram(v, u, negatives)
    return loss, dv, du, np.broadcast_to(dnegatives.mean(axis=0), dnegatives.shape).copy()


@mistake("skip_gram", "the loss has the sign of a log likelihood: -log sigma is wanted")
def positive_log_likelihood(v, u, negatives):
    loss, *gradients = _skip_gram(v, u, negatives)
    return (-loss, *gradients)


@mistake("skip_gram", "of the negatives -n_k . v goes into sigma")
def loss_without_minus(v, u, negatives):
    _, *gradients = _skip_gram(v, u, negatives)
    v, u, negatives = _floats(v, u, negatives)
    return (float(-_log_sigmoid(u @ v) - _log_sigmoid(negatives @ v).sum()), *gradients)


@mistake("skip_gram", "dnegatives is transposed: it has a row for each negative")
def negatives_transposed(v, u, negatives):
    loss, dv, du, dnegatives = _skip_gram(v, u, negatives)
    return loss, dv, du, dnegatives.T.copy()


# ---------------------------------------------------------------- cbow_gradients


def _cbow(contexts, u, negatives, h=None):
    (contexts,) = _floats(contexts)
    h = contexts.mean(axis=0) if h is None else h
    _, dh, du, dnegatives = _skip_gram(h, u, negatives)
    return contexts, dh, du, dnegatives


@mistake("cbow_gradients", "divide dh by the number of contexts C")
def without_division(contexts, u, negatives):
    contexts, dh, du, dnegatives = _cbow(contexts, u, negatives)
    return np.tile(dh, (len(contexts), 1)), du, dnegatives


@mistake("cbow_gradients", "h is the mean of the contexts, not their sum")
def sum_of_contexts(contexts, u, negatives):
    contexts, dh, du, dnegatives = _cbow(contexts, u, negatives, np.sum(contexts, axis=0))
    return np.tile(dh, (len(contexts), 1)), du, dnegatives


@mistake("cbow_gradients", "every context has a share in h, not only the first")
def first_context_only(contexts, u, negatives):
    contexts, dh, du, dnegatives = _cbow(contexts, u, negatives)
    dcontexts = np.zeros_like(contexts)
    dcontexts[0] = dh / len(contexts)
    return dcontexts, du, dnegatives


@mistake("cbow_gradients", "the mean is over the contexts (axis 0), not over the dimensions")
def mean_over_dimensions(contexts, u, negatives):
    (contexts,) = _floats(contexts)
    h = np.full(contexts.shape[1], contexts.mean())
    contexts, dh, du, dnegatives = _cbow(contexts, u, negatives, h)
    return np.tile(dh / len(contexts), (len(contexts), 1)), du, dnegatives


@mistake("cbow_gradients", "dh is missing the negatives' part")
def dh_without_negatives(contexts, u, negatives):
    contexts, _, du, dnegatives = _cbow(contexts, u, negatives)
    dh = (_sigmoid(np.asarray(u, float) @ contexts.mean(axis=0)) - 1) * np.asarray(u, float)
    return np.tile(dh / len(contexts), (len(contexts), 1)), du, dnegatives


@mistake("cbow_gradients", "the true word's score has the gradient sigma - 1, not sigma")
def cbow_forgets_minus_one(contexts, u, negatives):
    contexts, u, negatives = _floats(contexts, u, negatives)
    h = contexts.mean(axis=0)
    d_score, d_scores = _sigmoid(u @ h), _sigmoid(negatives @ h)
    dh = d_score * u + d_scores @ negatives
    return np.tile(dh / len(contexts), (len(contexts), 1)), d_score * h, np.outer(d_scores, h)


@mistake(
    "cbow_gradients", "the sign: the derivatives of the loss are wanted, not the step downhill"
)
def cbow_downhill(contexts, u, negatives):
    contexts, dh, du, dnegatives = _cbow(contexts, u, negatives)
    return np.tile(-dh / len(contexts), (len(contexts), 1)), -du, -dnegatives


@mistake("cbow_gradients", "du and dnegatives are multiples of the mean h, not of one context")
def du_from_one_context(contexts, u, negatives):
    contexts, dh, _, _ = _cbow(contexts, u, negatives)
    u, negatives = _floats(u, negatives)
    h = contexts.mean(axis=0)
    d_score, d_scores = _sigmoid(u @ h) - 1, _sigmoid(negatives @ h)
    dcontexts = np.tile(dh / len(contexts), (len(contexts), 1))
    return dcontexts, d_score * contexts[-1], np.outer(d_scores, contexts[-1])


@mistake("cbow_gradients", "dnegatives is transposed: it has a row for each negative")
def cbow_negatives_transposed(contexts, u, negatives):
    contexts, dh, du, dnegatives = _cbow(contexts, u, negatives)
    return np.tile(dh / len(contexts), (len(contexts), 1)), du, dnegatives.T.copy()


# ---------------------------------------------------------------- table_gradient


@mistake("table_gradient", "table[ids] += gradients adds only the last of several equal ids")
def fancy_index(ids, gradients, vocab_size):
    (gradients,) = _floats(gradients)
    table = np.zeros((vocab_size, gradients.shape[-1]))
    table[np.asarray(ids)] += gradients
    return table


@mistake("table_gradient", "a word that was taken several times gets the sum, not the mean")
def mean_of_gradients(ids, gradients, vocab_size):
    (gradients,) = _floats(gradients)
    ids = np.asarray(ids)
    table = np.zeros((vocab_size, gradients.shape[-1]))
    np.add.at(table, ids, gradients)
    times = np.bincount(ids.reshape(-1), minlength=vocab_size)
    return table / np.maximum(times, 1)[:, None]


@mistake("table_gradient", "the table has vocab_size rows, not as many as the largest id needs")
def rows_of_the_largest_id(ids, gradients, vocab_size):
    (gradients,) = _floats(gradients)
    table = np.zeros((np.max(ids) + 1, gradients.shape[-1]))
    np.add.at(table, np.asarray(ids), gradients)
    return table


@mistake("table_gradient", "a row for each word, not a column")
def transposed(ids, gradients, vocab_size):
    (gradients,) = _floats(gradients)
    table = np.zeros((vocab_size, gradients.shape[-1]))
    np.add.at(table, np.asarray(ids), gradients)
    return table.T.copy()


@mistake("table_gradient", "only the first gradient of a word arrives: add the later ones")
def first_only(ids, gradients, vocab_size):
    (gradients,) = _floats(gradients)
    table = np.zeros((vocab_size, gradients.shape[-1]))
    seen = set()
    for id, gradient in zip(
        np.reshape(ids, -1).tolist(), gradients.reshape(-1, gradients.shape[-1]), strict=True
    ):
        if id not in seen:
            table[id] = gradient
        seen.add(id)
    return table


@mistake("table_gradient", "ids may have several dimensions: only the first row is used")
def first_row_of_ids(ids, gradients, vocab_size):
    (gradients,) = _floats(gradients)
    ids = np.asarray(ids)
    if ids.ndim > 1:
        ids, gradients = ids[0], gradients[0]
    table = np.zeros((vocab_size, gradients.shape[-1]))
    np.add.at(table, ids, gradients)
    return table


# ---------------------------------------------------------------- cooccurrence


def _cooccurrence(sentences, window, vocab_size, share=lambda distance: 1 / distance):
    x = np.zeros((vocab_size, vocab_size))
    for sentence in sentences:
        for i in range(len(sentence)):
            for distance in range(1, min(window, i) + 1):
                x[sentence[i], sentence[i - distance]] += share(distance)
                x[sentence[i - distance], sentence[i]] += share(distance)
    return x


@mistake("cooccurrence", "a neighbour counts 1 / distance, not 1")
def without_distance(sentences, window, vocab_size):
    return _cooccurrence(sentences, window, vocab_size, lambda distance: 1)


@mistake("cooccurrence", "X is symmetric: add to X[j, i] too")
def one_side_only(sentences, window, vocab_size):
    return np.tril(_cooccurrence(sentences, window, vocab_size))


@mistake("cooccurrence", "the word to the left counts too, and X is symmetric")
def later_words_only(sentences, window, vocab_size):
    x = np.zeros((vocab_size, vocab_size))
    for sentence in sentences:
        for i in range(len(sentence)):
            for distance in range(1, min(window, len(sentence) - 1 - i) + 1):
                x[sentence[i], sentence[i + distance]] += 1 / distance
    return x


@mistake("cooccurrence", "a window never reaches into the next sentence")
def window_across_sentences(sentences, window, vocab_size):
    return _cooccurrence([[id for s in sentences for id in s]], window, vocab_size)


@mistake("cooccurrence", "distance = window is still inside: the end of a range is excluded")
def window_too_small(sentences, window, vocab_size):
    return _cooccurrence(sentences, window - 1, vocab_size)


@mistake("cooccurrence", "neighbours have the distance 1, so that they add 1, not 1/2")
def distance_from_zero(sentences, window, vocab_size):
    return _cooccurrence(sentences, window, vocab_size, lambda distance: 1 / (distance + 1))


@mistake("cooccurrence", "every pair was counted twice")
def counted_twice(sentences, window, vocab_size):
    return 2 * _cooccurrence(sentences, window, vocab_size)


@mistake("cooccurrence", "a word that occurs near itself counts too")
def empty_diagonal(sentences, window, vocab_size):
    x = _cooccurrence(sentences, window, vocab_size)
    np.fill_diagonal(x, 0)
    return x


@mistake("cooccurrence", "integer division: 1 // distance is 0")
def integer_division(sentences, window, vocab_size):
    return _cooccurrence(sentences, window, vocab_size, lambda distance: 1 // distance)


@mistake("cooccurrence", "add to X: a pair that occurs again is overwritten")
def overwrites(sentences, window, vocab_size):
    x = np.zeros((vocab_size, vocab_size))
    for sentence in sentences:
        for i in range(len(sentence)):
            for distance in range(1, min(window, i) + 1):
                x[sentence[i], sentence[i - distance]] = 1 / distance
                x[sentence[i - distance], sentence[i]] = 1 / distance
    return x


# ---------------------------------------------------------------- glove_weight


@mistake("glove_weight", "the weight is at most 1")
def without_limit(x, x_max=100.0, alpha=0.75):
    return (np.asarray(x, float) / x_max) ** alpha


@mistake("glove_weight", "the exponent alpha is missing")
def without_exponent(x, x_max=100.0, alpha=0.75):
    return np.minimum(np.asarray(x, float) / x_max, 1)


@mistake("glove_weight", "x is limited, but not divided by x_max")
def limited_but_not_divided(x, x_max=100.0, alpha=0.75):
    return np.minimum(np.asarray(x, float), x_max) ** alpha


@mistake("glove_weight", "the two cases of `where` are exchanged")
def cases_exchanged(x, x_max=100.0, alpha=0.75):
    x = np.asarray(x, float)
    return np.where(x < x_max, 1.0, (x / x_max) ** alpha)


@mistake(
    "glove_weight",
    "the fractions are lost: integer division (//), or an array of integers (np.ones_like(x))",
)
def integer_weights(x, x_max=100.0, alpha=0.75):
    return np.minimum(np.asarray(x) // int(x_max), 1) ** alpha


@mistake("glove_weight", "the power is taken of the whole quotient, not only of x")
def power_of_x_only(x, x_max=100.0, alpha=0.75):
    x = np.asarray(x, float)
    return np.where(x < x_max, x**alpha / x_max, 1)


@mistake("glove_weight", "the arguments x_max and alpha are ignored")
def ignores_arguments(x, x_max=100.0, alpha=0.75):
    return np.minimum(np.asarray(x, float) / 100, 1) ** 0.75


# ---------------------------------------------------------------- glove_gradients


def _glove(w, c, b, b_context, x, x_max=100.0, target=np.log, weighted=True, biases=(1, 1)):
    w, c, b, b_context, x = _floats(w, c, b, b_context, x)
    weight = np.minimum(x / x_max, 1) ** 0.75 if weighted else 1.0
    error = (w * c).sum(axis=1) + biases[0] * b + biases[1] * b_context - target(x)
    shared = weight * error
    return shared[:, None] * c, shared[:, None] * w, shared, shared.copy()


@mistake("glove_gradients", "the 1/2 before the loss takes away the 2 of the square")
def factor_two(w, c, b, b_context, x, x_max=100.0):
    return tuple(2 * gradient for gradient in _glove(w, c, b, b_context, x, x_max))


@mistake("glove_gradients", "the weight f(x) is missing")
def without_weight(w, c, b, b_context, x, x_max=100.0):
    return _glove(w, c, b, b_context, x, x_max, weighted=False)


@mistake("glove_gradients", "log x, not x")
def without_logarithm(w, c, b, b_context, x, x_max=100.0):
    return _glove(w, c, b, b_context, x, x_max, target=lambda x: x)


@mistake("glove_gradients", "the natural logarithm, not log(1 + x)")
def log_of_one_more(w, c, b, b_context, x, x_max=100.0):
    return _glove(w, c, b, b_context, x, x_max, target=np.log1p)


@mistake("glove_gradients", "dw is a multiple of c, and dc of w: they are exchanged")
def vectors_exchanged(w, c, b, b_context, x, x_max=100.0):
    dw, dc, db, db_context = _glove(w, c, b, b_context, x, x_max)
    return dc, dw, db, db_context


@mistake("glove_gradients", "both biases belong to the error")
def without_context_bias(w, c, b, b_context, x, x_max=100.0):
    return _glove(w, c, b, b_context, x, x_max, biases=(1, 0))


@mistake("glove_gradients", "the biases are no part of the error")
def without_biases(w, c, b, b_context, x, x_max=100.0):
    return _glove(w, c, b, b_context, x, x_max, biases=(0, 0))


@mistake("glove_gradients", "the loss is a sum over the pairs, not a mean")
def mean_over_pairs(w, c, b, b_context, x, x_max=100.0):
    return tuple(gradient / len(x) for gradient in _glove(w, c, b, b_context, x, x_max))


@mistake("glove_gradients", "each pair has its own bias: don't sum over the batch")
def sums_the_biases(w, c, b, b_context, x, x_max=100.0):
    dw, dc, db, db_context = _glove(w, c, b, b_context, x, x_max)
    return dw, dc, np.full_like(db, db.sum()), np.full_like(db, db.sum())


@mistake("glove_gradients", "w was changed before dc was taken from it")
def w_updated_too_early(w, c, b, b_context, x, x_max=100.0):
    dw, dc, db, db_context = _glove(w, c, b, b_context, x, x_max)
    return dw, db[:, None] * (np.asarray(w, float) - 0.05 * dw), db, db_context


@mistake(
    "glove_gradients", "the sign: the derivatives of the loss are wanted, not the step downhill"
)
def glove_downhill(w, c, b, b_context, x, x_max=100.0):
    return tuple(-gradient for gradient in _glove(w, c, b, b_context, x, x_max))


# ---------------------------------------------------------------- most_similar


def _nearest(scores, given, n):
    return [int(i) for i in np.argsort(-scores, kind="stable") if int(i) not in given][:n]


def _units(vectors):
    (vectors,) = _floats(vectors)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _sum(rows, positive, negative):
    query = np.zeros(rows.shape[1])
    for i in positive:
        query += rows[i]
    for i in negative:
        query -= rows[i]
    return query


@mistake("most_similar", "the given words themselves don't take part")
def with_the_given_words(vectors, positive, negative, n):
    unit = _units(vectors)
    return _nearest(unit @ _sum(unit, positive, negative), (), n)


@mistake("most_similar", "the words of negative don't take part either")
def with_the_negative_words(vectors, positive, negative, n):
    unit = _units(vectors)
    return _nearest(unit @ _sum(unit, positive, negative), positive, n)


@mistake("most_similar", "a long vector isn't nearer: divide by the lengths")
def dot_products(vectors, positive, negative, n):
    (vectors,) = _floats(vectors)
    return _nearest(vectors @ _sum(_units(vectors), positive, negative), {*positive, *negative}, n)


@mistake("most_similar", "the query is a sum of unit vectors")
def query_of_raw_vectors(vectors, positive, negative, n):
    (vectors,) = _floats(vectors)
    query = _sum(vectors, positive, negative)
    return _nearest(_units(vectors) @ query, {*positive, *negative}, n)


@mistake("most_similar", "the smallest angle, not the smallest distance")
def euclidean_distance(vectors, positive, negative, n):
    (vectors,) = _floats(vectors)
    query = _sum(_units(vectors), positive, negative)
    distance = np.linalg.norm(vectors - query, axis=1)
    return _nearest(-distance, {*positive, *negative}, n)


@mistake("most_similar", "the highest score first, not the lowest")
def lowest_first(vectors, positive, negative, n):
    unit = _units(vectors)
    return _nearest(-(unit @ _sum(unit, positive, negative)), {*positive, *negative}, n)


@mistake("most_similar", "argsort ascends: the last n are the right ones, in the reverse order")
def ascending(vectors, positive, negative, n):
    unit = _units(vectors)
    return _nearest(unit @ _sum(unit, positive, negative), {*positive, *negative}, n)[::-1]


@mistake("most_similar", "the words of negative are subtracted")
def adds_the_negative_words(vectors, positive, negative, n):
    unit = _units(vectors)
    return _nearest(unit @ _sum(unit, [*positive, *negative], []), {*positive, *negative}, n)


@mistake("most_similar", "fewer than n: leave out the given words before you take the first n")
def too_few(vectors, positive, negative, n):
    unit = _units(vectors)
    nearest = _nearest(unit @ _sum(unit, positive, negative), (), n)
    return [i for i in nearest if i not in {*positive, *negative}]


@mistake("most_similar", "all given words make the query, not only the first of positive")
def first_positive_only(vectors, positive, negative, n):
    unit = _units(vectors)
    return _nearest(unit @ unit[positive[0]], {*positive, *negative}, n)

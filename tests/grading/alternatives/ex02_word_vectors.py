"""Right answers to lesson 02's exercises in another style: the graders must accept them."""

import bisect
import math
from itertools import accumulate

import numpy as np

from grading.alternatives import alternative


@alternative("context_pairs")
def with_slices(sentences, window):
    pairs = []
    for sentence in sentences:
        for i, centre in enumerate(sentence):
            left = sentence[max(0, i - window) : i]
            right = sentence[i + 1 : i + 1 + window]
            pairs += [[centre, context] for context in [*left, *right]]
    return pairs


@alternative("context_pairs")
def as_an_array(sentences, window):
    pairs = [
        (s[i], s[j])
        for s in sentences
        for i in range(len(s))
        for j in range(len(s))
        if 0 < abs(i - j) <= window
    ]
    return np.array(pairs)


@alternative("keep_probability")
def formula_of_the_program(counts, sample=1e-3):
    """As it is written in C: (sqrt(count / (sample * total)) + 1) * (sample * total) / count."""
    total = sum(int(count) for count in counts)
    limit = sample * total
    return [min(1.0, (math.sqrt(n / limit) + 1) * limit / n) for n in counts]


@alternative("keep_probability")
def single_precision(counts, sample=1e-3):
    f = np.asarray(counts, np.float32) / np.float32(np.sum(counts))
    p = np.sqrt(np.float32(sample) / f) + np.float32(sample) / f
    p[p > 1] = 1
    return p


@alternative("draw_negatives")
def search_in_cumulative_sums(counts, n, rng):
    cumulative = np.cumsum(np.asarray(counts, np.float64) ** 0.75)
    return np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")


@alternative("draw_negatives")
def one_after_the_other(counts, n, rng):
    cumulative = list(accumulate(float(count) ** 0.75 for count in counts))
    return [bisect.bisect_right(cumulative, rng.uniform(0, cumulative[-1])) for _ in range(n)]


@alternative("draw_negatives")
def from_a_large_table(counts, n, rng):
    """Mikolov's way: a table that holds each word as often as its probability says."""
    weights = np.asarray(counts, float) ** 0.75
    size = 1_000_000
    table = np.repeat(np.arange(len(weights)), np.round(size * weights / weights.sum()).astype(int))
    return table[rng.integers(0, len(table), n)]


@alternative("skip_gram")
def term_by_term(v, u, negatives):
    """As the formula says, the true pair and the negatives apart."""

    def log_sigmoid(x):
        return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))

    score, negative_scores = u @ v, negatives @ v  # (), (K,)
    loss = -log_sigmoid(score) - log_sigmoid(-negative_scores).sum()
    d_score = np.exp(log_sigmoid(score)) - 1
    d_negatives = np.exp(log_sigmoid(negative_scores))
    dv = d_score * u + d_negatives @ negatives
    return loss, dv, d_score * v, np.outer(d_negatives, v)


@alternative("skip_gram")
def with_labels(v, u, negatives):
    """All output vectors in one matrix, with the label 1 for the first and 0 for the others."""
    outputs = np.vstack([u, negatives]).astype(float)
    labels = np.zeros(len(outputs))
    labels[0] = 1
    v = np.array(v, dtype=float)
    scores = outputs @ v
    loss = np.sum(np.logaddexp(0, np.where(labels == 1, -scores, scores)))
    difference = np.exp(-np.logaddexp(0, -scores)) - labels
    doutputs = difference.reshape(-1, 1) * v.reshape(1, -1)
    return loss, outputs.T @ difference, doutputs[0], doutputs[1:]


@alternative("skip_gram")
def with_loops(v, u, negatives):
    def softplus(x):
        return max(x, 0.0) + math.log1p(math.exp(-abs(x)))

    loss, dv, doutputs = 0.0, [0.0] * len(v), []
    for k, output in enumerate([u, *negatives]):
        score = sum(float(a) * float(b) for a, b in zip(v, output, strict=True))
        loss += softplus(score) - (score if k == 0 else 0)
        error = (1 / (1 + math.exp(-score)) if score > -700 else 0.0) - (k == 0)
        for i in range(len(v)):
            dv[i] += error * output[i]
        doutputs.append([error * float(x) for x in v])
    return loss, dv, doutputs[0], doutputs[1:]


@alternative("cbow_gradients")
def with_labels_too(contexts, u, negatives):
    size = len(contexts)
    h = np.sum(contexts, axis=0) / size
    outputs = np.concatenate([np.reshape(u, (1, -1)), negatives], axis=0)
    error = 1 / (1 + np.exp(-(outputs @ h)))
    error[0] -= 1
    dh = error @ outputs
    doutputs = error[:, None] * h[None, :]
    return np.ones((size, 1)) * dh / size, doutputs[0], doutputs[1:]


@alternative("table_gradient")
def one_hot_product(ids, gradients, vocab_size):
    ids = np.ravel(ids)
    gradients = np.reshape(gradients, (len(ids), -1))
    one_hot = ids[:, None] == np.arange(vocab_size)
    return one_hot.T.astype(np.float64) @ gradients


@alternative("table_gradient")
def row_by_row(ids, gradients, vocab_size):
    ids, gradients = np.asarray(ids), np.asarray(gradients)
    table = np.zeros((vocab_size, gradients.shape[-1]))
    for place in np.ndindex(ids.shape):
        table[ids[place]] += gradients[place]
    return table


@alternative("cooccurrence")
def every_pair_of_positions(sentences, window, vocab_size):
    x = [[0.0] * vocab_size for _ in range(vocab_size)]
    for sentence in sentences:
        for i in range(len(sentence)):
            for j in range(len(sentence)):
                if 1 <= abs(i - j) <= window:
                    x[sentence[i]][sentence[j]] += 1 / abs(i - j)
    return x


@alternative("cooccurrence")
def one_distance_at_a_time(sentences, window, vocab_size):
    x = np.zeros((vocab_size, vocab_size))
    for distance in range(1, window + 1):
        for sentence in sentences:
            np.add.at(x, (sentence[:-distance], sentence[distance:]), 1 / distance)
    return x + x.T


@alternative("glove_weight")
def with_where(x, x_max=100.0, alpha=0.75):
    return np.where(np.asarray(x) < x_max, np.power(np.divide(x, x_max), alpha), 1)


@alternative("glove_weight")
def with_a_mask(x, x_max=100.0, alpha=0.75):
    weight = np.ones(np.shape(x))
    small = np.less(x, x_max)
    weight[small] = np.exp(alpha * np.log(np.maximum(np.asarray(x, float)[small], 1e-300) / x_max))
    return weight


@alternative("glove_gradients")
def one_pair_at_a_time(w, c, b, b_context, x, x_max=100.0):
    dw, dc, db = np.zeros(np.shape(w)), np.zeros(np.shape(c)), []
    for p in range(len(x)):
        weight = (x[p] / x_max) ** 0.75 if x[p] < x_max else 1.0
        error = weight * (float(np.dot(w[p], c[p])) + b[p] + b_context[p] - math.log(x[p]))
        dw[p] = error * np.asarray(c[p])
        dc[p] = error * np.asarray(w[p])
        db.append(error)
    return dw, dc, np.array(db), db


@alternative("glove_gradients")
def in_single_precision(w, c, b, b_context, x, x_max=100.0):
    w, c, b, b_context, x = (np.asarray(a, np.float32) for a in (w, c, b, b_context, x))
    weight = np.ones_like(x)
    weight[x < x_max] = (x[x < x_max] / np.float32(x_max)) ** np.float32(0.75)
    shared = weight * (np.einsum("pd,pd->p", w, c) + b + b_context - np.log(x))
    return [shared[:, None] * c, shared[:, None] * w, shared, shared.copy()]


@alternative("most_similar")
def with_nan_for_the_given(vectors, positive, negative, n):
    lengths = np.sqrt((vectors**2).sum(axis=1))
    query = sum(vectors[i] / lengths[i] for i in positive)
    for i in negative:
        query = query - vectors[i] / lengths[i]
    cosine = vectors @ query / (lengths * np.linalg.norm(query))
    cosine[[*positive, *negative]] = np.nan  # which argsort puts last
    return np.argsort(-cosine)[:n]


@alternative("most_similar")
def with_a_sorted_list(vectors, positive, negative, n):
    vectors = [np.asarray(vector, float) / math.sqrt(np.dot(vector, vector)) for vector in vectors]
    query = 0
    for i in range(len(vectors)):
        query = query + (positive.count(i) - negative.count(i)) * vectors[i]
    words = [i for i in range(len(vectors)) if i not in positive and i not in negative]
    words.sort(key=lambda i: float(vectors[i] @ query), reverse=True)
    return np.array(words[:n])

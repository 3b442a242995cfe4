"""Solutions to the exercises of lesson 02.  Where minillm has the function, it is minillm's own."""

import numpy as np

from minillm.data import word_pairs
from minillm.data.cooccurrence import count_cooccurrences
from minillm.models import glove
from minillm.models.glove_tiles import Entries
from minillm.models.keyed_vectors import KeyedVectors
from minillm.models.negative_sampling import cbow_word, skip_gram_pair


def context_pairs(sentences, window):
    # minillm's skip_gram_pairs draws the size of each window anew.
    pairs = []
    for sentence in sentences:
        for i, centre in enumerate(sentence):
            for j in range(max(0, i - window), min(len(sentence), i + window + 1)):
                if j != i:
                    pairs.append((centre, sentence[j]))
    return pairs


def keep_probability(counts, sample=1e-3):
    return word_pairs.keep_probability(counts, sample)


def draw_negatives(counts, n, rng):
    return word_pairs.NegativeSampler(counts, power=0.75).sample(n, rng)


def skip_gram(v, u, negatives):
    outputs = np.concatenate([[u], negatives]).astype(float)  # (1 + K, d)
    loss, dv, doutputs = skip_gram_pair(np.asarray(v, float), outputs)
    return float(loss), dv, doutputs[0], doutputs[1:]


def cbow_gradients(contexts, u, negatives):
    outputs = np.concatenate([[u], negatives]).astype(float)
    _, dcontexts, doutputs = cbow_word(np.asarray(contexts, float), outputs)
    return dcontexts, doutputs[0], doutputs[1:]


def table_gradient(ids, gradients, vocab_size):
    table = np.zeros((vocab_size, np.shape(gradients)[-1]))
    np.add.at(table, np.asarray(ids), gradients)
    return table


def cooccurrence(sentences, window, vocab_size):
    ids = np.concatenate([np.array(sentence, np.int64) for sentence in sentences])
    offsets = np.cumsum([0, *(len(sentence) for sentence in sentences)])
    return count_cooccurrences(ids, offsets, vocab_size, window).to_dense().astype(float)


def glove_weight(x, x_max=100.0, alpha=0.75):
    return glove.glove_weight(np.asarray(x, float), x_max, alpha)


def glove_gradients(w, c, b, b_context, x, x_max=100.0):
    # Of the tile of all products w_i . c_j the pairs (w_p, c_p) are the diagonal.
    w, c, b, b_context, x = (np.asarray(array, float) for array in (w, c, b, b_context, x))
    p = np.arange(len(x))
    diagonal = Entries(p, p, np.log(x), glove.glove_weight(x, x_max))
    _, dw, db, dc, db_context = glove.tile_gradients(w, b, c, b_context, diagonal)
    return dw, dc, db, db_context


def most_similar(vectors, positive, negative, n):
    words = KeyedVectors([str(id) for id in range(len(vectors))], vectors)
    nearest = words.most_similar([str(id) for id in positive], [str(id) for id in negative], n)
    return [int(word) for word, _ in nearest]

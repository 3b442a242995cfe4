"""Right answers to lesson 05's exercises in another style: loops, lists, another order of draws."""

import math

import numpy as np

from grading.alternatives import alternative

PAD, UNK, CLS, SEP, MASK = range(5)
IGNORED = -100


@alternative("choose_masked")
def shuffled_places(ids, probability, rng):
    chosen = [[False] * len(row) for row in ids]
    for b, row in enumerate(ids):
        places = [i for i, token in enumerate(row) if token > MASK]
        rng.shuffle(places)
        for i in places[: max(1, round(probability * len(places)))]:
            chosen[b][i] = True
    return chosen


@alternative("choose_masked")
def smallest_numbers(ids, probability, rng):
    draw = np.where(ids > MASK, rng.random(ids.shape), 2.0)
    wanted = np.maximum(1, np.rint(probability * (ids > MASK).sum(axis=1))).astype(int)
    return (draw.argsort(axis=1).argsort(axis=1) < wanted[:, None]).astype(int)


@alternative("mask_tokens")
def token_by_token(ids, chosen, vocab_size, rng):
    input_ids, labels = ids.tolist(), []
    for row, of_row in zip(input_ids, chosen, strict=True):
        labels.append([])
        for i, is_chosen in enumerate(of_row):
            labels[-1].append(row[i] if is_chosen else IGNORED)
            if is_chosen:
                fate = rng.choice(["mask", "random", "stay"], p=[0.8, 0.1, 0.1])
                if fate == "mask":
                    row[i] = MASK
                elif fate == "random":
                    row[i] = int(rng.integers(5, vocab_size))
    return input_ids, labels


@alternative("mask_tokens")
def two_dice(ids, chosen, vocab_size, rng):
    out, labels = ids.copy(), np.full_like(ids, IGNORED)
    labels[chosen] = ids[chosen]
    changed = chosen & (rng.random(ids.shape) < 0.9)
    random = changed & (rng.random(ids.shape) < 1 / 9)
    out[changed] = MASK
    out[random] = rng.integers(5, vocab_size, random.sum())
    return out, labels


@alternative("sentence_pairs")
def document_first(documents, rng):
    pairs = []
    for d in range(len(documents)):
        for i in range(1, len(documents[d])):
            label = int(rng.integers(2))
            b = documents[d][i]
            if label:
                other = int(rng.integers(len(documents) - 1))
                other += other >= d
                b = str(rng.choice(documents[other]))
            pairs.append([documents[d][i - 1], b, label])
    return pairs


@alternative("sentence_pairs")
def draw_until_it_fits(documents, rng):
    flat = [(d, s) for d, document in enumerate(documents) for s in document]
    pairs = []
    for (d, a), (e, following) in zip(flat, flat[1:], strict=False):
        if d != e:
            continue
        if rng.random() > 0.5:
            pairs.append((a, following, 0))
            continue
        other, b = d, None
        while other == d:
            other, b = flat[rng.integers(len(flat))]
        pairs.append((a, b, 1))
    return pairs


@alternative("pack_pair")
def in_arrays(a, b, max_length):
    room = max_length - 3
    n_a = min(len(a), max(room - len(b), (room + 1) // 2))
    n_b = min(len(b), room - n_a)
    ids = np.zeros(max_length, int)
    ids[0], ids[1 : n_a + 1], ids[n_a + 1] = CLS, a[:n_a], SEP
    ids[n_a + 2 : n_a + 2 + n_b], ids[n_a + n_b + 2] = b[:n_b], SEP
    place = np.arange(max_length)
    mask = place < n_a + n_b + 3
    return ids, (mask & (place > n_a + 1)).astype(int), mask.astype(int)


@alternative("bert_embeddings")
def with_loops(input_ids, token_type_ids, word, position, token_type):
    x = np.zeros((*input_ids.shape, word.shape[1]), np.float32)
    for b, row in enumerate(input_ids):
        for i, token in enumerate(row):
            x[b, i] = token_type[token_type_ids[b, i]] + position[i] + word[token]
    return x


@alternative("mlm_loss")
def place_by_place(logits, labels):
    losses = []
    for row, of_row in zip(logits.tolist(), labels.tolist(), strict=True):
        for z, label in zip(row, of_row, strict=True):
            if label != IGNORED:
                top = max(z)
                losses.append(top + math.log(sum(math.exp(s - top) for s in z)) - z[label])
    return sum(losses) / len(losses)


@alternative("mlm_loss")
def flattened(logits, labels):
    z, y = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    z, y = z[y >= 0], y[y >= 0]
    return -(z[np.arange(len(y)), y] - np.logaddexp.reduce(z, axis=1)).mean(dtype=np.float32)


@alternative("nsp_loss")
def by_the_difference(logits, labels):
    """-log sigmoid of how much the true class leads."""
    lead = (logits[:, 1] - logits[:, 0]) * np.where(labels == 1, 1, -1)
    return np.logaddexp(0, -lead).mean()


@alternative("tied_gradient")
def one_hot_below(ids, dembedded, hidden, dlogits):
    one_hot = np.eye(dlogits.shape[1])[ids]
    return one_hot.T @ dembedded + np.einsum("mv,mh->vh", dlogits, hidden)


@alternative("tied_gradient")
def row_by_row(ids, dembedded, hidden, dlogits):
    dE = [[0.0] * hidden.shape[1] for _ in range(dlogits.shape[1])]
    for h, dz in zip(hidden, dlogits, strict=True):
        for v, d in enumerate(dz):
            dE[v] = [old + d * x for old, x in zip(dE[v], h, strict=True)]
    for v, d in zip(ids, dembedded, strict=True):
        dE[v] = [old + x for old, x in zip(dE[v], d, strict=True)]
    return dE


@alternative("tied_step")
def gradients_first(parameters, gradients, tied, learning_rate):
    gradients = dict(gradients)
    total = np.sum([gradients[name] for name in tied], axis=0)
    gradients.update(dict.fromkeys(tied, total))
    return {
        name: (parameters[name] - learning_rate * gradients[name]).tolist() for name in gradients
    }

"""Mistakes that students make in lesson 05's exercises, each with the words that must name it."""

import numpy as np

from grading.mistakes import mistake

PAD, UNK, CLS, SEP, MASK = range(5)
IGNORED = -100


# choose_masked


def _choose(ids, probability, rng, maskable, least=1, rounding=round, among=None):
    chosen = np.zeros(ids.shape, bool)
    for b in range(len(ids)):
        places = np.flatnonzero(maskable[b])
        n = max(least, rounding(probability * (len(places) if among is None else among)))
        chosen[b, rng.choice(places, min(n, len(places)), replace=False)] = True
    return chosen


@mistake("choose_masked", "a coin for each token")
def independent_coins(ids, probability, rng):
    return (rng.random(ids.shape) < probability) & (ids > MASK)


@mistake("choose_masked", "special tokens are never chosen")
def special_tokens_too(ids, probability, rng):
    return _choose(ids, probability, rng, np.ones(ids.shape, bool))


@mistake("choose_masked", "padding is a special token too")
def padding_too(ids, probability, rng):
    return _choose(ids, probability, rng, (ids > MASK) | (ids == PAD))


@mistake("choose_masked", "counts the special tokens")
def share_of_the_whole_row(ids, probability, rng):
    return _choose(ids, probability, rng, ids > MASK, among=ids.shape[1])


@mistake("choose_masked", "at least one")
def none_in_short_rows(ids, probability, rng):
    return _choose(ids, probability, rng, ids > MASK, least=0)


@mistake("choose_masked", "round, don't cut off")
def cut_off(ids, probability, rng):
    return _choose(ids, probability, rng, ids > MASK, rounding=int)


@mistake("choose_masked", "a token is drawn twice")
def with_replacement(ids, probability, rng):
    chosen = np.zeros(ids.shape, bool)
    for b, row in enumerate(ids):
        places = np.flatnonzero(row > MASK)
        n = max(1, round(probability * len(places)))
        chosen[b, rng.choice(places, n)] = True
    return chosen


@mistake("choose_masked", "always the first")
def always_the_first(ids, probability, rng):
    chosen = np.zeros(ids.shape, bool)
    for b, row in enumerate(ids):
        places = np.flatnonzero(row > MASK)
        chosen[b, places[: max(1, round(probability * len(places)))]] = True
    return chosen


@mistake("choose_masked", "from `rng`")
def a_generator_of_its_own(ids, probability, rng):
    return _choose(ids, probability, np.random.default_rng(0), ids > MASK)


# mask_tokens


def _mask(ids, chosen, vocab_size, rng, parts=(0.8, 0.1, 0.1), first=5, fate=None):
    masked, random, _ = parts
    fate = rng.random(ids.shape) if fate is None else fate
    tokens = rng.integers(first, vocab_size, ids.shape)
    out = np.where(chosen & (fate < masked), MASK, ids)
    out = np.where(chosen & (fate >= masked) & (fate < masked + random), tokens, out)
    return out, np.where(chosen, ids, IGNORED)


@mistake("mask_tokens", "80/10/10 in another order")
def ten_ten_eighty(ids, chosen, vocab_size, rng):
    return _mask(ids, chosen, vocab_size, rng, parts=(0.1, 0.1, 0.8))


@mistake("mask_tokens", "80/10/10 in another order")
def ten_eighty_ten(ids, chosen, vocab_size, rng):
    return _mask(ids, chosen, vocab_size, rng, parts=(0.1, 0.8, 0.1))


@mistake("mask_tokens", "a second die")
def a_second_die(ids, chosen, vocab_size, rng):
    out, labels = _mask(ids, chosen, vocab_size, rng, parts=(0.8, 0, 0.2))
    tokens = rng.integers(5, vocab_size, ids.shape)
    random = chosen & (out != MASK) & (rng.random(ids.shape) < 0.1)
    return np.where(random, tokens, out), labels


@mistake("mask_tokens", "all chosen tokens became [MASK]")
def only_masks(ids, chosen, vocab_size, rng):
    return _mask(ids, chosen, vocab_size, rng, parts=(1, 0, 0))


@mistake("mask_tokens", "labels after")
def labels_of_the_hidden_text(ids, chosen, vocab_size, rng):
    out, _ = _mask(ids, chosen, vocab_size, rng)
    return out, np.where(chosen, out, IGNORED)


@mistake("mask_tokens", "-100 elsewhere")
def labels_everywhere(ids, chosen, vocab_size, rng):
    return _mask(ids, chosen, vocab_size, rng)[0], ids.copy()


@mistake("mask_tokens", "-100 elsewhere")
def label_zero_elsewhere(ids, chosen, vocab_size, rng):
    return _mask(ids, chosen, vocab_size, rng)[0], np.where(chosen, ids, 0)


@mistake("mask_tokens", "only chosen tokens")
def masks_everywhere(ids, chosen, vocab_size, rng):
    out, _ = _mask(ids, ids > MASK, vocab_size, rng)
    return out, np.where(chosen, ids, IGNORED)


@mistake("mask_tokens", "a position where an id was due")
def a_position_for_an_id(ids, chosen, vocab_size, rng):
    out, labels = _mask(ids, chosen, vocab_size, rng, parts=(0.8, 0, 0.2))
    random = chosen & (out != MASK) & (rng.random(ids.shape) < 0.5)
    return np.where(random, rng.integers(0, ids.shape[1], ids.shape), out), labels


@mistake("mask_tokens", "special token as the random one")
def special_random_tokens(ids, chosen, vocab_size, rng):
    return _mask(ids, chosen, vocab_size, rng, first=0)


@mistake("mask_tokens", "the last id is never drawn")
def without_the_last_id(ids, chosen, vocab_size, rng):
    return _mask(ids, chosen, vocab_size - 1, rng)


@mistake("mask_tokens", "from `rng`")
def masks_of_another_generator(ids, chosen, vocab_size, rng):
    return _mask(ids, chosen, vocab_size, np.random.default_rng(11))


@mistake("mask_tokens", "one random token for all")
def one_random_token(ids, chosen, vocab_size, rng):
    out, labels = _mask(ids, chosen, vocab_size, rng, parts=(0.8, 0, 0.2))
    random = chosen & (out != MASK) & (rng.random(ids.shape) < 0.5)
    return np.where(random, rng.integers(5, vocab_size), out), labels


@mistake("mask_tokens", "one die for all")
def one_die_for_all(ids, chosen, vocab_size, rng):
    return _mask(ids, chosen, vocab_size, rng, fate=np.full(ids.shape, rng.random()))


@mistake("mask_tokens", "one die for all")
def one_die_a_row(ids, chosen, vocab_size, rng):
    fate = np.broadcast_to(rng.random((len(ids), 1)), ids.shape)
    return _mask(ids, chosen, vocab_size, rng, fate=fate)


@mistake("mask_tokens", "in place")
def in_place(ids, chosen, vocab_size, rng):
    out, labels = _mask(ids, chosen, vocab_size, rng)
    ids[:] = out
    return ids, labels


# sentence_pairs


def _pairs(documents, rng, negative, is_next=0, probability=0.5):
    pairs = []
    for d, document in enumerate(documents):
        for i in range(len(document) - 1):
            if rng.random() < probability:
                pairs.append((document[i], document[i + 1], is_next))
            else:
                pairs.append((document[i], negative(d, i), 1 - is_next))
    return pairs


def _draw(sentences, rng):
    return sentences[rng.integers(len(sentences))]


def _others(documents, d):
    return [s for e, document in enumerate(documents) if e != d for s in document]


@mistake("sentence_pairs", "negatives from the same document")
def negatives_from_the_same_document(documents, rng):
    return _pairs(documents, rng, lambda d, i: _draw(documents[d], rng))


@mistake("sentence_pairs", "negatives from the same document")
def negatives_from_anywhere(documents, rng):
    everything = [s for document in documents for s in document]
    return _pairs(documents, rng, lambda d, i: _draw(everything, rng))


@mistake("sentence_pairs", "0 and 1 are swapped")
def labels_swapped(documents, rng):
    return _pairs(documents, rng, lambda d, i: _draw(_others(documents, d), rng), is_next=1)


@mistake("sentence_pairs", "across the border of two documents")
def across_documents(documents, rng):
    flat = [(d, s) for d, document in enumerate(documents) for s in document]
    pairs = []
    for (d, a), (_, following) in zip(flat, flat[1:], strict=False):
        if rng.random() < 0.5:
            pairs.append((a, following, 0))
        else:
            pairs.append((a, _draw(_others(documents, d), rng), 1))
    return pairs


@mistake("sentence_pairs", "the last pair of each document")
def last_pair_left_out(documents, rng):
    return [
        pair
        for d, document in enumerate(documents)
        for i in range(len(document) - 2)
        for pair in [
            (document[i], document[i + 1], 0)
            if rng.random() < 0.5
            else (document[i], _draw(_others(documents, d), rng), 1)
        ]
    ]


@mistake("sentence_pairs", "only true pairs")
def only_true_pairs(documents, rng):
    return _pairs(documents, rng, None, probability=1)


@mistake("sentence_pairs", "a coin for each pair")
def true_and_random_in_turn(documents, rng):
    pairs = _pairs(documents, rng, None, probability=1)
    document_of = [d for d, document in enumerate(documents) for _ in document[1:]]
    for k in range(1, len(pairs), 2):
        pairs[k] = (pairs[k][0], _draw(_others(documents, document_of[k]), rng), 1)
    return pairs


@mistake("sentence_pairs", "half of the pairs")
def fifteen_percent(documents, rng):
    return _pairs(documents, rng, lambda d, i: _draw(_others(documents, d), rng), probability=0.85)


@mistake("sentence_pairs", "every other document")
def always_the_next_document(documents, rng):
    n = len(documents)
    return _pairs(documents, rng, lambda d, i: _draw(documents[(d + 1) % n], rng))


@mistake("sentence_pairs", "every sentence")
def always_a_first_sentence(documents, rng):
    first = [document[0] for document in documents]
    return _pairs(documents, rng, lambda d, i: _draw(first[:d] + first[d + 1 :], rng))


@mistake("sentence_pairs", "a and b are swapped")
def a_and_b_swapped(documents, rng):
    pairs = _pairs(documents, rng, lambda d, i: _draw(_others(documents, d), rng))
    return [(b, a, label) for a, b, label in pairs]


@mistake("sentence_pairs", "a coin for each pair")
def one_coin_for_all(documents, rng):
    same = float(rng.random() < 0.5)
    return _pairs(documents, rng, lambda d, i: _draw(_others(documents, d), rng), probability=same)


@mistake("sentence_pairs", "from `rng`")
def pairs_from_another_generator(documents, rng):
    rng = np.random.default_rng(7)
    return _pairs(documents, rng, lambda d, i: _draw(_others(documents, d), rng))


# pack_pair


def _shorten(a, b, room):
    a, b = list(a), list(b)
    while len(a) + len(b) > room:
        (a if len(a) > len(b) else b).pop()
    return a, b


def _pack(a, b, max_length, types=(0, 0, 1, 1, 0), last_sep=True):
    ids = [CLS, *a, SEP, *b, SEP][: None if last_sep else -1]
    of_a, of_sep, of_b, of_last, of_padding = types
    kinds = [of_a] * (len(a) + 1) + [of_sep] + [of_b] * len(b) + [of_last] * last_sep
    n = max_length - len(ids)
    return ids + [PAD] * n, kinds + [of_padding] * n, [1] * len(ids) + [0] * n


@mistake("pack_pair", "the first [SEP] belongs to A")
def sep_with_b(a, b, max_length):
    return _pack(*_shorten(a, b, max_length - 3), max_length, types=(0, 1, 1, 1, 0))


@mistake("pack_pair", "padding has the segment 0")
def padding_in_segment_one(a, b, max_length):
    return _pack(*_shorten(a, b, max_length - 3), max_length, types=(0, 0, 1, 1, 1))


@mistake("pack_pair", "segments 0 and 1, not 1 and 2")
def segments_from_one(a, b, max_length):
    return _pack(*_shorten(a, b, max_length - 3), max_length, types=(1, 1, 2, 2, 0))


@mistake("pack_pair", "the second [SEP] is missing")
def without_last_sep(a, b, max_length):
    return _pack(*_shorten(a, b, max_length - 2), max_length, types=(0, 0, 1, 0, 0), last_sep=False)


@mistake("pack_pair", "segment ids passed as mask")
def segments_for_mask(a, b, max_length):
    ids, types, mask = _pack(*_shorten(a, b, max_length - 3), max_length)
    return ids, mask, types


@mistake("pack_pair", "the mask counts padding")
def mask_of_ones(a, b, max_length):
    ids, types, _ = _pack(*_shorten(a, b, max_length - 3), max_length)
    return ids, types, [1] * max_length


@mistake("pack_pair", "the mask is inverted: 1 for a token, 0 for padding")
def mask_inverted(a, b, max_length):
    ids, types, mask = _pack(*_shorten(a, b, max_length - 3), max_length)
    return ids, types, [1 - m for m in mask]


@mistake("pack_pair", "the mask is 1 for [CLS] and [SEP], they are tokens too")
def mask_without_special_tokens(a, b, max_length):
    ids, types, _ = _pack(*_shorten(a, b, max_length - 3), max_length)
    return ids, types, [int(i > MASK) for i in ids]


@mistake("pack_pair", "shorten before adding the special tokens")
def cut_at_the_end(a, b, max_length):
    n = len(a) + len(b) + 3
    ids, types, mask = _pack(list(a), list(b), max(n, max_length))
    return ids[:max_length], types[:max_length], mask[:max_length]


@mistake("pack_pair", "always B that is shortened: it must be the longer one")
def only_b_is_cut(a, b, max_length):
    room = max_length - 3
    b = list(b)
    while len(a) + len(b) > room and b:
        b.pop()
    return _pack(_shorten(a, b, room)[0], b, max_length)


@mistake("pack_pair", "if they are equally long, B loses its last token")
def a_loses_if_equal(a, b, max_length):
    a, b = list(a), list(b)
    while len(a) + len(b) > max_length - 3:
        (a if len(a) >= len(b) else b).pop()
    return _pack(a, b, max_length)


@mistake("pack_pair", "a segment loses its last token, not its first")
def first_tokens_lost(a, b, max_length):
    a, b = list(a), list(b)
    while len(a) + len(b) > max_length - 3:
        (a if len(a) > len(b) else b).pop(0)
    return _pack(a, b, max_length)


@mistake("pack_pair", "without padding: all have the length max_length")
def not_padded(a, b, max_length):
    a, b = _shorten(a, b, max_length - 3)
    return _pack(a, b, len(a) + len(b) + 3)


@mistake("pack_pair", "in place")
def shortens_in_place(a, b, max_length):
    while len(a) + len(b) > max_length - 3:
        (a if len(a) > len(b) else b).pop()
    return _pack(a, b, max_length)


# bert_embeddings


@mistake("bert_embeddings", "the position vector is looked up by the token's id")
def position_by_id(input_ids, token_type_ids, word, position, token_type):
    rows = position[input_ids % len(position)]
    return word[input_ids] + rows + token_type[token_type_ids]


@mistake("bert_embeddings", "positions count from 0")
def positions_from_one(input_ids, token_type_ids, word, position, token_type):
    places = np.arange(1, input_ids.shape[1] + 1) % len(position)
    return word[input_ids] + position[places] + token_type[token_type_ids]


@mistake("bert_embeddings", "the row of the batch taken for the position")
def position_of_the_row(input_ids, token_type_ids, word, position, token_type):
    rows = position[np.arange(len(input_ids)) % len(position)][:, None]
    return word[input_ids] + rows + token_type[token_type_ids]


@mistake("bert_embeddings", "no segment vector")
def without_segments(input_ids, token_type_ids, word, position, token_type):
    return word[input_ids] + position[: input_ids.shape[1]]


@mistake("bert_embeddings", "no position vector")
def without_positions(input_ids, token_type_ids, word, position, token_type):
    return word[input_ids] + token_type[token_type_ids]


@mistake("bert_embeddings", "one after the other instead of added")
def side_by_side(input_ids, token_type_ids, word, position, token_type):
    places = np.broadcast_to(position[: input_ids.shape[1]], word[input_ids].shape)
    return np.concatenate([word[input_ids], places, token_type[token_type_ids]], axis=-1)


@mistake("bert_embeddings", "the mean of the three")
def averaged(input_ids, token_type_ids, word, position, token_type):
    x = word[input_ids] + position[: input_ids.shape[1]] + token_type[token_type_ids]
    return x / 3


# mlm_loss


def _log_softmax(z, axis=-1):
    z = z - z.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


def _pick(log_p, labels):
    return np.take_along_axis(log_p, np.maximum(labels, 0)[..., None], axis=-1)[..., 0]


@mistake("mlm_loss", "divided by all places")
def mean_over_all_places(logits, labels):
    losses = -_pick(_log_softmax(logits), labels) * (labels != IGNORED)
    return float(losses.mean())


@mistake("mlm_loss", "the sum instead of the mean")
def summed(logits, labels):
    return float((-_pick(_log_softmax(logits), labels) * (labels != IGNORED)).sum())


@mistake("mlm_loss", "-100 taken as a label")
def minus_hundred_counted(logits, labels):
    return float(-_pick(_log_softmax(logits), labels).mean())


@mistake("mlm_loss", "label 0 is a token like any other")
def token_zero_ignored(logits, labels):
    asked = labels > 0
    losses = -_pick(_log_softmax(logits), labels) * asked
    return float(losses.sum() / max(asked.sum(), 1))


@mistake("mlm_loss", "mean of the rows' means")
def mean_of_means(logits, labels):
    losses, asked = -_pick(_log_softmax(logits), labels), labels != IGNORED
    filled = asked.any(axis=1)
    return float(((losses * asked).sum(1)[filled] / asked.sum(1)[filled]).mean())


@mistake("mlm_loss", "divided by the number of rows")
def divided_by_rows(logits, labels):
    losses = -_pick(_log_softmax(logits), labels) * (labels != IGNORED)
    return float(losses.sum() / len(labels))


@mistake("mlm_loss", "the softmax goes over the vocabulary, the last axis")
def softmax_over_places(logits, labels):
    asked = labels != IGNORED
    return float(-_pick(_log_softmax(logits, axis=1), labels)[asked].mean())


@mistake("mlm_loss", "the sign: it is minus log p")
def without_minus(logits, labels):
    return float(_pick(_log_softmax(logits), labels)[labels != IGNORED].mean())


@mistake("mlm_loss", "the logarithm is missing")
def without_logarithm(logits, labels):
    return float(-np.exp(_pick(_log_softmax(logits), labels))[labels != IGNORED].mean())


@mistake("mlm_loss", "subtract the maximum before exp")
def without_maximum(logits, labels):
    with np.errstate(all="ignore"):
        log_p = np.log(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))
    return float(-_pick(log_p, labels)[labels != IGNORED].mean())


@mistake("mlm_loss", "logarithm to the base 2")
def in_bits(logits, labels):
    return float(-_pick(_log_softmax(logits), labels)[labels != IGNORED].mean() / np.log(2))


# nsp_loss


def _nsp(logits, labels):
    return -_pick(_log_softmax(logits), labels)


@mistake("nsp_loss", "ignores label 0: it is a class here, not 'no label'")
def label_zero_ignored(logits, labels):
    counted = labels != 0
    return float(_nsp(logits, labels)[counted].sum() / max(counted.sum(), 1))


@mistake("nsp_loss", "ignores label 0: it is a class here, not 'no label'")
def label_zero_weightless(logits, labels):
    return float((_nsp(logits, labels) * labels).mean())


@mistake("nsp_loss", "the two classes are swapped")
def classes_swapped(logits, labels):
    return float(_nsp(logits, 1 - labels).mean())


@mistake("nsp_loss", "the sum instead of the mean")
def nsp_summed(logits, labels):
    return float(_nsp(logits, labels).sum())


@mistake("nsp_loss", "divided by 2 B")
def divided_by_all_logits(logits, labels):
    return float(_nsp(logits, labels).sum() / logits.size)


@mistake("nsp_loss", "the softmax goes over the two classes, the last axis")
def softmax_over_batch(logits, labels):
    return float(-_pick(_log_softmax(logits, axis=0), labels).mean())


@mistake("nsp_loss", "a sigmoid of one score: there are two, take the softmax")
def sigmoid_of_second(logits, labels):
    z = logits[:, 1]
    return float((np.logaddexp(0, z) - labels * z).mean())


@mistake("nsp_loss", "the sign: it is minus log p")
def nsp_without_minus(logits, labels):
    return float(-_nsp(logits, labels).mean())


@mistake("nsp_loss", "the logits themselves are no log-probabilities")
def logits_as_log_probabilities(logits, labels):
    return float(-_pick(logits, labels).mean())


# tied_gradient


def _below(ids, dembedded, V):
    dE = np.zeros((V, dembedded.shape[1]))
    np.add.at(dE, ids, dembedded)
    return dE


@mistake("tied_gradient", "only the output's use")
def only_above(ids, dembedded, hidden, dlogits):
    return dlogits.T @ hidden


@mistake("tied_gradient", "only the input's use")
def only_below(ids, dembedded, hidden, dlogits):
    return _below(ids, dembedded, dlogits.shape[1])


@mistake("tied_gradient", "of an id that stands twice only the last counts: use np.add.at")
def fancy_index(ids, dembedded, hidden, dlogits):
    dE = dlogits.T @ hidden
    dE[ids] += dembedded
    return dE


@mistake("tied_gradient", "assigned where it must accumulate")
def assigned(ids, dembedded, hidden, dlogits):
    dE = dlogits.T @ hidden
    for i, row in zip(ids, dembedded, strict=True):
        dE[i] = row
    return dE


@mistake("tied_gradient", "the mean of both uses")
def mean_of_uses(ids, dembedded, hidden, dlogits):
    return (dlogits.T @ hidden + _below(ids, dembedded, dlogits.shape[1])) / 2


@mistake("tied_gradient", "transposed")
def transposed(ids, dembedded, hidden, dlogits):
    return (dlogits.T @ hidden + _below(ids, dembedded, dlogits.shape[1])).T


@mistake("tied_gradient", "divided by the number of rows")
def averaged_over_rows(ids, dembedded, hidden, dlogits):
    return dlogits.T @ hidden / len(hidden) + _below(ids, dembedded, dlogits.shape[1]) / len(ids)


@mistake("tied_gradient", "`hidden` stands where `dembedded` belongs")
def hidden_looked_up(ids, dembedded, hidden, dlogits):
    return dlogits.T @ hidden + _below(ids, np.resize(hidden, dembedded.shape), dlogits.shape[1])


# tied_step


@mistake("tied_step", "tied by copying: the names part after a step")
def tied_by_copying(parameters, gradients, tied, learning_rate):
    return {name: p - learning_rate * gradients[name] for name, p in parameters.items()}


def _step(parameters, gradients, tied, learning_rate, of_shared):
    new = {name: p - learning_rate * gradients[name] for name, p in parameters.items()}
    shared = parameters[tied[0]] - learning_rate * of_shared([gradients[name] for name in tied])
    return new | {name: shared for name in tied}


@mistake("tied_step", "only the first name's gradient")
def only_first_gradient(parameters, gradients, tied, learning_rate):
    return _step(parameters, gradients, tied, learning_rate, lambda g: g[0])


@mistake("tied_step", "only the last name's gradient")
def only_last_gradient(parameters, gradients, tied, learning_rate):
    return _step(parameters, gradients, tied, learning_rate, lambda g: g[-1])


@mistake("tied_step", "the mean of the gradients")
def mean_of_gradients(parameters, gradients, tied, learning_rate):
    return _step(parameters, gradients, tied, learning_rate, lambda g: sum(g) / len(g))


@mistake("tied_step", "the shared weight moves once for each name, not once")
def once_for_each_name(parameters, gradients, tied, learning_rate):
    return _step(parameters, gradients, tied, learning_rate, lambda g: sum(g) * len(g))


@mistake("tied_step", "the new weight stands under only one of its names")
def one_name_moved(parameters, gradients, tied, learning_rate):
    new = _step(parameters, gradients, tied, learning_rate, sum)
    return new | {name: parameters[name].copy() for name in tied[1:]}


@mistake("tied_step", "uphill: subtract the gradient")
def uphill(parameters, gradients, tied, learning_rate):
    return _step(parameters, gradients, tied, -learning_rate, sum) | {
        name: p + learning_rate * gradients[name]
        for name, p in parameters.items()
        if name not in tied
    }


@mistake("tied_step", "the parameters that aren't tied must learn, too")
def others_stay(parameters, gradients, tied, learning_rate):
    new = _step(parameters, gradients, tied, learning_rate, sum)
    return new | {name: p.copy() for name, p in parameters.items() if name not in tied}


@mistake("tied_step", "in place")
def step_in_place(parameters, gradients, tied, learning_rate):
    total = sum(gradients[name] for name in tied)
    for name, p in parameters.items():
        p -= learning_rate * (total if name in tied else gradients[name])
    return parameters

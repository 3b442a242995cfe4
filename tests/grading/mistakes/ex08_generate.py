"""Planted mistakes in ex08_generate: each must be caught, and called by its name."""

import numpy as np

from grading.mistakes import mistake

# ---- bpe_merge_step ----


def _count(words, counts):
    pairs = {}
    for word, count in zip(words, counts, strict=True):
        for pair in zip(word, word[1:], strict=False):
            pairs[pair] = pairs.get(pair, 0) + count
    return pairs


def _best(pairs):
    return max(pairs, key=lambda pair: (pairs[pair], pair))


def _merge(word, pair, new_id):
    result, i = [], 0
    while i < len(word):
        if tuple(word[i : i + 2]) == pair:
            result.append(new_id)
            i += 2
        else:
            result.append(word[i])
            i += 1
    return result


@mistake("bpe_merge_step", "a word that occurs c times counts c times: `counts` is not used")
def every_word_once(words, counts, new_id):
    pair = _best(_count(words, [1] * len(words)))
    return pair, [_merge(word, pair, new_id) for word in words]


@mistake("bpe_merge_step", "a pair that stands twice in a word counts twice")
def a_pair_once_a_word(words, counts, new_id):
    pairs = {}
    for word, count in zip(words, counts, strict=True):
        for pair in set(zip(word, word[1:], strict=False)):
            pairs[pair] = pairs.get(pair, 0) + count
    pair = _best(pairs)
    return pair, [_merge(word, pair, new_id) for word in words]


@mistake("bpe_merge_step", "of equally frequent pairs the greatest is wanted, not the smallest")
def smallest_of_equal_pairs(words, counts, new_id):
    pairs = _count(words, counts)
    pair = min(pairs, key=lambda pair: (-pairs[pair], pair))
    return pair, [_merge(word, pair, new_id) for word in words]


@mistake("bpe_merge_step", "of equally frequent pairs the greatest is wanted, not the first met")
def first_of_equal_pairs(words, counts, new_id):
    pairs = _count(words, counts)
    pair = max(pairs, key=pairs.get)
    return pair, [_merge(word, pair, new_id) for word in words]


@mistake("bpe_merge_step", "pairs reach only within a word, not from one word to the next")
def pairs_across_words(words, counts, new_id):
    pairs = {}
    row = [(token, count) for word, count in zip(words, counts, strict=True) for token in word]
    for (a, count), (b, _) in zip(row, row[1:], strict=False):
        pairs[a, b] = pairs.get((a, b), 0) + count
    pair = _best(pairs)
    return pair, [_merge(word, pair, new_id) for word in words]


@mistake("bpe_merge_step", "a token is used up by its merge: go on behind it")
def a_token_used_twice(words, counts, new_id):
    pair = _best(_count(words, counts))
    result = []
    for word in words:
        new, i = [], 0
        while i < len(word):
            if tuple(word[i : i + 2]) == pair:
                new.append(new_id)
                if tuple(word[i + 1 : i + 3]) != pair:
                    i += 1
            else:
                new.append(word[i])
            i += 1
        result.append(new)
    return pair, result


@mistake("bpe_merge_step", "merge from left to right")
def from_right_to_left(words, counts, new_id):
    pair = _best(_count(words, counts))
    return pair, [_merge(word[::-1], pair[::-1], new_id)[::-1] for word in words]


@mistake("bpe_merge_step", "the last token of a word is lost if it isn't merged")
def last_token_lost(words, counts, new_id):
    pair = _best(_count(words, counts))
    result = []
    for word in words:
        new, i = [], 0
        while i < len(word) - 1:
            if (word[i], word[i + 1]) == pair:
                new.append(new_id)
                i += 2
            else:
                new.append(word[i])
                i += 1
        result.append(new)
    return pair, result


@mistake("bpe_merge_step", "merge the pair wherever it stands, not only once in a word")
def first_place_only(words, counts, new_id):
    pair = _best(_count(words, counts))
    result = []
    for word in words:
        word = list(word)
        for i in range(len(word) - 1):
            if (word[i], word[i + 1]) == pair:
                word[i : i + 2] = [new_id]
                break
        result.append(word)
    return pair, result


@mistake("bpe_merge_step", "in place")
def words_merged_in_place(words, counts, new_id):
    pair = _best(_count(words, counts))
    for word in words:
        word[:] = _merge(word, pair, new_id)
    return pair, words


# ---- apply_merges ----


@mistake("apply_merges", "a merge can make a pair that was learned earlier: look at all pairs anew")
def each_merge_once(symbols, merges):
    for pair in merges:
        symbols = _merge(symbols, pair, pair[0] + pair[1])
    return symbols


@mistake("apply_merges", "the pair that was learned first, not the one that stands furthest left")
def leftmost_pair_first(symbols, merges):
    symbols, i = list(symbols), 0
    while i < len(symbols) - 1:
        if (symbols[i], symbols[i + 1]) in merges:
            symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
            i = 0
        else:
            i += 1
    return symbols


@mistake("apply_merges", "the pair that was learned first, not the last one")
def last_learned_first(symbols, merges):
    while True:
        pairs = [pair for pair in zip(symbols, symbols[1:], strict=False) if pair in merges]
        if not pairs:
            return symbols
        pair = max(pairs, key=merges.index)
        symbols = _merge(symbols, pair, pair[0] + pair[1])


@mistake("apply_merges", "BPE follows the merges; taking the longest piece is WordPiece's way")
def longest_piece_first(symbols, merges):
    word, result = "".join(symbols), []
    pieces = {a + b for a, b in merges}
    while word:
        n = max([1, *(n for n in range(1, len(word) + 1) if word[:n] in pieces)])
        result.append(word[:n])
        word = word[n:]
    return result


@mistake("apply_merges", "go on until no pair of neighbours stands in merges")
def one_merge_only(symbols, merges):
    pairs = [pair for pair in zip(symbols, symbols[1:], strict=False) if pair in merges]
    if not pairs:
        return symbols
    pair = min(pairs, key=merges.index)
    return _merge(symbols, pair, pair[0] + pair[1])


@mistake("apply_merges", "a symbol is used up by its merge")
def a_symbol_used_twice(symbols, merges):
    while True:
        pairs = [pair for pair in zip(symbols, symbols[1:], strict=False) if pair in merges]
        if not pairs:
            return symbols
        pair = min(pairs, key=merges.index)
        merged = []
        for i, symbol in enumerate(symbols):
            if tuple(symbols[i : i + 2]) == pair:
                merged.append(pair[0] + pair[1])
            elif i == 0 or tuple(symbols[i - 1 : i + 1]) != pair:
                merged.append(symbol)
        symbols = merged


@mistake("apply_merges", "in place")
def symbols_merged_in_place(symbols, merges):
    while known := [p for p in zip(symbols, symbols[1:], strict=False) if p in merges]:
        left, right = min(known, key=merges.index)
        symbols[:] = _merge(symbols, (left, right), left + right)
    return symbols


# ---- causal_mask ----


@mistake("causal_mask", "the queries are the last positions: query i stands at i + keys - queries")
def queries_come_first(queries, keys):
    return np.tri(queries, keys, dtype=bool)


@mistake("causal_mask", "the offset has the wrong sign: the queries are the last positions")
def offset_subtracted(queries, keys):
    return np.tri(queries, keys, queries - keys, dtype=bool)


@mistake("causal_mask", "True is for what may be looked at, not for what is hidden")
def hidden_for_allowed(queries, keys):
    return ~np.tri(queries, keys, keys - queries, dtype=bool)


@mistake("causal_mask", "a position looks at itself, too")
def without_itself(queries, keys):
    return np.tri(queries, keys, keys - queries - 1, dtype=bool)


@mistake("causal_mask", "one place too many: a position would see the one it is to guess")
def sees_the_next(queries, keys):
    return np.tri(queries, keys, keys - queries + 1, dtype=bool)


@mistake("causal_mask", "it looks at itself and at what comes before, not at what comes after")
def looks_ahead(queries, keys):
    return np.tri(keys, queries, 0, dtype=bool).T | np.zeros((queries, keys), bool)


@mistake("causal_mask", "the last query sees everything, the ones before it don't")
def everything_allowed(queries, keys):
    return np.ones((queries, keys), bool)


# ---- temperature_and_entropy ----


def _p(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _entropy(p, log=np.log2):
    with np.errstate(all="ignore"):
        return -np.where(p > 0, p * log(np.where(p > 0, p, 1)), 0).sum(axis=-1)


@mistake("temperature_and_entropy", "bits: the logarithm to base 2")
def entropy_in_nats(logits, temperature):
    p = _p(logits / temperature)
    return p, _entropy(p, np.log)


@mistake("temperature_and_entropy", "divide the logits by the temperature, don't multiply them")
def multiplied_by_the_temperature(logits, temperature):
    p = _p(logits * temperature)
    return p, _entropy(p)


@mistake("temperature_and_entropy", "the temperature belongs into the exponent, before the softmax")
def temperature_after_softmax(logits, temperature):
    p = _p(logits) / temperature
    return p, _entropy(p)


@mistake("temperature_and_entropy", "the temperature is not used")
def without_temperature(logits, temperature):
    p = _p(logits)
    return p, _entropy(p)


@mistake("temperature_and_entropy", "the entropy is that of p at this temperature, not at 1")
def entropy_at_temperature_one(logits, temperature):
    return _p(logits / temperature), _entropy(_p(logits))


@mistake("temperature_and_entropy", "subtract the maximum before exp")
def without_the_maximum(logits, temperature):
    with np.errstate(all="ignore"):
        e = np.exp(logits / temperature)
        p = e / e.sum(axis=-1, keepdims=True)
        return p, np.where(np.isnan(p).any(axis=-1), np.nan, _entropy(p))


@mistake("temperature_and_entropy", "0 * log2(0) is nan: a token with p = 0 adds nothing")
def zero_times_minus_infinity(logits, temperature):
    p = _p(logits / temperature)
    with np.errstate(all="ignore"):
        return p, -(p * np.log2(p)).sum(axis=-1)


@mistake("temperature_and_entropy", "a row has its own sum and its own entropy: axis=-1")
def over_the_whole_array(logits, temperature):
    e = np.exp((logits - logits.max()) / temperature)
    p = e / e.sum()
    return p, _entropy(p.reshape(-1))


@mistake("temperature_and_entropy", "the entropy is positive: -sum p log2 p")
def without_the_minus(logits, temperature):
    p = _p(logits / temperature)
    return p, -_entropy(p)


# ---- nucleus ----


def _by_order(probabilities, stays_of):
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranked = np.take_along_axis(probabilities, order, axis=1)
    stays = np.zeros(probabilities.shape, bool)
    np.put_along_axis(stays, order, stays_of(ranked), axis=1)
    return np.where(stays, probabilities, 0)


def _divided(kept):
    with np.errstate(all="ignore"):
        return kept / kept.sum(axis=1, keepdims=True)


@mistake("nucleus", "the token that reaches p belongs to the nucleus")
def without_the_one_that_crosses(probabilities, p):
    return _divided(_by_order(probabilities, lambda ranked: ranked.cumsum(axis=1) <= p))


@mistake("nucleus", "what stays must sum to 1 again: divide by its sum")
def not_divided(probabilities, p):
    return _by_order(probabilities, lambda ranked: ranked.cumsum(axis=1) - ranked < p)


@mistake("nucleus", "exactly p is enough: the next token is one too many")
def one_too_many_at_p(probabilities, p):
    return _divided(_by_order(probabilities, lambda ranked: ranked.cumsum(axis=1) - ranked <= p))


@mistake("nucleus", "p bounds the sum of the probabilities, not each of them")
def every_probability_against_p(probabilities, p):
    return _divided(np.where(probabilities >= p, probabilities, 0))


@mistake("nucleus", "put the probabilities back into the order of the tokens")
def left_in_sorted_order(probabilities, p):
    ranked = -np.sort(-probabilities, axis=1)
    return _divided(np.where(ranked.cumsum(axis=1) - ranked < p, ranked, 0))


@mistake("nucleus", "sort first: from the most probable token on")
def in_order_of_the_tokens(probabilities, p):
    before = probabilities.cumsum(axis=1) - probabilities
    return _divided(np.where(before < p, probabilities, 0))


@mistake("nucleus", "from the most probable token on, not from the least")
def least_probable_first(probabilities, p):
    order = np.argsort(probabilities, axis=1, kind="stable")
    ranked = np.take_along_axis(probabilities, order, axis=1)
    stays = np.zeros(probabilities.shape, bool)
    np.put_along_axis(stays, order, ranked.cumsum(axis=1) - ranked < p, axis=1)
    return _divided(np.where(stays, probabilities, 0))


@mistake("nucleus", "equally probable tokens don't all stay: those with smaller numbers come first")
def all_of_equal_ones(probabilities, p):
    ranked = -np.sort(-probabilities, axis=1)
    stays = ranked.cumsum(axis=1) - ranked < p
    least = np.where(stays, ranked, np.inf).min(axis=1, keepdims=True)
    return _divided(np.where(probabilities >= least, probabilities, 0))


@mistake("nucleus", "each row has its own nucleus")
def one_order_for_all_rows(probabilities, p):
    order = np.argsort(-probabilities[0], kind="stable")
    ranked = probabilities[:, order]
    kept = np.zeros(probabilities.shape)
    kept[:, order] = np.where(ranked.cumsum(axis=1) - ranked < p, ranked, 0)
    return _divided(kept)


@mistake("nucleus", "dividing by the sum is enough: a softmax of probabilities flattens them")
def softmax_again(probabilities, p):
    kept = _by_order(probabilities, lambda ranked: ranked.cumsum(axis=1) - ranked < p)
    e = np.where(kept > 0, np.exp(kept), 0)
    return _divided(e)


# ---- repetition_penalty ----


@mistake("repetition_penalty", "dividing a negative logit makes the token likelier: multiply it")
def always_divided(logits, ids, penalty):
    result = logits.copy()
    result[list(set(ids))] /= penalty
    return result


@mistake("repetition_penalty", "once for each token, however often it stands in ids")
def once_for_each_occurrence(logits, ids, penalty):
    result = logits.copy()
    for v in ids:
        result[v] = result[v] / penalty if result[v] > 0 else result[v] * penalty
    return result


@mistake("repetition_penalty", "the other way round: / for positive logits, * for the others")
def swapped(logits, ids, penalty):
    result = logits.copy()
    for v in set(ids):
        result[v] = logits[v] * penalty if logits[v] > 0 else logits[v] / penalty
    return result


@mistake("repetition_penalty", "the penalty divides or multiplies; it is not subtracted")
def subtracted(logits, ids, penalty):
    result = logits.copy()
    result[list(set(ids))] -= penalty
    return result


@mistake("repetition_penalty", "all tokens of ids, not only the last one")
def the_last_token_only(logits, ids, penalty):
    result = logits.copy()
    result[ids[-1]] *= penalty if logits[ids[-1]] < 0 else 1 / penalty
    return result


@mistake("repetition_penalty", "only the tokens that stand in ids")
def every_token(logits, ids, penalty):
    return np.where(logits > 0, logits / penalty, logits * penalty)


@mistake("repetition_penalty", "in place")
def logits_in_place(logits, ids, penalty):
    for v in set(ids):
        logits[v] = logits[v] / penalty if logits[v] > 0 else logits[v] * penalty
    return logits


# ---- beam_step ----


def _candidates(texts, scores, log_probabilities, end_id):
    result = []
    for text, score, row in zip(texts, scores, log_probabilities, strict=True):
        if text[-1] == end_id:
            result.append((score, text))
        else:
            result += [(score + log_p, [*text, v]) for v, log_p in enumerate(row)]
    return result


def _parted(candidates):
    return [list(text) for _, text in candidates], np.array([score for score, _ in candidates])


@mistake("beam_step", "each text's best token is greedy search, n times: compare all candidates")
def greedy_in_each_beam(texts, scores, log_probabilities, num_beams, end_id):
    best = [
        max(_candidates([text], [score], [row], end_id))
        for text, score, row in zip(texts, scores, log_probabilities, strict=True)
    ]
    return _parted(sorted(best, reverse=True)[:num_beams])


@mistake("beam_step", "the score of a text is that of all its tokens: add to the score so far")
def last_token_only(texts, scores, log_probabilities, num_beams, end_id):
    candidates = _candidates(texts, np.zeros(len(texts)), log_probabilities, end_id)
    return _parted(sorted(candidates, reverse=True)[:num_beams])


@mistake("beam_step", "logarithms are added, not multiplied")
def logarithms_multiplied(texts, scores, log_probabilities, num_beams, end_id):
    candidates = []
    for text, score, row in zip(texts, scores, log_probabilities, strict=True):
        if text[-1] == end_id:
            candidates.append((score, text))
        else:
            candidates += [(score * log_p, [*text, v]) for v, log_p in enumerate(row)]
    return _parted(sorted(candidates, reverse=True)[:num_beams])


@mistake("beam_step", "a finished text stays as it is")
def finished_text_continued(texts, scores, log_probabilities, num_beams, end_id):
    candidates = _candidates(texts, scores, log_probabilities, None)
    return _parted(sorted(candidates, reverse=True)[:num_beams])


@mistake("beam_step", "a finished text stays among the candidates: don't drop it")
def finished_text_dropped(texts, scores, log_probabilities, num_beams, end_id):
    candidates = [c for c in _candidates(texts, scores, log_probabilities, end_id)]
    going = [c for c in candidates if c[1] not in texts]
    return _parted(sorted(going, reverse=True)[:num_beams])


@mistake("beam_step", "a finished text competes by its score; it doesn't stay in any case")
def finished_text_always_kept(texts, scores, log_probabilities, num_beams, end_id):
    candidates = _candidates(texts, scores, log_probabilities, end_id)
    candidates.sort(key=lambda c: (c[1] in texts, c[0]), reverse=True)
    return _parted(sorted(candidates[:num_beams], reverse=True))


@mistake("beam_step", "the best text first, and ln p is the better the nearer it is to 0")
def lowest_scores(texts, scores, log_probabilities, num_beams, end_id):
    return _parted(sorted(_candidates(texts, scores, log_probabilities, end_id))[:num_beams])


@mistake("beam_step", "the best text first: yours are in the reverse order")
def best_text_last(texts, scores, log_probabilities, num_beams, end_id):
    return _parted(sorted(_candidates(texts, scores, log_probabilities, end_id))[-num_beams:])


@mistake("beam_step", "the token was appended to the wrong text: candidate i V + v is of text i")
def parent_is_the_remainder(texts, scores, log_probabilities, num_beams, end_id):
    table = scores[:, None] + log_probabilities
    for i, text in enumerate(texts):
        if text[-1] == end_id:
            table[i] = -np.inf
            table[i, end_id] = scores[i]
    best = np.argsort(-table, axis=None)[:num_beams]
    result = []
    for place in best.tolist():
        parent, token = place % len(texts), place // len(texts) % table.shape[1]
        text = texts[parent]
        result.append(text if text[-1] == end_id else [*text, token])
    return result, table.ravel()[best]


@mistake("beam_step", "num_beams texts in all, not for each text")
def num_beams_for_each_text(texts, scores, log_probabilities, num_beams, end_id):
    best = []
    for text, score, row in zip(texts, scores, log_probabilities, strict=True):
        best += sorted(_candidates([text], [score], [row], end_id), reverse=True)[:num_beams]
    return _parted(sorted(best, reverse=True))


# ---- cached_attention ----


def _attention(q, K, V, allowed, scale=None):
    S = q @ K.swapaxes(1, 2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    S = np.where(allowed, S, -np.inf)
    P = np.exp(S - S.max(axis=-1, keepdims=True))
    return P / P.sum(axis=-1, keepdims=True) @ V


def _all(k, v, keys, values):
    K, V = np.concatenate([keys, k], axis=1), np.concatenate([values, v], axis=1)
    return K, V, np.tri(k.shape[1], K.shape[1], keys.shape[1], dtype=bool)


@mistake("cached_attention", "the mask is that of a text without a cache: shift it by m")
def mask_not_shifted(q, k, v, keys, values):
    K, V, _ = _all(k, v, keys, values)
    return _attention(q, K, V, np.tri(q.shape[1], K.shape[1], dtype=bool)), K, V


@mistake("cached_attention", "a new position must not see the new ones behind it: the causal mask")
def without_a_mask(q, k, v, keys, values):
    K, V, _ = _all(k, v, keys, values)
    return _attention(q, K, V, True), K, V


@mistake("cached_attention", "the new keys and values belong to those that are looked at")
def looks_at_the_cache_only(q, k, v, keys, values):
    K, V, _ = _all(k, v, keys, values)
    return _attention(q, keys, values, True), K, V


@mistake("cached_attention", "the cached keys and values are not looked at")
def looks_at_the_new_only(q, k, v, keys, values):
    K, V, _ = _all(k, v, keys, values)
    n = q.shape[1]
    return _attention(q, k, v, np.tri(n, dtype=bool)), K, V


@mistake("cached_attention", "return all keys and values: the next call needs the old ones, too")
def returns_the_new_only(q, k, v, keys, values):
    K, V, allowed = _all(k, v, keys, values)
    return _attention(q, K, V, allowed), k, v


@mistake("cached_attention", "return the cache with the new keys and values behind the old ones")
def returns_the_old_cache(q, k, v, keys, values):
    K, V, allowed = _all(k, v, keys, values)
    return _attention(q, K, V, allowed), keys, values


@mistake("cached_attention", "the new keys and values come behind the old ones, not before them")
def new_before_old(q, k, v, keys, values):
    K, V, allowed = _all(keys, values, k, v)
    n = q.shape[1]
    allowed = np.tri(n, K.shape[1], keys.shape[1], dtype=bool)
    return _attention(q, K, V, allowed), K, V


@mistake("cached_attention", "divide the scores by sqrt(d)")
def without_scale(q, k, v, keys, values):
    K, V, allowed = _all(k, v, keys, values)
    return _attention(q, K, V, allowed, 1.0), K, V


@mistake("cached_attention", "the scale is sqrt(d), d the size of a key, not the number of keys")
def scaled_by_the_number_of_keys(q, k, v, keys, values):
    K, V, allowed = _all(k, v, keys, values)
    return _attention(q, K, V, allowed, K.shape[1] ** -0.5), K, V


@mistake("cached_attention", "subtract the maximum before exp")
def attention_without_maximum(q, k, v, keys, values):
    K, V, allowed = _all(k, v, keys, values)
    with np.errstate(all="ignore"):
        S = q @ K.swapaxes(1, 2) / q.shape[-1] ** 0.5
        P = np.exp(np.where(allowed, S, -np.inf))
        return P / P.sum(axis=-1, keepdims=True) @ V, K, V


@mistake("cached_attention", "a hidden score is -inf before the softmax, not 0")
def hidden_scores_zero(q, k, v, keys, values):
    K, V, allowed = _all(k, v, keys, values)
    S = np.where(allowed, q @ K.swapaxes(1, 2) / q.shape[-1] ** 0.5, 0)
    P = np.exp(S - S.max(axis=-1, keepdims=True))
    return P / P.sum(axis=-1, keepdims=True) @ V, K, V


@mistake("cached_attention", "heads must not be mixed: the positions are axis 1")
def joined_along_the_heads(q, k, v, keys, values):
    K, V = np.concatenate([keys, k], axis=0), np.concatenate([values, v], axis=0)
    return _attention(q, K[: len(q)], V[: len(q)], True), K, V


@mistake("cached_attention", "the softmax runs over the keys, the last axis of the scores")
def softmax_over_the_queries(q, k, v, keys, values):
    K, V, allowed = _all(k, v, keys, values)
    S = np.where(allowed, q @ K.swapaxes(1, 2) / q.shape[-1] ** 0.5, -np.inf)
    P = np.exp(S - S.max(axis=1, keepdims=True))
    return P / P.sum(axis=1, keepdims=True) @ V, K, V


# ---- perplexity_and_bits ----


def _measures(log_probabilities, texts):
    log_p = np.concatenate(log_probabilities)
    bits = -log_p.sum() / np.log(2) / sum(len(text.encode()) for text in texts)
    return float(np.exp(-log_p.mean())), float(bits)


@mistake("perplexity_and_bits", "the mean over all tokens, not the mean of each text's perplexity")
def mean_of_perplexities(log_probabilities, texts):
    perplexities = [np.exp(-np.mean(row)) for row in log_probabilities]
    return float(np.mean(perplexities)), _measures(log_probabilities, texts)[1]


@mistake("perplexity_and_bits", "the mean over all tokens, not the mean of the texts' means")
def mean_of_means(log_probabilities, texts):
    means = [np.mean(row) for row in log_probabilities]
    bits = _measures(log_probabilities, texts)[1]
    return float(np.exp(-np.mean(means))), bits


@mistake("perplexity_and_bits", "bytes in UTF-8, not characters: é has two")
def characters_for_bytes(log_probabilities, texts):
    total = -np.concatenate(log_probabilities).sum() / np.log(2)
    perplexity = _measures(log_probabilities, texts)[0]
    return perplexity, float(total / len("".join(texts)))


@mistake("perplexity_and_bits", "bits are logarithms to base 2: divide by ln 2")
def nats_per_byte(log_probabilities, texts):
    perplexity, bits = _measures(log_probabilities, texts)
    return perplexity, bits * float(np.log(2))


@mistake("perplexity_and_bits", "bits per byte, not per token")
def bits_per_token(log_probabilities, texts):
    log_p = np.concatenate(log_probabilities)
    return float(np.exp(-log_p.mean())), float(-log_p.mean() / np.log(2))


@mistake("perplexity_and_bits", "ln p goes with e^x: 2^x needs log2 p")
def two_to_the_nats(log_probabilities, texts):
    bits = _measures(log_probabilities, texts)[1]
    return float(2 ** -np.concatenate(log_probabilities).mean()), bits


@mistake("perplexity_and_bits", "the minus is missing: a perplexity is at least 1")
def without_minus(log_probabilities, texts):
    perplexity, bits = _measures(log_probabilities, texts)
    return 1 / perplexity, -bits


@mistake("perplexity_and_bits", "e to the mean of -ln p, not the mean of 1 / p")
def mean_of_the_inverse(log_probabilities, texts):
    bits = _measures(log_probabilities, texts)[1]
    return float(np.exp(-np.concatenate(log_probabilities)).mean()), bits

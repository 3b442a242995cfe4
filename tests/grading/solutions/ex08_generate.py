"""The right answers to ex08_generate: where minillm has the function, it is minillm's own."""

import math
from collections import Counter

import numpy as np

from minillm import functional as F
from minillm.generation import KeyValueCache, sampling


def bpe_merge_step(words, counts, new_id):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in zip(word, word[1:], strict=False):
            pairs[pair] += count
    best = max(pairs, key=lambda pair: (pairs[pair], pair))
    return best, [_merged(word, best, new_id) for word in words]


def _merged(symbols, pair, new):
    result = []
    for symbol in symbols:
        if symbol == pair[1] and result and result[-1] == pair[0]:
            result[-1] = new
        else:
            result.append(symbol)
    return result


def apply_merges(symbols, merges):
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    while True:
        known = [pair for pair in zip(symbols, symbols[1:], strict=False) if pair in ranks]
        if not known:
            return list(symbols)
        first = min(known, key=ranks.get)
        symbols = _merged(symbols, first, first[0] + first[1])


def causal_mask(queries, keys):
    return np.tri(queries, keys, keys - queries, dtype=bool)


def temperature_and_entropy(logits, temperature):
    log_p = sampling.log_softmax(sampling.temperature(logits, temperature))
    p = np.exp(log_p)
    bits = np.where(p > 0, p * np.where(p > 0, log_p, 0), 0) / math.log(2)
    return p, -bits.sum(axis=-1)


def nucleus(probabilities, p):
    with np.errstate(divide="ignore"):
        logits = sampling.top_p(np.log(probabilities), p)
    return np.exp(sampling.log_softmax(logits))


def repetition_penalty(logits, ids, penalty):
    return sampling.repetition_penalty(logits, np.array(ids, dtype=np.int64), penalty)


def beam_step(texts, scores, log_probabilities, num_beams, end_id):
    candidates = []
    for text, score, row in zip(texts, scores, log_probabilities, strict=True):
        if text[-1] == end_id:
            candidates.append((score, text))
        else:
            candidates += [(score + log_p, [*text, v]) for v, log_p in enumerate(row)]
    best = sorted(candidates, reverse=True)[:num_beams]
    return [list(text) for _, text in best], np.array([score for score, _ in best])


def cached_attention(q, k, v, keys, values):
    cache = KeyValueCache()
    cache.update(0, keys[None], values[None])
    keys, values = cache.update(0, k[None], v[None])
    mask = causal_mask(q.shape[1], keys.shape[2])
    y = F.scaled_dot_product_attention(q[None], keys, values, attn_mask=mask).numpy()
    return y[0], keys[0], values[0]


def perplexity_and_bits(log_probabilities, texts):
    log_p = np.concatenate(log_probabilities)
    num_bytes = len("".join(texts).encode("utf-8"))
    return math.exp(-log_p.mean()), float(-log_p.sum() / math.log(2) / num_bytes)

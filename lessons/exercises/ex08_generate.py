"""Exercises of lesson 08: from bytes to tokens, from logits to text.

Fill in the functions, in this order or any other; NumPy and the standard library are all you need.
Grade yourself with `python -m pytest tests/exercises -k ex08`. The lines after >>> can be typed
into Python as they stand.

Arrays and lists go in, new ones come out: never write into one that was handed to you. ln is the
natural logarithm, log2 the one to base 2, and V the size of the vocabulary.
"""

import numpy as np


def bpe_merge_step(words, counts, new_id):
    """(pair, new words): one step of learning byte-level BPE.

    The words begin as bytes, which are numbers from 0 to 255, and merged tokens get the numbers
    from 256 on.

        1. Count all pairs of neighbours within the words. A pair that stands twice in a word
           counts twice, and a word that occurs c times in the text counts c times.
        2. Choose the most frequent pair; of equally frequent ones the greatest, as Python compares
           tuples.
        3. In every word, from left to right, both tokens of the pair become the one token new_id.
           A token is used up by the merge that it took part in.

    words: a list of lists of integers; counts: how often each word occurs; new_id: an integer.
    There is at least one pair. Returns the pair as a tuple, and the words, merged.

    Example: "hug" occurs 10 times, "pug" 5 times and "hugs" 5 times. (u, g) = (117, 103) occurs
    10 + 5 + 5 = 20 times, (h, u) 15 times, (p, u) and (g, s) 5 times:
        >>> bpe_merge_step([list(b"hug"), list(b"pug"), list(b"hugs")], [10, 5, 5], 256)
        ((117, 103), [[104, 256], [112, 256], [104, 256, 115]])

    Difficulty: 3 of 3. Lesson 08, section 1.
    """
    raise NotImplementedError("to do")


def apply_merges(symbols, merges):
    """The tokens of one word, by merges that were learned earlier.

    Again and again: of all pairs of neighbours that stand in `merges`, take the one that was
    learned first, and merge it (if it is there several times, all of them, from left to right).
    End when no pair of neighbours stands in `merges`. Look at all pairs anew after each merge: a
    merge can make a pair that was learned earlier.

    symbols: a list of strings, the characters of one word; merges: a list of pairs of strings,
    each once, in the order in which they were learned. Returns a new list of strings.

    Example: at first (o, w), (l, o) and (e, r) are there. (e, r) was learned first, then (l, o);
    now there is no (o, w) any more, but (lo, w):
        >>> apply_merges(list("lower"), [("e", "r"), ("l", "o"), ("o", "w"), ("lo", "w")])
        ['low', 'er']

    Difficulty: 2 of 3. Lesson 08, section 1.
    """
    raise NotImplementedError("to do")


def causal_mask(queries, keys):
    """Who may look at whom, where the queries are the last of the positions.

    A text has `keys` positions, 0 to keys - 1. The model computes the last `queries` of them (the
    earlier ones are in a cache). A position looks at itself and at what comes before it.

    queries, keys: integers, queries <= keys -> an array (queries, keys) of bool: True in row i,
    column j, where query i may look at key j.

    Example: five positions, of which the last three are computed, positions 2, 3 and 4:
        >>> causal_mask(3, 5)
        array([[ True,  True,  True, False, False],
               [ True,  True,  True,  True, False],
               [ True,  True,  True,  True,  True]])

    Difficulty: 1 of 3. Lesson 08, section 2.
    """
    raise NotImplementedError("to do")


def temperature_and_entropy(logits, temperature):
    """(p, H): the distribution at a temperature, and how many bits of choice are in it.

        p_v = e^(z_v / T) / sum_u e^(z_u / T)             H = - sum_v p_v log2 p_v

    A token with p_v = 0 adds nothing to H: the limit of p log p is 0. Logits can be large (mind
    e^1000), and some are -inf, for tokens that are forbidden (at least one in a row is not).

    logits (..., V); temperature: a number above 0 -> p (..., V), H (...).

    Example: at temperature 2 the factor 4 = e^(log 4) becomes 4^(1/2) = 2, so p is in the
    proportions 1 : 1 : 2, and H = 1/4 * 2 + 1/4 * 2 + 1/2 * 1 bits:
        >>> p, H = temperature_and_entropy(np.log([1.0, 1.0, 4.0]), 2.0)
        >>> p
        array([0.25, 0.25, 0.5 ])
        >>> print(H)
        1.5

    Difficulty: 2 of 3. Lesson 08, section 3.
    """
    raise NotImplementedError("to do")


def nucleus(probabilities, p):
    """Top-p: keep the fewest tokens that together have probability p or more.

    Row by row: go through the tokens from the most probable on (of equally probable ones the one
    with the smaller number first). A token stays while those before it have together less than p.
    The others get 0, and what stays is divided by its sum.

    probabilities (B, V), rows that sum to 1; p: a number, 0 < p <= 1 -> an array (B, V).

    Example: 0.6 alone is less than 0.7, and 0.6 + 0.2 is not. Both stay, divided by 0.8:
        >>> nucleus(np.array([[0.1, 0.6, 0.2, 0.1]]), 0.7)
        array([[0.  , 0.75, 0.25, 0.  ]])

    Difficulty: 2 of 3. Lesson 08, section 3.
    """
    raise NotImplementedError("to do")


def repetition_penalty(logits, ids, penalty):
    """Logits in which the tokens that were written already are less likely (for penalty > 1).

        z_v / penalty   if z_v > 0         z_v * penalty   otherwise

    for every token v that stands in ids, once, however often it stands there. The others keep
    their logits.

    logits (V,); ids: a list of token numbers; penalty: a number above 0 -> an array (V,).

    Example: token 0 is divided, token 1 multiplied, and tokens 2 and 3 were not written:
        >>> repetition_penalty(np.array([2.0, -2.0, 1.0, -1.0]), [0, 1, 1], 2.0)
        array([ 1., -4.,  1., -1.])

    Difficulty: 1 of 3. Lesson 08, section 4.
    """
    raise NotImplementedError("to do")


def beam_step(texts, scores, log_probabilities, num_beams, end_id):
    """(texts, scores): one step of beam search, the best text first.

    A text that doesn't end with end_id is continued by every token, and its score grows by the ln p
    of that token. A text that ends with end_id is finished: it stays as it is, with its score,
    and competes with the others. Of all these candidates the num_beams with the highest scores go
    on. (Cases have enough candidates, and no equal scores.)

    texts: a list of n lists of tokens, none empty; scores (n,): the ln p of each text;
    log_probabilities (n, V): ln p of the next token after each text -> a list of num_beams lists,
    and their scores, an array (num_beams,).

    Example: the texts have the probabilities 0.5 and 0.4, but the continuation of the second is
    surer, and 0.4 * 0.9 = 0.36 is more than 0.5 * 0.6 = 0.3 and 0.5 * 0.2 = 0.1:
        >>> log_p = np.log([[0.6, 0.2, 0.2], [0.08, 0.9, 0.02]])
        >>> texts, scores = beam_step([[0], [1]], np.log([0.5, 0.4]), log_p, 2, end_id=2)
        >>> texts
        [[1, 1], [0, 0]]
        >>> np.exp(scores).round(2)
        array([0.36, 0.3 ])

    Difficulty: 3 of 3. Lesson 08, section 4.
    """
    raise NotImplementedError("to do")


def cached_attention(q, k, v, keys, values):
    """(y, all keys, all values): attention of new positions, with the earlier ones in a cache.

    The cache holds the keys and values of m positions (m = 0 at the beginning of a text); n new
    positions come behind them, and theirs are appended. Each new position looks at the whole
    cache, at the new positions before it, and at itself:

        S = q K^T / sqrt(d)         y = softmax(S, where allowed) V         K, V: old, then new

    So a text that is read in pieces gives the same y as one that is read at once. Scores can be
    large: mind e^1000.

    q, k (H, n, d) and v (H, n, e), H heads; keys (H, m, d), values (H, m, e)
    -> y (H, n, e), all keys (H, m + n, d), all values (H, m + n, e).

    Example with one head and one new position: sqrt(4) = 2, so the scores are 0 for the two
    positions in the cache and 2 log(3) / 2 = log 3 for the new one. y takes 1/5 of 5, 1/5 of 10 and
    3/5 of 10:
        >>> q, k = np.zeros((1, 1, 4)), np.zeros((1, 1, 4))
        >>> q[0, 0, 0], k[0, 0, 0] = 2.0, np.log(3.0)
        >>> v = np.array([[[10.0]]])
        >>> keys, values = np.zeros((1, 2, 4)), np.array([[[5.0], [10.0]]])
        >>> y, keys, values = cached_attention(q, k, v, keys, values)
        >>> print(y.round(6))
        [[[9.]]]
        >>> values
        array([[[ 5.],
                [10.],
                [10.]]])

    Difficulty: 3 of 3. Lesson 08, section 5.
    """
    raise NotImplementedError("to do")


def perplexity_and_bits(log_probabilities, texts):
    """(perplexity, bits per byte) of a language model on some texts.

        perplexity = e^(- mean of ln p over all tokens of all texts)
        bits per byte = - (sum of log2 p over all tokens) / (number of bytes of all texts in UTF-8)

    The first depends on how a tokenizer cuts the texts (fewer, longer tokens are harder to guess),
    the second doesn't: every tokenizer must account for the same bytes.

    log_probabilities: a list of arrays, for each text the ln p of its tokens; texts: a list of
    strings. Returns two floats.

    Example: three tokens with p = 1/2, 1/8 and 1/4 carry 1 + 3 + 2 = 6 bits, 2 a token, and 2^2 is
    4. "abc" has 3 bytes, and "é" has 2:
        >>> log_probabilities = [np.log([1 / 2]), np.log([1 / 8, 1 / 4])]
        >>> perplexity, bits = perplexity_and_bits(log_probabilities, ["abc", "é"])
        >>> print(round(perplexity, 6), round(bits, 6))
        4.0 1.2

    Difficulty: 1 of 3. Lesson 08, section 7.
    """
    raise NotImplementedError("to do")

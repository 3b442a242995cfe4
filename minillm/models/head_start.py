"""A head start for a small BERT: the first layer begins by looking where it would look anyway.

Trained from random weights, a Transformer first learns word frequencies and then sits on a shelf:
it has to find out, all at once, that position vectors tell places apart, that neighbours matter,
and that a word which stands in both sentences says something.  A large run pays for that in its
first hour.  A ten-minute run would spend a good part of its time there.  So the first layer's
heads begin as what trained networks are known to contain (Clark et al. 2019, "What does BERT look
at?"; imitating it in the initial weights: Trockman & Kolter 2023, "Mimetic initialization"):

    head 1   looks at the token before          head 3, 4, ...   look at the same word in
    head 2   looks at the token after                            the second sentence

Only initial values change.  Everything is trained as usual, and any of it may be unlearned.
"""

import math

import numpy as np

from minillm import nn
from minillm.backend import device_of
from minillm.models.bert import BertForPreTraining

PEAK = 8.0  # score of a head's favourite place: e^8 times the weight of an indifferent one
SAME_WORD_PEAK = 20.0  # the same between equal words; different ones scatter around 0
SEGMENT_SCORE = 2.0  # how much the same-word heads prefer the second sentence


def head_start(model: BertForPreTraining, seed: int = 0) -> None:
    """Give a new model its starting heads, in place.  Needs at least 3 heads of 8 columns or more.

    Of the width H the first half carries the position, one more coordinate the segment, and what
    is left only the word.  Raises ValueError for a model that is too narrow.
    """
    config = model.config
    H, D = config.hidden_size, config.hidden_size // config.num_attention_heads
    if config.num_attention_heads < 3 or D < 8:
        raise ValueError(
            f"head_start needs 3 heads of at least 8 columns, this model has "
            f"{config.num_attention_heads} of {D}"
        )
    rng = np.random.default_rng([seed, 5])
    sigma = config.initializer_range  # word vectors: N(0, sigma^2)
    embeddings = model.bert.embeddings
    half, segment = H // 2, H // 2  # coordinates [0, half): position; [half]: segment

    # Positions as sine and cosine of angles w_f t (Vaswani et al. 2017, section 3.5), with the
    # mean square of a word vector's coordinate, so that a vector's place and word weigh alike.
    F = half // 2
    w = 2.5 * (0.02 / 2.5) ** (np.arange(F) / (F - 1))  # radians a token, fast to slow
    angles = np.arange(config.max_position_embeddings)[:, None] * w
    position = rng.normal(0, 0.01 * sigma, embeddings.position.weight.shape)
    position[:, :half] += sigma * math.sqrt(2) * np.hstack([np.sin(angles), np.cos(angles)])
    segments = rng.normal(0, 0.2 * sigma, embeddings.token_type.weight.shape)
    segments[:, segment] = 2 * sigma * np.linspace(-1, 1, len(segments))
    _set(embeddings.position.weight, position)
    _set(embeddings.token_type.weight, segments)

    # LayerNorm divides the sum by its standard deviation `scale`: the sines and cosines that the
    # heads see have amplitude A, a word's coordinates the standard deviation S.
    scale = math.sqrt(sigma**2 + sigma**2 / 2)
    A, S = sigma * math.sqrt(2) / scale, sigma / scale

    for layer in model.bert.layers:  # values must get through: as large as they came
        in_proj = layer.attention.in_proj_weight.numpy().copy()
        in_proj[2 * H :] = rng.normal(0, 1 / math.sqrt(H), (H, H))
        _set(layer.attention.in_proj_weight, in_proj)
        nn.init.normal_(layer.attention.out_proj.weight, std=1 / math.sqrt(H))

    first = model.bert.layers[0].attention
    in_proj, bias = first.in_proj_weight.numpy().copy(), first.in_proj_bias.numpy().copy()
    Q, K, Q_bias = in_proj[:H], in_proj[H : 2 * H], bias[:H]  # views
    for head in range(config.num_attention_heads):
        rows = slice(head * D, (head + 1) * D)
        if head < 2:
            _look_at_distance(Q[rows], K[rows], -1 if head == 0 else 1, w, A, math.sqrt(D))
        else:
            words = slice(half + 1, H)
            _look_for_same_word(Q[rows], K[rows], words, S, math.sqrt(D), rng)
            # The last column: q = 1 for every token, k = +-SEGMENT_SCORE by its segment.
            Q_bias[rows][-1] = 1
            K[rows][-1, segment] += SEGMENT_SCORE * math.sqrt(D) / (2 * S)
    _set(first.in_proj_weight, in_proj)
    _set(first.in_proj_bias, bias)


def _look_at_distance(Q, K, distance, w, A, root) -> None:
    """score(s, t) = sum_f cos(w_f (s + distance - t)) up to a factor: largest at t = s + distance.

    By cos(a - b) = sin a sin b + cos a cos b, with q made of sin and cos of w_f (s + distance),
    which the addition theorems make of sin and cos of w_f s:
        sin(a + d) = sin a cos d + cos a sin d        cos(a + d) = cos a cos d - sin a sin d
    """
    F = len(w)
    m = min(len(Q) // 2, F)  # two columns a frequency
    g = math.sqrt(PEAK * root / (m * A**2))  # m frequencies at the peak give PEAK * sqrt(D)
    for f in range(m):
        c, s = math.cos(w[f] * distance), math.sin(w[f] * distance)
        sin, cos = f, F + f  # the coordinates of sin and cos of w_f t
        Q[2 * f, sin] += g * c
        Q[2 * f, cos] += g * s
        Q[2 * f + 1, cos] += g * c
        Q[2 * f + 1, sin] -= g * s
        K[2 * f, sin] += g
        K[2 * f + 1, cos] += g


def _look_for_same_word(Q, K, words, S, root, rng) -> None:
    """The same random projection for queries and keys: their product is largest for equal words."""
    rows, columns = len(Q) - 1, words.stop - words.start
    # E |W x|^2 = rows * columns * std^2 * S^2 shall be SAME_WORD_PEAK * sqrt(D).
    std = math.sqrt(SAME_WORD_PEAK * root / (rows * columns * S**2))
    W = rng.normal(0, std, (rows, columns))
    Q[:-1, words] += W
    K[:-1, words] += W


def _set(parameter, values) -> None:
    values = values.astype(parameter.dtype)
    parameter.data[...] = device_of(parameter.data).from_numpy(values)

# %% [markdown]
# # Lesson 02: vectors of words
#
# For a network that gets one-hot vectors "film" is as far from "movie" as from "Thursday". This
# lesson gives every word a short row of numbers so that words with similar meaning get similar
# rows, and it takes nothing for it but text. The gradients are derived and typed in by hand. That
# is tedious on purpose: lesson 03 builds the machine that does it.
#
# **You will learn** why neighbours are enough to learn meaning from; skip-gram with negative
# sampling, CBOW and GloVe, with every gradient; how to check a gradient that you derived; what
# such vectors can do (neighbours, analogies, a map) and where they err; and the file formats in
# which the world exchanges them.
#
# **Expectation card**
#
# | what | expected |
# |---|---|
# | cosines of one-hot vectors | 0, for any two words |
# | the gradients by hand against differences | relative error below 1e-7 |
# | loss of section 3 at step 1 | 6 ln 2 = 4.158883: six questions, nothing known |
# | its loss at step 100 | 2.9 to 3.1, and the same as in lesson 03 to six digits |
# | neighbours of "good" | great, decent, but also bad: they keep the same company |
# | analogies of the family group, default run | skip-gram 45 to 70 %, GloVe 60 to 80 % solved |
# | the same with `--quick` (a tenth of the text) | 5 to 45 % |
# | vectors that are written and read again | the same numbers |
# | broken: the loss stays at 4.158883 | both tables began with zeros: all gradients are zero |
# | broken: the loss rises or is nan | the rate is too high for a sum; take the mean |
# | broken: neighbours are rare words without sense | too little text, or too few epochs |
# | broken: all cosines are near 1 | no subsampling: everything stands next to "the" |

# %%
import json
import time
from pathlib import Path

import numpy as np

from minillm.data.cooccurrence import count_cooccurrences
from minillm.data.word_pairs import (
    NegativeSampler,
    WordCounts,
    keep_probability,
    skip_gram_pairs,
    split_words,
    subsample,
)
from minillm.evaluation.pictures import pyplot
from minillm.evaluation.word_vectors import evaluate_word_analogies
from minillm.lessons import arguments, pictures, say, some_texts, table
from minillm.models.glove import GloVe
from minillm.models.keyed_vectors import KeyedVectors
from minillm.models.word2vec import Word2Vec
from minillm.text import clean_text


def add_options(parser):
    parser.add_argument(
        "--vectors", type=Path, help="explore vectors from a file instead of training some"
    )
    parser.add_argument("--words", nargs="+", help="words whose neighbours you want to see")


options = arguments("02_word_vectors", "From counting neighbours to vectors of words.", add_options)
results = {}  # the numbers of this run, written to results.json at the end


def open_vectors(path):
    """KeyedVectors from word2vec's binary format (.bin), its text format, or GloVe's."""
    if path.suffix == ".bin":
        return KeyedVectors.load_word2vec_format(path, binary=True)
    with open(path, "rb") as file:
        first = file.readline(1000).split()  # "V d", or in GloVe's format a word and its numbers
    return KeyedVectors.load_word2vec_format(path, no_header=len(first) != 2)


given = open_vectors(options.vectors) if options.vectors else None  # a bad file is found at once
if given is not None and not any(word in given for word in options.words or given.index_to_key):
    raise ValueError(f"{options.vectors} has a vector for none of: {' '.join(options.words or [])}")


# %% [markdown]
# ## 1. From one-hot to meaning
#
# A one-hot vector says which word it is and nothing else: the product of any two is 0. But text
# says more. *You shall know a word by the company it keeps* (Firth 1957): "film" and "movie"
# stand between the same words. So describe a word by its neighbours: count, for every pair of
# words, how often they stand within five words of each other. A row of this table is a vector.
#
# Frequent words are everybody's neighbours, so compare with chance: how many times more often
# than by chance do the two meet? The logarithm of that, where it is positive, is called PPMI
# (positive pointwise mutual information).
#
#     PPMI_ij = max(0, log( X_ij X / (X_i X_j) ))      X_i: the sum of row i;  X: the sum of all

# %%
corpus = some_texts(options)
texts = list(corpus.first(100_000))  # enough for this lesson
few = texts[:: max(len(texts) // (1200 if options.quick else 1600), 1)]
sentences = [split_words(clean_text(text)) for text in few]
common = WordCounts.count(sentences, min_count=5, max_vocab=2000)
X = count_cooccurrences(*common.encode(sentences), len(common), window=5).to_dense()
chance = np.outer(X.sum(axis=1), X.sum(axis=0)) / X.sum()
PPMI = np.log(np.maximum(X / np.maximum(chance, 1e-9), 1))  # max(0, log x) = log max(1, x)


def cosine(x, y):
    """x . y / (|x| |y|): 1 for the same direction, 0 for a right angle."""
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y) + 1e-12))


PAIRS = "film movie, good great, two three, his her, film three, good his, movie two, great her"
couples = [couple.split() for couple in PAIRS.split(", ")]
couples = [couple for couple in couples if all(word in common for word in couple)]
one_hot = np.eye(len(common))
say(f"{len(few):,} texts, the {len(common):,} most frequent words, cosines:")
rows = []
for a, b in couples:
    i, j = common.index[a], common.index[b]
    values = cosine(one_hot[i], one_hot[j]), cosine(X[i], X[j]), cosine(PPMI[i], PPMI[j])
    rows.append((f"{a}, {b}", *(f"{value:.2f}" for value in values)))
table(rows, ("words", "one-hot", "counts", "PPMI"))

# %% [markdown]
# The first four pairs belong together, the last four don't, and PPMI tells them apart by counting
# alone: the better, the more text there is to count. But these vectors are as long as the
# vocabulary is large, nearly all of their numbers are zero, and two rare words seldom share a
# neighbour, even if their neighbours are alike. What we want is a few dozen dense numbers. So
# instead of counting neighbours we learn to *guess* them, and throw the guesser away when it is
# trained; what stays is what it had to know about each word.
#
# ## 2. Pairs: window, subsampling, negatives
#
# **The window.** Each word is asked about its neighbours. Plainly:


# %%
def pairs_of(sentence, window):
    """All (word, neighbour) with at most `window` words from one to the other."""
    pairs = []
    for i, center in enumerate(sentence):
        for j in range(max(i - window, 0), min(i + window + 1, len(sentence))):
            if j != i:
                pairs.append((center, sentence[j]))
    return pairs


sentence = "the old man saw a good film".split()
say(f"'{' '.join(sentence)}', window 2, the pairs of the first words:")
print("    " + ", ".join(f"({c}, {o})" for c, o in pairs_of(sentence, 2)[:9]) + ", ...")

# %% [markdown]
# word2vec draws the size of the window anew for each word, from 1 to `window`. So a neighbour at
# distance k counts with probability (window - k + 1) / window: nearer ones say more about a word
# than distant ones. The library does this for a whole corpus at once; on a text in which all
# words differ we can count the distances.

# %%
generator = np.random.default_rng(options.seed)  # of this section
ids, offsets = np.arange(20_000), np.array([0, 20_000])  # one long sentence: 0 1 2 3 ...
centers, contexts = skip_gram_pairs(ids, offsets, 5, generator)
distance = np.abs(centers - contexts)
table(
    [(k, f"{(5 - k + 1) / 5:.2f}", f"{(distance == k).sum() / 40_000:.2f}") for k in range(1, 6)],
    ("distance", "expected", "counted"),
)

# %% [markdown]
# **Subsampling.** Half of a text are a few dozen words such as "the", whose neighbours are
# everything. They cost time and teach little. So an occurrence of a word with the share f of the
# text is kept only with probability (Mikolov et al. 2013, in the form of their program)
#
#     keep = min(1, sqrt(t / f) + t / f)                t = 1e-3
#
# **Negatives.** "Which of V words stands here?" would need V numbers for every pair. *Negative
# sampling* asks something cheaper, a few times: "is this word a true neighbour, or was it drawn
# at random?" One true neighbour, K drawn ones. They are drawn in proportion to count^(3/4):
# between how often words occur (power 1: mostly the same few dozen words) and all words alike
# (power 0: nearly always a word so rare that the answer is easy).

# %%
every = WordCounts.count(sentences, min_count=5)
share = every.counts / every.counts.sum()
keep = keep_probability(every.counts, sample=1e-3)
noise = NegativeSampler(every.counts)  # power 0.75
by_hand = every.counts**0.75 / (every.counts**0.75).sum()
wanted = [w for w in ("the", "film", "good", "director", "boring", "sunset") if w in every]
wanted = wanted or [every.words[i] for i in (0, len(every) // 2, len(every) - 1)]
rows = []
for word in wanted:
    i = every.index[word]
    same_for_all = 1 / len(every)
    rows.append(
        (
            word,
            f"{every.counts[i]:,}",
            *(f"{value:.3%}" for value in (share[i], keep[i], share[i], by_hand[i], same_for_all)),
        )
    )
table(rows, ("word", "count", "share", "kept", "drawn, power 1", "power 3/4", "power 0"))
ids, offsets = every.encode(sentences)
kept, _ = subsample(ids, offsets, keep, generator)
drawn = np.bincount(noise.sample(400_000, generator), minlength=len(every)) / 400_000
say(
    f"Subsampling leaves {len(kept):,} of {len(ids):,} words. The share of the ten most frequent "
    f"falls from {share[:10].sum():.1%} to {np.mean(kept < 10):.1%}. Among 400,000 negatives "
    f"{wanted[0]!r} came up in {drawn[every.index[wanted[0]]]:.3%}."
)

# %% [markdown]
# ## 3. Skip-gram, with gradients by hand
#
# Every word has two vectors: v where it is in the middle ("centre", the table W), and u where it
# is somebody's neighbour ("context", the table U). The score of a pair is the product z = u . v,
# and a logistic regression turns it into a probability: sigma(z) = 1 / (1 + e^-z). For one true
# neighbour o and K negatives k the loss is
#
#     L = -log sigma(z_o) - sum_k log sigma(-z_k)
#
# With the label y = 1 for the true neighbour and 0 for a negative, and -log sigma(x) = log(1 +
# e^-x) = softplus(-x), all K + 1 terms look alike:
#
#     L = sum_k softplus((1 - 2 y_k) z_k)
#
# **The derivative, step by step.** softplus(x) = log(1 + e^x) has the derivative
#
#     e^x / (1 + e^x) = sigma(x)
#
# so for a negative (y = 0) dL/dz = sigma(z), and for the true one (y = 1) dL/dz = -sigma(-z),
# which is sigma(z) - 1, since sigma(-z) = 1 - sigma(z). In one line:
#
#     dL/dz_k = sigma(z_k) - y_k                  what it believes, minus what is true
#
# z_k = u_k . v has the derivatives dz_k/dv = u_k and dz_k/du_k = v. The chain rule, and v occurs
# in all K + 1 scores, so its gradient is a sum:
#
#     dL/dv   = sum_k (sigma(z_k) - y_k) u_k
#     dL/du_k = (sigma(z_k) - y_k) v
#
# Read it as movements (against the gradient): v goes towards its true neighbour, away from the
# negatives, the more so the more wrong the guess was.


# %%
def sigmoid(z):
    """1 / (1 + e^-z). In this form no power of e can overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def one_pair(v, u):
    """v (d,); u (1 + K, d): the true neighbour, then the negatives. Loss, dv, du."""
    y = np.zeros(len(u))
    y[0] = 1
    z = u @ v
    loss = np.logaddexp(0, (1 - 2 * y) * z).sum()  # log(e^0 + e^x) = softplus(x), without overflow
    dz = sigmoid(z) - y
    dv = sum(dz[k] * u[k] for k in range(len(u)))
    du = np.array([dz[k] * v for k in range(len(u))])
    return loss, dv, du


v, u = np.array([1.0, 0.0]), np.array([[2.0, 1.0], [0.0, 1.0]])
loss, dv, du = one_pair(v, u)
dv, du = np.round(dv, 4) + 0.0, np.round(du, 4) + 0.0  # + 0.0 makes -0.0 a 0
say("One pair and one negative, to follow with a pencil: v = (1, 0), u_o = (2, 1), u_k = (0, 1)")
print("    z = (2, 0);  sigma(z) - y = (0.8808 - 1, 0.5 - 0) = (-0.1192, 0.5)")
print(f"    loss = log(1 + e^-2) + log 2 = {loss:.4f}")
print(f"    dv = -0.1192 (2, 1) + 0.5 (0, 1) = {dv}")
print(f"    du_o = -0.1192 (1, 0) = {du[0]},   du_k = 0.5 (1, 0) = {du[1]}")

# %% [markdown]
# **For many pairs at once**, in arrays. One line for each line of the derivation; the shapes are
# on the right. The only trap is the last step: a word that occurs several times in the batch must
# get the *sum* of its gradients. `dW[c] += dv` would keep only the last one, silently.


# %%
def skip_gram(W, U, c, t, add=np.add.at):
    """The mean loss of B pairs, and its gradients dW, dU.

    W, U (V, d);  c (B,) centre words;  t (B, 1 + K): the true neighbour, then the negatives.
    add(table, ids, rows) adds rows[b] to table[ids[b]] for each b, repeated ids too.
    """
    B = len(c)
    y = np.zeros(t.shape)  # [B, 1+K]
    y[:, 0] = 1
    v = W[c]  # [B, d]
    u = U[t]  # [B, 1+K, d]
    z = (u * v[:, None, :]).sum(axis=2)  # [B, 1+K]
    loss = np.logaddexp(0, (1 - 2 * y) * z).sum() / B

    dz = (sigmoid(z) - y) / B  # [B, 1+K]
    dv = (dz[:, :, None] * u).sum(axis=1)  # [B, d]
    du = dz[:, :, None] * v[:, None, :]  # [B, 1+K, d]
    dW, dU = np.zeros_like(W), np.zeros_like(U)
    add(dW, c, dv)
    add(dU, t, du)
    return loss, dW, dU


# %% [markdown]
# **Is it right?** Don't trust a derivation that no computer has checked. A derivative is a
# quotient of differences: push one number of the table up and down by a little, and look at what
# the loss does.


# %%
def numerical_gradient(f, x, h=1e-5):
    """(f(x + h) - f(x - h)) / 2h for every number in x, one after the other."""
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        before = x[i]
        x[i] = before + h
        up = f()
        x[i] = before - h
        down = f()
        x[i] = before
        gradient[i] = (up - down) / (2 * h)
    return gradient


def relative_error(a, b):
    return float(np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b)))


generator = np.random.default_rng(options.seed)  # of the checks
W, U = generator.normal(size=(2, 6, 3))  # six words, three numbers each
c = np.array([0, 1, 0, 5])  # word 0 twice
t = np.array([[2, 3, 3], [0, 4, 1], [2, 1, 5], [5, 5, 2]])  # and a negative twice
_, dW, dU = skip_gram(W, U, c, t)


def loss_now():
    return skip_gram(W, U, c, t)[0]


numerical = {"W": numerical_gradient(loss_now, W), "U": numerical_gradient(loss_now, U)}


def careless_add(table, ids, rows):
    table[ids] += rows


careless = skip_gram(W, U, c, t, careless_add)[1]
results["check"] = {
    "skip-gram, dW": relative_error(dW, numerical["W"]),
    "skip-gram, dU": relative_error(dU, numerical["U"]),
}
careless_error = relative_error(careless, numerical["W"])
table(
    [
        *((name, f"{error:.0e}") for name, error in results["check"].items()),
        ("dW, with table[ids] += rows", f"{careless_error:.0e}"),
    ],
    ("gradient", "relative error"),
)

# %% [markdown]
# An error of 1e-9 or so is what the differences themselves have; a wrong gradient has one of 0.1.
#
# **Training**, on a problem so small that lesson 03 can solve it again, with a different program,
# and must reach the same loss to six digits: the first 200 texts, each a sentence; a window of 2;
# 5 negatives for each pair; vectors of 16 numbers; 100 steps of plain gradient descent with 512
# pairs each, and a rate of 20 (so large because the loss is a mean over 512 pairs: each pair
# moves its words by 20 / 512 = 0.04). All random numbers come from one generator, in a fixed
# order.

# %%
small_texts = list(corpus.first(200))
small = [split_words(clean_text(text)) for text in small_texts]
vocabulary = WordCounts.count(small, min_count=5)
ids, offsets = vocabulary.encode(small)
V, d, K, B, rate = len(vocabulary), 16, 5, 512, 20.0

generator = np.random.default_rng(options.seed)
centers, contexts = skip_gram_pairs(ids, offsets, 2, generator)
if V < 2 or not len(centers):
    raise ValueError(
        f"{corpus.name}: too little text: no two words that occur 5 times stand side by side"
    )
negatives = NegativeSampler(vocabulary.counts).sample((len(centers), K), generator)
W = generator.uniform(-0.5, 0.5, (V, d)) / d
U = np.zeros((V, d))
order = generator.permutation(len(centers))
say(f"{V:,} words, {len(ids):,} occurrences, {len(centers):,} pairs.")

targets = np.column_stack([contexts, negatives])  # [P, 1+K]
losses = []
begun = time.perf_counter()
for step in range(100):
    batch = order[np.arange(step * B, (step + 1) * B) % len(order)]
    loss, dW, dU = skip_gram(W, U, centers[batch], targets[batch])
    losses.append(loss)
    W -= rate * dW
    U -= rate * dU
seconds = time.perf_counter() - begun
table([(n, f"{losses[n - 1]:.6f}") for n in (1, 10, 25, 50, 100)], ("step", "loss"))
say(f"The loss of step 100: {losses[99]:.6f}")
say(
    f"{100 * B / seconds:,.0f} pairs a second. At step 1 all scores are 0, so each of the six "
    f"answers costs ln 2: 6 ln 2 = {6 * np.log(2):.6f}."
)
results |= {"loss_1": losses[0], "loss_100": losses[99]}
skip_gram_losses = losses

# %% [markdown]
# ## 4. CBOW
#
# *Continuous bag of words* turns the question round: from the neighbours, guess the word in the
# middle. The neighbours' vectors are averaged, and the mean h takes the place of v:
#
#     h = 1/n sum_j v_j,       z_k = u_k . h,       L = sum_k softplus((1 - 2 y_k) z_k)
#
# Nothing changes in dL/dz, and dL/dh is what dL/dv was. One step more: each neighbour has a share
# of 1/n in h, so
#
#     dL/dv_j = 1/n dL/dh
#
# The program that came with the paper forgets this 1/n: each neighbour gets the whole dL/dh. So
# did many that followed, and the vectors were worse than they had to be (Irsoy, Benton and
# Stratos 2021, "Corrected CBOW performs as well as skip-gram"). A check by differences would have
# found it.


# %%
def cbow(W, U, around, t):
    """The mean loss of B windows, and dW, dU.

    around (B, 2 window): the neighbours' ids, -1 where there is none;
    t (B, 1 + K): the word in the middle, then the negatives.
    """
    B = len(t)
    y = np.zeros(t.shape)
    y[:, 0] = 1
    here = around >= 0  # [B, 2 window]
    n = here.sum(axis=1, keepdims=True)  # [B, 1]
    v = W[around] * here[:, :, None]  # [B, 2 window, d]
    h = v.sum(axis=1) / n  # [B, d]
    u = U[t]  # [B, 1+K, d]
    z = (u * h[:, None, :]).sum(axis=2)  # [B, 1+K]
    loss = np.logaddexp(0, (1 - 2 * y) * z).sum() / B

    dz = (sigmoid(z) - y) / B
    dh = (dz[:, :, None] * u).sum(axis=1)  # [B, d]
    du = dz[:, :, None] * h[:, None, :]
    dW, dU = np.zeros_like(W), np.zeros_like(U)
    row, column = np.nonzero(here)
    np.add.at(dW, around[row, column], (dh / n)[row])
    np.add.at(dU, t, du)
    return loss, dW, dU


generator = np.random.default_rng(options.seed)  # of this check
A, C = generator.normal(size=(2, 6, 3))
around = np.array([[0, 1, 2, 2], [3, 4, -1, -1], [5, 0, 1, -1]])
t = np.array([[3, 1, 1], [0, 4, 2], [2, 5, 5]])
_, dA, dC = cbow(A, C, around, t)
results["check"] |= {
    "CBOW, dW": relative_error(dA, numerical_gradient(lambda: cbow(A, C, around, t)[0], A)),
    "CBOW, dU": relative_error(dC, numerical_gradient(lambda: cbow(A, C, around, t)[0], C)),
}
table([(n, f"{e:.0e}") for n, e in list(results["check"].items())[2:]], ("gradient", "error"))

# %%
middle, around = [], []
for begin, end in zip(offsets[:-1], offsets[1:], strict=True):
    for i in range(begin, end):
        near = [ids[j] for j in range(max(i - 2, begin), min(i + 3, end)) if j != i]
        if near:
            middle.append(ids[i])
            around.append(near + [-1] * (4 - len(near)))
around = np.array(around)  # [N, 4]
generator = np.random.default_rng(options.seed)
negatives = NegativeSampler(vocabulary.counts).sample((len(middle), K), generator)
targets = np.column_stack([middle, negatives])
A, C = generator.uniform(-0.5, 0.5, (V, d)) / d, np.zeros((V, d))
order = generator.permutation(len(middle))
cbow_losses = []
for step in range(100):
    batch = order[np.arange(step * B, (step + 1) * B) % len(order)]
    loss, dA, dC = cbow(A, C, around[batch], targets[batch])
    cbow_losses.append(loss)
    A -= rate * dA
    C -= rate * dC
say("The same texts, a hundred steps:")
table(
    [(n, f"{losses[n - 1]:.3f}", f"{cbow_losses[n - 1]:.3f}") for n in (1, 10, 25, 50, 100)],
    ("step", "skip-gram", "CBOW"),
)

# %% [markdown]
# ## 5. GloVe
#
# Skip-gram reads the text again and again and sees each pair many times. GloVe (Pennington,
# Socher and Manning 2014) counts first: X_ij says how often word j stands near word i, where a
# neighbour at distance k counts 1/k. Then it looks for vectors whose product is the logarithm of
# the count:
#
#     w_i . c_j + b_i + e_j  ~  log X_ij
#
# The biases b and e take up how frequent the words are at all. Counts by a plain loop, and the
# library's, which sorts instead:

# %%
example = "a b a c b a".split()
X = {}
for i, first in enumerate(example):
    for k in range(1, 3):  # window 2
        if i + k < len(example):
            for pair in ((first, example[i + k]), (example[i + k], first)):
                X[pair] = X.get(pair, 0) + 1 / k
letters = sorted(set(example))
ids_of_example = np.array([letters.index(letter) for letter in example])
from_library = count_cooccurrences(ids_of_example, np.array([0, 6]), 3, window=2).to_dense()
table(
    [(i, *(f"{X.get((i, j), 0):.1f}" for j in letters)) for i in letters],
    ("'a b a c b a'", *letters),
)
same = all(from_library[letters.index(i), letters.index(j)] == n for (i, j), n in X.items())
say(f"The library has the same counts: {same}.")

# %% [markdown]
# Rare pairs are mostly chance, so each has a weight f that grows with the count and ends at 1.
# With the residual r, the sum over all pairs that occur is
#
#     J = 1/2 sum f(X_ij) r_ij^2,    r_ij = w_i . c_j + b_i + e_j - log X_ij,
#     f(x) = min((x / x_max)^(3/4), 1)
#
# and the derivatives are short: d(r^2 / 2)/dr = r, so with g = f(X_ij) r_ij
#
#     dJ/dw_i = g c_j        dJ/dc_j = g w_i        dJ/db_i = g        dJ/de_j = g
#
# added up over all pairs in which the word occurs. GloVe takes steps by *AdaGrad* (Duchi et al.
# 2011): every number has its own step size, which shrinks with the gradients that it has seen. A
# frequent word gets many small steps, a rare one few large ones.
#
#     s += g^2,      x -= rate g / sqrt(s)


# %%
def glove(w, c, b, e, i, j, x, x_max=10.0):
    """J of the pairs (i, j) with the counts x (n,), and its gradients dw, dc, db, de."""
    f = np.minimum(x / x_max, 1) ** 0.75
    r = (w[i] * c[j]).sum(axis=1) + b[i] + e[j] - np.log(x)  # [n]
    J = 0.5 * (f * r * r).sum()

    g = f * r  # [n]
    gradients = dw, dc, db, de = [np.zeros_like(p) for p in (w, c, b, e)]
    np.add.at(dw, i, g[:, None] * c[j])
    np.add.at(dc, j, g[:, None] * w[i])
    np.add.at(db, i, g)
    np.add.at(de, j, g)
    return J, gradients


generator = np.random.default_rng(options.seed)
parameters = [generator.normal(size=shape) for shape in ((5, 3), (5, 3), 5, 5)]
i, j, x = np.array([0, 0, 1, 4, 2]), np.array([1, 2, 2, 4, 0]), np.array([1.0, 3, 25, 7, 0.5])
_, gradients = glove(*parameters, i, j, x)
for name, parameter, gradient in zip("wcbe", parameters, gradients, strict=True):
    checked = numerical_gradient(lambda: glove(*parameters, i, j, x)[0], parameter)
    results["check"][f"GloVe, d{name}"] = relative_error(gradient, checked)
table([(n, f"{e:.0e}") for n, e in list(results["check"].items())[4:]], ("gradient", "error"))

# %%
counted = count_cooccurrences(ids, offsets, V, window=5)
off_diagonal = counted.rows != counted.columns  # the library stores each pair once, X is symmetric
i = np.concatenate([counted.rows, counted.columns[off_diagonal]])
j = np.concatenate([counted.columns, counted.rows[off_diagonal]])
x = np.concatenate([counted.counts, counted.counts[off_diagonal]]).astype(np.float64)
say(f"The same texts: {len(x):,} of {V * V:,} entries of X are not zero.")

generator = np.random.default_rng(options.seed)
parameters = [(generator.random(shape) - 0.5) / d for shape in ((V, d), (V, d), V, V)]
squares = [np.full_like(p, 1e-8) for p in parameters]  # against 0 / 0
glove_losses = []
for _ in range(4 if options.quick else 15):
    J = 0.0
    for batch in np.array_split(generator.permutation(len(x)), max(len(x) // 2000, 1)):
        loss, gradients = glove(*parameters, i[batch], j[batch], x[batch])
        J += loss
        for p, g, s in zip(parameters, gradients, squares, strict=True):
            s += g * g
            p -= 0.05 * g / np.sqrt(s)
    glove_losses.append(J / len(x))
shown = sorted({1, 2, len(glove_losses) // 2, len(glove_losses)})
table([(n, f"{glove_losses[n - 1]:.4f}") for n in shown], ("epoch", "J / entries"))
results["glove_losses"] = glove_losses

# %% [markdown]
# Look back: all three models are made of five functions. Look up rows; take the mean of a window;
# a product; the logarithm of sigma; a weighted sum of squares. We derived each of them again for
# each model, with the sums over repeated words. Lesson 03 writes each of the five once, with its
# backward, and lets a program put them together.
#
# ## 6. Neighbours, analogies, a map
#
# Now with the library's fast forms (`models/word2vec.py`, `models/glove.py`: the same formulas,
# many pairs in one matrix product), on a part of the reviews that is large enough to learn
# something from. (Two threads change the same tables without waiting for each other, so the
# digits of skip-gram differ a little from run to run.)

# %%
models, rows = {}, []
if given is not None:
    models[options.vectors.name] = given
else:
    limit = 300_000 if options.quick else 3_000_000  # words, about
    letters_of_a_text = np.mean([len(text) for text in few])
    step = max(round(len(texts) * letters_of_a_text / 5.5 / limit), 1)
    sentences = [split_words(clean_text(text)) for text in texts[::step]]
    n_words = sum(map(len, sentences))
    say(f"{len(sentences):,} texts of {corpus.name}, {n_words:,} words:")
    for name, train, epochs in (
        ("skip-gram", lambda n: Word2Vec(sentences, 64, sg=1, epochs=n, seed=options.seed), 5),
        ("GloVe", lambda n: GloVe(sentences, 64, x_max=10, epochs=n, seed=options.seed), 15),
    ):
        begun = time.perf_counter()
        models[name] = train(epochs).wv
        rows.append((name, epochs, len(models[name]), f"{time.perf_counter() - begun:.1f}"))
    table(rows, ("model", "epochs", "words with a vector", "seconds"))

# %% [markdown]
# **Neighbours** are the words with the largest cosine. Look for what is good and what is strange.
# Words of opposite meaning are neighbours, since they stand in the same places: the vectors know
# that "good" and "bad" are both judgements, and can hardly tell which is which.

# %%
words = options.words or ["good", "terrible", "actress", "three", "film", "quickly", "laughing"]
missing = [w for w in words if not any(w in wv for wv in models.values())]
if options.words and missing:
    say(f"No vector for: {', '.join(missing)}.")
any_model = next(iter(models.values()))
words = [w for w in words if w not in missing] or any_model.index_to_key[20:26]
neighbours = {
    name: {w: wv.most_similar(w, topn=6) for w in words if w in wv} for name, wv in models.items()
}
for name, found in neighbours.items():
    table(
        [(w, ", ".join(f"{n} {cos:.2f}" for n, cos in near)) for w, near in found.items()],
        ("word", f"{name}: nearest, with the cosine"),
    )

# %% [markdown]
# **Analogies.** If the step from "man" to "woman" is the same as that from "king" to "queen",
# then king - man + woman should end near "queen" (Mikolov et al. 2013):
#
#     answer = the word whose cosine with  v(b) - v(a) + v(c)  is largest, a, b and c left out
#
# with vectors of length 1. Below all questions that can be made of two lists of pairs. Guessing
# among ten thousand words would get 0.01 % of them.

# %%
FAMILY = (
    "man woman, men women, boy girl, boys girls, he she, his her, himself herself, father mother, "
    "son daughter, sons daughters, brother sister, brothers sisters, husband wife, king queen, "
    "actor actress, actors actresses, uncle aunt, prince princess, hero heroine"
)
COMPARISON = (
    "good better, bad worse, big bigger, old older, young younger, fast faster, long longer, "
    "strong stronger, great greater, high higher, late later, short shorter, deep deeper, "
    "dark darker, funny funnier, hard harder, easy easier, close closer, small smaller"
)


def questions(name, pairs):
    """The lines of a file of analogies: a is to b as c is to d, for any two of the pairs."""
    pairs = pairs.split(", ")
    return [f": {name}"] + [f"{p} {q}" for p in pairs for q in pairs if p != q]


lines = questions("family", FAMILY) + questions("comparison", COMPARISON)
path = options.out / "questions.txt"
path.write_text("\n".join(lines) + "\n", encoding="utf-8")
rows = []
for name, wv in models.items():
    for group, solved in evaluate_word_analogies(wv, path).items():
        if solved.total:
            rows.append((name, group, solved.total, solved.missing, f"{solved.accuracy:.1%}"))
            results[f"{name}, {group}"] = solved.accuracy
if rows:
    table(rows, ("model", "group", "questions", "with unknown words", "solved"))


def answers(wv, a, b, c):
    return wv.most_similar(positive=[b, c], negative=[a], topn=3)


EXAMPLES = "man woman king, he she himself, actor actress hero, good better bad, film films actor"
for name, wv in models.items():
    asked = [e.split() for e in EXAMPLES.split(", ") if all(w in wv for w in e.split())]
    rows = [
        (f"{a} : {b} = {c} : ?", ", ".join(word for word, _ in answers(wv, a, b, c)))
        for a, b, c in asked
    ]
    if rows:
        table(rows, (name, "answers"))

# %% [markdown]
# In film reviews, the king is mostly Stephen King, and no queen is near: what the vectors know
# they have from the texts. Prejudices included: ask a large collection of news for man : doctor =
# woman : ?
#
# **A map.** 64 dimensions can't be drawn, two can. Principal component analysis looks for the two
# directions in which the vectors differ most. By hand it is three lines: subtract the mean; take
# the singular value decomposition X = P S Q^T, whose rows of Q^T are the directions, ordered by
# how much they explain; keep two columns of P S.

# %%
GROUPS = {
    "numbers": "two three four five six seven eight nine ten",
    "family": "mother father son daughter brother sister husband wife",
    "praise": "great excellent superb wonderful fantastic brilliant amazing",
    "blame": "terrible awful horrible bad boring dull stupid",
    "genres": "comedy horror thriller drama romance western",
    "verbs": "went came took gave saw made",
}


def principal_components(X, n=2):
    """X (N, d) -> (N, n), and the part of the variance that they explain."""
    X = X - X.mean(axis=0)
    P, S, _ = np.linalg.svd(X, full_matrices=False)
    return P[:, :n] * S[:n], float((S[:n] ** 2).sum() / (S**2).sum())


LINE = {"arrowstyle": "-", "color": "0.7", "linewidth": 0.6}  # from a label to its point
plt = pyplot()
figure, axes = plt.subplots(
    1, len(models), figsize=(7 * len(models), 6), layout="constrained", squeeze=False
)
for axis, (name, wv) in zip(axes[0], models.items(), strict=True):
    groups = {g: [w for w in line.split() if w in wv] for g, line in GROUPS.items()}
    if sum(map(len, groups.values())) < 10:  # another language
        groups = {"frequent words": wv.index_to_key[20:60] or wv.index_to_key}
    shown = [word for members in groups.values() for word in members]
    if len(shown) < 3 or wv.vector_size < 2:
        axis.set_title(f"{name}: too few words for a map")
        continue

    vectors = np.array([wv[word] / np.linalg.norm(wv[word]) for word in shown], dtype=np.float64)
    points, explained = principal_components(vectors)
    place = dict(zip(shown, points, strict=True))
    colour = {}
    for k, (group, members) in enumerate(groups.items()):
        colour |= dict.fromkeys(members, f"C{k}")
        if members:
            xy = np.array([place[word] for word in members])
            axis.scatter(*xy.T, s=14, color=f"C{k}", label=group)

    width, height = 0.13 * np.ptp(points[:, 0]), 0.03 * np.ptp(points[:, 1])  # of a label
    labels = []
    for word in sorted(shown, key=lambda w: place[w][1]):  # none may cover another:
        for k in range(100):  # beside the point, a little higher, a little lower, higher ...
            at = place[word] + (0.1 * width, (-1) ** k * ((k + 1) // 2) * 0.5 * height)
            if all(abs(at[0] - x) >= width or abs(at[1] - y) >= height for x, y in labels):
                break
        labels.append(at)
        how = {"fontsize": 8, "va": "center", "color": colour[word], "arrowprops": LINE}
        axis.annotate(word, place[word], at, **how)

    axis.set(title=f"{name}: two directions, {explained:.0%} of the variance")
    axis.margins(0.15, 0.2)
    axis.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=6)
figure.savefig(options.out / "map.png", dpi=110)
plt.close(figure)

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
left.plot(range(1, 101), skip_gram_losses, label="skip-gram")
left.plot(range(1, 101), cbow_losses, label="CBOW")
left.axhline(6 * np.log(2), linestyle=":", color="0.4", label="6 ln 2: nothing known")
left.set(xlabel="step", ylabel="loss", title="negative sampling, by hand")
left.legend()
counts = np.arange(0, 20.1, 0.1)
middle.plot(counts, np.minimum(counts / 10, 1) ** 0.75)
middle.set(xlabel="count", ylabel="weight", title="GloVe's weight f, x_max = 10")
right.plot(range(1, len(glove_losses) + 1), glove_losses, marker=".")
right.set(xlabel="epoch", ylabel="J / entries", title="GloVe, by hand", ylim=(0, None))
figure.savefig(options.out / "losses.png", dpi=110)
plt.close(figure)
pictures(options.out / "map.png", options.out / "losses.png")

# %% [markdown]
# `map.png`: numbers, family and judgements lie apart; praise and blame lie close to each other,
# as the neighbours said. (Two of 64 directions can't show everything: look at the part that they
# explain.) `losses.png`: sections 3 to 5. At first nothing moves, since all vectors are close to
# zero and so are all gradients; then the frequent words find their places, then the others.
#
# ## 7. Vectors as files
#
# Three formats have been the world's for ten years. word2vec's *text*: a line "V d", then a line
# for each word, with its d numbers. word2vec's *binary*: the same first line, then each word, a
# space, and 4 d bytes. *GloVe's*: the text without the first line. gensim and many others open
# all three.

# %%
wv, stem = any_model, "vectors"
if given is not None:  # a few of them, and not in the place of those that were trained
    wv = KeyedVectors(given.index_to_key[:1000], given.vectors[:1000])
    stem = "sample"
FORMATS = {
    f"{stem}.txt": ("word2vec, text", {"binary": False}, {"binary": False}),
    f"{stem}.bin": ("word2vec, binary", {"binary": True}, {"binary": True}),
    f"{stem}.glove.txt": ("GloVe", {"write_header": False}, {"no_header": True}),
}
rows, equal = [], True
for file_name, (name, how_to_write, how_to_read) in FORMATS.items():
    path = options.out / file_name
    wv.save_word2vec_format(path, **how_to_write)
    again = KeyedVectors.load_word2vec_format(path, **how_to_read)
    error = float(np.abs(again.vectors - wv.vectors).max())
    equal = equal and again.index_to_key == wv.index_to_key and error < 1e-6
    start = path.read_bytes()[:26]
    rows.append((file_name, name, f"{path.stat().st_size:,}", f"{error:.0e}", repr(start)[2:-1]))
table(rows, ("file", "format", "bytes", "largest difference", "begins with"))
results["files_equal"] = equal
(options.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
say(
    f"In {options.out}. Explore them, or vectors that you downloaded: python "
    f"lessons/02_word_vectors.py --vectors {options.out / f'{stem}.bin'} --words good film"
)

# %% [markdown]
# ## Questions
#
# 1. Why does each word need two vectors? What would happen to the pair (film, film) if W and U
#    were the same table?
# 2. In section 3, let U begin with small random numbers and W with zeros. Does the loss still
#    fall? And if both are zero?
# 3. A word that occurs once has random-looking neighbours. Why, and which option of the library
#    hides it?
# 4. How many numbers does X of section 5 have for V = 100,000, and why can GloVe work with it at
#    all?
# 5. A negative may by chance be the true neighbour. How often is that for "the"? Does it matter?
# 6. "good" and "bad" are neighbours. For a task such as lesson 06's, which texts or labels would
#    part them?
# 7. Why is the window of GloVe wider, and what do neighbours look like with a window of 1? Try
#    it.
#
# ## Exercise
#
# `lessons/exercises/ex02_word_vectors.py`: pairs, subsampling, negatives, the gradients of
# skip-gram, CBOW and GloVe, nearest words. Grade yourself with
#
#     python -m pytest tests/exercises -k ex02

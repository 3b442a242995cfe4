"""Graders of lesson 05's exercises: pretraining BERT."""

import numpy as np
from grading.answer import Rng, rng
from grading.compare import as_numbers
from grading.draws import follows_the_generator

PAD, UNK, CLS, SEP, MASK = range(5)
IGNORED = -100
LN3 = np.log(3.0)


def numbers(answer, value, shape, what, case):
    """`value` as an array of the given shape, or the answer is wrong."""
    array = as_numbers(value)
    answer.require(
        array is not None and array.shape == shape and array.dtype.kind in "biuf",
        f"{what} must be numbers of shape {shape}",
        case=case,
        value=value,
    )
    return array


def test_choose_masked(answer):
    example = np.array([[CLS, 7, 8, 9, SEP, PAD]])
    chosen = numbers(answer, answer(example, 1.0, Rng(0)), (1, 6), "the answer", None) != 0
    right = example > MASK
    hint = "with probability 1 all ordinary tokens are chosen"
    if (chosen & ~right)[0, :-1].any():
        hint = "special tokens are never chosen (ids 0 to 4)"
    elif chosen[0, -1]:
        hint = "padding was chosen: padding is a special token too, there is nothing to ask for"
    elif chosen.any():
        hint = "too few: a token is drawn twice? (rng.choice needs replace=False)"
    answer.require((chosen == right).all(), hint, None, chosen, right)

    # Rows of 1, 3, 12 and 20 ordinary tokens; 0.15 of them are 1 (at least), 1 (at least), 2, 3.
    n, L, p = np.array([1, 3, 12, 20]), 26, 0.15
    ids = np.full((4, L), PAD)
    for row, count in zip(ids, n, strict=True):
        row[: count + 4] = [CLS, UNK, *range(5, 5 + count), MASK, SEP]
    wanted = np.array([1, 1, 2, 3])
    what = "the answer"
    seeds = range(40)
    chosen = np.array(
        [numbers(answer, answer(ids, p, Rng(s)), ids.shape, what, f"seed {s}") for s in seeds], bool
    )
    example = f"rows of {n.tolist()} ordinary tokens, probability {p}"
    answer.require(
        not (chosen & (ids == PAD)).any(),
        "padding was chosen: padding is a special token too, there is nothing to ask for",
        case=example,
    )
    answer.require(
        not (chosen & (ids <= MASK)).any(),
        "special tokens are never chosen (ids 0 to 4)",
        case=example,
    )
    counts = chosen.sum(axis=2)  # (seeds, rows)
    if (counts != wanted).any():
        s = int(np.argmax((counts != wanted).any(axis=1)))
        if (counts != counts[0]).any() and (counts > wanted).any():
            hint = "the number varies: a coin for each token gives p n on average, not exactly"
        elif (counts != counts[0]).any() and counts.min() >= 1:
            hint = "sometimes too few: a token is drawn twice, draw with replace=False"
        elif (counts == 0).any():
            hint = "a short row got none: at least one token must be chosen, max(1, ...)"
        elif (counts[0] == np.maximum(1, (p * n).astype(int))).all():
            hint = "round, don't cut off: 1.8 is nearer to 2 than to 1"
        elif (counts[0] >= wanted).all():
            hint = "too many: n is the number of ordinary tokens, yours counts the special tokens"
        else:
            hint = "the number of chosen tokens in each row isn't max(1, round(p n))"
        answer.require(False, hint, example, counts[s].tolist(), wanted.tolist())

    # 2,000 equal rows, 2 of 10 tokens: each is chosen 400 times, give or take 5.5 sigma = 99.
    ids = np.tile(np.r_[CLS, np.arange(5, 15), SEP], (2000, 1))
    draws = numbers(answer, answer(ids, 0.2, Rng(1)), ids.shape, what, "2,000 equal rows") != 0
    often = draws.sum(axis=0)[1:-1]
    case = (
        "2,000 rows of 10 ordinary tokens, probability 0.2: how often each place is chosen (about)"
    )
    answer.require(
        (often[:2] < 2000).any(),
        "always the first tokens of a row: choose at random",
        case,
        often.tolist(),
        [400] * 10,
    )
    answer.require(
        not (draws == draws[0]).all(),
        "all rows get the same choice: draw for each row anew",
        case,
        often.tolist(),
        [400] * 10,
    )
    answer.require(
        (abs(often - 400) < 99).all(),
        "some places are chosen more often than others: all tokens must have the same chance",
        case,
        often.tolist(),
        [400] * 10,
    )
    follows_the_generator(answer, lambda seed: answer(ids[:20], 0.2, Rng(seed)))


def test_mask_tokens(answer):
    V, L = 30, 60
    generator = rng("mask_tokens")
    inputs, outputs, chosen = [], [], []
    example = np.array([[CLS, 7, 8, SEP]]), np.array([[False, True, False, False]]), 10
    for seed in range(21):
        if seed == 0:
            ids, asked, vocab = example
        else:
            ids, vocab = generator.integers(5, V, (20, L)), V
            ids[:, 0], ids[:, -2], ids[:, -1] = CLS, SEP, PAD
            asked = (generator.random(ids.shape) < 0.5) & (ids > MASK)
        value = answer(ids, asked, vocab, Rng(seed))
        case = {"ids": ids, "chosen": asked}
        answer.require(
            isinstance(value, (list, tuple, np.ndarray)) and len(value) == 2,
            "return two arrays, input_ids and labels",
            case,
            value,
        )
        out = numbers(answer, value[0], ids.shape, "input_ids", case)
        labels = numbers(answer, value[1], ids.shape, "labels", case)
        right = np.where(asked, ids, IGNORED)
        if (labels != right)[~asked].any():
            hint = "labels are the id where a token is chosen, and -100 elsewhere"
            answer.require(False, hint, case, labels, right)
        if (labels != right).any():
            hint = "the labels of the chosen tokens must be the original ids"
            if (labels == out)[asked].all():
                hint += ": yours are the labels after hiding, take them before"
            answer.require(False, hint, case, labels, right)
        answer.require(
            (out == ids)[~asked].all(), "only chosen tokens may change in input_ids", case, out
        )
        if seed:
            inputs.append(ids), outputs.append(out), chosen.append(asked)

    ids, out, asked = np.array(inputs), np.array(outputs), np.array(chosen)  # (20, 20, L)
    masked, kept = asked & (out == MASK), asked & (out == ids)
    random = asked & ~masked & ~kept
    n = asked.sum()
    shares = [round(float(part.sum() / n), 3) for part in (masked, random, kept)]
    wanted = [0.8, 0.096, 0.104]  # a random token is now and then the one that stood there
    case = f"{n} chosen tokens: the parts that became [MASK], another token, stayed"

    def require(condition, hint):
        answer.require(bool(condition), hint, case, shares, wanted)

    require(shares[0] < 1, "all chosen tokens became [MASK]: a tenth must be random, a tenth stay")
    in_row = [masked[i, b][asked[i, b]].mean() for i in range(20) for b in range(20)]
    require(
        any(0 < share < 1 for share in in_row),
        "one die for all tokens of a row: each chosen token must throw its own",
    )
    new = out[random]
    of_call = [out[i][random[i]] for i in range(20)]

    def require_of_tokens(condition, hint):
        case = f"the random tokens of a call, vocab_size {V}"
        answer.require(bool(condition), hint, case, of_call[0][:20])

    require_of_tokens(
        not (new >= V).any() and not (new < 0).any(),
        "ids outside of the vocabulary: a position where an id was due (draw from 5 to V - 1)",
    )
    require_of_tokens(not (new < 5).any(), "a special token as the random one: draw ids from 5 on")
    require_of_tokens(
        not any(len(t) > 10 and (t == t[0]).all() for t in of_call),
        "one random token for all: draw a token for each place",
    )
    # Each part is a mean of n = 11,000 tosses: 0.025 are more than 5.5 sigma.
    if abs(shares[0] - 0.8) > 0.025:
        hint = "80/10/10 in another order: [MASK] is the share of 80 %"
        require(False, hint if shares[0] < 0.5 else "[MASK] must stand for 80 % of the chosen")
    hint = "a random token must stand for 10 % of the chosen"
    if shares[1] < 0.04:
        hint = "too few random tokens: was a second die thrown for those that the first left over?"
    require(abs(shares[1] - 0.096) < 0.025, hint)
    often = np.bincount(new, minlength=V)[5:]  # 25 ids, each 42 times
    case = f"how often each id from 5 to {V - 1} was a random token, in 20 calls"
    answer.require(
        often[-1] > 0 or not often[:-1].all(),
        "the last id is never drawn: rng.integers(5, V) ends at V - 1 already",
        case,
        often,
    )
    answer.require(
        often.min() > 0 and often.max() < 3 * often.mean(),
        "not every ordinary token is drawn as the random one with the same chance",
        case,
        often,
    )
    follows_the_generator(answer, lambda seed: answer(ids[0, :9], asked[0, :9], V, Rng(seed)))


def test_sentence_pairs(answer):
    small = [["I came.", "I saw."], ["It rained.", "It poured."]]
    single = [["Alone."], ["One.", "Two.", "Three."]]
    corpus = [[f"{d}{i}" for i in range(n)] for d, n in zip("abcd", (3, 4, 3, 4), strict=True)]
    labels, negatives = [], []
    cases = [*[(small, seed) for seed in range(4)], *[(single, seed) for seed in range(10)]]
    for documents, seed in cases + [(corpus, seed) for seed in range(120)]:
        pairs = answer(documents, Rng(seed))
        of_document = {s: d for d, document in enumerate(documents) for s in document}
        following = {a: b for document in documents for a, b in zip(document, document[1:])}  # noqa: B905
        firsts = list(following)

        def require(condition, hint, pairs=pairs, documents=documents):
            answer.require(bool(condition), hint, f"documents {documents}", pairs)

        require(
            isinstance(pairs, (list, tuple))
            and all(
                isinstance(pair, (list, tuple)) and len(pair) == 3 and pair[2] in (0, 1)
                for pair in pairs
            ),
            "return a list of (a, b, label), the label 0 or 1",
        )
        require(
            all(a in of_document and b in of_document for a, b, _ in pairs),
            "a and b must be sentences of the documents",
        )
        true = [(a, b) for a, b, label in pairs if label == 0]
        mine = [a for a, _, _ in pairs]
        backwards = all(following.get(b) == a for a, b in true)
        if not true:
            backwards = mine != firsts and [b for _, b, _ in pairs] == firsts
        require(not backwards, "a and b are swapped: b is the sentence that follows a")
        if mine != firsts:
            hint = "one pair for each sentence that has a next one, in reading order"
            if set(mine) > set(firsts):
                hint = "a pair reaches across the border of two documents: the last sentence of "
                hint += "a document has no next one"
            elif len(mine) < len(firsts):
                hint = "pairs are missing: is the last pair of each document left out?"
            answer.require(
                False, hint, f"the first sentences of the pairs of {documents}", mine, firsts
            )
        for a, b, label in pairs:
            other = of_document[a] != of_document[b]
            same_document = "negatives from the same document: a random b must be of another one"
            if all((following[x] == y) == (z == 1) for x, y, z in pairs):
                hint = "0 and 1 are swapped: 0 means that b follows a"
                require(False, hint if true else f"{hint}. (Or {same_document})")
            require(label == 1 or following[a] == b, "with label 0, b is the sentence after a")
            require(label == 0 or other, same_document)
        if documents is corpus:
            labels.append([label for _, _, label in pairs])
            negatives += [(a, b) for a, b, label in pairs if label]

    labels = np.array(labels)  # (120 calls, 10 pairs)
    share = round(float(labels.mean()), 3)
    case, wanted = "1,200 pairs: the share of random ones (about)", 0.5
    answer.require(share > 0, "only true pairs: half of them must be random", case, share, wanted)
    answer.require(
        (labels != labels[0]).any(),
        "the labels are the same in every call: toss a coin for each pair, from `rng`",
        case,
        share,
        wanted,
    )
    answer.require(
        (labels != labels[:, :1]).any(),
        "all pairs of a call have the same label: toss a coin for each pair",
        case,
        share,
        wanted,
    )
    # 1,200 coins: 0.08 are 5.5 sigma.
    hint = "half of the pairs must be random ones"
    answer.require(abs(share - 0.5) < 0.08, hint, case, share, wanted)
    drawn_from = {(a[0], b[0]) for a, b in negatives}
    answer.require(
        len(drawn_from) == 12,
        "some documents are never drawn from: a random b may be of every other document",
        "1,200 pairs of 4 documents: pairs of documents that negatives come from",
        len(drawn_from),
        12,
    )
    never = {s for document in corpus for s in document} - {b for _, b in negatives}
    answer.require(
        not never,
        f"never drawn as a random b: {', '.join(sorted(never))}; every sentence can be drawn",
        "1,200 pairs of 4 documents",
    )
    follows_the_generator(
        answer, lambda seed: [answer(corpus, Rng(3 * seed + i)) for i in range(3)]
    )


def test_pack_pair(answer):
    answer.equals([7, 8, 9], [10, 11], 10)
    answer.equals([7, 8, 9], [10, 11], 6)
    answer.equals([7], [8], 5)
    answer.equals([7], [8, 9, 10, 11, 12], 8)
    generator = rng("pack_pair")
    for _ in range(20):
        a, b = (generator.integers(5, 100, generator.integers(1, 9)).tolist() for _ in "ab")
        answer.equals(a, b, int(generator.integers(5, 20)))


def test_bert_embeddings(answer):
    word, position = (
        np.array([[0.0, 0], [1, 2], [3, 4]]),
        np.array([[10.0, 20], [30, 40], [50, 60]]),
    )
    token_type = np.array([[100.0, 200], [300, 400]])
    answer.equals(np.array([[2, 1]]), np.array([[0, 1]]), word, position, token_type)
    answer.equals(np.array([[1], [2]]), np.array([[0], [0]]), word, position, token_type)
    generator = rng("bert_embeddings")
    for B, L, H in [(1, 3, 2), (3, 2, 2), (2, 4, 3), (4, 4, 5), (3, 5, 5)]:
        answer.equals(
            generator.integers(0, 7, (B, L)),
            generator.integers(0, 2, (B, L)),
            *(generator.normal(size=(rows, H)) for rows in (7, 8, 2)),
        )


def test_mlm_loss(answer):
    logits = np.array([[[0.0, 0], [0, LN3]]])
    answer.equals(logits, np.array([[-100, 1]]))
    generator = rng("mlm_loss")
    labels = np.array([[-100, 1, 3], [0, 2, 0]])
    answer.equals(generator.normal(size=(2, 3, 4)), labels)
    answer.equals(logits, np.array([[0, 1]]))
    for B, L, V in [(1, 5, 3), (3, 3, 3), (4, 6, 8)]:
        labels = generator.integers(0, V, (B, L))
        labels[generator.random((B, L)) < 0.6] = IGNORED
        labels[0, 1], labels[-1, :] = 0, IGNORED if B > 1 else labels[-1, :]
        answer.equals(3 * generator.normal(size=(B, L, V)), labels)
    large = np.array([[[1000.0, 998, 0], [-1000, -1001, -999]]])
    answer.equals(large, np.array([[1, 2]]))


def test_nsp_loss(answer):
    answer.equals(np.array([[0.0, 0], [0, LN3]]), np.array([0, 1]))
    generator = rng("nsp_loss")
    for B in (1, 2, 3, 8):
        answer.equals(3 * generator.normal(size=(B, 2)), generator.integers(0, 2, B))
    answer.equals(generator.normal(size=(3, 2)), np.array([0, 0, 0]))
    answer.equals(np.array([[1000.0, 999], [-1000, -1000]]), np.array([1, 0]))


def test_tied_gradient(answer):
    answer.equals(np.array([1, 1]), *map(np.array, ([[1.0], [2]], [[10.0]], [[3.0, 4]])))
    generator = rng("tied_gradient")
    for N, M, V, H in [(1, 1, 2, 2), (3, 2, 4, 2), (6, 5, 3, 4)]:
        ids = generator.integers(0, V, N)
        dembedded, hidden, dlogits = map(
            generator.normal, (0, 0, 0), (1, 1, 1), ((N, H), (M, H), (M, V))
        )
        dE = answer.equals(ids, dembedded, hidden, dlogits)
        answer.is_gradient(
            lambda E, ids=ids, hidden=hidden: np.r_[E[ids].ravel(), (hidden @ E.T).ravel()],
            (generator.normal(size=(V, H)),),
            np.r_[dembedded.ravel(), dlogits.ravel()],
            dE,
            names=("E",),
        )


def test_tied_step(answer):
    answer.equals(
        {"word": np.array([1.0, 2]), "decoder": np.array([1.0, 2]), "bias": np.array([0.5])},
        {"word": np.array([1.0, 0]), "decoder": np.array([1.0, 2]), "bias": np.array([5.0])},
        ["word", "decoder"],
        0.1,
    )
    generator = rng("tied_step")
    for names, tied in [("ab", "ab"), ("abc", "ca"), ("abcd", "abd"), ("abcde", "bd")]:
        shape = (2, 3)
        parameters = {name: generator.normal(size=shape) for name in names}
        parameters |= {name: parameters[tied[0]].copy() for name in tied}
        gradients = {name: generator.normal(size=shape) for name in names}
        answer.equals(parameters, gradients, list(tied), 0.25)

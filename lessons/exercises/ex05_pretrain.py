"""Exercises for lesson 05: pretraining BERT, from the masks to the shared weight.

Fill in the functions; NumPy and the standard library are all you need.  Grade them with

    python -m pytest tests/exercises -k ex05

The lines after >>> can be typed into Python as they stand.

Ids 0 to 4 are the special tokens named below; all others are ordinary tokens.
"""

import numpy as np

PAD, UNK, CLS, SEP, MASK = range(5)
IGNORED = -100  # the label of a place that isn't asked for


def choose_masked(ids: np.ndarray, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Choose the tokens that BERT is asked for.

    ids: (B, L) integers.  Returns a bool array (B, L), True where a token is chosen.
    A row with n ordinary tokens (n >= 1) gets exactly

        max(1, round(p n))        p = probability, 0 < p <= 1

    of them, every token with the same chance.  Special tokens (ids 0 to 4) are never chosen, and
    they don't count for n.  Take the random numbers from `rng`.

    Example: three of these tokens are ordinary. With probability 1 all of them are chosen:
        >>> rng = np.random.default_rng(0)
        >>> choose_masked(np.array([[2, 7, 8, 9, 3, 0]]), 1.0, rng)
        array([[False,  True,  True,  True, False, False]])

    With probability 0.3 one of the three would be True: 0.3 * 3 = 0.9, rounded 1.

    Difficulty: 2 of 3. Lesson 05, section 3.
    """
    raise NotImplementedError("to do")


def mask_tokens(
    ids: np.ndarray, chosen: np.ndarray, vocab_size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Hide the chosen tokens: 80 % [MASK], 10 % a random token, 10 % as it was.

    ids: (B, L) integers; chosen: (B, L) bool.  Returns (input_ids, labels), both (B, L) integers.

        labels       the original id where a token is chosen, IGNORED (-100) elsewhere
        input_ids    where a token isn't chosen: its id.  Each chosen token throws its own die:
                     with probability 0.8 it becomes MASK, with 0.1 a random ordinary token
                     (an id from 5 to vocab_size - 1, all with the same chance), with 0.1 it stays

    `ids` must not change.  Take the random numbers from `rng`.

    Example: one of four tokens is chosen.
        >>> ids, chosen = np.array([[2, 7, 8, 3]]), np.array([[False, True, False, False]])
        >>> input_ids, labels = mask_tokens(ids, chosen, 10, np.random.default_rng(0))
        >>> labels
        array([[-100,    7, -100, -100]])

    In 8 of 10 cases input_ids is [[2, 4, 8, 3]], in the others [[2, r, 8, 3]] with r from 5 to 9,
    or [[2, 7, 8, 3]].

    Difficulty: 3 of 3. Lesson 05, section 3.
    """
    raise NotImplementedError("to do")


def sentence_pairs(
    documents: list[list[str]], rng: np.random.Generator
) -> list[tuple[str, str, int]]:
    """Pairs for next sentence prediction.

    documents: two or more lists of sentences.  Returns a list of (a, b, label), in reading order:
    one for each sentence a that has a next sentence in its document.  Toss a coin for each pair:

        label 0    b is the sentence that follows a
        label 1    b is a random sentence of another document (every sentence of every other
                   document can be drawn)

    Take the random numbers from `rng`.

    Example: two documents of two sentences make two pairs.
        >>> documents = [["I came.", "I saw."], ["It rained.", "It poured."]]
        >>> pairs = sentence_pairs(documents, np.random.default_rng(0))
        >>> [a for a, b, label in pairs]
        ['I came.', 'It rained.']

    The first is ("I came.", "I saw.", 0), or ("I came.", "It rained.", 1), or
    ("I came.", "It poured.", 1).

    Difficulty: 2 of 3. Lesson 05, section 3.
    """
    raise NotImplementedError("to do")


def pack_pair(a: list[int], b: list[int], max_length: int) -> tuple[list, list, list]:
    """Make [CLS] A [SEP] B [SEP] of two segments, of the length max_length.

    a, b: ids of ordinary tokens; max_length >= 5.  Returns (input_ids, token_type_ids,
    attention_mask), each with max_length integers.

    First shorten: as long as A, B and the three special tokens are more than max_length, the
    longer segment loses its last token (B, if they are equally long).  Then put together:

        input_ids         CLS  A ... A  SEP  B ... B  SEP  PAD ...
        token_type_ids     0   0 ... 0   0   1 ... 1   1    0  ...
        attention_mask     1   1 ... 1   1   1 ... 1   1    0  ...

    Example: 3 + 2 tokens and the three special ones are 8, so two places are padding.
        >>> for row in pack_pair([7, 8, 9], [10, 11], 10):
        ...     print(row)
        [2, 7, 8, 9, 3, 10, 11, 3, 0, 0]
        [0, 0, 0, 0, 0, 1, 1, 1, 0, 0]
        [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]

    With 6 places A loses 9, then B, as long as A now, loses 11:
        >>> pack_pair([7, 8, 9], [10, 11], 6)[0]
        [2, 7, 8, 3, 10, 3]

    Difficulty: 2 of 3. Lesson 05, section 3.
    """
    raise NotImplementedError("to do")


def bert_embeddings(
    input_ids: np.ndarray,
    token_type_ids: np.ndarray,
    word: np.ndarray,
    position: np.ndarray,
    token_type: np.ndarray,
) -> np.ndarray:
    """BERT's input: what stands here, where it stands, and in which segment, added up.

    input_ids, token_type_ids: (B, L) integers; word: (V, H); position: (P, H) with P >= L;
    token_type: (2, H).  Returns (B, L, H):

        x[b, l] = word[input_ids[b, l]] + position[l] + token_type[token_type_ids[b, l]]

    (BERT's LayerNorm and dropout, which follow, are not part of this exercise.)

    Example: token 2 in segment 0, then token 1 in segment 1. The sums are 3 + 10 + 100,
    4 + 20 + 200 for the first and 1 + 30 + 300, 2 + 40 + 400 for the second:
        >>> word = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
        >>> position = np.array([[10.0, 20.0], [30.0, 40.0], [50.0, 60.0]])
        >>> token_type = np.array([[100.0, 200.0], [300.0, 400.0]])
        >>> bert_embeddings(np.array([[2, 1]]), np.array([[0, 1]]), word, position, token_type)
        array([[[113., 224.],
                [331., 442.]]])

    Difficulty: 1 of 3. Lesson 05, section 4.
    """
    raise NotImplementedError("to do")


def mlm_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """The loss of masked language modelling: cross-entropy, at the places that are asked for.

    logits: (B, L, V); labels: (B, L) integers, -100 (IGNORED) where nothing is asked.  With p the
    softmax of the logits over V, and M the number of places with a label:

        loss = -1/M  sum over the places (b, l) with a label  log p[b, l, labels[b, l]]

    Every labelled place of the batch counts the same.  Logits may be as large as 1000.

    Example: here p is [[[1/2, 1/2], [1/4, 3/4]]].
        >>> logits = np.array([[[0.0, 0.0], [0.0, np.log(3.0)]]])
        >>> round(mlm_loss(logits, np.array([[-100, 1]])), 4)  # -log(3/4)
        0.2877
        >>> round(mlm_loss(logits, np.array([[0, 1]])), 4)  # (-log(1/2) - log(3/4)) / 2
        0.4904

    Difficulty: 2 of 3. Lesson 05, section 5.
    """
    raise NotImplementedError("to do")


def nsp_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """The loss of next sentence prediction: cross-entropy of two classes, averaged over pairs.

    logits: (B, 2); labels: (B,), 0 where B follows A, 1 where it is from another text.

        loss = -1/B  sum_b log p[b, labels[b]]        p: softmax of the logits over the 2 classes

    Example: here p is [[1/2, 1/2], [1/4, 3/4]].
        >>> logits = np.array([[0.0, 0.0], [0.0, np.log(3.0)]])
        >>> round(nsp_loss(logits, np.array([0, 1])), 4)  # (-log(1/2) - log(3/4)) / 2
        0.4904

    Difficulty: 1 of 3. Lesson 05, section 5.
    """
    raise NotImplementedError("to do")


def tied_gradient(
    ids: np.ndarray, dembedded: np.ndarray, hidden: np.ndarray, dlogits: np.ndarray
) -> np.ndarray:
    """The gradient of a weight that is used twice: BERT's token vectors E, (V, H).

    At the bottom they are looked up, at the top they score the vocabulary:

        embedded = E[ids]             ids (N,) integers, embedded (N, H)
        logits = hidden @ E.T         hidden (M, H), logits (M, V)

    Given the gradients dL/dembedded (N, H) and dL/dlogits (M, V), return dL/dE (V, H): the sum of
    what both uses contribute.  (`hidden` is a given here.)  An id may stand in `ids` several times.

    Example: H = 1, V = 2. Below, token 1 stands twice: row 1 gets 1 + 2, row 0 nothing. Above, the
    rows get 3 * 10 and 4 * 10:
        >>> ids, dembedded = np.array([1, 1]), np.array([[1.0], [2.0]])
        >>> hidden, dlogits = np.array([[10.0]]), np.array([[3.0, 4.0]])
        >>> tied_gradient(ids, dembedded, hidden, dlogits)
        array([[30.],
               [43.]])

    Difficulty: 3 of 3. Lesson 05, section 4.
    """
    raise NotImplementedError("to do")


def tied_step(
    parameters: dict[str, np.ndarray],
    gradients: dict[str, np.ndarray],
    tied: list[str],
    learning_rate: float,
) -> dict[str, np.ndarray]:
    """One step of gradient descent for a network in which several names mean one weight.

    parameters: name -> array; gradients: for each name, what its own use contributes to dL/d(it).
    tied: names of one shared weight (equal arrays in `parameters`).  Returns a dict with the same
    names and new arrays:

        a parameter by itself    p - learning_rate * its gradient
        the shared weight        p - learning_rate * (the sum of its names' gradients),
                                 once, and the same under all its names

    `parameters` and `gradients` must not change.

    Example: the shared weight becomes [1, 2] - 0.1 * [1 + 1, 0 + 2], the bias 0.5 - 0.1 * 5.
        >>> E = np.array([1.0, 2.0])
        >>> parameters = {"word": E, "decoder": E.copy(), "bias": np.array([0.5])}
        >>> gradients = {"word": np.array([1.0, 0.0]), "decoder": np.array([1.0, 2.0])}
        >>> gradients["bias"] = np.array([5.0])
        >>> new = tied_step(parameters, gradients, ["word", "decoder"], 0.1)
        >>> new["word"], new["decoder"], new["bias"]
        (array([0.8, 1.8]), array([0.8, 1.8]), array([0.]))

    Difficulty: 2 of 3. Lesson 05, section 4.
    """
    raise NotImplementedError("to do")

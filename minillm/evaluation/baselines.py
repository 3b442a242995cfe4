"""What can be guessed without a network: the numbers that a pretrained model has to beat.

A masked-word accuracy of 25 % means nothing by itself.  These three guesses count in the same
training text, and are asked about the same held-out positions and pairs:

- the most frequent token, at every gap;
- the token most often seen between this left and this right neighbour;
- for next sentence prediction, how many words (weighted by rarity) the two segments share.
"""

import numpy as np


class NeighbourGuess:
    """The best guess for a gap from its two neighbours, counted in the training text.

    argmax_t count(left, t, right); if that pair of neighbours was never seen (or one of them is
    hidden), argmax_t of count(left, t) or count(t, right), whichever is larger; else the most
    frequent token.  Counting takes the first `token_limit` tokens of `encoded`, an EncodedCorpus;
    neighbours are counted within documents.
    """

    def __init__(self, encoded, vocab_size: int, token_limit: int = 20_000_000):
        self.vocab_size = V = vocab_size
        tokens = np.asarray(encoded.tokens[:token_limit], dtype=np.int64)
        self.most_frequent = int(np.bincount(tokens, minlength=V).argmax())
        # Token k begins a document where document_of changes; a context must not reach across.
        starts = np.asarray(encoded.sentence_offsets)[np.asarray(encoded.document_offsets[:-1])]
        begins = np.zeros(len(tokens), bool)
        begins[starts[starts < len(tokens)]] = True
        next_follows = ~begins[1:]  # tokens k and k + 1 stand in one document
        between = next_follows[:-1] & next_follows[1:]
        left, right = tokens[:-1][next_follows], tokens[1:][next_follows]
        self._after = _best_by_context(left, right, V)
        self._before = _best_by_context(right, left, V)
        contexts = (tokens[:-2] * V + tokens[2:])[between]
        self._between = _best_by_context(contexts, tokens[1:-1][between], V)

    def predict(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The guess for each gap; left, right: the ids beside it, -1 where one isn't visible."""
        both = (left >= 0) & (right >= 0)
        guess, seen = _look_up(self._between, np.where(both, left * self.vocab_size + right, -1))
        after, after_count = _look_up(self._after, left)
        before, before_count = _look_up(self._before, right)
        single = np.where(after_count >= before_count, after, before)
        single = np.where(np.maximum(after_count, before_count) > 0, single, self.most_frequent)
        return np.where(seen > 0, guess, single)


def _best_by_context(contexts, tokens, vocab_size) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each context that occurs (sorted): the token most often seen with it, and how often."""
    keys, counts = np.unique(contexts * vocab_size + tokens, return_counts=True)
    context, token = np.divmod(keys, vocab_size)
    order = np.lexsort((token, -counts, context))  # by context, the most frequent token first
    context, token, counts = context[order], token[order], counts[order]
    first = np.ones(len(context), bool)
    first[1:] = context[1:] != context[:-1]
    return context[first], token[first], counts[first]


def _look_up(table, contexts) -> tuple[np.ndarray, np.ndarray]:
    """(token, count) for each context; count 0 where it isn't in the table."""
    keys, tokens, counts = table
    if len(keys) == 0:
        return np.full(contexts.shape, -1), np.zeros(contexts.shape, np.int64)
    place = np.searchsorted(keys, contexts).clip(0, len(keys) - 1)
    found = keys[place] == contexts
    return np.where(found, tokens[place], -1), np.where(found, counts[place], 0)


class WordOverlap:
    """B follows A if they share enough words: sum over shared tokens of log(documents / df).

    df is the number of training documents that hold the token, counted in the first `token_limit`
    tokens of `encoded`; the threshold is the one that decides most of the pairs in
    `training_batches` rightly.
    """

    def __init__(self, encoded, vocab_size: int, training_batches, token_limit: int = 20_000_000):
        starts = np.asarray(encoded.sentence_offsets)[np.asarray(encoded.document_offsets)]
        # The documents that end within the limit (one, if the first is longer).
        starts = starts[: max(2, np.searchsorted(starts, token_limit, side="right"))]
        tokens = np.asarray(encoded.tokens[: starts[-1]], dtype=np.int64)
        document = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        present = np.unique(document * vocab_size + tokens) % vocab_size
        df = np.bincount(present, minlength=vocab_size)
        self.weight = np.log((len(starts) - 1) / np.maximum(df, 1))
        batches = list(training_batches)
        scores = np.concatenate([self.score(batch) for batch in batches])
        follows = np.concatenate([batch["next_sentence_label"] == 0 for batch in batches])
        order = np.argsort(scores)
        # With the threshold above the k lowest scores, those k are called random, the rest true.
        right = np.r_[0, np.cumsum(~follows[order])] + (
            follows.sum() - np.r_[0, np.cumsum(follows[order])]
        )
        thresholds = np.r_[-np.inf, scores[order]]
        self.threshold = thresholds[right.argmax()]

    def score(self, batch) -> np.ndarray:
        """The shared weight of each pair in a batch; masked words are put back first."""
        ids = np.where(batch["labels"] >= 0, batch["labels"], batch["input_ids"])
        scores = []
        for row, in_b, real in zip(
            ids, batch["token_type_ids"] == 1, batch["attention_mask"] == 1, strict=True
        ):
            shared = np.intersect1d(row[~in_b & real], row[in_b])
            scores.append(self.weight[shared].sum())
        return np.array(scores)

    def predict(self, batch) -> np.ndarray:
        """next_sentence_label for each pair: 0 where B is thought to follow A, else 1."""
        return np.where(self.score(batch) > self.threshold, 0, 1)

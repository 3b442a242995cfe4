"""From sentences to (word, neighbour) pairs: what word2vec and GloVe read.

    sentences = [split_words(text) for text in texts]          # lists of words
    vocabulary = WordCounts.count(sentences, min_count=5)
    ids, offsets = vocabulary.encode(sentences)                # one flat array, cut into sentences
    keep = keep_probability(vocabulary.counts, sample=1e-3)
    ids, offsets = subsample(ids, offsets, keep, generator)
    centers, contexts = skip_gram_pairs(ids, offsets, window=5, generator=generator)
    negatives = NegativeSampler(vocabulary.counts).sample((len(centers), 5), generator)

Sentences lie one behind the other in one array; sentence s is ids[offsets[s]:offsets[s + 1]].
Loops over words in Python take most of a minute for ten million words; everything behind `encode`
is arrays.

Source: Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their
Compositionality", sections 2.2 and 2.3, and the program word2vec that belongs to it.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat

import numpy as np
import regex

# A Chinese character; or the 's of "the film's"; or a run of letters, marks and digits in which
# an apostrophe may stand ("don't").
_WORD = regex.compile(r"\p{Han}|'s\b|[^\W_\p{Han}]+(?:'(?!s\b)[^\W_\p{Han}]+)*")


def split_words(text: str) -> list[str]:
    """The words of a cleaned text in lower case; punctuation is left out.

    "Don't watch the film's end. 很好看!" -> don't watch the film 's end 很 好 看
    Each Chinese character is a word by itself, as in BERT's tokenizer: nothing marks where a
    Chinese word ends.  "'s" is a word, so that "film" and "film's" share what is learned.
    """
    return _WORD.findall(text.lower().replace("’", "'"))


class WordCounts:
    """The words of a corpus and how often each occurs, most frequent first.

    words[i]   the word with the id i;  index[word] is its id
    counts[i]  how often it occurs, (V,) int64
    """

    def __init__(self, words: Sequence[str], counts: Sequence[int] | np.ndarray):
        self.words = list(words)
        self.counts = np.asarray(counts, dtype=np.int64)
        if self.counts.shape != (len(self.words),):
            raise ValueError(f"{len(self.words)} words, but counts of shape {self.counts.shape}")
        self.index = {word: i for i, word in enumerate(self.words)}
        if len(self.index) != len(self.words):
            twice = next(w for i, w in enumerate(self.words) if self.index[w] != i)
            raise ValueError(f"the word {twice!r} is listed twice")

    @classmethod
    def count(
        cls, sentences: Iterable[Sequence[str]], min_count: int = 5, max_vocab: int | None = None
    ) -> "WordCounts":
        """Count the words of `sentences`, an iterable of lists of words.

        Words that occur less than `min_count` times are left out; of the others at most the
        `max_vocab` most frequent stay.  Of equally frequent words the alphabetically first wins.
        Raises TypeError for a sentence that is a str, ValueError where no word is left.
        """
        if min_count < 0 or (max_vocab is not None and max_vocab < 1):
            raise ValueError(
                f"min_count is {min_count} and max_vocab {max_vocab}; expected min_count >= 0 and "
                f"max_vocab >= 1 or None"
            )
        counter: Counter[str] = Counter()
        for sentence in sentences:
            check_sentence(sentence)
            counter.update(sentence)
        words = [w for w, n in counter.items() if n >= min_count]
        if not words:
            raise ValueError(
                f"none of {len(counter)} different words occurs min_count={min_count} times: "
                f"give more text or a smaller min_count"
            )
        words.sort(key=lambda w: (-counter[w], w))
        words = words[:max_vocab]
        return cls(words, [counter[w] for w in words])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self.index

    def encode(self, sentences: Iterable[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        """ids (N,) int32 of all words in a row, offsets (S+1,) int64 where the sentences begin.

        Words outside the vocabulary are left out, as if they had not been written: the words
        around them become neighbours.
        """
        flat, lengths = array("i"), array("q")
        for sentence in sentences:
            check_sentence(sentence)
            before = len(flat)
            flat.extend(map(self.index.get, sentence, repeat(-1)))
            lengths.append(len(flat) - before)
        ids = np.array(flat, dtype=np.int32)
        return _keep(ids, _offsets(np.array(lengths, dtype=np.int64)), ids >= 0)


def check_sentence(sentence) -> None:
    """Raise TypeError for a str, of which every letter would be taken for a word."""
    if isinstance(sentence, str | bytes):
        raise TypeError(
            f"a sentence must be a list of words, got the {type(sentence).__name__} "
            f"{sentence[:30]!r}: use split_words(text)"
        )


def keep_probability(counts, sample: float = 1e-3) -> np.ndarray:
    """With which probability each occurrence of a word is kept; (V,) float64, at most 1.

    With f = counts / sum(counts), the word's share of the text, and t = `sample`:

        keep = sqrt(t / f) + t / f

    Half of a text are a few dozen words ("the", "of") that say little about their neighbours;
    leaving most of them out is faster, and other words get further into each other's window.
    This is the formula of the word2vec program; the paper's equation 5, keep = sqrt(t / f), is
    without the second term.  sample=0 keeps everything.
    """
    if not 0 <= sample <= 1:
        raise ValueError(f"sample is {sample}; expected 0 (keep all words) up to 1, mostly 1e-3")
    counts = np.asarray(counts, dtype=np.float64)
    if sample == 0:
        return np.ones_like(counts)
    ratio = sample * counts.sum() / np.maximum(counts, 1)  # t / f
    return np.minimum(np.sqrt(ratio) + ratio, 1.0)


def subsample(ids, offsets, keep, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """ids, offsets without the occurrences that chance leaves out: each stays with keep[id]."""
    chance = generator.random(len(ids), dtype=np.float32)
    return _keep(ids, offsets, chance < np.asarray(keep, np.float32)[ids])


def _keep(ids, offsets, mask):
    """What `mask` (N,) keeps, and where its sentences begin."""
    before = np.zeros(len(ids) + 1, dtype=np.int64)  # how many are kept before position i
    np.cumsum(mask, out=before[1:])
    return ids[mask], before[offsets]


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def window_sizes(
    offsets: np.ndarray, window: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """How many neighbours to the left and to the right of each position count: two (N,) int32.

    The dynamic window: for each position a size b is drawn from 1 .. window, so that a neighbour
    at distance k counts with probability (window - k + 1) / window: nearer ones weigh more.
    Where a sentence begins or ends sooner, the window ends there.
    """
    if window < 1:
        raise ValueError(f"window is {window}; expected at least 1")
    lengths = np.diff(offsets)
    n = int(offsets[-1])
    b = generator.integers(1, window + 1, size=n, dtype=np.int32)
    begin = np.repeat(offsets[:-1], lengths)  # of the position's sentence
    end = np.repeat(offsets[1:], lengths)
    position = np.arange(n)
    return (
        np.minimum(b, position - begin).astype(np.int32),
        np.minimum(b, end - 1 - position).astype(np.int32),
    )


def skip_gram_pairs(
    ids: np.ndarray, offsets: np.ndarray, window: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """All pairs (word, neighbour in its window): centers (P,), contexts (P,), in text order.

    Each position has a window of its own size (see `window_sizes`); pairs never cross from one
    sentence into another.  Memory: 2 * window booleans and two ids for each word, so give a large
    corpus in pieces.
    """
    ids, offsets = np.asarray(ids), np.asarray(offsets)
    left, right = window_sizes(offsets, window, generator)
    shifts = np.array([*range(-window, 0), *range(1, window + 1)])
    inside = (shifts >= -left[:, None]) & (shifts <= right[:, None])  # (N, 2 * window)
    center, column = np.nonzero(inside)
    return ids[center], ids[center + shifts[column]]


class NegativeSampler:
    """Draws words with probability P(w) proportional to counts[w] ** power: the noise of word2vec.

    power 0.75 lies between the words' own frequencies (1) and all words alike (0): a rare word is
    drawn more often than it occurs.  Without it "negative" would nearly always mean "the".
    """

    def __init__(self, counts, power: float = 0.75):
        weights = np.asarray(counts, dtype=np.float64) ** power
        if weights.ndim != 1 or not len(weights) or not np.isfinite(weights).all():
            raise ValueError("counts must be one row of non-negative numbers, one for each word")
        self.probabilities = weights / weights.sum()
        self._cumulative = np.cumsum(weights)

    def sample(self, shape, generator: np.random.Generator) -> np.ndarray:
        """Ids of the given shape, int32, drawn independently (also: twice the same).

        u uniform in [0, total) falls into the piece of width weights[w] that belongs to w.
        """
        u = generator.random(shape) * self._cumulative[-1]
        ids = np.searchsorted(self._cumulative, u, side="right")
        return np.minimum(ids, len(self.probabilities) - 1).astype(np.int32)

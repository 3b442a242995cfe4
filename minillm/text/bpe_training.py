"""Training byte-level BPE: which pairs of tokens should be merged, and in which order?

Begin with single bytes.  Again and again, merge the pair of neighbours that occurs most often in
the text into one new token, until the vocabulary is full:

    l o w,  l o w e r,  l o w       (l, o) occurs 3 times, (o, w) 3 times, (w, e) once ...
    l ow,   l ow e r,   l ow        merged (o, w), the greater of the two: see below
    low,    low e r,    low         merged (l, ow)

Pairs reach only within words, so it is enough to know how often each distinct word occurs.

A merge visits the places of its pair and no other (word_row.py).  The pairs that hold the new
token are counted when it comes into being.  The counts of all others can only fall, and nothing is
done about that at once: the heap gives the pair that was the most frequent when it was last
counted; if it has become rarer, it goes back with its new count, else it is the most frequent.
So the work is a few passes over the places of each merged pair, n of them at most for n bytes, not
n for each merge, however long a single word may be.

Ties: of equally frequent pairs the greatest is merged first, by its left token's bytes, then by
its right one's.  So the result doesn't depend on the order of the texts.
(The Hugging Face trainer takes the pair with the smallest ids; ties="ids" does as it does.)
Source: Sennrich, Haddow and Birch 2016, "Neural machine translation of rare words with subword
units", algorithm 1.
"""

import heapq
from collections.abc import Mapping, Sequence

import numpy as np
from tqdm import tqdm

from minillm.text.bpe_model import Pair
from minillm.text.byte_alphabet import CHARACTERS
from minillm.text.word_row import FoundPair, WordRow

TIES = ("bytes", "ids")
MOST_CANDIDATES = 100_000  # so many pairs are waited with at a time: it bounds the memory


def check_ties(ties: str) -> None:
    """Raise ValueError for an unknown rule."""
    if ties not in TIES:
        raise ValueError(f"ties is {ties!r}; expected one of {', '.join(map(repr, TIES))}")


def learn_merges(
    word_counts: Mapping[str, int],
    vocab_size: int,
    min_frequency: int = 2,
    special_tokens: Sequence[str] = (),
    ties: str = "bytes",
    show_progress: bool = False,
) -> tuple[list[str], list[tuple[str, str]]]:
    """Learn from {word: how often}; return (tokens in the order of their ids, merges).

    Ids: special tokens, the 256 bytes in the order of their characters, then merged tokens.
    Learning ends early when no pair occurs `min_frequency` times.

    Raises ValueError for a vocab_size that can't hold special tokens and bytes.
    """
    tokens = [*special_tokens, *sorted(CHARACTERS)]
    if len(tokens) > vocab_size:
        raise ValueError(
            f"vocab_size is {vocab_size}; expected at least {len(tokens)}: 256 bytes and "
            f"{len(special_tokens)} special tokens"
        )
    tokens = list(dict.fromkeys(tokens))
    ids = {token: id for id, token in enumerate(tokens)}
    merges: list[tuple[str, str]] = []
    order = [_descending(token) for token in tokens]  # order[id]: greater bytes, smaller string
    min_frequency = max(min_frequency, 1)
    row = WordRow(word_counts, np.array([ids[character] for character in CHARACTERS]))
    candidates: dict[Pair, FoundPair] = {}  # as they were when they were last counted
    heap: list[tuple] = []

    def wait(found: FoundPair) -> None:
        """The heap gives the smallest entry first: the highest count, then as `ties` says."""
        candidates[found.pair] = found
        if ties == "ids":
            heapq.heappush(heap, (-found.count, found.pair))
        else:
            left, right = found.pair
            heapq.heappush(heap, (-found.count, order[left], order[right], found.pair))

    with tqdm(
        total=vocab_size - len(tokens), desc="merging pairs", disable=not show_progress
    ) as bar:
        least = 0  # pairs that are rarer than that aren't candidates yet
        while least != min_frequency and len(tokens) < vocab_size:
            least, frequent = row.frequent_pairs(min_frequency, MOST_CANDIDATES)
            for found in frequent:
                wait(found)
            while heap and len(tokens) < vocab_size:
                count, *_, pair = heapq.heappop(heap)
                if pair not in candidates or candidates[pair].count != -count:
                    continue  # it has been merged, or counted anew
                count_now, places = row.count(pair, candidates.pop(pair).places)
                if count_now < -count:
                    if count_now >= least:
                        wait(FoundPair(pair, count_now, places))
                    continue
                left, right = tokens[pair[0]], tokens[pair[1]]
                merged = ids.setdefault(left + right, len(tokens))
                merges.append((left, right))
                if merged == len(tokens):  # else it has the id of a special token
                    tokens.append(left + right)
                    order.append(_descending(left + right))
                    bar.update()
                # The new token stands at the merged places and nowhere else.  No two merges lead to
                # the same token: when a + b has been merged everywhere, no a + bc can be left.
                for found in row.pairs_around(row.merge(pair, merged, places), least):
                    wait(found)
    return tokens, merges


# Byte b becomes character 255 - b, and the end of a token comes behind all of them.
_REVERSED = str.maketrans(CHARACTERS, "".join(map(chr, reversed(range(256)))))
_END = chr(256)


def _descending(token: str) -> str:
    """A string that sorts the other way round: the greater the token's bytes, the smaller it is.

    Bytes are compared one by one, and "ab" is greater than "a".
    """
    return token.translate(_REVERSED) + _END

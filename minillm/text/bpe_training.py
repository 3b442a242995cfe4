"""Training byte-level BPE: which pairs of tokens should be merged, and in which order?

Begin with single bytes.  Again and again, merge the pair of neighbours that occurs most often in
the text into one new token, until the vocabulary is full:

    l o w,  l o w e r,  l o w       (l, o) occurs 3 times, (o, w) 3 times, (w, e) once ...
    l ow,   l ow e r,   l ow        merged (o, w), the greater of the two: see below
    low,    low e r,    low         merged (l, ow)

Pairs reach only within words, so it is enough to know how often each distinct word occurs.  All
distinct words lie in one long row of places, with a wall between them:

    place      0   1   2   3   4   5   6   7   8   9
    tokens     l   o   w   |   l   o   w   e   r   |       (l, o) is found at the places 0 and 4

A merge visits the places of its pair and nothing else: each visit changes the counts of the two
pairs to its left and right.  So the work is one visit for every merge that ever happens, n of
them at most for n places, however long a single word may be.

Ties: of equally frequent pairs the greatest is merged first, by its left token's bytes, then by
its right one's.  So the result doesn't depend on the order of the texts.
(The Hugging Face trainer takes the pair with the smallest ids; ties="ids" does as it does.)
Source: Sennrich, Haddow and Birch 2016, "Neural machine translation of rare words with subword
units", algorithm 1.
"""

import heapq
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence

from tqdm import tqdm

from minillm.text.bpe_model import Pair, ascending
from minillm.text.byte_alphabet import CHARACTERS

TIES = ("bytes", "ids")
_WALL = -1  # between words; and where a token has been swallowed by the one to its left


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
    row = _Row(word_counts, tokens)
    ids = {token: id for id, token in enumerate(tokens)}
    merges: dict[tuple[str, str], None] = {}
    order = [_descending(token) for token in tokens]  # order[id]: greater bytes, smaller string

    def entry(pair: Pair) -> tuple:
        """The heap gives the smallest entry first: the highest count, then as `ties` says."""
        left, right = pair
        if ties == "ids":
            return -row.counts[pair], pair
        return -row.counts[pair], order[left], order[right], pair

    heap = [entry(pair) for pair in row.counts]
    heapq.heapify(heap)
    with tqdm(
        total=vocab_size - len(tokens), desc="merging pairs", disable=not show_progress
    ) as bar:
        while heap and len(tokens) < vocab_size:
            count, *_, pair = heapq.heappop(heap)
            if -count != row.counts.get(pair, 0):  # the count has changed since it was pushed
                if row.counts.get(pair, 0) > 0:
                    heapq.heappush(heap, entry(pair))
                continue
            if -count < max(min_frequency, 1):
                break
            left, right = tokens[pair[0]], tokens[pair[1]]
            merged = ids.setdefault(left + right, len(tokens))
            if merged == len(tokens):
                tokens.append(left + right)
                order.append(_descending(left + right))
                bar.update()
            merges[left, right] = None
            for new_pair in row.merge(pair, merged):
                heapq.heappush(heap, entry(new_pair))
    return tokens, list(merges)


class _Row:
    """All distinct words in one row of places, and where in it each pair of tokens stands.

    counts : {pair: how often it occurs in the texts}
    places : {pair: places at which it stood when it was noted}; some have changed since then
    """

    def __init__(self, word_counts: Mapping[str, int], tokens: Sequence[str]):
        ids = {token: id for id, token in enumerate(tokens)}
        byte_ids = [ids[character] for character in CHARACTERS]
        self.tokens = array("i", [_WALL])
        self.weights = array("q", [0])  # how often the word occurs that the place belongs to
        for word, n in word_counts.items():
            data = word.encode("utf-8", "surrogateescape")
            self.tokens.extend([byte_ids[byte] for byte in data])
            self.tokens.append(_WALL)
            self.weights.extend([n] * (len(data) + 1))
        size = len(self.tokens)
        self.after = array("i", range(1, size + 1))  # the place of the next token
        self.before = array("i", range(-1, size - 1))
        self.counts: defaultdict[Pair, int] = defaultdict(int)
        self.places: defaultdict[Pair, array] = defaultdict(_no_places)
        for place in range(size - 1):
            pair = self.tokens[place], self.tokens[place + 1]
            if _WALL not in pair:
                self.counts[pair] += self.weights[place]
                self.places[pair].append(place)

    def merge(self, pair: Pair, merged: int) -> set[Pair]:
        """Merge the pair everywhere; return the pairs whose count has grown."""
        tokens, weights, after, before = self.tokens, self.weights, self.after, self.before
        counts, places = self.counts, self.places
        left, right = pair
        grown = set()
        # Places of a pair of equals may overlap: from the left, "aaa" becomes aa a.
        visits = ascending(places.pop(pair)) if left == right else places.pop(pair)
        for place in visits:
            second = after[place]
            if tokens[place] != left or tokens[second] != right:
                continue  # swallowed by another merge in the meantime
            n = weights[place]
            outer_left, outer_right = before[place], after[second]
            tokens[place], tokens[second] = merged, _WALL
            after[place] = outer_right
            before[outer_right] = place
            x, y = tokens[outer_left], tokens[outer_right]
            #  before:  x left right y          after:  x merged y
            if x != _WALL:
                counts[x, left] -= n
                counts[x, merged] += n
                places[x, merged].append(outer_left)
                grown.add((x, merged))
            if y != _WALL:
                counts[right, y] -= n
                counts[merged, y] += n
                places[merged, y].append(place)
                grown.add((merged, y))
        counts.pop(pair, None)
        return grown


def _no_places() -> array:
    return array("i")


# Byte b becomes character 255 - b, and the end of a token comes behind all of them.
_REVERSED = str.maketrans(CHARACTERS, "".join(map(chr, reversed(range(256)))))
_END = chr(256)


def _descending(token: str) -> str:
    """A string that sorts the other way round: the greater the token's bytes, the smaller it is.

    Bytes are compared one by one, and "ab" is greater than "a".
    """
    return token.translate(_REVERSED) + _END

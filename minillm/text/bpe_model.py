"""Byte-level BPE: how a word becomes tokens of the vocabulary, by the merges that were learned.

Begin with the word's bytes.  Again and again, of all pairs of neighbours take the one that was
learned first (whose rank is lowest; if it is there twice, the one further left) and merge it,
until no pair is left that was ever learned:

    l o w e r      pairs: lo 0, ow 9, er 2         the numbers are ranks
    lo w e r       pairs: low 1, we -, er 2
    low e r        pairs: er 2
    low er         no pair that was learned: these are the tokens

Every byte is a token, so there is no unknown word: whatever is fed in comes out again.
Source: Sennrich, Haddow and Birch 2016, "Neural machine translation of rare words with subword
units", section 3.2; on bytes: Radford et al. 2019, section 2.2.
"""

import heapq
import operator
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from minillm.text.bpe_patterns import Pattern
from minillm.text.byte_alphabet import CHARACTERS, is_alphabetic, to_bytes

Pair = tuple[int, int]
NEVER = 1 << 60  # the rank of a pair that was never learned


class BPE(dict):
    """{word: ids of its tokens}, filled on demand, so that a frequent word is merged only once.

    vocab         : {token: id}, tokens written in the byte alphabet (see byte_alphabet.py)
    merges        : pairs of tokens, in the order in which they were learned
    ignore_merges : a word that is a token is that token, whether merges lead to it or not

    The memory is bounded: words of more than `LONGEST_KEPT` characters aren't kept, and at
    `CACHE_SIZE` words all are forgotten.

    Raises ValueError for merges that contradict the vocabulary, or a pair that is there twice.
    """

    CACHE_SIZE = 200_000
    LONGEST_KEPT = 100
    LONG_WORD = 400  # bytes from which on `merge_long_word` is faster

    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Iterable[Sequence[str]],
        ignore_merges: bool = False,
    ):
        super().__init__()
        self.vocab = dict(vocab)
        self.ignore_merges = ignore_merges
        self.merges: list[tuple[str, str]] = []
        self.ranks: dict[Pair, int] = {}  # (left id, right id) -> rank
        self.merged: list[int] = []  # rank -> id of the merged token
        for rank, merge in enumerate(merges):
            left, right = merge
            for token in (left, right, left + right):
                if token not in self.vocab:
                    raise ValueError(
                        f"merge number {rank}, {left!r} + {right!r}, contradicts the vocabulary: "
                        f"the token {token!r} isn't in it"
                    )
            pair = self.vocab[left], self.vocab[right]
            if pair in self.ranks:
                raise ValueError(
                    f"merge number {rank}, {left!r} + {right!r}, repeats number {self.ranks[pair]}"
                )
            self.ranks[pair] = rank
            self.merged.append(self.vocab[left + right])
            self.merges.append((left, right))
        self._byte_ids = [self.vocab.get(character, -1) for character in CHARACTERS]
        self._token_of_bytes = (
            {to_bytes(token): id for token, id in vocab.items() if is_alphabetic(token)}
            if ignore_merges
            else {}
        )

    def __missing__(self, word: str) -> tuple[int, ...]:
        if len(self) >= self.CACHE_SIZE:
            self.clear()
        ids = tuple(self._tokens(word.encode("utf-8", "surrogateescape")))
        if len(word) <= self.LONGEST_KEPT:
            self[word] = ids
        return ids

    def _tokens(self, data: bytes) -> list[int]:
        if data in self._token_of_bytes:
            return [self._token_of_bytes[data]]
        ids = [self._byte_ids[byte] for byte in data]
        if -1 in ids:
            byte = data[ids.index(-1)]
            raise ValueError(
                f"the vocabulary lacks the byte 0x{byte:02X} ({CHARACTERS[byte]!r}), which the "
                f"text holds in {data[:40]!r}"
            )
        if len(ids) >= self.LONG_WORD:
            return merge_long_word(ids, self.ranks, self.merged)
        return merge_word(ids, self.ranks, self.merged)


def merge_word(ids: list[int], rank_of: Mapping[Pair, int], merged: Sequence[int]) -> list[int]:
    """Merge the pairs of one word, lowest rank first.  Changes `ids` and returns it.

    For n tokens this takes n^2 steps at worst, but they are steps of `min` and `index`, which are
    fast: for a word of ordinary length nothing beats it.
    """
    ranks = [rank_of.get(pair, NEVER) for pair in zip(ids, ids[1:], strict=False)]
    while ranks:  # ranks[i] is the rank of the pair (ids[i], ids[i + 1])
        first = min(ranks)
        if first == NEVER:
            break
        i = ranks.index(first)
        ids[i : i + 2] = [merged[first]]
        del ranks[i]
        if i > 0:
            ranks[i - 1] = rank_of.get((ids[i - 1], ids[i]), NEVER)
        if i < len(ranks):
            ranks[i] = rank_of.get((ids[i], ids[i + 1]), NEVER)
    return ids


def ascending(places: array) -> array:
    """The places from left to right (nearly always they are: then nothing is copied)."""
    if all(map(operator.le, places, islice(places, 1, None))):
        return places
    return array("i", sorted(places))


def merge_long_word(
    ids: Sequence[int], rank_of: Mapping[Pair, int], merged: Sequence[int]
) -> list[int]:
    """The same for a word of any length, in n log n steps: ten million bytes without a space.

    The tokens form a linked list: `after` and `before` give the neighbours' places.  A heap says
    which rank comes next, and `places[rank]` where its pairs begin.  A place that has changed in
    the meantime is recognised when its turn comes.
    """
    n = len(ids)
    tokens = array("i", [*ids, -1])  # the token that begins at a place; -1: none does
    after = array("i", range(1, n + 2))
    before = array("i", range(-1, n))  # before the first comes place -1: the -1 at the end
    heap: list[int] = []
    places: dict[int, array | list[int]] = {}
    # Ranks whose merge has made a pair that comes first: their places are heaps, and have their
    # turn one by one.  (Merges that a training has learned hardly ever do that.)
    one_by_one: set[int] = set()

    def note(place: int) -> None:
        """Enter the pair that begins at this place, if it was ever learned."""
        rank = rank_of.get((tokens[place], tokens[after[place]]))
        if rank is None:
            return
        if rank not in places:
            places[rank] = [] if rank in one_by_one else array("i")
            heapq.heappush(heap, rank)
        waiting = places[rank]
        if isinstance(waiting, list):
            heapq.heappush(waiting, place)
        else:
            waiting.append(place)

    for place in range(n - 1):
        note(place)
    while heap:
        rank = heap[0]
        waiting = places[rank]
        if isinstance(waiting, list):
            turn: Sequence[int] = [heapq.heappop(waiting)]
        else:
            turn = ascending(waiting)
            waiting = array("i")
        if not waiting:
            del places[heapq.heappop(heap)]
        for i, place in enumerate(turn, start=1):
            right = after[place]
            if tokens[place] < 0 or rank_of.get((tokens[place], tokens[right])) != rank:
                continue
            tokens[place], tokens[right] = merged[rank], -1
            after[place] = after[right]
            before[after[place]] = place
            if before[place] >= 0:
                note(before[place])
            note(place)
            if heap and heap[0] <= rank and i < len(turn):
                one_by_one.add(rank)
                if rank not in places:
                    heapq.heappush(heap, rank)
                places[rank] = sorted([*turn[i:], *places.get(rank, ())])  # a list in order: a heap
                break
    return [token for token in tokens if token >= 0]


class BPECutter:
    """Cuts a text into words by a pattern, and the words into tokens.

    add_prefix_space : a text that doesn't begin with a space gets one, so that its first word is
                       the same token as elsewhere
    """

    def __init__(self, model: BPE, pattern: Pattern, add_prefix_space: bool = False):
        self.model, self.pattern, self.add_prefix_space = model, pattern, add_prefix_space
        self._lengths = {id: len(token) for token, id in model.vocab.items()}

    def ids(self, text: str) -> Iterable[int]:
        """The ids of the text's tokens."""
        if self.add_prefix_space and not text.startswith(" "):
            text = " " + text
        return chain.from_iterable(map(self.model.__getitem__, self.pattern.words(text)))

    def words(self, text: str) -> Iterator[list[tuple[int, int, int]]]:
        """For each word its tokens as (id, start, end): the characters that they touch.

        A token may hold a part of a character only; its place is the whole character then.
        """
        shift = 0
        if self.add_prefix_space and not text.startswith(" "):
            text, shift = " " + text, 1
        for start, end in self.pattern.spans(text):
            word = text[start:end]
            characters = range(start, end) if word.isascii() else _characters_of_bytes(word, start)
            tokens, first = [], 0
            for id in self.model[word]:
                last = first + self._lengths[id] - 1
                place = max(characters[first] - shift, 0), max(characters[last] + 1 - shift, 1)
                tokens.append((id, *place))
                first = last + 1
            yield tokens


def _characters_of_bytes(word: str, start: int) -> list[int]:
    """For each byte of the word, which character it belongs to, counted from `start`."""
    lengths = (len(character.encode("utf-8", "surrogateescape")) for character in word)
    return [place for place, n in enumerate(lengths, start) for _ in range(n)]

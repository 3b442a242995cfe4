"""Training WordPiece: which pieces should the vocabulary have?

Begin with single characters.  Again and again, merge the pair of neighbouring pieces that occurs
most often in the text into one new piece, until the vocabulary is full:

    l ##o ##w,  l ##o ##w ##e ##r      (l, ##o) is as frequent as (##o, ##w)
    lo ##w,     lo ##w ##e ##r         merged (l, ##o) -> lo
    low,        low ##e ##r            merged (lo, ##w) -> low

Neighbours matter only inside words, so it is enough to know how often each distinct word occurs:
seven million words of reviews are a hundred thousand distinct ones.  And a merge changes only
the words that hold the pair, so an index from pairs to words lets all others rest, and a heap
gives the next pair.  Counting everything anew for each merge would take thousands of times as
long, and gives the same pieces (the tests compare the two).

Google's own trainer was never published; the Hugging Face trainer also merges by frequency.
Source: Sennrich, Haddow and Birch 2016, "Neural machine translation of rare words with subword
units", algorithm 1; the prefix marks continuing pieces as in BERT.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tqdm import tqdm

from minillm.text.pretokenize import BertNormalizer, split_words
from minillm.text.word_counts import count_words as count_cut_words


def check_training_options(
    vocab_size: int, min_frequency: int, special_tokens: Sequence[str], limit_alphabet: int | None
) -> None:
    """Raise TypeError or ValueError for options that can't be, before any text is read."""
    limits = {"vocab_size": (vocab_size, 1), "min_frequency": (min_frequency, 0)}
    if limit_alphabet is not None:
        limits["limit_alphabet"] = (limit_alphabet, 1)
    for name, (value, least) in limits.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} is {value!r}; expected an int")
        if value < least:
            raise ValueError(f"{name} is {value}; expected at least {least}")
    if isinstance(special_tokens, str) or not all(
        isinstance(token, str) and token for token in special_tokens
    ):
        raise TypeError(f"special_tokens is {special_tokens!r}; expected a list of non-empty str")
    if len(set(special_tokens)) < len(special_tokens):
        raise ValueError(f"special_tokens {tuple(special_tokens)} holds a token twice")


def count_words(
    texts: Iterable[str], normalizer: BertNormalizer, show_progress: bool = False
) -> Counter[str]:
    """How often each word of the normalised texts occurs.

    Raises TypeError for something that isn't an iterable of texts, or holds another type.
    """
    return count_cut_words(
        texts,
        lambda text: split_words(normalizer.normalize_str(text)),
        show_progress=show_progress,
    )


def train_vocabulary(
    word_counts: Mapping[str, int],
    vocab_size: int,
    min_frequency: int = 2,
    special_tokens: Sequence[str] = (),
    limit_alphabet: int | None = 1000,
    prefix: str = "##",
    max_input_chars_per_word: int = 100,
    show_progress: bool = False,
) -> list[str]:
    """The tokens in the order of their ids: special tokens, alphabet, then merges.

    The alphabet is the `limit_alphabet` most frequent characters (ties: the smaller code point),
    sorted by code point, followed by those of them that occur inside words, with the prefix.
    Words that the encoder makes [UNK] in any case, for a character outside of the alphabet or for
    their length, take no part in merging.  Of equally frequent pairs the one with the smaller ids
    (left, then right) is merged first: the result doesn't depend on the order of the texts.
    Merging ends early when no pair occurs `min_frequency` times.

    Raises ValueError when there are no words, or the vocabulary can't hold the alphabet.
    """
    word_counts = {w: n for w, n in word_counts.items() if len(w) <= max_input_chars_per_word}
    if not word_counts:
        raise ValueError("there is no word to train on: the texts are empty (or no texts came)")

    alphabet = _alphabet(word_counts, limit_alphabet)
    word_counts = {w: n for w, n in word_counts.items() if alphabet.issuperset(w)}
    inside = {character for word in word_counts for character in word[1:]}
    pieces = [*sorted(alphabet), *(prefix + character for character in sorted(inside))]
    tokens = list(dict.fromkeys([*special_tokens, *pieces]))
    if len(tokens) > vocab_size:
        raise ValueError(
            f"vocab_size {vocab_size} is too small for {len(special_tokens)} special tokens and "
            f"an alphabet of {len(pieces)} pieces ({len(alphabet)} "
            f"characters): take vocab_size >= {len(tokens)} or a smaller limit_alphabet "
            f"({limit_alphabet})"
        )
    _merge_pairs(word_counts, tokens, vocab_size, max(min_frequency, 1), prefix, show_progress)
    return tokens


def _alphabet(word_counts: Mapping[str, int], limit: int | None) -> set[str]:
    counts: Counter[str] = Counter()
    for word, n in word_counts.items():
        for character in word:
            counts[character] += n
    by_frequency = sorted(counts, key=lambda character: (-counts[character], character))
    return set(by_frequency[:limit])


def _merge_pairs(
    word_counts: Mapping[str, int],
    tokens: list[str],
    vocab_size: int,
    min_frequency: int,
    prefix: str,
    show_progress: bool,
) -> None:
    """Append merged tokens to `tokens` until there are `vocab_size`."""
    ids = {token: id for id, token in enumerate(tokens)}
    # Words of one piece have no pairs: leave them out (nearly all of Chinese).
    words = [
        ([ids[word[0]], *(ids[prefix + c] for c in word[1:])], n)
        for word, n in word_counts.items()
        if len(word) > 1
    ]
    pair_counts: defaultdict[tuple[int, int], int] = defaultdict(int)
    # Which words hold a pair.  Words are only added: one that lost the pair is found unchanged.
    pair_words: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    for number, (pieces, n) in enumerate(words):
        for pair in zip(pieces, pieces[1:], strict=False):
            pair_counts[pair] += n
            pair_words[pair].add(number)

    # The heap's smallest entry is the most frequent pair, of equals the one with smallest ids.
    # An entry's count may be out of date.  It is never too small, for whenever a count rises the
    # pair is pushed again; an entry that proves too large is pushed back with the true count.
    heap = [(-n, pair) for pair, n in pair_counts.items()]
    heapq.heapify(heap)
    progress = tqdm(
        desc="merging pairs",
        total=vocab_size,
        initial=len(tokens),
        unit=" tokens",
        disable=not show_progress,
    )
    with progress:
        while len(tokens) < vocab_size and heap:
            negative, pair = heapq.heappop(heap)
            n = pair_counts[pair]
            if n < min_frequency:
                continue
            if n != -negative:
                heapq.heappush(heap, (-n, pair))
                continue
            left, right = pair
            merged = tokens[left] + tokens[right].removeprefix(prefix)
            if merged not in ids:  # (a, ##bc) and (ab, ##c) make the same token
                ids[merged] = len(tokens)
                tokens.append(merged)
                progress.update()
            risen = set()
            for number in pair_words.pop(pair):
                risen |= _merge_in_word(number, words, pair, ids[merged], pair_counts, pair_words)
            del pair_counts[pair]
            for other in risen:
                heapq.heappush(heap, (-pair_counts[other], other))


def _merge_in_word(
    number: int,
    words: list[tuple[list[int], int]],
    pair: tuple[int, int],
    merged: int,
    pair_counts: defaultdict[tuple[int, int], int],
    pair_words: defaultdict[tuple[int, int], set[int]],
) -> set[tuple[int, int]]:
    """Merge the pair everywhere in one word, update counts and index; return its new pairs."""
    pieces, n = words[number]
    left, right = pair
    new: list[int] = []
    i = 0
    while i < len(pieces):
        if pieces[i] == left and i + 1 < len(pieces) and pieces[i + 1] == right:
            new.append(merged)
            i += 2
        else:
            new.append(pieces[i])
            i += 1
    if len(new) == len(pieces):
        return set()
    for old_pair in zip(pieces, pieces[1:], strict=False):
        pair_counts[old_pair] -= n
    new_pairs = set()
    for new_pair in zip(new, new[1:], strict=False):
        pair_counts[new_pair] += n
        if merged in new_pair:
            new_pairs.add(new_pair)
            pair_words[new_pair].add(number)
    words[number] = (new, n)
    return new_pairs

"""Counting the words of many texts, by several processes at once.

Cutting texts into words is most of the work of training a tokenizer, and every text can be cut by
itself.  So the texts are handed out in chunks of about a megabyte; what comes back is how often
each word occurs in the chunk, and these counts are added up.

    texts --chunks--> [process 1: cut, count] --counts--> sum
                      [process 2: cut, count]

Only a few chunks are under way at any time: the texts may be more than the memory holds (see
processes.py).  In memory are the distinct words, which are few: twenty megabytes of reviews have a
hundred thousand.  They grow with the text all the same (names, typing errors, numbers), so above
`MOST_WORDS` the rarest are dropped, as word2vec's program does it (ReduceVocab): first those that
have occurred once so far.  Such a word is too rare to decide about a vocabulary.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sized
from functools import partial

from tqdm import tqdm

from minillm.text.processes import chunks_of_texts, map_chunks, number_of_processes

CHUNK_CHARACTERS = 1 << 20
MOST_WORDS = 1_000_000

Cut = Callable[[str], Iterable[str]]


def count_words(
    texts: Iterable[str],
    cut: Cut,
    processes: int | None = None,
    show_progress: bool = False,
) -> Counter[str]:
    """How often each word occurs in the texts, which are read once.

    cut       : text -> its words
    processes : how many cut texts; None: one for each core that this process may use.  A single
                chunk is counted here and now.  The counts are the same for any number.

    Raises TypeError for something that isn't an iterable of texts, or holds another type;
    ValueError for a number of processes below 1.
    """
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise TypeError(
            f"expected an iterable of texts, such as a list, but got {type(texts).__name__} "
            f"{texts!r:.80}; put a single text into a list: [text]"
        )
    processes = number_of_processes(processes)
    counts: Counter[str] = Counter()
    total = len(texts) if isinstance(texts, Sized) else None
    with tqdm(total=total, desc="counting words", unit=" texts", disable=not show_progress) as bar:
        for n_texts, words in map_chunks(partial(_count, cut), _chunks(texts), processes):
            counts.update(words)
            if len(counts) > MOST_WORDS:
                _drop_rare(counts)
            bar.update(n_texts)
    return counts


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    return chunks_of_texts(texts, CHUNK_CHARACTERS)


def _count(cut: Cut, chunk: list[str]) -> tuple[int, Counter[str]]:
    """(number of texts, counts) of a chunk."""
    counts: Counter[str] = Counter()
    for text in chunk:
        counts.update(cut(text))
    return len(chunk), counts


def _drop_rare(counts: Counter[str]) -> None:
    """Drop words until at most half of `MOST_WORDS` are left: first those that occur once."""
    least = 1
    while len(counts) > MOST_WORDS // 2:
        least += 1
        for word in [word for word, n in counts.items() if n < least]:
            del counts[word]

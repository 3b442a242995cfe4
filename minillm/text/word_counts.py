"""Counting the words of many texts, by several processes at once.

Cutting texts into words is most of the work of training a tokenizer, and every text can be cut by
itself.  So the texts are handed out in chunks of about a megabyte; what comes back is how often
each word occurs in the chunk, and these counts are added up.

    texts --chunks--> [process 1: cut, count] --counts--> sum
                      [process 2: cut, count]

Only a few chunks are under way at any time: the texts may be more than the memory holds.  In
memory are the distinct words, which are few: twenty megabytes of reviews have a hundred thousand.
"""

import multiprocessing
import os
import sys
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice

from tqdm import tqdm

CHUNK_CHARACTERS = 1 << 20

Cut = Callable[[str], Iterable[str]]


def count_words(
    texts: Iterable[str],
    cut: Cut,
    processes: int | None = None,
    show_progress: bool = False,
) -> Counter[str]:
    """How often each word occurs in the texts, which are read once.

    cut       : text -> its words; must be something that `pickle` can name
    processes : how many cut texts; None: one for each core that this process may use.  A single
                chunk is counted here and now.

    The processes are copies of this one (fork), so that a script needs no
    `if __name__ == "__main__"` around it.  Only Linux copies safely; elsewhere this process counts
    alone.

    Raises TypeError for something that isn't an iterable of texts, or holds another type;
    ValueError for a number of processes below 1.
    """
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise TypeError(
            f"expected an iterable of texts, such as a list, but got {type(texts).__name__} "
            f"{texts!r:.80}; put a single text into a list: [text]"
        )
    processes = _number_of(processes)
    counts: Counter[str] = Counter()
    total = len(texts) if isinstance(texts, Sized) else None
    with tqdm(total=total, desc="counting words", unit=" texts", disable=not show_progress) as bar:
        chunks = _chunks(texts)
        beginning = list(islice(chunks, 2))
        chunks = chain(beginning, chunks)
        counted: Iterable[tuple[int, Counter[str]]]
        if processes == 1 or len(beginning) < 2:
            counted = ((len(chunk), _count(cut, chunk)) for chunk in chunks)
        else:
            counted = _count_in_processes(cut, chunks, processes)
        for n_texts, words in counted:
            counts.update(words)
            bar.update(n_texts)
    return counts


def _number_of(processes: int | None) -> int:
    if processes is not None and (not isinstance(processes, int) or isinstance(processes, bool)):
        raise TypeError(f"processes is {processes!r}; expected an int or None")
    if processes is not None and processes < 1:
        raise ValueError(f"processes is {processes}; expected at least 1")
    if not sys.platform.startswith("linux"):
        return 1
    return len(os.sched_getaffinity(0)) if processes is None else processes


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts in lists of about a megabyte (one long text is a chunk by itself)."""
    chunk: list[str] = []
    size = 0
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text number {i} is {text!r:.80}; expected a str")
        chunk.append(text)
        size += len(text)
        if size >= CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _count(cut: Cut, chunk: list[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in chunk:
        counts.update(cut(text))
    return counts


def _count_in_processes(
    cut: Cut, chunks: Iterable[list[str]], processes: int
) -> Iterator[tuple[int, Counter[str]]]:
    """(number of texts, counts) of each chunk, in order; at most 2 chunks a process in memory."""
    under_way: deque[tuple[int, Future]] = deque()
    with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
        try:
            for chunk in chunks:
                if len(under_way) == 2 * processes:
                    n_texts, future = under_way.popleft()
                    yield n_texts, future.result()
                with warnings.catch_warnings():
                    # Python warns that a lock held by another thread stays locked in the copy.
                    # The copies take none: they cut texts and count.
                    warnings.simplefilter("ignore", DeprecationWarning)
                    under_way.append((len(chunk), pool.submit(_count, cut, chunk)))
            for n_texts, future in under_way:
                yield n_texts, future.result()
        finally:
            pool.shutdown(cancel_futures=True)

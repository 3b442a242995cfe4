"""One function, applied to many chunks of text by several processes at once.

    texts --chunks--> [process 1: function(chunk)] --results, in order-->
                      [process 2: function(chunk)]

What comes out doesn't depend on the number of processes: the chunks are cut before they are handed
out, and the results come in the order of the chunks.  Only a few chunks are under way at any time,
so the texts may be more than the memory holds.

The processes are copies of this one (fork), so that a script needs no `if __name__ == "__main__"`
around it, and so that the function, with all that it refers to, needn't be sent to them.  Only
Linux copies safely; elsewhere this process works alone.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from typing import TypeVar

Result = TypeVar("Result")


def number_of_processes(processes: int | None) -> int:
    """How many to use: None is one for each core that this process may use.

    Raises TypeError for what isn't an int or None, ValueError for a number below 1.
    """
    if processes is not None and (not isinstance(processes, int) or isinstance(processes, bool)):
        raise TypeError(f"processes is {processes!r}; expected an int or None")
    if processes is not None and processes < 1:
        raise ValueError(f"processes is {processes}; expected at least 1")
    if not sys.platform.startswith("linux"):
        return 1
    return len(os.sched_getaffinity(0)) if processes is None else processes


def chunks_of_texts(texts: Iterable[str], characters: int) -> Iterator[list[str]]:
    """The texts in lists of about so many characters (one long text is a chunk by itself)."""
    chunk: list[str] = []
    size = 0
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text number {i} is {text!r:.80}; expected a str")
        chunk.append(text)
        size += len(text)
        if size >= characters:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def map_chunks(
    function: Callable[[list[str]], Result], chunks: Iterable[list[str]], processes: int
) -> Iterator[Result]:
    """function(chunk) for each chunk, in order.  A single chunk is done here and now."""
    chunks = iter(chunks)
    beginning = list(islice(chunks, 2))
    chunks = chain(beginning, chunks)
    if processes == 1 or len(beginning) < 2:
        return map(function, chunks)
    return map_in_processes(function, chunks, processes)


def map_in_processes(
    function: Callable[[list[str]], Result], chunks: Iterable[list[str]], processes: int
) -> Iterator[Result]:
    """The same by copies of this process; at most 2 chunks a process are under way."""
    under_way: deque[Future] = deque()
    with ProcessPoolExecutor(
        processes,
        multiprocessing.get_context("fork"),
        initializer=_begin,
        initargs=(function, os.getpid()),
    ) as pool:
        try:
            for chunk in chunks:
                if len(under_way) == 2 * processes:
                    yield under_way.popleft().result()
                with warnings.catch_warnings():
                    # Python warns that a lock held by another thread stays locked in the copy.
                    # The copies take none: they cut texts and count.
                    warnings.simplefilter("ignore", DeprecationWarning)
                    under_way.append(pool.submit(_work, chunk))
            while under_way:
                yield under_way.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


# ------------------------------------------------------------------------------ in a copy

_function: Callable | None = None


def _begin(function: Callable, parent: int) -> None:
    """Before the first chunk.  Ctrl-C is the parent's business, and its end is ours."""
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """A parent that was killed can't say so: its copies would wait for chunks for ever."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _work(chunk: list[str]):
    assert _function is not None
    return _function(chunk)

"""Several processes give what one gives, in the same order, and end when they should."""

import os
import time

import pytest

from minillm.text.processes import (
    chunks_of_texts,
    map_chunks,
    map_in_processes,
    number_of_processes,
)

TEXTS = [f"{'x' * (i % 13)}{i}" for i in range(500)]


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
@pytest.mark.parametrize("characters", [1, 50, 100_000])
def test_results_come_in_order(processes, characters):
    offset = 3  # a function may refer to anything: it is copied, not sent
    chunks = list(chunks_of_texts(TEXTS, characters))
    assert [text for chunk in chunks for text in chunk] == TEXTS

    def measure(chunk):
        time.sleep(0.001 * (len(chunk[0]) % 3))  # some take longer
        return [len(text) + offset for text in chunk]

    found = map_chunks(measure, chunks, processes)
    assert list(found) == [[len(text) + 3 for text in chunk] for chunk in chunks]


def test_chunks_are_of_the_size_wanted():
    chunks = list(chunks_of_texts(TEXTS, 50))
    assert all(50 <= sum(map(len, chunk)) < 50 + 16 for chunk in chunks[:-1])
    assert list(chunks_of_texts([], 50)) == []
    with pytest.raises(TypeError, match="text number 1 is 5"):
        list(chunks_of_texts(["a", 5], 50))


def test_other_processes_do_the_work_if_there_is_enough():
    many, single = [[text] for text in TEXTS[:20]], [["one"]]
    assert os.getpid() not in set(map_chunks(lambda chunk: os.getpid(), many, 2))
    assert set(map_chunks(lambda chunk: os.getpid(), many, 1)) == {os.getpid()}
    assert set(map_chunks(lambda chunk: os.getpid(), single, 2)) == {os.getpid()}


def test_whoever_stops_early_leaves_no_process_behind():
    found = map_in_processes(lambda chunk: os.getpid(), [[text] for text in TEXTS], 2)
    pids = {next(found) for _ in range(5)}
    found.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_an_error_is_the_callers():
    def fails(chunk):
        raise KeyError(chunk[0])

    with pytest.raises(KeyError, match="x1"):
        list(map_in_processes(fails, [["x1"], ["x2"]], 2))


def test_an_error_in_the_texts_is_the_callers():
    def texts():
        yield from (["a"], ["b"], ["c"])
        raise OSError("the disk was pulled out")

    with pytest.raises(OSError, match="pulled out"):
        list(map_in_processes(len, texts(), 2))


def test_the_number_is_checked():
    assert number_of_processes(1) == 1 and number_of_processes(None) >= 1
    with pytest.raises(ValueError, match="processes is 0"):
        number_of_processes(0)
    with pytest.raises(TypeError, match="processes is True"):
        number_of_processes(True)

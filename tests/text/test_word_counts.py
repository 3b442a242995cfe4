"""Counting words: the same in one process and in several, without reading ahead too far."""

from collections import Counter

import pytest

from minillm.text import word_counts
from minillm.text.processes import map_in_processes
from minillm.text.word_counts import count_words

TEXTS = [f"word{i % 7} and {'é' * (i % 3)} more" for i in range(1000)]


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(word_counts, "CHUNK_CHARACTERS", 500)


def in_one_go(texts) -> Counter:
    return Counter(word for text in texts for word in text.split())


@pytest.mark.parametrize("processes", [1, 2, 3, None])
def test_several_processes_count_as_one(small_chunks, processes):
    assert count_words(TEXTS, str.split, processes) == in_one_go(TEXTS)


@pytest.mark.parametrize("n", [0, 1, 20, 50, 200])
def test_few_texts(small_chunks, n):
    assert count_words(TEXTS[:n], str.split, 2) == in_one_go(TEXTS[:n])


def test_texts_are_read_as_they_are_needed(small_chunks):
    """At most two chunks a process are under way, and one is being read."""
    read = 0

    def texts():
        nonlocal read
        for text in TEXTS:
            read += len(text)
            yield text

    chunks = word_counts._chunks(texts())
    counted = map_in_processes(len, chunks, 2)
    next(counted)
    assert read < 6 * 550
    counted.close()


def test_an_error_in_a_process_is_the_callers(small_chunks):
    with pytest.raises(ValueError, match="invalid literal"):
        count_words(["1"] * 2000, _as_numbers, 2)
    with pytest.raises(ValueError, match="invalid literal"):
        count_words(["one"] * 2000, _as_numbers, 2)


def _as_numbers(text: str) -> list[str]:
    return [str(int(text) + int("x" if text == "1" else text))]


def test_what_isnt_texts_is_refused():
    with pytest.raises(TypeError, match="put a single text into a list"):
        count_words("one text", str.split)
    with pytest.raises(TypeError, match="text number 1 is 3; expected a str"):
        count_words(["a", 3], str.split)
    with pytest.raises(ValueError, match="processes is 0; expected at least 1"):
        count_words(["a"], str.split, 0)
    with pytest.raises(TypeError, match="processes is 1.5; expected an int or None"):
        count_words(["a"], str.split, 1.5)


def test_a_progress_bar_is_shown(capsys):
    count_words(TEXTS, str.split, 1, show_progress=True)
    assert "counting words: 100%" in capsys.readouterr().err
    count_words(iter(TEXTS), str.split, 1, show_progress=True)
    assert "counting words: 1000 texts" in capsys.readouterr().err


@pytest.mark.parametrize("processes", [1, 2])
def test_above_the_limit_the_rarest_are_dropped(small_chunks, monkeypatch, processes):
    """Memory is bounded, the frequent words stay, and the counts don't depend on the processes."""
    monkeypatch.setattr(word_counts, "MOST_WORDS", 60)
    texts = [f"often w{i % 10} rare{i}" for i in range(400)]
    counts = count_words(texts, str.split, processes)
    assert len(counts) <= 60
    assert counts["often"] == 400
    assert all(counts[f"w{i}"] == 40 for i in range(10))
    assert counts == count_words(texts, str.split, 1)


def test_below_the_limit_nothing_is_dropped(small_chunks, monkeypatch):
    monkeypatch.setattr(word_counts, "MOST_WORDS", len(in_one_go(TEXTS)))
    assert count_words(TEXTS, str.split, 1) == in_one_go(TEXTS)

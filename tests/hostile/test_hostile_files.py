"""Mutated files of every kind: each opens or is refused, with an error that names the file.

Refused means ValueError or one of its kind, or OSError for a file that is missing or no file: never
another exception, a crash, more than 2 s of the processor, waiting, or 200 MB beyond its files.

A short run is part of every test run.  The long one, some minutes for each 10,000:

    MINILLM_EXAMPLES=100000 pytest tests/hostile
"""

import os
from pathlib import Path
from random import Random

import pytest
from hostile.campaign import run
from hostile.mutate import mutate
from hostile.readers import READERS, open_it
from hostile.seeds import KINDS, make_seeds
from hostile.worker import judge, write_case

CASES = int(os.environ.get("MINILLM_EXAMPLES", "320"))


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_open_or_are_refused(kind):
    tally = run(kind, max(1, CASES // len(KINDS)))
    print(tally)
    assert tally.failed == []
    assert tally.outcomes["refused"] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_seeds_themselves_open(kind, tmp_path):
    for i, seed in enumerate(make_seeds(kind)):
        folder = tmp_path / str(i)
        folder.mkdir()
        write_case(folder, seed.files)
        open_it(seed.reader, folder)()


def test_a_case_is_the_same_each_time():
    (seed, *_) = make_seeds("weights")
    assert mutate(seed, Random("weights 5")) == mutate(seed, Random("weights 5"))


def test_the_judge_tells_what_no_reader_may_do(monkeypatch, tmp_path):
    """A reader that raises anything else, or says too little, is caught."""

    def reader_that(error):
        def read(folder):
            raise error

        return read

    for error, outcome in (
        (ValueError(f"{tmp_path}/x is broken"), "refused"),
        (FileNotFoundError(2, "missing", str(tmp_path / "x")), "refused"),
        (ValueError("broken"), "failed"),
        (ValueError(f"{tmp_path}: " + "x" * 10_000), "failed"),
        (KeyError("model"), "failed"),
        (RecursionError("deep"), "failed"),
        (MemoryError(), "failed"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "failed"),
    ):
        monkeypatch.setitem(READERS, "planted", reader_that(error))
        assert judge("planted", Path(tmp_path))[0] == outcome, error

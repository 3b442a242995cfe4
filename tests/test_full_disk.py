"""Everything that the library saves, on a disk that fails at every call in turn.

What stood there before is still there, or the new version is, whole: never a mixture, and no
temporary file is left after the next save.  The error names the path and the reason.
"""

import errno
import itertools
import os
import shutil
import tempfile

import pytest
from faulty_disk import FaultyDisk, system_writes
from saved_things import KINDS

from minillm.files import TEMPORARY_PREFIX

# The error, and whether it lasts.
FAULTS = {
    "full for a moment": (errno.ENOSPC, False),
    "stays full": (errno.ENOSPC, True),
    "turns read-only": (errno.EROFS, True),
}


@pytest.fixture(autouse=True)
def without_waiting_for_the_disk(monkeypatch):
    """What a power cut would take isn't looked at here."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("kind", KINDS)
def test_saving_fails_at_every_call_in_turn(tmp_path, kind, fault):
    kind, before, place = kind(), tmp_path / "before", tmp_path / "place"
    before.mkdir()
    first, second = kind.make(1), kind.make(2)
    kind.save(first, before / "x")
    kind.save(second, tmp_path / "new")
    old, new = (kind.tell(kind.open(path)) for path in (before / "x", tmp_path / "new"))
    assert old != new
    if kind.is_folder:
        (before / "x" / "other").write_text("precious")
    for n in itertools.count():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(before, place)
        raised = None
        with FaultyDisk(n, *fault) as disk:
            try:
                kind.save(second, place / "x")
            except OSError as error:
                raised = error
        found = kind.tell(kind.open(place / "x"))
        if raised is None:
            assert found == new
        else:
            assert found in (old, new)
            assert raised.errno == fault[0] and os.strerror(fault[0]) in str(raised)
            assert str(place / "x") in str(raised) or tempfile.gettempdir() in str(raised)
        kind.save(second, place / "x")
        assert kind.tell(kind.open(place / "x")) == new
        assert not [p for p in place.rglob("*") if p.name.startswith(TEMPORARY_PREFIX)]
        if kind.is_folder:
            assert (place / "x" / "other").read_text() == "precious"
        if not disk.failed:
            break
    assert n >= 4, f"only {disk.calls} were seen"


@pytest.mark.parametrize("kind", KINDS)
def test_no_write_goes_past_the_disk_of_these_tests(tmp_path, kind):
    """The kernel's count of this process's writes is the same."""
    kind = kind()
    thing = kind.make(1)
    before = system_writes()
    if before is None:
        pytest.skip("only Linux counts the writes of a process")
    with FaultyDisk() as disk:
        kind.save(thing, tmp_path / "x")
    assert sum(name == "write" for name, _ in disk.calls) == system_writes() - before

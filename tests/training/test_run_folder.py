"""A run's folder: one process at a time, and an early word if it can't be written."""

import errno
import json
import os
import subprocess
import sys
import time

import pytest
from faulty_disk import FaultyDisk
from toy_run import environment, make_trainer

from minillm.training import RunFolderInUse, run_folder
from minillm.training.run_folder import own_run_folder


def test_the_folder_is_made_and_can_be_owned_again(tmp_path):
    for _ in range(2):
        with own_run_folder(tmp_path / "a" / "b") as folder:
            assert folder.is_dir()


def test_a_second_owner_is_refused_with_the_process_id_of_the_first(tmp_path):
    with own_run_folder(tmp_path):
        with pytest.raises(RunFolderInUse, match=f"process {os.getpid()}"):
            with own_run_folder(tmp_path):
                raise AssertionError("two owners")
    with own_run_folder(tmp_path):
        pass


def test_the_refusal_says_who_where_and_since_when(tmp_path):
    before = time.strftime("%Y-%m-%d %H:%M:%S")
    with own_run_folder(tmp_path):
        with pytest.raises(RunFolderInUse) as caught, own_run_folder(tmp_path):
            raise AssertionError("two owners")
        note = json.loads((tmp_path / "run.lock").read_text())
    assert note["pid"] == os.getpid() and before <= note["since"]
    for part in (str(tmp_path), note["host"], note["since"], "stop it", "choose another folder"):
        assert part in str(caught.value)
    assert (tmp_path / "run.lock").read_text() == ""  # nobody's any more


def test_an_error_in_the_block_frees_the_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), own_run_folder(tmp_path):
        raise ZeroDivisionError
    with own_run_folder(tmp_path):
        pass


def test_a_lock_file_that_a_dead_process_left_is_no_lock(tmp_path):
    (tmp_path / "run.lock").write_text("1")  # process 1 is alive, but doesn't hold this lock
    with own_run_folder(tmp_path):
        pass


@pytest.mark.parametrize("note", ["", "{", "[]", '{"pid": "x"}', "\x00" * 40])
def test_a_damaged_note_is_no_lock(tmp_path, note):
    (tmp_path / "run.lock").write_text(note)
    with own_run_folder(tmp_path):
        pass


@pytest.fixture
def without_locks(monkeypatch):
    """As on some network file systems."""

    def refuse(handle, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(run_folder.fcntl, "flock", refuse)


def write_note(folder, **changes):
    note = {"pid": 1, "host": run_folder.socket.gethostname(), "since": "2030-01-01 09:00:00"}
    (folder / "run.lock").write_text(json.dumps(note | changes))


def test_where_there_are_no_locks_the_note_of_a_living_process_is_obeyed(tmp_path, without_locks):
    write_note(tmp_path)  # process 1 is alive
    with pytest.raises(
        RunFolderInUse, match="process 1 on .* or remove .*run.lock if it has ended"
    ):
        with own_run_folder(tmp_path):
            raise AssertionError("two owners")
    write_note(tmp_path, host="another-computer")
    with pytest.raises(RunFolderInUse, match="process 1 on another-computer since 2030-01-01"):
        with own_run_folder(tmp_path):
            raise AssertionError("two owners")


def test_where_there_are_no_locks_that_of_a_dead_process_is_not(tmp_path, without_locks):
    dead = subprocess.Popen([sys.executable, "-c", ""], env=environment())
    dead.wait()
    write_note(tmp_path, pid=dead.pid)
    with pytest.warns(UserWarning, match="can't be locked"), own_run_folder(tmp_path):
        pass


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_fails_is_told_with_path_and_reason(tmp_path, error):
    for n in (1, 2):  # opening the lock file, and writing the note (0: the folder is there)
        with FaultyDisk(n, error), pytest.raises(OSError, match="choose another") as caught:
            with own_run_folder(tmp_path):
                raise AssertionError("began")
        assert caught.value.errno == error
        assert str(tmp_path) in str(caught.value) and os.strerror(error) in str(caught.value)
    with own_run_folder(tmp_path):
        pass


def test_a_file_in_the_place_of_the_folder(device, tmp_path):
    (tmp_path / "file").write_text("precious")
    calls = []
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        trainer = make_trainer(device=device, out=out, batches=calls.append)
        with pytest.raises(OSError, match="can't be written.*choose another"):
            trainer.run()
    assert not calls  # before training began
    assert (tmp_path / "file").read_text() == "precious"

"""A run's folder: one process at a time, and an early word if it can't be written."""

import os

import pytest
from toy_run import make_trainer

from minillm.training import RunFolderInUse
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


def test_an_error_in_the_block_frees_the_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), own_run_folder(tmp_path):
        raise ZeroDivisionError
    with own_run_folder(tmp_path):
        pass


def test_a_lock_file_that_a_dead_process_left_is_no_lock(tmp_path):
    (tmp_path / "run.lock").write_text("1")  # process 1 is alive, but doesn't hold this lock
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

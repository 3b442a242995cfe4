"""A disk that fails while a run writes, at every call in turn: what was saved stays, and a resumed
run ends as if nothing had been.
"""

import errno
import itertools
import os
import shutil
import warnings

import pytest
from faulty_disk import FaultyDisk, system_writes
from test_resume import final_state
from toy_run import make_model, make_trainer

from minillm.optim import AdamW
from minillm.training import (
    checkpoints,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
    verify_checkpoint,
)
from minillm.training.early_stopping import EarlyStopping
from minillm.training.run_folder import own_run_folder

# The error, and whether it lasts.
FAULTS = {
    "full for a moment": (errno.ENOSPC, False),
    "stays full": (errno.ENOSPC, True),
    "turns read-only": (errno.EROFS, True),
    "denied once": (errno.EACCES, False),
}
every_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
# A whole run makes some 70 calls; every one of them: MINILLM_FAULTS=1 pytest tests/training
STRIDE = int(os.environ.get("MINILLM_FAULTS", "9"))


@pytest.fixture(autouse=True)
def without_waiting_for_the_disk(monkeypatch):
    """What a power cut would take isn't looked at here."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


class Saved:
    """A model, its optimizer and early stopping, some steps on."""

    def __init__(self, device):
        self.model = make_model().to(device)
        self.optimizer = AdamW(self.model.parameters(), lr=0.1)
        for parameter in self.model.parameters():
            parameter.grad = parameter.data * 0.5
        self.optimizer.step()
        self.early_stopping = EarlyStopping("-loss")
        self.early_stopping.update(1, {"loss": 1.0}, self.model)

    def save(self, folder, step):
        return save_checkpoint(
            *(folder, step, self.model, self.optimizer, {"seed": 1}),
            keep=2,
            early_stopping=self.early_stopping,
        )

    def load(self, path):
        return load_checkpoint(path, self.model, self.optimizer, {"seed": 1}, self.early_stopping)


def write_on(disk, write) -> OSError | None:
    """What `write` raised on the disk, if it is one that says which path and why."""
    with disk, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            write()
        except OSError as error:
            assert error.errno == disk.error and os.strerror(disk.error) in str(error)
            return error
    return None


@every_fault
@pytest.mark.parametrize("again", [False, True], ids=["a new one", "over a damaged one"])
def test_a_checkpoint_fails_at_every_call_in_turn(device, tmp_path, fault, again):
    saved, before, folder = Saved(device), tmp_path / "before", tmp_path / "run"
    for step in (2, 4, 6) if again else (2, 4):
        saved.save(before, step)
    if again:
        (before / "checkpoint-000006" / "model.safetensors").write_bytes(b"damaged")
    for n in itertools.count():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(before, folder)
        disk = FaultyDisk(n, *fault)
        raised = write_on(disk, lambda: saved.save(folder, 6))
        if raised is None:  # what failed, if anything, was of no importance for the new one
            assert verify_checkpoint(folder / "checkpoint-000006")["step"] == 6
        else:
            assert str(folder / "checkpoint-000006") in str(raised)
        assert verify_checkpoint(folder / "checkpoint-000004")["step"] == 4
        # The next start, on a disk that is well again.
        with own_run_folder(folder), warnings.catch_warnings():
            warnings.simplefilter("error" if not again else "ignore")
            assert not list(folder.glob(".tmp-*"))
            newest = latest_checkpoint(folder)
            assert saved.load(newest) in ((6,) if raised is None else (4, 6))
            saved.save(folder, 6)
            assert [verify_checkpoint(p)["step"] for p in checkpoints(folder)] == [4, 6]
        if not disk.failed:
            break
    assert n >= 17, f"only {disk.calls} were seen"


def test_no_write_goes_past_the_disk_of_these_tests(device, tmp_path):
    before = system_writes()
    if before is None:
        pytest.skip("only Linux counts the writes of a process")
    with FaultyDisk() as disk:
        Saved(device).save(tmp_path, 2)
    assert sum(name == "write" for name, _ in disk.calls) == system_writes() - before


@every_fault
def test_a_run_fails_at_any_call_and_goes_on_when_the_disk_is_well(device, tmp_path, fault):
    settings = {"device": device, "steps": 6, "checkpoint_every": 2, "monitor": "-loss"}
    settings |= {"validate_every": 3, "keep_checkpoints": 1}
    make_trainer(out=tmp_path / "undisturbed", **settings).run()
    expected = final_state(tmp_path / "undisturbed")
    for n in itertools.count(0, STRIDE):
        folder = tmp_path / str(n)
        disk = FaultyDisk(n, *fault)
        raised = write_on(disk, make_trainer(out=folder, **settings).run)
        assert raised is None or str(folder) in str(raised)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            make_trainer(out=folder, **settings).run(resume=True)
        assert final_state(folder) == expected
        # (One before it may be left, if the disk failed while it was removed after the last step.)
        assert [verify_checkpoint(p)["step"] for p in checkpoints(folder)] in ([6], [4, 6])
        assert not list(folder.rglob(".tmp-*"))
        if not disk.failed:
            break
    assert n > 60, f"only {disk.calls} were seen"

"""Checkpoints: complete, verified, the last ones kept, and refused where they don't fit."""

import json
import resource
import shutil

import numpy as np
import pytest
from toy_run import make_model, make_trainer, write_trainer_json

from minillm import nn
from minillm.files import TEMPORARY_PREFIX
from minillm.models import BertConfig, BertForPreTraining
from minillm.optim import AdamW
from minillm.training import (
    CheckpointError,
    checkpoints,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
    verify_checkpoint,
)

FILES = ("model.safetensors", "optimizer.safetensors", "trainer.json")


def everything(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def run(device, tmp_path):
    """The folder of a run with the checkpoints 4, 8 and 12."""
    make_trainer(device=device, out=tmp_path, checkpoint_every=4, keep_checkpoints=3).run()
    return tmp_path


def resume(folder, device, **changes):
    return make_trainer(device=device, out=folder, checkpoint_every=4, **changes).run(resume=True)


def test_a_checkpoint_holds_what_it_should(run):
    path = checkpoints(run)[-1]
    assert sorted(p.name for p in path.iterdir()) == sorted(FILES)
    content = verify_checkpoint(path)
    assert content["step"] == 12
    assert content["settings"]["seed"] == 11
    assert sorted(content["digests"]) == sorted(FILES)
    assert content["versions"]["numpy"] == np.__version__


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_the_last_ones_are_kept(device, tmp_path, keep):
    trainer = make_trainer(
        device=device, out=tmp_path, steps=9, checkpoint_every=2, keep_checkpoints=keep
    )
    trainer.run()
    kept = [2, 4, 6, 8, 9][-keep:]
    assert [p.name for p in checkpoints(tmp_path)] == [f"checkpoint-{s:06d}" for s in kept]


def test_no_checkpoint_is_none(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "absent") is None


def flip_a_byte(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def cut_off(file):
    file.write_bytes(file.read_bytes()[:-1])


def empty(file):
    file.write_bytes(b"")


def remove(file):
    file.unlink()


@pytest.mark.parametrize("damage", [flip_a_byte, cut_off, empty, remove])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_newest_gives_way_to_the_one_before(device, run, name, damage):
    undamaged = everything(run)
    damage(run / "checkpoint-000012" / name)
    with pytest.warns(UserWarning, match=f"checkpoint-000012 is damaged: .*{name}"):
        assert latest_checkpoint(run) == run / "checkpoint-000008"
    with pytest.warns(UserWarning, match="checkpoint before it"):
        resume(run, device, keep_checkpoints=3)
    repaired = everything(run)
    for name in FILES:
        path = f"checkpoint-000012/{name}"
        assert repaired[path] == undamaged[path]


def test_trainer_json_with_another_number_is_damaged(run):
    file = run / "checkpoint-000012" / "trainer.json"
    file.write_text(file.read_text().replace('"step": 12', '"step": 13'))
    with pytest.raises(CheckpointError, match="trainer.json differs"):
        verify_checkpoint(file.parent)


@pytest.mark.parametrize("text", ["[]", "7", "{}", '{"digests": 1}', '{"digests": {}}'])
def test_a_foreign_trainer_json_is_damage_not_a_crash(run, text):
    file = run / "checkpoint-000012" / "trainer.json"
    file.write_text(text)
    with pytest.raises(CheckpointError, match="trainer.json"):
        verify_checkpoint(file.parent)


def test_if_all_are_damaged_nothing_begins_and_nothing_is_removed(device, run):
    for path in checkpoints(run):
        flip_a_byte(path / "model.safetensors")
    before = everything(run)
    with pytest.warns(UserWarning), pytest.raises(CheckpointError, match="no checkpoint .* intact"):
        resume(run, device)
    before.pop("run.lock")
    after = everything(run)
    after.pop("run.lock")
    assert after == before


def test_another_model_is_refused_before_anything_is_touched(device, run):
    model = make_model(width=8).to(device)
    before = {n: p.numpy().copy() for n, p in model.named_parameters()}
    with pytest.raises(
        CheckpointError, match=r"another model: embedding.weight is float32\[17, 16\]"
    ):
        resume(run, device, model=model)
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(parameter.numpy(), before[name])


def test_a_model_of_another_class_is_refused(device, run):
    class Stranger(nn.Module):
        def __init__(self):
            super().__init__()
            self.only = nn.Linear(2, 2)

    with pytest.raises(CheckpointError, match="class is Counter there and Stranger here"):
        resume(run, device, model=Stranger())


def small_bert(**changes) -> BertForPreTraining:
    measures = {"vocab_size": 50, "hidden_size": 8, "intermediate_size": 16}
    return BertForPreTraining(BertConfig.from_size("tiny", **(measures | changes)))


def test_a_model_with_a_configuration_saves_a_folder_that_opens_by_itself(device, tmp_path):
    model = small_bert().to(device)
    optimizer = AdamW(model.parameters(), lr=0.1)
    path = save_checkpoint(tmp_path, 7, model, optimizer, {"seed": 1})
    assert "config.json" in verify_checkpoint(path)["digests"]
    opened = BertForPreTraining.from_pretrained(path)
    other = small_bert().to(device)
    assert load_checkpoint(path, other, AdamW(other.parameters(), lr=0.1), {"seed": 1}) == 7
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(
            dict(opened.named_parameters())[name].numpy(), parameter.numpy()
        )
        np.testing.assert_array_equal(
            dict(other.named_parameters())[name].numpy(), parameter.numpy()
        )


def test_another_configuration_is_refused(device, tmp_path):
    model = small_bert()
    path = save_checkpoint(tmp_path, 7, model, AdamW(model.parameters(), lr=0.1), {})
    other = small_bert(hidden_dropout_prob=0.3)
    with pytest.raises(CheckpointError, match="hidden_dropout_prob is 0.1 there and 0.3 here"):
        load_checkpoint(path, other, AdamW(other.parameters(), lr=0.1), {})


def test_other_library_versions_are_told(device, run):
    path = checkpoints(run)[-1]
    content = json.loads((path / "trainer.json").read_text())
    content["versions"]["numpy"] = "1.0"
    write_trainer_json(path, content)
    with pytest.warns(UserWarning, match="numpy 1.0"):
        resume(run, device)


# ----------------------------------------------------------------------------- full disks etc.


def test_a_full_disk_leaves_the_checkpoints_before(device, tmp_path):
    """A limit on the size of files stops the write in the middle, as a full disk does."""
    trainer = make_trainer(make_model(width=64), device=device, out=tmp_path, checkpoint_every=4)
    steps_begun = iter(range(100))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    objective = trainer.objective

    def full_from_step_5(model, batch):
        if next(steps_begun) == 5:
            resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, hard))
        return objective(model, batch)

    trainer.objective = full_from_step_5
    try:
        with pytest.raises(OSError, match="checkpoint-000008 can't be written .*File too large"):
            trainer.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in checkpoints(tmp_path)] == ["checkpoint-000004"]
    assert not list(tmp_path.glob(".tmp-*"))
    assert verify_checkpoint(tmp_path / "checkpoint-000004")["step"] == 4
    history = make_trainer(make_model(width=64), device=device, out=tmp_path).run(resume=True)
    assert [r["step"] for r in history] == list(range(1, 13))


def test_leftovers_of_a_kill_are_removed_at_the_next_start(device, run):
    shutil.copytree(run / "checkpoint-000012", run / f"{TEMPORARY_PREFIX}abcdef")
    resume(run, device)
    assert not list(run.glob(".tmp-*"))


def test_a_checkpoint_killed_between_the_two_renames_of_a_rewrite_comes_back(device, run):
    (run / "checkpoint-000012").rename(run / f"{TEMPORARY_PREFIX}old-checkpoint-000012")
    resume(run, device)
    assert latest_checkpoint(run) == run / "checkpoint-000012"

"""A run that was stopped, in whatever way, and resumed equals one left alone, bit for bit."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import toy_run
from toy_run import interrupt_at, make_model, make_trainer, objective, write_trainer_json

from minillm.data import encode_corpus, open_corpus
from minillm.text import CharacterTokenizer
from minillm.training import (
    TIMING_FIELDS,
    CheckpointError,
    TrainingInterrupted,
    checkpoints,
    layerwise_groups,
    read_metrics,
)


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """A test run started in the background ignores Ctrl-C; here Python's own handler is wanted."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def without_timing(history: list[dict]) -> list[dict]:
    return [{k: v for k, v in record.items() if k not in TIMING_FIELDS} for record in history]


def final_state(folder: Path) -> tuple[dict[str, bytes], list[dict]]:
    """What must be equal: all files of numbers byte for byte, and the metrics."""
    last = checkpoints(folder)[-1]
    return (
        {file.name: file.read_bytes() for file in last.glob("*.safetensors")},
        without_timing(read_metrics(folder / "metrics.jsonl")),
    )


@pytest.fixture(scope="module")
def undisturbed(device, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    history = make_trainer(device=device, out=folder, checkpoint_every=4).run()
    return folder, without_timing(history)


class PowerCut(Exception):
    """Ends a run without giving it a chance to save."""


def fail_at(step: int):
    steps_begun = iter(range(1_000_000))

    def failing(model, batch):
        if next(steps_begun) == step:
            raise PowerCut
        return objective(model, batch)

    return failing


@pytest.mark.parametrize("step", range(12))
def test_cut_off_at_any_step(device, tmp_path, undisturbed, step):
    folder, history = undisturbed
    settings = {"device": device, "out": tmp_path, "checkpoint_every": 4}
    with pytest.raises(PowerCut):
        make_trainer(objective=fail_at(step), **settings).run()
    assert [p.name for p in checkpoints(tmp_path)] == [
        f"checkpoint-{s:06d}" for s in range(4, step + 1, 4)
    ]
    resumed = make_trainer(make_model(), **settings).run(resume=True)
    assert without_timing(resumed) == history
    assert final_state(tmp_path) == final_state(folder)


@pytest.mark.parametrize("step", [0, 6, 11])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(
    device, tmp_path, undisturbed, step, number
):
    folder, history = undisturbed
    settings = {"device": device, "out": tmp_path, "checkpoint_every": 4}
    handler = signal.getsignal(number)
    with pytest.raises(TrainingInterrupted, match="--resume") as caught:
        make_trainer(objective=interrupt_at(step, number), **settings).run()
    assert caught.value.signal == number
    assert signal.getsignal(number) is handler
    assert f"after step {step + 1} of 12" in str(caught.value)
    assert checkpoints(tmp_path)[-1].name == f"checkpoint-{step + 1:06d}"
    resumed = make_trainer(make_model(), **settings).run(resume=True)
    assert without_timing(resumed) == history
    assert final_state(tmp_path) == final_state(folder)


def test_a_second_ctrl_c_stops_at_once(device):
    def impatient(model, batch):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second signal had no effect")

    with pytest.raises(KeyboardInterrupt) as caught:
        make_trainer(objective=impatient, device=device).run()
    assert not isinstance(caught.value, TrainingInterrupted)


def test_ctrl_c_without_a_folder_says_that_nothing_was_saved(device):
    with pytest.raises(TrainingInterrupted, match="nothing was saved"):
        make_trainer(objective=interrupt_at(3), device=device).run()


def test_a_run_in_another_thread_leaves_signals_alone(device):
    """Only the main thread may set handlers; a notebook server runs code elsewhere."""
    with ThreadPoolExecutor(1) as pool:
        history = pool.submit(make_trainer(device=device).run).result()
    assert without_timing(history) == without_timing(make_trainer(device=device).run())


def test_resuming_with_accumulation_takes_the_right_micro_batches(device, tmp_path):
    settings = {"device": device, "accumulate": 3, "checkpoint_every": 4}
    make_trainer(out=tmp_path / "a", **settings).run()
    with pytest.raises(PowerCut):
        make_trainer(objective=fail_at(3 * 6 + 1), out=tmp_path / "b", **settings).run()
    make_trainer(out=tmp_path / "b", **settings).run(resume=True)
    assert final_state(tmp_path / "a") == final_state(tmp_path / "b")


@pytest.mark.parametrize(
    "optimizer",
    [
        {"optimizer": "adam"},
        {"optimizer": "sgd", "learning_rate": 0.5},
        {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_every_optimizer_can_be_resumed(device, tmp_path, optimizer):
    settings = {"device": device, "checkpoint_every": 4} | optimizer
    make_trainer(out=tmp_path / "a", **settings).run()
    with pytest.raises(PowerCut):
        make_trainer(objective=fail_at(9), out=tmp_path / "b", **settings).run()
    make_trainer(out=tmp_path / "b", **settings).run(resume=True)
    assert final_state(tmp_path / "a") == final_state(tmp_path / "b")


def test_layerwise_rates_can_be_resumed_but_not_with_others(device, tmp_path):
    def groups(decay):
        depth = {"embedding": 0, "hidden": 1, "norm": 1, "output": 2}
        return lambda model: layerwise_groups(
            model, 0.01, decay, lambda name: depth[name.partition(".")[0]]
        )

    settings = {"device": device, "checkpoint_every": 4, "parameter_groups": groups(0.5)}
    make_trainer(out=tmp_path / "a", **settings).run()
    with pytest.raises(PowerCut):
        make_trainer(objective=fail_at(9), out=tmp_path / "b", **settings).run()
    for other in (groups(0.6), None):
        with pytest.raises(CheckpointError, match="groups is"):
            make_trainer(out=tmp_path / "b", **(settings | {"parameter_groups": other})).run(
                resume=True
            )
    make_trainer(out=tmp_path / "b", **settings).run(resume=True)
    assert final_state(tmp_path / "a") == final_state(tmp_path / "b")


def test_another_layer_frozen_is_another_run(device, tmp_path):
    def frozen(part):
        model = make_model()
        getattr(model, part).requires_grad_(False)
        return model

    settings = {"device": device, "out": tmp_path, "checkpoint_every": 4}
    make_trainer(frozen("hidden"), **settings).run()
    with pytest.raises(CheckpointError, match="frozen is .'hidden.weight'.* there and .'output"):
        make_trainer(frozen("output"), **settings).run(resume=True)


def test_resuming_a_finished_run_changes_nothing(device, tmp_path):
    settings = {"device": device, "out": tmp_path, "checkpoint_every": 4}
    history = make_trainer(**settings).run()
    before = final_state(tmp_path)
    trainer = make_trainer(**settings)
    assert trainer.run(resume=True) == history
    assert final_state(tmp_path) == before
    saved = safetensors.numpy.load_file(checkpoints(tmp_path)[-1] / "model.safetensors")
    for name, parameter in trainer.model.named_parameters():
        np.testing.assert_array_equal(parameter.numpy(), saved[name])


def test_numpy_numbers_as_settings(device, tmp_path, undisturbed):
    folder, _ = undisturbed
    settings = {"steps": np.int64(12), "learning_rate": np.float64(0.02), "out": tmp_path}
    with pytest.raises(TrainingInterrupted):
        make_trainer(objective=interrupt_at(6), device=device, **settings).run()
    make_trainer(device=device, out=tmp_path).run(resume=True)
    assert final_state(tmp_path) == final_state(folder)


def test_the_clock_goes_on_where_it_stopped(device, tmp_path):
    settings = {"device": device, "out": tmp_path, "checkpoint_every": 4}
    with pytest.raises(PowerCut):
        make_trainer(objective=fail_at(9), **settings).run()
    seconds = [r["seconds"] for r in make_trainer(**settings).run(resume=True)]
    assert seconds == sorted(seconds)


# -------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 12},
        {"steps": 13},
        {"learning_rate": 0.01},
        {"warmup_steps": 2},
        {"schedule": "cosine"},
        {"weight_decay": 0.0},
        {"betas": (0.9, 0.99)},
        {"clip_norm": None},
        {"accumulate": 2},
        {"data_fingerprint": "other"},
        {"optimizer": "adam"},
        {"monitor": "-loss"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_run_is_not_resumed_and_the_difference_is_named(device, undisturbed, change):
    folder, _ = undisturbed
    model = make_model()
    before = {n: p.numpy().copy() for n, p in model.named_parameters()}
    state = final_state(folder)
    trainer = make_trainer(model, device=device, out=folder, **change)
    with pytest.raises(CheckpointError, match=f"other settings: {next(iter(change))} is"):
        trainer.run(resume=True)
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(parameter.numpy(), before[name])
    assert final_state(folder) == state


@pytest.mark.parametrize("given", [True, False], ids=["told", "known to the batches"])
def test_a_corpus_that_changed_between_stop_and_resume(device, tmp_path, undisturbed, given):
    """The texts are in a file, which is encoded again at each start, as in the lessons."""
    tokenizer = CharacterTokenizer.train(["abc "])

    def trainer(**changes):
        corpus = open_corpus(tmp_path / "texts.txt")
        encoded = encode_corpus(corpus, tokenizer, tmp_path / "cache", False, processes=1)

        class Batches:
            fingerprint = encoded.digest

            def __call__(self, index):
                return toy_run.batches(index)

        fingerprint = encoded.digest if given else None
        settings = {"device": device, "out": tmp_path / "run", "checkpoint_every": 4} | changes
        return make_trainer(batches=Batches(), data_fingerprint=fingerprint, **settings)

    (tmp_path / "texts.txt").write_text("a b c\n\nc b a\n")
    with pytest.raises(PowerCut):
        trainer(objective=fail_at(6)).run()
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    (tmp_path / "texts.txt").write_text("a b c\n\nc b b\n")
    with pytest.raises(CheckpointError) as caught:
        trainer().run(resume=True)
    for part in ("checkpoint-000004", "data_fingerprint is", "the texts, the tokenizer", "put the"):
        assert part in str(caught.value)
    after = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert after == before
    (tmp_path / "texts.txt").write_text("a b c\n\nc b a\n")  # put back
    trainer().run(resume=True)
    assert final_state(tmp_path / "run") == final_state(undisturbed[0])


def test_a_corrupt_newest_checkpoint_costs_the_steps_since_the_one_before(
    device, tmp_path, undisturbed
):
    """Of the metrics, too: the steps behind the older checkpoint are computed and written again."""
    settings = {"device": device, "out": tmp_path, "checkpoint_every": 4}
    with pytest.raises(PowerCut):
        make_trainer(objective=fail_at(10), **settings).run()
    newest = tmp_path / "checkpoint-000008" / "optimizer.safetensors"
    data = bytearray(newest.read_bytes())
    data[-3] ^= 4
    newest.write_bytes(data)
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == 10
    with pytest.warns(UserWarning, match="checkpoint-000008 is damaged: optimizer.* before it"):
        with pytest.raises(PowerCut):
            make_trainer(objective=fail_at(0), **settings).run(resume=True)
    assert [r["step"] for r in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4]
    with pytest.warns(UserWarning, match="checkpoint-000008 is damaged"):
        make_trainer(**settings).run(resume=True)
    assert final_state(tmp_path) == final_state(undisturbed[0])


def test_a_number_in_the_metrics_that_changed_is_told(device, tmp_path, undisturbed):
    settings = {"device": device, "out": tmp_path, "checkpoint_every": 4}
    with pytest.raises(PowerCut):
        make_trainer(objective=fail_at(10), **settings).run()
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text().replace('"sequences": 8', '"sequences": 9', 1))
    with pytest.warns(UserWarning, match="metrics.jsonl isn't what was written up to step 8"):
        make_trainer(**settings).run(resume=True)


def test_a_run_with_a_constant_rate_may_be_made_longer(device, tmp_path):
    settings = {"device": device, "schedule": "constant", "validate": None}
    make_trainer(steps=10, out=tmp_path / "a", **settings).run()
    make_trainer(steps=6, out=tmp_path / "b", **settings).run()
    make_trainer(steps=10, out=tmp_path / "b", **settings).run(resume=True)
    assert final_state(tmp_path / "a") == final_state(tmp_path / "b")


def test_a_checkpoint_from_before_there_was_a_choice_of_optimizers(device, tmp_path, undisturbed):
    folder, _ = undisturbed
    settings = {"device": device, "out": tmp_path, "checkpoint_every": 4}
    with pytest.raises(PowerCut):
        make_trainer(objective=fail_at(9), **settings).run()
    path = checkpoints(tmp_path)[-1]
    content = json.loads((path / "trainer.json").read_text())
    for name in ("optimizer", "momentum", "monitor", "frozen"):
        del content["settings"][name]
    write_trainer_json(path, content)
    with pytest.raises(CheckpointError, match="optimizer is adamw there and sgd here"):
        make_trainer(optimizer="sgd", **settings).run(resume=True)
    make_trainer(**settings).run(resume=True)
    assert final_state(tmp_path) == final_state(folder)


def test_a_folder_with_a_run_is_not_overwritten(device, undisturbed):
    folder, _ = undisturbed
    before = final_state(folder)
    with pytest.raises(FileExistsError, match="--resume"):
        make_trainer(device=device, out=folder).run()
    assert final_state(folder) == before


# ------------------------------------------------------------------------------------ kills

# SIGKILLs a test run sends.  For the long proof: MINILLM_KILLS=200 pytest -s tests/training -k kill
KILLS = int(os.environ.get("MINILLM_KILLS", "4"))


def start(folder: Path, device: str, *options: str) -> subprocess.Popen:
    program = [sys.executable, toy_run.__file__, "--out", str(folder), "--device", device]
    return subprocess.Popen(
        [*program, *options], env=toy_run.environment(), stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> tuple[int, str]:
    _, errors = process.communicate(timeout=600)
    return process.returncode, errors


def wait_until(condition, process: subprocess.Popen) -> None:
    while not condition() and process.poll() is None:
        time.sleep(0.0002)


def lines(folder: Path) -> int:
    path = folder / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def temporary_files(folder: Path) -> set[Path]:
    return set(folder.glob(".tmp-*"))


def kill_in_a_checkpoint(process, folder: Path, rng) -> None:
    dead = temporary_files(folder)
    for _ in range(rng.randint(1, 4)):
        wait_until(lambda: temporary_files(folder) <= dead, process)
        wait_until(lambda: temporary_files(folder) - dead, process)
    time.sleep(rng.random() ** 3 * 0.004)
    process.kill()


def test_killed_at_random_moments_and_while_checkpoints_are_written(device, tmp_path):
    """Half of the kills come at any time between a process's start and its end, the other half
    while a checkpoint is written.  Each time the same command goes on, until the run is complete;
    then the next run begins.
    """
    alone, steps = tmp_path / "alone", "60"
    began = time.monotonic()
    assert finish(start(alone, device, "--steps", steps)) == (0, "")
    duration = time.monotonic() - began
    expected = final_state(alone)
    rng = random.Random(5)
    kills = runs = without_a_step = in_a_checkpoint = 0
    while kills < KILLS:
        folder, complete = tmp_path / str(runs), False
        runs += 1
        while not complete:
            begun, dead = lines(folder), temporary_files(folder)
            process = start(folder, device, "--steps", steps, "--resume")
            if kills < KILLS and kills % 2:
                kill_in_a_checkpoint(process, folder, rng)
            elif kills < KILLS:
                time.sleep(rng.random() * duration)
                process.kill()
            code, errors = finish(process)
            assert not errors
            if lines(folder) > begun:  # it has made steps, so it has cleaned up before
                assert not dead & temporary_files(folder)
            complete = code == 0
            if not complete:
                assert code == -signal.SIGKILL
                kills += 1
                without_a_step += lines(folder) == begun
                in_a_checkpoint += bool(temporary_files(folder) - dead)
        assert final_state(folder) == expected
        assert not temporary_files(folder)
        shutil.rmtree(folder)
    print(
        f"{kills} kills in {runs} runs of {steps} steps: {without_a_step} before the process had "
        f"made a step, {in_a_checkpoint} within a checkpoint"
    )


def test_a_terminated_program_says_how_to_go_on(device, tmp_path):
    process = start(tmp_path, device, "--steps", "100000")
    wait_until(lambda: lines(tmp_path) > 3, process)
    process.terminate()
    code, errors = finish(process)
    assert code == 128 + signal.SIGTERM
    assert "--resume" in errors
    assert json.loads((checkpoints(tmp_path)[-1] / "trainer.json").read_text())["step"] > 3


def test_a_folder_in_use_is_refused_until_its_process_ends(device, tmp_path):
    process = start(tmp_path, device, "--steps", "100000")
    wait_until(lambda: lines(tmp_path) > 3, process)
    try:
        with pytest.raises(RuntimeError, match=f"in use by process {process.pid}"):
            make_trainer(device=device, out=tmp_path).run(resume=True)
    finally:
        process.kill()
        finish(process)
    trainer = make_trainer(
        objective=interrupt_at(0),
        steps=100000,
        checkpoint_every=2,
        monitor="-loss",
        out=tmp_path,
        device=device,
    )
    with pytest.raises(TrainingInterrupted):  # so it began: a dead process holds nothing
        trainer.run(resume=True)

"""Early stopping keeps the best model, stops when it should, and survives being stopped itself."""

import math
import signal

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from toy_run import interrupt_at, make_model, make_trainer, objective

import minillm
from minillm.training import (
    TIMING_FIELDS,
    CheckpointError,
    EarlyStopping,
    TrainingInterrupted,
    checkpoints,
    read_metrics,
)


def weights(model) -> dict[str, np.ndarray]:
    return {name: p.numpy().copy() for name, p in model.named_parameters()}


def assert_equal(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


# ------------------------------------------------------------------------- the rule by itself


@given(
    values=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, math.nan]), max_size=12),
    patience=st.sampled_from([None, 1, 2, 5]),
    less_is_better=st.booleans(),
)
def test_the_first_best_is_kept_and_patience_counts_from_it(values, patience, less_is_better):
    stopping = EarlyStopping("-score" if less_is_better else "score", patience)
    model = make_model()
    seen = []
    for step, value in enumerate(values, 1):
        model.output.bias.data[...] = step
        stopping.update(step, {"other": 9.0, "score": value}, model)
        seen.append((-value if less_is_better else value) if value == value else -math.inf)
        best = int(np.argmax(seen))  # the first of equals
        if seen[best] > -math.inf:
            assert (stopping.best_step, stopping.best_value) == (best + 1, values[best])
            waited = len(seen) - 1 - best
        else:
            assert (stopping.best_step, stopping.best_value) == (0, None)
            waited = len(seen)
        assert stopping.stop == (patience is not None and waited >= patience)
    stopping.restore(model)
    expected = stopping.best_step or len(values)  # without any best one: as it is
    if values:
        assert (model.output.bias.data == expected).all()


def test_a_name_that_validation_does_not_return(device):
    trainer = make_trainer(monitor="accuracy", device=device)
    with pytest.raises(ValueError, match="monitor='accuracy'.* no 'accuracy', only 'loss'"):
        trainer.run()


# ------------------------------------------------------------------------------------- a run


def scripted(accuracies, seen):
    """A validation that returns these numbers, and notes the model's weights in `seen`."""
    remaining = iter(accuracies)

    def validate(model):
        seen.append(weights(model))
        return {"accuracy": next(remaining), "loss": 1.0}

    return validate


def test_it_stops_and_gives_the_best_model_back(device, tmp_path):
    seen: list[dict] = []
    trainer = make_trainer(
        validate=scripted([0.5, 0.7, 0.6, 0.7, 0.65], seen),
        validate_every=2,
        monitor="accuracy",
        patience=3,
        steps=30,
        out=tmp_path,
        device=device,
    )
    history = trainer.run()
    assert [r["step"] for r in history] == list(range(1, 11))
    assert [r["best_step"] for r in history if "best_step" in r] == [2, 4, 4, 4, 4]
    assert (trainer.early_stopping.best_step, trainer.early_stopping.best_value) == (4, 0.7)
    assert not trainer.model.training
    assert_equal(weights(trainer.model), seen[1])
    (path,) = checkpoints(tmp_path)
    assert path.name == "checkpoint-000010"
    assert_equal(safetensors.numpy.load_file(path / "model.safetensors"), seen[-1])
    assert_equal(safetensors.numpy.load_file(path / "best.safetensors"), seen[1])


def test_without_patience_the_best_of_all_is_kept_and_training_runs_to_the_end(device):
    seen: list[dict] = []
    trainer = make_trainer(
        validate=scripted([0.5, 0.9, 0.6, 0.7, 0.65], seen),
        validate_every=3,
        monitor="accuracy",
        steps=14,
        device=device,
    )
    history = trainer.run()
    assert history[-1]["step"] == 14 and len(seen) == 5
    assert history[-1]["best_step"] == 6
    assert_equal(weights(trainer.model), seen[1])


def test_a_second_run_judges_anew(device):
    values = [0.9, 0.5, 0.5, 0.1, 0.2, 0.3]
    trainer = make_trainer(
        validate=scripted(values, []), monitor="accuracy", patience=2, device=device
    )
    assert trainer.run()[-1]["best_step"] == 5
    assert trainer.run()[-1]["best_step"] == 12


def test_the_end_is_told(device, capfd):
    make_trainer(
        validate=scripted([0.5, 0.25], []),
        monitor="accuracy",
        patience=1,
        progress=True,
        device=device,
    ).run()
    last = capfd.readouterr().err.splitlines()[-1]
    assert last == "ended after step 10 of 12; the best accuracy, 0.5, was after step 5"


# ------------------------------------------------------------------------------- resuming it


def chaotic(model) -> dict[str, float]:
    """A number that jumps up and down, and in which every bit of the weights counts."""
    total = sum(float(np.sum(p.numpy(), dtype=np.float64)) for p in model.parameters())
    return {"score": math.modf(abs(total) * 1e3)[0]}


CHAOTIC = {
    "validate": chaotic,
    "validate_every": 2,
    "monitor": "score",
    "patience": 6,
    "steps": 40,
    "checkpoint_every": 3,
}


class PowerCut(Exception):
    """Ends a run without giving it a chance to save."""


def fail_at(step: int):
    begun = iter(range(1_000_000))

    def failing(model, batch):
        if next(begun) == step:
            raise PowerCut
        return objective(model, batch)

    return failing


def outcome(trainer, folder) -> tuple:
    last = checkpoints(folder)[-1]
    history = [
        {k: v for k, v in record.items() if k not in TIMING_FIELDS}
        for record in read_metrics(folder / "metrics.jsonl")
    ]
    files = {file.name: file.read_bytes() for file in last.glob("*.safetensors")}
    return weights(trainer.model), last.name, files, history


@pytest.fixture(scope="module")
def undisturbed(device, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    trainer = make_trainer(device=device, out=folder, **CHAOTIC)
    trainer.run()
    return outcome(trainer, folder)


def assert_same_outcome(one: tuple, other: tuple) -> None:
    assert_equal(one[0], other[0])
    assert one[1:] == other[1:]


def test_the_run_that_is_resumed_below_stops_early_after_its_best(undisturbed):
    """Otherwise the tests below would prove less than they say."""
    _, _, _, history = undisturbed
    assert 6 < history[-1]["best_step"] < history[-1]["step"] < 40


@pytest.mark.parametrize("every", [1, 4])
def test_cut_off_again_and_again(device, tmp_path, undisturbed, every):
    """Cut off in each step from a checkpoint on (every=1: in all of them), to the end."""
    cuts = 0
    trainer = make_trainer(device=device, out=tmp_path, objective=fail_at(2), **CHAOTIC)
    with pytest.raises(PowerCut):
        trainer.run()
    while True:
        cut = fail_at(3 + cuts % every)  # behind the next checkpoint
        trainer = make_trainer(device=device, out=tmp_path, objective=cut, **CHAOTIC)
        try:
            trainer.run(resume=True)
            break
        except PowerCut:
            cuts += 1
    assert cuts >= 3
    assert_same_outcome(outcome(trainer, tmp_path), undisturbed)


def test_ctrl_c_at_the_best_step_and_after(device, tmp_path, undisturbed):
    best = undisturbed[3][-1]["best_step"]
    for step in (best - 1, 0, 0):  # in the step that becomes the best one, then the next ones
        stopped = interrupt_at(step, signal.SIGTERM)
        trainer = make_trainer(device=device, out=tmp_path, objective=stopped, **CHAOTIC)
        with pytest.raises(TrainingInterrupted):
            trainer.run(resume=True)
    trainer = make_trainer(device=device, out=tmp_path, **CHAOTIC)
    trainer.run(resume=True)
    assert_same_outcome(outcome(trainer, tmp_path), undisturbed)


def test_a_run_that_has_stopped_stays_so_and_gives_its_best_model(device, tmp_path, undisturbed):
    make_trainer(device=device, out=tmp_path, **CHAOTIC).run()
    trainer = make_trainer(device=device, out=tmp_path, **CHAOTIC)
    trainer.run(resume=True)
    assert_same_outcome(outcome(trainer, tmp_path), undisturbed)


def test_with_more_patience_a_stopped_run_goes_on(device, tmp_path, undisturbed):
    make_trainer(device=device, out=tmp_path, **(CHAOTIC | {"patience": 1})).run()
    trainer = make_trainer(device=device, out=tmp_path, **CHAOTIC)
    trainer.run(resume=True)
    assert_same_outcome(outcome(trainer, tmp_path), undisturbed)


def test_a_damaged_best_model_makes_its_checkpoint_give_way(device, tmp_path, undisturbed):
    make_trainer(device=device, out=tmp_path, **CHAOTIC).run()
    file = checkpoints(tmp_path)[-1] / "best.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    trainer = make_trainer(device=device, out=tmp_path, **CHAOTIC)
    with pytest.warns(UserWarning, match="damaged: best.safetensors"):
        trainer.run(resume=True)
    assert_same_outcome(outcome(trainer, tmp_path), undisturbed)


@pytest.mark.parametrize("change", [{"monitor": "-score"}, {"validate_every": 3}, {"steps": 8}])
def test_what_is_kept_may_not_be_changed_on_the_way(device, tmp_path, change):
    settings = CHAOTIC | {"steps": 4, "schedule": "constant"}
    make_trainer(device=device, out=tmp_path, **settings).run()
    with pytest.raises(CheckpointError, match=f"{next(iter(change))} is"):
        make_trainer(device=device, out=tmp_path, **(settings | change)).run(resume=True)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_seed_gives_the_same_bits(device, tmp_path, threads, undisturbed):
    """With dropout, early stopping and threads; two threads compute what one does."""
    if device == "cuda" and threads > 1:
        pytest.skip("threads share micro batches on the CPU only")
    results = []
    for number, used in enumerate((threads, threads, 1)):
        minillm.manual_seed(number)  # what was drawn before doesn't matter
        trainer = make_trainer(
            make_model(dropout=0.3),
            device=device,
            out=tmp_path / str(number),
            accumulate=2,
            threads=used,
            **CHAOTIC,
        )
        trainer.run()
        results.append(outcome(trainer, tmp_path / str(number)))
    assert_same_outcome(results[0], results[1])
    assert_same_outcome(results[0], results[2])

"""The training loop: it learns, and it does what it says about batches, groups and rates."""

import json
import math

import numpy as np
import pytest
import toy_run
from toy_run import V, batches, make_model, make_trainer, objective, split_batches

import minillm
from minillm import nn, optim
from minillm.training import Trainer, TrainingDiverged, checkpoints


def weights(model) -> dict[str, np.ndarray]:
    return {name: p.numpy().copy() for name, p in model.named_parameters()}


def test_the_loss_falls_from_chance_to_nearly_nothing(device):
    trainer = make_trainer(steps=120, device=device)
    history = trainer.run()
    assert abs(history[0]["loss"] - math.log(V)) < 1
    assert history[-1]["loss"] < 0.3
    assert history[-1]["validation_loss"] < 0.1
    assert not trainer.model.training


def test_a_record_a_step(device):
    history = make_trainer(device=device).run()
    assert [record["step"] for record in history] == list(range(1, 13))
    assert all(record["tokens"] == 8 * toy_run.T for record in history)
    assert all(record["sequences"] == 8 for record in history)
    assert all(type(v) in (int, float) for record in history for v in record.values())
    validated = [record["step"] for record in history if "validation_loss" in record]
    assert validated == [5, 10, 12]


def test_tokens_are_counted_without_padding(device):
    def padded(index):
        mask = np.ones((8, toy_run.T), dtype=np.int64)
        mask[:, -2:] = 0
        return batches(index) | {"attention_mask": mask}

    history = make_trainer(batches=padded, steps=2, warmup_steps=0, device=device).run()
    assert [record["tokens"] for record in history] == [8 * (toy_run.T - 2)] * 2


def test_the_record_names_the_loss_of_the_batch_before_the_update(device):
    model = make_model(dropout=0).to(device)
    batch = {n: minillm.tensor(a, device=device) for n, a in batches(0).items()}
    loss, metrics = objective(model, batch)
    expected = loss.item(), metrics["logit_spread"].item()
    record = make_trainer(model, device=device).run()[0]
    assert (record["loss"], record["logit_spread"]) == expected


def test_accumulated_micro_batches_equal_the_large_batch(device):
    def halves(index):
        step, half = divmod(index, 2)
        return {n: a[half * 4 : half * 4 + 4] for n, a in batches(step).items()}

    whole = make_trainer(make_model(dropout=0), device=device)
    parts = make_trainer(make_model(dropout=0), batches=halves, accumulate=2, device=device)
    whole_history, parts_history = whole.run(), parts.run()
    for one, other in zip(whole_history, parts_history, strict=True):
        assert one["tokens"] == other["tokens"]
        np.testing.assert_allclose(one["loss"], other["loss"], rtol=1e-4)
        np.testing.assert_allclose(one["gradient_norm"], other["gradient_norm"], rtol=1e-3)
    for name, value in weights(whole.model).items():
        np.testing.assert_allclose(value, weights(parts.model)[name], rtol=1e-3, atol=1e-4)


def test_examples_weigh_the_same_in_a_smaller_micro_batch(device):
    """8 examples as 5 + 3 give the gradient of the 8; threads or not."""

    def unequal(index):
        step, second = divmod(index, 2)
        rows = slice(5, 8) if second else slice(0, 5)
        return {n: a[rows] for n, a in batches(step).items()}

    whole = make_trainer(make_model(dropout=0), device=device)
    parts = make_trainer(make_model(dropout=0), batches=unequal, accumulate=2, device=device)
    whole_history, parts_history = whole.run(), parts.run()
    for one, other in zip(whole_history, parts_history, strict=True):
        np.testing.assert_allclose(one["loss"], other["loss"], rtol=1e-4)
        np.testing.assert_allclose(one["gradient_norm"], other["gradient_norm"], rtol=1e-3)


@pytest.mark.parametrize("rows", [1, 2, 5, 8])
def test_a_batch_split_into_parts_equals_the_batch(device, rows):
    """With fewer rows than parts, too."""

    def whole(index):
        return {n: a[:rows] for n, a in batches(index).items()}

    parts = 3
    one = make_trainer(make_model(dropout=0), batches=whole, device=device).run()
    split = make_trainer(
        make_model(dropout=0), batches=split_batches(whole, parts), accumulate=parts, device=device
    ).run()
    np.testing.assert_allclose([r["loss"] for r in one], [r["loss"] for r in split], rtol=1e-3)
    assert [r["tokens"] for r in one] == [r["tokens"] for r in split]


def test_an_empty_batch_is_named(device):
    def empty(index):
        return {n: a[:0] if index == 4 else a for n, a in batches(index).items()}

    with pytest.raises(ValueError, match="step 5 are empty"):
        make_trainer(batches=empty, device=device).run()


# ------------------------------------------------------------------------------------ epochs


@pytest.mark.parametrize("epochs, steps", [(3, 12), (2.5, 10), (0.1, 1), (np.float64(2), 8)])
def test_epochs_are_steps(device, epochs, steps):
    by_epochs = make_trainer(
        steps=None, epochs=epochs, steps_per_epoch=np.int64(4), warmup_steps=0, device=device
    )
    assert by_epochs.steps == steps and type(by_epochs.steps) is int
    by_steps = make_trainer(steps=steps, warmup_steps=0, device=device)
    assert [r["loss"] for r in by_epochs.run()] == [r["loss"] for r in by_steps.run()]


def test_every_epoch_is_validated_and_saved_and_the_end(device, tmp_path):
    trainer = make_trainer(
        steps=None,
        epochs=2.5,
        steps_per_epoch=4,
        validate_every="epoch",
        checkpoint_every="epoch",
        keep_checkpoints=9,
        out=tmp_path,
        device=device,
    )
    history = trainer.run()
    assert [r["step"] for r in history if "validation_loss" in r] == [4, 8, 10]
    assert [int(p.name[-6:]) for p in checkpoints(tmp_path)] == [4, 8, 10]


# -------------------------------------------------------------------------------- optimizers


@pytest.mark.parametrize(
    "name, settings, make",
    [
        ("adamw", {}, lambda g: optim.AdamW(g, 0.02, (0.8, 0.9), 1e-6)),
        ("adam", {}, lambda g: optim.Adam(g, 0.02, (0.8, 0.9), 1e-6)),
        ("sgd", {}, lambda g: optim.SGD(g, 0.02)),
        ("sgd", {"momentum": 0.9}, lambda g: optim.SGD(g, 0.02, 0.9)),
    ],
)
def test_the_trainer_does_what_the_plain_loop_does(device, name, settings, make):
    trainer = make_trainer(
        make_model(dropout=0),
        optimizer=name,
        weight_decay=0.3,
        betas=(0.8, 0.9),
        eps=1e-6,
        steps=5,
        warmup_steps=0,
        schedule="constant",
        clip_norm=None,
        device=device,
        **settings,
    )
    trainer.run()
    model = make_model(dropout=0).to(device)
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.3},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = make(groups)
    for step in range(5):
        optimizer.zero_grad()
        batch = {n: minillm.tensor(a, device=device) for n, a in batches(step).items()}
        objective(model, batch)[0].backward()
        optimizer.step()
    for parameter, value in weights(model).items():
        np.testing.assert_array_equal(value, weights(trainer.model)[parameter], err_msg=parameter)


def test_without_a_gradient_decay_shrinks_the_matrices_and_nothing_else(device):
    """With a loss that doesn't depend on them, AdamW multiplies by 1 - lr * decay."""
    model = make_model()
    before = weights(model)

    def indifferent(model, batch):
        return sum((p * 0.0).sum() for p in model.parameters()), {}

    make_trainer(
        model,
        objective=indifferent,
        schedule="constant",
        warmup_steps=0,
        steps=3,
        learning_rate=0.1,
        weight_decay=0.5,
        device=device,
    ).run()
    for name, value in weights(model).items():
        factor = (1 - 0.1 * 0.5) ** 3 if value.ndim >= 2 else 1
        np.testing.assert_allclose(value, before[name] * factor, rtol=1e-5)


def test_the_gradient_is_clipped_to_the_norm_and_recorded_as_it_was(device):
    """After one step Adam's first moment is (1 - beta1) times the clipped gradient."""
    trainer = make_trainer(steps=1, warmup_steps=0, clip_norm=0.01, device=device)
    record = trainer.run()[0]
    assert record["gradient_norm"] > 0.1
    squares = sum(float((p.grad**2).sum()) for p in trainer.model.parameters())
    assert math.isclose(math.sqrt(squares), 0.01, rel_tol=1e-3)


def test_the_batch_moves_to_the_device_as_tensors(device):
    seen = []

    def looking(model, batch):
        seen.extend(value.device for value in batch.values())
        return objective(model, batch)

    trainer = make_trainer(objective=looking, steps=1, warmup_steps=0, device=device)
    trainer.run()
    assert seen == [device] * 2
    assert {p.device for p in trainer.model.parameters()} == {device}


def test_dropout_depends_on_the_seed_and_the_step_only(device):
    once, again = make_trainer(device=device), make_trainer(device=device)
    history = once.run()
    minillm.manual_seed(999)
    assert [r["loss"] for r in again.run()] == [r["loss"] for r in history]
    other = make_trainer(seed=12, device=device).run()
    assert other[0]["loss"] != history[0]["loss"]


def test_a_second_run_of_a_trainer_starts_the_optimizer_anew(device):
    trainer = make_trainer(device=device)
    trainer.run()
    fresh = make_trainer(make_model(), device=device)
    fresh.model.load_state_dict(trainer.model.state_dict())
    assert [r["loss"] for r in trainer.run()] == [r["loss"] for r in fresh.run()]


# --------------------------------------------------------------------------------- divergence


class Exploding(nn.Module):
    """log(x) of an embedding that a planted negative number makes nan, in one batch only."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(3, 2)
        self.embedding.weight.data[...] = 1.0
        self.embedding.weight.data[2] = -1.0

    def forward(self, ids):
        return self.embedding(ids).log().sum()


def exploding_batches(index):
    return {"ids": np.array([2 if index == 4 else index % 2])}


def test_the_first_nan_stops_the_run_and_names_its_function(device, tmp_path):
    model = Exploding()
    trainer = Trainer(
        model,
        lambda model, batch: (model(batch["ids"]), {}),
        exploding_batches,
        steps=10,
        learning_rate=1e-3,
        schedule="constant",
        device=device,
        out=tmp_path,
        checkpoint_every=2,
        progress=False,
    )
    with np.errstate(invalid="ignore"), pytest.raises(TrainingDiverged) as caught:
        trainer.run()
    message = str(caught.value)
    for part in ("step 5", "loss nan", "rate 0.001", "log returned", "checkpoint-000004"):
        assert part in message
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 4
    assert all(np.isfinite(value).all() for value in weights(model).values())


def test_an_infinite_gradient_of_a_finite_loss_stops_the_run(device):
    def steep(model, batch):  # sqrt(0): the value is 0, the slope infinite
        weight = next(iter(model.parameters()))
        return (weight * 0.0).sqrt().sum(), {}

    model = make_model()
    before = weights(model)
    with np.errstate(all="ignore"), pytest.raises(TrainingDiverged, match="sqrt.*is no checkpoint"):
        make_trainer(model, objective=steep, device=device).run()
    for name, value in weights(model).items():
        np.testing.assert_array_equal(value, before[name])


def test_a_norm_that_overflows_stops_the_run_too(device):
    def huge(model, batch):
        return sum((p * 1e30).sum() for p in model.parameters()), {}

    with np.errstate(over="ignore"), pytest.raises(TrainingDiverged, match="sum of their squares"):
        make_trainer(objective=huge, device=device).run()


# ---------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 0},
        {"accumulate": 0},
        {"keep_checkpoints": 0},
        {"validate_every": 0},
        {"schedule": "quadratic"},
        {"warmup_steps": -1},
        {"warmup_steps": 13},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"clip_norm": 0.0},
        {"seed": -1},
        {"device": "abacus"},
        {"checkpoint_every": 5},
        {"optimizer": "adagrad"},
        {"momentum": 0.9},
        {"momentum": -0.1, "optimizer": "sgd"},
        {"epochs": 2},
        {"steps": None},
        {"steps": 2.5},
        {"steps_per_epoch": 2.5},
        {"epochs": 0, "steps": None, "steps_per_epoch": 4},
        {"steps_per_epoch": None, "steps": None, "epochs": math.inf},
        {"validate_every": "epoch"},
        {"validate_every": "epochs", "steps_per_epoch": 4},
        {"patience": 3},
        {"patience": 0, "monitor": "loss"},
        {"monitor": "loss", "validate": None},
        {"monitor": "loss", "validate_every": None},
    ],
    ids=lambda change: next(iter(change.items())).__repr__(),
)
def test_a_setting_out_of_range_is_named(change):
    name = next(iter(change))
    with pytest.raises(ValueError, match=name):
        make_trainer(**change).run()


def test_resuming_needs_a_folder():
    with pytest.raises(ValueError, match="out="):
        make_trainer().run(resume=True)


def test_an_objective_that_returns_only_a_loss_is_told_so(device):
    trainer = make_trainer(objective=lambda m, b: objective(m, b)[0], device=device)
    with pytest.raises(TypeError, match="objective must return"):
        trainer.run()


def test_a_metric_may_not_take_the_name_of_the_loss(device):
    trainer = make_trainer(objective=lambda m, b: (objective(m, b)[0], {"loss": 1}), device=device)
    with pytest.raises(ValueError, match="'loss' is taken"):
        trainer.run()


def test_metrics_are_written_as_they_are_returned(device, tmp_path):
    history = make_trainer(device=device, out=tmp_path).run()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history
    assert len(checkpoints(tmp_path)) == 1


# ---------------------------------------------------------------------------- learning rates


def rates(**settings) -> list[float]:
    trainer = make_trainer(**settings)
    return [trainer.learning_rate_at(step) for step in range(trainer.steps)]


def test_the_rate_rises_to_its_peak_and_falls_in_a_line():
    linear = rates(steps=8, warmup_steps=4, learning_rate=1.0)
    np.testing.assert_allclose(linear, [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25])


def test_the_rate_falls_along_half_a_cosine():
    cosine = rates(steps=6, warmup_steps=2, learning_rate=1.0, schedule="cosine")
    r = math.sqrt(0.5)
    np.testing.assert_allclose(cosine, [0, 0.5, 1, (1 + r) / 2, 0.5, (1 - r) / 2])


def test_the_rate_stays():
    assert rates(steps=4, warmup_steps=2, schedule="constant", learning_rate=1.0) == [0, 0.5, 1, 1]


def test_without_warmup_the_first_step_has_the_peak():
    for schedule in ("linear", "cosine", "constant"):
        assert rates(warmup_steps=0, schedule=schedule, learning_rate=0.5)[0] == 0.5


def test_the_optimizer_gets_the_rate_of_the_step(device):
    history = make_trainer(device=device).run()
    assert [r["learning_rate"] for r in history] == rates()

"""float16 with a scaled loss: small gradients survive, overflows cost a step and nothing else."""

import json
import math
import warnings

import numpy as np
import pytest
from op_factory import to_host
from toy_run import V, batches, interrupt_at, make_model, make_trainer, objective, split_batches

import minillm
from minillm import functional as F
from minillm import nn, optim
from minillm.training import (
    CheckpointError,
    GradScaler,
    TrainingDiverged,
    TrainingInterrupted,
    checkpoints,
)
from minillm.training.processes import processes_are_possible

PRECISIONS = ("float32", "float16")


def parameter(device, values, dtype=np.float32):
    return minillm.tensor(np.asarray(values, dtype), requires_grad=True, device=device)


def set_gradient(tensor, values):
    tensor.grad = minillm.tensor(np.asarray(values, np.float32), device=tensor.device).data


# ------------------------------------------------------------------------------ GradScaler


def test_scaling_and_unscaling_change_no_bit(device):
    values = np.random.default_rng(0).standard_normal(50)
    exact, scaled = parameter(device, values), parameter(device, values)
    (exact * exact).sum().backward()
    scaler = GradScaler(2.0**13)
    loss = (scaled * scaled).sum()
    assert scaler.scale(loss).item() == loss.item() * 2**13
    scaler.scale(loss).backward()
    np.testing.assert_array_equal(to_host(scaled.grad), to_host(exact.grad) * 2**13)
    scaler.unscale_(optim.SGD([scaled], 0.1))
    np.testing.assert_array_equal(to_host(scaled.grad), to_host(exact.grad))


def test_small_gradients_survive(device):
    """1e-8 times the loss is 0 in float16, and isn't with a scale."""
    found = []
    for enabled in (False, True):
        p = parameter(device, [2.0])
        optimizer, scaler = optim.SGD([p], 1.0), GradScaler(enabled=enabled)
        with minillm.autocast():
            h = F.linear(p, minillm.tensor(np.ones((1, 1), np.float32), device=device))
            loss = h.sum() * 1e-8
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        found.append(float(p.grad[0]))
    assert found[0] == 0 and found[1] == pytest.approx(1e-8, rel=1e-3)


@pytest.mark.parametrize("fault", [math.inf, -math.inf, math.nan])
def test_a_fault_halves_the_scale_and_changes_nothing(device, fault):
    p, q, unused = parameter(device, [1, 2]), parameter(device, [3]), parameter(device, [4])
    optimizer = optim.AdamW([p, q, unused], 0.1)
    scaler = GradScaler(1024.0)
    set_gradient(p, [1, 1])
    set_gradient(q, [fault])
    assert scaler.step(optimizer) is False
    scaler.update()
    assert scaler.get_scale() == 512
    assert [to_host(t.data).tolist() for t in (p, q, unused)] == [[1, 2], [3], [4]]
    assert optimizer.steps == [0, 0, 0] and optimizer.moments == [{}, {}, {}]

    set_gradient(q, [1])
    set_gradient(p, [1, 1])
    assert scaler.step(optimizer) is True
    scaler.update()
    assert scaler.get_scale() == 512
    assert to_host(p.data).tolist() != [1, 2] and optimizer.steps == [1, 1, 0]


def test_doubled_after_so_many_good_steps_in_a_row(device):
    p = parameter(device, [1.0])
    optimizer = optim.SGD([p], 0.0)
    scaler = GradScaler(8.0, growth_interval=3)
    scales = []
    for value in [1, 1, 1, 1, 1, math.inf, 1, 1, 1, 1, math.inf, math.inf, 1]:
        set_gradient(p, [value])
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
    assert scales == [8, 8, 16, 16, 16, 8, 8, 8, 16, 16, 8, 4, 4]


def test_the_state_goes_on(device):
    p = parameter(device, [1.0])
    optimizer = optim.SGD([p], 0.0)

    def run(scaler, values):
        for value in values:
            set_gradient(p, [value])
            scaler.step(optimizer)
            scaler.update()
        return scaler.get_scale()

    values = [1, 1, math.inf, 1, 1, 1, 1, math.inf, 1, 1, 1]
    expected = run(GradScaler(8.0, growth_interval=3), values)
    first, second = GradScaler(8.0, growth_interval=3), GradScaler(1.0, growth_interval=3)
    run(first, values[:5])
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert run(second, values[5:]) == expected == 8


def test_not_enabled_it_is_not_there(device):
    p = parameter(device, [1.0, 2.0])
    optimizer, scaler = optim.SGD([p], 0.5), GradScaler(enabled=False)
    loss = p.sum()
    assert scaler.scale(loss) is loss and scaler.get_scale() == 1
    set_gradient(p, [1, math.inf])
    scaler.unscale_(optimizer)
    assert scaler.step(optimizer) is True
    scaler.update()
    assert to_host(p.data).tolist() == [0.5, -math.inf]


def test_a_float16_loss_is_scaled_in_float32(device):
    loss = parameter(device, [100.0], np.float16).sum()
    scaled = GradScaler().scale(loss)
    assert scaled.dtype == np.float32 and scaled.item() == 6553600


def test_mistakes_are_named(device):
    p = parameter(device, [1.0])
    optimizer, scaler = optim.SGD([p], 0.5), GradScaler()
    with pytest.raises(RuntimeError, match="call step"):
        scaler.update()
    set_gradient(p, [1])
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="unscaled already"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)  # that one has been unscaled, and is not again
    assert to_host(p.data)[0] == np.float32(1 - 0.5 / 65536)
    for wrong in (
        {"init_scale": 0},
        {"init_scale": -1},
        {"init_scale": math.nan},
        {"growth_factor": 1},
        {"backoff_factor": 1},
        {"backoff_factor": 0},
        {"growth_interval": 0},
    ):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
            GradScaler(**wrong)


# ------------------------------------------------------------------------------ the trainer


def weights(model):
    return {name: to_host(p.data) for name, p in model.named_parameters()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], name)


def half(model=None, **changes):
    return make_trainer(model, **{"precision": "float16"} | changes)


def test_it_learns_as_float32_does(device):
    history = {p: make_trainer(steps=60, precision=p, device=device).run() for p in PRECISIONS}
    for one, other in zip(*history.values(), strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=0.05, abs=0.02)
        assert other["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=0.1, abs=0.02)
    assert all(r["skipped"] == 0 and r["loss_scale"] == 65536 for r in history["float16"])
    assert not any("loss_scale" in record for record in history["float32"])
    losses = [np.mean([r["loss"] for r in records[-10:]]) for records in history.values()]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_parameters_moments_and_gradients_are_float32(device, tmp_path):
    trainer = half(device=device, steps=3)
    trainer.run()
    for p in trainer.model.parameters():
        assert p.dtype == p.grad.dtype == np.float32
    for moments in trainer.updater.moments:
        assert all(m.dtype == np.float32 for m in moments.values())


def test_an_overflow_costs_a_step_and_nothing_else(device):
    """A scale that no gradient survives: steps are left out until it is small enough."""
    model = make_model()
    before, scales = weights(model), []

    def watched(model, batch):
        scales.append((trainer.scaler.get_scale(), weights(model)))
        return objective(model, batch)

    trainer = half(model, loss_scale=2.0**30, objective=watched, device=device, steps=40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no word of overflow: it is expected
        history = trainer.run()
    skipped = [record["skipped"] for record in history]
    first = skipped.index(0)
    assert 5 < first < 25 and skipped[:first] == [1] * first
    for record, (scale, seen) in zip(history[: first + 1], scales, strict=False):
        assert record["loss_scale"] == scale == 2.0 ** (30 - (record["step"] - 1))
        assert_same(seen, before)
        assert ("gradient_norm" in record) == (not record["skipped"])
    assert json.loads(json.dumps(history, allow_nan=False)) == history
    assert trainer.updater.steps == [40 - sum(skipped)] * len(trainer.updater.steps)
    assert history[-1]["loss"] < history[0]["loss"] - 0.3


def test_gradients_are_clipped_after_unscaling(device):
    """The norm is that of float32, and a tight clip still bounds the step."""
    a, b = (
        make_trainer(precision=p, device=device, steps=1, warmup_steps=0).run()[0]["gradient_norm"]
        for p in PRECISIONS
    )
    assert b == pytest.approx(a, rel=0.01)
    model = make_model()
    before = weights(model)
    half(
        model,
        optimizer="sgd",
        weight_decay=0.0,
        clip_norm=0.01,
        learning_rate=1.0,
        warmup_steps=0,
        schedule="constant",
        steps=1,
        device=device,
    ).run()
    after = weights(model)
    moved = math.sqrt(sum(((after[n] - before[n]).astype(float) ** 2).sum() for n in after))
    assert moved == pytest.approx(0.01, rel=1e-3)


def test_accumulated_micro_batches_one_by_one_or_at_the_same_time(device):
    """Threads and processes compute what the loop does, to the bit; halves nearly the whole."""
    in_halves = {"batches": split_batches(batches, 2), "accumulate": 2, "device": device}
    models = [make_model(dropout=0) for _ in range(4)]
    whole = half(models[0], device=device).run()
    halves = half(models[1], **in_halves).run()
    if device != "cuda":
        threads = half(models[2], **in_halves, threads=2).run()
        assert_same(weights(models[1]), weights(models[2]))
        assert [r["loss"] for r in threads] == [r["loss"] for r in halves]
    if device == "cpu" and processes_are_possible():
        processes = half(models[3], **in_halves, processes=2).run()
        assert_same(weights(models[1]), weights(models[3]))
        assert [r["loss"] for r in processes] == [r["loss"] for r in halves]
    for one, other in zip(whole, halves, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=5e-3)
        assert other["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=0.05)


def test_frozen_parameters_stay(device):
    model = make_model()
    model.embedding.requires_grad_(False)
    model.norm.requires_grad_(False)
    before = weights(model)
    half(model, device=device).run()
    after = weights(model)
    for name in before:
        frozen = name.startswith(("embedding", "norm"))
        assert np.array_equal(before[name], after[name]) == frozen


def test_a_resumed_run_is_the_same_run(device, tmp_path):
    """Stopped while the scale is still falling, and after it rose: the same to the last bit."""
    settings = {"loss_scale": 2.0**24, "loss_scale_growth": 4, "steps": 30, "device": device}
    alone = half(**settings)
    history = alone.run()
    assert len({record["loss_scale"] for record in history}) > 4
    for stop in (2, 19):
        out = tmp_path / str(stop)
        with pytest.raises(TrainingInterrupted):
            half(**settings, objective=interrupt_at(stop), out=out).run()
        model = make_model()
        resumed = half(model, **settings, out=out)
        records = resumed.run(resume=True)
        assert_same(weights(model), weights(alone.model))
        assert resumed.scaler.state_dict() == alone.scaler.state_dict()
        for one, other in zip(history, records, strict=True):
            for name in ("loss", "loss_scale", "skipped"):
                assert one[name] == other[name]


def test_a_run_goes_on_in_its_own_precision_only(device, tmp_path):
    settings = {"steps": 6, "out": tmp_path, "checkpoint_every": 2, "device": device}
    half(**settings, loss_scale=1024.0).run()
    content = json.loads((checkpoints(tmp_path)[-1] / "trainer.json").read_text())
    assert content["scaler"] == {"scale": 1024.0, "good_steps": 6}
    for change, named in (
        ({"precision": "float32"}, "precision is float16 there and absent here"),
        ({"loss_scale": 2048.0}, "loss_scale is 1024.0 there and 2048.0 here"),
        ({"loss_scale_growth": 5}, "loss_scale_growth is 2000 there and 5 here"),
    ):
        with pytest.raises(CheckpointError, match=named):
            half(**settings | {"loss_scale": 1024.0} | change).run(resume=True)


def test_a_run_in_float32_writes_what_it_always_wrote(device, tmp_path):
    make_trainer(steps=2, warmup_steps=0, out=tmp_path, device=device).run()
    content = json.loads((checkpoints(tmp_path)[-1] / "trainer.json").read_text())
    assert "scaler" not in content and "precision" not in content["settings"]


def test_a_loss_that_is_no_number_is_not_the_scales_fault(device):
    def faulty(model, batch):
        loss, metrics = objective(model, batch)
        return F.log(loss * 0 - 1), metrics

    with np.errstate(invalid="ignore"):
        with pytest.raises(TrainingDiverged, match="step 1: .*log returned"):
            half(objective=faulty, device=device).run()


def test_a_gradient_that_no_scale_makes_finite_ends_the_run(device):
    """sqrt at 0 has an infinite slope: 16 halvings, then a message instead of a search for ever."""

    def steep(model, batch):
        loss, metrics = objective(model, batch)
        return loss + F.sqrt((model.output.bias * 0).sum()), metrics

    trainer = half(objective=steep, device=device, steps=100)
    with np.errstate(all="ignore"):
        with pytest.raises(TrainingDiverged, match="step 17: .*gradient that sqrt sends back"):
            trainer.run()


def test_validation_is_made_in_float32(device):
    seen = []

    def validate(model):
        ids = minillm.tensor(np.arange(6)[None] % V, device=device)
        seen.append(model(ids).dtype)
        return {"loss": 0.0}

    half(validate=validate, validate_every=5, device=device).run()
    assert seen == [np.float32] * 3


def test_checkpointed_blocks_in_float16(device):
    """The second forward pass is made in the precision of the first."""

    class Checkpointed(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, ids):
            return minillm.checkpoint(self.inner, ids)

    models = [make_model(), make_model()]
    plain = half(models[0], device=device).run()
    again = half(Checkpointed(models[1]), device=device).run()
    assert [r["loss"] for r in plain] == [r["loss"] for r in again]
    assert_same(weights(models[0]), weights(models[1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"precision": "bfloat16"}, "precision='bfloat16', expected float32, float16"),
        ({"loss_scale": 0.0}, "loss_scale=0.0, expected more than 0"),
        ({"loss_scale_growth": 0}, "loss_scale_growth=0, expected a whole number"),
    ],
)
def test_settings_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(**change)


def test_half_a_batch_is_half_a_tape(device):
    """Accumulation computes the large batch in the memory of a small one."""

    def large(index):
        return batches(index, size=64)

    peaks = {}
    for parts in (1, 2, 4):
        with minillm.tape_memory() as memory:
            make_trainer(
                batches=split_batches(large, parts),
                accumulate=parts,
                steps=2,
                warmup_steps=0,
                validate=None,
                validate_every=None,
                device=device,
            ).run()
        peaks[parts] = memory.peak
    assert peaks[2] == pytest.approx(peaks[1] / 2, rel=0.02)
    assert peaks[4] == pytest.approx(peaks[1] / 4, rel=0.04)

"""Processes compute what the plain loop computes, to the last bit, and end when they should."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import minillm
from minillm import functional as F
from minillm import nn
from minillm.training import Trainer
from minillm.training.processes import (
    MicroBatchProcesses,
    ProcessError,
    at_the_same_time,
    processes_are_possible,
)

pytestmark = pytest.mark.skipif(not processes_are_possible(), reason="processes need Linux")


@pytest.fixture(autouse=True)
def only_on_the_cpu(device):
    if device != "cpu":
        pytest.skip("processes share memory of the CPU")


class Tied(nn.Module):
    """One table used for looking up and for predicting, dropout between, and a part unused."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.inner = nn.Linear(6, 6)
        self.unused = nn.Linear(2, 2)
        self.dropout = nn.Dropout(0.3)

    def forward(self, ids):
        h = self.dropout(F.tanh(self.inner(self.embedding(ids))))
        return F.linear(h, self.embedding.weight)


def batch(index):
    ids = np.random.default_rng(index).integers(0, 11, (4 if index % 3 else 2, 5))
    return {"ids": ids, "targets": (ids + 1) % 11}


def objective(model, batch):
    logits = model(batch["ids"]).reshape(-1, 11)
    targets = batch["targets"].reshape(-1)
    right = logits.numpy().argmax(axis=-1) == targets.numpy()
    return F.cross_entropy(logits, targets), {"accuracy": float(right.mean())}


def train(**options):
    minillm.manual_seed(0)
    model = Tied()
    options = {"steps": 6, "accumulate": 4, "learning_rate": 1e-2, "progress": False} | options
    trainer = Trainer(model, objective, batch, **options)
    with threadpool_limits(1):
        history = trainer.run()
    numbers = [{n: r[n] for n in ("loss", "accuracy", "gradient_norm")} for r in history]
    return numbers, {name: array.copy() for name, array in model.state_dict().items()}


@pytest.mark.parametrize("processes", [2, 3, 4])
def test_processes_equal_the_plain_loop(processes):
    """Micro batches of unequal size, dropout, tied weights, parameters without a gradient."""
    plain_numbers, plain = train()
    numbers, state = train(processes=processes)
    assert numbers == plain_numbers
    for name, array in plain.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)


def test_half_precision_with_its_changing_scale_equals_the_plain_loop():
    options = {"precision": "float16", "loss_scale": 2.0**30, "loss_scale_growth": 3, "steps": 12}
    plain_numbers, plain = [], {}
    minillm.manual_seed(0)
    results = []
    for processes in (1, 2):
        minillm.manual_seed(0)
        model = Tied()
        trainer = Trainer(
            model,
            objective,
            batch,
            accumulate=2,
            processes=processes,
            learning_rate=1e-2,
            progress=False,
            **options,
        )
        with threadpool_limits(1):
            history = trainer.run()
        results.append(([(r["loss"], r["loss_scale"]) for r in history], model.state_dict()))
    (plain_numbers, plain), (numbers, state) = results
    assert numbers == plain_numbers
    assert len({scale for _, scale in numbers}) > 1
    for name, array in plain.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)


def test_a_stopped_run_goes_on_with_processes(tmp_path):
    _, plain = train(schedule="constant")
    train(schedule="constant", steps=3, out=tmp_path / "run", checkpoint_every=3)
    minillm.manual_seed(1)
    model = Tied()
    trainer = Trainer(
        model,
        objective,
        batch,
        steps=6,
        accumulate=4,
        learning_rate=1e-2,
        schedule="constant",
        processes=2,
        out=tmp_path / "run",
        progress=False,
    )
    with threadpool_limits(1):
        trainer.run(resume=True)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, plain[name], err_msg=name)


def test_a_parameter_that_only_some_micro_batches_use():
    def compute(model, micro):
        layer = model[micro % 2]
        ((micro + 1) * layer(minillm.tensor(np.ones((1, 2), np.float32))).sum()).backward()

    minillm.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    with MicroBatchProcesses(model, compute, 2) as micro_batches:
        for _ in range(2):
            micro_batches.run([(micro,) for micro in range(6)])
            for place, layer in enumerate(model):  # the first: 1 + 3 + 5, the second: 2 + 4 + 6
                assert (layer.weight.grad == 9 + 3 * place).all()


def nothing(model, *job):
    return job


def children():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_nothing_is_left_behind():
    blas = [library["num_threads"] for library in threadpool_info()]
    files = len(os.listdir("/proc/self/fd"))
    before = children()
    model = Tied()
    with MicroBatchProcesses(model, nothing, 3) as micro_batches:
        assert micro_batches.run([(1, "a"), (2, "b"), (3, "c"), (4, "d")]) == [
            (1, "a"),
            (2, "b"),
            (3, "c"),
            (4, "d"),
        ]
        assert len(children()) == len(before) + 2
    assert children() == before
    assert len(os.listdir("/proc/self/fd")) == files
    assert [library["num_threads"] for library in threadpool_info()] == blas
    assert all(p.data.base is None for p in model.parameters())


def test_an_error_in_a_process_reaches_the_caller():
    def compute(model, micro):
        if micro:
            raise KeyError(f"micro batch {micro}")

    with MicroBatchProcesses(Tied(), compute, 2) as micro_batches:
        with pytest.raises(KeyError, match="micro batch 1") as caught:
            micro_batches.run([(0,), (1,)])
        assert "in compute" in str(caught.value.__cause__)
        assert micro_batches.run([(0,)]) == [None]  # it still works


def test_an_error_that_cannot_travel_is_told():
    class Local(Exception):
        pass

    def compute(model, micro):
        if micro:
            raise Local("of this test only")

    with MicroBatchProcesses(Tied(), compute, 2) as micro_batches:
        with pytest.raises(ProcessError, match="of this test only"):
            micro_batches.run([(0,), (1,)])


def test_a_killed_process_is_told():
    def compute(model, micro):
        if micro:
            os.kill(os.getpid(), signal.SIGKILL)

    with MicroBatchProcesses(Tied(), compute, 2) as micro_batches:
        for _ in range(2):  # and again, when it is known to be dead
            with pytest.raises(ProcessError, match="exit code -9: killed.*last checkpoint"):
                micro_batches.run([(0,), (1,)])


def test_the_processes_die_with_the_one_that_trains(tmp_path):
    """Killed in the middle of a step, it leaves no process behind that works on."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, time\n"
        "from minillm import nn\n"
        "from minillm.training.processes import MicroBatchProcesses\n"
        "def compute(model, micro): print(flush=True); time.sleep(60)\n"
        "processes = MicroBatchProcesses(nn.Linear(1, 1), compute, 2)\n"
        "print(processes.helpers[0].pid, flush=True)\n"
        "processes.run([(0,), (1,)])\n"
    )
    run = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True)
    helper = int(run.stdout.readline())
    run.stdout.readline()  # both are computing by now, or one of them
    run.kill()
    run.wait()
    until = time.monotonic() + 20
    while Path(f"/proc/{helper}").exists() and "Z" not in _state(helper):
        assert time.monotonic() < until, "the process still runs"
        time.sleep(0.02)


def _state(pid) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@pytest.mark.parametrize(
    "options",
    [{"accumulate": 1}, {"accumulate": 2, "threads": 2}],
    ids=["too few micro batches", "threads, too"],
)
def test_a_setting_that_does_not_fit_is_refused(options):
    with pytest.raises(ValueError, match="processes=2: every process needs a micro batch"):
        Trainer(Tied(), None, None, steps=1, learning_rate=1, processes=2, **options)


def test_elsewhere_threads_are_recommended(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ValueError, match="needs Linux.*threads=2"):
        Trainer(Tied(), None, None, steps=1, learning_rate=1, accumulate=2, processes=2)


def test_the_settings_for_micro_batches_at_the_same_time(monkeypatch):
    assert at_the_same_time(2, "cpu") == {"accumulate": 2, "processes": 2}
    assert at_the_same_time(2, "cuda") == {"accumulate": 2}
    monkeypatch.setattr(sys, "platform", "win32")
    assert at_the_same_time(3, "cpu") == {"accumulate": 3, "threads": 3}

"""The report of what the tape holds: figures that can be worked out by hand."""

import functools
import threading

import numpy as np
import pytest

import minillm
from minillm import functional as F
from minillm import nn, tape_memory
from minillm.backend import buffer_of, get_device

N = 100
FLOAT32 = 4  # bytes


def leaf(device, *shape):
    array = np.random.default_rng(0).random(shape).astype(np.float32) + 0.5
    return minillm.tensor(array, requires_grad=True, device=device)


def test_what_is_kept_and_when_it_is_freed(device):
    x = leaf(device, N)
    with tape_memory() as memory:
        y = F.exp(x)  # keeps y
        assert memory.held == N * FLOAT32
        z = F.sqrt(y)  # keeps z, its own result
        assert memory.held == 2 * N * FLOAT32
        loss = (z * y).sum()  # the product keeps both, which are counted already
        assert memory.held == memory.peak == 2 * N * FLOAT32
        assert memory.at_peak == {"exp": N * FLOAT32, "sqrt": N * FLOAT32}
        assert memory.nodes == {"exp": 1, "sqrt": 1, "multiply": 1, "sum": 1}
        loss.backward()
        assert memory.held == 0
        F.exp(x)
        assert memory.peak == 2 * N * FLOAT32
        assert memory.at_peak == {"exp": N * FLOAT32, "sqrt": N * FLOAT32}


def test_an_array_is_held_until_the_last_function_that_keeps_it_is_done(device):
    x = leaf(device, N)
    held = []

    def watch(y):
        """A function that says, in the backward pass, what is held."""

        @minillm.autograd.differentiable
        def watch(y):
            def backward(dy):
                held.append(memory.held)
                return dy

            return y.copy(), backward

        return watch(y)

    with tape_memory() as memory:
        y = watch(F.exp(watch(x)))
        watch(F.tanh(y) * y).sum().backward()
    # Before anything is freed: exp's result, its copy y (for the product), tanh's result.
    assert held == [3 * N * FLOAT32, N * FLOAT32, 0]

    @minillm.autograd.differentiable
    def watch_a_view(y):
        def backward(dy):
            held.append(memory.held)
            return dy

        return y[...], backward

    held.clear()
    with tape_memory() as memory:
        y = watch_a_view(F.exp(x))
        (y * y).sum().backward()
    assert held == [N * FLOAT32]  # the product needs it no more, exp still does


def test_a_view_counts_as_the_whole_array(device):
    x = leaf(device, 10, N)
    with tape_memory() as memory:
        h = x * 1.0
        before = memory.held
        row = h[0]  # a view
        z = row * row  # keeps it
        assert before == 0 and memory.held == 10 * N * FLOAT32
        z.sum().backward()
    assert memory.held == 0


def test_parameters_are_not_counted(device):
    """Those that want a gradient never; frozen ones aren't if it is known whose they are."""
    layer = nn.Linear(N, 2 * N, bias=False).to(device)
    x = leaf(device, 3, N)
    size = {"x": 3 * N * FLOAT32, "weight": 2 * N * N * FLOAT32}
    with tape_memory() as memory:
        layer(x * 1.0)
        assert memory.peak == size["x"]
    layer.requires_grad_(False)
    with tape_memory() as memory:
        layer(x * 1.0)
        assert memory.peak == size["x"] + size["weight"]
    with tape_memory(layer) as memory:
        layer(x * 1.0)
        assert memory.peak == size["x"]


def test_a_graph_that_is_dropped_is_not_held(device):
    x = leaf(device, N)
    with tape_memory() as memory:
        y = F.exp(x)
        assert memory.held == N * FLOAT32
        del y
        assert memory.held == 0


def test_nothing_is_recorded_nothing_is_held(device):
    x = leaf(device, N)
    with tape_memory() as memory, minillm.no_grad():
        F.exp(x)
    assert memory.peak == 0 and memory.nodes == {}


def test_sequences_and_functions_within_functions(device):
    """Attention keeps its arrays in closures within closures, `stack` takes a list."""
    B, L, E, heads = 2, 5, 8, 2
    qkv = leaf(device, B, L, 3 * E)
    with tape_memory() as memory:
        F.multi_head_attention(qkv * 1.0, heads)
    assert memory.at_peak["multi_head_attention"] >= (
        B * L * 3 * E * FLOAT32 + B * heads * L * L * FLOAT32  # qkv, and the probabilities
    )
    x = leaf(device, N)
    with tape_memory() as memory:
        F.exp(F.stack([F.exp(x), x]))
    assert memory.peak == 3 * N * FLOAT32


SHAPES_ONLY = {
    "reshape": lambda x: x.reshape(-1),
    "transpose": lambda x: F.transpose(x, 0, 1),
    "broadcast_to": lambda x: F.broadcast_to(x, (3, N, N)),
    "add": lambda x: x + x,
    "subtract": lambda x: x - x,
    "multiply by a number": lambda x: -x,
    "sum": lambda x: x.sum(axis=1),
    "mean": lambda x: x.mean(),
    "getitem": lambda x: x[2:4],
    "concatenate": lambda x: F.concatenate([x, x]),
    "stack": lambda x: F.stack([x, x]),
    "cast": lambda x: x.to(np.float64),
}


@pytest.mark.parametrize("name", SHAPES_ONLY)
def test_functions_whose_gradient_needs_no_values_keep_none(device, name):
    x = leaf(device, N, N) * 1.0
    with tape_memory() as memory:
        SHAPES_ONLY[name](x)
    assert memory.peak < N * N  # some bytes for masks or scales are fine


def test_cross_entropy_and_layer_norm_keep_one_array_of_the_size_of_their_input(device):
    x = leaf(device, N, N)
    targets = minillm.tensor(np.arange(N), device=device)
    for function in (lambda x: F.cross_entropy(x, targets), lambda x: F.layer_norm(x, N)):
        with tape_memory() as memory:
            function(x * 1.0)
        assert N * N * FLOAT32 <= memory.peak < 1.2 * N * N * FLOAT32


def test_threads_are_counted_together(device):
    x = leaf(device, N)
    kept = []
    with tape_memory() as memory:
        workers = [threading.Thread(target=lambda: kept.append(F.exp(x))) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert memory.held == 4 * N * FLOAT32


def test_partial_functions_and_measured_ones(device):
    """However a backward function refers to its arrays; also together with profile()."""

    @minillm.autograd.differentiable
    def double(x):
        def backward(x, factors, dy):
            return dy * factors["two"]

        return x * 2, functools.partial(backward, x, {"two": 2})

    x = leaf(device, N)
    with tape_memory() as memory:
        double(x * 1.0).sum().backward()
    assert memory.peak == N * FLOAT32 and memory.held == 0
    with tape_memory() as memory, minillm.profile():
        F.exp(x).sum().backward()
    assert memory.peak == N * FLOAT32 and memory.held == 0


def test_one_report_at_a_time_and_none_outside(device):
    x = leaf(device, N)
    with tape_memory() as memory:
        with pytest.raises(RuntimeError, match="active already"):
            with tape_memory():
                """Not reached."""
        early = F.exp(x)
    late = F.exp(early)
    assert memory.nodes == {"exp": 1}
    late.sum().backward()  # what was recorded within the block is freed outside of it
    assert memory.held == 0
    with pytest.raises(ZeroDivisionError), tape_memory():
        raise ZeroDivisionError
    with tape_memory():
        """The one before has ended."""


def test_the_table(device):
    x = leaf(device, 1000)
    with tape_memory() as memory:
        (F.exp(x) + F.tanh(x).sum()).sum().backward()
    lines = str(memory).splitlines()
    assert lines[0].split() == ["kept", "for", "the", "gradient", "of", "calls", "MB", "share"]
    assert {line.split()[0] for line in lines[1:3]} == {"exp", "tanh"}
    assert all(line.endswith("50.0 %") for line in lines[1:3])
    assert lines[-1].startswith("the tape at its peak") and lines[-1].endswith("100.0 %")
    assert len(lines) == 6


def test_the_owner_of_a_view(device):
    array = get_device(device).from_numpy(np.arange(24.0).reshape(4, 6))
    owner = buffer_of(array)
    assert buffer_of(array[1:, ::2].T) is owner
    xp = get_device(device).xp
    assert buffer_of(xp.broadcast_to(array, (2, 4, 6))) is owner
    assert buffer_of(array.copy()) is not owner

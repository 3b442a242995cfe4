"""Gradient checkpointing: a block is run twice, and everything else is as without, to the bit."""

import threading
import weakref
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import freeze, to_host

import minillm
from minillm import Tensor, checkpoint, nn
from minillm import functional as F
from minillm.backend import get_device, random_generator, random_state, set_random_state

WIDTH = 8


def leaf(device, *shape, seed=0, dtype=np.float32):
    array = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return minillm.tensor(array, requires_grad=True, device=device)


def layers(device, count=3, dropout=0.3):
    minillm.manual_seed(1)
    made = [
        nn.TransformerEncoderLayer(WIDTH, 2, 2 * WIDTH, dropout=dropout, batch_first=True)
        for _ in range(count)
    ]
    return [layer.to(device) for layer in made]


def plain(function, *args):
    return function(*args)


def outcome(compute, leaves, device):
    """The loss, the gradients of the leaves, and the random numbers that come next."""
    for tensor in leaves:
        tensor.grad = None
    minillm.manual_seed(7)
    loss = compute()
    loss.backward()
    drawn = random_generator(get_device(device)).random(3)
    gradients = [None if t.grad is None else to_host(t.grad) for t in leaves]
    return to_host(loss.data), gradients, to_host(drawn)


def assert_same(one, other):
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[2], other[2], "random numbers")
    for a, b in zip(one[1], other[1], strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_array_equal(a, b)


def assert_checkpoint_changes_nothing(compute, leaves, device):
    """compute(run) with run = checkpoint is the same as with a plain call."""
    one = outcome(lambda: compute(plain), leaves, device)
    assert any(gradient is not None and gradient.any() for gradient in one[1])
    assert_same(one, outcome(lambda: compute(checkpoint), leaves, device))


# ------------------------------------------------------------------------- equal to the bit


def test_layers_with_dropout(device):
    net, x = layers(device), leaf(device, 2, 5, WIDTH)
    leaves = [x, *(p for layer in net for p in layer.parameters())]

    def compute(run):
        h = x
        for layer in net:
            h = run(layer, h)
        return (h * h).sum()

    assert_checkpoint_changes_nothing(compute, leaves, device)


def test_values_that_are_used_within_and_outside_the_blocks(device):
    """Gradients that come from several places are added in the same order."""
    net, x, scale = layers(device), leaf(device, 2, 5, WIDTH), leaf(device, WIDTH, seed=1)
    shared = net[0].linear1.weight
    leaves = [x, scale, *(p for layer in net for p in layer.parameters())]

    def compute(run):
        h = x * scale
        first = run(net[0], h)
        second = run(lambda a: net[1](a) + h * scale, first)  # h from outside, computed
        third = run(net[2], second + h)
        tied = F.linear(third, shared)  # a block's parameter, used outside as well
        return (first * second).sum() + (tied * tied).mean() + (third * h).sum()

    assert_checkpoint_changes_nothing(compute, leaves, device)


def test_blocks_within_blocks(device):
    net, x = layers(device), leaf(device, 2, 5, WIDTH)
    leaves = [x, *(p for layer in net for p in layer.parameters())]

    def compute(run):
        def two(h):
            return run(net[1], run(net[0], h))

        def all_three(h):
            return run(net[2], run(two, F.dropout(h, 0.5)))

        return (run(all_three, x) ** 2).sum()

    assert_checkpoint_changes_nothing(compute, leaves, device)


@given(st.data())
def test_any_graph_of_blocks(device, data):
    """Blocks of one or two inputs and outputs, wired at random."""
    leaves = [leaf(device, 3, seed=i) for i in range(2)]
    count = data.draw(st.integers(1, 5))
    wires = [
        (data.draw(st.integers(0, 30)), data.draw(st.integers(0, 30)), data.draw(st.booleans()))
        for _ in range(count)
    ]
    blocked = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))

    def block(a, b):
        u = F.dropout(a * b + a, 0.4)
        return u, F.tanh(u) * leaves[0] + b

    def compute(run):
        values = list(leaves)
        for (i, j, both), is_block in zip(wires, blocked, strict=True):
            step = run if is_block else plain
            u, v = step(block, values[i % len(values)], values[j % len(values)])
            values += [u, v] if both else [v]
        total = values[-1] * values[-1]
        for value in values:
            total = total + value
        return total.sum()

    assert_checkpoint_changes_nothing(compute, leaves, device)


def test_mixed_precision_is_that_of_the_first_run(device):
    """The backward pass stands outside of autocast, but the block is run again within."""
    net, x = layers(device), leaf(device, 2, 5, WIDTH)
    leaves = [x, *(p for layer in net for p in layer.parameters())]

    def compute(run):
        with minillm.autocast(minillm.float16):
            h = x
            for layer in net:
                h = run(layer, h)
            return (h * h).sum()

    assert_checkpoint_changes_nothing(compute, leaves, device)


def test_the_backward_pass_in_another_thread_or_without_recording(device):
    net, x = layers(device, 1), leaf(device, 2, 5, WIDTH)
    leaves = [x, *net[0].parameters()]

    def in_a_thread(loss):
        worker = threading.Thread(target=loss.backward)
        worker.start()
        worker.join()

    def without_recording(loss):
        with minillm.no_grad():
            loss.backward()

    found = []
    for backward in (in_a_thread, without_recording, lambda loss: loss.backward()):
        for tensor in leaves:
            tensor.grad = None
        minillm.manual_seed(7)
        backward((checkpoint(net[0], x) ** 2).sum())
        found.append([to_host(tensor.grad) for tensor in leaves])
    for other in found[:2]:
        for a, b in zip(other, found[2], strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_gradient_is_right(device):
    x, y = (leaf(device, 3, 4, seed=i, dtype=np.float64) for i in range(2))

    def two_blocks(x, y):
        u, v = checkpoint(lambda a, b: (F.tanh(a * b), a + b), x, y)
        return checkpoint(lambda a: F.softmax(a * u), v)

    minillm.gradcheck(two_blocks, (x, y))


# ------------------------------------------------------------------------- outputs


class Pair(NamedTuple):
    first: Tensor
    second: Tensor | None = None


def test_several_outputs(device):
    x = leaf(device, 4)
    ids = minillm.tensor(np.arange(4), device=device)

    def block(x):
        return x * 2, None, ids, x.detach(), F.exp(x)

    y, nothing, same_ids, detached, z = checkpoint(block, x)
    assert nothing is None and same_ids is ids
    assert y.requires_grad and z.requires_grad and not detached.requires_grad
    (y * z).sum().backward()
    values = x.numpy()
    expected = 2 * np.exp(values) + 2 * values * np.exp(values)
    np.testing.assert_allclose(to_host(x.grad), expected, rtol=1e-5)


@pytest.mark.parametrize("used", [0, 1])
def test_outputs_that_nobody_uses_get_no_gradient(device, used):
    x, w = leaf(device, 4), leaf(device, 4, seed=1)
    checkpoint(lambda x: (x * 3, x * w), x)[used].sum().backward()
    expected = (np.full(4, 3.0), w.numpy())[used]
    np.testing.assert_array_equal(to_host(x.grad), expected.astype(np.float32))
    assert (w.grad is None) == (used == 0)


def test_a_named_tuple_stays_one_and_a_tuple_of_one_a_tuple(device):
    x = leaf(device, 4)
    pair = checkpoint(lambda x: Pair(x * 2), x)
    assert type(pair) is Pair and pair.second is None
    (one,) = checkpoint(lambda x: (x * 2,), x)
    (pair.first + one).sum().backward()
    np.testing.assert_array_equal(to_host(x.grad), np.full(4, 4, np.float32))


def test_an_input_may_be_an_output(device):
    x = leaf(device, 4)
    h = x * 2
    a, b = checkpoint(lambda h, x: (h, x), h, x)
    (a * b).sum().backward()
    np.testing.assert_allclose(to_host(x.grad), 4 * x.numpy(), rtol=1e-6)


def test_keywords_and_other_arguments_are_handed_on(device):
    x = leaf(device, 4)
    y = checkpoint(
        lambda x, factors, power, plus=0: (x * factors[1]) ** power + plus,
        *(x, [1, 3]),
        power=2,
        plus=x,
    )
    y.sum().backward()
    np.testing.assert_allclose(to_host(x.grad), 18 * x.numpy() + 1, rtol=1e-5)


def test_gradients_share_no_memory(device):
    """add hands the same array to both operands, and the block may hand on what others own."""
    for through in (lambda x: x + 0.0, lambda x: checkpoint(lambda x: (x, x * 2), x)[0]):
        x, y = leaf(device, 4), leaf(device, 4, seed=1)
        incoming = freeze(minillm.tensor(np.ones(4, np.float32), device=device).data)
        (through(x) + through(y) + through(x)).backward(incoming)
        x.grad *= 5
        np.testing.assert_array_equal(to_host(x.grad), np.full(4, 10))
        np.testing.assert_array_equal(to_host(y.grad), np.ones(4))
        np.testing.assert_array_equal(to_host(incoming), np.ones(4))


# ------------------------------------------------------------------------- how often, how long


def counting(function):
    def counted(*args):
        counted.calls += 1
        return function(*args)

    counted.calls = 0
    return counted


def test_run_twice_where_a_gradient_is_wanted_and_once_where_none_is(device):
    x = leaf(device, 4)
    block = counting(F.exp)
    y = checkpoint(block, x)
    assert block.calls == 1
    y.sum().backward()
    assert block.calls == 2

    for constant, recording in ((x.detach(), True), (x, False)):
        block = counting(F.exp)
        if recording:
            y = checkpoint(block, constant)
        else:
            with minillm.no_grad():
                y = checkpoint(block, constant)
        assert not y.requires_grad and block.calls == 1


def test_a_block_whose_output_was_not_used_is_not_run_again(device):
    x = leaf(device, 4)
    block = counting(F.exp)
    checkpoint(block, x)
    (x * x).sum().backward()
    assert block.calls == 1


def test_what_nobody_needs_any_more_is_freed_at_once(device):
    """No cycle: a graph that is dropped without a backward pass goes without the collector."""
    x = leaf(device, 4)
    h = x * 2
    y = checkpoint(F.exp, h)
    gone = weakref.ref(h)
    del h
    assert gone() is not None
    del y
    assert gone() is None


def test_the_graph_can_be_used_once(device):
    x = leaf(device, 4)
    loss = checkpoint(F.exp, x).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()


# ------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("result", "named"),
    [
        (1.0, "float"),
        (None, "None"),
        ((), "nothing"),
        ((None,), "None"),
        ([], "list"),
        (np.ones(2), "ndarray"),
        ({"a": 1}, "dict"),
    ],
)
def test_other_results_are_an_error(device, result, named):
    def block(x):
        return result

    with pytest.raises(TypeError, match=f"block returned {named}, expected a Tensor or a tuple"):
        checkpoint(block, leaf(device, 4))
    with pytest.raises(TypeError), minillm.no_grad():
        checkpoint(block, leaf(device, 4))


def test_another_result_the_second_time_is_an_error(device):
    x = leaf(device, 4)
    lengths = iter((4, 3))

    def fickle(x):
        return x[: next(lengths)] * 2

    loss = checkpoint(fickle, x).sum()
    with pytest.raises(RuntimeError, match=r"fickle returned a Tensor \(4,\).* but .*\(3,\)"):
        loss.backward()


def test_an_error_in_the_second_run_leaves_the_modes_and_streams_as_they_were(device):
    x = leaf(device, 4)
    calls = iter(range(9))

    def faulty(x):
        if next(calls):
            raise ZeroDivisionError
        return F.dropout(x, 0.5)

    loss = checkpoint(faulty, x).sum()
    before = random_generator(get_device(device))
    state = random_state()
    expected = to_host(before.random(3))
    set_random_state(state)
    with pytest.raises(ZeroDivisionError), minillm.no_grad():
        loss.backward()
    np.testing.assert_array_equal(to_host(random_generator(get_device(device)).random(3)), expected)
    assert minillm.is_grad_enabled() and not minillm.is_autocast_enabled()


def test_a_fault_within_a_block_is_found(device):
    x = minillm.tensor(np.array([-1.0, 1.0]), requires_grad=True, device=device)
    with minillm.detect_anomaly(), np.errstate(invalid="ignore"):
        with pytest.raises(FloatingPointError, match="log returned"):
            checkpoint(lambda x: F.log(x), x)


# ------------------------------------------------------------------------- random streams


def test_random_states_bring_the_same_numbers_again(device):
    """Also for a stream that began after the state was taken, and in another thread."""

    def draw():
        return to_host(random_generator(get_device(device)).random(5))

    minillm.manual_seed(3)
    untouched = random_state()
    first = draw()
    begun = random_state()
    second = draw()
    set_random_state(begun)
    np.testing.assert_array_equal(draw(), second)
    set_random_state(untouched)
    np.testing.assert_array_equal(draw(), first)
    np.testing.assert_array_equal(draw(), second)

    found = []
    worker = threading.Thread(target=lambda: (set_random_state(begun), found.append(draw())))
    worker.start()
    worker.join()
    np.testing.assert_array_equal(found[0], second)

"""The tape: what is recorded, who gets which gradient, what is freed, what is refused."""

import gc
import math
import threading
import weakref

import numpy as np
import pytest
from op_factory import assert_close, freeze, normal, to_host

import minillm
from minillm import Tensor
from minillm import functional as F
from minillm.autograd import differentiable
from minillm.backend import get_device


def leaf(values, device, dtype=np.float64):
    return minillm.tensor(values, requires_grad=True, dtype=dtype, device=device)


# ------------------------------------------------------------------------------- accumulation


def test_a_value_used_several_times_collects_all_its_gradients(device):
    x = leaf([2.0, 3.0], device)
    h = x * x  # used three times, x itself four times
    (h + h * x + h).sum().backward()  # 2 x^2 + x^3
    assert_close(to_host(x.grad), [4 * 2 + 3 * 4, 4 * 3 + 3 * 9])


def test_backward_of_two_graphs_adds_up(device):
    x = leaf([1.0, 2.0], device)
    (x * 3).sum().backward()
    (x * x).sum().backward()
    assert_close(to_host(x.grad), [3 + 2, 3 + 4])


def test_adding_losses_equals_adding_gradients(device):
    x, w = normal(0, (4, 3), (3, 3))

    def losses(W):
        h = F.tanh(minillm.tensor(x, device=device) @ W)
        return (h * h).sum(), F.softmax(h)[:, 0].sum()

    W = leaf(w, device)
    a, b = losses(W)
    (a + b).backward()
    together = to_host(W.grad)
    W = leaf(w, device)
    for k in range(2):
        losses(W)[k].backward()
    assert_close(to_host(W.grad), together)


def test_a_leaf_alone_gets_the_gradient_itself(device):
    x = leaf([1.0, 2.0], device)
    x.backward(minillm.tensor([5.0, 7.0], device=device))
    x.backward(minillm.tensor([5.0, 7.0], device=device))
    assert_close(to_host(x.grad), [10, 14])


def test_grad_has_the_dtype_and_shape_of_its_leaf(device):
    small, large = leaf([[1.0, 2.0]], device, np.float32), leaf([[3.0], [4.0]], device)
    (small * large).sum().backward()
    assert small.grad.dtype == np.float32 and small.grad.shape == (1, 2)
    assert large.grad.dtype == np.float64 and large.grad.shape == (2, 1)


def test_only_leaves_keep_a_gradient(device):
    x = leaf([1.0], device)
    h = x * 2
    (h * 3).backward()
    assert h.grad is None and not h.is_leaf and x.is_leaf
    assert_close(to_host(x.grad), [6])


def test_a_leaf_that_wants_none_gets_none(device):
    x, constant = leaf([1.0, 2.0], device), minillm.tensor([3.0, 4.0], device=device)
    (x * constant).sum().backward()
    assert constant.grad is None
    assert_close(to_host(x.grad), [3, 4])


# ------------------------------------------------------------------------------------ memory


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: x + y,
        lambda x, y: x.reshape(3, 2).T + y.reshape(3, 2).T,
        lambda x, y: F.concatenate([x, y, x]),
        lambda x, y: F.stack([x, y]).permute(1, 0, 2),
        lambda x, y: x.sum() * y.sum() + x.mean(),
        lambda x, y: F.mse_loss(x, y, reduction="none"),
    ],
)
def test_gradients_share_no_memory(device, function):
    """Neither with each other nor with the array that the caller passed in."""
    x, y = (leaf(a, device) for a in normal(0, (2, 3), (2, 3)))
    z = function(x, y)
    dz = minillm.tensor(normal(1, z.shape), device=device)
    before = to_host(dz.data)
    z.backward(dz)
    xp = get_device(device).xp
    for a, b in [(x.grad, y.grad), (x.grad, dz.data), (y.grad, dz.data), (x.grad, x.data)]:
        assert not xp.shares_memory(a, b)
    kept = to_host(y.grad)
    x.grad += 1000  # e.g. gradient clipping in place
    np.testing.assert_array_equal(to_host(y.grad), kept)
    np.testing.assert_array_equal(to_host(dz.data), before)


def test_the_callers_gradient_is_only_read(device):
    x = leaf(normal(0, (3, 2)), device)
    dy = freeze(get_device(device).from_numpy(normal(1, (3, 2))))
    (x + x + F.tanh(x)).backward(dy)
    np.testing.assert_array_equal(to_host(dy), normal(1, (3, 2)))


def watched(device, died):
    """A function whose saved array tells when it dies: `died` gets its number."""

    @differentiable
    def watch(x, number):
        class Saved:
            pass

        saved = Saved()
        weakref.finalize(saved, died.append, number)

        def backward(dy):
            assert saved is not None
            return dy * 1.0

        return x + 0.0, backward

    return watch


def test_the_sweep_frees_each_node_as_soon_as_it_was_used(device):
    """When node k's turn comes, all younger nodes' saved values are gone already."""
    died, at_turn = [], {}
    watch = watched(device, died)

    @differentiable
    def look(x, k):
        def backward(dy):
            at_turn[k] = set(died)
            return dy

        return x + 0.0, backward

    x = leaf([1.0], device)
    h = x
    for k in range(4):
        h = watch(look(h, k), k)
    gc.disable()  # by reference counts alone
    try:
        h.backward()
        assert at_turn == {k: set(range(k, 4)) for k in range(4)}
    finally:
        gc.enable()
    assert h.item() == 1.0  # the loss is still held, its graph is not


def test_a_graph_that_is_dropped_without_backward_is_freed(device):
    died = []
    h = watched(device, died)(leaf([1.0], device), 0)
    assert died == []
    del h
    assert died == [0]


def test_intermediate_arrays_are_freed_when_nothing_needs_them(device):
    x = leaf([1.0, 2.0], device)
    h = F.exp(x)
    y = h.sum()
    array = weakref.ref(h)
    del h
    assert array() is None  # the Tensor isn't kept by the graph, only what backward needs
    y.backward()
    assert_close(to_host(x.grad), np.exp([1, 2]))


@pytest.mark.parametrize("use", ["backward", "drop"])
def test_a_chain_of_ten_thousand_functions_does_not_recurse(device, use):
    x = leaf([1.0], device)
    h = x
    for _ in range(10_000):
        h = h + 1.0
    if use == "backward":
        h.backward()
        assert_close(to_host(x.grad), [1])
    del h


def test_nodes_are_visited_youngest_first_each_once(device):
    """A ladder with 2^40 paths takes 40 visits."""
    visits = []

    @differentiable
    def counted(x, k):
        def backward(dy):
            visits.append(k)
            return dy

        return x + 0.0, backward

    x = leaf([1.0], device)
    h = x
    for k in range(40):
        h = counted(h, k)
        h = (h + h) * 0.5
    h.backward()
    assert visits == list(reversed(range(40)))
    assert_close(to_host(x.grad), [1])


# ------------------------------------------------------------------- what is not recorded


def test_no_grad_records_nothing_and_ends(device):
    x = leaf([1.0, 2.0], device)
    with minillm.no_grad():
        assert not minillm.is_grad_enabled()
        y = x * 2
        with minillm.no_grad():
            pass
        assert not minillm.is_grad_enabled()  # an inner block doesn't end the outer one
    assert not y.requires_grad and y.is_leaf
    assert minillm.is_grad_enabled() and (x * 2).requires_grad
    with pytest.raises(RuntimeError, match="no_grad"):
        y.sum().backward()


def test_no_grad_ends_with_an_error_in_its_block_too(device):
    with pytest.raises(ZeroDivisionError), minillm.no_grad():
        raise ZeroDivisionError
    assert minillm.is_grad_enabled()


def test_no_grad_holds_for_its_own_thread_only(device):
    x = leaf([1.0], device)
    inside, may_end, seen = threading.Event(), threading.Event(), []

    def evaluate():
        with minillm.no_grad():
            inside.set()
            may_end.wait(10)
            seen.append((x * 2).requires_grad)

    thread = threading.Thread(target=evaluate)
    thread.start()
    assert inside.wait(10)
    seen.append((x * 2).requires_grad)  # while the other thread is inside its block
    may_end.set()
    thread.join(10)
    assert seen == [True, False]


def test_detach_ends_the_history_and_shares_the_values(device):
    x = leaf([2.0], device)
    h = x * x
    d = h.detach()
    assert d.data is h.data and d.is_leaf and not d.requires_grad
    (h * d).backward()  # d counts as a constant: d(h d)/dx = d * 2x
    assert_close(to_host(x.grad), [4 * 4])


def test_integer_results_record_nothing(device):
    x = leaf([1.5, 2.5], device)
    assert not x.to(np.int64).requires_grad
    assert_close(F.embedding(x.to(np.int64), leaf(normal(0, (3, 2)), device)).shape, (2, 2))


# --------------------------------------------------------------------------------- refusals


def test_a_second_backward_over_the_same_graph_is_refused(device):
    x = leaf([1.0], device)
    y = F.exp(x * 2)
    y.backward()
    with pytest.raises(RuntimeError, match="exp a second time.*Compute the loss again"):
        y.backward()


def test_a_second_backward_through_a_shared_part_is_refused(device):
    h = F.exp(leaf([1.0], device))
    (h * 2).backward()
    with pytest.raises(RuntimeError, match="exp a second time"):
        (h * 3).backward()


def test_backward_of_a_non_scalar_needs_a_gradient(device):
    y = leaf([1.0, 2.0], device) * 2
    with pytest.raises(RuntimeError, match=r"\(2,\) needs the argument `gradient`"):
        y.backward()
    y.backward(minillm.tensor([1.0, 1.0], device=device))


def test_backward_without_any_leaf_that_wants_a_gradient_is_refused(device):
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        (minillm.tensor([1.0], device=device) * 2).backward()


def test_a_gradient_of_another_shape_is_refused(device):
    y = leaf([1.0, 2.0], device) * 2
    with pytest.raises(ValueError, match=r"\(1,\).*\(2,\)"):
        y.backward(minillm.tensor([1.0], device=device))


def test_a_gradient_on_another_device_is_refused(device):
    other = "cpu" if device != "cpu" else "strict"
    y = leaf([1.0, 2.0], device) * 2
    with pytest.raises(ValueError, match=f"'{other}'.*'{device}'"):
        y.backward(minillm.tensor([1.0, 1.0], device=other))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, bool])
def test_integers_cannot_want_a_gradient(device, dtype):
    with pytest.raises(TypeError, match=f"{np.dtype(dtype)}: pass dtype=minillm.float32"):
        minillm.tensor([1, 0], requires_grad=True, dtype=dtype, device=device)


def test_only_a_leaf_can_be_asked_for_a_gradient(device):
    h = leaf([1.0], device) * 2
    with pytest.raises(RuntimeError, match="multiply.*detach"):
        h.requires_grad_()
    assert h.detach().requires_grad_().requires_grad


def test_a_function_that_returns_a_gradient_of_the_wrong_shape_is_found(device):
    @differentiable
    def wrong(x):
        return x.sum(axis=0), lambda dy: dy

    with pytest.raises(RuntimeError, match=r"\(3,\).*\(2, 3\)"):
        wrong(leaf(np.ones((2, 3)), device)).sum().backward()


# -------------------------------------------------------------------------- anomaly detection


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_detect_anomaly_names_the_function_whose_value_is_not_finite(device):
    x = leaf([-1.0], device)
    with minillm.detect_anomaly(), pytest.raises(FloatingPointError, match="log returned"):
        F.exp(F.log(x * 2) + 1)
    assert math.isnan(F.log(x).item())  # outside of the block it is the caller's affair


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_detect_anomaly_names_the_function_whose_gradient_is_not_finite(device):
    x = leaf([0.0], device)
    with minillm.detect_anomaly():
        y = F.sqrt(x) * 1.0  # d sqrt(x) / dx is infinite at 0
        with pytest.raises(FloatingPointError, match="gradient that sqrt sends back"):
            y.backward()


def test_detect_anomaly_is_quiet_where_all_is_finite(device):
    x = leaf([0.5], device)
    with minillm.detect_anomaly():
        F.log(x).backward()
    assert_close(to_host(x.grad), [2])


# ------------------------------------------------------------------- making and reading tensors


def test_tensor_from_python_numbers(device):
    assert minillm.tensor([1.0, 2.0], device=device).dtype == np.float32
    assert minillm.tensor(1.5, device=device).dtype == np.float32
    assert minillm.tensor([[1, 2], [3, 4]], device=device).dtype == np.int64
    assert minillm.tensor([True], device=device).dtype == bool
    assert minillm.tensor([], device=device).shape == (0,)
    assert minillm.tensor([1, 2], dtype=np.float16, device=device).dtype == np.float16


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.uint8])
def test_arrays_and_tensors_keep_their_dtype_and_are_copied(device, dtype):
    array = np.array([1, 2, 3], dtype)
    x = minillm.tensor(array, device=device)
    y = minillm.tensor(x)
    array[0] = 7
    assert x.dtype == y.dtype == dtype and x.device == y.device == device
    np.testing.assert_array_equal(x.numpy(), [1, 2, 3])
    x.data[1] = 9
    np.testing.assert_array_equal(y.numpy(), [1, 2, 3])
    assert minillm.tensor(np.float32(2.5), device=device).item() == 2.5


@pytest.mark.parametrize(
    "data, error, words",
    [
        ([[1.0, 2.0], [3.0]], ValueError, "different lengths"),
        (["a", "b"], TypeError, "numbers"),
        ([None, 1.0], TypeError, "numbers"),
        ([Tensor(np.ones(2)), Tensor(np.ones(2))], TypeError, "F.stack"),
        ("text", TypeError, "str"),
        (None, TypeError, "NoneType"),
        ({1: 2}, TypeError, "dict"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(data, error, words):
    with pytest.raises(error, match=words):
        minillm.tensor(data)


def test_an_unknown_dtype_or_device_is_named(device):
    x = minillm.tensor([1.0], device=device)
    with pytest.raises(ValueError, match="'gpu'.*cpu"):
        minillm.tensor([1.0], device="gpu")
    for wrong in ("gpu", "float33"):
        with pytest.raises(ValueError, match=wrong):
            x.to(wrong)
    with pytest.raises(TypeError, match="None"):
        x.to(None)


def test_to_converts_and_the_gradient_comes_back(device):
    x = leaf([1.0, 2.0], device, np.float32)
    y = x.to(np.float64)
    assert y.dtype == np.float64 and x.to(np.float32) is x and x.to(device) is x
    (y * y).sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(to_host(x.grad), [2, 4])


@pytest.mark.parametrize("other", ["cpu", "strict"])
def test_to_moves_and_the_gradient_comes_back(device, other):
    x = leaf([1.0, 2.0], device)
    y = x.to(other, np.float32)
    assert y.device == other and y.dtype == np.float32
    (y * y).sum().backward()
    assert Tensor(x.grad).device == device
    np.testing.assert_array_equal(to_host(x.grad), [2, 4])


def test_item_numpy_len_iter_and_bool(device):
    x = minillm.tensor([[1.5, 2.0], [3.0, 4.0]], device=device)
    assert len(x) == 2 and x.numel() == 4 and x.ndim == 2 and x.shape == (2, 2)
    assert [row.numpy().tolist() for row in x] == [[1.5, 2], [3, 4]]
    assert type(x.numpy()) is np.ndarray
    scalar = x[0, 0]
    assert scalar.item() == 1.5 and type(scalar.item()) is float
    assert minillm.tensor([[7]], device=device).item() == 7
    assert bool(scalar) and not minillm.tensor(0.0, device=device)
    with pytest.raises(ValueError, match=r"one element.*\(2, 2\)"):
        x.item()
    for function in (len, list):
        with pytest.raises(TypeError, match="0-d"):
            function(scalar)


def test_iterating_keeps_the_gradient(device):
    x = leaf([[1.0, 2.0], [3.0, 4.0]], device)
    first, second = x
    (first * 2 + second * 3).sum().backward()
    np.testing.assert_array_equal(to_host(x.grad), [[2, 2], [3, 3]])


def test_repr_shows_values_dtype_device_and_origin(device):
    where = "" if device == "cpu" else f", device='{device}'"
    assert repr(minillm.tensor([1.0, 2.5], device=device)) == f"tensor([1. , 2.5]{where})"
    x = leaf([1.0], device)
    assert repr(x) == f"tensor([1.], dtype=float64{where}, requires_grad=True)"
    assert repr(x * 2) == f"tensor([2.], dtype=float64{where}, from=multiply)"


# ------------------------------------------------------------------------ the decorator itself


@differentiable
def scaled(x, y, axis=None, keepdims=False, factors=(1.0, 1.0)):
    """A function with every kind of argument, for the tests of the decorator."""

    def backward(dz):
        return dz * factors[0], None, None, None

    return x * factors[0] + y * factors[1], backward


def test_the_decorator_keeps_name_and_documentation():
    assert scaled.__name__ == "scaled" and "every kind" in scaled.__doc__


def test_keywords_defaults_and_aliases_reach_the_function(device):
    x, y = leaf([1.0], device), leaf([2.0], device)
    z = scaled(y=y, x=x, dim=0, keepdim=True, factors=[10.0, 100.0])
    assert z.item() == 210
    z.backward()
    assert_close(to_host(x.grad), [10])
    assert y.grad is None  # backward said None
    with pytest.raises(TypeError, match="unexpected.*'wrong'"):
        scaled(x, y, wrong=1)


def test_gradients_at_the_end_may_be_left_out(device):
    @differentiable
    def first(x, y):
        return x + 0.0, lambda dz: dz

    x, y = leaf([1.0], device), leaf([2.0], device)
    first(x, y).backward()
    assert_close(to_host(x.grad), [1])
    assert y.grad is None


def test_a_plain_array_as_argument_is_a_constant(device):
    x = leaf([1.0, 2.0], device)
    z = F.multiply(minillm.tensor([3.0, 4.0], device=device).data, x)
    assert isinstance(z, Tensor)
    z.sum().backward()
    assert_close(to_host(x.grad), [3, 4])


def test_threads_build_and_sweep_their_graphs_independently(device):
    """Two halves of a batch in two threads give the gradient of the whole batch."""
    x, w = normal(0, (8, 3), (2, 3))
    W = leaf(w, device)
    (F.linear(minillm.tensor(x, device=device), W) ** 2).sum().backward()
    halves = [leaf(w, device) for _ in range(2)]

    def work(k):
        for _ in range(20):
            halves[k].grad = None
            part = minillm.tensor(x[4 * k : 4 * k + 4], device=device)
            (F.linear(part, halves[k]) ** 2).sum().backward()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert_close(to_host(halves[0].grad) + to_host(halves[1].grad), to_host(W.grad))


def test_comparisons_give_boolean_tensors(device):
    x = minillm.tensor([1.0, 2.0, 3.0], requires_grad=True, device=device)
    y = minillm.tensor([3.0, 2.0, 1.0], device=device)
    assert (x == 2).numpy().tolist() == [False, True, False]
    assert (x != y).numpy().tolist() == [True, False, True]
    assert (x < y).numpy().tolist() == [True, False, False]
    assert (x >= y).numpy().tolist() == [False, True, True]
    assert (x > 1).dtype == bool and not (x > 1).requires_grad
    assert len({x, y, x}) == 2  # still told apart by identity in sets and dictionaries

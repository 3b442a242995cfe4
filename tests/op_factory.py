"""One factory tests every differentiable function: `check_op`.

Values are compared with an independent formula in float64, gradients with differences, and then
everything that goes wrong with hand-written gradients although the numbers are right: an input or
the incoming gradient written to, gradients that share memory, gradients assigned where they should
be added, a float32 computation that slips into float64, arrays in another memory layout.
"""

import itertools

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

import minillm
from minillm import Tensor
from minillm.autograd import differentiable
from minillm.backend import get_device

seeds = st.integers(0, 2**32 - 1)


def shapes(min_dims=0, max_dims=3, min_side=1, max_side=4):
    return array_shapes(
        min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side
    ) | (st.just(()) if min_dims == 0 else st.nothing())


def by_element(function, *arrays) -> np.ndarray:
    """`function` of Python floats, element by element of the broadcast arrays."""
    arrays = np.broadcast_arrays(*arrays)
    values = [function(*map(float, row)) for row in zip(*(a.ravel() for a in arrays), strict=True)]
    return np.array(values, np.float64).reshape(arrays[0].shape)


def away_from_zero(x):
    """The same signs, magnitudes of at least 0.5: no kink, no pole."""
    return np.sign(x) * (np.abs(x) + 0.5)


def normal(seed, *shape_list):
    """Standard normal float64 arrays of the given shapes: one array, or a tuple of several."""
    generator = np.random.default_rng(seed)
    arrays = tuple(np.asarray(generator.standard_normal(shape)) for shape in shape_list)
    return arrays[0] if len(arrays) == 1 else arrays


# ------------------------------------------------------------------ arguments and leaves
# The arguments of an op are described with NumPy: a float array stands for a leaf that wants a
# gradient, a list or tuple of float arrays for a sequence of such leaves, an integer or boolean
# array for a plain array of the device; anything else is handed on as it is.


def is_leaf(argument) -> bool:
    return isinstance(argument, np.ndarray) and argument.dtype.kind == "f"


def is_sequence(argument) -> bool:
    return isinstance(argument, list | tuple) and len(argument) > 0 and all(map(is_leaf, argument))


def leaf_arrays(arguments) -> list[np.ndarray]:
    """All float arrays among the arguments, in order."""
    found = []
    for argument in arguments:
        found += [argument] if is_leaf(argument) else argument if is_sequence(argument) else []
    return found


def replace_leaves(arguments, leaves, device):
    """The arguments with their float arrays replaced by `leaves`, in order."""
    leaves, result = iter(leaves), []
    for argument in arguments:
        if is_leaf(argument):
            argument = next(leaves)
        elif is_sequence(argument):
            argument = type(argument)(next(leaves) for _ in argument)
        elif isinstance(argument, np.ndarray):
            argument = get_device(device).from_numpy(argument)
        result.append(argument)
    return result


def to_host(array) -> np.ndarray:
    """A NumPy copy of an array of any device."""
    return np.array(minillm.Tensor(array).numpy())


# ------------------------------------------------------------------------- memory layouts


def contiguous(array, device):
    return get_device(device).from_numpy(array.copy())


def transposed(array, device):
    """The same values in Fortran order."""
    return get_device(device).from_numpy(array.T.copy()).T


def strided(array, device):
    """The same values, every second element of a larger array (NaN in between)."""
    if array.ndim == 0:
        return contiguous(array, device)
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
    wide[..., ::2] = array
    return get_device(device).from_numpy(wide)[..., ::2]


LAYOUTS = (contiguous, transposed, strided)


def freeze(array):
    """Make writing into the array an error, where the library can (CuPy can't)."""
    memory = getattr(array, "_array", array)
    if isinstance(memory, np.ndarray):
        memory.flags.writeable = False
    return array


@differentiable
def send_back(y, dy):
    """A stand-in for the rest of the network: its backward sends `dy` (a plain array) to y."""
    return y.reshape(-1)[:1].sum(), lambda _: dy


# ------------------------------------------------------------------------------ the factory


def run(op, arguments, dys, device, dtype=np.float64, layout=contiguous, wanted=None):
    """y and the gradients of the leaves (None where not `wanted`) for the gradients `dys` of y."""
    arrays = [layout(a.astype(dtype), device) for a in leaf_arrays(arguments)]
    wanted = range(len(arrays)) if wanted is None else wanted
    leaves = [Tensor(freeze(a), requires_grad=i in wanted) for i, a in enumerate(arrays)]
    y = op(*replace_leaves(arguments, leaves, device))
    incoming = [freeze(layout(dy.astype(dtype), device)) for dy in dys]
    # [...]: a view, as gradients of other functions often are; nobody may add to it in place.
    loss = send_back(y, incoming[0][...])
    for dy in incoming[1:]:
        loss = loss + send_back(y, dy[...])
    loss.backward()
    xp = get_device(device).xp
    for leaf, before in zip(leaves, leaf_arrays(arguments), strict=True):
        np.testing.assert_array_equal(to_host(leaf.data), before.astype(dtype), "input written to")
    for array, before in zip(incoming, dys, strict=True):
        np.testing.assert_array_equal(to_host(array), before.astype(dtype), "dy written to")
    gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
    for a, b in itertools.combinations(gradients, 2):
        assert not xp.shares_memory(a, b), "two leaves' gradients share memory"
    for gradient in gradients:
        for other in (*arrays, *incoming, y.data):
            assert not xp.shares_memory(gradient, other), "a gradient is also something else"
        gradient *= 1  # an optimizer or a gradient clipper may write here
    for i, leaf in enumerate(leaves):
        assert (leaf.grad is not None) == (i in wanted), f"leaf {i}: gradient {leaf.grad}"
        if leaf.grad is not None:
            assert leaf.grad.dtype == dtype and leaf.grad.shape == leaf.shape
    return y, [None if leaf.grad is None else to_host(leaf.grad) for leaf in leaves]


def assert_close(actual, expected, tolerance=1e-11, message=""):
    """Equal up to `tolerance`, relative to the largest value: a sum's error has its terms' size."""
    expected = np.asarray(expected)
    finite = np.abs(expected[np.isfinite(expected)])
    scale = max(1.0, float(finite.max())) if finite.size else 1.0
    np.testing.assert_allclose(
        actual, expected, rtol=tolerance, atol=tolerance * scale, err_msg=message
    )


def check_op(op, *arguments, device, expected=None, gradient=True, tolerance32=2e-5):
    """Test `op(*arguments)`: options are bound into `op`, float arrays among the arguments vary.

    expected: the value as an independent NumPy formula computes it.
    gradient: False at points without a derivative (ties, kinks), where the caller tests it.
    tolerance32: how far float32 may be from float64, relative to the largest value.
    """
    arguments = [np.asarray(a) if isinstance(a, np.generic) else a for a in arguments]
    arrays = leaf_arrays(arguments)
    for array in arrays:
        assert array.dtype == np.float64
    constants = [minillm.tensor(a, device=device) for a in arrays]
    dy_shape = op(*replace_leaves(arguments, constants, device)).shape
    dy, dy2 = normal(len(arrays), dy_shape, dy_shape)

    # The value, and the gradient against differences.
    y, gradients = run(op, arguments, [dy], device)
    assert y.device == device and y.dtype == np.float64
    value = to_host(y.data)
    if expected is not None:
        assert value.shape == np.shape(expected), f"{value.shape}, expected {np.shape(expected)}"
        assert_close(value, expected, message="value")
    if gradient and y.data.size:
        leaves = [minillm.tensor(a, requires_grad=True, device=device) for a in arrays]
        minillm.gradcheck(lambda *ts: op(*replace_leaves(arguments, ts, device)), leaves)

    # Any memory layout gives the same.
    for layout in LAYOUTS[1:]:
        y_layout, gradients_layout = run(op, arguments, [dy], device, layout=layout)
        assert_close(to_host(y_layout.data), value, message=f"value, {layout.__name__}")
        for a, b in zip(gradients_layout, gradients, strict=True):
            assert_close(a, b, message=f"gradient, {layout.__name__}")

    # float32 stays float32 and means the same.
    y32, gradients32 = run(op, arguments, [dy], device, dtype=np.float32)
    assert y32.dtype == np.float32, f"float32 in, {y32.dtype} out"
    assert_close(to_host(y32.data), value, tolerance32, "float32 value")
    if gradient:
        for a, b in zip(gradients32, gradients, strict=True):
            assert_close(a, b, tolerance32, "float32 gradient")

    # float16 stays float16.
    y16, _ = run(op, arguments, [dy], device, dtype=np.float16)
    assert y16.dtype == np.float16, f"float16 in, {y16.dtype} out"
    assert_close(to_host(y16.data), value, 1e-2, "float16 value")

    # Only one leaf wants a gradient: it gets the same one, and the others none.
    for i in range(len(arrays)) if len(arrays) > 1 else ():
        _, alone = run(op, arguments, [dy], device, wanted=[i])
        assert_close(alone[i], gradients[i], message=f"gradient of leaf {i} alone")

    # Diamonds: y used twice; the inputs used twice, directly and behind another function.
    _, twice = run(op, arguments, [dy, dy2], device)
    _, second = run(op, arguments, [dy2], device)

    def inner(argument):  # the same value behind one more function
        if isinstance(argument, list | tuple) and all(isinstance(a, Tensor) for a in argument):
            return type(argument)(inner(a) for a in argument)
        return argument * 1.0 if isinstance(argument, Tensor) else argument

    def in_two_branches(*tensors):
        tensors = [inner(t) for t in tensors]
        return minillm.functional.stack([op(*tensors), op(*tensors)])

    def both(*ts):  # the same leaves directly and through inner nodes
        return minillm.functional.stack([op(*ts), in_two_branches(*ts)[1]])

    for diamond in (in_two_branches, both):
        _, crossed = run(diamond, arguments, [np.stack([dy, dy2])], device)
        for a, b, c, d in zip(crossed, twice, gradients, second, strict=True):
            assert_close(b, c + d, message="gradient of a value that is used twice")
            assert_close(a, c + d, message="gradient of an input that is used twice")

    # One leaf in two places collects both gradients.
    for i, j in itertools.combinations(range(len(arrays)), 2):
        if arrays[i].shape == arrays[j].shape and gradient:
            same = list(arrays)
            same[j] = same[i]
            _, apart = run(op, replace_leaves_numpy(arguments, same), [dy], device)

            def joined(*leaves, j=j, i=i):
                leaves = list(leaves)
                leaves.insert(j, leaves[i])
                return op(*replace_leaves(arguments, leaves, device))

            _, one = run(joined, same[:j] + same[j + 1 :], [dy], device)
            assert_close(one[i], apart[i] + apart[j], message=f"one leaf as operands {i} and {j}")

    # Without recording: the same value (attention's is rounded in another order) and no history.
    with minillm.no_grad():
        leaves = [minillm.tensor(a, requires_grad=True, device=device) for a in arrays]
        unrecorded = op(*replace_leaves(arguments, leaves, device))
    assert not unrecorded.requires_grad
    np.testing.assert_allclose(to_host(unrecorded.data), value, rtol=1e-12, atol=1e-12)


def replace_leaves_numpy(arguments, arrays):
    """The arguments with other float arrays in place of theirs."""
    arrays, result = iter(arrays), []
    for argument in arguments:
        if is_leaf(argument):
            argument = next(arrays)
        elif is_sequence(argument):
            argument = type(argument)(next(arrays) for _ in argument)
        result.append(argument)
    return result


def check_same(op, other, *arguments, device, tolerance=1e-10):
    """Two ways to compute the same thing give the same values and gradients (float64)."""
    arrays = [minillm.tensor(a, device=device) for a in leaf_arrays(arguments)]
    shape = op(*replace_leaves(arguments, arrays, device)).shape
    dy = normal(1, shape)
    y, gradients = run(op, arguments, [dy], device)
    z, other_gradients = run(other, arguments, [dy], device)
    assert_close(to_host(y.data), to_host(z.data), tolerance, "value")
    for i, (a, b) in enumerate(zip(gradients, other_gradients, strict=True)):
        assert_close(a, b, tolerance, f"gradient of leaf {i}")

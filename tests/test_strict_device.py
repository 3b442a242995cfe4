"""The stand-in device refuses what CuPy refuses, and does the rest as NumPy does."""

import numpy as np
import pytest
from strict_device import StrictArray, StrictDevice

import minillm

xp = StrictDevice().xp


def strict(values, dtype=float):
    return StrictDevice().from_numpy(np.array(values, dtype))


HOST = np.array([1.0, 2.0])

REFUSED = {
    "np.asarray": lambda x: np.asarray(x),
    "np.array of a list": lambda x: np.array([x, x]),
    "a NumPy function": lambda x: np.concatenate([x, x]),
    "a NumPy ufunc": lambda x: np.exp(x),
    "a NumPy ufunc with out": lambda x: np.add(HOST, 1, out=x),
    "array + strict": lambda x: HOST + x,
    "strict + array": lambda x: x + HOST,
    "strict += array": lambda x: x.__iadd__(HOST),
    "array += strict": lambda x: HOST.__iadd__(x),
    "comparison": lambda x: x < HOST,
    "matmul": lambda x: x @ HOST,
    "array as argument": lambda x: xp.maximum(x, HOST),
    "array in a list": lambda x: xp.concatenate([x, HOST]),
    "array as index": lambda x: x[np.array([0])],
    "array in an index": lambda x: x[np.array([True, False]), ...],
    "list as index": lambda x: x[[0, 1]],
    "list in an index": lambda x: x[None, [0, 1]],
    "two masks in an index": lambda x: x[None][xp.ones(1, bool), x > 0],
    "array + list": lambda x: x + [1.0, 2.0],
    "list + array": lambda x: [1.0, 2.0] + x,
    "array += list": lambda x: x.__iadd__([1.0, 2.0]),
    "comparison with a list": lambda x: x == [1.0, 2.0],
    "list to a ufunc": lambda x: xp.maximum(x, [1.0, 2.0]),
    "tuple to a ufunc": lambda x: xp.exp((1.0, 2.0)),
    "list assigned": lambda x: x.__setitem__(slice(None), [1.0, 2.0]),
    "objects": lambda x: StrictDevice().from_numpy(np.array([None])),
    "words": lambda x: StrictDevice().from_numpy(np.array(["a"])),
    "dates": lambda x: xp.zeros(2, "datetime64[s]"),
    "long doubles": lambda x: x.astype(np.longdouble),
    "casting of astype": lambda x: x.astype(int, casting="unsafe"),
    "subok of zeros_like": lambda x: xp.zeros_like(x, subok=False),
    "out of another kind": lambda x: np.exp(HOST, out=x),
    "out in another array": lambda x: x.sum(out=HOST),
    "dot": lambda x: x.dot(HOST),
    "a NumPy function of arrays in a list": lambda x: np.stack([x, x]),
    "a NumPy function with an array behind": lambda x: np.where(HOST > 1, HOST, x),
    "a NumPy method": lambda x: HOST.dot(x),
    "np.float64(array)": lambda x: np.float64(x),
    "len of a number": lambda x: len(x[0]),
    "range": lambda x: range(strict(3, int)),
    "numbers that meet in a fused function": lambda x: StrictDevice().fuse(
        lambda xp, x, c: (1 - c) * x
    )(x, 0.5),
    "a mask in a fused function": lambda x: StrictDevice().fuse(lambda xp, x: x * 0.5)(x > 0),
    "strict array as index of an array": lambda x: HOST[strict([0], int)],
    "array assigned": lambda x: x.__setitem__(slice(None), HOST),
    "strict assigned to an array": lambda x: HOST.__setitem__(slice(None), x),
    "array to xp": lambda x: xp.asarray(HOST),
    "out": lambda x: xp.exp(x, out=HOST),
    "where of a ufunc": lambda x: xp.exp(x, where=x > 0),
    "where of a sum": lambda x: x.sum(where=x > 0),
    "initial of a maximum": lambda x: xp.max(x, initial=0.0),
    "too many arguments": lambda x: xp.moveaxis(x, 0, 0, 0),
    "as integer index": lambda x: [1, 2, 3][strict(1, int)],
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    with pytest.raises(TypeError):
        REFUSED[name](strict([1.0, 2.0]))
    np.testing.assert_array_equal(HOST, [1, 2])


@pytest.mark.parametrize("name", ["vecdot", "fromfunction_", "nditer", "frompyfunc"])
def test_names_that_cupy_lacks_are_absent(name):
    with pytest.raises(AttributeError, match=name):
        getattr(xp, name)


@pytest.mark.parametrize("name", ["__index__", "__contains__", "tobytes", "get"])
def test_methods_that_cupy_lacks_or_that_transfer_are_absent(name):
    assert not hasattr(StrictArray, name)


def test_scatter_only_where_cupy_can():
    x = strict([0.0, 0.0, 0.0])
    xp.add.at(x, strict([0, 0, 2], int), strict([1.0, 2.0, 4.0]))
    assert x.tolist() == [3, 0, 4]
    assert not hasattr(xp.multiply, "at")


ALLOWED = {
    "python numbers": (lambda x: 2 * x + 1 - x / 2, [2.5, 4.0]),
    "NumPy numbers": (lambda x: np.float64(2) * x + np.float64(1), [3.0, 5.0]),
    "in place": (lambda x: x.__imul__(3.0), [3.0, 6.0]),
    "slices": (lambda x: x[::-1], [2.0, 1.0]),
    "a strict index": (lambda x: x[strict([1, 1], int)], [2.0, 2.0]),
    "a strict mask": (lambda x: x[x > 1], [2.0]),
    "functions": (lambda x: xp.where(x > 1, xp.sqrt(4 * x * x), 0), [0.0, 4.0]),
    "lists of strict arrays": (lambda x: xp.concatenate([x, x]), [1.0, 2.0, 1.0, 2.0]),
    "out on the device": (lambda x: xp.exp(0 * x, out=x), [1.0, 1.0]),
    "linear algebra": (lambda x: abs(xp.linalg.qr(x[:, None])[0][:, 0]) * 5**0.5, [1.0, 2.0]),
    "reduce": (lambda x: xp.add.reduce(x, axis=0)[None], [3.0]),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed(name):
    function, expected = ALLOWED[name]
    result = function(strict([1.0, 2.0]))
    assert isinstance(result, StrictArray)
    np.testing.assert_allclose(result.tolist(), expected)


def test_a_place_is_written_once():
    """Of two values for one place CuPy keeps either; the same number for both is no question."""
    x = strict([[0.0, 0.0], [0.0, 0.0]])
    for index in (strict([1, 1], int), (0, strict([1, 1], int)), strict([1, -1], int)):
        with pytest.raises(ValueError, match="written to one place"):
            x[index] = strict([1.0, 2.0])
        x[index] = 5.0
    x[strict([1, 0], int)] = strict([1.0, 2.0])
    x[strict([0, 1], int), strict([0, 0], int)] = strict([3.0, 4.0])
    assert x.tolist() == [[3.0, 2.0], [4.0, 2.0]]


def test_reductions_to_one_number_give_0d_arrays():
    x = strict([[1.0, 2.0]])
    results = [x.sum(), x.max(), x.mean(), xp.sum(x), x[0, 1], xp.allclose(x, x), x.argmax()]
    for result in [*results, x.sum() * x.sum(), xp.exp(1.0)]:
        assert isinstance(result, StrictArray) and result.shape == ()
    assert float(x.sum()) == 3 and int(x.max()) == 2 and bool(x.min() == 1)


def test_base_tells_views_from_owners():
    x = strict([[1.0, 2.0], [3.0, 4.0]])
    for owner in (x, x + 1, x.copy(), x @ x, x.sum(axis=0), xp.zeros(3), x.astype(np.float32)):
        assert owner.base is None
    for view in (x[0], x.T, x.reshape(4), x[None], xp.broadcast_to(x, (2, 2, 2)), list(x)[0]):
        assert view.base is not None


def test_a_function_that_returns_its_argument_returns_that_object():
    """`dx is dy` is how the tape recognises a gradient that isn't the function's own."""
    x = strict([1.0])
    assert xp.ascontiguousarray(x) is x and xp.asarray(x) is x
    assert x.astype(float, copy=False) is x


def test_empty_memory_is_poisoned():
    assert np.isnan(xp.empty((2, 2), np.float32).tolist()).all()
    assert xp.empty(2, np.int64).tolist() == [101, 101]


def test_transfers_are_copies():
    device, host = StrictDevice(), np.array([1.0])
    x = device.from_numpy(host)
    host[0] = 5
    back = device.to_numpy(x)
    back[0] = 7
    assert x.tolist() == [1.0]
    with pytest.raises(TypeError):
        device.to_numpy(host)
    with pytest.raises(TypeError):
        device.from_numpy(x)


def test_the_generator_draws_the_cpus_numbers_but_has_cupys_methods():
    generator = StrictDevice().generator(5)
    expected = minillm.backend.Device().generator(5).standard_normal(4)
    assert generator.standard_normal(4, dtype=np.float64).tolist() == expected.tolist()
    assert isinstance(generator.random(), StrictArray)
    for absent in ("choice", "permutation", "bytes", "normal"):
        with pytest.raises(AttributeError, match=absent):
            getattr(generator, absent)
    with pytest.raises(TypeError, match="endpoints"):
        generator.integers(0, 5, endpoints=True)

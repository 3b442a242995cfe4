"""Devices, transfers, random streams, fusion; and that nothing is used that CuPy doesn't have."""

import ast
import importlib
import inspect
import math
import os
import pkgutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import assert_close, normal, seeds, shapes, to_host
from strict_device import CUPY_NAMES

import minillm
from minillm import backend
from minillm.backend import BLOCK, array_module, device_of, fuse, get_device

PACKAGE = Path(minillm.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))


def on(device, array):
    return get_device(device).from_numpy(np.asarray(array))


# ------------------------------------------------------------------ what the library uses


def names_used_through_xp(tree):
    """Dotted names as in `xp.add.at` or `device.xp.zeros`: what follows xp, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            inner, names = node, []
            while isinstance(inner, ast.Attribute):
                names.insert(0, inner.attr)
                inner = inner.value
            if isinstance(inner, ast.Name) and inner.id == "xp":
                yield ".".join(names), node.lineno
            elif "xp" in names[:-1]:
                yield ".".join(names[names.index("xp") + 1 :]), node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_cupy_has_every_name_that_is_used_through_xp(path):
    for name, line in names_used_through_xp(ast.parse(path.read_text(encoding="utf-8"))):
        head, _, rest = name.partition(".")
        described = CUPY_NAMES.get(name if head == "linalg" else head)
        assert described, f"{path}:{line}: CuPy has no {name}"
        if rest == "at":
            assert "at" in described, f"{path}:{line}: CuPy's {head} has no .at"


def test_the_scan_sees_names():
    used = {name for p in SOURCES for name, _ in names_used_through_xp(ast.parse(p.read_text()))}
    assert {"exp", "add.at", "isfinite", "where"} <= used
    found = dict(names_used_through_xp(ast.parse("a = xp.linalg.qr(device.xp.vecdot(x, y))")))
    assert {"linalg.qr", "vecdot"} <= set(found)


def test_only_the_backend_imports_cupy():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            imports_cupy = any(name.split(".")[0] in ("cupy", "cupyx") for name in names)
            assert not imports_cupy or path.name == "cuda.py", path


def test_the_stored_names_are_those_of_the_installed_cupy():
    """The strict device refuses what the real library refuses."""
    cupy = pytest.importorskip("cupy")
    sys.path.insert(0, str(Path(__file__).parent / "fixtures"))
    cupy_names = importlib.import_module("cupy_names")
    stored = cupy_names.PATH.read_text(encoding="utf-8").splitlines()
    if stored[0] != f"# cupy {cupy.__version__}, written by cupy_names.py":
        pytest.skip(f"another version than {stored[0]}")
    assert stored[1:] == cupy_names.lines(cupy)


def test_minillm_works_where_cupy_is_not_installed():
    """A fresh interpreter in which `import cupy` fails."""
    program = (
        "import sys; sys.modules['cupy'] = None\n"
        "import minillm\n"
        "x = minillm.tensor([1.0, 2.0], requires_grad=True)\n"
        "minillm.functional.gelu(x).sum().backward()\n"
        "try:\n    minillm.tensor([1.0], device='cuda')\n"
        "except RuntimeError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )
    assert done.returncode == 0, done.stderr
    assert "not installed" in done.stdout and "minillm[cuda13]" in done.stdout


# ------------------------------------------------------------------------------- devices


def test_an_unknown_device_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="'gpu': expected one of cpu, cuda"):
        get_device("gpu")
    assert not backend.is_device_name("gpu") and not backend.is_device_name(np.float32)
    assert backend.is_device_name("cuda")  # a known name, whether usable here or not


def test_cuda_without_a_gpu_says_how_to_go_on(device):
    if device == "cuda":
        assert get_device("cuda").xp.__name__ == "cupy"
    else:
        try:
            get_device("cuda")
        except RuntimeError as error:
            assert "'cuda'" in str(error) and ("pip install" in str(error) or "cpu" in str(error))


def test_the_array_tells_its_library(device):
    array = on(device, np.ones((2, 3), np.float32))
    assert device_of(array).name == device
    assert array_module(array) is get_device(device).xp
    assert array_module(np.ones(2)) is np and array_module(np.float32(1)) is np
    assert device_of(np.ones(2).view(np.recarray)).name == "cpu"  # a subclass


@pytest.mark.parametrize("thing", [[1.0], 1.0, None, "cpu", minillm.tensor([1.0])])
def test_what_is_no_array_is_refused(thing):
    with pytest.raises(TypeError, match=f"expected an array, got {type(thing).__name__}"):
        device_of(thing)


@given(
    shape=shapes(min_side=0),
    dtype=st.sampled_from([np.float16, np.float32, np.float64, np.int32, np.int64, bool]),
    seed=seeds,
)
def test_transfers_keep_every_bit(device, shape, dtype, seed):
    array = np.asarray(10 * normal(seed, shape)).astype(dtype)
    there = on(device, array)
    back = get_device(device).to_numpy(there)
    assert type(back) is np.ndarray and back.dtype == there.dtype == dtype
    np.testing.assert_array_equal(back, array)


# ------------------------------------------------------------- functions that differ by library


@given(shape=shapes(min_side=0), seed=seeds)
def test_erf(device, shape, seed):
    x = 3 * normal(seed, shape)
    expected = np.reshape([math.erf(v) for v in x.ravel()], shape)
    y = backend.erf(on(device, x))
    assert device_of(y).name == device and y.dtype == np.float64
    np.testing.assert_allclose(to_host(y), expected, rtol=1e-14)
    assert backend.erf(on(device, x.astype(np.float32))).dtype == np.float32


@given(
    rows=st.integers(1, 5),
    picks=st.integers(0, 30),
    width=st.integers(0, 3),
    dtype=st.sampled_from([np.int64, np.int32, np.uint8]),
    seed=seeds,
)
def test_add_rows(device, rows, picks, width, dtype, seed):
    target, added = normal(seed, (rows, width), (picks, width))
    ids = np.random.default_rng(seed).integers(0, rows, picks).astype(dtype)
    expected = target.copy()
    for i, row in zip(ids, added, strict=True):
        expected[i] += row
    result, ids_there, added_there = on(device, target), on(device, ids), on(device, added)
    backend.add_rows(result, ids_there, added_there)
    assert_close(to_host(result), expected)
    np.testing.assert_array_equal(to_host(ids_there), ids)
    np.testing.assert_array_equal(to_host(added_there), added)


@given(
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=6), width=st.integers(1, 3), seed=seeds
)
def test_sum_runs(device, sizes, width, seed):
    rows = normal(seed, (sum(sizes), width))
    starts = np.cumsum([0, *sizes[:-1]])
    expected = [rows[a : a + n].sum(axis=0) for a, n in zip(starts, sizes, strict=True)]
    sums = backend.sum_runs(on(device, rows), on(device, starts))
    assert device_of(sums).name == device
    assert_close(to_host(sums), np.array(expected))


def test_a_run_is_exact_whatever_stands_before_it(device):
    """A difference of sums over all rows before would lose it."""
    rows = np.ones((1000, 2), np.float32)
    rows[:500] = 1e8
    starts = np.array([0, 500, 750])
    sums = to_host(backend.sum_runs(on(device, rows), on(device, starts)))
    np.testing.assert_array_equal(sums[1:], np.full((2, 2), 250.0))


@pytest.mark.parametrize("ids", [[0, 5], [-1, 2], [[0, 1], [2, 9]]])
def test_check_ids_names_the_range(device, ids):
    ids = np.array(ids)
    if get_device(device).checks_ids:
        words = f"my ids: id {ids.min()} to {ids.max()} found, expected 0 to 4"
        with pytest.raises(IndexError, match=words):
            backend.check_ids(on(device, ids), 5, "my ids")
    backend.check_ids(on(device, ids % 5), 5, "my ids")
    backend.check_ids(on(device, np.zeros(0, np.int64)), 5, "my ids")


# ----------------------------------------------------------------------------- random numbers


def draw(device, n=100):
    place = get_device(device)
    return to_host(backend.random_generator(place).random(n)), to_host(
        place.random_bytes(backend.random_generator(place), (n,))
    )


@pytest.mark.parametrize("seed", [0, 12345, 2**63, (1, 2, 3), [7, 0]])
def test_a_seed_gives_the_same_numbers_again(device, seed):
    results = []
    for s in (seed, seed, 999):
        minillm.manual_seed(s)
        results.append(draw(device))
    for first, again, other in zip(*results, strict=True):
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()


def test_seeds_that_differ_in_one_part_give_other_numbers(device):
    """(seed, step, rank): no two steps, ranks or orders of them may share a stream."""
    streams = []
    for seed in [(1, 2, 3), (1, 2, 4), (1, 3, 3), (3, 2, 1), (1, 2), 1]:
        minillm.manual_seed(seed)
        streams.append(draw(device)[0].tobytes())
    assert len(set(streams)) == len(streams)


@pytest.mark.parametrize("seed", [-1, 1.5, None, "one", (1, -2)])
def test_what_is_no_seed_is_refused_at_once(seed):
    with pytest.raises((ValueError, TypeError)):
        minillm.manual_seed(seed)


def test_each_thread_has_its_own_stream(device):
    """A thread's numbers depend on its own seed only, however the threads take turns."""
    minillm.manual_seed(1)
    alone = draw(device)[0]
    minillm.manual_seed(1)
    found = {}

    def work(name, seed):
        if seed is not None:
            minillm.manual_seed(seed)
        found[name] = draw(device)[0]

    jobs = [("same", 1), ("other", 2), ("unseeded", None), ("unseeded too", None)]
    threads = [threading.Thread(target=work, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    np.testing.assert_array_equal(found["same"], alone)
    np.testing.assert_array_equal(draw(device)[0], alone)  # this thread's stream wasn't touched
    assert len({values.tobytes() for values in found.values()}) == 4


@pytest.mark.parametrize("shape", [(), (1,), (3,), (5, 7), (0, 4), (2, 3, 5)])
def test_random_bytes_have_the_shape_asked_for(device, shape):
    place = get_device(device)
    values = place.random_bytes(backend.random_generator(place), shape)
    assert values.shape == shape and values.dtype == np.uint8 and device_of(values) is place


def test_random_bytes_are_uniform(device):
    """Chi-squared over 256 values: 255 +- 22.6 for fair bytes; also for each place in a word."""
    place = get_device(device)
    values = to_host(place.random_bytes(backend.random_generator(place), (256 * 4096,)))
    for part in (values, values[0::4], values[1::4], values[2::4], values[3::4]):
        counts = np.bincount(part, minlength=256)
        expected = len(part) / 256
        assert 150 < ((counts - expected) ** 2 / expected).sum() < 380


# ----------------------------------------------------------------------------------- fusion


@fuse
def polynomial(xp, x, y, c):
    """Two results, a scalar in between."""
    s = x * y + c
    return s * s, xp.tanh(s)


@fuse
def decay(xp, x, y):
    """In place: nothing is returned."""
    x *= 0.5
    x += y


@pytest.mark.parametrize(
    "shape", [(), (3,), (BLOCK,), (BLOCK + 1,), (2, BLOCK), (7, 3, BLOCK // 5)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fused_equals_plain_across_blocks(device, shape, dtype):
    x, y = (on(device, a.astype(dtype)) for a in normal(0, shape, shape))
    expected = polynomial.plain(array_module(x), x, y, 0.25)
    for result, wanted in zip(polynomial(x, y, 0.25), expected, strict=True):
        assert result.shape == shape and result.dtype == dtype
        np.testing.assert_allclose(to_host(result), to_host(wanted), rtol=1e-6)
    # In place, and on arrays that are not contiguous.
    decay.plain(array_module(x), wanted := x.copy(), y)
    assert decay(x, y) is None
    np.testing.assert_allclose(to_host(x), to_host(wanted), rtol=1e-6)
    if len(shape) > 1:
        for a, b in ((x.T, y.T), (x[:, ::2], y[:, ::2]), (x[1:], y[1:])):
            decay.plain(array_module(a), wanted := a.copy(), b)
            decay(a, b)
            np.testing.assert_allclose(to_host(a), to_host(wanted), rtol=1e-6)


def test_fused_functions_keep_their_names():
    assert polynomial.__name__ == "polynomial" and "Two results" in polynomial.__doc__


def test_all_fused_functions_of_the_library_are_elementwise():
    """No reduction, branch, comparison chain or index inside: CuPy silently goes wrong there."""
    found = []
    for info in pkgutil.walk_packages(minillm.__path__, "minillm."):
        module = importlib.import_module(info.name)
        for function in vars(module).values():
            if hasattr(function, "plain") and function.__module__ == info.name:
                found.append(function)
                tree = ast.parse(inspect.getsource(function.plain))
                for node in ast.walk(tree):
                    assert not isinstance(
                        node, ast.If | ast.IfExp | ast.For | ast.While | ast.Subscript | ast.BoolOp
                    ), f"{info.name}.{function.__name__}: {ast.unparse(node)}"
                    if isinstance(node, ast.Attribute):
                        forbidden = {"sum", "max", "min", "mean", "any", "all", "dot", "prod"}
                        assert node.attr not in forbidden, f"{function.__name__}: .{node.attr}"
    assert len(found) >= 2

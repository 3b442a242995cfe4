"""Nothing in minillm asks CuPy for what it doesn't have; and the check that says so can fail.

The check (cupy_checker.py) reads source against the names, parameters and dtypes of a real CuPy,
stored in fixtures/cupy_names.txt; where CuPy is installed, the store itself is compared with it.
"""

import importlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cupy_checker
import numpy as np
import pytest
from cupy_checker import check, parse_names, read_names

import minillm
from minillm.backend import get_device
from minillm.lessons import arguments

PACKAGE = Path(minillm.__file__).parent
LESSONS = PACKAGE.parent / "lessons"
NAMES = read_names()
# They handle bytes and files and never see an array of a device: text/ and data/ know nothing of
# autograd, and these two write and read what was brought to the CPU.
HOST_ONLY = {PACKAGE / "models" / "vector_formats.py", PACKAGE / "weights_file.py"}
SOURCES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in ("text", "data") and path not in HOST_ONLY
]


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_library_asks_for_nothing_that_cupy_lacks(path):
    report = check(read(path), NAMES)
    assert not report.findings, "\n".join(f"{path}: {f.message}" for f in report.findings)


@pytest.mark.parametrize("path", sorted(LESSONS.glob("*.py")), ids=lambda p: p.name)
def test_the_lessons_ask_for_nothing_that_cupy_lacks(path):
    """Two lessons compute on the CPU whatever --device says, and tell so."""
    if 'if options.device != "cpu":' not in read(path):
        report = check(read(path), NAMES)
        assert not report.findings, "\n".join(f"{path}: {f.message}" for f in report.findings)


@pytest.mark.parametrize("path", sorted(HOST_ONLY), ids=lambda p: p.name)
def test_files_that_are_left_out_know_no_device(path):
    source = read(path)
    for word in ("array_module", "device_of", "get_device", "xp.", "cupy", "Tensor"):
        assert word not in source, f"{path} mentions {word}: check it, too"


def test_how_much_is_checked(record_property):
    """A check that sees nothing finds nothing: these floors hold with room to spare."""
    checked = {kind: Counter() for kind in ("name", "method", "argument", "dtype")}
    expressions = 0
    for path in SOURCES:
        report = check(read(path), NAMES)
        expressions += report.transfers
        for kind, found in report.checked.items():
            checked[kind] += found
    for kind, found in checked.items():
        print(f"{kind}: {len(found)} different, at {found.total()} places")
        record_property(kind, f"{len(found)} at {found.total()} places")
    print(f"expressions followed for transfers: {expressions}")
    assert len(checked["name"]) >= 45 and checked["name"].total() >= 190
    assert len(checked["method"]) >= 18 and checked["method"].total() >= 270
    assert len(checked["argument"]) >= 24 and checked["argument"].total() >= 95
    assert len(checked["dtype"]) >= 6 and checked["dtype"].total() >= 12
    assert expressions >= 20_000
    assert {"add.at", "cupyx.scipy.special.erf", "fuse", "tanh"} <= set(checked["name"])


# ------------------------------------------------------------------------- the store of names


def installed_lines():
    cupy = pytest.importorskip("cupy")
    sys.path.insert(0, str(Path(__file__).parent / "fixtures"))
    maker = importlib.import_module("cupy_names")
    return cupy, [f"# cupy {cupy.__version__}, written by cupy_names.py", *maker.lines(cupy)]


def test_the_stored_names_are_those_of_the_installed_cupy():
    cupy, lines = installed_lines()
    stored = read(cupy_checker.NAMES_FILE).splitlines()
    if stored[0] == lines[0]:
        assert stored == lines, "run tests/fixtures/cupy_names.py"


def test_the_library_asks_for_nothing_that_the_installed_cupy_lacks():
    """Also if it is another version than the stored one."""
    names = parse_names(installed_lines()[1])
    for path in SOURCES:
        report = check(read(path), names)
        assert not report.findings, "\n".join(f"{path}: {f.message}" for f in report.findings)


def test_the_ufunc_methods_that_work_are_the_documented_ones():
    sys.path.insert(0, str(Path(__file__).parent / "fixtures"))
    maker = importlib.import_module("cupy_names")
    assert cupy_checker.UFUNC_METHODS["reduce"] == maker.REDUCES
    assert " ".join(["ufunc.__call__", *NAMES["ufunc.__call__"]]) == maker.UFUNC_CALL


# ------------------------------------------------------------------------ where there is no GPU


@pytest.fixture
def no_gpu():
    try:
        get_device("cuda")
    except RuntimeError as error:
        return str(error)
    pytest.skip("there is one")


def test_a_lesson_without_a_gpu_says_so_before_it_works(no_gpu, monkeypatch, tmp_path):
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["lesson", "--device", "cuda", "--out", str(out)])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the lesson sets its own
    with pytest.raises(RuntimeError, match="device 'cuda'"):
        arguments("05_pretrain", "a lesson")
    assert not out.exists()


def test_the_suite_without_a_gpu_says_so_in_a_line(no_gpu):
    command = [sys.executable, "-m", "pytest", "--device", "cuda", "tests/test_files.py"]
    done = subprocess.run(
        command, cwd=PACKAGE.parent, capture_output=True, text=True, timeout=120, env=os.environ
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.strip() == f"ERROR: --device: {no_gpu}"


# ------------------------------------------------------------------------------ planted mistakes

HEAD = "import numpy as np\nfrom minillm.backend import array_module\n\n\n"
DIFFERENTIABLE = HEAD + "@differentiable\ndef op(x, y=None):\n    xp = array_module(x)\n    "

PLANTED = {
    # a function, attribute or method that CuPy lacks
    "function": ("name", "y = xp.vecdot(x, x)"),
    "function of array_module(x)": ("name", "y = array_module(x).frompyfunc(f, 1, 1)"),
    "function of a device's xp": ("name", "y = device_of(x).xp.nditer(x)"),
    "function in a submodule": ("name", "y = xp.linalg.vecdot(x, x)"),
    "submodule": ("name", "y = xp.ma.masked_array(x)"),
    "function of cupyx": ("name", "y = cupyx.scipy.special.faddeeva(x)"),
    "imported name": ("name", "from cupyx.scipy.special import erf_of_all"),
    "scatter of a ufunc that can't": ("name", "xp.multiply.at(x, i, y)"),
    "reduction of a ufunc that can't": ("name", "y = xp.logaddexp.reduce(x)"),
    "reduceat of a ufunc that can't": ("name", "y = xp.maximum.reduceat(x, i)"),
    "reduceat that subtracts": ("name", "y = xp.add.reduceat(x, i)"),
    "method": ("name", "x.resize(3)"),
    "method of a result": ("name", "y = (x + 1).getfield(t)"),
    # an argument that CuPy doesn't take
    "keyword of a function": ("argument", "y = xp.max(x, initial=0.0)"),
    "keyword of a reduction": ("argument", "y = x.sum(axis=0, where=x > 0)"),
    "keyword of a ufunc": ("argument", "y = xp.exp(x, where=x > 0)"),
    "keyword of a ufunc's method": ("argument", "y = xp.add.reduce(x, initial=1)"),
    "keyword of a method": ("argument", "y = x.take(i, 0, mode='clip')"),
    "keyword misspelt": ("argument", "y = x.max(keepdim=True)"),
    "too many arguments": ("argument", "y = xp.moveaxis(x, 0, 1, 2)"),
    "too many arguments of a ufunc": ("argument", "y = xp.exp(x, x, x)"),
    "keyword of the generator": ("argument", "g = cupy.fuse(f)\n    y = xp.zeros_like(x, like=x)"),
    # a dtype that CuPy lacks
    "objects": ("dtype", "y = xp.empty(3, dtype=object)"),
    "long double": ("dtype", "y = x.astype(np.longdouble)"),
    "dtype in its place": ("dtype", "y = xp.zeros(3, np.str_)"),
    "dtype as a string": ("dtype", "y = xp.full(3, 0, dtype='U8')"),
    "dates": ("dtype", "y = xp.arange(3, dtype='datetime64[s]')"),
    "dtype of a view": ("dtype", "y = x.view('S4')"),
    # a transfer that nobody wrote
    "NumPy function": ("transfer", "y = np.concatenate([x, x])"),
    "NumPy function of a computed array": ("transfer", "z = 2 * x.T\n    y = np.exp(z[0])"),
    "NumPy function of a parameter": ("transfer", "y = np.sum(y)"),
    "NumPy's linear algebra": ("transfer", "y = np.linalg.norm(xp.abs(x))"),
    "operand": ("transfer", "y = x + np.arange(3)"),
    "operand by name": ("transfer", "m = np.ones(3)\n    if m.any():\n        y = m * x"),
    "comparison": ("transfer", "y = x < np.zeros(3)"),
    "in place": ("transfer", "x += np.ones(3)"),
    "matrix product": ("transfer", "y = np.eye(3) @ x"),
    "index": ("transfer", "y = x[np.array([0, 1])]"),
    "part of an index": ("transfer", "i = np.arange(3)\n    y = x[i, None]"),
    "device array as index": ("transfer", "t = np.arange(3)\n    y = t[x]"),
    "assigned": ("transfer", "z = xp.zeros(3)\n    z[1:] = np.ones(2)"),
    "assigned to NumPy's": ("transfer", "z = np.zeros(3)\n    z[1:] = x"),
    "argument": ("transfer", "y = xp.where(x > 0, x, np.zeros(3))"),
    "out": ("transfer", "y = xp.exp(x, out=np.empty(3))"),
    "argument of a method": ("transfer", "y = x.dot(np.ones(3))"),
    "brought to the host": ("transfer", "h = Tensor(x).numpy()\n    y = h * x"),
    "parameter's data": ("transfer", "y = np.tanh(weight.data)"),
    "gradient": ("transfer", "y = np.abs(weight.grad)"),
    "backward": ("transfer", "def backward(dy):\n        return dy * np.ones(3)"),
    "backward as lambda": ("transfer", "return x, lambda dy: np.multiply(x, dy)"),
    "loop": ("transfer", "for row in x:\n        y = np.exp(row)"),
    "loop that feeds back": (
        "transfer",
        "z = None\n    for i in range(3):\n        y = np.exp(z)\n        z = xp.ones(3)",
    ),
    "branch": ("transfer", "z = np.ones(3)\n    if i:\n        z = x\n    y = np.exp(z)"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_found(name):
    kind, code = PLANTED[name]
    report = check(DIFFERENTIABLE + code + "\n", NAMES)
    assert [f.kind for f in report.findings] == [kind], [f.message for f in report.findings]


RIGHT = {
    "shapes": "y = np.broadcast_shapes(x.shape, y.shape)",
    "machine epsilon": "y = np.finfo(x.dtype).eps",
    "numbers": "n = np.sqrt(3.0)\n    y = np.prod(x.shape)",
    "functions": "y = xp.where(xp.exp(x) > 0, x.sum(axis=0, keepdims=True), 0)",
    "out": "xp.exp(x, out=x)\n    xp.matmul(x, x, out=x)",
    "transfer to the host": "h = np.exp(device_of(x).to_numpy(x))\n    h += np.ones(3)",
    "a number": "n = x.sum().item()\n    m = np.zeros(3) * n",
    "transfer to the device": "z = xp.asarray(np.ones(3))\n    y = x * z",
    "dtypes": "y = xp.zeros(3, np.float16).astype('int64').view(xp.uint8)",
    "as x": "y = xp.empty(x.shape, x.dtype)",
    "NumPy's own": "if isinstance(x, np.generic):\n        x = np.asarray(x)\n    y = x * x",
    "other objects": "rows = []\n    rows.sort(key=len)\n    y = 'a'.join('b')",
    "scatter": "xp.add.at(x, i, y)",
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name):
    report = check(DIFFERENTIABLE + RIGHT[name] + "\n", NAMES)
    assert not report.findings, [f.message for f in report.findings]


def test_a_mistake_planted_in_the_library_is_found():
    """In the real files, among everything that is right there."""
    softmax = read(PACKAGE / "functional" / "activation.py")
    attention = read(PACKAGE / "functional" / "attention.py")
    for source, right, wrong, kind in (
        (softmax, "y = xp.exp(x - x.max", "y = np.exp(x - x.max", "transfer"),
        (softmax, "y /= y.sum(axis=axis, keepdims=True)", "y /= y.sum(axis, where=y)", "argument"),
        (softmax, "xp.copysign(", "xp.heavyside(", "name"),
        (attention, "S -= largest", "S -= np.max(S)", "transfer"),
        (attention, "xp.empty((*leading, Lk, Lq), q.dtype)", "xp.empty(Lk, object)", "dtype"),
        (attention, "dy.swapaxes(-1, -2)", "dy.setflags()", "name"),
    ):
        assert right in source
        findings = check(source.replace(right, wrong), NAMES).findings
        assert {f.kind for f in findings} == {kind}, (wrong, findings)


def test_a_line_is_named():
    report = check("import cupy\n\n\ndef f(x):\n    return cupy.no_such(x)\n", NAMES)
    assert [f.line for f in report.findings] == [5]
    assert report.findings[0].message == "line 5: CuPy has no no_such"


def test_the_dtypes_stored_are_those_that_a_gpu_computes_with():
    assert {"bool", "uint8", "int32", "int64", "float16", "float32", "float64"} <= set(
        NAMES["dtypes"][1:]
    )
    assert not {"object", "longdouble", np.dtype(np.longdouble).name} & set(NAMES["dtypes"][1:])

"""No function without a test, no method without its function, no option without documentation."""

import inspect
from pathlib import Path

import numpy as np
import pytest
from op_factory import normal

import minillm
from minillm import functional as F

FUNCTIONS = sorted(
    name
    for name, value in vars(F).items()
    if inspect.isfunction(value) and not name.startswith("_")
)
TESTS = "\n".join(
    path.read_text(encoding="utf-8")
    for path in Path(__file__).parent.glob("test_*.py")
    if not path.name.endswith("_interop.py")
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_documented_and_tested(name):
    assert inspect.getdoc(getattr(F, name)), f"F.{name} has no docstring"
    assert f"F.{name}" in TESTS, f"no test in this folder calls F.{name}"


@pytest.mark.parametrize("name", ["abs", "exp", "log", "sqrt", "tanh", "sigmoid", "relu"])
def test_methods_without_arguments_are_the_functions(device, name):
    x = minillm.tensor(np.abs(normal(0, (2, 3))) + 0.5, device=device)
    np.testing.assert_array_equal(getattr(x, name)().numpy(), getattr(F, name)(x).numpy())


CALLS = {
    "softmax": {"axis": 0},
    "log_softmax": {"axis": 1},
    "sum": {"axis": 1},
    "mean": {"axis": 0, "keepdims": True},
    "max": {"axis": 0},
    "var": {"axis": 1, "correction": 0},
    "transpose": {"dim0": 0, "dim1": 1},
    "flatten": {},
    "squeeze": {"dim": 0},
    "unsqueeze": {"dim": 1},
}


@pytest.mark.parametrize("name", CALLS)
def test_methods_with_arguments_are_the_functions(device, name):
    x = minillm.tensor(normal(0, (1, 3)), device=device)
    method, function = getattr(x, name), getattr(F, name)
    for y in (method(**CALLS[name]), method(*CALLS[name].values())):
        np.testing.assert_array_equal(y.numpy(), function(x, **CALLS[name]).numpy())

"""Where the suite runs (`pytest --device cpu|strict|cuda`), and from which random numbers.

A test that computes takes the fixture `device` and puts its tensors there:
`minillm.tensor(x, device=device)`, `module.to(device)`.
"""

import numpy as np
import pytest
from hypothesis import settings
from strict_device import StrictDevice

import minillm
from minillm import backend

pytest.register_assert_rewrite("op_factory")  # its assertions explain themselves like a test's

# The same examples on every run: a failure in CI is a failure at home.
settings.register_profile("steady", deadline=None, max_examples=20, derandomize=True)
# To look for new failures: pytest --hypothesis-profile=search
settings.register_profile("search", deadline=None, max_examples=500, print_blob=True)
settings.load_profile("steady")


def pytest_addoption(parser):
    parser.addoption(
        "--device",
        choices=("cpu", "strict", "cuda"),
        default="cpu",
        help="where the tensors of the tests live; strict: NumPy that refuses what CuPy refuses",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "nvrtc: compiles CUDA source, where NVRTC is installed")
    backend.register_device(StrictDevice())
    try:
        backend.get_device(config.getoption("--device"))
    except RuntimeError as error:
        raise pytest.UsageError(f"--device: {error}") from None


def pytest_report_header(config):
    return f"minillm {minillm.__version__}, NumPy {np.__version__}, " + (
        f"device: {config.getoption('--device')}"
    )


@pytest.fixture(scope="session")
def device(request) -> str:
    """The device's name."""
    return request.config.getoption("--device")


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random streams."""
    minillm.manual_seed(0)

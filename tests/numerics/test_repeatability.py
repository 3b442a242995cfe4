"""The same program gives the same result: to the last bit on one machine, up to rounding elsewhere.

one_run.py goes from texts to trained networks.  Here it runs in processes of their own, in which
something is different that must not matter: how Python hashes strings, the folder, the language,
the time zone, which instructions the processor offers.
"""

import json
import os
import platform
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from run_lesson import run_lesson

import minillm

PROGRAM = Path(__file__).with_name("one_run.py")
# What one_run.py makes of whole numbers and bytes.  A change here is a change for everybody who
# repeats an old run with a new version: it needs a reason.
EXACT = {
    "split": "8f3e24edfb9cdcc1",
    "wordpiece": "df7750c8757bef1a",
    "bpe": "0a0e22a44aa42726",
    "pairs and masks": "2e14abbe8040b21f",
    "contrasted pairs": "7d07d27eac084b80",
    "windows": "0fb222ec54c22b7b",
    "train_test_split": "0bc721cfee98125a",
    "folds": "9956242deb351d74",
    "sample": "561221c75d732dd9",
    "buckets": "65639292457caa2f",
    "words": "7c4e6a0012f85692",
    "dropout": "c2c1a8039e1deb54",
}


def start(folder: Path, device: str, **changes: str) -> dict:
    folder.mkdir()
    here = str(Path(minillm.__file__).parents[1])
    result = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), device],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": here} | changes,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def another_processor() -> dict[str, str]:
    """The settings that make OpenBLAS and NumPy compute as on an old processor (x86-64 alone)."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return {}
    extensions = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])
    # SSE3 kernels: 4 numbers at once where AVX-512 has 16, so sums are made in another order.
    return {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": " ".join(extensions)}


@pytest.fixture(scope="module")
def results(device, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    surroundings = {
        "first": {"PYTHONHASHSEED": "1"},
        "second": {"PYTHONHASHSEED": "2", "LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONUTF8": "0"},
        "elsewhere": {"PYTHONHASHSEED": "random", **another_processor()},
    }
    with ThreadPoolExecutor(2) as threads:
        started = {
            name: threads.submit(start, folder / name, device, **changes)
            for name, changes in surroundings.items()
        }
        return {name: process.result() for name, process in started.items()}


def test_what_comes_before_the_network_is_the_same_everywhere(results):
    """Splits, tokenizers, ids, pairs, masks, shuffles, dropout's choices: equal to what is written
    down here, whoever runs the test.  (A GPU draws its dropout from a generator of its own.)"""
    for result in results.values():
        assert result["exact"] == EXACT


def assert_close(run: dict, other: dict) -> None:
    compared = [name for name in run if name.endswith("losses")]
    assert len(compared) == 3
    for name in compared:
        assert np.isfinite(run[name]).all()
        np.testing.assert_allclose(other[name], run[name], rtol=2e-5, err_msg=name)


def assert_same(run: dict, other: dict, device: str) -> None:
    assert_close(run, other)
    # A GPU adds the rows of an embedding's gradient in the order in which its threads arrive.
    assert device == "cuda" or run == other


def test_equal_runs_in_two_processes_have_equal_bits(device, results):
    assert_same(results["first"]["runs"][0], results["second"]["runs"][0], device)


def test_equal_runs_in_one_process_have_equal_bits(device, results):
    for result in results.values():
        assert_same(*result["runs"], device)


def test_another_processor_gives_the_same_up_to_rounding(results):
    assert_close(results["first"]["runs"][0], results["elsewhere"]["runs"][0])


def test_a_lesson_prints_the_same_twice(tmp_path, monkeypatch):
    """Lesson 03: parameters, an optimizer, 100 steps of training, and every number printed."""
    printed = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        folder = tmp_path / seed
        folder.mkdir()
        result = run_lesson("03_autograd", "--quick", "--seed", 3, cwd=folder)
        assert result.returncode == 0, result.stderr
        printed.append(re.sub(r"[0-9.]+ seconds", "some seconds", result.stdout))
    assert len(printed[0]) > 1000
    assert printed[0] == printed[1]

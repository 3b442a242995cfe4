"""safetensors files: read as their own library reads them, and every false claim refused unread."""

import json
import struct
import tracemalloc

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

from minillm.weights_file import check_finite, read_header, read_weights

DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: np_st.arrays(
        np.dtype(dtype), np_st.array_shapes(min_dims=0, min_side=0, max_side=3)
    )
)


@given(st.dictionaries(st.text('ab.é["\\', max_size=4), arrays, max_size=4))
def test_what_safetensors_writes_is_read_as_it_reads_it(tmp_path_factory, tensors):
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    tensors.pop("__metadata__", None)
    data = safetensors.numpy.save(tensors, metadata={"format": "pt"})
    path.write_bytes(data)
    theirs, ours = safetensors.numpy.load(data), read_weights(path)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert ours[name].dtype == array.dtype
        assert ours[name].shape == array.shape
        assert ours[name].tobytes() == array.tobytes()


def written(path, header, numbers=b"\0" * 24, length=None):
    """A file with this header, which may lie."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + numbers)
    return path


def entry(**changes):
    return {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]} | changes


LIES = [
    (
        {"w": entry(shape=[10**15], data_offsets=[0, 4 * 10**15])},
        "arrays end at byte 4000000000000",
    ),
    ({"w": entry(shape=[10**15])}, "can't be 24 bytes"),
    ({"w": entry(shape=[2**32, 2**32])}, "can't be 24 bytes"),
    ({"w": entry(shape=[0, 2**62, 2**62], data_offsets=[0, 0])}, "can't be 0 bytes"),
    ({"w": entry(shape=[-2, -3])}, r"the shape \[-2, -3\]"),
    ({"w": entry(shape=[2.0, 3])}, r"the shape \[2.0, 3\]"),
    ({"w": entry(shape=[True, 6])}, r"the shape \[True, 6\]"),
    ({"w": entry(shape=[1] * 33)}, "the shape"),
    ({"w": entry(data_offsets=[0, 20])}, "can't be 20 bytes"),
    ({"w": entry(data_offsets=[24, 0])}, "can't be -24 bytes"),
    ({"w": entry(data_offsets=[-24, 0])}, "the offsets"),
    ({"w": entry(data_offsets=[0])}, "the offsets"),
    ({"w": entry(data_offsets=[4, 28])}, "leaves a gap"),
    ({"w": entry(), "v": entry()}, "overlaps the one before"),
    ({"w": entry(shape=[2], data_offsets=[0, 8])}, "arrays end at byte"),
    ({}, "arrays end at byte"),
    ({"w": entry(dtype="BF16", data_offsets=[0, 12])}, "w is stored as BF16, which NumPy doesn't"),
    ({"w": entry(dtype="Q7")}, "'w' is stored as 'Q7', which isn't known; expected one of F16"),
    ({"w": entry(dtype=["F32"])}, "stored as"),
    ({"w": {"dtype": "F32", "shape": [2, 3]}}, "isn't described by"),
    ({"w": [1]}, "isn't described by"),
    ({"w": entry(), "__metadata__": {"a": 1}}, "__metadata__ doesn't map"),
    ([1], "no JSON object"),
    (b'{"w": {}, "w": {}}', "the key 'w' is there twice"),
    (b"[" * 100_000, "nested 100000 deep"),
    (b"\xff", "not UTF-8"),
]


@pytest.mark.parametrize("header, message", LIES)
def test_a_header_that_lies_is_refused_with_the_files_name(tmp_path, header, message):
    path = written(tmp_path / "model.safetensors", header)
    tracemalloc.start()
    with pytest.raises(ValueError, match=message) as caught:
        read_weights(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert peak < 8 << 20


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 10**9, 49, 3])
def test_a_length_of_the_header_that_is_not_its_own(tmp_path, length):
    path = written(tmp_path / "model.safetensors", {"w": entry()}, length=length)
    with pytest.raises(ValueError, match="model.safetensors"):
        read_header(path)


def test_a_file_that_was_cut_off_anywhere(tmp_path):
    path = written(tmp_path / "model.safetensors", {"w": entry()})
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match="model.safetensors.* is not"):
            read_weights(path)


def test_a_truth_value_is_zero_or_one(tmp_path):
    header = {"w": entry(dtype="BOOL", data_offsets=[0, 6])}
    path = written(tmp_path / "model.safetensors", header, bytes([0, 1, 0, 1, 1, 0]))
    assert read_weights(path)["w"].tolist() == [[False, True, False], [True, True, False]]
    written(path, header, bytes([0, 1, 2, 3, 4, 5]))
    with pytest.raises(ValueError, match="'w' holds what is neither true nor false"):
        read_weights(path)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_named(dtype, value):
    fine = np.ones((3, 2), dtype)
    check_finite("model.safetensors", {"fine": fine, "empty": fine[:0], "ids": np.arange(3)})
    broken = fine.copy()
    broken[1, 1] = value
    with pytest.raises(ValueError, match="model.safetensors: broken holds NaN or infinity"):
        check_finite("model.safetensors", {"fine": fine, "broken": broken})

"""Weights in a file: what other libraries read is what was written, and a flipped bit is told."""

import json
import struct

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from minillm.sealed_weights import check_seal, write_weights
from minillm.weights_file import read_weights

DTYPES = ["<f2", "<f4", "<f8", "|i1", "<i4", "<i8", "|u1", "<u2", "|b1", ">f4"]
ARRAYS = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: some.arrays(dtype, some.array_shapes(min_dims=0, min_side=0, max_side=4))
    ),
    max_size=5,
)


@given(ARRAYS)
def test_the_format_s_own_library_reads_what_was_written(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    write_weights(path, arrays)
    check_seal(path)
    for found in (safetensors.numpy.load_file(path), read_weights(path)):
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            assert found[name].shape == array.shape
            np.testing.assert_array_equal(found[name], array)


def test_arrays_that_are_not_contiguous(tmp_path):
    array = np.arange(12.0).reshape(3, 4).T[::2]
    write_weights(tmp_path / "w", {"a": array})
    np.testing.assert_array_equal(safetensors.numpy.load_file(tmp_path / "w")["a"], array)


def test_the_numbers_begin_where_a_reader_may_map_them(tmp_path):
    write_weights(tmp_path / "w", {"byte": np.ones(3, np.int8), "double": np.ones(2)})
    data = (tmp_path / "w").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    assert length % 8 == 0
    assert json.loads(data[8 : 8 + length])["double"]["data_offsets"] == [0, 16]
    with safetensors.safe_open(tmp_path / "w", "numpy") as file:
        assert file.metadata()["format"] == "pt"  # what transformers asks for


def test_a_dtype_that_the_format_lacks(tmp_path):
    with pytest.raises(ValueError, match="w: z is complex128"):
        write_weights(tmp_path / "w", {"z": np.ones(2, complex)})


def test_every_bit_of_the_numbers_counts(tmp_path):
    path = tmp_path / "w"
    write_weights(path, {"a": np.arange(3, dtype=np.float32)})
    whole = path.read_bytes()
    for place in range(len(whole) - 12, len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            with pytest.raises(ValueError, match="w is damaged: .* digest differs"):
                check_seal(path)


def test_a_file_beside_it_that_differs_is_told(tmp_path, recwarn):
    (tmp_path / "config.json").write_text('{"layers": 2}')
    write_weights(tmp_path / "w", {"a": np.ones(2)}, beside=["config.json"])
    check_seal(tmp_path / "w")
    assert not recwarn
    (tmp_path / "config.json").write_text('{"layers": 3}')
    with pytest.warns(UserWarning, match="config.json isn't what was saved with w .*edited or dam"):
        check_seal(tmp_path / "w")


def test_a_file_of_another_library_has_no_seal(tmp_path):
    safetensors.numpy.save_file({"a": np.ones(2)}, tmp_path / "w")
    check_seal(tmp_path / "w")

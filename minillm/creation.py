"""Making Tensors from numbers and arrays."""

import numpy as np

from minillm.autograd import Tensor
from minillm.backend import as_dtype, device_of, get_device


def tensor(data, requires_grad: bool = False, dtype=None, device: str | None = None) -> Tensor:
    """Make a leaf Tensor from numbers, nested lists, an array or a Tensor; the values are copied.

    Python floats become float32, Python integers int64; arrays keep their dtype unless `dtype`
    says otherwise.  `device` defaults to the CPU (for an array: to where it is).
    """
    if isinstance(data, Tensor):
        data = data.data
    if device is None and not isinstance(data, list | tuple | int | float | np.generic):
        owner = device_of(data)
    else:
        owner = get_device(device or "cpu")
    if isinstance(data, list | tuple | int | float):
        data = _array_of_numbers(data)
        if dtype is None and data.dtype == np.float64:
            dtype = np.float32
    if device_of(data) is owner:
        array = owner.xp.array(data, dtype=as_dtype(dtype))
    else:
        array = owner.from_numpy(np.array(device_of(data).to_numpy(data), dtype=as_dtype(dtype)))
    return Tensor(array, requires_grad)


def _array_of_numbers(data) -> np.ndarray:
    try:
        array = np.array(data)
    except ValueError:
        raise ValueError("tensor(): the nested lists have rows of different lengths") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"tensor(): expected numbers, got {array.dtype} (to join Tensors use F.stack)"
        )
    return array

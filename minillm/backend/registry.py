"""Which device holds an array, and which library computes with it."""

from types import ModuleType

from minillm.backend.cpu import Device

_devices: dict[str, Device] = {}
_device_of_type: dict[type, Device] = {}


def register_device(device: Device) -> None:
    """Add a device; arrays of its `array_types` belong to it from now on."""
    _devices[device.name] = device
    for array_type in device.array_types:
        _device_of_type[array_type] = device


def get_device(name: str) -> Device:
    """The device called `name`: ValueError for an unknown name, RuntimeError without a GPU."""
    device = _devices.get(name)
    if device is None:
        raise ValueError(f"unknown device {name!r}: expected one of {', '.join(sorted(_devices))}")
    device.check()
    return device


def is_device_name(name) -> bool:
    """Whether `name` names a device, usable here or not."""
    return isinstance(name, str) and name in _devices


def device_of(array) -> Device:
    """The device that holds `array`."""
    device = _device_of_type.get(type(array))
    if device is not None:
        return device
    for array_type, device in list(_device_of_type.items()):
        if isinstance(array, array_type):  # a subclass, such as np.float32 or np.memmap
            _device_of_type[type(array)] = device
            return device
    raise TypeError(f"expected an array, got {type(array).__name__}")


def is_array(value) -> bool:
    """Whether `value` is an array (or a scalar of an array library) of any device."""
    return isinstance(value, tuple(_device_of_type))


def array_module(array) -> ModuleType:
    """`numpy` for a NumPy array, `cupy` for a CuPy array."""
    return device_of(array).xp

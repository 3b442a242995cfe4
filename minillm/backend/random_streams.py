"""Random numbers: a stream for each device and each thread, all from one seed."""

import os
import threading
from typing import Any

import numpy as np

from minillm.backend.cpu import Device
from minillm.backend.registry import get_device

# Each thread has its own generators, so that threads never share (and race for) a stream.
_random = threading.local()


def manual_seed(seed) -> None:
    """Start the random streams of every device (of this thread) from `seed`.

    `seed` is a non-negative integer or a sequence of them, such as (seed, step, rank); anything
    else is a ValueError or TypeError.
    """
    if seed is None:
        raise TypeError("manual_seed(None): expected an integer or a sequence of integers")
    np.random.SeedSequence(seed)  # complains now, not at the first draw
    _random.seed = seed
    _random.generators = {}


def random_generator(device: Device):
    """The calling thread's random generator on `device`."""
    if not hasattr(_random, "generators"):
        manual_seed(int.from_bytes(os.urandom(8), "little"))
    if device.name not in _random.generators:
        _random.generators[device.name] = device.generator(_random.seed)
    return _random.generators[device.name]


def random_state() -> tuple[Any, dict]:
    """Where the random streams of this thread stand: for `set_random_state`, in any thread."""
    if not hasattr(_random, "generators"):
        manual_seed(int.from_bytes(os.urandom(8), "little"))
    streams = _random.generators.items()
    return _random.seed, {n: get_device(n).random_state(stream) for n, stream in streams}


def set_random_state(state: tuple[Any, dict]) -> None:
    """Put this thread's random streams back to where they stood: the same numbers come again."""
    seed, streams = state
    manual_seed(seed)  # a stream that had not begun begins at its seed
    for name, stream in streams.items():
        device = get_device(name)
        device.set_random_state(random_generator(device), stream)

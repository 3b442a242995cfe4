"""The key/value cache: what attention has computed for the text so far.

Position t attends to the keys and values of the positions 1..t, and those don't depend on what
comes later.  Without a cache, writing token t + 1 computes all of them again: t positions for one
token.  With it each step computes one position, and reads the rest.  The price is memory:

    2 (keys and values) * layers * rows * key/value heads * positions * head size   numbers.
"""

from typing import Any

from minillm.backend import array_module


class KeyValueCache:
    """Keys and values (B, heads, length, D) of every layer, in buffers with room for more.

    max_length: room for so many positions is made at once, and more is a ValueError.  None: the
    buffers double when they are full, so that n tokens cost at most 2n copied positions.
    """

    def __init__(self, max_length: int | None = None):
        if max_length is not None and max_length < 1:
            raise ValueError(f"KeyValueCache: max_length={max_length}, expected 1 or more")
        self.max_length = max_length
        self._keys: list[Any] = []  # a buffer (B, heads, capacity, D) a layer
        self._values: list[Any] = []
        self._lengths: list[int] = []  # the positions in use

    @property
    def length(self) -> int:
        """The positions that every layer holds."""
        return min(self._lengths, default=0)

    @property
    def nbytes(self) -> int:
        """The memory of all buffers."""
        return sum(buffer.nbytes for buffer in self._keys + self._values)

    def update(self, layer: int, k, v) -> tuple[Any, Any]:
        """Append k and v (B, heads, L, D) to a layer; all its keys and values, as views.

        Layers are numbered from 0, and their first updates come in this order.
        """
        L = k.shape[2]
        if layer == len(self._keys):
            capacity = self._capacity(L, 0)
            self._keys.append(_empty(k, capacity))
            self._values.append(_empty(v, capacity))
            self._lengths.append(0)
        start = self._lengths[layer]
        end = start + L
        keys, values = self._keys[layer], self._values[layer]
        if k.shape[0] != keys.shape[0]:
            raise ValueError(
                f"KeyValueCache: {k.shape[0]} rows come to {keys.shape[0]} that are remembered; "
                "a cache belongs to one batch"
            )
        if end > keys.shape[2]:
            capacity = self._capacity(end, keys.shape[2])
            keys = self._keys[layer] = _moved(keys, start, capacity)
            values = self._values[layer] = _moved(values, start, capacity)
        keys[:, :, start:end] = k
        values[:, :, start:end] = v
        self._lengths[layer] = end
        return keys[:, :, :end], values[:, :, :end]

    def crop(self, length: int) -> None:
        """Forget all but the first `length` positions: what was written is taken back."""
        if not 0 <= length <= self.length:
            raise ValueError(f"KeyValueCache: crop({length}) of {self.length} positions")
        self._lengths = [length] * len(self._lengths)

    def reorder(self, rows) -> None:
        """Row i becomes what row rows[i] was: beams that go on, once or several times, or end.

        rows: integers on the cache's device.  Only rows that change are copied.
        """
        for buffers in (self._keys, self._values):
            for layer, buffer in enumerate(buffers):
                buffers[layer] = _reordered(buffer, rows, self._lengths[layer])

    def _capacity(self, needed: int, present: int) -> int:
        if self.max_length is None:
            return max(needed, 2 * present, 16)
        if needed > self.max_length:
            raise ValueError(
                f"KeyValueCache: {needed} positions don't fit into max_length={self.max_length}"
            )
        return self.max_length


def _empty(like, capacity: int, rows: int | None = None):
    B, heads, _, D = like.shape
    xp = array_module(like)
    return xp.empty((B if rows is None else rows, heads, capacity, D), like.dtype)


def _moved(buffer, length: int, capacity: int):
    larger = _empty(buffer, capacity)
    larger[:, :, :length] = buffer[:, :, :length]
    return larger


def _reordered(buffer, rows, length: int):
    used = buffer[:, :, :length]
    if len(rows) != len(buffer):
        result = _empty(buffer, buffer.shape[2], len(rows))
        result[:, :, :length] = used[rows]
        return result
    xp = array_module(buffer)
    (changed,) = xp.nonzero(rows != xp.arange(len(rows)))
    if changed.size:
        used[changed] = used[rows[changed]]  # the right side is a copy: rows may swap
    return buffer

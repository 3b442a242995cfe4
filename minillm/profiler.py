"""Where the time of a step goes: every differentiable function, forward and backward.

    with minillm.profile() as profile:
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
    print(profile)

A matrix product is bound by the processor's arithmetic, everything else by memory: the table shows
both rates, so that a slow line says what it is short of.  While no profile is active, a call costs
one comparison more.
"""

import contextlib
import math
import threading
import time
from dataclasses import dataclass

from minillm.backend import device_of, is_array


@dataclass
class Row:
    """All calls of one function in one direction.

    bytes: of the arrays that go in and come out; a function that passes over them several times
    moves more.  flops: additions and multiplications of its matrix products (0: it has none).
    """

    name: str
    calls: int = 0
    seconds: float = 0.0
    bytes: int = 0
    flops: int = 0


class Profile:
    """What was measured: `rows` (largest first), `seconds` altogether; as a string, the table."""

    def __init__(self):
        self.seconds = 0.0
        self._rows: dict[str, Row] = {}
        self._threads: set[int] = set()
        self._lock = threading.Lock()  # several threads may compute at the same time

    @property
    def rows(self) -> list[Row]:
        return sorted(self._rows.values(), key=lambda row: -row.seconds)

    def forward(self, name, function, arrays):
        """function(*arrays), measured."""
        began = time.perf_counter()
        result = function(*arrays)
        y = result[0]
        self._add(name, began, [*arrays, y], _flops(name, arrays, y), y)
        if result[1] is None:
            return result
        return y, _Backward(result[1], 2 * _flops(name, arrays, y))

    def backward(self, name, backward, dy):
        """backward(dy), measured."""
        began = time.perf_counter()
        gradients = backward(dy)
        flops = backward.flops if isinstance(backward, _Backward) else 0
        self._add(f"{name} backward", began, [dy, gradients], flops, dy)
        return gradients

    def update(self, name, update, p, *arguments):
        """update(p, ...) of an optimizer, measured."""
        began = time.perf_counter()
        update(p, *arguments)
        self._add(name, began, [p, p, *arguments], 0, p)

    def _add(self, name, began, arrays, flops, where):
        device_of(where).synchronize()  # a GPU returns before it has computed
        seconds = time.perf_counter() - began
        with self._lock:
            self._threads.add(threading.get_ident())
            row = self._rows.setdefault(name, Row(name))
            row.calls += 1
            row.seconds += seconds
            row.bytes += _bytes(arrays)
            row.flops += flops

    def __str__(self):
        threads = max(1, len(self._threads))
        total = threads * self.seconds  # what the threads together could have worked
        rest = Row("(the rest)", 0, max(0.0, total - sum(r.seconds for r in self.rows)))
        head = ("function", "calls", "ms", "share", "MB", "GB/s", "GFLOP/s")
        lines = [f"{head[0]:<34}" + "".join(f"{word:>9}" for word in head[1:])]
        for row in [*self.rows, rest]:
            cells = [
                f"{row.calls or '':>9}",
                f"{1e3 * row.seconds:>9.2f}",
                f"{100 * row.seconds / total if total else 0:>7.1f} %",
                f"{row.bytes / 1e6:>9.1f}" if row.bytes else f"{'':>9}",
                f"{row.bytes / 1e9 / row.seconds:>9.1f}" if row.bytes and row.seconds else " " * 9,
                f"{row.flops / 1e9 / row.seconds:>9.1f}" if row.flops and row.seconds else "",
            ]
            lines.append((f"{row.name:<34}" + "".join(cells)).rstrip())
        flops = sum(row.flops for row in self.rows)
        rate = f", {flops / 1e9 / self.seconds:.1f} GFLOP/s" if self.seconds else ""
        several = f" on {threads} threads" if threads > 1 else ""
        lines.append(f"{1e3 * self.seconds:.2f} ms{several}{rate}")
        return "\n".join(lines)


class _Backward:
    """A backward function that knows the flops of its matrix products."""

    def __init__(self, backward, flops):
        self.call, self.flops = backward, flops

    def __call__(self, dy):
        return self.call(dy)


active: Profile | None = None  # of all threads: a trainer's threads belong to the step, too


@contextlib.contextmanager
def profile():
    """Within this block every differentiable function and optimizer update is measured.

    Yields a `Profile`.  One at a time: RuntimeError within another one.  On a GPU each call is
    waited for, which takes the overlap away: the shares are right, the total is too long.
    """
    global active
    if active is not None:
        raise RuntimeError("minillm.profile() is active already: one profile at a time")
    active = Profile()
    began = time.perf_counter()
    try:
        yield active
    finally:
        active.seconds = time.perf_counter() - began
        active = None


def _bytes(arrays) -> int:
    total = 0
    for a in arrays:
        if isinstance(a, (list, tuple)):
            total += _bytes(a)
        elif isinstance(a, dict):
            total += _bytes(a.values())
        elif is_array(a):
            total += a.nbytes
    return total


# Multiplications and additions of the forward pass; the backward pass has two products of the same
# size for each one, one a factor.


def _flops(name, arrays, y) -> int:
    count = _FLOPS.get(name)
    return 0 if count is None else int(count(arrays, y))


def _matmul(arrays, y):
    return 2 * y.size * arrays[0].shape[-1]


def _linear(arrays, y):
    return 2 * y.size * arrays[1].shape[1]


def _attention(arrays, y):  # Q K^T and P V; y (..., Lq, Ev)
    q, k, v = arrays[:3]
    return 2 * math.prod(y.shape[:-1]) * k.shape[-2] * (q.shape[-1] + v.shape[-1])


def _multi_head_attention(arrays, y):  # y (B, L, E): the heads' widths add up to E
    return 2 * y.size * y.shape[1] * 2


def _conv1d(arrays, y):  # weight (out, in, kernel), y (B, out, L)
    weight = arrays[1]
    return 2 * y.size * weight.shape[1] * weight.shape[2]


def _lstm(arrays, y):  # x (T, B, I), w_ih (4H, I), w_hh (4H, H)
    return 2 * arrays[0].shape[0] * arrays[0].shape[1] * (arrays[3].size + arrays[4].size)


def _rnn(arrays, y):  # x (T, B, I), w_ih (H, I), w_hh (H, H)
    return 2 * arrays[0].shape[0] * arrays[0].shape[1] * (arrays[2].size + arrays[3].size)


_FLOPS = {
    "matmul": _matmul,
    "linear": _linear,
    "scaled_dot_product_attention": _attention,
    "multi_head_attention": _multi_head_attention,
    "conv1d": _conv1d,
    "lstm": _lstm,
    "rnn": _rnn,
}

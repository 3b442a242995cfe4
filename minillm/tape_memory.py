"""What the tape holds: the memory between the forward and the backward pass, by kind of function.

    with minillm.tape_memory() as memory:
        loss = model(**batch).loss
        loss.backward()
    print(memory)

A training step's memory is the parameters, their gradients and the optimizer's moments, which are
always there, and the tape: every recorded function keeps the arrays that its gradient needs, and
`backward` frees them one function after the other.  So the tape is largest at the end of the
forward pass, and it grows with the batch, while all else doesn't.  What helps where it is too
large, in MB, for a GPT of 4 layers, 256 wide, with 8 heads and a vocabulary of 4,096, and a batch
of 32 texts of 128 tokens:

    428    as it is
    214    half a batch at a time, gradients added: accumulate=2 in trainer.py
    275    16 bits where they are enough: autocast.py
    105    layers computed twice instead of kept: recompute.py
     92    both of these
"""

import contextlib
import functools
import threading
import weakref

from minillm.backend import buffer_of, is_array


class TapeMemory:
    """What was seen: `held` bytes now, at most `peak`, and at that moment `at_peak` {kind: bytes}.

    An array that several functions keep counts once, for the first of them; a view counts as the
    whole array that it views.  Leaves that want a gradient, such as parameters, don't count, and
    those of `model` don't even where they are frozen.  As a string, the table.
    """

    def __init__(self, model=None):
        self.held = self.peak = 0
        self.at_peak: dict[str, int] = {}
        self.nodes: dict[str, int] = {}  # of each kind, how many were recorded
        self._by_kind: dict[str, int] = {}
        self._keepers: dict[int, list] = {}  # of a buffer: [how many keep it, bytes, kind]
        self._lock = threading.RLock()  # several threads may record at the same time
        self._there_anyway = set()
        if model is not None:
            self._there_anyway = {id(buffer_of(p.data)) for p in model.parameters()}

    def record(self, node) -> None:
        """Count what a new node's `backward` keeps, until it is freed."""
        kind = node.name.lstrip("_")
        kept_arrays = _kept(node.backward, set())
        buffers = {id(buffer): buffer.nbytes for buffer in map(buffer_of, kept_arrays)}
        leaves = {id(buffer_of(s.data)) for s in _flat(node.sources) if hasattr(s, "data")}
        with self._lock:
            self.nodes[kind] = self.nodes.get(kind, 0) + 1
            kept = buffers.keys() - leaves - self._there_anyway
            for key in kept:
                if key in self._keepers:
                    self._keepers[key][0] += 1
                else:
                    self._keepers[key] = [1, buffers[key], kind]
                    self._add(kind, buffers[key])
            if self.held > self.peak:
                self.peak, self.at_peak = self.held, dict(self._by_kind)
        weakref.finalize(node.backward, self._freed, kept).atexit = False

    def _freed(self, kept) -> None:
        with self._lock:
            for key in kept:
                self._keepers[key][0] -= 1
                if not self._keepers[key][0]:
                    _, size, kind = self._keepers.pop(key)
                    self._add(kind, -size)

    def _add(self, kind, size) -> None:
        self.held += size
        self._by_kind[kind] = self._by_kind.get(kind, 0) + size

    def __str__(self):
        kinds = sorted(self.nodes, key=lambda kind: -self.at_peak.get(kind, 0))
        rows = [(kind, self.nodes[kind], self.at_peak.get(kind, 0)) for kind in kinds]
        rows.append(("the tape at its peak", sum(self.nodes.values()), self.peak))
        lines = [f"{'kept for the gradient of':<34}{'calls':>9}{'MB':>9}{'share':>9}"]
        lines += [
            f"{kind:<34}{calls:>9}{size / 1e6:>9.2f}{100 * size / max(1, self.peak):>7.1f} %"
            for kind, calls, size in rows
        ]
        return "\n".join(lines)


active: TapeMemory | None = None  # of all threads: a trainer's threads belong to the step, too


@contextlib.contextmanager
def tape_memory(model=None):
    """Within this block what the tape holds is counted.  Yields a `TapeMemory`.

    One at a time: RuntimeError within another one.  While none is active, a node costs one
    comparison more; within the block, it costs some microseconds.
    """
    global active
    if active is not None:
        raise RuntimeError("minillm.tape_memory() is active already: one report at a time")
    active = TapeMemory(model)
    try:
        yield active
    finally:
        active = None


def _kept(value, seen):
    """The arrays in what a function refers to: closures, sequences, computed Tensors."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if is_array(value):
        yield value
    elif hasattr(value, "requires_grad"):  # a Tensor
        if not value.is_leaf:
            yield value.data
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _kept(item, seen)
    elif isinstance(value, dict):
        yield from _kept(list(value.values()), seen)
    elif isinstance(value, functools.partial):
        yield from _kept([value.func, *value.args], seen)
    elif hasattr(value, "__closure__"):
        for cell in value.__closure__ or ():
            with contextlib.suppress(ValueError):  # a cell that is still empty
                yield from _kept(cell.cell_contents, seen)
    elif hasattr(value, "call"):  # a function that profile() measures
        yield from _kept(value.call, seen)


def _flat(sources):
    for source in sources:
        yield from source if isinstance(source, list) else (source,)

"""What a run tells: `metrics.jsonl` for programs, a progress bar for people.

metrics.jsonl has one JSON object a line, one line a step:

    {"step": 100, "loss": 5.31, "gradient_norm": 1.7, "learning_rate": 0.001, "tokens": 4096,
     "tokens_per_second": 40960.0, "validation_loss": 5.27, "seconds": 31.2}

step: how many updates were made; loss and gradient_norm: before this one (the norm unclipped);
tokens: of this step, without padding; seconds: since the beginning of the run, pauses left out;
the objective's metrics under their names, the validation's behind `validation_`; best_step, with
each validation of a run that keeps its best model: the step of the best one so far; in float16,
loss_scale, and skipped: 1 where that was too large, so that there was no gradient, and no update.

Each line is written when its step has ended, so that a plot can follow a running training.  Each
checkpoint notes the digest of the records so far (`Metrics.seal`), so that a resumed run can say
whether the file still holds what was written.
"""

import contextlib
import hashlib
import json
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from minillm.disk import cannot_write
from minillm.files import atomic_write

METRICS_FILE = "metrics.jsonl"
#: The fields that differ between two runs of the same computation.
TIMING_FIELDS = ("seconds", "tokens_per_second")


class Metrics(contextlib.AbstractContextManager):
    """The records of a run: in `folder`'s metrics.jsonl, or in memory if there is no folder.

    done: the run goes on behind this step.  Of the file that is there, the records up to it stay;
    what came after it will be computed again.
    sealed: the `seal` of the file at that step, to be compared.  Warns if the file is damaged.
    """

    def __init__(self, folder: str | os.PathLike | None, done: int = 0, sealed: str | None = None):
        self.seconds = 0.0  # how long the recorded steps took
        self._in_memory: list[dict] = []
        self._file = None
        if folder is None:
            return
        self.path = Path(folder) / METRICS_FILE
        try:
            history, self._size = _cut_back(self.path, done)
            # Unbuffered: what write() has taken is in the file, also if the next one fails.
            self._file = open(self.path, "ab", buffering=0)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self._digest = hashlib.sha256()
        for record in history:
            self._digest.update(_without_timing(record))
            self.seconds = record.get("seconds", 0.0)
        if len(history) == done and sealed is not None and sealed != self.seal:
            warnings.warn(
                f"{self.path} isn't what was written up to step {done} (its digest differs): some "
                "of its numbers may be wrong. The training itself doesn't depend on them",
                stacklevel=2,
            )

    @property
    def history(self) -> list[dict]:
        """All records; where there is a file, read from it: a long run doesn't keep them."""
        return self._in_memory if self._file is None else read_metrics(self.path)

    @property
    def seal(self) -> str | None:
        """A digest of the records in the file, but for what differs between two equal runs."""
        return None if self._file is None else self._digest.hexdigest()

    def append(self, record: dict) -> None:
        """Raises OSError, with path and reason, if the line can't be written."""
        if self._file is None:
            self._in_memory.append(record)
            return
        line = (json.dumps(record) + "\n").encode()
        try:
            written = 0
            while written < len(line):  # a disk that is nearly full may take a part
                written += self._file.write(line[written:])
        except OSError as error:
            with contextlib.suppress(OSError):  # half a line helps nobody
                self._file.truncate(self._size)
            raise cannot_write(self.path, error, "the lines before are kept") from error
        self._size += len(line)
        self._digest.update(_without_timing(record))

    def sync(self) -> None:
        """Force the file to the disk: no checkpoint may be there without its metrics."""
        if self._file is not None:
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                raise cannot_write(self.path, error, "the lines before are kept") from error

    def __exit__(self, *exception):
        if self._file is not None:
            self._file.close()


def _without_timing(record: dict) -> bytes:
    lasting = {name: value for name, value in record.items() if name not in TIMING_FIELDS}
    return json.dumps(lasting).encode()


def read_metrics(path: str | os.PathLike) -> list[dict]:
    """The records of a metrics.jsonl; a last line that is not complete (yet) is left out.

    So is a line in the middle that isn't a record, with a warning: the file was damaged.
    """
    records, broken = [], 0
    for number, (record, _) in enumerate(_lines(Path(path)), start=1):
        if broken:
            warnings.warn(f"{path}, line {broken} is damaged: left out", stacklevel=2)
            broken = 0
        if record is None:
            broken = number
        else:
            records.append(record)
    return records


def _lines(path: Path) -> Iterator[tuple[dict | None, bytes]]:
    """(record, line); the record is None if the line isn't one, or not whole."""
    with open(path, "rb") as file:
        for line in file:
            try:
                record = json.loads(line) if line.endswith(b"\n") else None
            except (ValueError, RecursionError):  # half a line, or half a character
                record = None
            is_record = isinstance(record, dict) and isinstance(record.get("step"), int)
            yield record if is_record else None, line


def _cut_back(path: Path, done: int) -> tuple[list[dict], int]:
    """Shorten the file to the records of the steps up to `done`; returns them, and its size."""
    history: list[dict] = []
    kept, read = [], []
    if path.exists():
        for record, line in _lines(path):
            read.append(line)
            last = history[-1]["step"] if history else 0
            if record is not None and last < record["step"] <= done:
                history.append(record)
                kept.append(line)
        if kept == read[: len(kept)]:
            os.truncate(path, len(b"".join(kept)))
        else:  # damaged in the middle
            atomic_write(path, b"".join(kept))
    lost = sorted(set(range(1, done + 1)) - {record["step"] for record in history})
    if lost:
        steps = f"the steps {lost[0]} to {lost[-1]}" if len(lost) > 1 else f"the step {lost[0]}"
        if lost[-1] - lost[0] >= len(lost):
            steps = f"{len(lost)} of {steps}"
        warnings.warn(
            f"{path} lacks {steps}: it is damaged, or was cut off. The training itself doesn't "
            "depend on it",
            stacklevel=3,
        )
    return history, len(b"".join(kept))


class ProgressBar(contextlib.AbstractContextManager):
    """A bar with loss, learning rate, tokens/s and the time left, on stderr.

    Where stderr is not a terminal (a log file, CI) it is ten plain lines for the whole run.
    """

    def __init__(self, steps: int, done: int = 0, show: bool = True):
        self.steps, self.done, self.started = steps, done, time.perf_counter()
        self.plain = show and not sys.stderr.isatty()
        hide = not show or self.plain
        self.bar = tqdm(total=steps, initial=done, unit="step", dynamic_ncols=True, disable=hide)
        self.show = show
        if done:
            self.say(f"going on after step {done:,} of {steps:,}")

    def update(self, record: dict) -> None:
        """Show the record of the step that has just ended."""
        text = (
            f"loss {record['loss']:.4g}  lr {record['learning_rate']:.2e}  "
            f"{record['tokens_per_second']:,.0f} tokens/s"
        )
        step = record["step"]
        if self.plain and step * 10 // self.steps > (step - 1) * 10 // self.steps:
            seconds = time.perf_counter() - self.started
            left = seconds / (step - self.done) * (self.steps - step)
            self.say(f"step {step:,}/{self.steps:,}  {text}  {tqdm.format_interval(left)} left")
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update()

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self.show:
            tqdm.write(text, file=sys.stderr)

    def __exit__(self, *exception):
        self.bar.close()

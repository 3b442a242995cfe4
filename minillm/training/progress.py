"""What a run tells: `metrics.jsonl` for programs, a progress bar for people.

metrics.jsonl has one JSON object a line, one line a step:

    {"step": 100, "loss": 5.31, "gradient_norm": 1.7, "learning_rate": 0.001, "tokens": 4096,
     "tokens_per_second": 40960.0, "validation_loss": 5.27, "seconds": 31.2}

step: how many updates were made; loss and gradient_norm: before this one (the norm unclipped);
tokens: of this step, without padding; seconds: since the beginning of the run, pauses left out;
the objective's metrics under their names, the validation's behind `validation_`; best_step, with
each validation of a run that keeps its best model: the step of the best one so far.

Each line is flushed when its step has ended, so that a plot can follow a running training.
"""

import contextlib
import json
import os
import sys
import time
import warnings
from pathlib import Path

from tqdm import tqdm

METRICS_FILE = "metrics.jsonl"
#: The fields that differ between two runs of the same computation.
TIMING_FIELDS = ("seconds", "tokens_per_second")


class Metrics(contextlib.AbstractContextManager):
    """The records of a run: in memory as `history`, and in `folder`'s metrics.jsonl if given.

    done: the run goes on behind this step.  Of the file that is there, the records up to it stay
    and become the beginning of `history`; what came after it will be computed again.
    """

    def __init__(self, folder: str | os.PathLike | None, done: int = 0):
        self.history: list[dict] = []
        self._file = None
        if folder is not None:
            path = Path(folder) / METRICS_FILE
            self.history = _cut_back(path, done)
            self._file = open(path, "a", encoding="utf-8")

    @property
    def seconds(self) -> float:
        """How long the recorded steps took."""
        return self.history[-1]["seconds"] if self.history else 0.0

    def append(self, record: dict) -> None:
        self.history.append(record)
        if self._file is not None:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()

    def sync(self) -> None:
        """Force the file to the disk: no checkpoint may be there without its metrics."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def __exit__(self, *exception):
        if self._file is not None:
            self._file.close()


def read_metrics(path: str | os.PathLike) -> list[dict]:
    """The records of a metrics.jsonl; a last line that is not complete (yet) is left out."""
    return [record for record, _ in _records(Path(path))]


def _records(path: Path):
    """(record, where its line ends in the file), up to the first line that is not one."""
    end = 0
    with open(path, "rb") as file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:  # half a line, or half a character: the writer was killed here
                return
            if not line.endswith(b"\n") or not isinstance(record, dict) or "step" not in record:
                return
            end += len(line)
            yield record, end


def _cut_back(path: Path, done: int) -> list[dict]:
    """Shorten the file to the steps up to `done`, return their records."""
    history, end = [], 0
    if path.exists():
        for record, line_end in _records(path):
            if record["step"] > done:
                break
            history.append(record)
            end = line_end
        os.truncate(path, end)
    last = history[-1]["step"] if history else 0
    if last != done:
        warnings.warn(f"{path} lacks the steps {last + 1} to {done}", stacklevel=2)
    return history


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

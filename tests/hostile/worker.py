"""Opens mutated files, in a process of its own: python -m hostile.worker KIND FIRST STOP FOLDER

Writes a line of JSON for each case to standard output, and before it the case's number, so that
whoever reads it knows which case brought the process down.  Each case may take 2 s of processor
time (and not of the clock: the machine may be busy), may not wait for anything, and gets the memory
that the process had before, plus the size of its files, plus 200 MB: the operating system refuses
more.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from random import Random

from hostile.mutate import Content, mutate
from hostile.readers import open_it
from hostile.seeds import make_seeds

SECONDS = 2.0
MEGABYTES = 200
_PAGE = resource.getpagesize()


class Hang(BaseException):
    """Took longer than allowed."""


def _out_of_time(signum, frame):
    raise Hang


class _Waiting:
    """Raises Hang when the process has waited for something for three seconds, doing nothing.

    Each second it looks whether the processor worked for it.  (A process that somebody stopped is
    not waiting: it gets no signals either.)
    """

    def __init__(self):
        self.used, self.idle = 0.0, 0

    def __call__(self, signum, frame):
        used = time.process_time()
        self.idle = self.idle + 1 if used - self.used < 0.01 else 0
        self.used = used
        if self.idle == 3:
            raise Hang

    def start(self) -> None:
        self.used, self.idle = time.process_time(), 0
        signal.setitimer(signal.ITIMER_REAL, 1, 1)


WAITING = _Waiting()


def write_case(folder: Path, files: dict[str, Content]) -> int:
    """Make the files; -> the bytes that they have (a file of zeros counts, as it is read)."""
    total = 0
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
            total += len(content)
        elif content[0] == "link":
            path.symlink_to(content[1])
        elif content[0] == "pipe":
            os.mkfifo(path)
        elif content[0] == "folder":
            path.mkdir()
        elif content[0] == "zeros":
            with open(path, "wb") as file, contextlib.suppress(OSError):
                file.truncate(content[1])
            total += min(content[1], 100 << 20)
    return total


def judge(reader: str, folder: Path) -> tuple[str, str]:
    """("opened" | "refused" | "failed", what happened)."""
    try:
        use = open_it(reader, folder)
    except (ValueError, OSError) as error:
        message = str(error)
        if str(folder) not in message and Path(folder).name not in message:
            return "failed", f"the message names no file: {type(error).__name__}: {message[:300]}"
        if len(message) > 5000:
            return "failed", f"a message of {len(message)} characters: {message[:300]}"
        return "refused", f"{type(error).__name__}: {message[:200]}"
    except MemoryError as error:
        return "failed", f"more than {MEGABYTES} MB: {error}"
    except Hang:
        return "failed", f"more than {SECONDS} s, opening"
    except BaseException as error:
        return "failed", f"{type(error).__name__}: {str(error)[:300]} in {_place(error)}"
    try:
        use()
    except ValueError as error:
        return "opened", f"but not of use: {str(error)[:200]}"
    except Hang:
        return "failed", f"more than {SECONDS} s, in use"
    except BaseException as error:
        return "failed", f"in use: {type(error).__name__}: {str(error)[:300]} in {_place(error)}"
    return "opened", ""


def _place(error: BaseException) -> str:
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if "minillm" in code.co_filename:
            place = f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}"
        trace = trace.tb_next
    return place


def run_case(kind: str, number: int, seeds, scratch: Path) -> dict:
    """Make the case of this number, open it, and say what happened and what it took."""
    rng = Random(f"{kind} {number}")
    seed = rng.choice(seeds)
    files = mutate(seed, rng)
    folder = scratch / "case"
    folder.mkdir()
    size = write_case(folder, files)
    before, peak_before = _memory()[0], _reset_peak()
    limit = before + size + (MEGABYTES << 20)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    begin = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    WAITING.start()
    try:
        outcome, what = judge(seed.reader, folder)
    except Hang:
        outcome, what = "failed", f"more than {SECONDS} s"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    seconds = time.process_time() - begin
    megabytes = max(0, _peak() - peak_before - size) / (1 << 20)
    shutil.rmtree(folder)
    return {
        **{"number": number, "seed": seed.name, "outcome": outcome, "what": what},
        **{"seconds": round(seconds, 4), "megabytes": round(megabytes, 1), "bytes": size},
    }


def _memory() -> tuple[int, int]:
    """(address space, resident) in bytes."""
    pages = Path("/proc/self/statm").read_text().split()
    return int(pages[0]) * _PAGE, int(pages[1]) * _PAGE


def _reset_peak() -> int:
    """Begin a new measurement of the largest resident size; -> the size now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _memory()[1]


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def main(kind: str, first: int, stop: int, folder: str) -> None:
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, _out_of_time)
    signal.signal(signal.SIGALRM, WAITING)
    seeds = make_seeds(kind)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for number in range(first, stop):
            print(number, flush=True)
            print(json.dumps(run_case(kind, number, seeds, Path(scratch))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])

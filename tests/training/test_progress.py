"""What a run tells: metrics.jsonl survives kills, the bar is a bar only on a terminal."""

import errno
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
import toy_run
from faulty_disk import FaultyDisk
from hypothesis import given
from hypothesis import strategies as st
from toy_run import make_trainer

from minillm.training.progress import Metrics, read_metrics


def records(n: int) -> list[dict]:
    return [{"step": i + 1, "loss": 1 / (i + 1), "name": "é"} for i in range(n)]


def write(path, n: int) -> bytes:
    data = b"".join(json.dumps(r, ensure_ascii=False).encode() + b"\n" for r in records(n))
    path.write_bytes(data)
    return data


@given(cut=st.integers(0, 200), done=st.integers(0, 5))
def test_cut_anywhere_it_keeps_the_whole_lines_up_to_the_step(tmp_path_factory, cut, done):
    path = tmp_path_factory.mktemp("cut") / "metrics.jsonl"
    data = write(path, 5)
    path.write_bytes(data[:cut])
    whole = data[:cut].count(b"\n")
    assert read_metrics(path) == records(whole)
    if whole >= done:
        with Metrics(path.parent, done) as metrics:
            assert metrics.history == records(done)
            metrics.append({"step": done + 1})
        assert read_metrics(path) == [*records(done), {"step": done + 1}]


def test_missing_steps_are_told(tmp_path):
    write(tmp_path / "metrics.jsonl", 3)
    with pytest.warns(UserWarning, match="lacks the steps 4 to 7"), Metrics(tmp_path, 7) as metrics:
        metrics.append({"step": 8})
    assert [r["step"] for r in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2, 3, 8]


def test_a_new_run_begins_a_new_file(tmp_path):
    write(tmp_path / "metrics.jsonl", 3)
    with Metrics(tmp_path) as metrics:
        assert metrics.history == []
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def damage_line(path, number: int, line: bytes) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = line
    path.write_bytes(b"".join(lines))


def test_a_damaged_line_in_the_middle_costs_that_line_alone(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, 5)
    damage_line(path, 2, b'{"step": 2, "loss"; 0.5}\n')
    with pytest.warns(UserWarning, match="line 2 is damaged"):
        assert [r["step"] for r in read_metrics(path)] == [1, 3, 4, 5]
    with pytest.warns(UserWarning, match="lacks the step 2: it is damaged"):
        with Metrics(tmp_path, 4) as metrics:
            assert [r["step"] for r in metrics.history] == [1, 3, 4]
            metrics.append({"step": 5})
    assert [r["step"] for r in read_metrics(path)] == [1, 3, 4, 5]  # no warning any more


def test_several_lost_lines_are_counted(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, 9)
    for number in (2, 7):
        damage_line(path, number, b"\n")
    with pytest.warns(UserWarning, match="lacks 2 of the steps 2 to 7"), Metrics(tmp_path, 9):
        pass


def test_a_number_that_changed_is_told_by_the_digest(tmp_path):
    with Metrics(tmp_path) as metrics:
        for record in records(3):
            metrics.append(record | {"seconds": 1.5})
        seal = metrics.seal
    with Metrics(tmp_path, 3, seal) as metrics:  # no warning
        assert metrics.seal == seal
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"loss": 0.5', b'"loss": 0.7'))
    with pytest.warns(UserWarning, match="isn't what was written up to step 3"):
        Metrics(tmp_path, 3, seal).__exit__()


def test_two_runs_that_compute_the_same_have_the_same_seal(tmp_path):
    seals = set()
    for seconds in (1.0, 2.0):
        with Metrics(tmp_path) as metrics:
            metrics.append({"step": 1, "loss": 0.5, "seconds": seconds})
            seals.add(metrics.seal)
    assert len(seals) == 1


@pytest.mark.parametrize("n", [1, 2])
def test_a_full_disk_keeps_the_lines_before(tmp_path, n):
    with FaultyDisk(n) as disk, Metrics(tmp_path) as metrics:  # call 0 opens the file
        with pytest.raises(OSError, match="metrics.jsonl can't be written .No space") as caught:
            for record in records(3):
                metrics.append(record)
        assert caught.value.errno == errno.ENOSPC
    assert disk.failed == 1
    data = (tmp_path / "metrics.jsonl").read_bytes()
    assert data == b"" or data.endswith(b"\n")
    assert read_metrics(tmp_path / "metrics.jsonl") == records(n - 1)


def test_every_line_can_be_read_at_once(tmp_path):
    with Metrics(tmp_path) as metrics:
        for record in records(3):
            metrics.append(record)
            assert read_metrics(tmp_path / "metrics.jsonl")[-1] == record


def test_ten_plain_lines_where_there_is_no_terminal(device, capfd):
    make_trainer(device=device, steps=30, progress=True).run()
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("step 3/30  loss ")
    for part in ("lr ", "tokens/s", " left"):
        assert part in lines[4]


def test_silence_on_request(device, capfd):
    make_trainer(device=device, progress=False).run()
    assert capfd.readouterr() == ("", "")


def test_a_bar_on_a_terminal():
    ours, theirs = pty.openpty()
    rows_columns = struct.pack("HHHH", 24, 120, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, rows_columns)
    program = "from toy_run import make_trainer; make_trainer(progress=True).run()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=toy_run.environment(), stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
    os.close(ours)
    assert process.returncode == 0
    last = shown.decode().strip().split("\r")[-1]
    for part in ("100%", "12/12", "loss ", "lr ", "tokens/s"):
        assert part in last

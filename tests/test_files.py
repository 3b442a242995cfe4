"""Atomic writing: whatever happens, and whenever somebody looks, it is all of one version."""

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from faulty_disk import FaultyDisk

import minillm
from minillm import disk, files
from minillm.files import (
    TEMPORARY_PREFIX,
    atomic_directory,
    atomic_file,
    atomic_files,
    atomic_write,
    complete_files,
    recover_directory,
    remove_leftovers,
)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


# --------------------------------------------------------------------------------- one file


@pytest.mark.parametrize("data, expected", [("é\n", "é\n".encode()), (b"\x00\xff", b"\x00\xff")])
def test_text_is_written_as_utf8_and_bytes_as_they_are(tmp_path, data, expected):
    for _ in range(2):  # anew and over an older one
        atomic_write(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == expected
    assert names(tmp_path) == ["file"]


def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    atomic_write(str(tmp_path / "atomic"), "x")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_private_file_stays_private(tmp_path):
    atomic_write(tmp_path / "key", "old")
    (tmp_path / "key").chmod(0o600)
    atomic_write(tmp_path / "key", "new")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_piece_by_piece(tmp_path):
    atomic_write(tmp_path / "file", "old")
    with atomic_file(tmp_path / "file") as file:
        for _ in range(3):
            file.write(b"new " * 10_000)
            assert (tmp_path / "file").read_bytes() == b"old"
    assert (tmp_path / "file").read_bytes() == b"new " * 30_000
    with pytest.raises(KeyboardInterrupt), atomic_file(tmp_path / "file") as file:
        file.write(b"half of it")
        raise KeyboardInterrupt
    assert (tmp_path / "file").read_bytes() == b"new " * 30_000 and names(tmp_path) == ["file"]


def test_what_is_no_file_is_written_to_not_replaced(tmp_path):
    """/dev/stdout, a pipe: a rename would put a file in its place."""
    os.mkfifo(tmp_path / "pipe")
    handle = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    atomic_write(tmp_path / "pipe", "hello")
    assert os.read(handle, 100) == b"hello"
    os.close(handle)
    assert (tmp_path / "pipe").is_fifo()


def test_errors_name_the_path_and_the_reason(tmp_path):
    with FaultyDisk(fail_at=1), pytest.raises(OSError) as caught:
        atomic_write(tmp_path / "file", "new")
    assert caught.value.errno == errno.ENOSPC
    assert f"{tmp_path / 'file'} can't be written (No space left on device)" in str(caught.value)


def test_an_error_that_is_not_about_the_file_stays_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_directory(tmp_path / "new"):
        open(tmp_path / "source")
    assert "can't be written" not in str(caught.value)
    assert names(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*missing"):
        atomic_write(tmp_path / "missing" / "file", "x")


def test_a_folder_in_the_way_is_left_alone(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").touch()
    with pytest.raises(OSError):
        atomic_write(tmp_path / "folder", "x")
    assert names(tmp_path) == ["folder"] and names(tmp_path / "folder") == ["inside"]


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path):
    """The system refuses to write more than 1000 bytes, as a full disk would."""
    atomic_write(tmp_path / "file", "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            atomic_write(tmp_path / "file", "new" * 100_000)
        with pytest.raises(OSError, match="too large"):
            write_version(tmp_path / "folder", "new" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "file").read_text() == "old" and names(tmp_path) == ["file"]


def test_a_reader_never_sees_a_part(tmp_path):
    versions = [letter * 200_000 for letter in "ab"]
    atomic_write(tmp_path / "file", versions[0])
    stop, seen = threading.Event(), set()

    def read():
        while not stop.is_set():
            seen.add((tmp_path / "file").read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(40):
        atomic_write(tmp_path / "file", versions[i % 2])
    stop.set()
    reader.join(30)
    assert seen <= set(versions)


# ------------------------------------------------------------------------------- one folder


def write_version(path, version):
    with atomic_directory(path) as folder:
        (folder / "a").write_text(version)
        (folder / "inner").mkdir()
        (folder / "inner" / "b").write_text(version)


def read_version(path):
    versions = {(path / "a").read_text(), (path / "inner" / "b").read_text()}
    assert len(versions) == 1, f"mixed: {versions}"
    return versions.pop()


def test_a_folder_appears_when_its_block_ends(tmp_path):
    path = tmp_path / "new" / "folder"
    with atomic_directory(path) as folder:
        (folder / "a").write_text("1")
        assert not path.exists() and folder.parent == path.parent
    assert (path / "a").read_text() == "1" and names(path.parent) == ["folder"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    write_version(tmp_path / "f", "1")
    (tmp_path / "f" / "extra").touch()
    write_version(tmp_path / "f", "2")
    assert read_version(tmp_path / "f") == "2"
    assert names(tmp_path / "f") == ["a", "inner"] and names(tmp_path) == ["f"]


def test_a_folder_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").mkdir()
    write_version(tmp_path / "f", "1")
    assert (tmp_path / "f").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_an_error_inside_the_block_leaves_everything_as_it_was(tmp_path):
    write_version(tmp_path / "f", "1")
    with pytest.raises(KeyboardInterrupt), atomic_directory(tmp_path / "f") as folder:
        (folder / "a").write_text("2")
        raise KeyboardInterrupt
    assert read_version(tmp_path / "f") == "1" and names(tmp_path) == ["f"]


def test_an_error_in_the_second_rename_puts_the_old_folder_back(tmp_path, monkeypatch):
    write_version(tmp_path / "f", "1")
    rename, calls = os.rename, []

    def second_fails(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(files.os, "rename", second_fails)
    with pytest.raises(OSError, match="Input/output"):
        write_version(tmp_path / "f", "2")
    assert read_version(tmp_path / "f") == "1" and names(tmp_path) == ["f"]


def test_a_file_in_the_way_is_left_alone(tmp_path):
    (tmp_path / "f").write_text("precious")
    with pytest.raises(NotADirectoryError, match="a file of that name"):
        write_version(tmp_path / "f", "1")
    assert (tmp_path / "f").read_text() == "precious" and names(tmp_path) == ["f"]


def test_recovery_from_a_kill_between_the_two_renames(tmp_path):
    write_version(tmp_path / "f", "1")
    os.rename(tmp_path / "f", tmp_path / f"{TEMPORARY_PREFIX}old-f")  # ... and killed here
    recover_directory(tmp_path / "f")
    assert read_version(tmp_path / "f") == "1" and names(tmp_path) == ["f"]
    recover_directory(tmp_path / "f")  # nothing to do
    recover_directory(tmp_path / "never written")
    assert names(tmp_path) == ["f"]


def test_leftovers_are_removed_and_an_old_folder_is_put_back(tmp_path):
    write_version(tmp_path / "kept", "1")
    write_version(tmp_path / "lost", "1")
    os.rename(tmp_path / "lost", tmp_path / f"{TEMPORARY_PREFIX}old-lost")
    write_version(tmp_path / f"{TEMPORARY_PREFIX}old-kept", "0")  # killed before its removal
    (tmp_path / f"{TEMPORARY_PREFIX}half").mkdir()
    (tmp_path / f"{TEMPORARY_PREFIX}half" / "a").touch()
    (tmp_path / f"{TEMPORARY_PREFIX}file").touch()
    (tmp_path / "other").touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["kept", "lost", "other"]
    assert read_version(tmp_path / "kept") == read_version(tmp_path / "lost") == "1"


def test_what_is_being_written_is_no_leftover(tmp_path):
    """Neither for this process nor for another one."""
    program = "import sys, minillm.files as files; files.remove_leftovers(sys.argv[1])"
    with atomic_directory(tmp_path / "folder") as folder, atomic_file(tmp_path / "file") as file:
        file.write(b"1")
        (folder / "a").touch()
        remove_leftovers(tmp_path)
        subprocess.run([sys.executable, "-c", program, tmp_path], env=environment(), check=True)
        assert len(names(tmp_path)) == 2
    assert names(tmp_path) == ["file", "folder"] and names(tmp_path / "folder") == ["a"]


def test_the_next_write_removes_what_a_kill_left(tmp_path):
    for write in (
        lambda: atomic_write(tmp_path / "file", "x"),
        lambda: write_version(tmp_path / "f", "1"),
    ):
        (tmp_path / f"{TEMPORARY_PREFIX}half").mkdir()
        (tmp_path / f"{TEMPORARY_PREFIX}file").touch()
        write()
        assert not [name for name in names(tmp_path) if name.startswith(".")]


def test_where_there_are_no_locks_only_what_is_old_is_removed(tmp_path, monkeypatch):
    def refuse(handle, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(disk.fcntl, "flock", refuse)
    for name in ("old", "new"):
        (tmp_path / f"{TEMPORARY_PREFIX}{name}").touch()
    os.utime(tmp_path / f"{TEMPORARY_PREFIX}old", (1, time.time() - 4000))
    atomic_write(tmp_path / "file", "x")
    assert names(tmp_path) == [f"{TEMPORARY_PREFIX}new", "file"]


# ---------------------------------------------------------------------- some files of a folder


def write_files(folder, version):
    with atomic_files(folder) as new:
        for name in "abc":
            (new / name).write_text(version)


def read_files(folder):
    versions = {(folder / name).read_text() for name in "abc"}
    assert len(versions) == 1, f"mixed: {versions}"
    return versions.pop()


def test_files_are_replaced_together_and_others_stay(tmp_path):
    write_files(tmp_path / "f", "1")  # a new folder
    (tmp_path / "f" / "other").write_text("precious")
    write_files(tmp_path / "f", "2")
    assert read_files(tmp_path / "f") == "2"
    assert names(tmp_path) == ["f"] and names(tmp_path / "f") == ["a", "b", "c", "other"]
    with pytest.raises(KeyboardInterrupt), atomic_files(tmp_path / "f") as new:
        (new / "a").write_text("3")
        raise KeyboardInterrupt
    assert read_files(tmp_path / "f") == "2" and names(tmp_path / "f") == ["a", "b", "c", "other"]


@pytest.mark.parametrize("moved", [0, 1, 2, 3])
def test_a_kill_after_the_decision_is_made_good(tmp_path, moved):
    write_files(tmp_path, "1")
    ready = tmp_path / f"{TEMPORARY_PREFIX}ready"
    ready.mkdir()
    for number, name in enumerate("abc"):
        ((tmp_path if number < moved else ready) / name).write_text("2")
    complete_files(tmp_path)
    assert read_files(tmp_path) == "2" and names(tmp_path) == ["a", "b", "c"]


def test_a_folder_where_a_file_has_to_go_is_found_before_anything_is_moved(tmp_path):
    write_files(tmp_path, "1")
    (tmp_path / "d").mkdir()
    with pytest.raises(IsADirectoryError, match="it is a folder"), atomic_files(tmp_path) as new:
        for name in "ad":
            (new / name).write_text("2")
    assert read_files(tmp_path) == "1" and names(tmp_path) == ["a", "b", "c", "d"]


def environment():
    return {**os.environ, "PYTHONPATH": str(Path(minillm.__file__).parent.parent)}


WRITER = """
import sys
from pathlib import Path
from minillm.files import atomic_directory, atomic_files, atomic_write

root = Path(sys.argv[1])
for version in range(10**9):
    atomic_write(root / "file", f"{version}\\n" * 3000)
    with atomic_directory(root / "f") as folder:
        (folder / "a").write_text(str(version))
        (folder / "inner").mkdir()
        (folder / "inner" / "b").write_text(str(version))
    with atomic_files(root / "g") as new:
        for name in "abc":
            (new / name).write_text(str(version))
    print(version, flush=True)
"""


def test_killed_at_random_moments_one_whole_version_stands(tmp_path):
    """SIGKILL, as by an impatient scheduler: nothing gets the chance to clean up."""
    generator = random.Random(0)
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            env=environment(),
            stdout=subprocess.PIPE,
        )
        process.stdout.readline()  # the first version stands
        time.sleep(generator.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        printed = process.communicate(timeout=30)[0].split()
        remove_leftovers(tmp_path)
        remove_leftovers(tmp_path / "g")
        assert names(tmp_path) == ["f", "file", "g"] and names(tmp_path / "g") == ["a", "b", "c"]
        assert 0 <= int(read_version(tmp_path / "f")) - int(read_files(tmp_path / "g")) <= 1
        lines = set((tmp_path / "file").read_text().splitlines())
        assert len(lines) == 1 and (tmp_path / "file").read_text().count("\n") == 3000
        version = int(read_version(tmp_path / "f"))
        assert int(lines.pop()) - version in (0, 1)
        if printed:  # what was reported as written is there
            assert int(read_files(tmp_path / "g")) >= int(printed[-1])

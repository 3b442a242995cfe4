"""Atomic writing: whatever happens, and whenever somebody looks, it is all of one version."""

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

import minillm
from minillm import files
from minillm.files import (
    TEMPORARY_PREFIX,
    atomic_directory,
    atomic_write,
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


WRITER = """
import sys
from pathlib import Path
from minillm.files import atomic_directory, atomic_write

root = Path(sys.argv[1])
for version in range(10**9):
    atomic_write(root / "file", f"{version}\\n" * 3000)
    with atomic_directory(root / "f") as folder:
        (folder / "a").write_text(str(version))
        (folder / "inner").mkdir()
        (folder / "inner" / "b").write_text(str(version))
    print(version, flush=True)
"""


def test_killed_at_random_moments_one_whole_version_stands(tmp_path):
    """SIGKILL, as by an impatient scheduler: nothing gets the chance to clean up."""
    environment = {**os.environ, "PYTHONPATH": str(Path(minillm.__file__).parent.parent)}
    generator = random.Random(0)
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            env=environment,
            stdout=subprocess.PIPE,
        )
        process.stdout.readline()  # the first version stands
        time.sleep(generator.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        printed = process.communicate(timeout=30)[0].split()
        remove_leftovers(tmp_path)
        assert names(tmp_path) == ["f", "file"]
        lines = set((tmp_path / "file").read_text().splitlines())
        assert len(lines) == 1 and (tmp_path / "file").read_text().count("\n") == 3000
        version = int(read_version(tmp_path / "f"))
        assert int(lines.pop()) - version in (0, 1)
        if printed:
            assert version >= int(printed[-1])  # what was reported as written is there

"""Whether a file has changed is noticed without reading it whole."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data import fingerprints
from minillm.data.fingerprints import SavedFile, file_digest, file_state, sample_digest


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(os.urandom(3_000_000))
    return path


def rewrite(path, place: int) -> None:
    """Change one byte in place, and give the file its old dates again."""
    state = path.stat()
    with open(path, "r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_mtime_ns == state.st_mtime_ns and path.stat().st_size == state.st_size


def test_a_file_that_rests_has_the_same_state(path):
    assert file_state(path) == file_state(path)
    assert file_state(path, samples=False) == file_state(path, samples=False)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere ctime is the time of creation")
@pytest.mark.parametrize("samples", [True, False])
def test_an_edit_between_the_samples_under_the_old_date_is_noticed(path, samples):
    before, sampled = file_state(path, samples), sample_digest(path, 16)
    time.sleep(0.02)  # longer than a tick of the file system's clock
    rewrite(path, 100_000)
    assert sample_digest(path, 16) == sampled
    assert file_state(path, samples) != before


def test_another_text_of_the_same_length_is_noticed_by_the_samples(path):
    before = sample_digest(path, 16)
    path.write_bytes(os.urandom(3_000_000))
    assert sample_digest(path, 16) != before


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_of_a_short_file_every_byte_is_a_sample(tmp_path_factory, one, other):
    path = tmp_path_factory.mktemp("short") / "file"
    digests = []
    for content in (one, other):
        path.write_bytes(content)
        digests.append((sample_digest(path), file_digest(path)))
    assert (digests[0][0] == digests[1][0]) == (one == other)
    assert (digests[0][1] == digests[1][1]) == (one == other)


def test_the_first_and_the_last_byte_are_sampled(path):
    before = sample_digest(path)
    for place in (0, 2_999_999):
        rewrite(path, place)
        assert sample_digest(path) != before
        rewrite(path, place)  # back
    assert sample_digest(path) == before


def test_a_long_saved_file_is_read_whole_only_if_its_date_is_another(path, monkeypatch):
    saved = SavedFile.of(path, file_digest(path))
    read = []
    monkeypatch.setattr(
        fingerprints, "file_digest", lambda path: read.append(path) or file_digest(path)
    )
    saved.check(path)
    assert len(read) == 1  # it is short
    monkeypatch.setattr(fingerprints, "SHORT", 1000)
    saved.check(path)
    assert len(read) == 1
    saved.check(path, every_byte=True)
    assert len(read) == 2
    os.utime(path)
    saved.check(path)
    assert len(read) == 3
    with open(path, "ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match=r"text\.txt' isn't what was written"):
        saved.check(path)

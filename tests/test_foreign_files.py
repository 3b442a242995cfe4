"""Which files are opened at all: ordinary ones, of their kind's size, in their folder."""

import os

import pytest

from minillm.foreign_files import folder_file, read_bytes, refuse_escape


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "C:x", "a\0b"]
)
def test_a_name_from_a_file_can_be_no_path(folder, name):
    with pytest.raises(ValueError, match="no name of a file"):
        folder_file(folder, name)


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "/dev/zero"])
def test_a_link_leads_nowhere_else(folder, target):
    (folder / "model.safetensors").symlink_to(target)
    with pytest.raises((ValueError, FileNotFoundError), match="model.safetensors is"):
        folder_file(folder, "model.safetensors")
    with pytest.raises(ValueError, match="leads out of"):
        refuse_escape(folder / "model.safetensors", folder)


def test_a_link_within_the_folder_and_hugging_faces_cache_are_opened(folder, tmp_path):
    (folder / "link.json").symlink_to("config.json")
    assert folder_file(folder, "link.json").read_text() == "{}"
    refuse_escape(folder / "link.json", folder)
    snapshot, blobs = tmp_path / "snapshots" / "1a2b", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "c0ffee").write_text("[]")
    (snapshot / "config.json").symlink_to("../../blobs/c0ffee")
    assert folder_file(snapshot, "config.json").read_text() == "[]"
    (snapshot / "other.json").symlink_to("../../secret")
    with pytest.raises(ValueError, match="leads out of its folder"):
        folder_file(snapshot, "other.json")


def test_what_is_no_file_is_missing_or_named(folder):
    os.mkfifo(folder / "pipe")
    (folder / "sub").mkdir()
    for name in ("pipe", "sub", "nothing"):
        with pytest.raises(FileNotFoundError, match=f"{name} is missing"):
            folder_file(folder, name)
    with pytest.raises(ValueError, match="pipe is not an ordinary file"):
        read_bytes(folder / "pipe", 10)
    with pytest.raises(IsADirectoryError, match="sub is a folder"):
        read_bytes(folder / "sub", 10)
    with pytest.raises(ValueError, match="config.json has 2 bytes; .* at most 1"):
        read_bytes(folder / "config.json", 1)

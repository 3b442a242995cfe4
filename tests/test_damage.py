"""A bit that flips, and a file that is cut off: told, refused, or of no consequence; never a thing
that is quietly another one.
"""

import random
import shutil
import warnings

import pytest
from saved_things import (
    BytePairs,
    Cache,
    Characters,
    Network,
    NGrams,
    Pretrained,
    Vectors,
    WordPiece,
)

# The formats of word vectors and GPT-2's files have no place for a digest.
SEALED = [WordPiece, BytePairs, Characters, Pretrained, NGrams, Network, Cache]


def files(path) -> list:
    return [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())


def content(path) -> dict:
    return {file.relative_to(path): file.read_bytes() for file in files(path)}


def same(kind, thing, original, again) -> bool:
    """Whether a thing that was opened is what was saved: it is saved again as the same bytes."""
    if isinstance(kind, Cache):
        return thing == 1
    kind.save(thing, again)
    return content(again) == content(original)


def flip_a_bit(data: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :]


def cut_off(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data))]


@pytest.mark.parametrize("damage", [flip_a_bit, cut_off])
@pytest.mark.parametrize("kind", SEALED)
def test_damage_is_told_or_refused_or_of_no_consequence(tmp_path, kind, damage):
    kind, draw = kind(), random.Random(1)
    original, damaged = tmp_path / "original", tmp_path / "damaged"
    kind.save(kind.make(1), original)
    noticed = 0
    for file in files(original):
        for _ in range(12):
            for path in (damaged, tmp_path / "again"):
                shutil.rmtree(path, ignore_errors=True)
                path.unlink(missing_ok=True)
            (shutil.copytree if original.is_dir() else shutil.copy)(original, damaged)
            broken = damaged / file.relative_to(original)
            broken.write_bytes(damage(file.read_bytes(), draw))
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                try:
                    thing = kind.open(damaged)
                except (ValueError, FileNotFoundError) as error:
                    assert str(damaged) in str(error)
                    noticed += 1
                    continue
            noticed += bool(told)
            assert told or same(kind, thing, original, tmp_path / "again"), broken.name
    assert noticed > 6 * len(files(original))


def test_word_vectors_that_are_cut_off_are_refused(tmp_path):
    kind, draw = Vectors(), random.Random(1)
    kind.save(kind.make(1), tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    for _ in range(20):
        (tmp_path / "cut").write_bytes(cut_off(whole[:-1], draw))
        with pytest.raises(ValueError, match="cut"):
            kind.open(tmp_path / "cut")

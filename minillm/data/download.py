"""Well-known labelled sets, fetched from where their authors put them.

    python -m minillm.data.download imdb --to data

    path = download("imdb", "data")              # data/aclImdb/train
    data = open_labelled(path)

A download can break off, and what comes may not be what was published.  So the bytes go into a
file that ends in `.part`, and the next try goes on where it ends (an HTTP range); only when the
checksum is right does the file get its name.  It is unpacked in a temporary folder that appears by
one rename.  Whatever has its final name is whole.
"""

import argparse
import contextlib
import hashlib
import http.client
import os
import shutil
import ssl
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from minillm.files import TEMPORARY_PREFIX

_BLOCK = 1 << 18
_TIMEOUT = 60  # seconds without a byte
_NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)


@dataclass(frozen=True)
class RemoteSet:
    """Where a set is, and how to know that it is the right one."""

    url: str  # of a .tar.gz or .zip archive
    digest: str  # "sha256:..." or "md5:..."
    unpacks_to: str  # the folder at the top of the archive
    training: str  # what `open_labelled` opens, within that folder
    description: str
    size: int | None = None  # bytes
    text_field: str = "text"  # the column's name, if it is a table

    @property
    def file_name(self) -> str:
        return self.url.rpartition("/")[2]


# Sizes and checksums as TensorFlow Datasets and Hugging Face (SHA-256), torchtext and PaddleNLP
# (MD5) publish them.
SETS = {
    "imdb": RemoteSet(
        url="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
        size=84_125_825,
        digest="sha256:c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
        unpacks_to="aclImdb",
        training="train",
        description="film reviews, 25,000 to train and 25,000 to test (Maas et al. 2011)",
    ),
    "sst2": RemoteSet(
        url="https://dl.fbaipublicfiles.com/glue/data/SST-2.zip",
        size=7_439_277,
        digest="sha256:d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa",
        unpacks_to="SST-2",
        training="train.tsv",
        text_field="sentence",
        description="67,349 phrases from film reviews (Socher et al. 2013, as in GLUE); they are "
        "the sentences of Rotten Tomatoes: never both in one experiment",
    ),
    "chnsenticorp": RemoteSet(
        url="https://bj.bcebos.com/paddlehub-dataset/chnsenticorp.tar.gz",
        digest="md5:fbb3217aeac76a2840d2d5cd19688b07",
        unpacks_to="chnsenticorp",
        training="train.tsv",
        text_field="text_a",
        description="Chinese reviews of hotels, books and laptops, 9,600 to train (Tan Songbo)",
    ),
}


def download(
    name: str,
    folder: str | os.PathLike = "data",
    registry: Mapping[str, RemoteSet] = SETS,
    progress: bool = True,
) -> Path:
    """Fetch and unpack a set into `folder`; return the path of its training part.

    name: "imdb", "sst2" or "chnsenticorp"; `SETS[name].text_field` is what `open_labelled` wants.
    What is there already isn't fetched again.  The archive may also be put into `folder` by hand:
    it is checked and unpacked.  The archive isn't needed afterwards.

    Raises ValueError for an unknown name, a wrong checksum, or an archive that is damaged or would
    write outside its folder; ConnectionError, saying what to fetch elsewhere and where to put it,
    if the server can't be reached or breaks off for good (the next call goes on from there).
    """
    if name not in registry:
        raise ValueError(f"name={name!r}: there are {', '.join(map(repr, registry))}")
    remote, folder = registry[name], Path(folder)
    target = folder / remote.unpacks_to
    if not target.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        archive = folder / remote.file_name
        if archive.exists():
            _check(archive, remote, "remove it, or put the right one there")
        else:
            _fetch(remote, archive, progress)
        if progress:
            print(f"unpacking {archive}", file=sys.stderr)
        _unpack(archive, target)
    path = target / remote.training
    if not path.exists():
        raise FileNotFoundError(
            f"{str(path)!r} is missing: remove {str(target)!r}, so that it is unpacked again"
        )
    return path


def _fetch(remote: RemoteSet, archive: Path, progress: bool) -> None:
    """Download into archive.part, going on where it ends; rename it when the checksum is right."""
    part = archive.with_name(archive.name + ".part")
    bar = tqdm(
        total=remote.size,
        desc=archive.name,
        unit="B",
        unit_scale=True,
        disable=not progress,
    )
    with bar:
        complete = False
        while not complete:
            before = part.stat().st_size if part.exists() else 0
            error: Exception | None = None
            try:
                complete = _fetch_rest(remote, part, bar)
            except _NETWORK_ERRORS as problem:  # those of the disk are raised as they are
                error = problem
            # A connection that broke off is tried again for as long as that brings anything.
            if not complete and (part.stat().st_size if part.exists() else 0) <= before:
                raise ConnectionError(_by_hand(remote, archive, error)) from error
    try:
        _check(part, remote, "it has been removed; try again, or get it from elsewhere")
    except ValueError:
        part.unlink()
        raise
    os.replace(part, archive)


def _fetch_rest(remote: RemoteSet, part: Path, bar: tqdm) -> bool:
    """Ask for the bytes from the end of `part` on; True if it is complete then."""
    have = part.stat().st_size if part.exists() else 0
    if remote.size is not None and have >= remote.size:
        return True  # if there is too much, the checksum says so
    request = urllib.request.Request(remote.url, headers={"User-Agent": "minillm"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return True  # nothing behind what is there
        raise
    with response, open(part, "ab") as file:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:  # the server sends it all again
            file.truncate(0)
            have = 0
        rest = response.headers.get("Content-Length")
        total = None if rest is None else have + int(rest)
        bar.total = remote.size or total
        bar.n = have
        bar.refresh()
        while block := response.read(_BLOCK):
            file.write(block)
            have += len(block)
            bar.update(len(block))
        file.flush()
        os.fsync(file.fileno())
    return total is None or have >= total


def _by_hand(remote: RemoteSet, archive: Path, error: Exception | None) -> str:
    """What to do where the network doesn't lead to the server: one line."""
    why = getattr(error, "reason", None) or error or "the connection broke off"
    if isinstance(error, urllib.error.HTTPError):
        why = f"{error.code} {error.reason}"
    return (
        f"{archive.name} can't be downloaded ({why}): fetch {remote.url} on another machine and "
        f"put it into the folder {str(archive.parent.resolve())!r}, then try again"
    )


def _check(path: Path, remote: RemoteSet, mend: str) -> None:
    kind, _, expected = remote.digest.partition(":")
    digest = hashlib.new(kind, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != expected:
        raise ValueError(
            f"{str(path)!r} is not what was published: its {kind} is {digest.hexdigest()}, "
            f"{expected} was expected ({remote.url}): {mend}"
        )


def _unpack(archive: Path, target: Path) -> None:
    """Unpack in a temporary folder, and rename its folder `target.name` to `target`."""
    temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=target.parent))
    try:
        try:
            for extract, name in _members(archive, temporary):
                inside = PurePosixPath(name)
                if inside.is_absolute() or ".." in inside.parts or "\\" in name or ":" in name:
                    raise ValueError(f"{str(archive)!r} would write outside its folder: {name!r}")
                extract()
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the disk
            raise ValueError(f"{str(archive)!r} can't be unpacked ({error})") from error
        if not (temporary / target.name).is_dir():
            raise ValueError(f"there is no folder {target.name!r} in {str(archive)!r}")
        if hasattr(os, "sync"):  # once for 100,000 small files, not once for each
            os.sync()
        os.rename(temporary / target.name, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _members(archive: Path, folder: Path) -> Iterator[tuple]:
    """(function that extracts a file or folder into `folder`, its name) of all in the archive."""
    with contextlib.ExitStack() as stack:
        if archive.suffix == ".zip":
            zipped = stack.enter_context(zipfile.ZipFile(archive))
            for name in zipped.namelist():
                yield lambda name=name: zipped.extract(name, folder), name
        else:
            packed = stack.enter_context(tarfile.open(archive))
            # No odd permissions or owners; Python before 3.10.12 and 3.11.4 hasn't got the filter.
            packed.extraction_filter = getattr(tarfile, "data_filter", None)
            for member in packed:
                if not (member.isfile() or member.isdir()):
                    raise ValueError(f"{str(archive)!r} holds more than files: {member.name!r}")
                yield lambda member=member: packed.extract(member, folder), member.name


def main(arguments: list[str] | None = None) -> None:
    """`python -m minillm.data.download NAME --to FOLDER`"""
    parser = argparse.ArgumentParser(
        prog="python -m minillm.data.download",
        description="Download a labelled set, check it, and unpack it.",
        epilog=" ".join(f"{name}: {remote.description}." for name, remote in SETS.items()),
    )
    parser.add_argument("name", choices=SETS, help="which set")
    parser.add_argument("--to", default="data", help="the folder to put it into (default: data)")
    options = parser.parse_args(arguments)
    try:
        path = download(options.name, options.to)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    field = SETS[options.name].text_field
    print(f"open_labelled({str(path)!r}{'' if field == 'text' else f', text_field={field!r}'})")


if __name__ == "__main__":
    main()

"""A download ends with the whole, right file or with none, however badly a real server behaves."""

import hashlib
import http.server
import io
import subprocess
import sys
import tarfile
import threading
import zipfile

import pytest

from minillm.data import open_labelled
from minillm.data.download import SETS, RemoteSet, download, main

FILES = {
    "reviews/train/pos/0_9.txt": b"bright " * 20_000,
    "reviews/train/neg/0_1.txt": b"dull",
    "reviews/README": b"two reviews",
}


def pack(files=FILES, kind="tar.gz", links=()) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=0) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` under every path; each answer breaks off after the next number in `cuts`."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = pack()
        self.cuts: list[int] = []
        self.ranges = True  # whether it understands the header Range
        self.tells_length = True
        self.status: int | None = None  # an error to answer with
        self.requests: list[str | None] = []  # the header Range of each request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        server, wanted = self.server, self.headers["Range"]
        server.requests.append(wanted)
        if server.status is not None:
            self.send_error(server.status)
            return
        begin = 0
        if wanted is not None and server.ranges:
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if begin >= len(server.content):
                self.send_error(416)
                return
            self.send_response(206)
            end = len(server.content) - 1
            self.send_header("Content-Range", f"bytes {begin}-{end}/{end + 1}")
        else:
            self.send_response(200)
        rest = server.content[begin:]
        if server.tells_length:
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: server.cuts.pop(0)] if server.cuts else rest)

    def log_message(self, *arguments):
        """Nothing: the tests look at `requests`."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def fetch(server, tmp_path):
    """A function that downloads what the server's `content` was when the test began."""

    def fetch_set(content=None, ending="tar.gz", kind="sha256", size=None):
        digest = hashlib.new(kind, server.content if content is None else content).hexdigest()
        remote = RemoteSet(
            url=f"{server.url}/some/reviews_v1.{ending}",
            digest=f"{kind}:{digest}",
            unpacks_to="reviews",
            training="train",
            description="two reviews",
            size=size,
        )
        return download("reviews", tmp_path / "data", {"reviews": remote}, progress=False)

    return fetch_set


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("ending, kind", [("tar.gz", "sha256"), ("zip", "md5")])
def test_a_set_is_fetched_checked_and_unpacked(server, fetch, tmp_path, ending, kind):
    server.content = pack(kind=ending)
    path = fetch(ending=ending, kind=kind, size=len(server.content))
    assert path == tmp_path / "data" / "reviews" / "train"
    assert open_labelled(path).label_names == ["neg", "pos"]
    for name, content in FILES.items():
        assert (tmp_path / "data" / name).read_bytes() == content
    assert names(tmp_path / "data") == {"reviews", f"reviews_v1.{ending}"}
    # What is there is not fetched again, also without the archive.
    (tmp_path / "data" / f"reviews_v1.{ending}").unlink()
    assert fetch(ending=ending, kind=kind) == path
    assert server.requests == [None]


@pytest.mark.parametrize("size_known", [True, False])
def test_a_connection_that_breaks_off_is_taken_up_again(server, fetch, size_known):
    server.cuts = [1000, 2000, 100_000]
    fetch(size=len(server.content) if size_known else None)
    assert server.requests == [None, "bytes=1000-", "bytes=3000-", "bytes=103000-"]


def test_a_later_call_goes_on_where_the_part_ends(server, fetch, tmp_path):
    server.cuts = [5000, 0]
    with pytest.raises(ConnectionError, match="the connection broke off"):
        fetch()
    assert names(tmp_path / "data") == {"reviews_v1.tar.gz.part"}
    assert (tmp_path / "data/reviews_v1.tar.gz.part").read_bytes() == server.content[:5000]
    fetch()
    assert server.requests == [None, "bytes=5000-", "bytes=5000-"]
    assert names(tmp_path / "data") == {"reviews", "reviews_v1.tar.gz"}


@pytest.mark.parametrize("size_known", [True, False])
def test_a_part_that_is_complete_already_is_used(server, fetch, tmp_path, size_known):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/reviews_v1.tar.gz.part").write_bytes(server.content)
    fetch(size=len(server.content) if size_known else None)
    assert names(tmp_path / "data") == {"reviews", "reviews_v1.tar.gz"}


def test_a_server_without_ranges_sends_it_all_again(server, fetch, tmp_path):
    server.ranges = False
    (tmp_path / "data").mkdir()
    (tmp_path / "data/reviews_v1.tar.gz.part").write_bytes(b"x" * 700)
    fetch()
    assert (tmp_path / "data/reviews_v1.tar.gz").read_bytes() == server.content


def test_a_server_that_does_not_tell_the_length_is_no_problem(server, fetch):
    server.tells_length = False
    fetch()


def test_a_wrong_checksum_leaves_nothing_behind(server, fetch, tmp_path):
    message = r"reviews_v1\.tar\.gz\.part' is not what was published: its sha256 is \w+, \w+ was .*"
    with pytest.raises(ValueError, match=message + "it has been removed"):
        fetch(content=b"something else")
    assert names(tmp_path / "data") == set()
    fetch()  # and the next try begins anew
    assert server.requests == [None, None]


@pytest.mark.parametrize("status", [404, 503])
def test_an_answer_that_is_an_error_says_what_to_fetch_and_where_to_put_it(server, fetch, status):
    server.status = status
    message = rf"can't be downloaded \({status} .*\): fetch http://127.*/some/reviews_v1\.tar\.gz "
    with pytest.raises(ConnectionError, match=message + r"on another machine .*data'") as caught:
        fetch()
    assert "\n" not in str(caught.value)
    assert server.requests == [None]


def test_without_a_network_there_is_one_clear_line(fetch, server, tmp_path):
    server.server_close()  # nobody listens any more
    message = r"can't be downloaded.*fetch http:.*reviews_v1\.tar\.gz on another machine and put it"
    with pytest.raises(ConnectionError, match=message):
        fetch()
    assert names(tmp_path / "data") == set()


def test_an_archive_put_there_by_hand_is_checked_and_used(server, fetch, tmp_path):
    (tmp_path / "data").mkdir()
    archive = tmp_path / "data/reviews_v1.tar.gz"
    archive.write_bytes(server.content[:-1])
    with pytest.raises(ValueError, match=r"is not what was published.*put the right one there"):
        fetch()
    assert archive.read_bytes() == server.content[:-1]  # it is the user's: not removed
    archive.write_bytes(server.content)
    assert fetch().is_dir()
    assert server.requests == []


ESCAPES = {
    "upwards": pack(FILES | {"reviews/../../evil.txt": b"x"}),
    "absolute": pack(FILES | {"/tmp/minillm-evil.txt": b"x"}),
    "a link": pack(links=[("reviews/link", "/etc")]),
    "upwards in a zip": pack(FILES | {"../evil.txt": b"x"}, "zip"),
    "another system's path": pack(FILES | {"reviews\\..\\..\\evil.txt": b"x"}),
    "a drive": pack(FILES | {"C:evil.txt": b"x"}),
}


@pytest.mark.parametrize("case", ESCAPES)
def test_an_archive_cannot_write_outside_its_folder(server, fetch, tmp_path, case):
    server.content = ESCAPES[case]
    ending = "zip" if "zip" in case else "tar.gz"
    with pytest.raises(ValueError, match="would write outside its folder|holds more than files"):
        fetch(ending=ending)
    assert names(tmp_path) == {"data"}
    assert names(tmp_path / "data") == {f"reviews_v1.{ending}"}


@pytest.mark.parametrize("ending", ["tar.gz", "zip"])
@pytest.mark.parametrize("damage", ["no archive", "cut off", "another folder"])
def test_a_damaged_archive_leaves_no_folder(server, fetch, tmp_path, ending, damage):
    if damage == "no archive":
        server.content = b"<html>not found</html>"
    elif damage == "cut off":
        server.content = pack(kind=ending)[:-20_000]
    else:
        server.content = pack({"other/a.txt": b"a"}, ending)
    with pytest.raises(ValueError, match="can't be unpacked|no folder 'reviews' in"):
        fetch(ending=ending)
    assert names(tmp_path / "data") == {f"reviews_v1.{ending}"}


def test_a_folder_without_its_training_part_is_named(fetch, tmp_path):
    (tmp_path / "data/reviews").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"reviews/train' is missing: remove '.*reviews'"):
        fetch()


def test_the_progress_bar_ends_at_the_size(server, tmp_path, capsys):
    digest = hashlib.sha256(server.content).hexdigest()
    remote = RemoteSet(f"{server.url}/a.tar.gz", f"sha256:{digest}", "reviews", "train", "two")
    server.cuts = [70_000]
    download("a", tmp_path, {"a": remote})
    shown = capsys.readouterr().err
    assert "a.tar.gz: 100%" in shown
    assert "unpacking" in shown


def test_the_registry_is_well_formed():
    for name, remote in SETS.items():
        kind, _, digest = remote.digest.partition(":")
        assert len(bytes.fromhex(digest)) == hashlib.new(kind).digest_size, name
        assert remote.url.startswith("https://")
        assert remote.file_name.endswith((".tar.gz", ".zip"))


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="name='mnist': there are 'imdb', 'sst2', 'chnsenticorp'"):
        download("mnist", tmp_path)


def test_the_command_line_says_how_to_open_what_is_there(tmp_path, capsys):
    (tmp_path / "SST-2").mkdir()
    (tmp_path / "SST-2/train.tsv").write_text("sentence\tlabel\nfine \t1\nbad \t0\n")
    main(["sst2", "--to", str(tmp_path)])
    line = capsys.readouterr().out.strip()
    path = tmp_path / "SST-2" / "train.tsv"
    assert line == f"open_labelled({str(path)!r}, text_field='sentence')"
    assert len(open_labelled(path, text_field="sentence")) == 2


def test_the_module_runs_and_ends_with_one_line(tmp_path):
    archive = tmp_path / SETS["sst2"].file_name
    archive.write_bytes(b"half")
    command = [sys.executable, "-W", "error", "-m", "minillm.data.download", "sst2"]
    done = subprocess.run([*command, "--to", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "SST-2.zip' is not what was published" in done.stderr

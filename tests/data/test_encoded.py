"""The encoded corpus equals the text, starts at once the second time, and is never half there."""

import json
import os
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest

import minillm.data
from minillm.data import (
    Corpus,
    Documents,
    EncodedCorpus,
    document_key,
    encode_corpus,
    encoded,
    encoding,
    fingerprints,
    is_held_out,
    open_corpus,
    split_documents,
)
from minillm.text import WordPieceTokenizer, clean_text, split_sentences


class Stream(Corpus):
    """Documents that come one by one; it counts how often they are read."""

    def __init__(self, documents, fail_at=None):
        self.documents, self.fail_at = documents, fail_at
        self.name = "stream"
        self.reads = 0

    def __iter__(self):
        self.reads += 1
        for i, document in enumerate(self.documents):
            if i == self.fail_at:
                raise RuntimeError("the disk was pulled out")
            yield document

    def fingerprint(self):
        return "stream"


def assert_equal(one: EncodedCorpus, other: EncodedCorpus):
    for name in encoded.ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.digest == other.digest != ""


def test_ids_are_those_of_the_sentences(documents, tokenizer, tmp_path):
    corpus = encode_corpus(documents, tokenizer, tmp_path, progress=False)
    sentences = [split_sentences(clean_text(document)) for document in documents]
    assert corpus.document_count == len(documents)
    assert corpus.sentence_count == sum(map(len, sentences))
    np.testing.assert_array_equal(np.diff(corpus.document_offsets), [len(s) for s in sentences])
    flat = [sentence for document in sentences for sentence in document]
    for s, sentence in enumerate(flat):
        assert corpus.sentence(s).tolist() == tokenizer.encode_ids(sentence)
    assert corpus.token_count == sum(len(tokenizer.encode_ids(sentence)) for sentence in flat)
    assert corpus.document_keys.tolist() == [document_key(document) for document in documents]


@pytest.fixture
def small_chunks(monkeypatch):
    """A chunk is about three documents: the corpus makes some forty of them."""
    monkeypatch.setattr(encoding, "CHUNK_CHARACTERS", 1000)


def plain_arrays(documents, tokenizer, whole_documents=False):
    """The four arrays as one would write them down, all in memory."""
    tokens, sentence_offsets, document_offsets = [], [0], [0]
    for document in map(clean_text, documents):
        for sentence in [document] if whole_documents else split_sentences(document):
            tokens += tokenizer.encode_ids(sentence)
            sentence_offsets.append(len(tokens))
        document_offsets.append(len(sentence_offsets) - 1)
    return tokens, sentence_offsets, document_offsets, list(map(document_key, documents))


@pytest.mark.parametrize("whole_documents", [False, True])
@pytest.mark.parametrize("processes", [1, 2, 3, None])
def test_any_number_of_processes_writes_what_the_plain_loop_does(
    documents, tokenizer, tmp_path, small_chunks, processes, whole_documents
):
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(documents))
    corpus = encode_corpus(
        *(open_corpus(path), tokenizer, tmp_path / "cache"),
        progress=False,
        whole_documents=whole_documents,
        processes=processes,
    )
    expected = plain_arrays(documents, tokenizer, whole_documents)
    for name, array in zip(encoded.ARRAYS, expected, strict=True):
        assert getattr(corpus, name).tolist() == array


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("processes", [1, 2])
def test_the_parts_of_a_split_are_encoded_as_their_documents_are(
    documents, tokenizer, tmp_path, small_chunks, processes, seed
):
    """On which side a document is, the processes find out by themselves."""
    for part in split_documents(documents, 0.3, seed):
        corpus = encode_corpus(part, tokenizer, tmp_path, progress=False, processes=processes)
        expected = plain_arrays(part, tokenizer)
        assert 20 < corpus.document_count < 100
        for name, array in zip(encoded.ARRAYS, expected, strict=True):
            assert getattr(corpus, name).tolist() == array
    held_out = [is_held_out(document, 0.3, seed) for document in documents]
    assert corpus.document_count == sum(held_out)


def test_the_number_of_processes_is_checked(documents, tokenizer, tmp_path):
    with pytest.raises(ValueError, match="processes is 0"):
        encode_corpus(documents, tokenizer, tmp_path, progress=False, processes=0)
    assert list(tmp_path.iterdir()) == []


def test_arrays_are_small_and_mapped_not_loaded(documents, tokenizer, tmp_path):
    corpus = encode_corpus(documents, tokenizer, tmp_path, progress=False)
    assert corpus.tokens.dtype == np.uint16
    assert all(isinstance(getattr(corpus, name), np.memmap) for name in encoded.ARRAYS)
    with pytest.raises(ValueError, match="read-only"):
        corpus.tokens[0] = 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks the memory up in /proc")
def test_released_pages_are_not_resident_and_come_back(tmp_path):
    path = tmp_path / "tokens.bin"
    path.write_bytes(bytes(range(200)) * 100_000)
    tokens = np.memmap(path, np.uint16, "r")
    corpus = EncodedCorpus(
        tokens, np.array([0, len(tokens)]), np.array([0, 1]), np.zeros(1, np.uint64)
    )

    def resident() -> int:
        """Of the tokens, in kB."""
        lines = iter(Path("/proc/self/smaps").read_text().splitlines())
        next(line for line in lines if line.endswith(str(path)))
        return int(next(line for line in lines if line.startswith("Rss:")).split()[1])

    total = corpus.tokens.sum(dtype=np.int64)
    assert resident() > 10_000
    corpus.release()
    assert resident() == 0
    assert corpus.tokens.sum(dtype=np.int64) == total


def test_arrays_in_memory_have_nothing_to_release(make_encoded):
    corpus = make_encoded([[3, 4], [5]])
    corpus.release()
    assert corpus.tokens.tolist() == list(range(12))


def test_a_large_vocabulary_takes_four_bytes(documents, tokenizer, tmp_path):
    class LargeVocabulary:
        """The tokenizer, its ids 100,000 higher, as in a vocabulary of that size."""

        save = staticmethod(tokenizer.save)

        def get_vocab_size(self):
            return 100_000 + tokenizer.get_vocab_size()

        def encode_ids(self, text):
            return [i + 100_000 for i in tokenizer.encode_ids(text)]

    large = encode_corpus(documents, LargeVocabulary(), tmp_path / "large", progress=False)
    small = encode_corpus(documents, tokenizer, tmp_path / "small", progress=False)
    assert large.tokens.dtype == np.uint32
    np.testing.assert_array_equal(large.tokens, small.tokens.astype(np.int64) + 100_000)


def test_the_second_start_reads_no_text_and_equals_the_first(documents, tokenizer, tmp_path):
    corpus = Stream(documents)
    first = encode_corpus(corpus, tokenizer, tmp_path, progress=False)
    second = encode_corpus(corpus, tokenizer, tmp_path, progress=False)
    assert corpus.reads == 1
    assert_equal(first, second)


def test_another_corpus_or_tokenizer_is_encoded_anew(documents, tokenizer, tmp_path):
    other = WordPieceTokenizer.train(documents, vocab_size=100, show_progress=False)
    first = encode_corpus(documents, tokenizer, tmp_path, progress=False)
    shorter = encode_corpus(documents[:50], tokenizer, tmp_path, progress=False)
    retokenized = encode_corpus(documents, other, tmp_path, progress=False)
    assert shorter.document_count == 50
    assert retokenized.tokenizer_digest != first.tokenizer_digest
    assert len(list(tmp_path.iterdir())) == 3  # side by side
    assert_equal(first, encode_corpus(documents, tokenizer, tmp_path, progress=False))


def test_an_error_on_the_way_leaves_nothing_behind(documents, tokenizer, tmp_path):
    with pytest.raises(RuntimeError, match="the disk was pulled out"):
        encode_corpus(Stream(documents, fail_at=100), tokenizer, tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []
    complete = encode_corpus(Stream(documents), tokenizer, tmp_path, progress=False)
    assert complete.document_count == len(documents)


def test_an_error_in_a_process_leaves_nothing_behind(documents, tokenizer, tmp_path, small_chunks):
    class Fails:
        save, get_vocab_size = tokenizer.save, tokenizer.get_vocab_size

        def encode_ids(self, text):
            if text in documents[90]:
                raise RuntimeError("out of order")
            return tokenizer.encode_ids(text)

    with pytest.raises(RuntimeError, match="out of order"):
        encode_corpus(documents, Fails(), tmp_path, progress=False, processes=2)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from minillm.data import Documents, encode_corpus, encoding
from minillm.text import WordPieceTokenizer

class Killed(Documents):
    def __iter__(self):
        yield from self.documents[:-1]
        os.kill(os.getpid(), signal.SIGKILL)

documents = ["One film. Two films.", "A third film. The end."] * int(sys.argv[3])
encoding.CHUNK_CHARACTERS = 100
tokenizer = WordPieceTokenizer.from_file(sys.argv[1])
encode_corpus(Killed(documents), tokenizer, sys.argv[2], processes=2)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("times", [1, 100])
def test_a_kill_leaves_no_half_cache(tokenizer, tmp_path, times):
    """With a hundred times the text two processes encode: they must end as well.

    (They hold the other end of stdout, for which `run` waits.)
    """
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    cache = tmp_path / "cache"
    environment = {**os.environ, "PYTHONPATH": str(Path(minillm.data.__file__).parents[2])}
    command = [sys.executable, "-c", KILLED, str(tmp_path / "tokenizer.json"), str(cache)]
    command += [str(times)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120)
    assert done.returncode == -9
    assert not list(cache.glob("encoded-*"))
    leftover = next(cache.iterdir())

    documents = Documents(["One film. Two films.", "A third film. The end."] * times)
    corpus = encode_corpus(documents, tokenizer, cache, progress=False)
    assert corpus.document_count == 2 * times
    assert not leftover.exists()


@pytest.mark.skipif(os.name != "posix", reason="limits are POSIX's")
@pytest.mark.parametrize("processes", [1, 2])
def test_a_full_disk_is_told_and_leaves_nothing(
    documents, tokenizer, tmp_path, small_chunks, processes
):
    """The system refuses to write more than 10 kB into a file, as a full disk would."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"encoded-\w+ can't be written \(File too large\)"):
            encode_corpus(documents, tokenizer, tmp_path, progress=False, processes=processes)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_corpus_that_changes_while_it_is_encoded_is_refused(documents, tokenizer, tmp_path):
    path, cache = tmp_path / "texts.txt", tmp_path / "cache"
    path.write_text("\n\n".join(documents))

    class Edits:
        save, get_vocab_size = tokenizer.save, tokenizer.get_vocab_size

        def encode_ids(self, text):
            with open(path, "a") as file:
                file.write("\n\nMore.")
            return tokenizer.encode_ids(text)

    with pytest.raises(RuntimeError, match=r"texts\.txt was changed while it was being encoded"):
        encode_corpus(open_corpus(path), Edits(), cache, progress=False)
    assert list(cache.iterdir()) == []


def damage_cut(folder):
    path = folder / "tokens.bin"
    path.write_bytes(path.read_bytes()[:-2])


def damage_flip(folder):
    path = folder / "sentence_offsets.bin"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def damage_missing(folder):
    (folder / "document_keys.bin").unlink()


def damage_info(folder):
    path = folder / encoded.INFO_FILE
    path.write_text(path.read_text()[:100])


def damage_format(folder):
    path = folder / encoded.INFO_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 0}))


@pytest.mark.parametrize(
    "damage", [damage_cut, damage_flip, damage_missing, damage_info, damage_format]
)
def test_a_damaged_cache_is_told_and_made_again(documents, tokenizer, tmp_path, damage):
    first = encode_corpus(Stream(documents), tokenizer, tmp_path, progress=False)
    arrays = {name: np.array(getattr(first, name)) for name in encoded.ARRAYS}
    folder = next(tmp_path.iterdir())
    damage(folder)
    with pytest.raises((ValueError, FileNotFoundError)):
        EncodedCorpus.open(folder)
    with pytest.warns(RuntimeWarning, match="damaged .*encoding stream again"):
        again = encode_corpus(Stream(documents), tokenizer, tmp_path, progress=False)
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(again, name), array)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_equal(again, encode_corpus(Stream(documents), tokenizer, tmp_path, progress=False))


def test_a_file_of_another_length_is_noticed_without_reading_it(documents, tokenizer, tmp_path):
    encode_corpus(documents, tokenizer, tmp_path, progress=False)
    folder = next(tmp_path.iterdir())
    damage_cut(folder)
    with pytest.raises(ValueError, match=r"tokens\.bin' has \d+ bytes, \d+ were written"):
        EncodedCorpus.open(folder, verify=False)


def test_of_a_long_untouched_file_samples_are_compared(documents, tokenizer, tmp_path, monkeypatch):
    """What is damaged between them is found when the date tells, or by verify="all"."""
    monkeypatch.setattr(fingerprints, "SHORT", 0)
    monkeypatch.setattr(fingerprints, "_PIECE", 16)
    encode_corpus(documents, tokenizer, tmp_path, progress=False)
    path = next(tmp_path.iterdir()) / "tokens.bin"
    content, date = bytearray(path.read_bytes()), path.stat().st_mtime_ns
    assert len(content) > 3 * fingerprints._PIECES * 16

    def found_at(place: int, keep_date: bool, verify) -> bool:
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        if keep_date:
            os.utime(path, ns=(date, date))
        try:
            EncodedCorpus.open(path.parent, verify)
        except ValueError as error:
            assert "tokens.bin' isn't what was written" in str(error)
            return True
        return False

    between, last = 20, len(content) - 1
    assert found_at(0, True, True) and found_at(last, True, True)
    assert not found_at(between, True, True)
    assert found_at(between, False, True) and found_at(between, True, "all")
    assert not found_at(0, False, verify=False)
    path.write_bytes(content)  # as it was, with another date
    EncodedCorpus.open(path.parent)


def test_what_holds_no_token_is_dropped_or_refused(tokenizer, tmp_path):
    corpus = encode_corpus(["A film.", "<br />", " ", "The end."], tokenizer, tmp_path, False)
    assert corpus.document_count == 2
    with pytest.raises(ValueError, match="documents: no document with a token in it"):
        encode_corpus(["<br />", " "], tokenizer, tmp_path, progress=False)


def test_a_folder_without_a_corpus_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no encoded corpus in .*encode_corpus"):
        EncodedCorpus.open(tmp_path)


def test_the_progress_bar_names_the_corpus(documents, tokenizer, tmp_path, capsys):
    encode_corpus(Documents(documents, "my texts"), tokenizer, tmp_path)
    assert "encoding my texts: 100%" in (shown := capsys.readouterr().err)
    assert f"{len(documents)}/{len(documents)}" in shown


def test_the_progress_bar_counts_the_bytes_of_a_file(documents, tokenizer, tmp_path, capsys):
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(documents))
    encode_corpus(open_corpus(path), tokenizer, tmp_path / "cache")
    shown = capsys.readouterr().err
    size = f"{path.stat().st_size / 1000:.1f}k"
    assert "encoding texts.txt: 100%" in shown and f"{size}/{size}" in shown


@pytest.mark.parametrize("processes", [1, 2])
def test_memory_stays_flat_while_encoding(documents, tokenizer, tmp_path, small_chunks, processes):
    settings = {"progress": False, "verify": False, "processes": processes}
    encode_corpus(Stream(documents), tokenizer, tmp_path / "warm", **settings)

    def grown(times: int) -> tuple[int, int]:
        """(peak of the memory, bytes on the disk)"""
        stream = Stream(document for _ in range(times) for document in documents)
        folder = tmp_path / str(times)
        tracemalloc.start()
        encode_corpus(stream, tokenizer, folder, **settings)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak, sum(path.stat().st_size for path in folder.rglob("*.bin"))

    (little, small), (much, large) = grown(2), grown(16)
    assert much - little < 0.2 * (large - small)

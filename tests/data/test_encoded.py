"""The encoded corpus equals the text, starts at once the second time, and is never half there."""

import json
import os
import subprocess
import sys
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest

import minillm.data
from minillm.data import Corpus, Documents, EncodedCorpus, document_key, encode_corpus, encoded
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


def test_arrays_are_small_and_mapped_not_loaded(documents, tokenizer, tmp_path):
    corpus = encode_corpus(documents, tokenizer, tmp_path, progress=False)
    assert corpus.tokens.dtype == np.uint16
    assert all(isinstance(getattr(corpus, name), np.memmap) for name in encoded.ARRAYS)
    with pytest.raises(ValueError, match="read-only"):
        corpus.tokens[0] = 1


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


KILLED = """
import os, signal, sys
from minillm.data import Documents, encode_corpus
from minillm.text import WordPieceTokenizer

class Killed(Documents):
    def __iter__(self):
        yield from self.documents[:-1]
        os.kill(os.getpid(), signal.SIGKILL)

documents = ["One film. Two films.", "A third film. The end."]
encode_corpus(Killed(documents), WordPieceTokenizer.from_file(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_kill_leaves_no_half_cache(tokenizer, tmp_path):
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    cache = tmp_path / "cache"
    environment = {**os.environ, "PYTHONPATH": str(Path(minillm.data.__file__).parents[2])}
    command = [sys.executable, "-c", KILLED, str(tmp_path / "tokenizer.json"), str(cache)]
    assert subprocess.run(command, env=environment, capture_output=True).returncode == -9
    assert not list(cache.glob("encoded-*"))
    leftover = next(cache.iterdir())

    documents = Documents(["One film. Two films.", "A third film. The end."])
    assert encode_corpus(documents, tokenizer, cache, progress=False).document_count == 2
    assert leftover.exists()  # young: another process could be writing it

    two_hours_ago = time.time() - 7200
    for path in [*leftover.iterdir(), leftover]:
        os.utime(path, (two_hours_ago, two_hours_ago))
    encode_corpus(["Another film. The end."], tokenizer, cache, progress=False)
    assert not leftover.exists()


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


def test_memory_stays_flat_while_encoding(documents, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(encoded, "_FLUSH_LENGTH", 100)
    encode_corpus(Stream(documents), tokenizer, tmp_path / "warm", progress=False)

    def peak(times: int) -> int:
        stream = Stream(document for _ in range(times) for document in documents)
        tracemalloc.start()
        encode_corpus(stream, tokenizer, tmp_path / str(times), progress=False, verify=False)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak(16) < 1.2 * peak(2)

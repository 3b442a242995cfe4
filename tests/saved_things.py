"""Everything that the library saves, in two versions each, for tests of what can happen to it."""

from pathlib import Path

import numpy as np

from minillm.data import EncodedCorpus, encode_corpus
from minillm.files import (
    atomic_directory,
    atomic_files,
    atomic_write,
    complete_files,
    recover_directory,
)
from minillm.models import (
    BertConfig,
    BertModel,
    KeyedVectors,
    NetworkClassifier,
    NGramClassifier,
    TextClassifier,
)
from minillm.models.average_classifier import AverageConfig, AverageForSequenceClassification
from minillm.text import BPETokenizer, CharacterTokenizer, WordPieceTokenizer

TEXTS = ["a film of joy", "a film of tears", "joy and tears"]


class Kind:
    """Something that is saved.

    make(version)      version 1 or 2 of it
    save(thing, path)  into a file, or a folder
    open(path)         the thing again
    tell(thing)        what differs between the versions
    is_folder          whether path is a folder; then other files in it have to stay
    """

    is_folder = False

    def make(self, version: int):
        return version

    def tell(self, thing):
        return thing


class Text(Kind):
    def save(self, version, path):
        atomic_write(path, f"{version}\n" * 5000)

    def open(self, path):
        (version,) = set(path.read_text().split())
        return int(version)


class Folder(Kind):
    def save(self, version, path):
        with atomic_directory(path) as new:
            (new / "inner").mkdir()
            for name in ("a", "inner/b"):
                (new / name).write_text(str(version))

    def open(self, path):
        recover_directory(path)
        a, b = ((path / name).read_text() for name in ("a", "inner/b"))
        assert a == b
        return int(a)


class Files(Kind):
    is_folder = True

    def save(self, version, path):
        with atomic_files(path) as new:
            for name in "abc":
                (new / name).write_text(str(version))

    def open(self, path):
        complete_files(path)
        a, b, c = ((path / name).read_text() for name in "abc")
        assert a == b == c
        return int(a)


class Tokenizer(Kind):
    def save(self, tokenizer, path):
        tokenizer.save(path)

    def tell(self, tokenizer):
        return tokenizer.get_vocab()


class WordPiece(Tokenizer):
    open = WordPieceTokenizer.from_file

    def make(self, version):
        size = 31 + version
        return WordPieceTokenizer.train(TEXTS * version, vocab_size=size, show_progress=False)


class BytePairs(Tokenizer):
    open = BPETokenizer.from_file

    def make(self, version):
        return BPETokenizer.train(TEXTS, vocab_size=258 + version)


class Characters(Tokenizer):
    open = CharacterTokenizer.from_file

    def make(self, version):
        return CharacterTokenizer.train(TEXTS[:version])


class GPT2Files(BytePairs):
    is_folder = True

    def save(self, tokenizer, path):
        tokenizer.save_gpt2_files(path)

    def open(self, path):
        return BPETokenizer.from_gpt2_files(path / "vocab.json", path / "merges.txt")


class Pretrained(Kind):
    is_folder = True
    open = BertModel.from_pretrained

    def make(self, version):
        sizes = {"vocab_size": 20, "hidden_size": 8 * version, "intermediate_size": 8}
        return BertModel(BertConfig.from_size("tiny", **sizes))

    def save(self, model, path):
        model.save_pretrained(path)

    def tell(self, model):
        return model.num_parameters()


class NGrams(Pretrained):
    """A folder of config, weights and n-grams: three files that belong together."""

    open = TextClassifier.from_pretrained

    def make(self, version):
        return NGramClassifier.train(TEXTS * 2, [0, 1, 0] * 2, ["no", "yes"], ngrams=version)


class Network(NGrams):
    """A folder of config, weights and tokenizer."""

    def make(self, version):
        tokenizer = WordPiece().make(version)
        config = AverageConfig(tokenizer.get_vocab_size(), {0: "no", 1: "yes"}, embedding_size=8)
        return NetworkClassifier(AverageForSequenceClassification(config), tokenizer, max_length=8)


class Vectors(Kind):
    def make(self, version):
        words = [f"word{i}" for i in range(1000)]
        return KeyedVectors(words, np.full((1000, 8), version, np.float32))

    def save(self, vectors, path):
        vectors.save_word2vec_format(path, binary=True)

    def open(self, path):
        return KeyedVectors.load_word2vec_format(path, binary=True)

    def tell(self, vectors):
        return float(vectors.vectors.sum())


class VectorsAsText(Vectors):
    def save(self, vectors, path):
        vectors.save_word2vec_format(path)

    def open(self, path):
        return KeyedVectors.load_word2vec_format(path)


class Cache(Kind):
    """Encoded corpora: a folder each, named by what is in it."""

    tokenizer = WordPiece().make(1)

    def save(self, version, path):
        encode_corpus(TEXTS[:version], self.tokenizer, path, progress=False, processes=1)

    def open(self, path):
        opened = [EncodedCorpus.open(folder) for folder in Path(path).glob("encoded-*")]
        return max(corpus.document_count for corpus in opened)


KINDS = [Text, Folder, Files, WordPiece, BytePairs, Characters, GPT2Files, Pretrained, NGrams]
KINDS += [Network, Vectors, VectorsAsText, Cache]

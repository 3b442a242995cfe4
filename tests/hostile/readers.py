"""How each kind of file is opened, and what is done with it once it is open.

`open_it(reader, folder)` opens, and gives a function that uses what was opened a little: a file
that opens and then breaks what works with it would only have moved the crash.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from hostile.seeds import CHECKPOINT_SETTINGS, checkpoint_parts

import minillm
from minillm import models
from minillm.data import open_corpus, open_labelled
from minillm.data.encoded import EncodedCorpus
from minillm.models import KeyedVectors, TextClassifier
from minillm.text import BPETokenizer, WordPieceTokenizer
from minillm.text.opening import open_tokenizer
from minillm.training.checkpoint import load_checkpoint

TEXT = "It's a fine, fine film (over 120 minutes)!  The end <|endoftext|> [MASK] é 影 \U0001f600"
LONG = "a" * 3000 + " " * 3000 + "!" + "ab" * 1500


def open_it(reader: str, folder: Path) -> Callable[[], object]:
    """Open the seed's files in `folder`; -> what uses them."""
    return READERS[reader](folder)


def _model(name: str):
    def read(folder: Path):
        model = getattr(models, name).from_pretrained(folder)

        def use():
            with minillm.no_grad(), np.errstate(all="ignore"):
                model(np.zeros((1, 1), np.int64))

        return use

    return read


def _classifier(folder: Path):
    classifier = TextClassifier.from_pretrained(folder)

    def use():
        with np.errstate(all="ignore"):
            classifier.predict_proba(["A fine film", ""])

    return use


def _use_tokenizer(tokenizer):
    def use():
        for text in (TEXT, LONG, ""):
            for add_special_tokens in (True, False) if text is TEXT else (True,):
                try:
                    encoding = tokenizer.encode(text, None, add_special_tokens)
                    tokenizer.decode(encoding.ids)
                    tokenizer.encode(text, text, add_special_tokens)
                except ValueError as error:
                    if tokenizer.truncation is None:  # an unknown character, a runaway pattern
                        raise
                    if "truncat" not in str(error) and "max_length" not in str(error):
                        raise
                    tokenizer.no_truncation()  # a pair can't be shortened

    return use


def _tokenizer(folder: Path):
    return _use_tokenizer(open_tokenizer(folder))


def _gpt2_files(folder: Path):
    return _use_tokenizer(
        BPETokenizer.from_gpt2_files(folder / "vocab.json", folder / "merges.txt")
    )


def _vocab_txt(folder: Path):
    return _use_tokenizer(WordPieceTokenizer.from_vocab_file(folder / "vocab.txt"))


def _checkpoint(with_best: bool):
    def read(folder: Path):
        model, optimizer, stopping = checkpoint_parts(with_best)
        path = folder / "checkpoint-000007"
        load_checkpoint(path, model, optimizer, CHECKPOINT_SETTINGS, stopping)

        def use():
            for parameter in model.parameters():
                parameter.grad = np.zeros_like(parameter.data)
            with np.errstate(all="ignore"):
                optimizer.step()
            if stopping is not None:
                stopping.update(9, {"loss": 1.0}, model)
                str(stopping)

        return use

    return read


def _encoded(folder: Path):
    corpus = EncodedCorpus.open(folder)

    def use():
        for s in range(min(corpus.sentence_count, 100)):
            corpus.sentence(s).sum()
        for d in range(min(corpus.document_count, 100)):
            corpus.document_keys[d], corpus.document_offsets[d + 1]

    return use


def _corpus(name: str):
    def read(folder: Path):
        corpus = open_corpus(folder / name)
        for _ in corpus:
            pass
        return corpus.fingerprint

    return read


def _labelled(name: str, group_field: str | None = None):
    def read(folder: Path):
        data = open_labelled(folder / name, group_field=group_field)
        return lambda: (data.fingerprint(), data.counts(), data.text_groups())

    return read


def _vectors(**options):
    def read(folder: Path):
        vectors = KeyedVectors.load_word2vec_format(folder / "vectors", **options)

        def use():
            with np.errstate(all="ignore"):
                vectors.most_similar(vectors.index_to_key[0], topn=3)

        return use

    return read


READERS: dict[str, Callable[[Path], Callable[[], object]]] = {
    **{
        name: _model(name)
        for name in ("BertModel", "BertForPreTraining", "GPTForCausalLM", "LlamaForCausalLM")
    },
    "TextClassifier": _classifier,
    "tokenizer": _tokenizer,
    "gpt2 files": _gpt2_files,
    "vocab.txt": _vocab_txt,
    "checkpoint": _checkpoint(False),
    "checkpoint with best": _checkpoint(True),
    "encoded corpus": _encoded,
    "corpus.txt": _corpus("corpus.txt"),
    "corpus.txt.gz": _corpus("corpus.txt.gz"),
    "corpus.jsonl": _corpus("corpus.jsonl"),
    "corpus folder": _corpus(""),
    "data.csv": _labelled("data.csv", "film"),
    "data.tsv": _labelled("data.tsv"),
    "data.jsonl": _labelled("data.jsonl", "film"),
    "data.csv.gz": _labelled("data.csv.gz"),
    "class folders": _labelled(""),
    "vectors, text": _vectors(),
    "vectors, binary": _vectors(binary=True),
    "vectors, glove": _vectors(no_header=True),
}

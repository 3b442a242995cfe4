"""The files that get mutated: small, whole, and made by minillm itself.

A seed is {file name: content} and the name of the reader that opens it (readers.py).  Each kind has
several, so that mutations meet every branch of the code that reads.
"""

import gzip
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minillm
from minillm import optim
from minillm.data import encode_corpus
from minillm.models import (
    BertConfig,
    BertForPreTraining,
    BertModel,
    GPTConfig,
    GPTForCausalLM,
    KeyedVectors,
    LlamaConfig,
    LlamaForCausalLM,
    NGramClassifier,
    NGramNetworkClassifier,
)
from minillm.models.average_classifier import AverageConfig, AverageForSequenceClassification
from minillm.models.bert_classifier import BertForSequenceClassification
from minillm.models.cnn_classifier import CNNConfig, CNNForSequenceClassification
from minillm.models.lstm_classifier import LSTMConfig, LSTMForSequenceClassification
from minillm.models.network_classifier import NetworkClassifier
from minillm.text import BPETokenizer, CharacterTokenizer, WordPieceTokenizer
from minillm.text.template import TemplateProcessing
from minillm.training.checkpoint import save_checkpoint
from minillm.training.early_stopping import EarlyStopping

TEXTS = [
    "A fine film from start to end, and it's over too soon.",
    "A dull film. The end came too late, 120 minutes too late!",
    "Fine acting; the story is over at the start.",
    "It is late, and the dull story doesn't end.",
]
LABELS = [1, 0, 1, 0]
NAMES = ["negative", "positive"]


class Seed(NamedTuple):
    """name: for reports.  reader: a name in readers.READERS.  files: {path in the folder: bytes}.

    targets: which of the files are mutated.
    """

    name: str
    reader: str
    files: dict[str, bytes]
    targets: tuple[str, ...]


def make_seeds(kind: str) -> list[Seed]:
    """The seeds of a kind; the same each time."""
    minillm.manual_seed(0)
    return _MAKERS[kind]()


def _saved(save) -> dict[str, bytes]:
    """What `save(folder)` wrote."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "made")
        save(folder)
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }


def _in_folder(save):
    def make(folder: Path) -> None:
        folder.mkdir()
        save(folder)

    return make


# ----------------------------------------------------------------------------------- the kinds

_BERT = {
    **{"vocab_size": 40, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2},
    **{"intermediate_size": 12, "max_position_embeddings": 16},
}
_GPT = {"vocab_size": 40, "n_positions": 16, "n_embd": 8, "n_layer": 2, "n_head": 2}
_LLAMA = {
    **{"vocab_size": 40, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 16},
}


def _models() -> list[tuple[str, str, dict[str, bytes]]]:
    """(name, reader, files) of every kind of model folder."""
    models = [
        ("bert", "BertModel", BertModel(BertConfig(**_BERT))),
        ("bert with heads", "BertForPreTraining", BertForPreTraining(BertConfig(**_BERT))),
        ("gpt", "GPTForCausalLM", GPTForCausalLM(GPTConfig(**_GPT))),
        (
            "gpt, untied",
            "GPTForCausalLM",
            GPTForCausalLM(GPTConfig(**_GPT, tie_word_embeddings=False)),
        ),
        ("llama", "LlamaForCausalLM", LlamaForCausalLM(LlamaConfig(**_LLAMA, attention_bias=True))),
    ]
    folders = [(name, reader, _saved(m.save_pretrained)) for name, reader, m in models]
    tokenizer = WordPieceTokenizer.train(TEXTS, 60, show_progress=False)
    V, labels = tokenizer.get_vocab_size(), dict(enumerate(NAMES))
    networks = [
        BertForSequenceClassification(BertConfig(**_BERT | {"vocab_size": V}, id2label=labels)),
        AverageForSequenceClassification(AverageConfig(V, labels, embedding_size=4, hidden_size=4)),
        CNNForSequenceClassification(CNNConfig(V, labels, embedding_size=4, num_filters=2)),
        LSTMForSequenceClassification(
            LSTMConfig(V, labels, embedding_size=4, hidden_size=4, bidirectional=True)
        ),
    ]
    for network in networks:
        classifier = NetworkClassifier(network, tokenizer, 12, "head_tail")
        folders.append(
            (type(network).__name__, "TextClassifier", _saved(classifier.save_pretrained))
        )
    for kind in (NGramClassifier, NGramNetworkClassifier):
        classifier = kind.train(TEXTS, LABELS, NAMES, ngrams=2, min_count=1)
        folders.append((kind.__name__, "TextClassifier", _saved(classifier.save_pretrained)))
    return folders


def _weights() -> list[Seed]:
    return [Seed(n, reader, files, ("model.safetensors",)) for n, reader, files in _models()]


def _configs() -> list[Seed]:
    return [Seed(n, reader, files, ("config.json",)) for n, reader, files in _models()]


def _tokenizers() -> list[Seed]:
    wordpiece = WordPieceTokenizer.train(TEXTS, 90, show_progress=False)
    wordpiece.enable_truncation(12)
    wordpiece.enable_padding(length=14)
    gpt2 = BPETokenizer.train(TEXTS, 300)
    bos = gpt2.token_to_id("<|endoftext|>")
    template = TemplateProcessing(
        (("<|endoftext|>", 0), ("$A", 0)),
        (("<|endoftext|>", 0), ("$A", 0), ("$B", 1)),
        {"<|endoftext|>": [(bos, "<|endoftext|>")]},
    )
    vocab, merges = gpt2.get_vocab(), gpt2.model.merges
    made = {
        "WordPiece": wordpiece,
        "BPE": gpt2,
        "BPE with a template": BPETokenizer(
            vocab, merges, pattern="cl100k", post_processor=template, ignore_merges=True
        ),
        "BPE with a pattern of its own": BPETokenizer(vocab, merges, pattern=r"\p{Lu}?\p{Ll}+|\s+"),
        "characters": CharacterTokenizer.train(TEXTS, unk_token="<|unknown|>"),
    }
    seeds = []
    for name, tokenizer in made.items():
        files = _saved(_in_folder(lambda folder, t=tokenizer: t.save(folder / "tokenizer.json")))
        seeds.append(Seed(name, "tokenizer", files, ("tokenizer.json",)))
    files = _saved(gpt2.save_gpt2_files)
    seeds.append(Seed("GPT-2's pair of files", "gpt2 files", files, tuple(files)))
    lines = "\n".join(wordpiece.get_vocab()) + "\n"
    seeds.append(Seed("vocab.txt", "vocab.txt", {"vocab.txt": lines.encode()}, ("vocab.txt",)))
    return seeds


def _checkpoints() -> list[Seed]:
    seeds = []
    for name, with_best in (("checkpoint", False), ("checkpoint with the best", True)):

        def save(folder: Path, with_best=with_best) -> None:
            model, optimizer, stopping = checkpoint_parts(with_best)
            save_checkpoint(
                folder, 7, model, optimizer, CHECKPOINT_SETTINGS, early_stopping=stopping
            )

        files = _saved(save)
        targets = tuple(name for name in files if not name.endswith("config.json"))
        reader = "checkpoint with best" if with_best else "checkpoint"
        seeds.append(Seed(name, reader, files, targets))
    return seeds


CHECKPOINT_SETTINGS = {"learning_rate": 0.1, "seed": 3, "schedule": ["linear", 10]}


def checkpoint_parts(with_best: bool):
    """(model, optimizer, early stopping or None) as a run has them after a step."""
    model = GPTForCausalLM(GPTConfig(**_GPT | {"n_layer": 1}))
    optimizer = optim.AdamW(model.parameters(), lr=0.1)
    for parameter in model.parameters():
        parameter.grad = np.ones_like(parameter.data)
    optimizer.step()
    stopping = EarlyStopping("-loss", 2) if with_best else None
    if stopping is not None:
        stopping.update(5, {"loss": 1.5}, model)
    return model, optimizer, stopping


def _encoded() -> list[Seed]:
    tokenizer = WordPieceTokenizer.train(TEXTS, 60, show_progress=False)

    def save(folder: Path) -> None:
        encode_corpus(TEXTS, tokenizer, folder, progress=False)
        (made,) = folder.iterdir()
        for path in made.iterdir():
            path.rename(folder / path.name)
        made.rmdir()

    files = _saved(save)
    return [Seed("encoded corpus", "encoded corpus", files, tuple(files))]


def _corpora() -> list[Seed]:
    text = "\n\n".join(TEXTS).encode()
    lines = "".join(f'{{"text": "{text}", "stars": 3}}\n' for text in TEXTS).encode()
    many = {f"part/{i}.txt": text.encode() for i, text in enumerate(TEXTS)}
    return [
        Seed("text", "corpus.txt", {"corpus.txt": text}, ("corpus.txt",)),
        Seed("text, packed", "corpus.txt.gz", {"corpus.txt.gz": _packed(text)}, ("corpus.txt.gz",)),
        Seed("rows", "corpus.jsonl", {"corpus.jsonl": lines}, ("corpus.jsonl",)),
        Seed("folder", "corpus folder", many, tuple(many)),
    ]


def _labelled() -> list[Seed]:
    rows = [
        (text, NAMES[label], f"film {i // 2}")
        for i, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True))
    ]
    csv = "text,label,film\n" + "".join(f'"{t}",{y},{g}\n' for t, y, g in rows)
    tsv = "text\tlabel\tfilm\n" + "".join(f"{t}\t{y}\t{g}\n" for t, y, g in rows)
    jsonl = "".join(f'{{"text": "{t}", "label": "{y}", "film": "{g}"}}\n' for t, y, g in rows)
    folders = {
        f"{NAMES[y]}/{i}_7.txt": t.encode()
        for i, (t, y) in enumerate(zip(TEXTS, LABELS, strict=True))
    }
    urls = {f"urls_{name}.txt": b"http://film/1\nhttp://film/2\n" for name in NAMES}
    seeds = [
        Seed(name, name, {name: content.encode()}, (name,))
        for name, content in (("data.csv", csv), ("data.tsv", tsv), ("data.jsonl", jsonl))
    ]
    seeds.append(
        Seed("data.csv.gz", "data.csv.gz", {"data.csv.gz": _packed(csv.encode())}, ("data.csv.gz",))
    )
    seeds.append(Seed("class folders", "class folders", folders | urls, tuple(folders | urls)))
    return seeds


def _vectors() -> list[Seed]:
    rng = np.random.default_rng(0)
    vectors = KeyedVectors([*"abcdef", "café", "film"], rng.normal(size=(8, 5)))
    seeds = []
    for name, options in (
        ("text", {}),
        ("binary", {"binary": True}),
        ("glove", {"write_header": False}),
    ):

        def save(folder: Path, options=options) -> None:
            vectors.save_word2vec_format(folder / "vectors", **options)

        seeds.append(Seed(name, f"vectors, {name}", _saved(_in_folder(save)), ("vectors",)))
    return seeds


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


_MAKERS = {
    "weights": _weights,
    "config": _configs,
    "tokenizer": _tokenizers,
    "checkpoint": _checkpoints,
    "encoded corpus": _encoded,
    "corpus": _corpora,
    "labelled": _labelled,
    "vectors": _vectors,
}
KINDS = tuple(_MAKERS)

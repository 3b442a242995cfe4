"""From texts to trained weights, and a digest of everything on the way.

`python one_run.py FOLDER [--device strict]` writes its caches into FOLDER and prints JSON:
exact: what is made of whole numbers and bytes (tokenizers, splits, batches, masks, shuffles);
runs: the same trainings twice over, each with its losses and a digest of its weights.
"""

import hashlib
import json
import random
import sys
from pathlib import Path

import numpy as np

import minillm
from minillm import functional as F
from minillm.data import (
    CausalBatches,
    Documents,
    LabelledBatches,
    LabelledTexts,
    PretrainingBatches,
    WordCounts,
    encode_corpus,
    skip_gram_pairs,
    split_documents,
    split_words,
    stratified_folds,
    stratified_sample,
    train_test_split,
)
from minillm.models import BertConfig, BertForPreTraining, GPTConfig, GPTForCausalLM, Word2Vec
from minillm.models.lstm_classifier import LSTMConfig, LSTMForSequenceClassification
from minillm.text import BPETokenizer, WordPieceTokenizer
from minillm.training import Trainer

SYLLABLES = "ba be bo da de do ka ke ko la le lo ma me mo na ne no ra re ro sa se so".split()
RARE = ["caf\u00e9", "na\u00efve", "\u597d\u770b", "it's", "3.14", "\u0130stanbul"]
NAMES = ["bad", "good", "mixed"]


def numbers(seed: int):
    """Whole numbers without end, from a formula that no library can change."""
    while True:
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield seed >> 33


def documents() -> list[str]:
    """Invented texts in which many words are equally frequent: ties have to be decided."""
    draw = numbers(7)

    def word():
        if next(draw) % 17 == 0:
            return RARE[next(draw) % len(RARE)]
        return "".join(SYLLABLES[next(draw) % len(SYLLABLES)] for _ in range(1 + next(draw) % 3))

    def sentence():
        return " ".join(word() for _ in range(4 + next(draw) % 8)).capitalize() + "."

    return [" ".join(sentence() for _ in range(2 + next(draw) % 6)) for _ in range(120)]


def digest(*values) -> str:
    """Of texts, bytes and arrays, with their types and shapes."""
    total = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            total.update(f"{value.dtype.str}{value.shape}".encode())
            value = value.tobytes()
        total.update(value.encode() if isinstance(value, str) else value)
        total.update(b"|")
    return total.hexdigest()[:16]


def of_batches(batches, steps=3) -> str:
    parts = [batches.batch(step) for step in range(steps)]
    return digest(*(x for part in parts for pair in sorted(part.items()) for x in pair))


def of_texts(*parts) -> str:
    return digest(*(x for part in parts for x in (*part.texts, part.labels)))


def data(folder: Path):
    """{name: digest} of the data, and what the trainings need of it."""
    texts = documents()
    training, held_out = split_documents(Documents(texts), held_out=0.2, seed=1)
    found = {"split": digest(*training, "and", *held_out)}

    wordpiece = WordPieceTokenizer.train(training, vocab_size=160, show_progress=False)
    bpe = BPETokenizer.train(training, vocab_size=330, processes=1)
    for name, tokenizer in (("wordpiece", wordpiece), ("bpe", bpe)):
        vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        ids = [tokenizer.encode(text).ids for text in texts]
        found[name] = digest(json.dumps([vocabulary, ids]))

    options = {"progress": False, "processes": 1}
    encoded = encode_corpus(training, wordpiece, folder, **options)
    pairs = PretrainingBatches(
        encoded, wordpiece, batch_size=8, max_length=24, seed=2, whole_words=True
    )
    found["pairs and masks"] = of_batches(pairs)
    contrast = PretrainingBatches(
        encoded, wordpiece, batch_size=8, max_length=24, seed=2, contrast=True
    )
    found["contrasted pairs"] = of_batches(contrast)
    whole = encode_corpus(training, bpe, folder, whole_documents=True, **options)
    windows = CausalBatches(
        whole, batch_size=4, length=16, seed=3, end_of_text=bpe.token_to_id("<|endoftext|>")
    )
    found["windows"] = of_batches(windows)

    labels = [next(n) % 3 for n in [numbers(5)] for _ in texts]
    labelled = LabelledTexts(texts, labels, NAMES)
    split = train_test_split(labelled, 0.25, seed=4, groups=labelled.text_groups())
    found["train_test_split"] = of_texts(*split, *train_test_split(labelled, 0.25, seed=4))
    found["folds"] = of_texts(*(part for fold in stratified_folds(labelled, 3) for part in fold))
    found["sample"] = of_texts(stratified_sample(labelled, 30, seed=6))
    rows = [wordpiece.encode(text).ids[:20] for text in labelled.texts]
    reviews = LabelledBatches(rows, labelled.labels, batch_size=8, seed=5)
    found["buckets"] = of_batches(reviews, len(reviews) + 1)

    words = WordCounts.count(map(split_words, texts), min_count=1)
    centers = skip_gram_pairs(
        *words.encode(map(split_words, texts)), window=3, generator=np.random.default_rng(8)
    )
    found["words"] = digest(*words.words, *centers)
    minillm.manual_seed((9, 1))
    ones = minillm.tensor(np.ones((40, 50), np.float32))
    found["dropout"] = digest(F.dropout(ones, 0.3).numpy() > 0)
    return found, pairs, windows, reviews, texts


def train(name, model, batches, device):
    trainer = Trainer(
        model,
        lambda model, batch: (model(**batch).loss, {}),
        batches.batch,
        steps=6,
        learning_rate=3e-3,
        warmup_steps=2,
        seed=10,
        device=device,
        progress=False,
    )
    losses = [record["loss"] for record in trainer.run()]
    state = {n: minillm.Tensor(a).numpy() for n, a in model.state_dict().items()}
    return {
        f"{name}, losses": losses,
        f"{name}, weights": digest(*(x for pair in sorted(state.items()) for x in pair)),
    }


def run(pairs, windows, reviews, texts, device) -> dict:
    """Three networks, with dropout, from their first weights on; and word vectors."""
    bert = BertConfig.from_size("tiny", vocab_size=160, hidden_size=32, intermediate_size=64)
    bert.max_position_embeddings = 24
    gpt = GPTConfig(vocab_size=330, n_positions=16, n_embd=32, n_layer=2, n_head=2)
    lstm = LSTMConfig(
        vocab_size=160,
        id2label=dict(enumerate(NAMES)),
        embedding_size=16,
        hidden_size=16,
        head="softmax",
        bidirectional=True,
        word_dropout=0.1,
        dropout=0.2,
    )
    result = {}
    for name, make, batches in (
        ("bert", lambda: BertForPreTraining(bert), pairs),
        ("gpt", lambda: GPTForCausalLM(gpt), windows),
        ("lstm", lambda: LSTMForSequenceClassification(lstm), reviews),
    ):
        minillm.manual_seed(11)
        result |= train(name, make(), batches, device)
    sentences = [split_words(text) for text in texts]
    vectors = Word2Vec(sentences, vector_size=8, min_count=2, epochs=1, sg=1, seed=12)
    result["word vectors"] = digest(vectors.wv.vectors)
    return result


def main(folder: str, device: str = "cpu") -> None:
    if device == "strict":
        sys.path.insert(0, str(Path(__file__).parents[1]))
        from strict_device import StrictDevice

        from minillm.backend import register_device

        register_device(StrictDevice())
    exact, *parts = data(Path(folder))
    runs = []
    for disturbance in range(2):
        # What else a program does with random numbers is no part of a run.
        np.random.seed(disturbance)
        random.seed(disturbance)
        minillm.manual_seed(disturbance)
        F.dropout(minillm.tensor(np.ones(100, np.float32), device=device), 0.5)
        runs.append(run(*parts, device))
    print(json.dumps({"exact": exact, "runs": runs}))


if __name__ == "__main__":
    main(*sys.argv[1:])

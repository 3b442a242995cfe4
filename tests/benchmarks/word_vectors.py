"""How fast word vectors are learned and how good they are: minillm beside gensim, on the CPU.

    python tests/benchmarks/word_vectors.py TEXTS... [--pairs FILE] [--analogies FILE]

Each side is a process of its own on two cores; the processes run one after the other, in
turns, so that a slow moment of the machine doesn't meet one side only.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORKERS = 2  # of gensim and GloVe; our Word2Vec has its default, one, with which it is fastest
VECTOR_SIZE = 100
HERE = Path(__file__).resolve().parent

# ---------------------------------------------------------------- one side, in a process of its own
# Each gets sentences (lists of words) and settings, which have the same names for word2vec on both
# sides; returns (words, vectors) and the seconds that it learned: counting the words isn't timed,
# for it is plain Python on both sides.


def word2vec(sentences, **settings):
    from minillm.models import Word2Vec

    model = Word2Vec(**({"vector_size": VECTOR_SIZE} | settings))
    model.build_vocab(sentences)
    began = time.perf_counter()
    model.train(sentences)
    seconds = time.perf_counter() - began
    return (model.wv.index_to_key, model.wv.vectors), seconds


def gensim_word2vec(sentences, **settings):
    from gensim.models import Word2Vec

    model = Word2Vec(workers=WORKERS, **({"vector_size": VECTOR_SIZE} | settings))
    model.build_vocab(sentences)
    began = time.perf_counter()
    model.train(sentences, total_examples=model.corpus_count, epochs=model.epochs)
    seconds = time.perf_counter() - began
    return (model.wv.index_to_key, model.wv.vectors), seconds


def glove(sentences, **_):
    """GloVe reads the text once; it has its own settings: its epochs go over the counts."""
    from minillm.models import GloVe

    model = GloVe(vector_size=VECTOR_SIZE, workers=WORKERS)
    model.build_vocab(sentences)
    began = time.perf_counter()
    model.train(sentences)
    seconds = time.perf_counter() - began
    return (model.wv.index_to_key, model.wv.vectors), seconds


SIDES = {
    "skip-gram": lambda sentences, **settings: word2vec(sentences, sg=1, **settings),
    "gensim skip-gram": lambda sentences, **settings: gensim_word2vec(sentences, sg=1, **settings),
    "cbow": lambda sentences, **settings: word2vec(sentences, sg=0, **settings),
    "gensim cbow": lambda sentences, **settings: gensim_word2vec(sentences, sg=0, **settings),
    "glove": glove,
}
READS_ONCE = {"glove"}
PEERS = {"skip-gram": "gensim skip-gram", "cbow": "gensim cbow"}


def run_side(side: str, words: Path, settings: dict, out: Path) -> None:
    from minillm.models import KeyedVectors

    with open(words, encoding="utf-8") as file:
        sentences = [line.split() for line in file]
    (words_of_rows, vectors), seconds = SIDES[side](sentences, **settings)
    KeyedVectors(words_of_rows, vectors).save_word2vec_format(out, binary=True)
    read = (1 if side in READS_ONCE else settings["epochs"]) * sum(map(len, sentences))
    print(json.dumps({"seconds": seconds, "words_per_second": read / seconds}))


# -------------------------------------------------------------------------------------- the table


def write_words(texts: list[str], limit: int | None, path: Path) -> int:
    """One text a line, its words separated by spaces; returns how many words."""
    from minillm.data import open_corpus, split_words
    from minillm.text import strip_html

    n = 0
    with open(path, "w", encoding="utf-8") as file:
        for source in texts:
            for text in open_corpus(source):
                words = split_words(strip_html(text, " "))
                n += len(words)
                file.write(" ".join(words) + "\n")
                if limit is not None and n >= limit:
                    return n
    return n


def measure(side: str, words: Path, settings: dict, out: Path) -> dict:
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(  # measure this checkout
        [str(HERE.parents[1]), *filter(None, [environment.get("PYTHONPATH")])]
    )
    arguments = ["--run", side, str(words), json.dumps(settings), str(out)]
    done = subprocess.run(
        [sys.executable, str(HERE / "word_vectors.py"), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    if done.returncode:
        sys.exit(f"{side} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def quality(path: Path, pairs: str | None, analogies: str | None) -> str:
    from minillm.evaluation import evaluate_word_analogies, evaluate_word_pairs
    from minillm.models import KeyedVectors

    vectors = KeyedVectors.load_word2vec_format(path, binary=True)
    cells = []
    if pairs:
        found = evaluate_word_pairs(vectors, pairs)
        cells.append(f"spearman {found.spearman:.3f} ({found.pairs} pairs)")
    if analogies:
        for group, result in evaluate_word_analogies(vectors, analogies).items():
            if result.total:
                cells.append(f"{group} {100 * result.accuracy:.0f} % of {result.total}")
    return "; ".join(cells)


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="+", help="text files or .jsonl(.gz) files with texts")
    parser.add_argument("--words", type=int, help="only about the first so many (default: all)")
    parser.add_argument("--epochs", type=int, default=5, help="default 5")
    parser.add_argument(
        "--settings",
        type=json.loads,
        default={},
        help='more, for word2vec on both sides: \'{"window": 10, "sample": 1e-4}\'',
    )
    parser.add_argument("--turns", type=int, default=1, help="of each side (default 1)")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES), metavar="SIDE")
    parser.add_argument("--pairs", help="judgements of similarity, such as wordsim353.tsv")
    parser.add_argument("--analogies", help="questions, such as questions-words.txt")
    options = parser.parse_args()
    settings = {"epochs": options.epochs, **options.settings}
    with tempfile.TemporaryDirectory() as folder:
        words = Path(folder, "words.txt")
        n = write_words(options.texts, options.words, words)
        print(f"{n:,} words, {settings}")
        speeds: dict[str, list[float]] = {side: [] for side in options.sides}
        for turn in range(options.turns):
            for side in options.sides:
                out = Path(folder, f"{side}.bin")
                result = measure(side, words, settings, out)
                speeds[side].append(result["words_per_second"])
                print(
                    f"turn {turn + 1}, {side}: {result['seconds']:.0f} s, "
                    f"{result['words_per_second']:,.0f} words/s (load {load()})",
                    flush=True,
                )
        print(f"\n{'side':18}{'words/s':>12}{'of its peer':>13}")
        for side in options.sides:
            speed = statistics.median(speeds[side])
            peer = speeds.get(PEERS.get(side, ""))
            ratio = f"{speed / statistics.median(peer):.2f}" if peer else ""
            print(f"{side:18}{speed:>12,.0f}{ratio:>13}")
        if options.pairs or options.analogies:
            for side in options.sides:
                out = Path(folder, f"{side}.bin")
                print(f"\n{side}: {quality(out, options.pairs, options.analogies)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        side, words, settings, out = sys.argv[2:]
        run_side(side, Path(words), json.loads(settings), Path(out))
    else:
        main()

"""How fast byte-level BPE is learned and applied: minillm beside Hugging Face's tokenizers.

    python tests/benchmarks/tokenizer_speed.py TEXTS...

Each side of each row is a process of its own; the processes run one after the other, in turns, so
that a slow moment of the machine doesn't meet one side only.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from pathlib import Path

TRAINING_THREADS = 2  # processes for minillm, threads for tokenizers; encoding has one of either
SPECIAL_TOKENS = ["<|endoftext|>"]
HERE = Path(__file__).resolve().parent

# ---------------------------------------------------------------- one side, in a process of its own
# Training writes a tokenizer.json; encoding reads the one that both sides use.  Each returns the
# seconds that it took and a digest of what came out, which must be the same on both sides.


def train_minillm(texts: list[str], file: Path, vocab_size: int) -> tuple[float, str]:
    from minillm.text import BPETokenizer

    began = time.perf_counter()
    tokenizer = BPETokenizer.train(
        texts,
        vocab_size,
        special_tokens=SPECIAL_TOKENS,
        processes=TRAINING_THREADS,
        ties="ids",  # as tokenizers does it, so that the merges can be compared
    )
    seconds = time.perf_counter() - began
    tokenizer.save(file)
    return seconds, merges_digest(file)


def train_tokenizers(texts: list[str], file: Path, vocab_size: int) -> tuple[float, str]:
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    began = time.perf_counter()
    tokenizer.train_from_iterator(
        texts,
        vocab_size,
        min_frequency=2,
        special_tokens=SPECIAL_TOKENS,
        show_progress=False,
    )
    seconds = time.perf_counter() - began
    tokenizer.save(str(file))
    return seconds, merges_digest(file)


def encode_minillm(texts: list[str], file: Path, vocab_size: int) -> tuple[float, str]:
    from minillm.text import open_tokenizer

    tokenizer = open_tokenizer(file)
    began = time.perf_counter()
    ids = [tokenizer.encode_ids(text) for text in texts]
    return time.perf_counter() - began, ids_digest(ids)


def encode_tokenizers(texts: list[str], file: Path, vocab_size: int) -> tuple[float, str]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    began = time.perf_counter()
    encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    ids = [encoding.ids for encoding in encodings]
    return time.perf_counter() - began, ids_digest(ids)


def merges_digest(file: Path) -> str:
    model = json.loads(file.read_text("utf-8"))["model"]
    return hashlib.sha256(json.dumps([model["vocab"], model["merges"]]).encode()).hexdigest()


def ids_digest(sequences: list[list[int]]) -> str:
    digest = hashlib.sha256()
    for ids in sequences:
        digest.update(array("q", [len(ids), *ids]).tobytes())
    return digest.hexdigest()


SIDES = {
    ("train", "minillm"): train_minillm,
    ("train", "tokenizers"): train_tokenizers,
    ("encode", "minillm"): encode_minillm,
    ("encode", "tokenizers"): encode_tokenizers,
}


def run_side(task: str, side: str, folder: Path, vocab_size: int) -> None:
    texts = json.loads((folder / "texts.json").read_text("utf-8"))
    file = folder / ("shared.json" if task == "encode" else f"{side}.json")
    seconds, digest = SIDES[task, side](texts, file, vocab_size)
    print(json.dumps({"seconds": seconds, "digest": digest}))


# -------------------------------------------------------------------------------------- the table


def read_texts(sources: list[str], megabytes: float | None) -> tuple[list[str], int]:
    """The texts, about so many megabytes of them; and how many bytes they are in UTF-8."""
    from minillm.data import open_corpus

    texts, size = [], 0
    for source in sources:
        for text in open_corpus(source):
            texts.append(text)
            size += len(text.encode())
            if megabytes is not None and size >= megabytes * 1e6:
                return texts, size
    return texts, size


def measure(task: str, side: str, folder: Path, vocab_size: int) -> dict:
    threads = TRAINING_THREADS if task == "train" else 1
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    environment["PYTHONPATH"] = os.pathsep.join(  # measure this checkout
        [str(HERE.parents[1]), *filter(None, [environment.get("PYTHONPATH")])]
    )
    arguments = ["--run", task, side, str(folder), str(vocab_size)]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    if done.returncode:
        sys.exit(f"{side} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="+", help="text files or .jsonl(.gz) files with texts")
    parser.add_argument("--megabytes", type=float, default=20, help="only so many (default 20)")
    parser.add_argument("--vocab-size", type=int, default=8192, help="default 8192")
    parser.add_argument("--turns", type=int, default=3, help="of each side (default 3)")
    parser.add_argument(
        "--tokenizer", help="a tokenizer.json to encode with (default: the trained)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts, size = read_texts(options.texts, options.megabytes)
        (folder / "texts.json").write_text(json.dumps(texts), "utf-8")
        print(f"{len(texts):,} texts, {size / 1e6:.1f} MB, vocabulary {options.vocab_size:,}")
        rows = []
        for task in ("train", "encode"):
            if task == "encode":
                source = Path(options.tokenizer) if options.tokenizer else folder / "minillm.json"
                (folder / "shared.json").write_bytes(source.read_bytes())
            results: dict[str, list[dict]] = {"minillm": [], "tokenizers": []}
            for turn in range(options.turns):
                for side, found in results.items():
                    found.append(measure(task, side, folder, options.vocab_size))
                    seconds = found[-1]["seconds"]
                    print(f"turn {turn + 1}, {task}, {side}: {seconds:.2f} s (load {load()})")
            equal = len({one["digest"] for found in results.values() for one in found}) == 1
            ours, theirs = (
                statistics.median(one["seconds"] for one in found) for found in results.values()
            )
            rows.append((task, ours, theirs, equal))
    print(f"\n{'':10}{'minillm':>20}{'tokenizers':>20}{'time, ratio':>13}  the same results")
    for task, ours, theirs, equal in rows:
        cells = (f"{seconds:.2f} s, {size / 1e6 / seconds:.1f} MB/s" for seconds in (ours, theirs))
        print(f"{task:10}" + "".join(f"{cell:>20}" for cell in cells), end="")
        print(f"{ours / theirs:>13.2f}  {'yes' if equal else 'NO'}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        task, side, folder, vocab_size = sys.argv[2:]
        run_side(task, side, Path(folder), int(vocab_size))
    else:
        main()

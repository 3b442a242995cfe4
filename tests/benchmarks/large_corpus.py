"""Pretraining from more text than one wants in memory: throughput, memory, and the second start.

    python tests/benchmarks/large_corpus.py TEXTS... --megabytes 2000 --out /a/large/disk

makes so much text out of the given files (again and again, the sentences of each document in
another order), then does for GPT and for BERT what lesson 05 does before its first step, in a
process of its own: the text is split, a tokenizer is trained, both parts are encoded, the first
batch is drawn.  Then it does so again in a fresh process, as `--resume` does: the tokenizer is
there, the encoded corpus is there.  Once after the files have been dropped from the operating
system's cache (as far as it lets us), once with them in it.

Memory is that of the process and all its descendants, looked up in /proc four times a second (so
this needs Linux):

    RSS    the sum of what each has resident.  Too much: pages that processes share (the copies
           made by fork, mapped files) count once for each.
    PSS    the same, a page that n processes share counting 1/n for each

Both count the pages of mapped files that happen to be in memory, which the operating system may
take back at any time.  All that was written is removed in the end.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODELS = ("gpt", "bert")

# -------------------------------------------------------------------------------- making the text


def write_text(sources: list[str], path: Path, size: int) -> int:
    """Write about `size` bytes: documents with a blank line between them; returns their number."""
    from minillm.data import open_corpus
    from minillm.text import clean_text, split_sentences

    texts = (text for source in sources for text in open_corpus(source))
    documents = [split_sentences(clean_text(text)) for text in texts]
    count = written = seed = 0
    with open(path, "wb") as file:
        while written < size:
            shuffled = random.Random(seed)
            for sentences in documents:
                if sentences and written < size:
                    shuffled.shuffle(sentences)
                    written += file.write(" ".join(sentences).encode() + b"\n\n")
                    count += 1
            seed += 1
    return count


# -------------------------------------------------------------- one start, in a process of its own


def beginning(texts: Iterable[str], characters: float) -> Iterator[str]:
    """The first texts, until there are so many characters."""
    for text in texts:
        yield text
        characters -= len(text)
        if characters <= 0:
            return


def start(
    model: str, folder: Path, processes: int, vocab_size: int, tokenizer_megabytes: float
) -> None:
    """What lesson 05 does before its first step.  Writes a line of JSON after each stage."""
    import minillm  # noqa: F401  as the lesson, all of it
    from minillm.data import (
        CausalBatches,
        PretrainingBatches,
        encode_corpus,
        open_corpus,
        split_documents,
    )
    from minillm.text import BPETokenizer, WordPieceTokenizer, clean_text, open_tokenizer

    def done(stage: str, **known) -> None:
        print(json.dumps({"stage": stage, **known}), flush=True)

    done("imports")
    corpus = open_corpus(folder / "corpus.txt")
    training, held_out = split_documents(corpus, held_out=0.1)
    done("open the text")
    tokenizer_file = folder / f"{model}.json"
    if tokenizer_file.is_file():
        tokenizer = open_tokenizer(tokenizer_file)
        done("open the tokenizer")
    else:
        texts = beginning(training, tokenizer_megabytes * 1e6)
        cleaned = (clean_text(text) for text in texts)
        if model == "gpt":
            tokenizer = BPETokenizer.train(cleaned, vocab_size, processes=processes)
        else:
            tokenizer = WordPieceTokenizer.train(
                cleaned, vocab_size, limit_alphabet=vocab_size // 2, show_progress=False
            )
        tokenizer.save(tokenizer_file)
        done("train the tokenizer")
    whole = model == "gpt"
    encoded = []
    for name, part in (("training part", training), ("held-out part", held_out)):
        encoded.append(
            encode_corpus(
                *(part, tokenizer, folder / "cache"), whole_documents=whole, processes=processes
            )
        )
        done(
            f"encode the {name}",
            tokens=encoded[-1].token_count,
            sentences=encoded[-1].sentence_count,
            documents=encoded[-1].document_count,
        )
    if model == "gpt":
        end = tokenizer.token_to_id("<|endoftext|>")
        batches = CausalBatches(encoded[0], batch_size=16, length=128, end_of_text=end)
        batches.batch(0)
        done("the first batch")
        total = len(batches)
    else:
        settings = {"batch_size": 32, "max_length": 64, "short_seq_prob": 0.0, "contrast": True}
        batches = PretrainingBatches(encoded[0], tokenizer, **settings)
        batches.batch(0)
        done("the first batch", sections=batches.sections.count)
        PretrainingBatches(encoded[1], tokenizer, **settings).batch(0)
        done("the first held-out batch")
        total = len(batches)
    for k in range(2000):
        batches.batch(k)
    done("2,000 batches")
    for k in range(5):
        batches.batch(total * k // 5 + 1)
    done("5 batches all over the epoch")


# ----------------------------------------------------------------------------- watching a process


def memory_of_tree(pid: int) -> tuple[float, float]:
    """(RSS, PSS) in megabytes of a process and its descendants."""
    rss = pss = 0
    todo = [pid]
    while todo:
        p = todo.pop()
        try:
            for thread in os.listdir(f"/proc/{p}/task"):
                children = Path(f"/proc/{p}/task/{thread}/children").read_text()
                todo += map(int, children.split())
            for line in Path(f"/proc/{p}/smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    rss += int(line.split()[1])
                if line.startswith("Pss:"):
                    pss += int(line.split()[1])
        except OSError:
            continue  # it has ended meanwhile
    return rss * 1024 / 1e6, pss * 1024 / 1e6


class Watched:
    """A process, the seconds of its stages, and its memory over time."""

    def __init__(self, arguments: list[str]):
        environment = {**os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(  # measure this checkout
            [str(HERE.parents[1]), *filter(None, [environment.get("PYTHONPATH")])]
        )
        self.memory: list[tuple[float, float, float]] = []  # seconds, RSS, PSS
        self.stages: list[dict] = []
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--start", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

        def watch() -> None:
            while process.poll() is None:
                rss, pss = memory_of_tree(process.pid)
                self.memory.append((time.perf_counter() - began, rss, pss))
                time.sleep(0.25)

        watcher = threading.Thread(target=watch)
        watcher.start()
        before = 0.0
        assert process.stdout is not None
        try:
            for line in process.stdout:
                now = time.perf_counter() - began
                memory = [entry for entry in self.memory if entry[0] >= before] or self.memory[-1:]
                peak = {"rss": max(m[1] for m in memory), "pss": max(m[2] for m in memory)}
                self.stages.append({**json.loads(line), "seconds": now - before, "at": now, **peak})
                before = now
        except BaseException:  # we are told to stop
            process.kill()
            raise
        finally:
            process.wait()
            watcher.join()
        if process.returncode:
            sys.exit(f"it ended with {process.returncode}")

    def at(self, stage: str) -> float:
        """Seconds from the start of the process to the end of a stage."""
        return next(entry["at"] for entry in self.stages if entry["stage"] == stage)


def drop_from_cache(folder: Path) -> None:
    """Ask the operating system to forget the pages of these files."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# -------------------------------------------------------------------------------------- the report


def report(title: str, run: Watched, size: int) -> None:
    print(f"\n{title}\n  {'':32}{'seconds':>9}{'MB/s':>8}{'RSS, MB':>9}{'PSS, MB':>9}")
    for stage in run.stages:
        reads_text = stage["seconds"] > 1 and stage["stage"].startswith("encode")
        speed = f"{size / 1e6 / stage['seconds']:.1f}" if reads_text else ""
        known = ", ".join(
            f"{value:,} {name}"
            for name, value in stage.items()
            if name in ("tokens", "sentences", "documents", "sections")
        )
        print(
            f"  {stage['stage']:32}{stage['seconds']:>9.2f}{speed:>8}{stage['rss']:>9,.0f}"
            f"{stage['pss']:>9,.0f}  {known}"
        )


def print_memory_over_time(run: Watched, points: int = 20) -> None:
    """The peak in each of so many equal pieces of the time."""
    end = run.memory[-1][0]
    for name, column in (("RSS", 1), ("PSS", 2)):
        peaks = [0.0] * points
        for entry in run.memory:
            piece = min(points - 1, int(entry[0] / end * points))
            peaks[piece] = max(peaks[piece], entry[column])
        print(f"  {name} over time, MB: {' '.join(f'{peak:.0f}' for peak in peaks)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="+", help="text files or .jsonl(.gz) files with texts")
    parser.add_argument("--megabytes", type=float, default=2000, help="default 2000")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--processes", type=int, default=2, help="that encode (default 2)")
    parser.add_argument("--vocab-size", type=int, default=4096, help="default 4096")
    parser.add_argument(
        "--tokenizer-megabytes", type=float, help="train the tokenizer on so many (default: all)"
    )
    parser.add_argument("--out", help="make the temporary folder here (it needs 3 times the text)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # the folder is removed then too
    with tempfile.TemporaryDirectory(prefix="large_corpus-", dir=options.out) as name:
        folder = Path(name)
        text = folder / "corpus.txt"
        documents = write_text(options.texts, text, int(options.megabytes * 1e6))
        size = text.stat().st_size
        print(
            f"{size / 1e6:,.0f} MB of text, {documents:,} documents; {options.processes} ", end=""
        )
        print("processes encode", flush=True)
        for model in options.models:
            arguments = [model, name, str(options.processes), str(options.vocab_size)]
            arguments.append(str(options.tokenizer_megabytes or options.megabytes))
            first = Watched(arguments)
            report(f"{model}, the first start", first, size)
            print_memory_over_time(first)
            peaks = [max(entry[column] for entry in first.memory) for column in (1, 2)]
            print(f"  peak: RSS {peaks[0]:,.0f} MB, PSS {peaks[1]:,.0f} MB")
            for kind in ("files dropped from the cache", "files in the cache"):
                if kind == "files dropped from the cache":
                    drop_from_cache(folder)
                again = Watched(arguments)
                report(f"{model}, started again, {kind}", again, size)
                seconds = again.at("the first batch")
                print(f"  {seconds:.2f} s from the start of Python to the first batch", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--start"]:
        model, name, processes, vocab_size, megabytes = sys.argv[2:]
        start(model, Path(name), int(processes), int(vocab_size), float(megabytes))
    else:
        main()

"""Is the time that a text takes linear in its length, whatever the text is?

    python tests/benchmarks/linear_text.py

Each step on the way from text to ids is given texts that are made to be slow: one long word,
nothing but opened comments, a million accents on one letter (tests/adversarial_texts.py).  Printed
is the CPU time per byte (so that a busy machine matters less) for 100 kB, 1 MB and 10 MB of each,
and the ratio of the last to the first: near 1 if the time is linear, near 100 if it is quadratic.
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1])]  # measure this checkout

from adversarial_texts import SHAPES  # noqa: E402

from minillm.data.split import document_key  # noqa: E402
from minillm.text import (  # noqa: E402
    BPETokenizer,
    CharacterTokenizer,
    WordPieceTokenizer,
    clean_text,
    split_sentences,
)
from minillm.text.bpe_patterns import Pattern  # noqa: E402
from minillm.text.pretokenize import BertNormalizer, split_words  # noqa: E402
from minillm.text.word_counts import count_words  # noqa: E402

LIMIT = 1.5

# ------------------------------------------------------------------------------------------ steps


def make_steps() -> dict[str, Callable[[str], object]]:
    """{name: what is done to a text}."""
    sample = [shape(3_000) for shape in SHAPES.values()]
    wordpiece = WordPieceTokenizer.train(sample, vocab_size=3000, show_progress=False)
    bpe = BPETokenizer.train(sample, vocab_size=3000, processes=1)
    characters = CharacterTokenizer.train(sample, unk_token="<|unknown|>")
    normalizer = BertNormalizer()

    def encoding(tokenizer, cache: dict) -> Callable[[str], object]:
        def encode(text: str) -> object:
            cache.clear()  # what it remembers of the words of the text before
            return tokenizer.encode_ids(text)

        return encode

    return {
        "clean_text": clean_text,
        "clean_text (NFKC)": lambda text: clean_text(text, unicode_form="NFKC"),
        "split_sentences": split_sentences,
        "key of a document": document_key,
        "words (BERT)": lambda text: split_words(normalizer.normalize_str(text)),
        "words (gpt2)": Pattern("gpt2").words,
        "words (cl100k)": Pattern("cl100k").words,
        "count_words": lambda text: count_words([text], Pattern("gpt2").words, 1),
        "WordPiece": encoding(wordpiece, wordpiece.model),
        "BPE": encoding(bpe, bpe.model),
        "characters": encoding(characters, {}),
    }


# ------------------------------------------------------------------------------------ measurement


def seconds(step: Callable[[str], object], text: str) -> float:
    """CPU time of one call: the fastest of a few, for at least a tenth of a second."""
    best = float("inf")
    spent = 0.0
    while spent < 0.1:
        gc.collect()
        began = time.process_time()
        step(text)
        total = time.process_time() - began
        best = min(best, total)
        spent += max(total, 1e-4)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, nargs="+", default=[0.1, 1, 10])
    parser.add_argument("--steps", nargs="+", help="only steps whose names hold one of these")
    parser.add_argument("--shapes", nargs="+", help="only texts whose names hold one of these")
    parser.add_argument("--above", type=float, default=0.0, help="print only ratios above this")
    options = parser.parse_args()

    def chosen(name: str, words: list[str] | None) -> bool:
        return words is None or any(word in name for word in words)

    steps = {n: s for n, s in make_steps().items() if chosen(n, options.steps)}
    shapes = {n: s for n, s in SHAPES.items() if chosen(n, options.shapes)}
    header = "".join(f"{f'{size:g} MB':>9}" for size in options.megabytes)
    print(f"nanoseconds a byte (CPU){'':20}{header}    ratio")
    worst = 0.0
    for step_name, step in steps.items():
        for shape_name, shape in shapes.items():
            costs = []
            for megabytes in options.megabytes:
                text = shape(int(megabytes * 1e6))
                costs.append(seconds(step, text) / len(text.encode()) * 1e9)
                del text
            ratio = costs[-1] / costs[0]
            worst = max(worst, ratio)
            if ratio >= options.above:
                numbers = "".join(f"{cost:9.1f}" for cost in costs)
                mark = "  <--" if ratio > LIMIT else ""
                print(f"{step_name:18}{shape_name:26}{numbers}{ratio:9.2f}{mark}", flush=True)
    print(f"the greatest ratio: {worst:.2f} (linear: at most {LIMIT})")


if __name__ == "__main__":
    main()

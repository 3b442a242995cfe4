"""Solutions to the exercises of lesson 01.  Where minillm has the function, it is minillm's own."""

from collections import Counter

import numpy as np

from minillm.text import BertNormalizer, strip_html
from minillm.text import decode_entities as decode_html_entities
from minillm.text.pretokenize import split_words as split_normalized
from minillm.text.vocabulary import Vocabulary
from minillm.text.wordpiece_model import WordPiece


def strip_tags(html):
    # minillm's list of tags inside a line is longer than the exercise's: it is HTML's.
    return strip_html(html, separator=" ")


def decode_entities(text):
    return decode_html_entities(text)


def half_width(text):
    # NFKC (`normalize_unicode`) would also take apart "…" and "①": here only widths change.
    table = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " "}
    return text.translate(table)


def split_words(text):
    return split_normalized(BertNormalizer(strip_accents=False).normalize_str(text))


def build_vocabulary(sentences, max_size, min_count=1):
    special = ["[PAD]", "[UNK]"]
    counts = Counter(word for sentence in sentences for word in sentence if word not in special)
    frequent = [word for word in counts if counts[word] >= min_count]
    frequent.sort(key=lambda word: (-counts[word], word))
    words = (special + frequent)[:max_size]
    return Vocabulary({word: id for id, word in enumerate(words)}).ids


def count_pairs(words):
    counts = Counter()
    for symbols, n in words:
        for left, right in zip(symbols, symbols[1:], strict=False):
            counts[left, right] += n
    return dict(counts)


def merge_pair(symbols, pair):
    merged = []
    i = 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == tuple(pair):
            merged.append(pair[0] + pair[1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def train_bpe(word_counts, n_merges):
    words = [(list(word), n) for word, n in word_counts.items()]
    merges = []
    for _ in range(n_merges):
        counts = count_pairs(words)
        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < 2:
            break
        merges.append(best)
        words = [(merge_pair(symbols, best), n) for symbols, n in words]
    return merges


def encode_wordpiece(word, vocabulary):
    pieces = ["[UNK]", *sorted(set(vocabulary) - {"[UNK]"})]
    model = WordPiece({piece: id for id, piece in enumerate(pieces)})
    return [pieces[id] for id in model[word]]


def pad_batch(sequences, pad_id=0, max_length=None):
    cut = [sequence[:max_length] for sequence in sequences]
    length = max(len(sequence) for sequence in cut)
    ids = np.full((len(cut), length), pad_id, np.int64)
    mask = np.zeros((len(cut), length), np.int64)
    for row, sequence in enumerate(cut):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return ids, mask

"""Mistakes that students make in the exercises of lesson 01; the graders must name each."""

import html as html_standard
import re
import string
import unicodedata
from collections import Counter
from itertools import combinations

import numpy as np

from grading.mistakes import mistake

# ---------------------------------------------------------------- strip_tags

INLINE = {"a", "b", "em", "i", "span", "strong"}
COMMENT = r"<!--.*?-->|<![a-zA-Z][^>]*>"
UNSEEN = r"<(script|style)\b[^>]*>.*?</\1\s*>"
TAG = r"</?([a-zA-Z][a-zA-Z0-9]*)[^>]*>"


def _strip(html, comment=COMMENT, unseen=UNSEEN, tag=TAG, flags=re.DOTALL | re.IGNORECASE):
    """What would be right, but for what the caller changes."""

    def instead(match):
        return "" if match.group(1).lower() in INLINE else " "

    html = re.sub(unseen, " ", re.sub(comment, "", html, flags=flags), flags=flags)
    return re.sub(tag, instead, html, flags=flags)


@mistake("strip_tags", "the pattern is greedy: it runs from the first < to the last >")
def greedy_tag(html):
    return re.sub(r"<.*>", " ", html, flags=re.DOTALL)


@mistake("strip_tags", "the contents of <script> and <style> are no text")
def keeps_scripts(html):
    return _strip(html, unseen=r"(?!)")


@mistake("strip_tags", "a tag such as <br> must leave a space, or two words become one")
def glues_words(html):
    html = re.sub(UNSEEN, " ", re.sub(COMMENT, "", html, flags=re.S | re.I), flags=re.S | re.I)
    return re.sub(TAG, "", html)


@mistake("strip_tags", "tags in INLINE leave no space")
def space_for_every_tag(html):
    html = re.sub(UNSEEN, " ", re.sub(COMMENT, "", html, flags=re.S | re.I), flags=re.S | re.I)
    return re.sub(TAG, " ", html)


@mistake("strip_tags", 'a "<" that no letter follows is text')
def every_less_than_is_a_tag(html):
    return _strip(html, tag=r"</?([^\s>]*)[^>]*>")


@mistake("strip_tags", "upper and lower case of tags are the same")
def lower_case_tags_only(html):
    def instead(match):
        return "" if match.group(1) in INLINE else " "

    html = re.sub(UNSEEN, " ", re.sub(COMMENT, "", html, flags=re.S), flags=re.S)
    return re.sub(TAG, instead, html)


@mistake("strip_tags", "the pattern for scripts is greedy: what stands between two scripts is text")
def greedy_script(html):
    return _strip(html, unseen=r"<(script|style)\b[^>]*>.*</\1\s*>")


@mistake("strip_tags", "a tag, script or comment may contain line breaks")
def dot_without_newline(html):
    return _strip(html, tag=r"</?([a-zA-Z][a-zA-Z0-9]*).*?>", flags=re.IGNORECASE)


@mistake("strip_tags", "a comment ends at -->, not at the first >")
def comment_as_a_tag(html):
    return _strip(html, comment=r"<![^>]*>")


@mistake("strip_tags", "white space is left as it is")
def strips_white_space(html):
    return " ".join(_strip(html).split())


# ---------------------------------------------------------------- decode_entities

ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "eacute": "é"}
REFERENCE = r"&(?:#(\d+)|#[xX]([0-9a-fA-F]+)|(\w+));"


def _decode(text, pattern=REFERENCE, unknown=None):
    def character(match):
        decimal, hexadecimal, name = match.groups()
        if decimal:
            return chr(int(decimal))
        if hexadecimal:
            return chr(int(hexadecimal, 16))
        return ENTITIES.get(name, match.group() if unknown is None else unknown)

    return re.sub(pattern, character, text)


@mistake("decode_entities", "&amp; is decoded first, so that its & is decoded again")
def ampersand_first(text):
    for name, character in ENTITIES.items():
        text = text.replace(f"&{name};", character)
    return _decode(text, REFERENCE)


@mistake("decode_entities", "hexadecimal numbers (&#x...;) are missing")
def no_hexadecimal(text):
    return _decode(text, r"&(?:#(\d+)|#[xX]()(?!)|(\w+));")


@mistake("decode_entities", "numbers (&#...;) are missing")
def names_only(text):
    return _decode(text, r"&(?:()(?!)|()(?!)|(\w+));")


@mistake("decode_entities", "a number without x is decimal")
def everything_hexadecimal(text):
    return re.sub(r"&#[xX]?([0-9a-fA-F]+);", lambda m: chr(int(m[1], 16)), _names(text))


def _names(text):
    return _decode(text, r"&(?:()(?!)|()(?!)|(amp|lt|gt|quot|apos|eacute));")


@mistake("decode_entities", "the x of a hexadecimal number may be a capital X")
def small_x_only(text):
    return _decode(text, r"&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));")


@mistake("decode_entities", "without the semicolon it is no reference")
def html_unescape(text):
    return html_standard.unescape(text)


@mistake("decode_entities", "a name that isn't known stays as it is")
def removes_unknown_names(text):
    return _decode(text, unknown="")


@mistake("decode_entities", "the semicolon belongs to the reference")
def leaves_the_semicolon(text):
    return _decode(text, r"&(?:#(\d+)|#[xX]([0-9a-fA-F]+)|(\w+))(?=;)")


# ---------------------------------------------------------------- half_width


@mistake("half_width", "the ideographic space U+3000 is missing")
def forgets_the_space(text):
    return "".join(chr(ord(c) - 0xFEE0) if "！" <= c <= "～" else c for c in text)


@mistake("half_width", "the last one, ～ (U+FF5E), is missing")
def range_without_its_end(text):
    table = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5E)} | {0x3000: " "}
    return text.translate(table)


@mistake("half_width", "the difference is 0xFEE0, not 0xFF00")
def wrong_difference(text):
    table = {code: code - 0xFF00 for code in range(0xFF01, 0xFF5F)} | {0x3000: " "}
    return text.translate(table)


@mistake("half_width", "what lies behind U+FF5E stays")
def without_an_upper_limit(text):
    return "".join(" " if c == "\u3000" else chr(ord(c) - 0xFEE0) if c >= "！" else c for c in text)


@mistake("half_width", "punctuation marks are full-width characters too")
def letters_and_digits_only(text):
    return "".join(
        " " if c == "\u3000" else chr(ord(c) - 0xFEE0) if "０" <= c <= "ｚ" and c.isalnum() else c
        for c in text
    )


@mistake("half_width", "NFKC changes more than the width")
def nfkc(text):
    return unicodedata.normalize("NFKC", text)


# ---------------------------------------------------------------- split_words

CHINESE = r"[\u4e00-\u9fff]"


@mistake(
    "split_words", "punctuation marks are words by themselves, also without spaces around them"
)
def at_white_space_only(text):
    return re.sub(rf"({CHINESE})", r" \1 ", text.lower()).split()


@mistake("split_words", "str.split leaves punctuation marks and Chinese characters in one piece")
def string_split(text):
    return text.lower().split()


@mistake("split_words", r"\w+ passes over punctuation marks, and takes Chinese characters together")
def word_characters(text):
    return re.findall(r"\w+", text.lower())


@mistake("split_words", "each Chinese character is a word by itself")
def chinese_in_one_piece(text):
    return re.findall(r"[^\W_]+|[^\w\s]|_", text.lower())


@mistake("split_words", "the words are wanted in lower case")
def keeps_capitals(text):
    return re.findall(rf"{CHINESE}|(?:(?!{CHINESE})[^\W_])+|[^\w\s]|_", text)


@mistake("split_words", "punctuation marks don't vanish")
def drops_punctuation(text):
    return re.findall(rf"{CHINESE}|(?:(?!{CHINESE})[^\W_])+", text.lower())


@mistake("split_words", r"\w matches the underscore")
def underscore_is_a_letter(text):
    return re.findall(rf"{CHINESE}|(?:(?!{CHINESE})\w)+|[^\w\s]", text.lower())


@mistake("split_words", "there are letters outside of a to z")
def ascii_letters_only(text):
    return re.findall(r"[a-z0-9]+|\S", text.lower())


@mistake("split_words", "several punctuation marks in a row are several words")
def runs_of_punctuation(text):
    return re.findall(rf"{CHINESE}|(?:(?!{CHINESE})[^\W_])+|(?:[^\w\s]|_)+", text.lower())


@mistake("split_words", "Chinese punctuation marks aren't in string.punctuation")
def ascii_punctuation_only(text):
    marks = re.escape(string.punctuation)
    return re.findall(rf"{CHINESE}|[{marks}]|[^\s{marks}\u4e00-\u9fff]+", text.lower())


# ---------------------------------------------------------------- build_vocabulary

SPECIAL = ["[PAD]", "[UNK]"]


def _counts(sentences):
    return Counter(word for sentence in sentences for word in sentence if word not in SPECIAL)


def _numbered(words):
    return {word: id for id, word in enumerate(words)}


def _by_frequency(counts, min_count):
    words = [word for word in counts if counts[word] >= min_count]
    return sorted(words, key=lambda word: (-counts[word], word))


@mistake("build_vocabulary", "equally frequent words are in the order of `sorted`")
def ties_in_order_of_appearance(sentences, max_size, min_count=1):
    counts = _counts(sentences)
    words = [word for word, n in counts.most_common() if n >= min_count]
    return _numbered((SPECIAL + words)[:max_size])


@mistake("build_vocabulary", "max_size counts [PAD] and [UNK] too")
def special_tokens_besides(sentences, max_size, min_count=1):
    return _numbered(SPECIAL + _by_frequency(_counts(sentences), min_count)[:max_size])


@mistake("build_vocabulary", "a word that occurs exactly min_count times is in")
def more_than_min_count(sentences, max_size, min_count=1):
    return _numbered((SPECIAL + _by_frequency(_counts(sentences), min_count + 1))[:max_size])


@mistake("build_vocabulary", "min_count is ignored")
def without_min_count(sentences, max_size, min_count=1):
    return _numbered((SPECIAL + _by_frequency(_counts(sentences), 0))[:max_size])


@mistake("build_vocabulary", "ids begin at 0")
def ids_from_one(sentences, max_size, min_count=1):
    words = (SPECIAL + _by_frequency(_counts(sentences), min_count))[:max_size]
    return {word: id for id, word in enumerate(words, start=1)}


@mistake("build_vocabulary", "[PAD] and [UNK] come first")
def special_tokens_last(sentences, max_size, min_count=1):
    words = _by_frequency(_counts(sentences), min_count)[: max_size - 2]
    return _numbered(words + SPECIAL)


@mistake("build_vocabulary", "a [PAD] or [UNK] in the text is no new word")
def special_token_twice(sentences, max_size, min_count=1):
    counts = Counter(word for sentence in sentences for word in sentence)
    return _numbered((SPECIAL + _by_frequency(counts, min_count))[:max_size])


@mistake("build_vocabulary", "the most frequent words first, not in alphabetical order")
def alphabetical(sentences, max_size, min_count=1):
    return _numbered((SPECIAL + sorted(_by_frequency(_counts(sentences), min_count)))[:max_size])


@mistake("build_vocabulary", "the rarest words come first")
def rarest_first(sentences, max_size, min_count=1):
    counts = _counts(sentences)
    words = sorted(_by_frequency(counts, min_count), key=lambda word: (counts[word], word))
    return _numbered((SPECIAL + words)[:max_size])


@mistake("build_vocabulary", "count the occurrences of a word, not the sentences that hold it")
def counts_sentences(sentences, max_size, min_count=1):
    counts = _counts([set(sentence) for sentence in sentences])
    return _numbered((SPECIAL + _by_frequency(counts, min_count))[:max_size])


# ---------------------------------------------------------------- count_pairs


def _pairs(symbols):
    return list(zip(symbols, symbols[1:], strict=False))


@mistake("count_pairs", "a word that occurs n times counts n times")
def without_word_counts(words):
    return dict(Counter(pair for symbols, _ in words for pair in _pairs(symbols)))


@mistake("count_pairs", "a pair can occur several times in one word")
def once_a_word(words):
    counts = Counter()
    for symbols, n in words:
        for pair in set(_pairs(symbols)):
            counts[pair] += n
    return dict(counts)


@mistake("count_pairs", "the last pair of each word is missing")
def without_the_last_pair(words):
    counts = Counter()
    for symbols, n in words:
        for i in range(len(symbols) - 2):
            counts[symbols[i], symbols[i + 1]] += n
    return dict(counts)


@mistake("count_pairs", "the keys are pairs (left, right), not joined strings")
def joined_keys(words):
    counts = Counter()
    for symbols, n in words:
        for left, right in _pairs(symbols):
            counts[left + right] += n
    return dict(counts)


@mistake("count_pairs", "(a, b) and (b, a) are different pairs")
def without_order(words):
    counts = Counter()
    for symbols, n in words:
        for pair in _pairs(symbols):
            counts[tuple(sorted(pair))] += n
    return dict(counts)


@mistake("count_pairs", "the last symbol of a word and the first of the next are no neighbours")
def across_words(words):
    counts = Counter()
    previous = None
    for symbols, n in words:
        for symbol in symbols:
            if previous is not None:
                counts[previous, symbol] += n
            previous = symbol
    return dict(counts)


@mistake("count_pairs", "only neighbours are pairs")
def all_combinations(words):
    counts = Counter()
    for symbols, n in words:
        for pair in combinations(symbols, 2):
            counts[pair] += n
    return dict(counts)


@mistake("count_pairs", "the count of a pair is overwritten by the next word: add to it")
def overwrites(words):
    counts = {}
    for symbols, n in words:
        for pair in _pairs(symbols):
            counts[pair] = n
    return counts


# ---------------------------------------------------------------- merge_pair


@mistake("merge_pair", "the pair is merged wherever it occurs, not only the first time")
def first_only(symbols, pair):
    for i in range(len(symbols) - 1):
        if (symbols[i], symbols[i + 1]) == tuple(pair):
            return symbols[:i] + [pair[0] + pair[1]] + symbols[i + 2 :]
    return list(symbols)


@mistake("merge_pair", "the last symbol of the word is lost")
def loses_the_last(symbols, pair):
    merged, i = [], 0
    while i < len(symbols) - 1:
        if (symbols[i], symbols[i + 1]) == tuple(pair):
            merged.append(pair[0] + pair[1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


@mistake("merge_pair", "a symbol that was merged is used up: go on behind it")
def uses_symbols_twice(symbols, pair):
    merged = []
    for i, symbol in enumerate(symbols):
        if tuple(symbols[i : i + 2]) == tuple(pair):
            merged.append(pair[0] + pair[1])
        elif i == 0 or tuple(symbols[i - 1 : i + 1]) != tuple(pair):
            merged.append(symbol)
    return merged


@mistake("merge_pair", "the end of a longer symbol isn't the symbol")
def replaces_in_the_text(symbols, pair):
    return " ".join(symbols).replace(" ".join(pair), "".join(pair)).split()


@mistake("merge_pair", "in place")
def changes_the_list(symbols, pair):
    i = 0
    while i + 1 < len(symbols):
        if (symbols[i], symbols[i + 1]) == tuple(pair):
            symbols[i : i + 2] = [pair[0] + pair[1]]
        i += 1
    return symbols


@mistake("merge_pair", "from left to right, not from the end")
def from_the_right(symbols, pair):
    merged, i = [], len(symbols)
    while i > 0:
        if tuple(symbols[max(i - 2, 0) : i]) == tuple(pair):
            merged.insert(0, pair[0] + pair[1])
            i -= 2
        else:
            merged.insert(0, symbols[i - 1])
            i -= 1
    return merged


@mistake("merge_pair", "the order of the two matters")
def either_order(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        if i + 1 < len(symbols) and sorted(symbols[i : i + 2]) == sorted(pair):
            merged.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


# ---------------------------------------------------------------- train_bpe


def _pair_counts(words):
    counts = Counter()
    for symbols, n in words:
        for pair in _pairs(symbols):
            counts[pair] += n
    return counts


def _merged(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            merged.append(pair[0] + pair[1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def _train(word_counts, n_merges, count=_pair_counts, best=None, merge=_merged, least=2):
    """What would be right, but for what the caller changes."""
    words = [(list(word), n) for word, n in word_counts.items()]
    merges = []
    while len(merges) < n_merges:
        counts = count(words)
        if not counts or max(counts.values()) < least:
            break
        pair = best(counts) if best else min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(pair)
        words = [(merge(symbols, pair), n) for symbols, n in words]
    return merges


@mistake("train_bpe", "how often a word occurs is ignored")
def every_word_once(word_counts, n_merges):
    return _train({word: 1 for word in word_counts}, n_merges)


@mistake(
    "train_bpe", "among equally frequent pairs the first of `sorted`, not the first that was seen"
)
def ties_first_seen(word_counts, n_merges):
    return _train(word_counts, n_merges, best=lambda counts: max(counts, key=counts.get))


@mistake("train_bpe", "among equally frequent pairs the first of `sorted`, not the last")
def ties_largest(word_counts, n_merges):
    return _train(
        word_counts, n_merges, best=lambda counts: max(counts, key=lambda p: (counts[p], p))
    )


@mistake("train_bpe", "the pairs must be counted again after each merge")
def counts_only_once(word_counts, n_merges):
    counts = _pair_counts([(list(word), n) for word, n in word_counts.items()])
    ordered = sorted(counts, key=lambda pair: (-counts[pair], pair))
    return [pair for pair in ordered if counts[pair] >= 2][:n_merges]


@mistake("train_bpe", "a pair that occurs only once isn't merged")
def merges_until_nothing_is_left(word_counts, n_merges):
    return _train(word_counts, n_merges, least=1)


@mistake("train_bpe", "returns the merged symbols; the pairs are wanted")
def joined_merges(word_counts, n_merges):
    return [left + right for left, right in _train(word_counts, n_merges)]


@mistake("train_bpe", "the pair must be merged at every place in a word")
def merges_first_place_only(word_counts, n_merges):
    def merge(symbols, pair):
        for i in range(len(symbols) - 1):
            if (symbols[i], symbols[i + 1]) == pair:
                return [*symbols[:i], pair[0] + pair[1], *symbols[i + 2 :]]
        return symbols

    return _train(word_counts, n_merges, merge=merge)


@mistake("train_bpe", "one merge too many")
def one_too_many(word_counts, n_merges):
    return _train(word_counts, n_merges + 1)


@mistake("train_bpe", "a pair can occur several times in one word")
def counts_once_a_word(word_counts, n_merges):
    def count(words):
        return _pair_counts([(pair, n) for symbols, n in words for pair in set(_pairs(symbols))])

    return _train(word_counts, n_merges, count=count)


# ---------------------------------------------------------------- encode_wordpiece


def _wordpiece(word, vocabulary, ends, start_prefix="", prefix="##"):
    pieces, start = [], 0
    while start < len(word):
        marked = prefix if start else start_prefix
        for end in ends(start, len(word)):
            if marked + word[start:end] in vocabulary:
                pieces.append(marked + word[start:end])
                start = end
                break
        else:
            return ["[UNK]"]
    return pieces


def _longest_first(start, length):
    return range(length, start, -1)


@mistake("encode_wordpiece", "the longest piece first, not the shortest")
def shortest_first(word, vocabulary):
    return _wordpiece(word, vocabulary, lambda start, length: range(start + 1, length + 1))


@mistake("encode_wordpiece", "a piece inside of a word is looked up with the prefix ##")
def without_prefix(word, vocabulary):
    return _wordpiece(word, vocabulary, _longest_first, prefix="")


@mistake("encode_wordpiece", "the prefix ## stays in the result")
def removes_the_prefix(word, vocabulary):
    return [p.removeprefix("##") for p in _wordpiece(word, vocabulary, _longest_first)]


@mistake("encode_wordpiece", "the whole word becomes one [UNK]")
def unknown_rest(word, vocabulary):
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                pieces.append(piece)
                start = end
                break
        else:
            return [*pieces, "[UNK]"]
    return pieces


@mistake("encode_wordpiece", "a character that fits nowhere isn't skipped")
def skips_characters(word, vocabulary):
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                pieces.append(piece)
                start = end
                break
        else:
            start += 1
    return pieces


@mistake(
    "encode_wordpiece", "a piece may reach to the last character: the end of a range is excluded"
)
def never_the_last_character(word, vocabulary):
    return _wordpiece(word, vocabulary, lambda start, length: range(length - 1, start, -1))


@mistake("encode_wordpiece", "a piece with ## can't begin a word")
def continuation_at_the_start(word, vocabulary):
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            found = [p for p in (word[start:end], "##" + word[start:end]) if p in vocabulary]
            if found:
                pieces.append(found[-1] if start else found[0])
                start = end
                break
        else:
            return ["[UNK]"]
    return pieces


@mistake("encode_wordpiece", "what was taken stays taken: a shorter piece isn't tried afterwards")
def goes_back(word, vocabulary):
    def rest(start):
        if start == len(word):
            return []
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary and (behind := rest(end)) is not None:
                return [piece, *behind]
        return None

    return rest(0) or ["[UNK]"]


@mistake("encode_wordpiece", "begin at the left, not at the end of the word")
def from_the_end(word, vocabulary):
    pieces, end = [], len(word)
    while end > 0:
        for start in range(end):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                pieces.insert(0, piece)
                end = start
                break
        else:
            return ["[UNK]"]
    return pieces


# ---------------------------------------------------------------- pad_batch


def _pad(sequences, pad_id, length=None):
    length = max(map(len, sequences)) if length is None else length
    ids = [list(s) + [pad_id] * (length - len(s)) for s in sequences]
    mask = [[1] * len(s) + [0] * (length - len(s)) for s in sequences]
    return np.array(ids), np.array(mask)


@mistake("pad_batch", "an id of a sequence may equal pad_id: take the mask from the lengths")
def mask_from_ids(sequences, pad_id=0, max_length=None):
    ids, _ = _pad([s[:max_length] for s in sequences], pad_id)
    return ids, (ids != pad_id).astype(int)


@mistake("pad_batch", "padding goes to the end, not to the beginning")
def pads_on_the_left(sequences, pad_id=0, max_length=None):
    ids, mask = _pad([s[:max_length][::-1] for s in sequences], pad_id)
    return ids[:, ::-1].copy(), mask[:, ::-1].copy()


@mistake("pad_batch", "max_length is ignored")
def without_truncation(sequences, pad_id=0, max_length=None):
    return _pad(sequences, pad_id)


@mistake("pad_batch", "only to the longest of this batch, not to max_length")
def pads_to_max_length(sequences, pad_id=0, max_length=None):
    return _pad([s[:max_length] for s in sequences], pad_id, max_length)


@mistake("pad_batch", "sequences lose their end, not their beginning")
def cuts_the_beginning(sequences, pad_id=0, max_length=None):
    return _pad([s[-max_length:] if max_length else s for s in sequences], pad_id)


@mistake("pad_batch", "pad_id is ignored")
def pads_with_zero(sequences, pad_id=0, max_length=None):
    return _pad([s[:max_length] for s in sequences], 0)


@mistake("pad_batch", "the mask is 1 for ids and 0 for padding, not the reverse")
def mask_reversed(sequences, pad_id=0, max_length=None):
    ids, mask = _pad([s[:max_length] for s in sequences], pad_id)
    return ids, 1 - mask


@mistake("pad_batch", "the mask counts padding as ids")
def mask_of_ones(sequences, pad_id=0, max_length=None):
    ids, _ = _pad([s[:max_length] for s in sequences], pad_id)
    return ids, np.ones_like(ids)


@mistake("pad_batch", "in place")
def fills_the_argument(sequences, pad_id=0, max_length=None):
    mask = _pad([s[:max_length] for s in sequences], pad_id)[1]
    for sequence in sequences:
        del sequence[mask.shape[1] :]
        sequence += [pad_id] * (mask.shape[1] - len(sequence))
    return np.array(sequences), mask

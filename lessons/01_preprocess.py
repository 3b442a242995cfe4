# %% [markdown]
# # Lesson 01: from a web page to numbers
#
# A network eats numbers. What we have is a page from the web: tags, scripts, entities, characters
# that nobody sees, two languages. This lesson goes all the way from the bytes of such a page to a
# rectangle of integers that a network can be trained on, and shows each step before and after.
#
# **You will learn** how text gets dirty and how each kind of dirt is removed without harming the
# rest; what words, characters and subwords are as units; why an unknown word is a problem, and
# how BPE and WordPiece make it disappear; what ids, one-hot vectors, padding and masks are; and
# why a third to a half of all distinct words occur only once, whatever you collect.
#
# **Expectation card** (both the default run and `--quick`)
#
# | what | expected |
# |---|---|
# | the six steps of cleaning, one after the other | the same text as `clean_text` in one call |
# | the 5,000 most frequent words as vocabulary | 5 to 15 % of the words of new texts are unknown |
# | WordPiece, as many pieces | below 0.5 % of the words of new texts are unknown |
# | tokens a word, WordPiece | 1.05 to 1.5: a few more than words, far fewer than characters |
# | a one-hot matrix times the table | the same as looking up the rows |
# | Zipf's law: slope of log count against log rank | near -1, between -0.8 and -1.3 |
# | words that occur only once | 30 to 60 % of all distinct words |
# | broken: text such as `ç”µå½±` | the bytes were decoded in the wrong encoding |
# | broken: `amp` and `nbsp` are frequent words | the entities were not decoded |
# | broken: tags are back in the cleaned text | decoded twice, or before the tags went |
# | broken: many `[UNK]` | training and use clean the text differently |
# | broken: a text's result changes with its neighbours in the batch | the padding was not masked |

# %%
import difflib
import json
import math
import time
import unicodedata
from collections import Counter

import numpy as np

from minillm.data import split_documents
from minillm.evaluation.pictures import pyplot
from minillm.lessons import arguments, pictures, say, some_texts, table
from minillm.text import (
    BertNormalizer,
    WordPieceTokenizer,
    clean_text,
    decode_entities,
    normalize_unicode,
    normalize_whitespace,
    remove_invisible,
    replace_urls,
    strip_html,
)
from minillm.text.pretokenize import split_words
from minillm.text.wordpiece_model import WordPiece
from minillm.text.wordpiece_training import train_vocabulary


def add_options(parser):
    parser.add_argument("--page", help="clean your own page: an HTML or text file in UTF-8")


options = arguments("01_preprocess", "Clean a page, cut it up, number it.", add_options)
results = {}  # the numbers of this run, written to results.json at the end

# %% [markdown]
# ## 1. A page from the web
#
# Here is what a server sent, as a browser gets it. `\u200b` and the like are characters that
# can't be seen; they are written as codes here so that you know where they are.

# %%
PAGE = """\ufeff<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Two Cups of Tea &mdash; a review</title>
<style>p { color: #333 } .zh::after { content: "<br>" }</style>
<script>
  if (words < 100 && score > 7) { document.write("<p>Buy a ticket!</p>"); }
</script>
</head>
<body>
<!-- note: ask Ming for the poster -->
<h1>Two Cups of Tea / 两杯茶</h1>
<p>It&#8217;s an <b>un</b>be\u00adliev\u00adable little film. R&eacute;al, at the cafe\u0301,
says&nbsp;nothing for&nbsp;&nbsp;ten minutes &amp; I &lt;3 it \U0001f44d\U0001f3fd.</p>
<p class="zh">这部电影真好看\u200b！<br/>我给它打ＩＭＤｂ　９．５／１０分，不是５分。
\U0001f468\u200d\U0001f469\u200d\U0001f467</p>
<ul><li>Music: ★★★★☆</li><li>Story: &#x2605;&#x2605;</li></ul>
<p>See <a href="https://example.org/tea?x=1&amp;y=2" title="a > b">my notes</a>
or https://example.org/tea?x=1&amp;y=2, not AT&T's. For bold type write &lt;b&gt;.</p>\r
<img src="cup.png" alt="a cup"><hr>


<footer>\u00a9 2024 Tea\u2122 &middot; the ﬁnal ﬂight, 10\u00b2 cups</footer>
</body>
</html>
"""


UNSEEN = {"Cc", "Cf", "Co", "Cn", "Zs", "Zl", "Zp", "Mn"}  # controls, formats, spaces, marks


def visible(text):
    """The text with codes for what can't be seen: \\u200b for a zero-width space."""
    return "".join(
        f"\\u{ord(c):04x}" if c not in " \n" and unicodedata.category(c) in UNSEEN else c
        for c in text
    )


if options.page:
    with open(options.page, "rb") as file:
        received = file.read()
else:
    received = PAGE.encode("utf-8")
    say(f"The page, {len(received):,} bytes:")
    print("\n" + visible(PAGE))

# %% [markdown]
# What travels is bytes, and somebody has to know what they mean. UTF-8 writes an English letter
# in one byte, a Chinese character in three, an emoji in four. Read with the table of another
# encoding the same bytes are gibberish. If a data set looks like that, don't repair it: read it
# again, with the right encoding.

# %%
sample = "电影 café"
table(
    [
        (name, sample.encode("utf-8").decode(name, errors="replace"))
        for name in ("utf-8", "cp1252", "gb18030")
    ],
    ("the bytes of '电影 café', read as", "text"),
)
try:
    text = received.decode("utf-8", options.errors)
except UnicodeDecodeError as error:
    raise ValueError(
        f"{options.page} isn't UTF-8 ({error}): save it as UTF-8 first, or read U+FFFD for such "
        "bytes with --replace-invalid"
    ) from None

# %% [markdown]
# ## 2. Cleaning, step by step
#
# Each step removes one kind of dirt, and must leave alone what only looks like dirt: `I <3 it` is
# not a tag, and `AT&T` not an entity. Lines that a step takes away are marked `-`, lines that
# it puts there instead `+`.

# %%
SHOWN = 8 if options.page else 40  # lines of a difference


def step(name, function, text):
    """function(text); prints the lines that it changed, and the number of characters."""
    after = function(text)
    say(f"{name}: {len(text):,} characters -> {len(after):,}")
    old, new = ([line for line in t.split("\n") if line.strip(" ")] for t in (text, after))
    difference = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
        if kind != "equal":
            difference += ["- " + visible(line)[:92] for line in old[i:j]]
            difference += ["+ " + visible(line)[:92] for line in new[k:m]]
    for line in difference[:SHOWN]:
        print("   ", line)
    if len(difference) > SHOWN:
        print(f"    ... and {len(difference) - SHOWN} more lines")
    return after


page = text

# %% [markdown]
# **Tags.** `<br>` and `<p>` break the line, `<b>` doesn't: `<b>un</b>believable` is one word. Of
# scripts, styles and comments the contents go too. A pattern such as `<.*?>` would do harm here:
# the script has a `<` that opens nothing, a title has a `>` inside quotes.

# %%
text = step("strip_html", strip_html, text)

# %% [markdown]
# **Entities.** After the tags, never before: `&lt;b&gt;` says "show the characters `<b>`".
# Decoded first, it would become a tag and vanish.

# %%
text = step("decode_entities", decode_entities, text)
wrong = strip_html(decode_entities("Write &lt;b&gt;."))
right = decode_entities(strip_html("Write &lt;b&gt;."))
say(f"In the right order: {right!r}. In the wrong order: {wrong!r}.")

# %% [markdown]
# **Invisible characters.** The mark at the beginning of the file (`\ufeff`), soft hyphens
# (`\u00ad`), zero-width spaces. Two words that look the same are different words with one of
# these inside, and a search finds only one of them. A family emoji is three people joined by
# `\u200d`; without the joints they stand side by side.

# %%
text = step("remove_invisible", remove_invisible, text)

# %% [markdown]
# **One code for one look.** `é` is one character (`\u00e9`), or an `e` and an accent
# (`e\u0301`). The form NFC makes it one. NFKC goes further and replaces what is *compatible*:
# full-width `９．５` (as Chinese keyboards type it), the ligature `ﬁ`. It has a price: `10²`
# becomes `102`, and the Chinese comma `，` becomes the English one. For Chinese text that is
# to be *written* by a model, stay with NFC (the default of `clean_text`); for text that is
# only to be understood NFKC is often better.

# %%
text = step("normalize_unicode, NFKC", lambda t: normalize_unicode(t, "NFKC"), text)

# %% [markdown]
# **Addresses** say little, and each is a new word. They go (or become a word such as `URL`); the
# comma behind stays. An emoji stays too: it is text, and often says more than the sentence.

# %%
text = step("replace_urls", replace_urls, text)

# %% [markdown]
# **White space**, last, since all steps before may leave some. Tabs, no-break spaces and runs of
# spaces become one space; empty lines between paragraphs stay, for they mean something.

# %%
text = step("normalize_whitespace", normalize_whitespace, text)
same = text == clean_text(page, unicode_form="NFKC")
say(f"The same as clean_text(page, unicode_form='NFKC') in one call: {same}. Cleaned:")
print("\n" + "\n".join("    " + line[:92] for line in text.split("\n")[:SHOWN]))
results["same_as_clean_text"] = same

# %% [markdown]
# ## 3. Words, characters, subwords
#
# What is the unit? Three answers, and none is free.

# %%
normalizer = BertNormalizer(lowercase=True)


def words_of(text):
    """Lower-case words without accents; punctuation marks and Chinese characters stand alone."""
    return split_words(normalizer.normalize_str(text))


line = "Unbelievable: the café's ending, 这部电影真好看!"
table(
    [
        ("split at white space", len(line.split()), " ".join(f"[{w}]" for w in line.split())),
        ("words", len(words_of(line)), " ".join(words_of(line))),
        ("characters", len(line), " ".join(line)),
    ],
    ("unit", "tokens", line),
)

# %% [markdown]
# White space is not enough: `ending,` and `ending` would be two words, and Chinese has no spaces
# at all. What a Chinese *word* is, is a question for a dictionary, and dictionaries disagree;
# BERT takes each Chinese character by itself, and so does this library.
#
# Now real text. Nine tenths of the documents to count words in, one tenth as "new" text: what
# happens when the vocabulary that we collected meets a text that it hasn't seen?

# %%
corpus = some_texts(options)
if options.quick:
    corpus = corpus.first(1500)
begun = time.perf_counter()
training, held_out = (
    list(part) for part in split_documents([clean_text(text) for text in corpus], held_out=0.1)
)
if not training or not held_out:
    raise ValueError(f"{corpus.name}: too few documents for a tenth to be set aside. Add documents")

N, counts, growth = 0, Counter(), []  # growth: (words read, distinct words) after each document
for text in training:
    words = words_of(text)
    counts.update(words)
    N += len(words)
    growth.append((N, len(counts)))
new = Counter(word for text in held_out for word in words_of(text))
ranked = [word for word, _ in counts.most_common()]
V = len(counts)
say(
    f"{corpus.name}: {len(training):,} documents, {N:,} words, {V:,} distinct ones; "
    f"{len(held_out):,} new documents. {time.perf_counter() - begun:.0f} s"
)


def unknown(vocabulary):
    """The part of the words of the new texts that is not in the vocabulary."""
    return 1 - sum(n for word, n in new.items() if word in vocabulary) / new.total()


sizes = [size for size in (1000, 5000, 20_000, 50_000) if size < V] + [V]
table(
    [(f"the {size:,} most frequent", f"{unknown(set(ranked[:size])):.2%}") for size in sizes],
    ("words in the vocabulary", "unknown words in new texts"),
)
never_seen = sorted(word for word in new if word not in counts)
say("Never seen, not once: " + ", ".join(never_seen[:: max(len(never_seen) // 14, 1)][:14]) + ".")
results["unknown_words_5000"] = unknown(set(ranked[:5000]))

# %% [markdown]
# Why is an unknown word a problem? All unknown words become the same token, `[UNK]`: a name, a
# spelling mistake, a rare but decisive "unwatchable". The network can't tell them apart, can't
# learn from them, and can't write them. A larger vocabulary helps slowly and costs much: each
# word needs a row of parameters, and the rows of rare words are hardly ever trained.
#
# Characters have the opposite problem. There are few, hardly one is unknown, but texts become
# four times as long, and attention's work grows with the square of the length. And a letter means
# nothing by itself.

# %%
letters = sum(n * len(word) for word, n in counts.items())
alphabet = {c for word in counts for c in word}
table(
    [
        ("words", f"{V:,}", "1.00", f"{unknown(counts):.2%}"),
        (
            "characters",
            f"{len(alphabet):,}",
            f"{letters / N:.2f}",
            f"{1 - sum(n for w, n in new.items() if alphabet.issuperset(w)) / new.total():.2%}",
        ),
    ],
    ("unit", "vocabulary", "tokens a word", "words with something unknown"),
)

# %% [markdown]
# ## 4. BPE, a merge at a time
#
# Subwords are between the two: frequent words stay whole, rare ones are spelled in pieces. Which
# pieces? *Byte pair encoding* (Gage 1994; Sennrich, Haddow and Birch 2016) finds them by
# counting:
#
# 1. Begin with single characters. `_` marks the end of a word.
# 2. Count all pairs of neighbours, in all words.
# 3. Merge the most frequent pair into one piece, everywhere. Back to 2.
#
# The corpus is small enough to follow by eye: ten words with their counts. Before you read on:
# which pair comes first?

# %%
SMALL = {
    "act": 5,
    "acts": 3,
    "acting": 5,
    "actor": 4,
    "actors": 3,
    "film": 6,
    "films": 5,
    "filming": 4,
    "star": 5,
    "starring": 4,
}


def count_pairs(words):
    """{(left, right): how often they stand next to each other}; words: {tuple of pieces: n}."""
    pairs = Counter()
    for pieces, n in words.items():
        for pair in zip(pieces, pieces[1:], strict=False):
            pairs[pair] += n
    return pairs


def merge(pieces, pair):
    """(a, b, c, b, c) with the pair (b, c) -> (a, bc, bc)"""
    merged = []
    for piece in pieces:
        if merged and (merged[-1], piece) == pair:
            merged[-1] += piece
        else:
            merged.append(piece)
    return tuple(merged)


words = {(*word, "_"): n for word, n in SMALL.items()}
pairs = count_pairs(words)
say("The most frequent pairs at the beginning:")
table([("".join(p), n) for p, n in pairs.most_common(6)], ("pair", "count"))

# %% [markdown]
# Of equally frequent pairs one must be chosen by a rule, or two computers learn two vocabularies.
# Here: the one that is first in the alphabet.

# %%
merges, rows = [], []
while len(merges) < 14:
    pairs = count_pairs(words)
    best = min(pairs, key=lambda pair: (-pairs[pair], pair))
    words = {merge(pieces, best): n for pieces, n in words.items()}
    merges.append(best)
    changed = [" ".join(pieces) for pieces in words if "".join(best) in pieces]
    rows.append((len(merges), " + ".join(best), pairs[best], ",  ".join(changed[:5])))
table(rows, ("merge", "pair", "count", "words that hold the new piece (five at most)"))
say("After these merges:")
print("    " + ",  ".join(" ".join(pieces) for pieces in words))

# %% [markdown]
# Stems and endings were found, and nobody told it what a stem is. (It also finds nonsense, if
# nonsense is frequent.) The *list of merges* is what BPE has learned. A new word is cut up by the
# same merges in the same order:


# %%
def encode_bpe(word):
    """The pieces after each merge that changed something."""
    pieces = (*word, "_")
    history = [pieces]
    for pair in merges:
        pieces = merge(pieces, pair)
        if pieces != history[-1]:
            history.append(pieces)
    return history


print("    " + "  ->  ".join(" ".join(pieces) for pieces in encode_bpe("stars")))
table(
    [(word, " ".join(encode_bpe(word)[-1])) for word in ("stars", "factors", "filmstar", "zoom")],
    ("a new word", "its pieces"),
)

# %% [markdown]
# None of the four was in the corpus. "stars" is a known stem and a known ending, "factors" an
# `f` and something known; "zoom" stays characters, and its `z` was never seen, so it has no
# id. GPT's answer: begin with the 256 *bytes* instead of with characters. Every text is
# bytes, so nothing can be unknown, neither `z` nor 电 (three bytes) nor 👍 (four).

# %%
for character in ("z", "é", "电", "\U0001f44d"):
    print(f"    {character}  {' '.join(f'{byte:02x}' for byte in character.encode('utf-8'))}")

# %% [markdown]
# ## 5. WordPiece
#
# BERT's way differs in three details:
#
# - Not the end of a word is marked but its continuation: `act ##ing`.
# - What is kept is the vocabulary, without the merges. A word is cut *greedily*: from the left,
#   always the longest piece that the vocabulary has.
# - If at some place nothing fits, the *whole word* becomes `[UNK]`.
#
# The library's trainer merges the most frequent pair too (Google's own was never published).
# Asked for one token more each time, it shows its steps:

# %%
special = ["[UNK]"]
tokens = train_vocabulary(SMALL, vocab_size=1000, min_frequency=7, special_tokens=special)
start = next(i for i, token in enumerate(tokens) if len(token.removeprefix("##")) == 2)
say(f"{start - 1} pieces of one character, such as {' '.join(tokens[1:4])} {tokens[start - 1]}.")


def cut(word, vocabulary):
    """The pieces of a word, by the library's WordPiece."""
    ids = WordPiece({token: id for id, token in enumerate(vocabulary)})[word]
    return " ".join(vocabulary[id] for id in ids)


table(
    [
        (i - start + 1, tokens[i], *(cut(word, tokens[: i + 1]) for word in ("acting", "films")))
        for i in range(start, len(tokens))
    ],
    ("merge", "new piece", "acting", "films"),
)
table(
    [(word, cut(word, tokens)) for word in ("stars", "factors", "filmstar", "zoom")],
    ("a new word", "its pieces"),
)

# %% [markdown]
# Compare with BPE. "stars" works. In "factors" the stem is lost: `act` was learned at the
# beginning of words only, `##act` is another piece that nobody has. And in "filmstar" greed does
# harm: after `film` the longest piece that fits is `##s`, for `##star` was never learned either.

# %% [markdown]
# Some trainers (and many descriptions of WordPiece) choose by another number: not how often the
# pair occurs, but how much more often than its parts would lead one to expect, count(ab) /
# (count(a) count(b)). That prefers pairs of rare characters that always go together:

# %%
pieces = {(word[0], *("##" + c for c in word[1:])): n for word, n in SMALL.items()}
single = Counter()
for word, n in pieces.items():
    for piece in word:
        single[piece] += n
pairs = count_pairs(pieces)
by_score = sorted(pairs, key=lambda p: -pairs[p] / (single[p[0]] * single[p[1]]))
by_count = sorted(pairs, key=lambda p: -pairs[p])
show = [("by count", by_count[:3]), ("by score", by_score[:3])]
table([(how, ",  ".join(" + ".join(p) for p in best)) for how, best in show], ("first", "pairs"))

# %% [markdown]
# Now on the real text, with as many pieces as the second row of the table of section 3 had words:

# %%
begun = time.perf_counter()
tokenizer = WordPieceTokenizer.train(
    training, vocab_size=5000, limit_alphabet=2000, show_progress=False
)
tokenizer.save(options.out / "tokenizer.json")
unk = tokenizer.token_to_id("[UNK]")
pieces_of = tokenizer.model  # a table {word: ids of its pieces}, filled on demand
in_pieces = sum(n * len(pieces_of[word]) for word, n in new.items()) / new.total()
lost = sum(n for word, n in new.items() if unk in pieces_of[word]) / new.total()
say(
    f"{tokenizer.get_vocab_size():,} pieces, trained in {time.perf_counter() - begun:.0f} s, saved "
    f"as {options.out / 'tokenizer.json'}."
)
table(
    [
        ("words, the 5,000 most frequent", "1.00", f"{results['unknown_words_5000']:.2%}"),
        ("WordPiece, as many", f"{in_pieces:.2f}", f"{lost:.2%}"),
        ("characters", f"{letters / N:.2f}", "0.00%"),
    ],
    ("unit", "tokens a word", "unknown words in new texts"),
)
say("Words that the texts didn't hold, in pieces:")
for word in [w for w in never_seen if 8 < len(w) < 16 and w.isalpha()][:400:50]:
    print(f"    {word:16} {' '.join(tokenizer.id_to_token(i) for i in pieces_of[word])}")
results |= {"unknown_wordpiece": lost, "tokens_per_word": in_pieces}

# %% [markdown]
# The tokenizer also remembers where each piece comes from, in the text as it was before it was
# lower-cased and stripped of accents:

# %%
line = "An unwatchable café 👍"
encoding = tokenizer.encode(line)
table(
    [
        (token, id, f"{start}:{end}", line[start:end])
        for token, id, (start, end) in zip(
            encoding.tokens, encoding.ids, encoding.offsets, strict=True
        )
    ],
    ("token", "id", "place", "text there"),
)
say(
    "The emoji is hardly ever in these texts, so it isn't in the alphabet of the pieces: [UNK], a "
    "whole word of it. Bytes, as in section 4, close this last hole."
)

# %% [markdown]
# ## 6. Ids, one-hot, padding and masks
#
# **Ids.** A token's id is its row in a table of vectors; that the id of "film" is larger than
# that of "act" means nothing. A network that took ids as quantities would believe it does. So in
# theory each id becomes a *one-hot* vector: V numbers, all 0 but a single 1.

# %%
ids = np.array(tokenizer.encode("a good film", add_special_tokens=False).ids)
V_pieces = tokenizer.get_vocab_size()
one_hot = np.zeros((len(ids), V_pieces), dtype=np.float32)
one_hot[np.arange(len(ids)), ids] = 1
weights = np.random.default_rng(options.seed).normal(size=(V_pieces, 4)).astype(np.float32)
say(f"ids {ids}; one-hot: an array {one_hot.shape} with {int(one_hot.sum())} ones.")
product, lookup = one_hot @ weights, weights[ids]
say(f"one_hot @ weights equals weights[ids]: {np.array_equal(product, lookup)}.")
results["one_hot_equals_lookup"] = bool(np.array_equal(product, lookup))

# %% [markdown]
# The product with a one-hot vector picks a row. Nobody multiplies by zeros to pick a row, and
# nobody stores them:

# %%
n_tokens = N * in_pieces


def size(n_bytes):
    """1,500 -> "1.5 kB" """
    power = min(int(math.log10(max(n_bytes, 1)) // 3), 4)
    return f"{n_bytes / 1000**power:,.1f} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


table(
    [
        (f"one-hot, float32, V = {V_pieces:,}", size(n_tokens * V_pieces * 4)),
        ("one-hot, float32, V = 30,522 (BERT's)", size(n_tokens * 30_522 * 4)),
        ("ids, two bytes each", size(n_tokens * 2)),
    ],
    (f"{n_tokens / 1e6:.2f} million tokens as", "memory"),
)

# %% [markdown]
# **Padding and masks.** A batch is a rectangle, texts are not equally long. Short ones are filled
# up with `[PAD]`, and a *mask* says which tokens are real: 1 real, 0 padding.

# %%
batch_texts = ["A good film.", "Not good!", "The ending of this film is not what you expect."]
tokenizer.enable_padding()
batch = tokenizer.encode_batch(batch_texts)
tokenizer.no_padding()
ids = np.array([e.ids for e in batch])  # [B, L]
mask = np.array([e.attention_mask for e in batch])  # [B, L]
say("Tokens, ids, mask:")
for encoded in batch:
    print("    " + " ".join(encoded.tokens))
print("\n" + str(ids) + "\n\n" + str(mask))

# %% [markdown]
# What happens to those who forget the mask? Take the average of each text's vectors, the simplest
# of all models, for the first text alone and in the batch:

# %%
vectors = weights[ids]  # [B, L, d]
with_mask = (vectors * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)  # [B, d]
without = vectors.mean(axis=1)
alone = weights[tokenizer.encode(batch_texts[0]).ids].mean(axis=0)
table(
    [
        (name, *(f"{x:+.3f}" for x in value))
        for name, value in (
            ("alone", alone),
            ("in the batch, masked", with_mask[0]),
            ("in the batch, not masked", without[0]),
        )
    ],
    ("mean of text 1", *"1234"),
)
results["masked_mean_equals_alone"] = bool(np.allclose(with_mask[0], alone, atol=1e-6))

# %% [markdown]
# Without a mask the answer depends on who else is in the batch. And padding is work for nothing.
# How much of it there is depends on how batches are made: texts of similar length belong
# together.

# %%
lengths = np.array([sum(len(pieces_of[w]) for w in words_of(t)) + 2 for t in training[:4000]])


def padding(lengths, batch_size=32):
    """The part of all places that is padding, if batches are made in this order."""
    batches = [lengths[i : i + batch_size] for i in range(0, len(lengths), batch_size)]
    return 1 - lengths.sum() / sum(len(b) * b.max() for b in batches)


table(
    [
        ("as they come", f"{padding(lengths):.1%}"),
        ("cut at 256 tokens", f"{padding(np.minimum(lengths, 256)):.1%}"),
        ("sorted by length", f"{padding(np.sort(lengths)):.1%}"),
    ],
    ("batches of 32 texts", "padding"),
)

# %% [markdown]
# ## 7. Zipf's law and coverage
#
# Sort the words by frequency. The word of rank r occurs about C / r times (Zipf 1935): the second
# half as often as the first, the hundredth a hundredth as often. On paper with two logarithmic
# axes that is a straight line with slope -1. It holds for every language and for words as for
# Chinese characters, more or less: the slope below is measured between the ranks 10 and 1,000.
#
# The Chinese text is a handful of short reviews, written for this lesson.

# %%
CHINESE = """
这部电影的故事很简单，却让人看完以后久久不能忘记。导演没有用大场面，只用两个人、一张桌子和两杯茶，就把一个家庭三十年
的变化说清楚了。女主角的表演非常自然，她不说话的时候比说话的时候更有力量。
说实话，我看了一半就想走。情节太慢，对话太多，音乐又太响。朋友说后面会好看，可是我等到最后也没有等到。不推荐。
前半部分像喜剧，后半部分像悲剧，中间的转变有一点突然。不过演员都很好，特别是演父亲的那位，他的眼睛里什么都有。
如果你喜欢安静的电影，这一部很适合你。如果你喜欢热闹的电影，还是看别的吧。我自己给八分。
画面很美，每一个镜头都像一张照片。可是电影不只是照片，人物的想法我没有看懂，他们为什么要离开那个城市，到最后也没有说。
我和妈妈一起看的，她笑了三次，哭了两次。回家的路上她说，她年轻的时候也有过这样一个朋友。我觉得这就是好电影。
音乐是这部电影最大的优点，听完就想再听一次。故事是最大的缺点，看完就忘了。
很多人说它是今年最好的电影，我不同意。它很好，但是它想说的东西太多，时间又太短，结果什么都没有说完。
孩子们的表演真让人高兴！他们不像在演戏，他们就在生活。大人的部分反而有一点假。
第二次看的时候，我才发现开头的那杯茶和最后的那杯茶是同一个杯子。导演很用心，观众也要用心才行。
"""


def ranked_counts(counter):
    return np.array(sorted(counter.values(), reverse=True))


def slope(frequencies, first=10, last=1000):
    """Of the straight line through (log rank, log count), by least squares; nan if too short."""
    if len(frequencies) <= first:
        return math.nan
    ranks = np.arange(first, min(last, len(frequencies)) + 1)
    return np.polyfit(np.log(ranks), np.log(frequencies[ranks - 1]), 1)[0]


kinds = {"words": counts}
kinds["pieces of WordPiece"] = pieces = Counter()
for word, n in counts.items():
    for id in pieces_of[word]:
        pieces[id] += n
kinds["Chinese characters"] = Counter(c for c in CHINESE if "\u4e00" <= c <= "\u9fff")
rows = []
for name, counter in kinds.items():
    f = ranked_counts(counter)
    once = (f == 1).mean()
    of_slope = f"{slope(f):.2f}"
    share = f[:10].sum() / f.sum()
    rows.append((name, f"{f.sum():,}", f"{len(f):,}", f"{share:.0%}", f"{once:.0%}", of_slope))
table(rows, ("unit", "tokens", "distinct", "the ten most frequent", "occur once", "slope"))
frequencies = ranked_counts(counts)
results |= {"zipf_slope": slope(frequencies), "once": float((frequencies == 1).mean())}

# %% [markdown]
# Three pictures. `zipf.png`: each unit's share of its text by rank. The words bend down at the
# right: the rarest are rarer than the law says. The pieces of WordPiece end early, and nearly all
# of them occur a hundred times or more: that is what it was made for. (The steep fall at their
# end: rare characters, and pieces that later merges have swallowed.) The Chinese line is short,
# since the text is, but has the same direction.
#
# `coverage.png`: which part of a text do the k most frequent words make up? On the left a
# thousand words seem to be nearly enough. On the right is the rest, on a logarithmic axis, for
# the texts in which the words were counted and for new ones. The first falls to nothing, the
# second doesn't: what remains is what no list from these texts could have known.
#
# `growth.png` (Heaps' law): distinct words by words read. The curve never becomes flat, so a list
# of words is never complete. The dotted line is the size of our WordPiece vocabulary, which is.

# %%
plt = pyplot()
figure, axis = plt.subplots(figsize=(7, 5), layout="constrained")
for name, counter in kinds.items():
    f = ranked_counts(counter) / counter.total()
    axis.loglog(np.arange(1, len(f) + 1), f, ".", markersize=3, label=f"{name} ({len(f):,})")
ranks = np.array([1, V])
C = frequencies[:10][-1] / N * min(10, V)  # so that the line goes through the tenth word
axis.loglog(ranks, C / ranks, "--", color="0.4", label="C / rank")
axis.set(xlabel="rank", ylabel="share of the text", title="Zipf's law", ylim=(0.3 / N, 0.5))
axis.legend(markerscale=3)
figure.savefig(options.out / "zipf.png", dpi=110)
plt.close(figure)

known = np.cumsum(frequencies) / N  # of the texts in which they were counted
known_new = np.cumsum([new[word] for word in ranked]) / new.total()  # of new texts
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
k = np.arange(1, V + 1)
left.semilogx(k, 100 * known_new, color="tab:orange", label="new texts")
for part in (0.5, 0.8, 0.95):
    if known_new[-1] >= part:
        needed = int(np.searchsorted(known_new, part)) + 1
        left.plot([1, needed, needed], [100 * part, 100 * part, 0], ":", color="0.5")
        left.annotate(f"{needed:,} words: {part:.0%}", (1.3, 100 * part + 1))
left.set(
    ylabel="part of the text that is known (%)", title="Coverage", ylim=(0, 104), xlim=(1, None)
)
right.loglog(k[:-1], 100 * (1 - known[:-1]), label="texts in which they were counted")
right.loglog(k, 100 * (1 - known_new), color="tab:orange", label="new texts")
right.set(ylabel="part that is unknown (%)", title="The rest", ylim=(0.01, 100), xlim=(1, None))
for axis in (left, right):
    axis.set(xlabel="words in the vocabulary, most frequent first", xlim=(1, None))
right.legend(loc="lower left")
figure.savefig(options.out / "coverage.png", dpi=110)
plt.close(figure)

figure, axis = plt.subplots(figsize=(7, 5), layout="constrained")
axis.plot(*np.array(growth).T, label="distinct words")
axis.axhline(V_pieces, linestyle=":", color="0.4", label="pieces of WordPiece")
axis.set(xlabel="words read", ylabel="distinct", title="A list of words is never complete")
axis.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
axis.yaxis.set_major_formatter(lambda y, _: f"{y:,.0f}")
axis.legend()
figure.savefig(options.out / "growth.png", dpi=110)
plt.close(figure)

table(
    [
        (f"{part:.0%}", f"{np.searchsorted(known, part) + 1:,}",
         f"{np.searchsorted(known_new, part) + 1:,}" if known_new[-1] >= part else "not possible")
        for part in (0.5, 0.8, 0.9, 0.95, 0.99)
    ],
    ("to cover this part", "so many words: counted texts", "new texts"),
)  # fmt: skip
(options.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
pictures(*(options.out / f"{name}.png" for name in ("zipf", "coverage", "growth")))
say(f"Saved in {options.out}: results.json, tokenizer.json.")

# %% [markdown]
# ## Questions
#
# 1. A page says `5 &lt; 7 &amp;lt; 9`. What does `decode_entities` make of it, and what would
#    decoding twice make of it? Who is right?
# 2. Why do `<br>` and `<b>` need different treatment? Find a word on a real page that is torn
#    apart or glued together by a cleaner that treats them alike.
# 3. When would NFKC harm? Think of chemistry, mathematics, and passwords.
# 4. In section 4, replace the counts so that `fil` becomes a piece before `act`. What is the
#    smallest change?
# 5. What would the small corpus have to hold so that WordPiece learns `##star`, and cuts
#    "filmstar" as BPE does? Try it.
# 6. A vocabulary of 5,000 pieces or one of 50,000: which makes shorter texts, which a larger
#    network, which better-trained vectors for rare words?
# 7. The word of rank 1 occurs 300,000 times. About how often does that of rank 1,000, by Zipf's
#    law? Compare with the picture.
#
# ## Exercise
#
# `lessons/exercises/ex01_preprocess.py` has functions to fill in: cleaning, a BPE trainer,
# WordPiece's longest match, a padded batch. Grade yourself with
#
#     python -m pytest tests/exercises -k ex01

"""Exercises to lesson 01: from a page of the web to ids.

Write the bodies; the graders tell you how far you are, and what may be wrong:

    python -m pytest tests/exercises -k ex01

NumPy and Python's standard library are enough.  An argument belongs to the caller: don't change it.
"""

import numpy as np

# Tags that stand inside a line.  They vanish; all other tags leave a space.
INLINE = {"a", "b", "em", "i", "span", "strong"}

# The names that `decode_entities` has to know.
ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "eacute": "é"}


def strip_tags(html: str) -> str:
    """The text of a page: its tags are gone, its words are not glued together.

    - A comment <!-- ... --> and a declaration <!DOCTYPE ...> vanish.
    - <script ...> ... </script> and <style ...> ... </style> become one space, contents and all.
    - A tag begins with "<" or "</" and a letter, and ends at the next ">"; its name is the run of
      letters and digits.  A tag with a name in INLINE vanishes, every other becomes one space.
    - Any other "<" or ">" is text and stays: "a < b", "I <3 it".

    Upper and lower case of tags are the same, and a tag, script or comment may contain line breaks.

    html : a page, or a part of one
    Returns a str; white space is left as it is.

    Example:
        >>> strip_tags("<p>A <b>good</b> film!<br>See it.</p>")
        ' A good film! See it. '

    Difficulty: 3 of 3. Lesson 01, section 2.
    """
    raise NotImplementedError("to do")


def decode_entities(text: str) -> str:
    """Replace HTML's character references by the characters that they stand for.

    - &name;   for the names in ENTITIES
    - &#20320; the character with this number, decimal
    - &#x4f60; the character with this number, hexadecimal ("x" or "X")

    Only complete ones, with "&" and ";".  What isn't a reference stays: "AT&T", "&nosuchname;".
    Each is decoded once: "&amp;lt;" is how a page writes "&lt;", and doesn't become "<".

    Example:
        >>> decode_entities("3 &lt; 5 &amp; &#20320;&#x597d;")
        '3 < 5 & 你好'

    Difficulty: 2 of 3. Lesson 01, section 2.
    """
    raise NotImplementedError("to do")


def half_width(text: str) -> str:
    """Full-width characters as they are written in plain English text.

    The characters U+FF01 to U+FF5E (！ to ～) are U+0021 to U+007E (! to ~), as wide as a Chinese
    character: subtract 0xFEE0.  The ideographic space U+3000 becomes a plain space.  All other
    characters stay.

    Example:
        >>> half_width("ＧＰＴ－４　很好！")
        'GPT-4 很好!'

    Difficulty: 1 of 3. Lesson 01, section 2.
    """
    raise NotImplementedError("to do")


def split_words(text: str) -> list[str]:
    """Cut a text into words, in lower case.

    - White space separates words and vanishes.
    - A Chinese character (U+4E00 to U+9FFF) is a word by itself: Chinese has no spaces.
    - A character that is neither a letter nor a digit (not `str.isalnum`) is a word by itself.
    - The runs of letters and digits in between are words.

    Returns a list of str, in the order of the text.

    Example:
        >>> split_words("GPT-4会下棋, isn't it?")
        ['gpt', '-', '4', '会', '下', '棋', ',', 'isn', "'", 't', 'it', '?']

    Difficulty: 2 of 3. Lesson 01, section 3.
    """
    raise NotImplementedError("to do")


def build_vocabulary(
    sentences: list[list[str]], max_size: int, min_count: int = 1
) -> dict[str, int]:
    """Give every frequent word an id.

    "[PAD]" has id 0 and "[UNK]" id 1.  From id 2 on follow the words, the most frequent first; of
    equally frequent words the one that `sorted` puts first.  Words that occur less than
    `min_count` times have no id, and there are at most `max_size` entries in all, "[PAD]" and
    "[UNK]" among them.

    sentences : lists of words.  A word "[PAD]" or "[UNK]" in them is no new word.
    Returns {word: id}.

    Example:
        >>> texts = [["the", "dog", "sat"], ["the", "cat", "saw", "the", "dog"]]
        >>> build_vocabulary(texts, max_size=5)
        {'[PAD]': 0, '[UNK]': 1, 'the': 2, 'dog': 3, 'cat': 4}

    Difficulty: 2 of 3. Lesson 01, section 3.
    """
    raise NotImplementedError("to do")


def count_pairs(words: list[tuple[list[str], int]]) -> dict[tuple[str, str], int]:
    """How often each pair of neighbouring symbols occurs in a corpus.

    words : [(symbols of a word, how often the word occurs), ...]
    Returns {(left, right): count}.  Every place in a word counts, once for each time that the word
    occurs; symbols of different words are no neighbours.

    Example:
        >>> count_pairs([(["l", "o", "w"], 5), (["l", "o", "w", "e", "r"], 2)])
        {('l', 'o'): 7, ('o', 'w'): 7, ('w', 'e'): 2, ('e', 'r'): 2}

    Difficulty: 1 of 3. Lesson 01, section 4.
    """
    raise NotImplementedError("to do")


def merge_pair(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    """Merge a pair wherever it occurs in a word: one step of BPE.

    From left to right, where `pair[0]` is followed by `pair[1]`, both become the one symbol
    `pair[0] + pair[1]`.  A symbol is used up by the merge that it took part in.

    symbols : the symbols of one word
    Returns a new list.

    Example:
        >>> merge_pair(["a", "b", "a", "b", "c"], ("a", "b"))
        ['ab', 'ab', 'c']

    Difficulty: 1 of 3. Lesson 01, section 4.
    """
    raise NotImplementedError("to do")


def train_bpe(word_counts: dict[str, int], n_merges: int) -> list[tuple[str, str]]:
    """Learn the merges of byte pair encoding.

    At first the symbols of a word are its characters.  Then, `n_merges` times: count the pairs
    (`count_pairs`), take the most frequent one, and merge it in all words (`merge_pair`).  Of
    equally frequent pairs take the one that `sorted` puts first.  End early when no pair occurs at
    least twice.

    word_counts : {word: how often it occurs}
    Returns the merged pairs, in the order of the merges.

    Example (Sennrich, Haddow and Birch 2016, without their end-of-word symbol):
        >>> train_bpe({"low": 5, "lower": 2, "newest": 6, "widest": 3}, n_merges=3)
        [('e', 's'), ('es', 't'), ('l', 'o')]

    ("e", "s") and ("s", "t") occur 6 + 3 = 9 times each; then ("es", "t") occurs 9 times; then
    ("l", "o") and ("o", "w") 5 + 2 = 7 times each.

    Difficulty: 3 of 3. Lesson 01, section 4.
    """
    raise NotImplementedError("to do")


def encode_wordpiece(word: str, vocabulary: set[str]) -> list[str]:
    """Cut a word into pieces of the vocabulary, the longest first.

    At the beginning of the word take the longest piece that the vocabulary has and that fits, then
    go on behind it, until the word is used up.  A piece that doesn't begin the word carries the
    prefix "##" in the vocabulary and in the result.  If at some place no piece fits, the whole word
    is ["[UNK]"].

    word       : not empty
    vocabulary : the pieces
    Returns the list of pieces.

    Example:
        >>> pieces = {"[UNK]", "e", "lo", "low", "r", "##e", "##er", "##r", "##w"}
        >>> encode_wordpiece("lower", pieces)
        ['low', '##er']

    Difficulty: 2 of 3. Lesson 01, section 5.
    """
    raise NotImplementedError("to do")


def pad_batch(
    sequences: list[list[int]], pad_id: int = 0, max_length: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Make one array of sequences of different lengths.

    Sequences longer than `max_length` lose their end (None: no limit).  Then the shorter ones are
    filled up at their end with `pad_id`, to the length L of the longest one in this batch.

    sequences : B lists of ids
    Returns (ids, mask), both int64 (B, L): mask is 1 where there is an id of a sequence and 0
    where there is padding.

    Example:
        >>> ids, mask = pad_batch([[5, 6, 7], [8]])
        >>> ids
        array([[5, 6, 7],
               [8, 0, 0]])
        >>> mask
        array([[1, 1, 1],
               [1, 0, 0]])

    Difficulty: 2 of 3. Lesson 01, section 6.
    """
    raise NotImplementedError("to do")

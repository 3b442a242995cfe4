"""A tokenizer of whole words: the vocabulary of the networks that learn from labels alone.

With a few thousand labelled texts a vector for every piece of a word isn't worth its while: the
most frequent words get an id, all others are [UNK].  It is WordPiece with a vocabulary in which
no piece continues a word, so normalising, saving and opening are those of `WordPieceTokenizer`.
Punctuation marks and Chinese characters are words by themselves.
"""

from collections.abc import Iterable

from minillm.text.added_tokens import AddedToken
from minillm.text.pretokenize import BertNormalizer
from minillm.text.wordpiece import WordPieceTokenizer
from minillm.text.wordpiece_training import check_training_options, count_words

SPECIAL_TOKENS = ("[PAD]", "[UNK]")
LONGEST_WORD = 100  # characters; longer ones are [UNK], as everywhere in WordPiece


def train_word_tokenizer(
    texts: Iterable[str],
    vocab_size: int = 20_000,
    min_frequency: int = 2,
    lowercase: bool = True,
    show_progress: bool = False,
) -> WordPieceTokenizer:
    """The tokenizer of the vocab_size - 2 most frequent words; [PAD] has the id 0, [UNK] 1.

    Of equally frequent words the one that is first in the alphabet wins.  Words that occur less
    than min_frequency times are left out.
    Raises TypeError for what isn't an iterable of str, ValueError for texts in which no word is
    frequent enough.
    """
    check_training_options(vocab_size, min_frequency, SPECIAL_TOKENS, None)
    if vocab_size <= len(SPECIAL_TOKENS):
        raise ValueError(f"vocab_size is {vocab_size}; expected at least {len(SPECIAL_TOKENS) + 1}")
    normalizer = BertNormalizer(lowercase=lowercase)
    counts = count_words(texts, normalizer, show_progress)
    words = [w for w, n in counts.items() if n >= min_frequency and len(w) <= LONGEST_WORD]
    if not words:
        raise ValueError(
            f"no word occurs {min_frequency} times or more: the texts are empty or too few"
        )
    words.sort(key=lambda word: (-counts[word], word))
    # No word is called "[PAD]", nor "##s" (which would continue one): [ and # are words themselves.
    tokens = [*SPECIAL_TOKENS, *words][:vocab_size]
    vocab = {token: id for id, token in enumerate(tokens)}
    added = {AddedToken(token): vocab[token] for token in SPECIAL_TOKENS}
    return WordPieceTokenizer(vocab, normalizer, added, max_input_chars_per_word=LONGEST_WORD)

"""WordPiece: how a word becomes pieces of the vocabulary, and pieces become text again.

From the left, take the longest piece that the vocabulary has, and go on behind it.  Pieces that
don't begin a word carry a prefix:

    unaffable  ->  un ##aff ##able          (greedy longest-match-first)

If at some place nothing fits, the whole word is the unknown token: an unknown word is one [UNK].
Source: Schuster and Nakajima 2012, "Japanese and Korean voice search"; Wu et al. 2016, "Google's
neural machine translation system", section 4.1; matching as in BERT's released code.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from minillm.text.pretokenize import split_words, word_spans


class WordPiece(dict):
    """{word: ids of its pieces}, filled on demand, so that a frequent word is cut up only once.

    The memory is bounded: words of more than `LONGEST_KEPT` characters aren't kept, and at
    `CACHE_SIZE` words all are forgotten.

    Raises ValueError when the vocabulary lacks the unknown token.
    """

    CACHE_SIZE = 200_000
    LONGEST_KEPT = 100

    def __init__(
        self,
        vocab: Mapping[str, int],
        unk_token: str = "[UNK]",
        continuing_subword_prefix: str = "##",
        max_input_chars_per_word: int = 100,
    ):
        super().__init__()
        if unk_token not in vocab:
            raise ValueError(
                f"the unknown token {unk_token!r} isn't in the vocabulary of {len(vocab)} tokens"
            )
        self.vocab = dict(vocab)
        self.unk_token = unk_token
        self.continuing_subword_prefix = continuing_subword_prefix
        self.max_input_chars_per_word = max_input_chars_per_word
        self._unknown = (vocab[unk_token],)
        self._lengths = {id: len(token) for token, id in vocab.items()}
        self._longest = max(self._lengths.values())

    def __missing__(self, word: str) -> tuple[int, ...]:
        if len(self) >= self.CACHE_SIZE:
            self.clear()
        ids = self._cut(word)
        if len(word) <= self.LONGEST_KEPT:
            self[word] = ids
        return ids

    def _cut(self, word: str) -> tuple[int, ...]:
        if len(word) > self.max_input_chars_per_word:
            return self._unknown
        ids = []
        prefix, start = "", 0
        while start < len(word):
            # No piece is longer than the longest of the vocabulary: don't try longer ones.
            for end in range(min(len(word), start + self._longest), start, -1):
                id = self.vocab.get(prefix + word[start:end])
                if id is not None:
                    break
            else:
                return self._unknown
            ids.append(id)
            prefix, start = self.continuing_subword_prefix, end
        return tuple(ids)

    def piece_spans(self, word: str) -> list[tuple[int, int, int]]:
        """(id, start, end) of each piece in the word; [UNK] stands for all of it."""
        ids = self[word]
        if len(ids) == 1:
            return [(ids[0], 0, len(word))]
        spans, start, prefix = [], 0, 0
        for id in ids:
            end = start + self._lengths[id] - prefix
            spans.append((id, start, end))
            start, prefix = end, len(self.continuing_subword_prefix)
        return spans


class WordPieceCutter:
    """Cuts a normalised text into words, and the words into pieces."""

    def __init__(self, model: WordPiece):
        self.model = model

    def ids(self, text: str) -> Iterable[int]:
        """The ids of the text's pieces."""
        return chain.from_iterable(map(self.model.__getitem__, split_words(text)))

    def words(self, text: str) -> Iterator[list[tuple[int, int, int]]]:
        """For each word its pieces as (id, start, end)."""
        for word, shift, _ in word_spans(text):
            yield [(id, shift + s, shift + e) for id, s, e in self.model.piece_spans(word)]


# What a space before punctuation, or before a clitic that is one token, is turned into.
_CLEANUP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


def join_pieces(tokens: Iterable[str], prefix: str = "##", cleanup: bool = True) -> str:
    """Tokens -> text: continuing pieces are glued on, words set apart by a space.

    With `cleanup` there is no space before . ? ! , (token by token, as Hugging Face's decoder
    does it).  Spaces that were lost, as between Chinese characters, aren't guessed:
    ["un", "##aff", "##able", "!"] -> "unaffable!", ["你", "好"] -> "你 好".
    """
    parts = []
    for i, token in enumerate(tokens):
        if i > 0:
            token = token.removeprefix(prefix) if token.startswith(prefix) else " " + token
        if cleanup:
            for before, after in _CLEANUP:
                token = token.replace(before, after)
        parts.append(token)
    return "".join(parts)

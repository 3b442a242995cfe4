"""A tokenizer of characters: one id a character, the smallest vocabulary there is.

    "to be"  ->  t o _ b e       (_ is a space)

Sequences get four times as long as with pieces of words, but a vocabulary of a hundred has a small
embedding matrix, and a small network learns to spell in minutes.  Everything about it can be
looked through.  The interface is that of every tokenizer here.

In a `tokenizer.json` it is BPE without a merge, whose tokens are joined as they stand, so that the
Hugging Face tokenizers open it too.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from minillm.text import tokenizer_json
from minillm.text.added_tokens import AddedToken
from minillm.text.byte_alphabet import check_errors, encodable
from minillm.text.segmentation import NoNormalizer
from minillm.text.template import NO_TEMPLATE, TemplateProcessing
from minillm.text.tokenizer import Tokenizer
from minillm.text.tokenizer_json import TokenizerFormatError, get, require_type
from minillm.text.word_counts import count_words
from minillm.text.wordpiece_training import check_training_options


class CharacterTokenizer(Tokenizer):
    """One id a character.  Made by `train` or `from_file`, or from a vocabulary:

    vocab          : {character: id}
    added_tokens   : {AddedToken: id}, found in the raw text; None: those entries of vocab that
                     are longer than a character
    unk_token      : what a character becomes that isn't in the vocabulary; None: it is an error
    post_processor : TemplateProcessing, where special tokens go; None: no special tokens
    errors         : see BPETokenizer

    Raises ValueError for ids that have gaps or doubles, for a token of several characters that
    isn't among the added tokens, or an unknown token that the vocabulary lacks.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        added_tokens: Mapping[AddedToken, int] | None = None,
        unk_token: str | None = None,
        post_processor: TemplateProcessing | None = None,
        errors: str = "strict",
    ):
        check_errors(errors)
        if added_tokens is None:
            added_tokens = {AddedToken(token): id for token, id in vocab.items() if len(token) > 1}
        contents = {token.content for token in added_tokens}
        for token in vocab:
            if len(token) != 1 and token not in contents and token != unk_token:
                raise ValueError(f"the vocabulary holds {token!r:.80}, which isn't one character")
        if unk_token is not None and unk_token not in vocab:
            raise ValueError(f"the unknown token {unk_token!r} isn't in the vocabulary")
        self.unk_token, self.errors = unk_token, errors
        unknown = {**vocab, **{t.content: id for t, id in added_tokens.items()}}.get(
            unk_token or ""
        )
        super().__init__(
            vocab,
            CharacterCutter(vocab, unknown),
            NoNormalizer(),
            added_tokens,
            post_processor or NO_TEMPLATE,
        )

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int | None = None,
        min_frequency: int = 1,
        special_tokens: Sequence[str] = ("<|endoftext|>",),
        unk_token: str | None = None,
        show_progress: bool = False,
        *,
        errors: str = "strict",
    ) -> "CharacterTokenizer":
        """Take the characters of the texts: special tokens first, then characters by code point.

        vocab_size    : room for so many; the most frequent characters are taken (ties: the
                        smaller code point).  None: all.
        min_frequency : a character that occurs less often is left out
        unk_token     : what those left out become; it is put to the special tokens if need be

        Raises TypeError for what isn't an iterable of str, ValueError for texts without a
        character, or a vocab_size without room for one.
        """
        special_tokens = list(special_tokens)
        if unk_token is not None and unk_token not in special_tokens:
            special_tokens.append(unk_token)
        size = 1 << 21 if vocab_size is None else vocab_size  # Unicode has fewer
        check_training_options(size, min_frequency, special_tokens, None)
        room = size - len(special_tokens)
        if room < 1:
            raise ValueError(
                f"vocab_size is {vocab_size}; expected at least {len(special_tokens) + 1}: "
                f"{len(special_tokens)} special tokens and a character"
            )
        # A text is cut into its characters already.
        counts = count_words(texts, lambda text: encodable(text, errors), 1, show_progress)
        for token in special_tokens:
            counts.pop(token, None)
        characters = [c for c, n in counts.items() if n >= min_frequency]
        if not characters:
            raise ValueError(
                "there is no character to train on: the texts are empty (or no texts came)"
            )
        characters.sort(key=lambda character: (-counts[character], character))
        tokens = [*special_tokens, *sorted(characters[:room])]
        vocab = {token: id for id, token in enumerate(tokens)}
        added = {AddedToken(token): vocab[token] for token in special_tokens}
        return cls(vocab, added, unk_token, errors=errors)

    @staticmethod
    def _read(path: str | os.PathLike) -> dict[str, Any]:
        return tokenizer_json.read(path, _read_sections)

    def save(self, path: str | os.PathLike) -> None:
        """Write tokenizer.json, which `tokenizers.Tokenizer.from_file` opens too.

        (Without an unknown token theirs leaves out characters that it doesn't know.)
        The file appears at once or not at all; OSError says why it can't be written.
        """
        tokenizer_json.write(
            path,
            normalizer=None,
            pre_tokenizer=None,
            post_processor=tokenizer_json.template_section(self.post_processor),
            decoder={"type": "Fuse"},
            model={
                "type": "BPE",
                "dropout": None,
                "unk_token": self.unk_token,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
                "vocab": self.get_vocab(with_added_tokens=False),
                "merges": [],
            },
            added_tokens=self.added_tokens,
            truncation=self._truncation,
            padding=self._padding,
        )

    def _checked(self, text: str) -> str:
        return encodable(super()._checked(text), self.errors)

    def _join(self, ids: list[int]) -> str:
        return "".join([self.vocabulary.tokens[id] for id in ids])

    def __repr__(self) -> str:
        return f"CharacterTokenizer(vocab_size={len(self.vocabulary)})"


class CharacterCutter:
    """Cuts a text into characters.  unknown: the id of those without one; None: an error."""

    def __init__(self, vocab: Mapping[str, int], unknown: int | None):
        self._ids = _CharacterIds({c: id for c, id in vocab.items() if len(c) == 1})
        self._ids.unknown = unknown

    def ids(self, text: str) -> Iterable[int]:
        """The ids of the text's characters."""
        return map(self._ids.__getitem__, text)

    def words(self, text: str) -> Iterator[list[tuple[int, int, int]]]:
        """The text is one word."""
        yield [(id, place, place + 1) for place, id in enumerate(self.ids(text))]


class _CharacterIds(dict):
    """{character: id}."""

    unknown: int | None = None

    def __missing__(self, character: str) -> int:
        if self.unknown is None:
            raise ValueError(
                f"the character {character!r} (U+{ord(character):04X}) isn't among the "
                f"{len(self)} characters of the vocabulary; train with unk_token='<|unknown|>' to "
                "allow for such"
            )
        return self.unknown


def _read_sections(document: dict) -> dict[str, Any]:
    model = document["model"]
    kind = model.get("type")
    if kind != "BPE" or model.get("merges") != [] or model.get("fuse_unk"):
        raise TokenizerFormatError(
            f"the model is {kind!r:.80} with the merges {model.get('merges')!r:.80}; only BPE "
            "without merges (and without fuse_unk) is a tokenizer of characters"
        )
    require_type(document, "normalizer", None)
    require_type(document, "pre_tokenizer", None)
    require_type(document, "decoder", "Fuse")
    template = require_type(document, "post_processor", "TemplateProcessing", None)
    return {
        "vocab": get(model, "vocab", dict),
        "unk_token": get(model, "unk_token", str, type(None), default=None),
        "post_processor": tokenizer_json.read_template(template),
    }

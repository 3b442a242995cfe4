"""Every code point is normalised and cut as Hugging Face's BERT normaliser and cutter do it."""

import itertools
import unicodedata

import pytest

pytest.importorskip("tokenizers")

from tokenizers import normalizers, pre_tokenizers

from minillm.text.pretokenize import BertNormalizer, word_spans

pytestmark = pytest.mark.interop


def is_stable(character: str) -> bool:
    """Does every version of Unicode since 3.2 (2002) lower and decompose this character alike?

    Letters that are younger are lowered or decomposed only by a Python, or by a build of
    tokenizers, that knows them: there the two may differ.
    """
    if unicodedata.category(character) in ("Cs", "Cn"):
        return False
    changes = character.lower() != character or unicodedata.decomposition(character) != ""
    return not changes or unicodedata.ucd_3_2_0.category(character) != "Cn"


CHARACTERS = [character for character in map(chr, range(0x110000)) if is_stable(character)]


@pytest.mark.parametrize(
    "options",
    list(itertools.product([True, False], [True, False], [None, True, False], [True, False])),
)
def test_every_character_is_normalised_alike(options):
    ours, theirs = BertNormalizer(*options), normalizers.BertNormalizer(*options)
    text = "|".join(CHARACTERS if options == (True, True, None, True) else CHARACTERS[:30_000])
    assert ours.normalize_str(text) == theirs.normalize_str(text)


def test_every_character_is_cut_alike():
    text = "a".join(CHARACTERS)
    theirs = pre_tokenizers.BertPreTokenizer().pre_tokenize_str(text)
    assert [(word, (start, end)) for word, start, end in word_spans(text)] == theirs

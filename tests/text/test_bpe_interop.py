"""Ours and the Hugging Face tokenizers open each other's byte-level BPE and give the same ids.

To try more texts, on a vocabulary of your own (such as GPT-2's):

    MINILLM_EXAMPLES=100000 MINILLM_TOKENIZER=tokenizer.json pytest tests/text/test_bpe_interop.py
"""

import json
import os
import random

import pytest

pytest.importorskip("tokenizers")

import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from minillm.text import (
    AddedToken,
    BPETokenizer,
    CharacterTokenizer,
    TemplateProcessing,
    TrimOffsets,
    open_tokenizer,
)
from minillm.text.bpe_patterns import PATTERNS, Pattern
from minillm.text.letter_tables import LETTERS, NUMBERS
from minillm.text.unicode_tables import WHITE_SPACE

pytestmark = pytest.mark.interop

EXAMPLES = int(os.environ.get("MINILLM_EXAMPLES", "200"))

TEXTS = [
    "A wonderful little production.<br /><br />The filming technique is very unassuming- very "
    "old-time-BBC fashion and gives a comforting, and sometimes discomforting, sense of realism.",
    "I'd give it 7/10 -- it wasn't bad; the café scene (with Renée) was the best... \x96 really!",
    "这家酒店的房间很干净，服务员也很热情，早餐一般，但是价格不贵。下次还会住！",
    "汤姆昨天买了一本书。你在看什么书？“我不知道，”他说。",
    "Ο Οδυσσέας ΤΑΞΙΔΕΨΕ, İstanbul'a gitti; Straße, naïve, Ångström, 한국어, かな, हिन्दी",
    "def softmax(x):\n    y = np.exp(x - x.max())\n\n\treturn y / y.sum()  # 0.5, 1_000\r\n",
    "👍🏽 👩‍👩‍👧 🇨🇳 so good!!! \u3000\u2003 \n\n \n x² ½ Ⅷ ٣ ſ 'S 'ſ I'LL we'Re",
] * 3

# What an added token, a contraction, a letter of a few bytes or an unassigned character may meet.
PIECES = ["<|endoftext|>", "<|endoftext", " ", "  ", "\n", "\r\n", "\t", "'s", "'LL", "the ", " a"]
PIECES += ["1234", "é", "e\u0301", "书", "，", "👍🏽", "\u200d", "\ufeff", "\x00", "\x85", "\xa0"]
PIECES += ["\u2028", "ſ", "²", "\U0001e922", "\U000e0001", "_", "...", "[", "new token", " ing,"]
PIECES += ["xing ", "Ġ", "\u0378"]

random_text = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from(PIECES), max_size=15).map("".join),
    st.binary(max_size=40).map(lambda data: data.decode("latin-1")),
    st.binary(max_size=40).map(lambda data: data.decode("utf-8", "replace")),
)


def assert_same(ours, theirs, tokens: bool = True) -> None:
    """`tokens`: False where an added token swallows space: theirs then shows what it found."""
    assert not tokens or ours.tokens == theirs.tokens
    for name in ("ids", "type_ids", "offsets", "attention_mask", "special_tokens_mask"):
        assert getattr(ours, name) == list(getattr(theirs, name)), name
    assert ours.word_ids == theirs.word_ids
    assert ours.sequence_ids == theirs.sequence_ids


def opened_by_theirs(ours, folder):
    ours.save(folder / "ours.json")
    return ours, tokenizers.Tokenizer.from_file(str(folder / "ours.json"))


def opened_by_ours(theirs, folder):
    theirs.save(str(folder / "theirs.json"))
    ours = open_tokenizer(folder / "theirs.json")
    return ours, tokenizers.Tokenizer.from_file(str(folder / "theirs.json"))


def trained_by_us(folder):
    return opened_by_theirs(BPETokenizer.train(TEXTS, 400), folder)


def our_cl100k(folder):
    return opened_by_theirs(BPETokenizer.train(TEXTS, 400, pattern="cl100k"), folder)


def our_whitespace(folder):
    return opened_by_theirs(BPETokenizer.train(TEXTS, 400, pattern="whitespace"), folder)


def our_prefix_space_trimmed(folder):
    trained = BPETokenizer.train(TEXTS, 400, add_prefix_space=True)
    vocab, merges = trained.get_vocab(), trained.model.merges
    options = {"add_prefix_space": True, "trim_offsets": TrimOffsets()}
    return opened_by_theirs(BPETokenizer(vocab, merges, **options), folder)


def our_template(folder):
    """Llama 3's form: every text begins with a special token; words in the vocabulary win."""
    special = ["<|begin|>", "<|endoftext|>"]
    trained = BPETokenizer.train(TEXTS, 500, special_tokens=special, pattern="cl100k")
    vocab = trained.get_vocab()
    vocab.setdefault("Ġunassuming", len(vocab))  # no merge leads there
    begin = ("<|begin|>", 0)
    template = TemplateProcessing(
        (begin, ("$A", 0)), (begin, ("$A", 0), ("$B", 1)), {"<|begin|>": [(0, "<|begin|>")]}
    )
    ours = BPETokenizer(
        vocab,
        trained.model.merges,
        trained.added_tokens,
        "cl100k",
        post_processor=template,
        trim_offsets=TrimOffsets(add_prefix_space=False),
        ignore_merges=True,
    )
    return opened_by_theirs(ours, folder)


def trained_by_them(folder):
    theirs = tokenizers.ByteLevelBPETokenizer()
    theirs.train_from_iterator(
        TEXTS, vocab_size=400, special_tokens=["<|endoftext|>"], show_progress=False
    )
    return opened_by_ours(theirs, folder)


def their_prefix_space(folder):
    theirs = tokenizers.ByteLevelBPETokenizer(add_prefix_space=True, trim_offsets=True)
    theirs.train_from_iterator(TEXTS, vocab_size=400, show_progress=False)
    return opened_by_ours(theirs, folder)


def their_added_tokens(folder):
    theirs = tokenizers.ByteLevelBPETokenizer()
    theirs.train_from_iterator(TEXTS, vocab_size=400, show_progress=False)
    theirs.add_tokens(["new token", tokenizers.AddedToken("ing", single_word=True)])
    theirs.add_special_tokens([tokenizers.AddedToken("<|endoftext|>", lstrip=True, rstrip=True)])
    return opened_by_ours(theirs, folder)


def their_split(folder):
    """A pattern of their own, which leaves gaps, and no ByteLevel pattern."""
    theirs = tokenizers.Tokenizer(models.BPE())
    split = pre_tokenizers.Split(tokenizers.Regex(r"\p{Lu}?\p{Ll}+|\p{N}"), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    theirs.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    theirs.decoder = decoders.ByteLevel()
    theirs.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=byte_level.alphabet(), show_progress=False
    )
    theirs.train_from_iterator(TEXTS, trainer)
    return opened_by_ours(theirs, folder)


def gpt2_files(folder):
    """vocab.json and merges.txt as they write them."""
    theirs = tokenizers.ByteLevelBPETokenizer()
    theirs.train_from_iterator(
        TEXTS, vocab_size=400, special_tokens=["<|endoftext|>"], show_progress=False
    )
    theirs.save_model(str(folder))
    ours = BPETokenizer.from_gpt2_files(folder / "vocab.json", folder / "merges.txt")
    return ours, theirs._tokenizer


def named_by_the_environment(folder):
    theirs = tokenizers.Tokenizer.from_file(os.environ["MINILLM_TOKENIZER"])
    return opened_by_ours(theirs, folder)


MAKERS = [
    trained_by_us,
    our_cl100k,
    our_whitespace,
    our_prefix_space_trimmed,
    our_template,
    trained_by_them,
    their_prefix_space,
    their_added_tokens,
    their_split,
    gpt2_files,
]
if "MINILLM_TOKENIZER" in os.environ:
    MAKERS.append(named_by_the_environment)


@pytest.fixture(
    scope="module",
    params=MAKERS,
    ids=lambda make: make.__name__,
)
def both(request, tmp_path_factory):
    """The same tokenizer, (ours, theirs)."""
    return request.param(tmp_path_factory.mktemp("tokenizers"))


def shows_tokens(tokenizer) -> bool:
    return not any(token.lstrip or token.normalized for token in tokenizer.added_tokens)


def test_the_same_vocabulary(both):
    ours, theirs = both
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.get_vocab_size() == theirs.get_vocab_size()


def test_the_same_encodings_of_real_texts(both):
    ours, theirs = both
    for text in TEXTS[:7]:
        assert_same(ours.encode(text), theirs.encode(text))
        assert_same(ours.encode(text, text[:9]), theirs.encode(text, text[:9]))


@settings(max_examples=EXAMPLES)
@given(random_text, random_text, st.booleans())
def test_the_same_encodings_of_any_text(both, text, pair, add_special_tokens):
    ours, theirs = both
    options = {"add_special_tokens": add_special_tokens}
    tokens = shows_tokens(ours)
    assert_same(ours.encode(text, **options), theirs.encode(text, **options), tokens)
    assert_same(ours.encode(text, pair, **options), theirs.encode(text, pair, **options), tokens)
    assert ours.encode_ids(text) == theirs.encode(text, add_special_tokens=False).ids


@settings(max_examples=EXAMPLES)
@given(st.lists(st.integers(0, 1 << 20), max_size=12), st.booleans())
def test_the_same_decoded_text(both, ids, skip_special_tokens):
    """Also of ids that don't make whole characters."""
    ours, theirs = both
    ids = [id % ours.get_vocab_size() for id in ids]
    assert ours.decode(ids, skip_special_tokens) == theirs.decode(
        ids, skip_special_tokens=skip_special_tokens
    )


@settings(max_examples=50)
@given(
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(3, 14),
    st.sampled_from(["longest_first", "only_first", "only_second"]),
    st.sampled_from(["left", "right"]),
)
def test_the_same_truncation(both, n1, n2, max_length, strategy, direction):
    ours, theirs = both
    texts = " the" * n1, "书" * n2
    ours.enable_truncation(max_length, strategy=strategy, direction=direction)
    theirs.enable_truncation(max_length, strategy=strategy, direction=direction)
    try:
        expected = theirs.encode(*texts)
    except Exception as error:  # tokenizers raises Exception itself
        assert "Truncation error" in str(error)
        with pytest.raises(ValueError, match="impossible"):
            ours.encode(*texts)
    else:
        assert_same(ours.encode(*texts), expected)
    finally:
        ours.no_truncation()
        theirs.no_truncation()


def test_the_same_padding_of_batches(both):
    ours, theirs = both
    options = {"direction": "left", "pad_id": 1, "pad_token": ours.id_to_token(1)}
    ours.enable_padding(**options)
    theirs.enable_padding(**options)
    batch = [TEXTS[5], "书", ("the", "书"), ""]
    for one, other in zip(ours.encode_batch(batch), theirs.encode_batch(batch), strict=True):
        assert_same(one, other)
    ours.no_padding()
    theirs.no_padding()


def characters_at_the_edges() -> list[str]:
    """The first and last of every range of letters, numbers and spaces, and those beside them."""
    code_points = {0, 0x80, 0xFFFF, 0x10FFFF}
    for table in (LETTERS, NUMBERS, WHITE_SPACE):
        for ends in table.split():
            first, last = (int(end, 16) for end in (ends.split("-") * 2)[:2])
            code_points.update((first - 1, first, last, last + 1))
    return [chr(c) for c in sorted(code_points) if not 0xD800 <= c < 0xE000]


@pytest.mark.parametrize("name", PATTERNS)
def test_the_patterns_cut_as_theirs_do_around_every_edge_of_the_tables(name):
    """Between letters, spaces, digits and marks, in texts with and without the higher planes."""
    ours = Pattern(name)
    theirs = pre_tokenizers.Split(tokenizers.Regex(PATTERNS[name]), "isolated")
    characters = characters_at_the_edges()
    for first in range(0, len(characters), 20):
        text = "".join(f"a{c}b {c}{c} 1{c}2\n{c} " for c in characters[first : first + 20])
        expected = [span for _, span in theirs.pre_tokenize_str(text)]
        assert list(ours.spans(text)) == expected, text
        assert ours.words(text) == [text[start:end] for start, end in expected]


def learned_by_theirs(texts, vocab_size):
    theirs = tokenizers.ByteLevelBPETokenizer()
    theirs.train_from_iterator(
        texts,
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=["<|endoftext|>"],
        show_progress=False,
    )
    model = json.loads(theirs._tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def test_the_trainers_learn_the_same_tokens_with_their_rule_for_ties(tmp_path):
    vocab, merges = learned_by_theirs(TEXTS, 800)
    ours = BPETokenizer.train(TEXTS, 800, ties="ids")
    assert ours.model.merges == merges
    assert ours.get_vocab() == vocab


@pytest.mark.parametrize("letters", ["a", "ab", "abcdefghijklmnopqrstuvwxyz"])
def test_the_trainers_learn_the_same_from_one_long_word(letters):
    word = "".join(random.Random(0).choices(letters, k=5_000))
    vocab, merges = learned_by_theirs([word], 500)
    ours = BPETokenizer.train([word], 500, ties="ids")
    assert ours.model.merges == merges
    assert ours.get_vocab() == vocab
    for text in (word, word * 3):
        theirs = tokenizers.Tokenizer(models.BPE(vocab, merges))
        theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        assert ours.encode_ids(text) == theirs.encode(text).ids


def test_the_trainers_learn_the_same_tokens_where_nothing_ties():
    """With our own rule for ties: here every pair has a count of its own."""
    counts = {"ab": 60, "cd": 50, "abcd": 40, "ef": 30, "abef": 7, "xefy": 3, "é": 11}
    texts = [word for word, n in counts.items() for _ in range(n)]
    vocab, merges = learned_by_theirs(texts, 267)
    ours = BPETokenizer.train(texts, 267)
    assert ours.model.merges == merges
    assert ours.get_vocab() == vocab


def test_characters_are_opened_by_theirs(tmp_path):
    trained = CharacterTokenizer.train(TEXTS[:3], unk_token="<|unknown|>")
    ours, theirs = opened_by_theirs(trained, tmp_path)
    for text in [*TEXTS[:3], "a<|endoftext|>é ʘ☃b", ""]:
        assert_same(ours.encode(text, "b"), theirs.encode(text, "b"))
        assert ours.decode(ours.encode_ids(text)) == theirs.decode(theirs.encode(text).ids)


def test_opens_what_transformers_saves_and_the_other_way_round(tmp_path):
    transformers = pytest.importorskip("transformers")
    ours = BPETokenizer.train(TEXTS, 400)
    ours.save_gpt2_files(tmp_path / "files")
    files = str(tmp_path / "files" / "vocab.json"), str(tmp_path / "files" / "merges.txt")
    theirs = transformers.GPT2TokenizerFast(*files)
    theirs.save_pretrained(tmp_path / "saved")
    again = open_tokenizer(tmp_path / "saved")
    assert again.get_vocab() == ours.get_vocab()
    for text in TEXTS[:7]:
        assert again.encode(text).ids == theirs(text)["input_ids"] == ours.encode(text).ids


def test_an_added_token_with_letters_beyond_ascii_is_decoded_as_it_stands():
    """Theirs takes "é" for the byte 0xE9; ours is what was encoded."""
    ours = BPETokenizer.train(["a"], 258, special_tokens=["é"])
    assert ours.decode(ours.encode_ids("xé"), skip_special_tokens=False) == "xé"
    assert AddedToken("é") in ours.added_tokens

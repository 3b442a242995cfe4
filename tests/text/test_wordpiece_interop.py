"""Ours and the Hugging Face tokenizers open each other's files and give the same encodings."""

import unicodedata

import pytest

pytest.importorskip("tokenizers")

import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.text import WordPieceTokenizer

pytestmark = pytest.mark.interop

TEXTS = [
    "A wonderful little production.<br /><br />The filming technique is very unassuming- very "
    "old-time-BBC fashion and gives a comforting, and sometimes discomforting, sense of realism.",
    "I'd give it 7/10 -- it wasn't bad; the café scene (with Renée) was the best... \x96 really!",
    "这家酒店的房间很干净，服务员也很热情，早餐一般，但是价格不贵。下次还会住！",
    "汤姆昨天买了一本书。你在看什么书？“我不知道，”他说。",
    "Ο Οδυσσέας ΤΑΞΙΔΕΨΕ, İstanbul'a gitti; Straße, naïve, Ångström, 한국어, かな, हिन्दी",
    "unaffable unbelievable believably unbelievers",
] * 3


def is_stable(character: str) -> bool:
    """Not a letter so young that it depends on the Unicode version how it is lowered."""
    changes = character.lower() != character or unicodedata.decomposition(character) != ""
    return not changes or unicodedata.ucd_3_2_0.category(character) != "Cn"


random_text = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=("Cs", "Cn")).filter(is_stable), max_size=40),
    st.lists(
        st.sampled_from(
            [
                "[MASK]",
                "[SEP]",
                "[mask]",
                "[CLS",
                " ",
                "the ",
                "un",
                "believ",
                "书",
                "，",
                "é",
                "e\u0301",
            ]
            + [
                "İ",
                "ß",
                "\u200b",
                "\x00",
                "\n",
                "Σ",
                "\u0301",
                "한",
                "x" * 101,
                "'",
                "##",
                "new token",
            ]
        ),
        max_size=15,
    ).map("".join),
)


def assert_same(ours, theirs, tokens: bool = True) -> None:
    """`tokens`: False where a token was added that is sought in normalised text, or swallows
    space: theirs then shows the text that it found, ours the token that it is."""
    assert not tokens or ours.tokens == theirs.tokens
    for name in ("ids", "type_ids", "offsets", "attention_mask", "special_tokens_mask"):
        assert getattr(ours, name) == list(getattr(theirs, name)), name
    assert ours.word_ids == theirs.word_ids
    assert ours.sequence_ids == theirs.sequence_ids


def ours_opened_by_theirs(folder):
    tokenizer = WordPieceTokenizer.train(TEXTS, 300, show_progress=False)
    tokenizer.save(folder / "ours.json")
    return tokenizer, tokenizers.Tokenizer.from_file(str(folder / "ours.json"))


def theirs_opened_by_ours(folder):
    trained = tokenizers.BertWordPieceTokenizer(lowercase=True)
    trained.train_from_iterator(TEXTS, vocab_size=300, show_progress=False)
    trained.save(str(folder / "theirs.json"))
    path = folder / "theirs.json"
    return WordPieceTokenizer.from_file(path), tokenizers.Tokenizer.from_file(str(path))


def bert_processing(folder):
    """From a vocabulary, BertWordPieceTokenizer uses the older BertProcessing; cased, padded."""
    vocab = WordPieceTokenizer.train(TEXTS, 300, lowercase=False, show_progress=False).get_vocab()
    theirs = tokenizers.BertWordPieceTokenizer(vocab, lowercase=False, strip_accents=True)
    theirs.enable_padding(direction="left", length=20, pad_to_multiple_of=8)
    theirs.enable_truncation(16)
    theirs.save(str(folder / "processing.json"))
    path = folder / "processing.json"
    return WordPieceTokenizer.from_file(path), tokenizers.Tokenizer.from_file(str(path))


def vocabulary_file(folder):
    """BERT's vocab.txt, without splitting Chinese and without cleaning."""
    vocab = WordPieceTokenizer.train(TEXTS, 300, show_progress=False).get_vocab()
    path = folder / "vocab.txt"
    path.write_text("\n".join(vocab) + "\n", "utf-8")
    options = {"lowercase": True, "strip_accents": False}
    options |= {"handle_chinese_chars": False, "clean_text": False}
    theirs = tokenizers.BertWordPieceTokenizer(str(path), **options)
    ours = WordPieceTokenizer.from_vocab_file(path, **options)
    return ours, tokenizers.Tokenizer.from_str(theirs.to_str())


def added_tokens(folder):
    """With tokens of every kind added by Hugging Face."""
    theirs = tokenizers.BertWordPieceTokenizer(lowercase=True)
    theirs.train_from_iterator(TEXTS, vocab_size=300, show_progress=False)
    theirs.add_tokens(["NEW Token", tokenizers.AddedToken("un", single_word=True)])
    theirs.add_special_tokens([tokenizers.AddedToken("e\u0301", lstrip=True, rstrip=True)])
    theirs.save(str(folder / "added.json"))
    path = folder / "added.json"
    return WordPieceTokenizer.from_file(path), tokenizers.Tokenizer.from_file(str(path))


@pytest.fixture(
    scope="module",
    params=[
        ours_opened_by_theirs,
        theirs_opened_by_ours,
        bert_processing,
        vocabulary_file,
        added_tokens,
    ],
    ids=lambda make: make.__name__,
)
def both(request, tmp_path_factory):
    """The same tokenizer, (ours, theirs)."""
    return request.param(tmp_path_factory.mktemp("tokenizers"))


def test_the_same_vocabulary(both):
    ours, theirs = both
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.get_vocab_size() == theirs.get_vocab_size()


def test_the_same_encodings_of_real_texts(both):
    ours, theirs = both
    for text in TEXTS[:6]:
        assert_same(ours.encode(text), theirs.encode(text))
        assert_same(ours.encode(text, text[:9]), theirs.encode(text, text[:9]))


@settings(max_examples=200)
@given(random_text, random_text, st.booleans())
def test_the_same_encodings_of_any_text(both, text, pair, add_special_tokens):
    ours, theirs = both
    options = {"add_special_tokens": add_special_tokens}
    tokens = not any(token.normalized or token.lstrip for token in ours.added_tokens)
    assert_same(ours.encode(text, **options), theirs.encode(text, **options), tokens)
    assert_same(ours.encode(text, pair, **options), theirs.encode(text, pair, **options), tokens)


@settings(max_examples=100)
@given(st.lists(st.integers(0, 299), max_size=12), st.booleans())
def test_the_same_decoded_text(both, ids, skip_special_tokens):
    ours, theirs = both
    ids = [id for id in ids if id < ours.get_vocab_size()]
    assert ours.decode(ids, skip_special_tokens) == theirs.decode(
        ids, skip_special_tokens=skip_special_tokens
    )


@settings(max_examples=100)
@given(
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(3, 14),
    st.sampled_from(["longest_first", "only_first", "only_second"]),
    st.sampled_from(["left", "right"]),
)
def test_the_same_truncation(both, n1, n2, max_length, strategy, direction):
    ours, theirs = both
    if ours.padding is not None:
        return  # its settings come from the file
    texts = "the " * n1, "书" * n2
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


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"length": 12},
        {"direction": "left", "pad_to_multiple_of": 8},
        {"pad_id": 3, "pad_type_id": 1, "pad_token": "[SEP]", "length": 30},
    ],
)
def test_the_same_padding_of_batches(tmp_path, options):
    ours, theirs = ours_opened_by_theirs(tmp_path)
    ours.enable_padding(**options)
    theirs.enable_padding(**options)
    batch = [TEXTS[5], "书", ("the", "书"), ""]
    for one, other in zip(ours.encode_batch(batch), theirs.encode_batch(batch), strict=True):
        assert_same(one, other)


def test_the_trainers_learn_the_same_tokens(tmp_path):
    """On text without ties; where counts tie, the order of Hugging Face's hash tables decides."""
    words = ["low"] * 50 + ["lower"] * 21 + ["newest"] * 60 + ["widest"] * 33 + ["天气"] * 5
    texts = [" ".join(words)]
    ours = WordPieceTokenizer.train(texts, 45, show_progress=False)
    theirs = tokenizers.BertWordPieceTokenizer()
    theirs.train_from_iterator(texts, vocab_size=45, show_progress=False)
    assert set(ours.get_vocab()) == set(theirs.get_vocab())


def test_opens_what_transformers_saves(tmp_path):
    transformers = pytest.importorskip("transformers")
    vocab = WordPieceTokenizer.train(TEXTS, 300, show_progress=False).get_vocab()
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(vocab) + "\n", "utf-8")
    theirs = transformers.BertTokenizerFast.from_pretrained(str(tmp_path))
    theirs.save_pretrained(tmp_path / "saved")
    ours = WordPieceTokenizer.from_file(tmp_path / "saved" / "tokenizer.json")
    assert ours.get_vocab() == vocab
    for text in TEXTS[:6]:
        assert ours.encode(text, text[:9]).ids == theirs(text, text[:9])["input_ids"]

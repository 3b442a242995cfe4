"""The tokenizer as a whole: from texts, English and Chinese, to ids and back."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.text import AddedToken, BertNormalizer, WordPieceTokenizer
from minillm.text.clean import normalize_whitespace

TEXTS = [
    "The quick brown fox jumps over the lazy dog, and the dog doesn't mind.",
    "Unaffable foxes jumped; the laziest dogs were quick. Naïve café owners agreed!",
    "今天天气很好，我们去公园玩。你去不去公园？",
    "我们明天去看电影，天气不好也去。",
] * 3


def trained(**options) -> WordPieceTokenizer:
    return WordPieceTokenizer.train(TEXTS, vocab_size=140, show_progress=False, **options)


@pytest.fixture(scope="module")
def tokenizer() -> WordPieceTokenizer:
    return trained()


mixed_text = st.one_of(
    st.text(alphabet=st.characters(), max_size=30),
    st.lists(
        st.sampled_from(
            ["the ", "dog", "天气", "，", "É", "[MASK]", "[SEP]", " ", "\u200b", "İ", "."]
        ),
        max_size=12,
    ).map("".join),
)


def test_special_tokens_take_the_first_ids_then_the_sorted_alphabet(tokenizer):
    vocab = tokenizer.get_vocab()
    tokens = list(vocab)
    assert list(vocab.values()) == list(range(len(vocab)))
    assert tokenizer.get_vocab_size() == len(vocab)
    assert tokens[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    alphabet = sorted({c for t in TEXTS for c in BertNormalizer().normalize_str(t)} - {" "})
    assert tokens[5 : 5 + len(alphabet)] == alphabet
    assert "the" in vocab and "dog" in vocab and "公" in vocab and "公园" not in vocab


def test_training_is_deterministic_and_reads_the_texts_once(tokenizer):
    again = WordPieceTokenizer.train(iter(TEXTS), vocab_size=140, show_progress=False)
    assert again.get_vocab() == tokenizer.get_vocab()
    backwards = WordPieceTokenizer.train(TEXTS[::-1], vocab_size=140, show_progress=False)
    assert backwards.get_vocab() == tokenizer.get_vocab()


def test_progress_is_shown_on_demand_only(capsys):
    WordPieceTokenizer.train(TEXTS, 150, show_progress=False)
    assert capsys.readouterr().err == ""
    WordPieceTokenizer.train(TEXTS, 150)
    assert "counting words" in capsys.readouterr().err


def test_tokens_and_id_lookups(tokenizer):
    assert tokenizer.id_to_token(4) == "[MASK]" and tokenizer.token_to_id("[MASK]") == 4
    assert tokenizer.id_to_token(10_000) is None and tokenizer.id_to_token(-1) is None
    assert tokenizer.token_to_id("missing") is None


def test_one_text(tokenizer):
    text = "The DOG, [MASK] 天气!"
    e = tokenizer.encode(text)
    assert e.tokens == ["[CLS]", "the", "dog", ",", "[MASK]", "天", "气", "!", "[SEP]"]
    assert e.ids == [tokenizer.token_to_id(token) for token in e.tokens]
    places = [text[start:end] for start, end in e.offsets]
    assert places == ["", "The", "DOG", ",", "[MASK]", "天", "气", "!", ""]
    assert e.word_ids == [None, 0, 1, 2, 3, 4, 5, 6, None]
    assert e.special_tokens_mask == [1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert e.type_ids == [0] * 9 and e.attention_mask == [1] * 9
    assert len(e) == 9


def test_a_pair(tokenizer):
    e = tokenizer.encode("the dog", "天气")
    assert e.tokens == ["[CLS]", "the", "dog", "[SEP]", "天", "气", "[SEP]"]
    assert e.type_ids == [0, 0, 0, 0, 1, 1, 1]
    assert e.offsets == [(0, 0), (0, 3), (4, 7), (0, 0), (0, 1), (1, 2), (0, 0)]
    assert e.word_ids == [None, 0, 1, None, 0, 1, None]
    assert e.sequence_ids == [None, 0, 0, None, 1, 1, None]
    assert tokenizer.encode("", "").tokens == ["[CLS]", "[SEP]", "[SEP]"]


def test_offsets_see_through_normalisation(tokenizer):
    text = "\u200b  NAÏVE cafe\u0301\x00 İ天"
    e = tokenizer.encode(text, add_special_tokens=False)
    words = {}
    for word, (start, end) in zip(e.word_ids, e.offsets, strict=True):
        first, _ = words.get(word, (start, end))
        words[word] = (first, end)
    assert [text[start:end] for start, end in words.values()] == ["NAÏVE", "cafe", "İ", "天"]


@given(mixed_text)
def test_any_text_has_ids_and_places_that_are_in_order(tokenizer, text):
    e = tokenizer.encode(text, add_special_tokens=False)
    assert e.ids == tokenizer.encode_ids(text)
    assert all(0 <= start < end <= len(text) for start, end in e.offsets)
    assert e.offsets == sorted(e.offsets)
    assert e.word_ids == sorted(e.word_ids)
    unknown = tokenizer.token_to_id("[UNK]")
    for id, (start, end) in zip(e.ids, e.offsets, strict=True):
        if id > 4 and text[start:end].isascii():
            assert text[start:end].lower() == tokenizer.id_to_token(id).removeprefix("##")
        assert id != unknown or text[start:end].strip()


@given(st.lists(st.sampled_from("the dog quick fox 天 气 公 ! ,".split()), max_size=12))
def test_decoding_gives_the_words_back(tokenizer, words):
    text = " ".join(words)
    expected = text.replace(" !", "!").replace(" ,", ",")
    assert tokenizer.decode(tokenizer.encode(text).ids) == expected
    assert tokenizer.decode(np.array(tokenizer.encode_ids(text), dtype=np.uint16)) == expected


def test_decoding_keeps_special_tokens_on_demand(tokenizer):
    ids = tokenizer.encode("the dog!").ids
    assert tokenizer.decode(ids) == "the dog!"
    assert tokenizer.decode(ids, skip_special_tokens=False) == "[CLS] the dog! [SEP]"
    assert tokenizer.decode_batch([ids, []]) == ["the dog!", ""]


def test_case_accents_and_alphabet_are_options():
    cased = trained(lowercase=False)
    assert "The" in cased.get_vocab() and "ï" in {t[-1] for t in cased.get_vocab()}
    small = trained(limit_alphabet=20)
    assert small.encode("看 the", add_special_tokens=False).tokens[0] == "[UNK]"
    whole = trained(handle_chinese_chars=False)
    assert "##气" in whole.get_vocab()  # 天气 is a word like others


def test_own_special_tokens():
    tokenizer = trained(special_tokens=["[UNK]", "<end>"])
    assert tokenizer.encode("the<end>").tokens == ["the", "<end>"]
    assert tokenizer.encode("the", "dog").type_ids == [0, 1]
    assert tokenizer.decode(tokenizer.encode("the<end>").ids) == "the"


def test_added_tokens_may_continue_the_vocabulary_and_be_sought_in_normalised_text():
    vocab = {"[UNK]": 0, "a": 1, "##b": 2}
    added = {
        AddedToken("New Token", normalized=True, special=False): 3,
        AddedToken("\x00", normalized=True): 4,
    }
    tokenizer = WordPieceTokenizer(vocab, added_tokens=added)
    e = tokenizer.encode("ab NEW\x00 tokén a")
    assert e.tokens == ["a", "##b", "New Token", "a"]
    assert e.offsets == [(0, 1), (1, 2), (3, 13), (14, 15)]
    assert tokenizer.encode_ids("ab NEW\x00 tokén a") == e.ids
    assert tokenizer.decode(e.ids) == "ab New Token a"
    assert (tokenizer.get_vocab_size(), tokenizer.get_vocab_size(with_added_tokens=False)) == (5, 3)


def test_truncation_counts_special_tokens_and_can_be_switched_off(tokenizer):
    one = trained()
    one.enable_truncation(5)
    assert one.encode("the dog the dog").tokens == ["[CLS]", "the", "dog", "the", "[SEP]"]
    assert one.encode("the dog the", "dog").tokens == ["[CLS]", "the", "[SEP]", "dog", "[SEP]"]
    assert len(one.encode("the " * 9, add_special_tokens=False)) == 5
    assert len(one.encode_ids("the " * 9)) == 9
    one.enable_truncation(6, strategy="only_second", direction="left")
    assert one.encode("the", "the dog the").tokens[3:5] == ["dog", "the"]
    assert one.truncation == {
        "max_length": 6,
        "strategy": "only_second",
        "direction": "left",
        "stride": 0,
    }
    one.no_truncation()
    assert one.truncation is None
    assert one.encode("the dog " * 9).ids == tokenizer.encode("the dog " * 9).ids


def test_padding_of_one_and_of_a_batch():
    one = trained()
    one.enable_padding(pad_to_multiple_of=4)
    assert one.encode("the").tokens == ["[CLS]", "the", "[SEP]", "[PAD]"]
    short, pair = one.encode_batch(["the", ("the dog", "dog")])
    assert len(short) == len(pair) == 8
    assert short.attention_mask == [1, 1, 1, 0, 0, 0, 0, 0]
    assert pair.tokens[:6] == ["[CLS]", "the", "dog", "[SEP]", "dog", "[SEP]"]
    one.enable_padding(direction="left", length=5)
    assert one.encode("the").tokens == ["[PAD]", "[PAD]", "[CLS]", "the", "[SEP]"]
    assert one.padding["length"] == 5
    one.no_padding()
    assert one.padding is None and len(one.encode("the")) == 3


@settings(max_examples=10)
@given(st.lists(mixed_text, max_size=4))
def test_a_batch_is_its_texts(tokenizer, texts):
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]


def test_saved_and_opened_it_is_the_same(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.json")
    again = WordPieceTokenizer.from_file(tmp_path / "tokenizer.json")
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again.encode_batch(TEXTS) == tokenizer.encode_batch(TEXTS)
    assert [file.name for file in tmp_path.iterdir()] == ["tokenizer.json"]


def test_opens_a_vocabulary_file(tokenizer, tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(tokenizer.get_vocab()) + "\n", "utf-8")
    assert WordPieceTokenizer.from_vocab_file(path).encode_batch(TEXTS) == tokenizer.encode_batch(
        TEXTS
    )
    assert WordPieceTokenizer.from_vocab_file(path, lowercase=False).encode("The").ids[1] == 1
    path.write_text("the\ndog\n", "utf-8")
    with pytest.raises(ValueError, match=r"vocab.txt: the unknown token '\[UNK\]'"):
        WordPieceTokenizer.from_vocab_file(path)


def test_a_copy_is_as_good(tokenizer):
    again = copy.deepcopy(tokenizer)
    assert again.encode_batch(TEXTS) == tokenizer.encode_batch(TEXTS)


def test_a_very_long_word_is_unknown_at_once(tokenizer):
    assert tokenizer.encode("x" * 1_000_000).tokens == ["[CLS]", "[UNK]", "[SEP]"]


def test_any_texts_can_be_trained_on():
    texts = ["\ud800a\udfffb ab", "\x00", "", "e\u0301É", "🙂" * 3, "\u202e\ufeff"]
    tokenizer = WordPieceTokenizer.train(texts, 100, show_progress=False)
    assert {"ab", "e", "🙂", "##🙂"} <= set(tokenizer.get_vocab())


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"vocab_size": 20}, ValueError, "vocab_size 20 is too small"),
        ({"vocab_size": 0}, ValueError, "vocab_size is 0"),
        ({"vocab_size": 1e4}, TypeError, "vocab_size is 10000.0"),
        ({"min_frequency": -1}, ValueError, "min_frequency is -1"),
        ({"limit_alphabet": 0}, ValueError, "limit_alphabet is 0"),
        ({"special_tokens": ["[PAD]"]}, ValueError, r"must hold '\[UNK\]'"),
        ({"special_tokens": ["[UNK]", "[UNK]"]}, ValueError, "twice"),
        ({"special_tokens": "[UNK]"}, TypeError, "expected a list of non-empty str"),
        ({"special_tokens": ["[UNK]", ""]}, TypeError, "non-empty"),
    ],
)
def test_training_options_that_cannot_be_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        WordPieceTokenizer.train(TEXTS, show_progress=False, **options)


@pytest.mark.parametrize("texts", [[], [""], ["  \x00"]])
def test_nothing_to_train_on(texts):
    with pytest.raises(ValueError, match="no word to train on"):
        WordPieceTokenizer.train(texts, show_progress=False)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda t: t.encode(3), TypeError, "expected a text .* got int"),
        (lambda t: t.encode("a", 3), TypeError, "expected a text .* got int"),
        (lambda t: t.encode("a", ["b"]), TypeError, "got list"),
        (lambda t: t.encode_ids(b"a"), TypeError, "got bytes"),
        (lambda t: t.encode_batch("a"), TypeError, "got one text"),
        (lambda t: t.encode_batch([("a", "b", "c")]), TypeError, "a pair of texts"),
        (lambda t: t.encode_batch([("a", 1)]), TypeError, "got int"),
        (lambda t: t.decode([140]), ValueError, "id 140 is out of range: .* 0 to 139"),
        (lambda t: t.decode([-1]), ValueError, "id -1 is out of range"),
        (lambda t: t.decode([0.5]), TypeError, "float"),
        (lambda t: t.decode(3), TypeError, "not iterable"),
        (lambda t: t.enable_truncation(1), ValueError, "no room for 2 special tokens"),
        (lambda t: t.enable_truncation(8, 2), ValueError, "stride is 2"),
        (lambda t: t.enable_truncation(8, strategy="x"), ValueError, "strategy is 'x'"),
        (lambda t: t.enable_padding(pad_id=140), ValueError, "pad_id is 140"),
    ],
)
def test_wrong_calls_are_refused(tokenizer, call, error, message):
    assert tokenizer.get_vocab_size() == 140
    with pytest.raises(error, match=message):
        call(tokenizer)


def test_chinese_text_survives_up_to_spaces(tokenizer):
    text = TEXTS[2]
    assert tokenizer.decode(tokenizer.encode(text).ids).replace(" ", "") == normalize_whitespace(
        text
    )

"""From text to ids to probabilities: cleaning, truncation, windows, batches, folders."""

import json

import numpy as np
import pytest
from classifier_contract import ID2LABEL, V, word_classifier
from hypothesis import given
from hypothesis import strategies as st

import minillm
from minillm.models.average_classifier import AverageConfig, AverageForSequenceClassification
from minillm.models.bert import BertConfig
from minillm.models.bert_classifier import BertForSequenceClassification
from minillm.models.classification import probabilities
from minillm.models.cnn_classifier import CNNConfig, CNNForSequenceClassification
from minillm.models.network_classifier import NetworkClassifier
from minillm.models.text_classifier import TextClassifier
from minillm.text import WordPieceTokenizer

# Ids of the words in the tokenizer of `word_classifier`: 0 [PAD], 1 [UNK], then by frequency.
CONFIG = CNNConfig(V, ID2LABEL, embedding_size=6, window_sizes=(1, 2), num_filters=4)
LONG = "a waste of time and joy, " * 20_000  # 120,000 words


def classifier(device, **settings):
    made = word_classifier(CNNForSequenceClassification, CONFIG, **settings)
    made.network.to(device)
    return made


def bert_classifier(device, **settings):
    texts = ["a joy from start to end", "a waste of time", "good actors but a bad film"]
    tokenizer = WordPieceTokenizer.train(texts, 60, min_frequency=1, show_progress=False)
    config = BertConfig(
        *(60, 12, 2, 3, 20),
        max_position_embeddings=12,
        initializer_range=0.5,
        id2label=ID2LABEL,
    )
    network = BertForSequenceClassification(config).to(device)
    return NetworkClassifier(network, tokenizer, **({"max_length": 12} | settings))


# ------------------------------------------------------------------------------------- text -> ids


def words(made, ids):
    return [made.tokenizer.id_to_token(int(i)) for i in ids]


def test_texts_are_cleaned_before_they_are_tokenized(device):
    made = classifier(device)
    dirty, clean = made.encode(["A <b>JOY</b><br /><br />from&nbsp;start", "a joy\n\nfrom start"])
    assert words(made, dirty) == words(made, clean) == ["a", "joy", "from", "start"]
    assert dirty.dtype == np.int64


@pytest.mark.parametrize(
    "truncation, expected",
    [
        ("head", ["a", "joy", "from", "start"]),
        ("tail", ["from", "start", "to", "end"]),
        ("head_tail", ["a", "start", "to", "end"]),
    ],
)
def test_truncation(device, truncation, expected):
    made = classifier(device, max_length=4, truncation=truncation)
    assert words(made, made.encode(["a joy from start to end"])[0]) == expected


def test_special_tokens_count_and_stay(device):
    made = bert_classifier(device, max_length=5)
    (ids,) = made.encode(["a joy from start to end"])
    whole = made.tokenizer.encode("a joy from start to end").ids
    assert ids.tolist() == [*whole[:4], whole[-1]]  # [CLS], three pieces, [SEP]
    assert made.encode([""])[0].tolist() == [
        whole[0],
        made.tokenizer.token_to_id("[UNK]"),
        whole[-1],
    ]


def test_windows_hold_the_whole_text_and_know_whose_they_are(device):
    made = classifier(device, max_length=4, truncation="windows")
    ids, owners = made.encode_windows(["a joy from start to end", "good", "a joy from start to"])
    assert [words(made, i) for i in ids] == [
        ["a", "joy", "from", "start"],
        ["start", "to", "end"],
        ["good"],
        ["a", "joy", "from", "start"],
        ["start", "to"],
    ]
    assert owners.tolist() == [0, 0, 1, 2, 2]
    assert [words(made, i) for i in made.encode(["good", "a joy from start to"])] == [
        ["good"],
        ["a", "joy", "from", "start"],
    ]


def test_an_empty_text_is_one_unknown_word(device):
    made = classifier(device)
    assert [ids.tolist() for ids in made.encode(["", "  \n", "<br />", "zebra"])] == [[1]] * 4
    p = made.predict_proba(["", "zebra"])
    np.testing.assert_allclose(p[0], p[1], rtol=1e-6)


def test_the_name_of_the_padding_in_a_text_is_not_padding(device):
    made = classifier(device)
    assert 0 not in made.encode(["a [PAD] joy"])[0]
    assert made.predict_proba(["[PAD]"]).shape == (1, 2)


# ---------------------------------------------------------------------------- ids -> probabilities

TEXTS = st.lists(st.text("a joy from start bad!", max_size=60), min_size=1, max_size=9)


@given(texts=TEXTS, batch_size=st.integers(1, 4))
def test_neither_order_nor_batch_size_matters(device, texts, batch_size):
    minillm.manual_seed(0)
    made = classifier(device, max_length=6, truncation="windows")
    p = made.predict_proba(texts, batch_size)
    one_by_one = np.concatenate([made.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(p, one_by_one, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)


def test_windows_average_log_probabilities(device):
    made = classifier(device, max_length=4, truncation="windows")
    text = "a joy from start to end"
    parts = ["a joy from start", "start to end"]
    average = np.mean([np.log(made.predict_proba([part])[0]) for part in parts], axis=0)
    np.testing.assert_allclose(
        made.predict_proba([text])[0], probabilities(average[None])[0], rtol=1e-5
    )


def test_a_text_of_a_hundred_thousand_words(device):
    head, whole = (classifier(device, truncation=how) for how in ("head", "windows"))
    p = head.predict_proba([LONG, "good"])
    np.testing.assert_allclose(p[0], head.predict_proba(["a waste of time and joy, a waste"])[0])
    assert whole.predict_proba([LONG, "good"]).shape == (2, 2)


def test_no_texts(device):
    assert classifier(device).predict_proba([]).shape == (0, 2)
    assert classifier(device)([]) == []


def test_dropout_is_off_and_the_mode_stays(device):
    made = classifier(device)
    made.network.train()
    p = made.predict_proba(["a joy", "bad"])
    np.testing.assert_array_equal(made.predict_proba(["a joy", "bad"]), p)
    assert made.network.training and made.network.dropout.training
    made.network.eval()
    made.predict_proba(["a joy"])
    assert not made.network.training


def test_prediction_leaves_no_tape(device):
    made = classifier(device)
    made.predict_proba(["a joy"])
    assert all(p.grad is None for p in made.network.parameters())


# ------------------------------------------------------------------------------------------ folder


def test_settings_are_kept(device, tmp_path):
    made = classifier(device, max_length=6, truncation="head_tail")
    made.save_pretrained(tmp_path / "m")
    values = json.loads((tmp_path / "m" / "config.json").read_text())
    assert values["minillm"] == {"max_length": 6, "truncation": "head_tail"}
    assert values["model_type"] == "minillm-cnn"
    again = NetworkClassifier.from_pretrained(tmp_path / "m")
    assert (again.max_length, again.truncation) == (6, "head_tail")
    assert again.label_names == ["negative", "positive"]


@pytest.mark.parametrize("truncation", ["head", "windows"])
def test_bert_round_trip(device, tmp_path, truncation):
    made = bert_classifier(device, truncation=truncation)
    texts = ["a joy", "bad actors but a good film from start to end", ""]
    p = made.predict_proba(texts)
    made.save_pretrained(tmp_path / "m")
    again = TextClassifier.from_pretrained(tmp_path / "m")
    again.network.to(device)
    np.testing.assert_array_equal(again.predict_proba(texts), p)


def test_a_bert_that_another_library_saved_reads_as_much_as_it_can(device, tmp_path):
    made = bert_classifier(device, max_length=5)
    made.save_pretrained(tmp_path / "m")
    path = tmp_path / "m" / "config.json"
    values = json.loads(path.read_text())
    del values["minillm"]
    path.write_text(json.dumps(values))
    assert NetworkClassifier.from_pretrained(tmp_path / "m").max_length == 12


def test_saving_into_a_folder_keeps_what_else_is_there(device, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    classifier(device).save_pretrained(tmp_path)
    classifier(device).save_pretrained(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("config.json", "model.safetensors", "notes.txt", "tokenizer.json")
    ]


def test_a_folder_that_can_not_be_written_is_not_begun(device, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        classifier(device).save_pretrained(tmp_path / "file" / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_settings_in_the_folder_that_can_not_be(device, tmp_path):
    classifier(device).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    values = json.loads(path.read_text())
    for settings in (
        None,
        {"max_length": "8"},
        {"max_length": 8, "truncation": "middle"},
        {"x": 1},
    ):
        path.write_text(json.dumps(values | {"minillm": settings}))
        with pytest.raises(ValueError, match='config.json, section "minillm"') as caught:
            NetworkClassifier.from_pretrained(tmp_path)
        assert "\n" not in str(caught.value)


def test_settings_that_can_not_be(device):
    with pytest.raises(ValueError, match="truncation='middle': expected one of head, tail"):
        classifier(device, truncation="middle")
    with pytest.raises(ValueError, match="max_length=0: expected an integer above the 0 special"):
        classifier(device, max_length=0)
    with pytest.raises(ValueError, match="max_length=2: expected an integer above the 2 special"):
        bert_classifier(device, max_length=2)
    with pytest.raises(ValueError, match="max_length=13: the network reads at most 12 tokens"):
        bert_classifier(device, max_length=13)
    with pytest.raises(ValueError, match="tokenizer has 16 tokens, the network knows only 15"):
        word_classifier(AverageForSequenceClassification, AverageConfig(V - 1, ID2LABEL))


def test_two_threads_give_the_same_probabilities():
    classifier = word_classifier(AverageForSequenceClassification, AverageConfig(V, ID2LABEL))
    texts = ["a joy", "bad", "a waste of time and " * 3, "good actors"] * 5
    p = classifier.predict_proba(texts, batch_size=3)
    classifier.threads = 2
    np.testing.assert_array_equal(classifier.predict_proba(texts, batch_size=3), p)

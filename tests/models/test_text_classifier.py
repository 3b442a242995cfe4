"""The one interface: three lines from another program, the right class for each folder, errors."""

import json

import numpy as np
import pytest
from classifier_contract import ID2LABEL, V, word_classifier

from minillm.models.average_classifier import AverageConfig, AverageForSequenceClassification
from minillm.models.bert import BertConfig, BertModel
from minillm.models.bert_classifier import BertForSequenceClassification
from minillm.models.cnn_classifier import CNNConfig, CNNForSequenceClassification
from minillm.models.lstm_classifier import LSTMConfig, LSTMForSequenceClassification
from minillm.models.network_classifier import NetworkClassifier
from minillm.models.text_classifier import TextClassifier

TEXTS = ["a joy from start to end", "a waste of time", "good"]
BERT = BertConfig(V, 12, 1, 3, 20, max_position_embeddings=10, initializer_range=0.5)


class Fixed(TextClassifier):
    """Answers by the length of a text: a classifier that needs no training."""

    label_names = ["long", "short", "empty"]

    def predict_proba(self, texts, batch_size=32, show_progress=False):
        rows = {False: [0.7, 0.2, 0.1], True: [0.15, 0.6, 0.25]}
        return np.array([rows[len(text) < 10] for text in texts])

    def num_parameters(self):
        return 0

    def save_pretrained(self, folder):
        raise OSError("there is nothing to save")


@pytest.fixture
def folder(tmp_path):
    """A saved classifier."""
    classifier = word_classifier(AverageForSequenceClassification, AverageConfig(V, ID2LABEL))
    classifier.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_three_lines_in_another_program(folder):
    classifier = TextClassifier.from_pretrained(folder)
    results = classifier(TEXTS)
    assert [set(result) for result in results] == [{"label", "score"}] * 3
    p = classifier.predict_proba(TEXTS)
    for result, row in zip(results, p, strict=True):
        assert result == {"label": ID2LABEL[int(row.argmax())], "score": row.max()}
        assert type(result["score"]) is float
    assert json.loads(json.dumps(results)) == results


def test_labels_scores_and_numbers_come_from_the_probabilities():
    classifier = Fixed()
    assert classifier(["short", "a long, long text"]) == [
        {"label": "short", "score": 0.6},
        {"label": "long", "score": 0.7},
    ]
    assert classifier("short") == [{"label": "short", "score": 0.6}]
    assert classifier.predict(["short", "a long, long text"]).tolist() == [1, 0]


@pytest.mark.parametrize(
    "network_class, config",
    [
        (AverageForSequenceClassification, AverageConfig(V, ID2LABEL)),
        (CNNForSequenceClassification, CNNConfig(V, ID2LABEL, num_filters=3)),
        (LSTMForSequenceClassification, LSTMConfig(V, ID2LABEL, hidden_size=4)),
        (BertForSequenceClassification, BertConfig(**(vars(BERT) | {"id2label": ID2LABEL}))),
    ],
)
def test_the_folder_says_which_network_it_holds(tmp_path, network_class, config):
    word_classifier(network_class, config).save_pretrained(tmp_path / "m")
    classifier = TextClassifier.from_pretrained(tmp_path / "m")
    assert isinstance(classifier, NetworkClassifier)
    assert type(classifier.network) is network_class and classifier.network.config == config


def test_label_names_are_kept_whatever_the_language(tmp_path):
    config = AverageConfig(V, {0: "消极", 1: "积极", 2: 'né"utre'})
    word_classifier(AverageForSequenceClassification, config).save_pretrained(tmp_path / "m")
    assert TextClassifier.from_pretrained(tmp_path / "m").label_names == ["消极", "积极", 'né"utre']
    values = json.loads((tmp_path / "m" / "config.json").read_text(encoding="utf-8"))
    assert values["id2label"] == {"0": "消极", "1": "积极", "2": 'né"utre'}
    assert values["label2id"] == {"消极": 0, "积极": 1, 'né"utre': 2}


def changed(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_what_is_not_a_classifiers_folder(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="'nowhere' is not a folder"):
        TextClassifier.from_pretrained("nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="not a model's folder: it has no config.json"):
        TextClassifier.from_pretrained(tmp_path / "empty")
    for content, message in (
        ("{", "config.json is damaged"),
        ("[1]", "expected a JSON object"),
        ("{}", "model_type is None, expected one of bert, minillm-average"),
    ):
        (folder / "config.json").write_text(content)
        with pytest.raises(ValueError, match=message) as caught:
            TextClassifier.from_pretrained(folder)
        assert "\n" not in str(caught.value)


def test_an_unknown_kind_of_model(folder):
    changed(folder, model_type="gpt2")
    with pytest.raises(ValueError, match="model_type is 'gpt2', expected one of bert, "):
        TextClassifier.from_pretrained(folder)


def test_a_model_without_classes(folder, tmp_path):
    changed(folder, id2label=None)
    with pytest.raises(ValueError, match=r"names no classes \(id2label\)"):
        TextClassifier.from_pretrained(folder)
    BertModel(BERT).save_pretrained(tmp_path / "encoder")
    with pytest.raises(ValueError, match=r"names no classes \(id2label\)"):
        TextClassifier.from_pretrained(tmp_path / "encoder")


def test_an_encoder_whose_config_names_classes_has_no_head(tmp_path):
    config = BertConfig(**(vars(BERT) | {"id2label": ID2LABEL}))
    word_classifier(BertForSequenceClassification, config).save_pretrained(tmp_path / "m")
    BertModel(config).save_pretrained(tmp_path / "m")  # only the weights of the encoder
    with pytest.raises(ValueError, match="is missing") as caught:
        TextClassifier.from_pretrained(tmp_path / "m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_file_is_missing_or_cut_off(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=name):
        TextClassifier.from_pretrained(folder)
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        TextClassifier.from_pretrained(folder)


def test_what_is_not_a_text(folder):
    classifier = TextClassifier.from_pretrained(folder)
    with pytest.raises(TypeError, match="text number 1 is None; expected a str"):
        classifier(["a joy", None])
    with pytest.raises(TypeError, match=r"got one text: 'a joy'; write \[text\]"):
        classifier.predict_proba("a joy")
    with pytest.raises(TypeError, match="b'a joy'"):
        classifier(b"a joy")
    with pytest.raises(ValueError, match="batch_size=0"):
        classifier(["a joy"], batch_size=0)

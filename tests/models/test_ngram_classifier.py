"""The n-gram baseline from texts to probabilities, to a folder, and back; and bad input."""

import json

import numpy as np
import pytest
import safetensors.numpy

from minillm.models import NGramClassifier, NGramNetworkClassifier, TextClassifier

GOOD = ["a good film", "a fine joy", "good fun, what a joy", "not bad at all"]
BAD = ["a bad film", "a waste of time", "bad fun, what a waste", "not good at all"]
TEXTS, LABELS, NAMES = (GOOD + BAD) * 3, ([1] * 4 + [0] * 4) * 3, ["negative", "positive"]
THREE = [0, 1, 2, 1] * 6


@pytest.fixture
def classifier():
    return NGramClassifier.train(TEXTS, LABELS, NAMES)


def test_learns_and_answers(classifier):
    np.testing.assert_array_equal(classifier.predict(TEXTS), LABELS)
    assert [a["label"] for a in classifier(["not good at all", "not bad at all"])] == NAMES
    p = classifier.predict_proba(TEXTS)
    assert p.shape == (24, 2) and p.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert classifier.num_parameters() == len(classifier.vocabulary) + 1


def test_order_needs_ngrams():
    """ "not good" and "not bad" differ by pairs only where both words stand in both classes."""
    texts = ["not good but bad", "not bad but good"] * 4
    labels = [0, 1] * 4
    names = ["no", "yes"]
    pairs = NGramClassifier.train(texts, labels, names, ngrams=2)
    np.testing.assert_array_equal(pairs.predict(texts), labels)
    words = NGramClassifier.train(texts, labels, names, ngrams=1)
    np.testing.assert_allclose(words.predict_proba(texts), 0.5)


def test_the_probability_is_the_sigmoid_of_the_score(classifier):
    z = classifier.scores(["a good film"])
    np.testing.assert_allclose(
        classifier.predict_proba(["a good film"])[0, 1], 1 / (1 + np.exp(-z[0, 0]))
    )


def test_a_text_without_a_known_word_gets_the_bias(classifier):
    p = classifier.predict_proba(["", "xyzzy"])
    np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-classifier.bias[0])))


def test_an_enormous_text_and_no_text(classifier):
    assert classifier.predict_proba(["good " * 100_000]).shape == (1, 2)
    assert classifier.predict_proba([]).shape == (0, 2)


def test_three_classes():
    texts = ["red apple", "blue sky", "green grass", "blue sea"] * 6
    classifier = NGramClassifier.train(texts, THREE, ["red", "blue", "green"])
    np.testing.assert_array_equal(classifier.predict(texts), THREE)
    p = classifier.predict_proba(texts)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    sigmoid = 1 / (1 + np.exp(-classifier.scores(texts)))
    np.testing.assert_allclose(p, sigmoid / sigmoid.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("labels, names", [(LABELS, NAMES), (THREE, ["消极", "积极", "neutral"])])
def test_saved_and_opened_it_is_the_same_to_the_bit(tmp_path, labels, names):
    classifier = NGramClassifier.train(TEXTS, labels, names, lowercase=False)
    for _ in range(2):  # into a new folder, and over the old files
        classifier.save_pretrained(tmp_path / "model")
        again = TextClassifier.from_pretrained(tmp_path / "model")
        assert type(again) is NGramClassifier and again.label_names == names
        assert again.settings == classifier.settings and not again.vocabulary.lowercase
        np.testing.assert_array_equal(again.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
    config = json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {str(i): name for i, name in enumerate(names)}
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "config.json",
        "model.safetensors",
        "ngrams.txt",
    ]


def test_a_minimum_that_is_not_reached_is_warned_of():
    with pytest.warns(RuntimeWarning, match="not at the minimum after 1 iterations"):
        NGramClassifier.train(TEXTS, LABELS, NAMES, max_iterations=1)


@pytest.mark.parametrize("kind", [NGramClassifier, NGramNetworkClassifier])
@pytest.mark.parametrize(
    "texts, labels, error, message",
    [
        (TEXTS, [1] * 24, ValueError, r"no text has the label 0 \('negative'\)"),
        (TEXTS, [*LABELS[:-1], 7], ValueError, "label number 23 is 7"),
        (TEXTS, LABELS[:-1], ValueError, "for 24 texts"),
        ([*TEXTS[:-1], float("nan")], LABELS, TypeError, "text number 23 is nan"),
        ([str(i) for i in range(24)], LABELS, ValueError, "no word stands in at least min_count=2"),
        ([], [], ValueError, "no text has the label 0"),
    ],
)
def test_bad_training_input_is_one_clear_line(kind, texts, labels, error, message):
    with pytest.raises(error, match=message) as caught:
        kind.train(texts, labels, NAMES)
    assert "\n" not in str(caught.value)


def test_bad_texts_and_batch_sizes_to_predict(classifier):
    with pytest.raises(TypeError, match="text number 0 is None"):
        classifier.predict([None])
    with pytest.raises(ValueError, match="batch_size=0"):
        classifier.predict(["a"], batch_size=0)


@pytest.fixture
def folder(classifier, tmp_path):
    classifier.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "ngrams.txt"])
def test_a_file_that_is_missing_or_cut_off(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"{name}|belong together") as caught:
        NGramClassifier.from_pretrained(folder)
    assert "\n" not in str(caught.value)
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        NGramClassifier.from_pretrained(folder)


def test_what_is_not_this_model(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="'nowhere' is not a folder"):
        NGramClassifier.from_pretrained("nowhere")
    with pytest.raises(ValueError, match="a 'minillm-ngram' model, expected 'minillm-ngram-netw"):
        NGramNetworkClassifier.from_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"minillm": None}))
    with pytest.raises(ValueError, match='section "minillm"'):
        NGramClassifier.from_pretrained(folder)
    config["id2label"]["2"] = "neutral"  # a third class needs three rows of weights
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="belong together"):
        NGramClassifier.from_pretrained(folder)


def test_weights_that_are_not_finite(classifier, folder):
    tensors = {"ratio": classifier.ratio, "weight": classifier.weight * np.nan}
    tensors["bias"] = classifier.bias
    (folder / "model.safetensors").write_bytes(safetensors.numpy.save(tensors))
    with pytest.raises(ValueError, match="weight holds NaN or infinity"):
        NGramClassifier.from_pretrained(folder)

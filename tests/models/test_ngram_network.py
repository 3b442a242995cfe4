"""The bag of n-grams as a network: it begins as naive Bayes, learns, repeats, saves, opens."""

import numpy as np
import pytest

import minillm
from minillm.models import NGramNetwork, NGramNetworkClassifier, TextClassifier
from minillm.models.naive_bayes import log_count_ratio
from minillm.models.ngrams import NGramVocabulary

GOOD = ["a good film", "a fine joy", "good fun, what a joy", "not bad at all"]
BAD = ["a bad film", "a waste of time", "bad fun, what a waste", "not good at all"]
TEXTS, LABELS, NAMES = (GOOD + BAD) * 3, ([1] * 4 + [0] * 4) * 3, ["negative", "positive"]
COLOURS, THREE = ["red apple", "blue sky", "green grass", "blue sea"] * 6, [0, 1, 2, 1] * 6
# Two bags of ids 0 to 4 and an empty one, and their labels.
BAGS, OFFSETS, BAG_LABELS = np.array([0, 2, 4, 1, 2]), np.array([0, 3, 5]), np.array([1, 0, 1])


def on(device, *arrays):
    return [minillm.tensor(array, device=device) for array in arrays]


def random_network(device, classes=1, **options):
    rng = np.random.default_rng(0)
    network = NGramNetwork(rng.standard_normal((5, classes)), **options)
    network.weight.data[...] = rng.standard_normal((5, classes))
    network.bias.data[...] = rng.standard_normal(classes)
    return network.to(device)


@pytest.mark.parametrize("classes", [1, 3])
def test_the_formula(device, classes):
    network = random_network(device, classes).eval()
    output = network(*on(device, BAGS, OFFSETS))
    r, w, b = (p.numpy() for p in (network.ratio, network.weight, network.bias))
    expected = [b + sum(r[i] * w[i] for i in bag) for bag in ([0, 2, 4], [1, 2], [])]
    np.testing.assert_allclose(output.logits.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert output.loss is None


def test_a_new_network_is_naive_bayes(device):
    vocabulary = NGramVocabulary.fit(TEXTS, 2, 2)
    X = vocabulary.transform(TEXTS)
    r = log_count_ratio(X, np.array(LABELS) == 1)
    network = NGramNetwork(r[:, None], start=0.1).to(device).eval()
    logits = network(*on(device, X.indices, X.indptr[:-1])).logits.numpy()
    np.testing.assert_allclose(logits[:, 0], 0.1 * X.times(r), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("classes", [1, 3])
def test_gradients(device, classes):
    """d loss / d weight and d bias against central differences; the ratio stays as it is."""
    network = random_network(device, classes).to(np.float64).eval()
    batch = on(device, BAGS, OFFSETS, BAG_LABELS)
    network(*batch).loss.backward()
    assert network.ratio.grad is None
    h = 1e-6
    for p in (network.weight, network.bias):
        direction = minillm.tensor(
            np.random.default_rng(1).standard_normal(p.shape), device=device
        ).data
        losses = []
        for sign in (1, -2):
            p.data += sign * h * direction
            losses.append(network(*batch).loss.item())
        measured = (losses[0] - losses[1]) / (2 * h)
        np.testing.assert_allclose(float((p.grad * direction).sum()), measured, rtol=1e-5)


def test_dropout_leaves_out_whole_ngrams_and_keeps_the_mean(device):
    network = random_network(device, dropout=0.5)
    network.bias.data[...] = 0
    bag = on(device, np.array([3]), np.array([0]))  # a text of one n-gram
    whole = network.eval()(*bag).logits.item()
    network.train()
    drawn = np.array([network(*bag).logits.item() for _ in range(400)])
    assert np.all(np.isclose(drawn, 0) | np.isclose(drawn, 2 * whole))
    assert abs((drawn == 0).mean() - 0.5) < 0.1


def test_learns_and_answers(device):
    classifier = NGramNetworkClassifier.train(TEXTS, LABELS, NAMES, device=device, batch_size=4)
    np.testing.assert_array_equal(classifier.predict(TEXTS), LABELS)
    p = classifier.predict_proba(TEXTS, batch_size=5)
    assert p.shape == (24, 2) and p.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(p, classifier.predict_proba(TEXTS), rtol=1e-5)
    assert classifier.num_parameters() == len(classifier.vocabulary) + 1
    assert classifier.predict_proba([]).shape == (0, 2)
    assert classifier.predict_proba(["", "xyzzy"]).shape == (2, 2)


def test_three_classes(device):
    names = ["red", "blue", "green"]
    classifier = NGramNetworkClassifier.train(COLOURS, THREE, names, device=device, batch_size=4)
    np.testing.assert_array_equal(classifier.predict(COLOURS), THREE)
    np.testing.assert_allclose(classifier.predict_proba(COLOURS).sum(axis=1), 1)


def test_training_lowers_the_loss_below_naive_bayes(device):
    X_labels = np.array(LABELS)
    trained = NGramNetworkClassifier.train(TEXTS, LABELS, NAMES, device=device, batch_size=4)
    start = trained.network
    before = NGramNetwork(start.ratio.numpy()).to(device)
    untrained = NGramNetworkClassifier(before, trained.vocabulary, NAMES, {})

    def loss(classifier):
        return -np.log(classifier.predict_proba(TEXTS)[np.arange(24), X_labels]).mean()

    assert loss(trained) < 0.5 * loss(untrained)


def test_the_seed_decides_everything(device):
    def weights(seed):
        return NGramNetworkClassifier.train(
            TEXTS, LABELS, NAMES, epochs=2, batch_size=4, seed=seed, device=device
        ).network.weight.numpy()

    np.testing.assert_array_equal(weights(0), weights(0))
    assert not np.array_equal(weights(0), weights(1))


def test_predicting_leaves_the_mode_alone():
    classifier = NGramNetworkClassifier.train(TEXTS, LABELS, NAMES, epochs=1)
    classifier.network.train()
    np.testing.assert_array_equal(classifier.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
    assert classifier.network.training


@pytest.mark.parametrize(
    "texts, labels, names", [(TEXTS, LABELS, NAMES), (COLOURS, THREE, ["红", "蓝", "绿"])]
)
def test_saved_and_opened_it_is_the_same_to_the_bit(tmp_path, texts, labels, names):
    classifier = NGramNetworkClassifier.train(texts, labels, names, epochs=2, dropout=0.3)
    classifier.save_pretrained(tmp_path / "model")
    again = TextClassifier.from_pretrained(tmp_path / "model")
    assert type(again) is NGramNetworkClassifier and again.label_names == names
    assert again.settings == classifier.settings and again.network.dropout == 0.3
    assert not again.network.training
    np.testing.assert_array_equal(again.predict_proba(texts), classifier.predict_proba(texts))


@pytest.mark.parametrize(
    "setting, message",
    [
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"learning_rate": np.nan}, "learning_rate=nan"),
        ({"dropout": 1.5}, "dropout must be a probability"),
        ({"seed": -1}, "seed=-1"),
        ({"alpha": 0}, "alpha=0"),
        ({"ngrams": 0}, "n=0"),
    ],
)
def test_settings_that_can_not_be(setting, message):
    with pytest.raises(ValueError, match=message):
        NGramNetworkClassifier.train(TEXTS, LABELS, NAMES, **setting)


def test_ratios_that_can_not_be():
    for ratio in (np.array([[np.nan]]), np.ones(3)):
        with pytest.raises(ValueError, match="expected finite numbers"):
            NGramNetwork(ratio)


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")  # NumPy says so, too
def test_a_learning_rate_that_is_too_high():
    with pytest.raises(FloatingPointError, match="learning_rate=1e.300 is too high"):
        NGramNetworkClassifier.train(TEXTS, LABELS, NAMES, learning_rate=1e300, dropout=0.0)

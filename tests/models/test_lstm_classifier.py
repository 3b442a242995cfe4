"""The recurrent network: its variants, and what every network promises."""

import classifier_contract as contract
import numpy as np
import pytest
from classifier_contract import ID2LABEL, V, on_device, pad_batch, toy_batch, word_classifier

import minillm
from minillm import functional as F
from minillm.models.lstm_classifier import LSTMConfig, LSTMForSequenceClassification

VARIANTS = [
    {},
    {"bidirectional": True},
    {"pooling": "max"},
    {"pooling": "max", "bidirectional": True, "head": "softmax", "num_layers": 1},
]
LIKE_THE_RECIPE = {"use_mask": False}
BEFORE = {"pad_to": 9, "pad_left": True}  # the padding of the recipe


def network(**changes):
    settings = {"embedding_size": 6, "hidden_size": 5}
    return LSTMForSequenceClassification(LSTMConfig(V, ID2LABEL, **(settings | changes)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_learns_which_words_decide(device, variant):
    contract.check_learns(network(hidden_size=16, embedding_size=16, **variant), device)


def test_the_recipe_learns_which_words_decide(device):
    recipe = network(hidden_size=16, embedding_size=16, **LIKE_THE_RECIPE)
    contract.check_learns(recipe, device, 120, **BEFORE)


def test_learns_with_dropout(device):
    model = network(hidden_size=16, dropout=0.1, word_dropout=0.03, pooling="max")
    contract.check_learns(model, device, 150)


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients(device, variant):
    contract.check_gradients(network(**variant), device)


def test_gradients_of_the_recipe(device):
    contract.check_gradients(network(**LIKE_THE_RECIPE), device, **BEFORE)


@pytest.mark.parametrize("variant", VARIANTS)
def test_padding_and_company_do_not_matter(device, variant):
    contract.check_batches_do_not_matter(network(**variant), device)


@pytest.mark.parametrize("variant", VARIANTS)
def test_round_trip(device, tmp_path, variant):
    config = network(**variant).config
    contract.check_round_trip(LSTMForSequenceClassification, config, device, tmp_path / "m")


def test_the_recipe_reads_padding_and_is_always_given_the_same(device):
    """A text's probability doesn't change with the batch, as all are padded to max_length."""
    config = network(**LIKE_THE_RECIPE).config
    classifier = word_classifier(LSTMForSequenceClassification, config, max_length=9)
    classifier.network.to(device)
    assert classifier.padding == {"pad_id": 0, "pad_to": 9, "pad_left": True}
    texts = ["a joy", "a waste of time and a bad film from start to end"]
    together = classifier.predict_proba(texts)
    np.testing.assert_allclose(classifier.predict_proba(texts[:1]), together[:1], rtol=1e-6)
    contract.check_batches_do_not_matter(classifier.network, device, **BEFORE)
    # and it does read it: one more zero in front changes the result
    ids = [np.array([4, 5])]
    two, three = (
        on_device(pad_batch(ids, pad_to=length, pad_left=True), device) for length in (2, 3)
    )
    assert classifier.network(**two).logits.item() != classifier.network(**three).logits.item()


def test_sigmoid_head_is_trained_by_binary_cross_entropy(device):
    model = network().to(device)
    batch = on_device(toy_batch(np.random.default_rng(3)), device)
    out = model(**batch)
    assert out.logits.shape == (16, 1)
    targets = minillm.tensor(batch["labels"].numpy()[:, None].astype(np.float32), device=device)
    expected = F.binary_cross_entropy_with_logits(out.logits, targets).item()
    assert out.loss.item() == pytest.approx(expected, rel=1e-6)


def test_pooling_last_is_the_state_at_each_texts_end(device):
    """Of both directions: forward after the last word, backward after the first."""
    model = network(bidirectional=True, num_layers=1).to(device)
    ids = minillm.tensor(np.array([[4, 5, 6]]), device=device)
    states, _ = model.lstm(F.transpose(model.embedding(ids), 0, 1))  # (3, 1, 10)
    states = states.numpy()[:, 0]
    r = np.concatenate([states[2, :5], states[0, 5:]])
    expected = model.classifier.weight.numpy() @ r + model.classifier.bias.numpy()
    np.testing.assert_allclose(model(ids).logits.numpy()[0], expected, rtol=1e-5)


def test_pooling_max_is_the_maximum_over_time(device):
    model = network(pooling="max").to(device)
    ids = minillm.tensor(np.array([[4, 5, 6, 7]]), device=device)
    states, _ = model.lstm(F.transpose(model.embedding(ids), 0, 1))
    r = states.numpy()[:, 0].max(axis=0)
    expected = model.classifier.weight.numpy() @ r + model.classifier.bias.numpy()
    np.testing.assert_allclose(model(ids).logits.numpy()[0], expected, rtol=1e-5)


def test_three_classes_need_a_softmax(device):
    names = {0: "bad", 1: "mixed", 2: "good"}
    config = LSTMConfig(V, names, 0, 6, 5, head="softmax")
    model = LSTMForSequenceClassification(config).to(device)
    assert model(minillm.tensor(np.array([[4, 5]]), device=device)).logits.shape == (1, 3)
    with pytest.raises(ValueError, match="decides between 2 classes, id2label has 3"):
        LSTMConfig(V, names)


def test_config_checks_its_values():
    for changes, message in (
        ({"pooling": "mean"}, "pooling='mean', expected one of last, max"),
        ({"head": "relu"}, "head='relu', expected one of sigmoid, softmax"),
        ({"num_layers": 0}, "num_layers=0, expected a positive integer"),
    ):
        with pytest.raises(ValueError, match=message):
            LSTMConfig(V, ID2LABEL, **changes)

"""The deep averaging network: its formula, and what every network promises."""

import classifier_contract as contract
import numpy as np
import pytest
from classifier_contract import ID2LABEL, V, on_device, pad_batch

import minillm
from minillm.models.average_classifier import AverageConfig, AverageForSequenceClassification


def network(**changes):
    settings = {"embedding_size": 6, "hidden_size": 16, "word_dropout": 0.0}
    return AverageForSequenceClassification(AverageConfig(V, ID2LABEL, **(settings | changes)))


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_learns_which_words_decide(device, layers):
    contract.check_learns(network(num_hidden_layers=layers), device)


def test_learns_with_dropout(device):
    contract.check_learns(network(word_dropout=0.2, dropout=0.1), device, 150)


@pytest.mark.parametrize("layers", [0, 2])
def test_gradients(device, layers):
    contract.check_gradients(network(num_hidden_layers=layers), device)


def test_padding_and_company_do_not_matter(device):
    contract.check_batches_do_not_matter(network(), device)


def test_round_trip(device, tmp_path):
    config = network(num_hidden_layers=2).config
    contract.check_round_trip(AverageForSequenceClassification, config, device, tmp_path / "m")


def test_scores_are_those_of_the_formula(device):
    model = network(num_hidden_layers=1).to(device)
    texts = [np.array([4, 5, 5]), np.array([7])]
    logits = model(**on_device(pad_batch(texts), device)).logits.numpy()
    E = model.embedding.weight.numpy()
    layer, last = model.hidden[0], model.classifier
    for text, row in zip(texts, logits, strict=True):
        h = np.maximum(layer.weight.numpy() @ E[text].mean(axis=0) + layer.bias.numpy(), 0)
        np.testing.assert_allclose(row, last.weight.numpy() @ h + last.bias.numpy(), atol=1e-6)


def test_the_order_of_words_is_lost(device):
    model = network().to(device)
    ids = np.array([[4, 5, 6], [6, 4, 5]])
    logits = model(minillm.tensor(ids, device=device)).logits.numpy()
    np.testing.assert_allclose(logits[0], logits[1], rtol=1e-5)


def test_word_dropout_averages_the_words_that_are_left(device):
    """Of a text of one word repeated the average is that word's vector, however many are left."""
    model = network(word_dropout=0.5).to(device).train()
    ids = minillm.tensor(np.full((8, 30), 4), device=device)
    training = model(ids).logits.numpy()
    np.testing.assert_allclose(training, model.eval()(ids).logits.numpy(), rtol=1e-4, atol=1e-6)


def test_word_dropout_only_while_training(device):
    model = network(word_dropout=0.5).to(device).train()
    ids = minillm.tensor(np.arange(2, 12)[None], device=device)
    assert not np.array_equal(model(ids).logits.numpy(), model(ids).logits.numpy())
    model.eval()
    np.testing.assert_array_equal(model(ids).logits.numpy(), model(ids).logits.numpy())


def test_config_checks_its_values():
    for changes, message in (
        ({"embedding_size": 0}, "embedding_size=0, expected a positive integer"),
        ({"word_dropout": 1.0}, r"word_dropout=1.0, expected a number in \[0, 1\)"),
        ({"num_hidden_layers": -1}, "num_hidden_layers=-1, expected 0 or more"),
        ({"pad_token_id": 16}, "pad_token_id=16, expected an id of the vocabulary"),
    ):
        with pytest.raises(ValueError, match=message):
            AverageConfig(V, ID2LABEL, **changes)
    with pytest.raises(ValueError, match="id2label"):
        AverageConfig(V, {})
    with pytest.raises(ValueError, match="'bert' model, expected 'minillm-average'"):
        AverageConfig.from_dict({"model_type": "bert", "vocab_size": 3})


def test_bad_shapes_are_named(device):
    model = network().to(device)
    with pytest.raises(ValueError, match=r"\(batch, length\), got shape \(3,\)"):
        model(minillm.tensor(np.array([4, 5, 6]), device=device))
    with pytest.raises(ValueError, match=r"attention_mask \(1, 2\) must have input_ids' shape"):
        model(
            minillm.tensor(np.array([[4, 5, 6]]), device=device),
            minillm.tensor(np.array([[1, 1]]), device=device),
        )

"""The convolutional network: its formula, and what every network promises."""

import classifier_contract as contract
import numpy as np
import pytest
from classifier_contract import ID2LABEL, V, on_device, pad_batch

import minillm
from minillm.models.cnn_classifier import CNNConfig, CNNForSequenceClassification


def network(**changes):
    settings = {"embedding_size": 6, "window_sizes": (2, 3), "num_filters": 4, "dropout": 0.0}
    return CNNForSequenceClassification(CNNConfig(V, ID2LABEL, **(settings | changes)))


def test_learns_which_words_decide(device):
    contract.check_learns(network(), device)


def test_learns_with_dropout(device):
    contract.check_learns(network(dropout=0.3, word_dropout=0.05, num_filters=12), device, 150)


@pytest.mark.parametrize("window_sizes", [(1,), (2, 3, 5)])
def test_gradients(device, window_sizes):
    contract.check_gradients(network(window_sizes=window_sizes), device)


def test_padding_and_company_do_not_matter(device):
    """The shortest text has one word, fewer than a window."""
    contract.check_batches_do_not_matter(network(window_sizes=(1, 3, 5)), device)


def test_padding_before_the_text_does_not_matter(device):
    model = network().to(device)
    texts = [np.array([4, 5, 6]), np.array([7, 8, 9, 10, 11])]
    behind, before = (
        model(**on_device(pad_batch(texts, pad_left=left), device)).logits.numpy()
        for left in (False, True)
    )
    np.testing.assert_allclose(before, behind, rtol=1e-5, atol=1e-6)


def test_round_trip(device, tmp_path):
    config = network().config
    contract.check_round_trip(CNNForSequenceClassification, config, device, tmp_path / "m")


def test_scores_are_those_of_the_formula(device):
    model = network().to(device)
    text = np.array([4, 9, 5, 2, 7])
    logits = model(minillm.tensor(text[None], device=device)).logits.numpy()[0]
    x = np.vstack([model.embedding.weight.numpy()[text], np.zeros((2, 6))])  # zeros behind
    found = []
    for K, convolution in zip((2, 3), model.convolutions, strict=True):
        W, b = convolution.weight.numpy(), convolution.bias.numpy()  # (filters, D, K)
        for o in range(4):
            z = [b[o] + sum(W[o, :, k] @ x[t + k] for k in range(K)) for t in range(len(text))]
            found.append(max(max(z), 0))
    expected = model.classifier.weight.numpy() @ found + model.classifier.bias.numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


def test_it_knows_the_order_of_words(device):
    """Two texts of the same words, which an average can't tell apart."""
    model = network().to(device)
    ids = minillm.tensor(np.array([[4, 5, 6, 7], [7, 6, 5, 4]]), device=device)
    logits = model(ids).logits.numpy()
    assert np.abs(logits[0] - logits[1]).max() > 1e-4


def test_config_checks_its_values():
    for changes, message in (
        ({"window_sizes": ()}, "window_sizes=(), expected positive integers"),
        ({"window_sizes": (3, 0)}, "window_sizes=(3, 0), expected positive integers"),
        ({"num_filters": 0}, "num_filters=0, expected a positive integer"),
        ({"dropout": 1}, "dropout=1, expected a number in [0, 1)"),
    ):
        with pytest.raises(ValueError) as caught:
            CNNConfig(V, ID2LABEL, **changes)
        assert message in str(caught.value)

"""BERT with a classification head: what it computes, its gradient, its folders, its errors."""

import json

import numpy as np
import pytest

import minillm
from minillm import functional as F
from minillm.models import BertConfig, BertForPreTraining, BertForSequenceClassification, BertModel

MEASURES = {
    "vocab_size": 23,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "max_position_embeddings": 10,
    "initializer_range": 0.3,
}
NAMES = {0: "bad", 1: "fair", 2: "good"}


@pytest.fixture
def model(device):
    minillm.manual_seed(1)
    return BertForSequenceClassification(BertConfig(**MEASURES, id2label=NAMES)).to(device)


def batch(device, B=4, L=7):
    rng = np.random.default_rng(0)
    mask = np.ones((B, L), np.int64)
    mask[1, 4:] = 0
    arrays = {
        "input_ids": rng.integers(5, 23, (B, L)),
        "attention_mask": mask,
        "token_type_ids": np.ones((B, 1), np.int64) * (np.arange(L) > 3),
        "labels": np.array([0, 2, 1, 2]),
    }
    return {name: minillm.tensor(array, device=device) for name, array in arrays.items()}


def test_logits_are_the_head_on_the_pooled_first_position(device, model):
    b = batch(device)
    output = model(**b)
    pooled = model.bert(b["input_ids"], b["token_type_ids"], b["attention_mask"]).pooler_output
    expected = model.classifier(pooled)
    assert output.logits.shape == (4, 3)
    np.testing.assert_allclose(output.logits.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)
    loss = F.cross_entropy(expected, b["labels"]).item()
    assert output.loss.item() == pytest.approx(loss, rel=1e-5)
    assert model(b["input_ids"]).loss is None


def test_padding_and_neighbours_in_the_batch_change_nothing(device, model):
    b = batch(device)
    together = model(b["input_ids"], b["attention_mask"]).logits.numpy()
    alone = model(b["input_ids"][1:2, :4]).logits.numpy()
    np.testing.assert_allclose(together[1:2], alone, rtol=1e-4, atol=1e-5)


def test_dropout_of_the_head_can_be_set_by_itself(device):
    config = BertConfig(**MEASURES | {"hidden_dropout_prob": 0.25}, id2label=NAMES)
    assert BertForSequenceClassification(config).dropout.p == 0.25
    config = BertConfig(**MEASURES, classifier_dropout=0.5, id2label=NAMES)
    assert BertForSequenceClassification(config).dropout.p == 0.5


def test_gradients_of_all_parameters_in_float64(device, model):
    """Each parameter's gradient along a random direction, against a central difference."""
    model.to(device, np.float64)
    b = batch(device)
    model(**b).loss.backward()
    rng, h = np.random.default_rng(2), 1e-6
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            pytest.fail(f"{name} gets no gradient")
        direction = minillm.tensor(rng.standard_normal(parameter.shape), device=device).data
        losses = []
        for sign in (1, -2):
            parameter.data += sign * h * direction
            losses.append(model(**b).loss.item())
        parameter.data += h * direction
        measured = (losses[0] - losses[1]) / (2 * h)
        predicted = float((parameter.grad * direction).sum())
        assert abs(measured - predicted) < 1e-7 + 1e-5 * abs(measured), name


def test_every_parameter_has_a_depth(device, model):
    depths = {name: model.layer_of(name) for name, _ in model.named_parameters()}
    assert depths["bert.embeddings.word.weight"] == 0
    assert depths["bert.layers.0.attention.in_proj_weight"] == 1
    assert depths["bert.layers.1.output.bias"] == 2
    assert depths["bert.pooler.weight"] == depths["classifier.bias"] == 3


def test_a_frozen_encoder_gets_no_gradient(device, model):
    model.bert.requires_grad_(False)
    model(**batch(device)).loss.backward()
    assert all(parameter.grad is None for parameter in model.bert.parameters())
    assert model.classifier.weight.grad is not None


def test_folder_round_trip_keeps_weights_and_names(device, model, tmp_path):
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["id2label"] == {"0": "bad", "1": "fair", "2": "good"}
    assert config["label2id"] == {"bad": 0, "fair": 1, "good": 2}
    again = BertForSequenceClassification.from_pretrained(tmp_path)
    assert again.config == model.config
    b = batch("cpu")
    model.to("cpu").eval()
    np.testing.assert_array_equal(again(**b).logits.numpy(), model(**b).logits.numpy())


@pytest.mark.parametrize("encoder_class", [BertModel, BertForPreTraining])
def test_the_encoder_comes_from_a_pretrained_folder(encoder_class, tmp_path):
    pretrained = encoder_class(BertConfig(**MEASURES))
    pretrained.save_pretrained(tmp_path)
    encoder = pretrained if encoder_class is BertModel else pretrained.bert
    minillm.manual_seed(3)
    model = BertForSequenceClassification.from_encoder(
        tmp_path, ["no", "yes"], hidden_dropout_prob=0.2
    )
    assert model.config.id2label == {0: "no", 1: "yes"}
    assert model.dropout.p == model.bert.embeddings.dropout.p == 0.2
    for name, array in encoder.state_dict().items():
        np.testing.assert_array_equal(model.bert.state_dict()[name], array)
    minillm.manual_seed(3)
    again = BertForSequenceClassification.from_encoder(tmp_path, ["no", "yes"])
    np.testing.assert_array_equal(again.classifier.weight.data, model.classifier.weight.data)
    with pytest.raises(ValueError, match="names of the labels"):
        BertForSequenceClassification.from_pretrained(tmp_path)  # no head in that folder


def test_a_classifier_can_be_fine_tuned_again_for_other_labels(model, tmp_path):
    model.to("cpu").save_pretrained(tmp_path)
    other = BertForSequenceClassification.from_encoder(tmp_path, ["no", "yes"])
    assert other.classifier.out_features == 2
    np.testing.assert_array_equal(other.bert.pooler.weight.data, model.bert.pooler.weight.data)


@pytest.mark.parametrize(
    ("id2label", "message"),
    [
        ({}, "expected the names"),
        ({0: "a", 2: "b"}, "must be 0 to 1"),
        ({0: "a", 1: "a"}, "each of them once"),
        ({"x": "a"}, "must be numbers"),
        (["a", "b"], "expected the names"),
        ({0: "a", 1: 7}, "must be texts"),
    ],
)
def test_broken_tables_of_labels_are_refused(id2label, message):
    with pytest.raises(ValueError, match=message):
        BertConfig(**MEASURES, id2label=id2label)

"""BERT: shapes, masks, tied weights, losses, gradients, and its folder on the disk."""

import json

import numpy as np
import pytest

import minillm
from minillm import functional as F
from minillm.models import BertConfig, BertForPreTraining, BertModel

CONFIG = BertConfig(
    vocab_size=23,
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=20,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    max_position_embeddings=10,
    initializer_range=0.3,
)


def batch(device, rng, B=3, L=8):
    """Random ids; the second sequence is padded, some positions are labelled."""
    ids = rng.integers(5, 23, (B, L))
    types = (np.arange(L) >= 4).astype(np.int64) * np.ones((B, 1), np.int64)
    mask = np.ones((B, L), np.int64)
    mask[1, 5:] = 0
    labels = np.where(rng.random((B, L)) < 0.3, ids, -100)
    labels[0, 1] = 7
    arrays = {
        "input_ids": ids,
        "token_type_ids": types,
        "attention_mask": mask,
        "labels": labels,
        "next_sentence_label": rng.integers(0, 2, B),
    }
    return {name: minillm.tensor(array, device=device) for name, array in arrays.items()}


@pytest.fixture
def model(device):
    minillm.manual_seed(1)
    return BertForPreTraining(CONFIG).to(device)


def test_output_shapes_and_attention_rows(device, model):
    b = batch(device, np.random.default_rng(0))
    inputs = b["input_ids"], b["token_type_ids"], b["attention_mask"]
    out = model(*inputs, output_attentions=True)
    assert out.prediction_logits.shape == (3, 8, 23)
    assert out.seq_relationship_logits.shape == (3, 2)
    assert out.loss is None and len(out.attentions) == 2
    attention = out.attentions[0].numpy()
    assert attention.shape == (3, 3, 8, 8)
    np.testing.assert_allclose(attention.sum(-1), 1, rtol=1e-5)
    assert (attention[1, :, :, 5:] == 0).all()  # nobody looks at padding
    np.testing.assert_allclose(
        model(*inputs).prediction_logits.numpy(), out.prediction_logits.numpy(), atol=1e-5
    )


def test_padding_does_not_change_what_stands_before_it(device, model):
    ids = minillm.tensor(np.array([[5, 6, 7]]), device=device)
    padded = minillm.tensor(np.array([[5, 6, 7, 0, 0]]), device=device)
    mask = minillm.tensor(np.array([[1, 1, 1, 0, 0]]), device=device)
    np.testing.assert_allclose(
        model(padded, None, mask).prediction_logits.numpy()[:, :3],
        model(ids).prediction_logits.numpy(),
        atol=1e-5,
    )


def test_loss_is_mlm_plus_nsp_and_decodes_only_labelled_positions(device, model):
    b = batch(device, np.random.default_rng(1))
    everything = model(b["input_ids"], b["token_type_ids"], b["attention_mask"])
    with_labels = model(**b)
    labels = b["labels"].numpy()
    np.testing.assert_allclose(
        with_labels.prediction_logits.numpy(),
        everything.prediction_logits.numpy()[labels != -100],
        atol=1e-5,
    )
    V = CONFIG.vocab_size
    mlm = F.cross_entropy(everything.prediction_logits.reshape(-1, V), b["labels"].reshape(-1))
    nsp = F.cross_entropy(everything.seq_relationship_logits, b["next_sentence_label"])
    assert with_labels.loss.item() == pytest.approx(mlm.item() + nsp.item(), rel=1e-5)


def test_label_0_of_next_sentence_counts(device, model):
    """NSP's class 0 must not be taken for 'no label'."""
    b = batch(device, np.random.default_rng(2))
    b["next_sentence_label"] = minillm.tensor(np.zeros(3, np.int64), device=device)
    del b["labels"]
    out = model(**b)
    expected = -F.log_softmax(out.seq_relationship_logits).numpy()[:, 0].mean()
    assert out.loss.item() == pytest.approx(expected, rel=1e-5)


def test_gradient_of_the_whole_model(device):
    """The directional derivative of the loss along a random direction in parameter space."""
    minillm.manual_seed(3)
    model = BertForPreTraining(CONFIG).to(device, np.float64)
    b = batch(device, np.random.default_rng(3))
    model(**b).loss.backward()
    rng = np.random.default_rng(4)
    directions = {
        name: minillm.tensor(rng.standard_normal(p.shape), device=device).data
        for name, p in model.named_parameters()
    }
    # (The padding row of the embedding is left alone by the lookup but used by the tied decoder.)
    predicted = sum(
        float((p.grad * directions[name]).sum()) for name, p in model.named_parameters()
    )
    h, losses = 1e-6, []
    for sign in (1, -1):
        for name, p in model.named_parameters():
            p.data += sign * h * directions[name]
        losses.append(model(**b).loss.item())
        for name, p in model.named_parameters():
            p.data -= sign * h * directions[name]
    assert (losses[0] - losses[1]) / (2 * h) == pytest.approx(predicted, rel=1e-6)


def test_decoder_is_tied_not_copied(device, model):
    """The token embeddings get the gradient of both uses and exist once."""
    names = [name for name, _ in model.named_parameters()]
    assert sum("word" in name for name in names) == 1
    ids = minillm.tensor(np.array([[5, 6]]), device=device)
    model(ids, labels=minillm.tensor(np.array([[-100, 9]]), device=device)).loss.backward()
    gradient = minillm.Tensor(model.bert.embeddings.word.weight.grad).numpy()
    assert np.abs(gradient[9]).max() > 0  # never looked up, only predicted


@pytest.mark.parametrize("model_class", [BertModel, BertForPreTraining])
def test_folder_round_trip(device, tmp_path, model_class):
    minillm.manual_seed(5)
    model = model_class(CONFIG).to(device).eval()
    model.save_pretrained(tmp_path / "m")
    again = model_class.from_pretrained(tmp_path / "m").to(device)
    assert again.config == CONFIG and not again.training
    ids = batch(device, np.random.default_rng(6))["input_ids"]
    for mine, original in zip(again(ids), model(ids), strict=True):
        if original is not None:
            np.testing.assert_array_equal(mine.numpy(), original.numpy())


def test_an_encoder_opens_a_folder_with_heads(device, model, tmp_path):
    model.eval().save_pretrained(tmp_path)
    encoder = BertModel.from_pretrained(tmp_path).to(device)
    ids = batch(device, np.random.default_rng(7))["input_ids"]
    np.testing.assert_array_equal(
        encoder(ids).pooler_output.numpy(), model.bert(ids).pooler_output.numpy()
    )


def test_a_name_is_not_a_folder():
    with pytest.raises(FileNotFoundError, match="bert-base-uncased.*not a local folder"):
        BertModel.from_pretrained("bert-base-uncased")


def test_damaged_folders(model, tmp_path):
    model.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="model.safetensors is not a complete safetensors file"):
        BertForPreTraining.from_pretrained(tmp_path)
    weights.write_bytes(content)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocab_size": 24}))
    with pytest.raises(ValueError, match="doesn't fit config.json"):
        BertForPreTraining.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(ValueError, match="holds a 'gpt2' model"):
        BertForPreTraining.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json"):
        BertForPreTraining.from_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="config.json is missing"):
        BertForPreTraining.from_pretrained(tmp_path)


def test_bad_inputs_are_named(device, model):
    def ids(array):
        return minillm.tensor(np.array(array), device=device)

    with pytest.raises(ValueError, match="11 tokens is longer than the model's 10 positions"):
        model(ids([[5] * 11]))
    with pytest.raises(ValueError, match="attention_mask .* must have input_ids' shape"):
        model(ids([[5, 6]]), None, ids([[1]]))
    with pytest.raises(ValueError, match=r"\(batch, length\)"):
        model(ids([5, 6]))
    if device != "cuda":  # a GPU would have to stop and look
        with pytest.raises(IndexError, match="23 found, expected 0 to 22"):
            model(ids([[5, 23]]))


def test_config_checks_its_values():
    with pytest.raises(ValueError, match="hidden_size=10 is not a multiple"):
        BertConfig(hidden_size=10, num_attention_heads=3)
    with pytest.raises(ValueError, match="vocab_size=0"):
        BertConfig(vocab_size=0)
    with pytest.raises(ValueError, match="expected one of tiny, mini"):
        BertConfig.from_size("huge")
    with pytest.raises(ValueError, match="hidden_act='swish2'"):
        BertConfig(hidden_act="swish2")
    assert BertConfig.from_size("mini", vocab_size=100).hidden_size == 256


def test_initial_distribution(device):
    minillm.manual_seed(8)
    model = BertForPreTraining(BertConfig.from_size("tiny", vocab_size=1000)).to(device)
    for name, p in model.named_parameters():
        values = p.numpy()
        if p.ndim > 1:
            assert values.std() == pytest.approx(0.02, rel=0.1), name
            assert abs(values.mean()) < 0.001, name
        else:
            assert np.unique(values).tolist() == [1.0 if "norm.weight" in name else 0.0], name
    ids = minillm.tensor(np.arange(100).reshape(2, 50), device=device)
    loss = model(ids, labels=ids).loss.item()
    assert loss == pytest.approx(np.log(1000), abs=0.1)

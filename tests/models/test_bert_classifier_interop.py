"""A fine-tuned folder opens in transformers and gives the same probabilities, and vice versa."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import minillm  # noqa: E402
from minillm.models import (  # noqa: E402
    BertConfig,
    BertForSequenceClassification,
    NetworkClassifier,
    TextClassifier,
)
from minillm.text import WordPieceTokenizer  # noqa: E402

pytestmark = pytest.mark.interop

TEXTS = ["a fine film.", "the worst film of the year, and the dullest", "Nice!", "fine fine fine"]
NAMES = {0: "bad", 1: "fair", 2: "good"}


def measures(**changes):
    return {
        "vocab_size": 60,
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 36,
        "max_position_embeddings": 20,
        "initializer_range": 0.2,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    } | changes


def test_auto_classes_open_our_folder_and_give_the_same_probabilities(tmp_path):
    tokenizer = WordPieceTokenizer.train(TEXTS * 3, vocab_size=60, show_progress=False)
    config = BertConfig(**measures(vocab_size=tokenizer.get_vocab_size()), id2label=NAMES)
    minillm.manual_seed(0)
    classifier = NetworkClassifier(
        BertForSequenceClassification(config), tokenizer, max_length=12, truncation="head"
    )
    classifier.save_pretrained(tmp_path)
    model, loading = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    inputs = theirs(TEXTS, padding=True, truncation=True, max_length=12, return_tensors="pt")
    with torch.no_grad():
        expected = model.eval()(**inputs).logits.softmax(-1).numpy()
    np.testing.assert_allclose(classifier.predict_proba(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(
        TextClassifier.from_pretrained(tmp_path).predict_proba(TEXTS), expected, atol=1e-5
    )
    assert model.config.id2label == NAMES


def test_we_open_theirs_and_the_gradients_agree(tmp_path):
    torch.manual_seed(0)
    theirs = transformers.BertForSequenceClassification(
        transformers.BertConfig(**measures(), id2label=NAMES, label2id={})
    )
    theirs.save_pretrained(tmp_path)
    ours = BertForSequenceClassification.from_pretrained(tmp_path)
    rng = np.random.default_rng(0)
    mask = np.ones((3, 12), np.int64)
    mask[2, 7:] = 0
    arrays = {
        "input_ids": rng.integers(0, 60, (3, 12)),
        "attention_mask": mask,
        "token_type_ids": np.broadcast_to((np.arange(12) > 5).astype(np.int64), (3, 12)).copy(),
        "labels": np.array([2, 0, 1]),
    }
    expected = theirs.double()(**{name: torch.tensor(array) for name, array in arrays.items()})
    expected.loss.backward()
    ours.to("float64")
    result = ours(**{name: minillm.tensor(array) for name, array in arrays.items()})
    result.loss.backward()
    np.testing.assert_allclose(
        result.logits.numpy(), expected.logits.detach().numpy(), rtol=1e-9, atol=1e-10
    )
    gradients = dict(theirs.named_parameters())
    for ours_name, theirs_name in ours.hugging_face_names(ours.config).items():
        parts = theirs_name if isinstance(theirs_name, tuple) else (theirs_name,)
        wanted = np.concatenate([gradients[part].grad.numpy() for part in parts])
        got = dict(ours.named_parameters())[ours_name].grad
        np.testing.assert_allclose(got, wanted, rtol=1e-7, atol=1e-10, err_msg=ours_name)

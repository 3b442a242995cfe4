"""What every classifying network promises; each network's test file calls these."""

import numpy as np

import minillm
from minillm import optim
from minillm.data.labelled_batches import LabelledBatches
from minillm.models.network_classifier import NetworkClassifier
from minillm.models.text_classifier import TextClassifier
from minillm.text.words import train_word_tokenizer

ID2LABEL = {0: "negative", 1: "positive"}
V = 16  # ids: 0 padding, 1 unknown, 2 to 15 words
GOOD, BAD = 2, 3  # the words that decide in the toy task


def toy_batch(rng, B=16, longest=9, **padding):
    """Random texts with one telling word among others that say nothing, and their labels."""
    labels = rng.integers(0, 2, B)
    texts = []
    for label in labels:
        text = rng.integers(4, V, rng.integers(1, longest + 1))
        text[rng.integers(len(text))] = GOOD if label else BAD
        texts.append(text)
    return pad_batch(texts, **padding) | {"labels": labels}


def pad_batch(texts, **padding):
    """The texts as one batch, in their order."""
    return LabelledBatches(
        texts, None, len(texts), shuffle=False, bucket=False, **({"pad_id": 0} | padding)
    ).batch(0)


def on_device(batch, device):
    return {name: minillm.tensor(array, device=device) for name, array in batch.items()}


def check_learns(network, device, steps=80, **padding):
    """The toy task is learned: fresh texts get their labels (by chance half of them would)."""
    network.to(device).train()
    optimizer = optim.Adam(network.parameters(), lr=0.02)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        optimizer.zero_grad()
        network(**on_device(toy_batch(rng, **padding), device)).loss.backward()
        optimizer.step()
    test = toy_batch(np.random.default_rng(1), B=100, **padding)
    logits = network.eval()(**on_device(test, device)).logits.numpy()
    predicted = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(axis=1)
    assert (predicted == test["labels"]).mean() >= 0.97


def check_gradients(network, device, **padding):
    """d loss / d every parameter, in float64, against central differences along a direction."""
    network.to(device, np.float64).eval()
    rng = np.random.default_rng(2)
    batch = on_device(toy_batch(rng, B=5, **padding), device)
    network(**batch).loss.backward()
    h = 1e-6
    for name, p in network.named_parameters():
        direction = rng.standard_normal(p.shape)
        if name == "embedding.weight" and network.embedding.padding_idx is not None:
            direction[0] = 0  # the padding's vector doesn't move
        step = minillm.tensor(direction, device=device).data
        losses = []
        for sign in (1, -2):
            p.data += sign * h * step
            losses.append(network(**batch).loss.item())
        p.data += h * step
        measured, predicted = (losses[0] - losses[1]) / (2 * h), float((p.grad * step).sum())
        assert abs(measured - predicted) < 1e-7 + 1e-5 * abs(measured), (name, measured, predicted)
        assert abs(predicted) > 0, f"{name} gets no gradient"


def check_batches_do_not_matter(network, device, **padding):
    """A text's logits are the same alone, beside longer texts, and under any amount of padding."""
    network.to(device).eval()
    texts = [np.array([5]), np.array([2, 6, 7]), np.array([3, 4, 5, 6, 7, 8, 9, 10])]

    def logits(texts, **more):
        batch = pad_batch(texts, **(padding | more))
        return network(**on_device(batch, device)).logits.numpy()

    together = logits(texts)
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_allclose(logits([text])[0], row, rtol=1e-4, atol=1e-6)
    if not padding:
        np.testing.assert_allclose(logits(texts, pad_to=30), together, rtol=1e-4, atol=1e-6)
    # What is under the mask doesn't matter, whatever id stands there.
    batch = pad_batch(texts, **padding)
    batch["input_ids"] = np.where(batch["attention_mask"] == 1, batch["input_ids"], 9)
    again = network(**on_device(batch, device)).logits.numpy()
    np.testing.assert_allclose(again, together, rtol=1e-4, atol=1e-6)


def word_classifier(network_class, config, max_length=8, **settings):
    """A classifier with random weights over a small tokenizer of words."""
    texts = ["a joy from start to end", "a waste of time", "good actors but a bad film"]
    tokenizer = train_word_tokenizer(texts, vocab_size=V, min_frequency=1)
    return NetworkClassifier(network_class(config), tokenizer, max_length, **settings)


def check_round_trip(network_class, config, device, folder):
    """Saved and opened again it is the same to the bit; so is its config."""
    classifier = word_classifier(network_class, config)
    classifier.network.to(device)
    texts = ["a joy", "bad", "a waste of time and " * 10, ""]
    p = classifier.predict_proba(texts)
    assert p.shape == (4, 2) and p.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    classifier.save_pretrained(folder)
    again = TextClassifier.from_pretrained(folder)
    assert isinstance(again.network, network_class) and again.network.config == config
    assert again.num_parameters() == classifier.num_parameters()
    again.network.to(device)
    np.testing.assert_array_equal(again.predict_proba(texts), p)

"""A row's result is its own: neither the other rows of its batch nor padding change it.

Run alone and run within a batch a row gives the same numbers up to rounding, whatever stands in
the padding; and the gradient of a batch is the sum of the rows' gradients.  In float64, where
rounding is far below what any leak would make.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import to_host

import minillm
from minillm import functional as F
from minillm.models import (
    BertConfig,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
    GPTConfig,
    GPTForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)
from minillm.models.average_classifier import AverageConfig, AverageForSequenceClassification
from minillm.models.cnn_classifier import CNNConfig, CNNForSequenceClassification
from minillm.models.lstm_classifier import LSTMConfig, LSTMForSequenceClassification

V, PAD, LONGEST = 13, 0, 9
CLASSES = {0: "a", 1: "b", 2: "c"}
CLASSIFIER = {"vocab_size": V, "id2label": CLASSES, "pad_token_id": PAD}
BERT = BertConfig(
    vocab_size=V,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=LONGEST,
    initializer_range=0.5,
    pad_token_id=PAD,
    id2label=CLASSES,
)
LLAMA = LlamaConfig(
    vocab_size=V,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    intermediate_size=16,
    max_position_embeddings=LONGEST,
    initializer_range=0.5,
    bos_token_id=None,
    eos_token_id=None,
)
GPT = GPTConfig(
    vocab_size=V, n_positions=LONGEST, n_embd=8, n_layer=2, n_head=2, initializer_range=0.5
)


def lstm(pooling, bidirectional):
    options = {"pooling": pooling, "bidirectional": bidirectional, "head": "softmax"}
    return LSTMForSequenceClassification(
        LSTMConfig(embedding_size=6, hidden_size=5, **CLASSIFIER, **options)
    )


MAKERS = {
    "bert": lambda: BertModel(BERT),
    "bert classifier": lambda: BertForSequenceClassification(BERT),
    "gpt": lambda: GPTForCausalLM(GPT),
    "llama": lambda: LlamaForCausalLM(LLAMA),
    "lstm, last": lambda: lstm("last", False),
    "lstm, both directions, last": lambda: lstm("last", True),
    "lstm, both directions, max": lambda: lstm("max", True),
    "cnn": lambda: CNNForSequenceClassification(
        CNNConfig(embedding_size=6, window_sizes=(1, 2, 4), num_filters=5, **CLASSIFIER)
    ),
    "average": lambda: AverageForSequenceClassification(AverageConfig(hidden_size=6, **CLASSIFIER)),
}
DECODERS = ("gpt", "llama")
LOSSES = {"bert pretraining": lambda: BertForPreTraining(BERT)}
BY_TOKEN = ("bert", *DECODERS)  # these have a result for each token, the others one for the row


def make(name, device, dtype):
    minillm.manual_seed(3)
    model = (MAKERS | LOSSES)[name]().eval()
    generator = np.random.default_rng(4)
    for p in model.parameters():  # biases, too: what adds nothing can't show where it leaks
        p.data = p.data + 0.3 * generator.standard_normal(p.shape).astype(p.dtype)
    if hasattr(model, "embedding"):
        model.embedding.weight.data[PAD] = 0
    return model.to(dtype).to(device)


@st.composite
def padded(draw, left=False):
    """Rows of ids, and their places in a batch: what stands in the padding is anything."""
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    L = max(lengths) + draw(st.integers(0, LONGEST - 5))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = [generator.integers(1, V, n) for n in lengths]
    ids = generator.integers(0, V, (len(rows), L))
    mask = np.zeros((len(rows), L), np.int64)
    for i, row in enumerate(rows):
        place = slice(L - len(row), L) if left else slice(0, len(row))
        ids[i, place], mask[i, place] = row, 1
    return rows, ids, mask


def results(name, model, ids, mask, device, options):
    """The output for each real token, or for each row: a list of Tensors, one a row."""
    tensors = {
        key: minillm.tensor(np.asarray(value, np.int64), device=device)
        for key, value in {"input_ids": ids, "attention_mask": mask, **options}.items()
        if value is not None
    }
    output = model(**tensors)
    output = output.last_hidden_state if name == "bert" else output.logits
    if name not in BY_TOKEN:
        return [output[i] for i in range(len(ids))]
    real = np.ones(np.shape(ids), int) if mask is None else mask
    spans = [np.flatnonzero(row) for row in real]
    return [output[i, int(s[0]) : int(s[-1]) + 1] for i, s in enumerate(spans)]


def weighed(outputs):
    """A number that depends on everything, in a way of its own for each row."""
    total = 0
    for i, y in enumerate(outputs):
        w = np.random.default_rng(i).standard_normal(y.shape).astype(y.dtype)
        total = total + F.sum(y * minillm.tensor(w, device=y.device))
    return total


def gradients(model):
    found = {n: to_host(p.grad) for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def check(name, model, case, device, options=None):
    rows, ids, mask = case
    together = results(name, model, ids, mask, device, options or {})
    alone = [results(name, model, row[None], None, device, {})[0] for row in rows]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(other.numpy(), one.numpy(), rtol=1e-9, atol=1e-9)
    weighed(alone).backward()
    expected = gradients(model)
    weighed(together).backward()
    for parameter, gradient in gradients(model).items():
        np.testing.assert_allclose(
            *(gradient, expected.pop(parameter)), rtol=1e-8, atol=1e-8, err_msg=parameter
        )
    assert not expected


@pytest.mark.parametrize("name", MAKERS)
@given(padded())
def test_a_row_alone_is_the_row_in_a_batch(device, name, case):
    check(name, make(name, device, np.float64), case, device)


@pytest.mark.parametrize("name", DECODERS)
@given(padded(left=True))
def test_padding_on_the_left_with_positions_counted_from_the_first_token(device, name, case):
    """As generation pads.  The padding itself may look nowhere: its rows of scores are empty."""
    _, _, mask = case
    positions = {"position_ids": np.maximum(mask.cumsum(axis=1) - 1, 0)}
    check(name, make(name, device, np.float64), case, device, positions)


@pytest.mark.parametrize("name", MAKERS)
@given(padded(), st.randoms(use_true_random=False))
def test_in_float32_other_rows_in_any_order_cost_no_more_than_rounding(device, name, case, random):
    rows, ids, mask = case
    model = make(name, device, np.float32)
    order = list(range(len(rows))) * 2  # each row twice
    random.shuffle(order)
    with minillm.no_grad():
        together = results(name, model, ids[order], mask[order], device, {})
        alone = [results(name, model, row[None], None, device, {})[0] for row in rows]
    for i, y in zip(order, together, strict=True):
        np.testing.assert_allclose(y.numpy(), alone[i].numpy(), rtol=5e-5, atol=5e-5)


@pytest.mark.parametrize("name", ["bert pretraining", *DECODERS])
@given(padded(), st.integers(0, 2**32 - 1))
def test_the_loss_of_a_batch_is_the_mean_over_its_labels(device, name, case, seed):
    """Each label weighs the same, in whichever row it stands; padding (-100) has none."""
    rows, ids, mask = case
    model = make(name, device, np.float64)
    labels = np.where(mask == 1, ids, -100)
    if name == "bert pretraining":  # the last token and some others are asked for
        asked = np.random.default_rng(seed).random(ids.shape) < 0.5
        asked[np.arange(len(rows)), mask.sum(axis=1) - 1] = True
        labels = np.where(asked, labels, -100)
    # A decoder predicts what follows: nothing comes before the first token.
    counts = [(label[name in DECODERS :] != -100).sum() for label in labels]

    def loss(ids, mask, labels):
        arrays = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        return model(**{n: minillm.tensor(a, device=device) for n, a in arrays.items()}).loss

    total = 0
    for i, (row, n) in enumerate(zip(rows, counts, strict=True)):
        if n:
            L = len(row)
            alone = loss(row[None], np.ones((1, L), np.int64), labels[i : i + 1, :L].copy())
            total = total + alone * (int(n) / int(sum(counts)))
    if not any(counts):
        return
    total.backward()
    expected = gradients(model)
    together = loss(ids, mask, labels)
    together.backward()
    np.testing.assert_allclose(together.item(), total.item(), rtol=1e-10)
    for parameter, gradient in gradients(model).items():
        np.testing.assert_allclose(
            *(gradient, expected.pop(parameter)), rtol=1e-8, atol=1e-10, err_msg=parameter
        )
    assert not expected


@pytest.mark.parametrize("name", MAKERS)
def test_a_leak_would_be_seen(device, name):
    """Without the mask the padding is read, and the result is another one."""
    model = make(name, device, np.float64)
    row = np.arange(1, 6)[None]
    longer = np.concatenate([row, [[7, 8, 9]]], axis=1)
    model_sees_left_only = name in DECODERS
    if model_sees_left_only:
        longer = longer[:, ::-1].copy()
        row = longer[:, 3:]
    one = results(name, model, row, None, device, {})[0]
    other = results(name, model, longer, None, device, {})[0][3 if model_sees_left_only else 0 :]
    if name == "bert":
        other = other[: row.shape[1]]
    assert np.abs(other.numpy() - one.numpy()).max() > 1e-3

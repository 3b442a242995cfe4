"""evaluate_pretraining averages over gaps and pairs, whatever the size of the batches.

perplexity and bits_per_byte: the units in which a language model's loss is told.
"""

import math

import numpy as np
import pytest

import minillm
from minillm import functional as F
from minillm.evaluation import bits_per_byte, evaluate_pretraining, perplexity
from minillm.models import BertConfig, BertForPreTraining


def make_batch(rng, B, L=7):
    ids = rng.integers(5, 30, (B, L))
    labels = np.where(rng.random((B, L)) < 0.4, rng.integers(5, 30, (B, L)), -100)
    labels[0, 2] = 9
    return {
        "input_ids": ids,
        "token_type_ids": np.zeros_like(ids),
        "attention_mask": np.ones_like(ids),
        "labels": labels,
        "next_sentence_label": rng.integers(0, 2, B),
    }


def test_averages_equal_those_over_everything_at_once(device):
    minillm.manual_seed(0)
    config = BertConfig.from_size("tiny", vocab_size=30, initializer_range=0.5)
    model = BertForPreTraining(config).to(device).train()
    rng = np.random.default_rng(0)
    batches = [make_batch(rng, B) for B in (1, 4, 2)]
    result = evaluate_pretraining(model, batches)
    assert model.training  # as it was found

    model.eval()
    joined = {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
    t = {name: minillm.tensor(a, device=device) for name, a in joined.items()}
    output = model(t["input_ids"], t["token_type_ids"], t["attention_mask"])
    asked = joined["labels"] >= 0
    logits = output.prediction_logits.numpy()[asked]
    targets, follows = joined["labels"][asked], joined["next_sentence_label"]
    assert result["mlm_accuracy"] == pytest.approx((logits.argmax(-1) == targets).mean())
    loss = F.cross_entropy(minillm.tensor(logits), minillm.tensor(targets)).item()
    assert result["mlm_loss"] == pytest.approx(loss, rel=1e-4)
    nsp = output.seq_relationship_logits.numpy()
    assert result["nsp_accuracy"] == pytest.approx((nsp.argmax(-1) == follows).mean())


def test_nothing_to_ask_is_an_error(device):
    config = BertConfig.from_size("tiny", vocab_size=30)
    with pytest.raises(ValueError, match="no masked position"):
        evaluate_pretraining(BertForPreTraining(config).to(device), [])


def test_perplexity_of_a_fair_die_is_its_number_of_sides():
    assert perplexity(math.log(6)) == pytest.approx(6)
    assert perplexity(0) == 1
    # The mean of two tokens, one certain and one of four: 4 ** (1 / 2).
    assert perplexity((0 + math.log(4)) / 2) == pytest.approx(2)


def test_bits_per_byte_do_not_depend_on_the_tokenizer():
    """A uniform model of bytes needs 8 bits, in whatever tokens it is told."""
    text = "für 好".encode()
    assert bits_per_byte(len(text) * math.log(256), len(text)) == pytest.approx(8)
    assert bits_per_byte(math.log(2), 4) == pytest.approx(1 / 4)


@pytest.mark.parametrize("wrong", [math.nan, -0.1, math.inf])
def test_losses_that_are_none(wrong):
    with pytest.raises(ValueError, match=f"mean_nats={wrong}"):
        perplexity(wrong)
    with pytest.raises(ValueError, match=f"total_nats={wrong}"):
        bits_per_byte(wrong, 10)
    with pytest.raises(ValueError, match="mean_nats=25000: the mean"):
        perplexity(25_000)
    with pytest.raises(ValueError, match="total_bytes=0"):
        bits_per_byte(1.0, 0)

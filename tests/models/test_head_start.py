"""The head start does what it says: before any training, each head looks where it should."""

import numpy as np
import pytest

import minillm
from minillm.models import BertConfig, BertForPreTraining
from minillm.models.head_start import head_start

CONFIG = {
    "vocab_size": 500,
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "max_position_embeddings": 64,
    "initializer_range": 0.05,
}


@pytest.fixture
def model(device):
    minillm.manual_seed(0)
    model = BertForPreTraining(BertConfig(**CONFIG)).to(device).eval()
    head_start(model)
    return model


def attention(model, device, ids, types):
    """The first layer's maps, (heads, L, L)."""
    inputs = (minillm.tensor(x[None], device=device) for x in (ids, types))
    return model(*inputs, output_attentions=True).attentions[0].numpy()[0]


def test_the_first_two_heads_look_at_the_neighbours(device, model):
    """By distance, the place before (after) gets the most, several times a place's even share."""
    rng = np.random.default_rng(0)
    maps = np.mean(
        [attention(model, device, rng.integers(5, 500, 64), np.arange(64) // 32) for _ in range(8)],
        axis=0,
    )
    for head, wanted in ((0, -1), (1, 1)):
        by_distance = {d: np.diag(maps[head], d).mean() for d in range(-20, 21)}
        assert max(by_distance, key=by_distance.get) == wanted
        assert by_distance[wanted] > 10 / 64


def test_the_other_heads_look_at_the_same_word_in_the_second_sentence(device, model):
    rng = np.random.default_rng(1)
    ids = rng.permutation(np.arange(5, 500))[:64]
    ids[40:50] = ids[10:20]  # ten words of the first sentence stand in the second, too
    maps = attention(model, device, ids, np.arange(64) // 32)
    for head in (2, 3):
        assert (maps[head].argmax(-1)[10:20] == np.arange(40, 50)).mean() >= 0.9


def test_the_loss_still_begins_near_that_of_guessing(device, model):
    ids = np.random.default_rng(2).integers(5, 500, (8, 64))
    batch = [minillm.tensor(x, device=device) for x in (ids, ids * 0, ids * 0 + 1, ids)]
    assert model(*batch).loss.item() == pytest.approx(np.log(500), abs=0.5)


def test_it_depends_on_nothing_but_seed_and_configuration(device, model):
    minillm.manual_seed(0)
    again = BertForPreTraining(BertConfig(**CONFIG)).to(device)
    head_start(again)
    for (name, a), b in zip(model.named_parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=name)


def test_too_few_heads_are_refused():
    config = BertConfig(**(CONFIG | {"num_attention_heads": 2}))
    with pytest.raises(ValueError, match="3 heads of at least 8 columns, this model has 2 of 64"):
        head_start(BertForPreTraining(config))

"""What every decoder promises, whatever its parts: the tests of GPT-2 and of Llama share it.

A test module makes the class `TestContract(DecoderContract)` with a fixture `model` (small, no
dropout, context 12, vocabulary 23, on the device, float64).
"""

import numpy as np
import pytest

import minillm
from minillm import functional as F


class ListCache:
    """The smallest cache: all keys and values of each layer, joined at each step."""

    def __init__(self, window=None):
        self.layers, self.window = {}, window

    @property
    def length(self):
        return self.layers[0][0].shape[2] if self.layers else 0

    def update(self, layer, k, v):
        if layer in self.layers:
            xp = minillm.backend.array_module(k)
            k, v = (
                xp.concatenate([old, new], axis=2)
                for old, new in zip(self.layers[layer], (k, v), strict=True)
            )
        if self.window is not None:
            k, v = k[:, :, -self.window :], v[:, :, -self.window :]
        self.layers[layer] = (k, v)
        return k, v


def random_ids(device, shape, seed=0):
    return minillm.tensor(np.random.default_rng(seed).integers(0, 23, shape), device=device)


def directional_derivative(model, loss, h=1e-6):
    """(by backward, by differences) of the loss along a random direction of all parameters."""
    loss().backward()
    rng = np.random.default_rng(4)
    directions = [
        minillm.tensor(rng.standard_normal(p.shape), device=p.device).data
        for p in model.parameters()
    ]
    pairs = list(zip(model.parameters(), directions, strict=True))
    predicted = sum(float((p.grad * d).sum()) for p, d in pairs)
    losses = []
    for sign in (1, -1):
        for p, d in pairs:
            p.data += sign * h * d
        losses.append(loss().item())
        for p, d in pairs:
            p.data -= sign * h * d
    return predicted, (losses[0] - losses[1]) / (2 * h)


class DecoderContract:
    def test_output_shapes_and_attention_rows(self, device, model):
        ids = random_ids(device, (3, 8))
        out = model(ids, output_attentions=True)
        config = model.config
        assert out.logits.shape == (3, 8, 23) and out.loss is None
        assert len(out.attentions) == config.num_layers
        weights = out.attentions[0].numpy()
        assert weights.shape[0] == 3 and weights.shape[2:] == (8, 8)
        np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-10)
        assert (weights[..., np.triu_indices(8, 1)[0], np.triu_indices(8, 1)[1]] == 0).all()
        np.testing.assert_allclose(model(ids).logits.numpy(), out.logits.numpy(), atol=1e-10)
        assert model(ids).attentions is None

    def test_no_position_sees_a_later_one(self, device, model):
        ids = random_ids(device, (2, 8)).numpy()
        changed = ids.copy()
        changed[:, 5] = (ids[:, 5] + 1) % 23
        before, after = (
            model(minillm.tensor(a, device=device)).logits.numpy() for a in (ids, changed)
        )
        np.testing.assert_allclose(before[:, :5], after[:, :5], rtol=0, atol=1e-12)
        assert (np.abs(before[:, 5:] - after[:, 5:]).max(-1) > 1e-6).all()

    def test_the_loss_is_that_of_the_next_token(self, device, model):
        ids = random_ids(device, (3, 8))
        labels = ids.numpy().copy()
        labels[0, 3] = labels[2, :4] = -100
        out = model(ids, labels=minillm.tensor(labels, device=device))
        log_p = F.log_softmax(out.logits).numpy()
        terms = [
            -log_p[b, t, labels[b, t + 1]]
            for b in range(3)
            for t in range(7)
            if labels[b, t + 1] != -100
        ]
        assert out.loss.item() == pytest.approx(np.mean(terms), rel=1e-10)

    def test_gradient_of_the_whole_model(self, device, model):
        """With padding on the left: the masked path and the causal path together."""
        ids = random_ids(device, (3, 8))
        mask = np.ones((3, 8), np.int64)
        mask[1, :3] = 0
        labels = np.where(mask == 0, -100, ids.numpy())
        mask, labels = (minillm.tensor(a, device=device) for a in (mask, labels))
        predicted, measured = directional_derivative(
            model, lambda: model(ids, attention_mask=mask, labels=labels).loss
        )
        assert measured == pytest.approx(predicted, rel=1e-6)

    def test_gradients_through_visible_attention_are_the_same(self, device, model):
        ids = random_ids(device, (2, 6))
        found = []
        for visible in (False, True):
            model.zero_grad()
            model(ids, labels=ids, output_attentions=visible).loss.backward()
            found.append([minillm.Tensor(p.grad).numpy().copy() for p in model.parameters()])
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)

    @pytest.mark.parametrize("steps", [(8,), (1,) * 8, (3, 1, 4), (1, 7)])
    def test_a_cache_changes_nothing(self, device, model, steps):
        ids = random_ids(device, (2, 8))
        expected = model(ids).logits.numpy()
        cache, start = ListCache(), 0
        for step in steps:
            out = model(ids[:, start : start + step], cache=cache)
            np.testing.assert_allclose(
                out.logits.numpy(), expected[:, start : start + step], rtol=0, atol=1e-10
            )
            start += step
            assert cache.length == start
        assert not out.logits.requires_grad  # a cache holds no history

    def test_attentions_with_a_cache(self, device, model):
        ids = random_ids(device, (2, 6))
        expected = model(ids, output_attentions=True).attentions
        cache = ListCache()
        model(ids[:, :4], cache=cache)
        found = model(ids[:, 4:], cache=cache, output_attentions=True).attentions
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy()[:, :, 4:], atol=1e-10)

    def test_keys_and_values_are_those_of_the_key_heads(self, device, model):
        cache, config = ListCache(), model.config
        model(random_ids(device, (2, 5)), cache=cache)
        assert sorted(cache.layers) == list(range(config.num_layers))
        for pair in cache.layers.values():
            for array in pair:
                assert array.shape == (2, config.num_key_value_heads, 5, config.head_size)

    @pytest.mark.parametrize("steps", [(7,), (5, 1, 1), (4, 3)])
    def test_padding_on_the_left_changes_nothing(self, device, model, steps):
        """A short text beside a long one, its positions counted from its first token."""
        long = random_ids(device, (1, 7), 1).numpy()
        short = long[:, :4]
        ids = np.concatenate([long, np.concatenate([np.zeros((1, 3), np.int64), short], 1)])
        mask = np.array([[1] * 7, [0] * 3 + [1] * 4])
        positions = np.maximum(mask.cumsum(1) - 1, 0)
        cache, start, logits = ListCache(), 0, []
        for step in steps:
            stop = start + step
            parts = (ids[:, start:stop], mask[:, :stop], positions[:, start:stop])
            step_ids, step_mask, step_positions = (minillm.tensor(a, device=device) for a in parts)
            out = model(
                step_ids, attention_mask=step_mask, position_ids=step_positions, cache=cache
            )
            logits.append(out.logits.numpy())
            start = stop
        logits = np.concatenate(logits, 1)
        for row, alone in enumerate((long, short)):
            expected = model(minillm.tensor(alone, device=device)).logits.numpy()[0]
            np.testing.assert_allclose(logits[row, -len(expected) :], expected, atol=1e-10)

    def test_a_cache_with_a_window_sees_the_window_only(self, device, model):
        """With two layers a position knows of its window's windows: one layer is compared."""
        cache = ListCache(window=3)
        ids = random_ids(device, (1, 8))
        for t in range(8):
            held = cache.length
            model(
                ids[:, t : t + 1],
                attention_mask=minillm.tensor(np.ones((1, held + 1), np.int64), device=device),
                position_ids=minillm.tensor([[t]], device=device),
                cache=cache,
            )
        assert cache.length == 3
        whole = ListCache()
        model(ids, cache=whole)
        for found, expected in zip(cache.layers[0], whole.layers[0], strict=True):
            np.testing.assert_allclose(
                minillm.Tensor(found).numpy(), minillm.Tensor(expected).numpy()[:, :, -3:]
            )

    def test_last_only_is_the_last_row(self, device, model):
        ids = random_ids(device, (2, 5))
        out = model(ids, last_only=True)
        assert out.logits.shape == (2, 1, 23)
        np.testing.assert_allclose(
            out.logits.numpy(), model(ids).logits.numpy()[:, -1:], rtol=0, atol=1e-12
        )
        with pytest.raises(ValueError, match="labels need the logits of all positions"):
            model(ids, labels=ids, last_only=True)

    def test_folder_round_trip(self, device, model, tmp_path):
        model.to(np.float32).eval().save_pretrained(tmp_path / "m")
        again = type(model).from_pretrained(tmp_path / "m").to(device)
        assert again.config == model.config and not again.training
        ids = random_ids(device, (2, 5))
        np.testing.assert_array_equal(again(ids).logits.numpy(), model(ids).logits.numpy())

    def test_bad_inputs_are_named(self, device, model):
        def ids(array):
            return minillm.tensor(np.array(array, dtype=np.int64), device=device)

        with pytest.raises(ValueError, match="13 tokens is longer than the model's 12 positions"):
            model(ids([[5] * 13]))
        cache = ListCache()
        model(ids([[5] * 10]), cache=cache)
        with pytest.raises(ValueError, match="13 tokens is longer than the model's 12 positions"):
            model(ids([[5] * 3]), cache=cache)
        with pytest.raises(ValueError, match=r"attention_mask \(1, 2\): expected \(1, 12\), 10"):
            model(ids([[5] * 2]), attention_mask=ids([[1, 1]]), cache=cache)
        with pytest.raises(ValueError, match=r"at least one token, got \(1, 0\)"):
            model(ids([[]]))
        with pytest.raises(ValueError, match=r"\(batch, length\)"):
            model(ids([5, 6]))
        with pytest.raises(ValueError, match=r"position_ids \(1, 3\)"):
            model(ids([[5, 6]]), position_ids=ids([[0, 1, 2]]))
        with pytest.raises(ValueError, match=r"labels \(1, 1\)"):
            model(ids([[5, 6]]), labels=ids([[5]]))
        if device != "cuda":  # a GPU would have to stop and look
            with pytest.raises(ValueError, match="21 tokens is longer .* 12 positions"):
                model(ids([[5, 6]]), position_ids=ids([[0, 20]]))
            with pytest.raises(ValueError, match="-1 is negative"):
                model(ids([[5, 6]]), position_ids=ids([[-1, 0]]))
            with pytest.raises(IndexError, match="23 found, expected 0 to 22"):
                model(ids([[5, 23]]))

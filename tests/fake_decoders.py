"""Decoders small enough to know the answer: generation is tested on them without any training.

They follow the protocol of the models (forward, config, cache) and compute in float64, so what
they say is exact and the same with and without a cache.
"""

from types import SimpleNamespace

import numpy as np

import minillm
from minillm import nn
from minillm.autograd import Tensor
from minillm.backend import array_module


class FakeConfig(SimpleNamespace):
    """What generation reads of a model's config."""

    def __init__(self, vocab_size, max_positions, eos_token_id=None, pad_token_id=None):
        super().__init__(**{k: v for k, v in locals().items() if k not in ("self", "__class__")})


class Markov(nn.Module):
    """The next token depends on the last one only: logits = table[last token].

    calls: the shapes of the ids of every call.
    """

    def __init__(self, table, max_positions=1000, **config):
        super().__init__()
        self.table = nn.Parameter(np.asarray(table, np.float64))
        self.config = FakeConfig(len(table), max_positions, **config)
        self.calls = []

    def forward(self, ids, attention_mask=None, position_ids=None, cache=None, last_only=False):
        self.calls.append(ids.shape)
        assert not self.training and not minillm.is_grad_enabled()
        if cache is not None:
            xp = array_module(ids)
            nothing = xp.zeros((ids.shape[0], 1, ids.shape[1], 1), "float64")
            cache.update(0, nothing, nothing)
        logits = self.table.data[ids]  # (B, L, V)
        return SimpleNamespace(logits=Tensor(logits[:, -1:] if last_only else logits))


class Weighing(nn.Module):
    """Every visible token counts, by its id and its position: the logits after position t are

        sum over visible s <= t of  (token[id_s] * position[pos_s]) @ head.

    A token that is forgotten, seen twice, seen though it is padding, or seen at a wrong position
    changes them.  The keys hold the positions, the values the tokens.
    """

    def __init__(self, vocab_size=11, max_positions=16, seed=0, **config):
        super().__init__()
        rng = np.random.default_rng(seed)
        self.token = nn.Parameter(rng.standard_normal((vocab_size, 5)))
        self.position = nn.Parameter(rng.standard_normal((max_positions, 5)))
        self.head = nn.Parameter(rng.standard_normal((5, vocab_size)))
        self.config = FakeConfig(vocab_size, max_positions, **config)
        self.calls = []

    def forward(self, ids, attention_mask=None, position_ids=None, cache=None, last_only=False):
        self.calls.append(ids.shape)
        xp = array_module(ids)
        (B, L), past = ids.shape, 0 if cache is None else cache.length
        if position_ids is None:
            position_ids = xp.arange(past, past + L)
        assert int(position_ids.max()) < self.config.max_positions
        v = self.token.data[ids][:, None]  # (B, 1, L, 5)
        k = self.position.data[position_ids]
        k = xp.broadcast_to(k if k.ndim == 3 else k[None], (B, L, 5))[:, None]
        if cache is not None:
            k, v = cache.update(0, k, v)
        seen = (k * v)[:, 0]  # (B, past + L, 5)
        if attention_mask is not None:
            assert attention_mask.shape == (B, past + L)
            seen = seen * attention_mask[:, :, None]
        logits = (seen.cumsum(axis=1) @ self.head.data)[:, past:]
        return SimpleNamespace(logits=Tensor(logits[:, -1:] if last_only else logits))


def peaked(*following, weight=8.0):
    """A table in which token v is followed by following[v], almost surely."""
    table = np.zeros((len(following), len(following)))
    table[np.arange(len(following)), following] = weight
    return table


class Letters:
    """A tokenizer whose ids are the places in a text of pieces; with or without bytes."""

    def __init__(self, *pieces, special=()):
        self.pieces, self.special = pieces, special

    def encode_ids(self, text):
        return [self.pieces.index(c) for c in text]

    def decode(self, ids, skip_special_tokens=True):
        return "".join(self.pieces[i] for i in ids if i not in self.special)


class Bytes:
    """A byte-level tokenizer: ids 0 to 255 are the bytes, 256 is <end>."""

    def encode_ids(self, text):
        return list(text.encode())

    def decode(self, ids, skip_special_tokens=True):
        return self.decode_bytes(ids, skip_special_tokens).decode(errors="replace")

    def decode_bytes(self, ids, skip_special_tokens=False):
        return b"".join(
            bytes([i]) if i < 256 else b"" if skip_special_tokens else b"<end>" for i in ids
        )

"""How to generate: the words of Hugging Face's `generate`, checked once, before any work."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from minillm.backend import get_device, random_generator
from minillm.generation import sampling


@dataclass(frozen=True)
class Settings:
    """What `minillm.generation.generate` documents; ValueError or TypeError for a bad value."""

    max_new_tokens: int = 20
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    eos_token_id: int | Sequence[int] | None = None
    pad_token_id: int | None = None
    stop_strings: str | Sequence[str] | None = None
    tokenizer: Any = None
    seed: int | None = None
    use_cache: bool = True

    def __post_init__(self):
        for name in ("max_new_tokens", "num_beams"):
            value = getattr(self, name)
            if not _is_integer(value) or value < 1:
                raise ValueError(f"{name}={value!r}: expected an integer, 1 or more")
        for name in ("temperature", "top_p", "min_p", "repetition_penalty", "length_penalty"):
            value = getattr(self, name)
            off = value is None and name in ("top_p", "min_p")
            if not isinstance(value, int | float | np.number) and not off:
                raise TypeError(f"{name}={value!r}: expected a number")
            if not off and not np.isfinite(value):
                raise ValueError(f"{name}={value!r}: expected a finite number")
        if self.top_k is not None and (not _is_integer(self.top_k) or self.top_k < 0):
            raise ValueError(f"top_k={self.top_k!r}: expected a positive integer, None or 0 is off")
        self._try_filters()  # they check the rest
        if self.seed is not None and (not _is_integer(self.seed) or self.seed < 0):
            raise ValueError(f"seed={self.seed!r}: expected an integer, 0 or more, or None")
        if self.early_stopping not in (True, False, "never"):
            raise ValueError(
                f"early_stopping={self.early_stopping!r}: expected True, False or 'never'"
            )
        if any(not isinstance(s, str) or not s for s in self.stops):
            raise ValueError(f"stop_strings={self.stop_strings!r}: expected non-empty strings")
        if self.stops and self.tokenizer is None:
            raise ValueError("stop_strings are looked for in the text: give tokenizer=, too")
        self._warn_of_idle_words()

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings."""
        if self.stop_strings is None:
            return ()
        return (self.stop_strings,) if isinstance(self.stop_strings, str) else (*self.stop_strings,)

    def end_ids(self, config) -> tuple[int, ...]:
        """The tokens that end a text: eos_token_id, or if that is None the config's.

        The config of a small model often carries the id of a larger vocabulary: such an id can't
        be generated and is left out.  Given as argument, it is an IndexError.
        """
        given = self.eos_token_id is not None
        value: Any = self.eos_token_id if given else getattr(config, "eos_token_id", None)
        ids = () if value is None else (value,) if _is_integer(value) else tuple(value)
        for id in ids:
            if not _is_integer(id):
                raise TypeError(f"eos_token_id={self.eos_token_id!r}: expected an id or several")
            if given and not 0 <= id < config.vocab_size:
                raise IndexError(
                    f"eos_token_id={id}: the model's vocabulary has ids 0 to "
                    f"{config.vocab_size - 1}"
                )
        return tuple(int(id) for id in ids if 0 <= id < config.vocab_size)

    def pad_id(self, config) -> int | None:
        """The padding token: pad_token_id, or if that is None the config's, or None."""
        pad = self.pad_token_id
        if pad is None:
            pad = getattr(config, "pad_token_id", None)
        if pad is not None and not _is_integer(pad):
            raise TypeError(f"pad_token_id={pad!r}: expected an integer")
        return pad

    def generators(self, rows: int) -> list[np.random.Generator]:
        """A stream of random numbers for each row, from (seed, row).

        So a row's text doesn't depend on how many rows stand beside it.  Without a seed they
        follow from `minillm.manual_seed`.
        """
        seed = self.seed
        if seed is None:
            seed = int(random_generator(get_device("cpu")).integers(0, 2**63))
        return [np.random.default_rng((seed, row)) for row in range(rows)]

    def filtered(self, logits, texts: list[np.ndarray], min_tokens_to_keep: int = 1):
        """The filters, in order; logits (B, V), texts: each row's tokens so far."""
        if self.repetition_penalty != 1:
            rows = zip(logits, texts, strict=True)
            penalty = self.repetition_penalty
            logits = np.stack([sampling.repetition_penalty(z, t, penalty) for z, t in rows])
        if not self.do_sample:
            return logits
        return self._shaped(logits, min_tokens_to_keep)

    def _try_filters(self) -> None:
        logits, ids = np.zeros((1, 2)), np.zeros((1, 1), np.int64)
        sampling.repetition_penalty(logits, ids, self.repetition_penalty)
        self._shaped(logits, 1)

    def _shaped(self, logits, least: int):
        if self.temperature != 1:
            logits = sampling.temperature(logits, self.temperature)
        if self.top_k:
            logits = sampling.top_k(logits, self.top_k, least)
        if self.top_p is not None and self.top_p != 1:
            logits = sampling.top_p(logits, self.top_p, least)
        if self.min_p is not None:
            logits = sampling.min_p(logits, self.min_p, least)
        return logits

    def _warn_of_idle_words(self) -> None:
        """What is given and has no effect is probably a mistake."""
        needs = {"temperature": "do_sample", "top_k": "do_sample", "top_p": "do_sample"}
        needs |= {"min_p": "do_sample", "length_penalty": "num_beams"}
        needs |= {"early_stopping": "num_beams"}
        active = {"do_sample": self.do_sample, "num_beams": self.num_beams > 1}
        how = {"do_sample": "do_sample=True", "num_beams": "num_beams of 2 or more"}
        for field in fields(self):
            needed = needs.get(field.name)
            if needed and not active[needed] and getattr(self, field.name) != field.default:
                warnings.warn(
                    f"{field.name}={getattr(self, field.name)!r} has no effect without "
                    f"{how[needed]}",
                    stacklevel=4,
                )


def _is_integer(value) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)

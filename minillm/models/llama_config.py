"""The measures of a Llama: what `config.json` holds."""

import json
import math
from dataclasses import asdict, dataclass, fields

from minillm.models.decoder_config import (
    check_field,
    check_rates,
    check_scales,
    check_sizes,
    check_switches,
    check_token_ids,
)


@dataclass
class LlamaConfig:
    """A Llama's measures, under the names that Hugging Face's `config.json` gives them.

    rope_parameters: {"rope_type": "default", "rope_theta": 10000.0}, the newer spelling of
    rope_theta, which wins if both are given.  Other types, which stretch the positions, are
    refused by name.
    """

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int = None  # type: ignore[assignment]  # None: num_attention_heads
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-6
    pad_token_id: int | None = None
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    tie_word_embeddings: bool = False
    rope_theta: float = 10_000.0
    rope_parameters: dict | None = None
    attention_bias: bool = False
    attention_dropout: float = 0.0
    mlp_bias: bool = False
    head_dim: int = None  # type: ignore[assignment]  # None: hidden_size / num_attention_heads

    def __post_init__(self):
        check_sizes(self, "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")
        check_sizes(self, "num_attention_heads", "max_position_embeddings")
        if self.num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        if self.head_dim is None:
            if self.hidden_size % self.num_attention_heads:
                raise ValueError(
                    f"LlamaConfig: hidden_size={self.hidden_size} is not a multiple of "
                    f"num_attention_heads={self.num_attention_heads}: give head_dim"
                )
            self.head_dim = self.hidden_size // self.num_attention_heads
        check_sizes(self, "num_key_value_heads", "head_dim")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"LlamaConfig: num_attention_heads={self.num_attention_heads} is not a multiple of "
                f"num_key_value_heads={self.num_key_value_heads}"
            )
        if self.head_dim % 2:
            raise ValueError(
                f"LlamaConfig: head_dim={self.head_dim} is odd: rotary positions turn pairs"
            )
        check_rates(self, "attention_dropout")
        check_scales(self, "initializer_range", "rms_norm_eps")
        check_switches(self, "tie_word_embeddings", "attention_bias", "mlp_bias")
        check_token_ids(self)
        check_field(self, "hidden_act", ("silu",))
        self._agree_on_rope()

    def _agree_on_rope(self) -> None:
        """rope_theta and rope_parameters say the same afterwards; ValueError for other types."""
        if not isinstance(self.rope_parameters, dict | None):
            raise ValueError(
                f"LlamaConfig: rope_parameters={self.rope_parameters!r:.80}, expected an object"
            )
        rope = dict(self.rope_parameters or {})
        kind = rope.get("rope_type") or rope.get("type") or "default"
        if kind != "default":
            raise ValueError(
                f"LlamaConfig: rope type {kind!r:.80} is not supported, only 'default' (positions "
                "that are not stretched)"
            )
        theta = rope.get("rope_theta", self.rope_theta)
        if (
            isinstance(theta, bool)
            or not isinstance(theta, int | float)
            or not 0 < theta < math.inf
        ):
            raise ValueError(f"LlamaConfig: rope_theta={theta!r:.80}, expected a positive number")
        self.rope_theta = float(theta)
        self.rope_parameters = {"rope_type": "default", "rope_theta": self.rope_theta}

    @property
    def max_positions(self) -> int:
        """The longest context."""
        return self.max_position_embeddings

    @property
    def num_layers(self) -> int:
        return self.num_hidden_layers

    @property
    def head_size(self) -> int:
        """Columns of a head."""
        return self.head_dim

    @classmethod
    def from_dict(cls, values: dict) -> "LlamaConfig":
        """The fields known here; others that Hugging Face writes don't change the computation.

        Older files say rope_scaling where newer ones say rope_parameters.  Raises ValueError for
        another kind of model and for a type of rotary positions that is not supported.
        """
        if values.get("model_type", "llama") != "llama":
            raise ValueError(
                f"this folder holds a {values['model_type']!r:.80} model, expected 'llama'"
            )
        known = {field.name for field in fields(cls)}
        found = {name: value for name, value in values.items() if name in known}
        if found.get("rope_parameters") is None and values.get("rope_scaling") is not None:
            found["rope_parameters"] = values["rope_scaling"]
        return cls(**found)

    def to_json(self, architecture: str) -> str:
        """The text of `config.json`."""
        kind = {"architectures": [architecture], "model_type": "llama"}
        return json.dumps(kind | asdict(self), indent=2) + "\n"

"""The measures of a GPT-2: what `config.json` holds."""

import json
from dataclasses import asdict, dataclass, fields

from minillm.models.bert_config import ACTIVATIONS
from minillm.models.decoder_config import (
    check_field,
    check_rates,
    check_scales,
    check_sizes,
    check_switches,
    check_token_ids,
)

# Published sizes (Radford et al. 2019, table 2): layers, width, heads.
SIZES = {
    "small": (12, 768, 12),
    "medium": (24, 1024, 16),
    "large": (36, 1280, 20),
    "xl": (48, 1600, 25),
}
ARCHITECTURES = {"GPTModel": "GPT2Model", "GPTForCausalLM": "GPT2LMHeadModel"}
# What a file may say that would change the computation: only these values are supported.
FIXED = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}


@dataclass
class GPTConfig:
    """A GPT-2's measures, under the names that Hugging Face's `config.json` gives them."""

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None  # the width inside the MLP; None: 4 n_embd
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None

    def __post_init__(self):
        check_sizes(self, "vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
        if self.n_inner is not None:
            check_sizes(self, "n_inner")
        check_rates(self, "resid_pdrop", "embd_pdrop", "attn_pdrop")
        check_scales(self, "layer_norm_epsilon", "initializer_range")
        check_switches(self, "tie_word_embeddings")
        check_token_ids(self)
        if self.n_embd % self.n_head:
            raise ValueError(
                f"GPTConfig: n_embd={self.n_embd} is not a multiple of n_head={self.n_head}"
            )
        check_field(self, "activation_function", ACTIVATIONS)

    @property
    def inner_size(self) -> int:
        """The width inside the MLP."""
        return 4 * self.n_embd if self.n_inner is None else self.n_inner

    @property
    def max_positions(self) -> int:
        """The longest context."""
        return self.n_positions

    @property
    def num_layers(self) -> int:
        return self.n_layer

    @property
    def num_key_value_heads(self) -> int:
        """Every head has keys and values of its own."""
        return self.n_head

    @property
    def head_size(self) -> int:
        """Columns of a head."""
        return self.n_embd // self.n_head

    @classmethod
    def from_size(cls, size: str, **changes) -> "GPTConfig":
        """One of the published sizes by name ("small" ... "xl"), with other fields as wished."""
        if size not in SIZES:
            raise ValueError(f"no GPT-2 size {size!r}: expected one of {', '.join(SIZES)}")
        layers, width, heads = SIZES[size]
        return cls(**({"n_layer": layers, "n_embd": width, "n_head": heads} | changes))

    @classmethod
    def from_dict(cls, values: dict) -> "GPTConfig":
        """The fields known here; others that Hugging Face writes don't change the computation.

        Raises ValueError for another kind of model and for fields that would change it.
        """
        if values.get("model_type", "gpt2") != "gpt2":
            kind = f"{values['model_type']!r:.80}"
            raise ValueError(f"this folder holds a {kind} model, expected 'gpt2'")
        for name, only in FIXED.items():
            if values.get(name, only) != only:
                raise ValueError(f"{name}={values[name]!r:.80} is not supported, only {only}")
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    def to_json(self, architecture: str) -> str:
        """The text of `config.json`."""
        kind = {"architectures": [ARCHITECTURES[architecture]], "model_type": "gpt2"}
        return json.dumps(kind | asdict(self) | FIXED, indent=2) + "\n"

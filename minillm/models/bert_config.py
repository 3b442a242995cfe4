"""The measures of a BERT: what `config.json` holds."""

import json
from dataclasses import asdict, dataclass, fields

from minillm import functional as F
from minillm.models.decoder_config import check_field, check_rates, check_scales, check_sizes
from minillm.models.labels import label_table

# Published sizes (Turc et al. 2019): layers, width, heads; the feed-forward width is 4 times.
SIZES = {
    "tiny": (2, 128, 2),
    "mini": (4, 256, 4),
    "small": (4, 512, 8),
    "medium": (8, 512, 8),
    "base": (12, 768, 12),
}
ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_new": lambda x: F.gelu(x, "tanh"),
    "gelu_pytorch_tanh": lambda x: F.gelu(x, "tanh"),
    "relu": F.relu,
    "silu": F.silu,
}


@dataclass
class BertConfig:
    """A BERT's measures, under the names that Hugging Face's `config.json` gives them."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    classifier_dropout: float | None = None  # of the classification head; None: as hidden
    id2label: dict[int, str] | None = None  # the names of the classes, if it classifies

    def __post_init__(self):
        check_sizes(self, "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
        check_sizes(self, "intermediate_size", "max_position_embeddings", "type_vocab_size")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"BertConfig: hidden_size={self.hidden_size} is not a multiple of "
                f"num_attention_heads={self.num_attention_heads}"
            )
        check_rates(self, "hidden_dropout_prob", "attention_probs_dropout_prob")
        if self.classifier_dropout is not None:
            check_rates(self, "classifier_dropout")
        check_scales(self, "initializer_range", "layer_norm_eps")
        if type(self.pad_token_id) is not int or not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(
                f"BertConfig: pad_token_id={self.pad_token_id!r:.80}, expected an id of the "
                f"vocabulary, 0 to {self.vocab_size - 1}"
            )
        if self.id2label is not None:
            self.id2label = label_table(self.id2label)
        check_field(self, "hidden_act", ACTIVATIONS)

    @classmethod
    def from_size(cls, size: str, **changes) -> "BertConfig":
        """One of the published sizes by name ("tiny" ... "base"), with other fields as wished."""
        if size not in SIZES:
            raise ValueError(f"no BERT size {size!r}: expected one of {', '.join(SIZES)}")
        layers, width, heads = SIZES[size]
        measures = {
            "num_hidden_layers": layers,
            "hidden_size": width,
            "num_attention_heads": heads,
            "intermediate_size": 4 * width,
        }
        return cls(**(measures | changes))

    @classmethod
    def from_dict(cls, values: dict) -> "BertConfig":
        """The fields known here; others that Hugging Face writes don't change the computation."""
        if values.get("model_type", "bert") != "bert":
            raise ValueError(
                f"this folder holds a {values['model_type']!r:.80} model, expected 'bert'"
            )
        if values.get("position_embedding_type", "absolute") != "absolute":
            raise ValueError("only absolute position embeddings are supported")
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    def to_json(self, architecture: str) -> str:
        """The text of `config.json`."""
        values = {"architectures": [architecture], "model_type": "bert"} | asdict(self)
        if self.id2label is None:  # an encoder
            del values["id2label"], values["classifier_dropout"]
        else:
            values["label2id"] = {label: id for id, label in self.id2label.items()}
        return json.dumps(values | {"position_embedding_type": "absolute"}, indent=2) + "\n"

"""What the configs of minillm's own classifying networks share: checks, and `config.json`."""

import json
from dataclasses import asdict, dataclass, fields
from typing import ClassVar

from minillm.models.decoder_config import check_rates, check_sizes
from minillm.models.labels import label_table


@dataclass
class ClassifierConfig:
    """The measures of a network that classifies texts of word ids.

    vocab_size   : rows of the embedding table: `tokenizer.get_vocab_size()`
    id2label     : {0: "negative", 1: "positive"}
    pad_token_id : the id that fills short texts up
    """

    model_type: ClassVar[str]  # as config.json calls the network

    vocab_size: int
    id2label: dict[int, str]
    pad_token_id: int = 0

    def __post_init__(self):
        self.id2label = label_table(self.id2label)
        self._check_counts("vocab_size")
        if type(self.pad_token_id) is not int or not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(
                f"{type(self).__name__}: pad_token_id={self.pad_token_id!r:.80}, expected an id of "
                f"the vocabulary, 0 to {self.vocab_size - 1}"
            )

    def _check_counts(self, *names: str) -> None:
        check_sizes(self, *names)

    def _check_probabilities(self, *names: str) -> None:
        check_rates(self, *names)

    @classmethod
    def from_dict(cls, values: dict) -> "ClassifierConfig":
        """The config in the contents of a `config.json`; what else stands there is left alone."""
        if values.get("model_type") != cls.model_type:
            raise ValueError(
                f"this folder holds a {values.get('model_type')!r:.80} model, expected "
                f"{cls.model_type!r}"
            )
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    def to_json(self, architecture: str) -> str:
        """The text of `config.json`."""
        values = {"architectures": [architecture], "model_type": self.model_type} | asdict(self)
        values["label2id"] = {label: id for id, label in self.id2label.items()}
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

"""Averaged word vectors and fully connected layers: the deep averaging network.

    a = mean_t E[w_t]        h = relu(W_1 a + b_1) ...        z = W h + b

The order of the words is lost: "not good, but bad" and "not bad, but good" are one vector.  Yet a
review says its opinion many times over, and an average of a few hundred words is quickly computed.
While training, every word is left out with probability `word_dropout`: no single word may decide.
Source: Iyyer, Manjunatha, Boyd-Graber and Daume III 2015, "Deep unordered composition rivals
syntactic methods for text classification".
"""

from dataclasses import dataclass

from minillm import functional as F
from minillm import nn
from minillm.backend import array_module
from minillm.models.classification import SequenceClassifierOutput, classification_loss
from minillm.models.classifier_config import ClassifierConfig
from minillm.models.pretrained import NameTable, PretrainedModel
from minillm.models.word_vectors import drop_words, visible_ids, word_vectors


@dataclass
class AverageConfig(ClassifierConfig):
    """The measures of the network.

    embedding_size    : width D of the word vectors
    hidden_size       : width of the fully connected layers
    num_hidden_layers : how many there are; 0: the scores come from the average itself
    word_dropout      : probability of leaving a word out, while training
    dropout           : the same for each number before a linear layer
    """

    model_type = "minillm-average"

    embedding_size: int = 128
    hidden_size: int = 128
    num_hidden_layers: int = 1
    word_dropout: float = 0.3
    dropout: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        self._check_counts("embedding_size", "hidden_size")
        self._check_probabilities("word_dropout", "dropout")
        if type(self.num_hidden_layers) is not int or self.num_hidden_layers < 0:
            raise ValueError(
                f"AverageConfig: num_hidden_layers={self.num_hidden_layers!r:.80}, expected 0 or "
                "more"
            )


class AverageForSequenceClassification(PretrainedModel):
    """The deep averaging network; see the head of this file."""

    config_class = AverageConfig

    def __init__(self, config: AverageConfig):
        super().__init__(config)
        D, H = config.embedding_size, config.hidden_size
        widths = [D] + [H] * config.num_hidden_layers
        self.embedding = word_vectors(config.vocab_size, D, config.pad_token_id)
        self.hidden = nn.ModuleList(
            [nn.Linear(i, o) for i, o in zip(widths[:-1], widths[1:], strict=True)]
        )
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(widths[-1], len(config.id2label))

    def forward(
        self, input_ids, attention_mask=None, token_type_ids=None, labels=None
    ) -> SequenceClassifierOutput:
        """input_ids, attention_mask (B, L), labels (B,) -> loss, logits (B, C).

        token_type_ids is there for the sake of one interface; it is not looked at.
        """
        pad = self.config.pad_token_id
        ids = visible_ids(input_ids, attention_mask, pad)
        if self.training:
            ids = drop_words(ids, self.config.word_dropout, pad)
        x = self.embedding(ids)  # (B, L, D), zero where no word is
        count = (ids != pad).sum(axis=1, keepdims=True).astype(x.dtype)  # (B, 1)
        x = F.sum(x, 1) / array_module(count).maximum(count, 1)  # (B, D)
        for layer in self.hidden:
            x = F.relu(layer(self.dropout(x)))
        logits = self.classifier(self.dropout(x))  # (B, C)
        loss = None if labels is None else classification_loss(logits, labels)
        return SequenceClassifierOutput(loss, logits)

    def word_vector_groups(self, weight_decay: float = 0.0) -> list[dict]:
        """Parameter groups for SGD: word vectors at 200 times the learning rate of the layers.

        a = mean_t E[w_t] hands a word dL/da / L, so in a text of 250 words a vector's gradient is
        250 times smaller than that of the average.  Adam divides that out; plain SGD would stand
        still for want of it.
        """
        layers = [p for p in self.parameters() if p is not self.embedding.weight]
        return [
            {"params": [self.embedding.weight], "lr_scale": 200.0, "weight_decay": weight_decay},
            {"params": layers, "weight_decay": weight_decay},
        ]

    @classmethod
    def hugging_face_names(cls, config: AverageConfig) -> NameTable:
        """No other library knows this network: the names in the file are our own."""
        layers = [f"hidden.{i}" for i in range(config.num_hidden_layers)] + ["classifier"]
        names = ["embedding.weight"]
        names += [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]
        return {name: name for name in names}

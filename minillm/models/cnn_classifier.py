"""A convolutional network over windows of words.

    z[t, o] = b[o] + sum_k W[o, k] . E[w_{t+k}]       window of K words from word t, filter o
    c[o]    = relu(max_t z[t, o])                     where in the text doesn't matter
    logits  = W_c dropout([c of K = 3; K = 4; K = 5]) + b_c

A filter is a phrase of K words that may vary: one that answers to "a waste of time" answers to
"waste of my time" as well, since similar words have similar vectors.  Only the best window of a
text counts: the network asks whether such a phrase stands in it anywhere.
Source: Kim 2014, "Convolutional neural networks for sentence classification".
"""

from dataclasses import dataclass

from minillm import functional as F
from minillm import nn
from minillm.backend import array_module
from minillm.models.classification import SequenceClassifierOutput, classification_loss
from minillm.models.classifier_config import ClassifierConfig
from minillm.models.pretrained import NameTable, PretrainedModel
from minillm.models.word_vectors import drop_words, visible_ids, word_vectors

_MOST_WINDOW_SIZES = 64  # kinds of filters


@dataclass
class CNNConfig(ClassifierConfig):
    """The measures of the network.

    embedding_size : width D of the word vectors
    window_sizes   : K, how many words a window has, for each kind of filter
    num_filters    : filters of each kind
    word_dropout   : probability of leaving a word out, while training
    dropout        : the same for each number before the last layer
    """

    model_type = "minillm-cnn"

    embedding_size: int = 128
    window_sizes: tuple[int, ...] = (3, 4, 5)
    num_filters: int = 100
    word_dropout: float = 0.0
    dropout: float = 0.5

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.window_sizes, list):  # if it comes from JSON
            self.window_sizes = tuple(self.window_sizes)
        self._check_counts("embedding_size", "num_filters")
        self._check_probabilities("word_dropout", "dropout")
        sizes = self.window_sizes
        if (
            not isinstance(sizes, tuple)
            or not 0 < len(sizes) <= _MOST_WINDOW_SIZES
            or not all(type(K) is int and K > 0 for K in sizes)
        ):
            raise ValueError(
                f"CNNConfig: window_sizes={sizes!r:.80}, expected positive integers, at "
                f"most {_MOST_WINDOW_SIZES}"
            )


class CNNForSequenceClassification(PretrainedModel):
    """The convolutional network; see the head of this file."""

    config_class = CNNConfig

    def __init__(self, config: CNNConfig):
        super().__init__(config)
        D, filters = config.embedding_size, config.num_filters
        self.embedding = word_vectors(config.vocab_size, D, config.pad_token_id)
        self.convolutions = nn.ModuleList([nn.Conv1d(D, filters, K) for K in config.window_sizes])
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(filters * len(config.window_sizes), len(config.id2label))

    def forward(
        self, input_ids, attention_mask=None, token_type_ids=None, labels=None
    ) -> SequenceClassifierOutput:
        """input_ids, attention_mask (B, L), labels (B,) -> loss, logits (B, C).

        token_type_ids is there for the sake of one interface; it is not looked at.
        """
        config, pad = self.config, self.config.pad_token_id
        ids = visible_ids(input_ids, attention_mask, pad)
        # A window begins at every word; behind the last one it sees zeros.
        xp = array_module(ids)
        behind = xp.full((len(ids), max(config.window_sizes) - 1), pad, ids.dtype)
        ids = xp.concatenate([ids, behind], axis=1)
        nowhere = (ids == pad)[:, None, :]  # (B, 1, L + K - 1): no window begins here
        if self.training:
            ids = drop_words(ids, config.word_dropout, pad)
        x = F.transpose(self.embedding(ids), 1, 2)  # (B, D, L + K - 1)
        found = []
        for convolution in self.convolutions:
            z = convolution(x)  # (B, filters, places)
            z = F.masked_fill(z, nowhere[:, :, : z.shape[2]], -1e9)
            found.append(F.relu(F.max(z, 2)))  # (B, filters)
        c = F.concatenate(found, 1)
        logits = self.classifier(self.dropout(c))  # (B, C)
        loss = None if labels is None else classification_loss(logits, labels)
        return SequenceClassifierOutput(loss, logits)

    @classmethod
    def hugging_face_names(cls, config: CNNConfig) -> NameTable:
        """No other library knows this network: the names in the file are our own."""
        layers = [f"convolutions.{i}" for i in range(len(config.window_sizes))] + ["classifier"]
        names = ["embedding.weight"]
        names += [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]
        return {name: name for name in names}

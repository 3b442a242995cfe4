"""Settings that were found to work for reviews: a network, its tokenizer, how it is trained.

    preset = PRESETS["cnn"]
    classifier = preset.classifier(train.texts, train.label_names)
    batches = LabelledBatches(classifier.encode(train.texts), train.labels,
                              preset.batch_size, **classifier.padding)
    Trainer(classifier.network, classification_objective(), batches.batch,
            steps_per_epoch=len(batches), **preset.training).run()

Each was chosen on a part of the training texts that was held out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from minillm.models.average_classifier import AverageConfig, AverageForSequenceClassification
from minillm.models.classifier_config import ClassifierConfig
from minillm.models.cnn_classifier import CNNConfig, CNNForSequenceClassification
from minillm.models.lstm_classifier import LSTMConfig, LSTMForSequenceClassification
from minillm.models.network_classifier import NetworkClassifier
from minillm.models.pretrained import PretrainedModel
from minillm.text import clean_text
from minillm.text.words import train_word_tokenizer


@dataclass(frozen=True)
class Preset:
    """What it takes to make a classifier of words, and to train it.

    config     : arguments of the network's config besides vocab_size and id2label
    training   : arguments of `Trainer`
    """

    network_class: type[PretrainedModel]
    config_class: type[ClassifierConfig]
    config: dict
    vocab_size: int
    max_length: int
    truncation: str
    batch_size: int
    training: dict = field(default_factory=dict)

    def classifier(self, texts: Sequence[str], label_names: Sequence[str]) -> NetworkClassifier:
        """A new classifier with random weights, whose words are those of the training texts."""
        tokenizer = train_word_tokenizer(map(clean_text, texts), self.vocab_size)
        config = self.config_class(
            tokenizer.get_vocab_size(), dict(enumerate(label_names)), **self.config
        )
        return NetworkClassifier(
            self.network_class(config), tokenizer, self.max_length, self.truncation
        )


_ADAM = {"optimizer": "adam", "weight_decay": 0.0}

PRESETS = {
    "average": Preset(
        AverageForSequenceClassification,
        AverageConfig,
        {"word_dropout": 0.3},
        vocab_size=20_000,
        max_length=1000,
        truncation="head",
        batch_size=32,
        training={
            **{"epochs": 8, "optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9},
            **{"schedule": "linear", "weight_decay": 0.0, "clip_norm": None},
            "parameter_groups": AverageForSequenceClassification.word_vector_groups,
        },
    ),
    "cnn": Preset(
        CNNForSequenceClassification,
        CNNConfig,
        {"word_dropout": 0.3},
        vocab_size=20_000,
        max_length=400,
        truncation="head_tail",
        batch_size=32,
        training=_ADAM | {"epochs": 4, "learning_rate": 1e-3, "schedule": "linear"},
    ),
    # One layer in both directions, max over time.
    "lstm": Preset(
        LSTMForSequenceClassification,
        LSTMConfig,
        {
            **{"num_layers": 1, "hidden_size": 64, "bidirectional": True, "pooling": "max"},
            **{"word_dropout": 0.1, "dropout": 0.5},
        },
        vocab_size=20_000,
        max_length=300,
        truncation="head_tail",
        batch_size=64,
        training=_ADAM | {"epochs": 3, "learning_rate": 3e-3, "schedule": "linear"},
    ),
    # Embedding(128), LSTM(128), LSTM(128), Dense(1, sigmoid), the last 128 words, padded on the
    # left: the classical recipe as it is published, with the initial values and epsilon of Keras.
    "lstm-recipe": Preset(
        LSTMForSequenceClassification,
        LSTMConfig,
        {"use_mask": False},
        vocab_size=20_000,
        max_length=128,
        truncation="tail",
        batch_size=32,
        training={
            **{"epochs": 10, "optimizer": "adam", "learning_rate": 1e-3, "eps": 1e-7},
            **{"schedule": "constant", "weight_decay": 0.0, "clip_norm": None},
        },
    ),
}

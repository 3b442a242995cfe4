"""BERT with a classification head: what is fine-tuned for sentiment and the like.

    h = BERT(ids)[CLS],  p = tanh(W_p h + b_p),  logits = W_c dropout(p) + b_c

Only the head is new; everything below it comes from pretraining (Devlin et al. 2018, section 4.1).
"""

import os

from minillm import nn
from minillm.backend import array_module
from minillm.models.bert import BertModel, initialise, with_parts
from minillm.models.bert_config import BertConfig
from minillm.models.classification import SequenceClassifierOutput, classification_loss
from minillm.models.pretrained import NameTable, PretrainedModel


class BertForSequenceClassification(PretrainedModel):
    """A label for a text (or a pair of texts), from the vector that stands at [CLS].

    `config.id2label` names the labels and says how many there are.  The folder is that of
    transformers' class of the same name; a folder without a head (a pretrained encoder) is opened
    by `from_encoder`.
    """

    config_class = BertConfig

    @classmethod
    def check_config(cls, config: BertConfig) -> None:
        """A folder without the labels' names holds an encoder, not a classifier."""
        if not config.id2label:
            raise ValueError(
                "BertForSequenceClassification needs the names of the labels: "
                'BertConfig(..., id2label={0: "negative", 1: "positive"})'
            )

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.check_config(config)
        dropout = config.classifier_dropout
        self.bert = BertModel(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob if dropout is None else dropout)
        self.classifier = nn.Linear(config.hidden_size, len(config.id2label or {}))
        initialise(self.classifier, config)

    def forward(
        self,
        input_ids,
        attention_mask=None,
        token_type_ids=None,
        labels=None,
        output_attentions=False,
    ) -> SequenceClassifierOutput:
        """input_ids, attention_mask, token_type_ids (B, L); labels (B,) -> logits (B, C).

        loss: the mean cross-entropy, None without labels.  Of the last layer's output only the
        first position is used, so only that one passes its feed-forward network.
        """
        B, L = input_ids.shape
        xp = array_module(self.classifier.weight.data)
        first = xp.arange(0, B * L, L)  # the places of [CLS], counted through the batch
        hidden, attentions = self.bert.encode(
            input_ids, token_type_ids, attention_mask, output_attentions, first
        )  # (B, H)
        logits = self.classifier(self.dropout(self.bert.pool(hidden)))  # (B, C)
        loss = None if labels is None else classification_loss(logits, labels)
        return SequenceClassifierOutput(loss, logits, attentions)

    def layer_of(self, name: str) -> int:
        """The depth of a parameter: embeddings 0, encoder layers 1 to n, the head n + 1."""
        if name.startswith("bert.embeddings."):
            return 0
        if name.startswith("bert.layers."):
            return int(name.split(".")[2]) + 1
        return self.config.num_hidden_layers + 1

    @classmethod
    def from_encoder(
        cls, folder: str | os.PathLike, label_names: list[str], **changes
    ) -> "BertForSequenceClassification":
        """A pretrained encoder (of lesson 05, or from Hugging Face) under a new head.

        changes: fields of the config to set, such as hidden_dropout_prob=0.1.  The head's weights
        are random: seed with `minillm.manual_seed`.
        """
        encoder = BertModel.from_pretrained(folder)
        id2label = dict(enumerate(label_names))
        config = BertConfig(**(vars(encoder.config) | {"id2label": id2label} | changes))
        model = cls(config)
        model.bert.load_state_dict(encoder.state_dict())
        return model

    @classmethod
    def hugging_face_names(cls, config: BertConfig) -> NameTable:
        """Our parameter's name -> its name in Hugging Face's files."""
        encoder = BertModel.hugging_face_names(config, prefix="bert.")
        return {f"bert.{name}": theirs for name, theirs in encoder.items()} | with_parts(
            {"classifier": "classifier"}
        )

"""Whole models, each a file that reads like its paper."""

from minillm.models.bert import (
    BertForPreTraining,
    BertForPreTrainingOutput,
    BertModel,
    BertModelOutput,
)
from minillm.models.bert_classifier import BertForSequenceClassification
from minillm.models.bert_config import BertConfig
from minillm.models.network_classifier import NetworkClassifier
from minillm.models.ngram_classifier import NGramClassifier
from minillm.models.ngram_network import NGramNetwork, NGramNetworkClassifier
from minillm.models.packaged import packaged_minilm
from minillm.models.text_classifier import TextClassifier

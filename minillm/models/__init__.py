"""Whole models, each a file that reads like its paper."""

from minillm.models.bert import (
    BertForPreTraining,
    BertForPreTrainingOutput,
    BertModel,
    BertModelOutput,
)
from minillm.models.bert_config import BertConfig

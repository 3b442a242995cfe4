"""Whole models, each a file that reads like its paper."""

from minillm.models.bert import (
    BertConfig,
    BertForPreTraining,
    BertForPreTrainingOutput,
    BertModel,
    BertModelOutput,
)

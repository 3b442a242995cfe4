"""Whole models, each a file that reads like its paper."""

from minillm.models.bert import (
    BertForPreTraining,
    BertForPreTrainingOutput,
    BertModel,
    BertModelOutput,
)
from minillm.models.bert_classifier import BertForSequenceClassification
from minillm.models.bert_config import BertConfig
from minillm.models.causal import CausalLMOutput, DecoderOutput
from minillm.models.glove import GloVe
from minillm.models.gpt import GPTForCausalLM, GPTModel
from minillm.models.gpt_config import GPTConfig
from minillm.models.keyed_vectors import KeyedVectors
from minillm.models.llama import LlamaForCausalLM, LlamaModel
from minillm.models.llama_config import LlamaConfig
from minillm.models.network_classifier import NetworkClassifier
from minillm.models.ngram_classifier import NGramClassifier
from minillm.models.ngram_network import NGramNetwork, NGramNetworkClassifier
from minillm.models.packaged import packaged_minilm
from minillm.models.text_classifier import TextClassifier
from minillm.models.word2vec import Word2Vec

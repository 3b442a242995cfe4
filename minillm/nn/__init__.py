"""Networks: modules with parameters, made of the differentiable functions."""

from minillm.nn import init
from minillm.nn.activation import GELU, ReLU, Sigmoid, SiLU, Tanh
from minillm.nn.attention import MultiheadAttention
from minillm.nn.containers import ModuleList, Sequential
from minillm.nn.convolution import Conv1d, MaxPool1d
from minillm.nn.dropout import Dropout
from minillm.nn.embedding import Embedding
from minillm.nn.linear import Linear
from minillm.nn.loss import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from minillm.nn.module import Module, Parameter
from minillm.nn.normalization import LayerNorm, RMSNorm
from minillm.nn.recurrent import LSTM, RNN
from minillm.nn.transformer import TransformerEncoder, TransformerEncoderLayer

"""Optimizers: how parameters follow their gradients."""

from minillm.optim.adam import Adam, AdamW
from minillm.optim.clip import clip_grad_norm_
from minillm.optim.optimizer import Optimizer
from minillm.optim.rmsprop import RMSprop
from minillm.optim.schedule import (
    constant,
    cosine_warmup_decay,
    exponential_decay,
    linear_warmup_decay,
    step_decay,
)
from minillm.optim.sgd import SGD

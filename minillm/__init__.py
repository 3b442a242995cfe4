"""minillm: how a large language model is trained, every line readable, in NumPy and CuPy."""

from numpy import float16, float32, float64, int32, int64

from minillm import functional, nn, optim
from minillm.autocast import autocast, is_autocast_enabled
from minillm.autograd import Tensor
from minillm.backend import manual_seed
from minillm.creation import tensor
from minillm.grad_mode import detect_anomaly, is_grad_enabled, no_grad
from minillm.gradcheck import GradientError, gradcheck
from minillm.profiler import profile
from minillm.recompute import checkpoint
from minillm.tape_memory import tape_memory

__version__ = "0.1.0"

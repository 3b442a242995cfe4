"""How weights start.

What matters is the scale: with W (out, in) and independent inputs of variance 1, each output of
x W^T has variance in * Var(W).  Xavier's and Kaiming's rules choose Var(W) so that signals (and,
backwards, gradients) neither fade nor explode from layer to layer.

Every function fills a Tensor in place and returns it.  The numbers come from the CPU's random
generator whatever the device, so that a seed gives the same weights on every device.
"""

import math

import numpy as np

from minillm.autograd import Tensor
from minillm.backend import device_of, get_device, random_generator


def _fill(tensor: Tensor, values) -> Tensor:
    tensor.data[...] = device_of(tensor.data).from_numpy(np.asarray(values, tensor.dtype))
    return tensor


def _generator():
    return random_generator(get_device("cpu"))


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Uniform between a and b: mean (a + b)/2, variance (b - a)^2 / 12."""
    return _fill(tensor, _generator().uniform(a, b, tensor.shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normal with this mean and standard deviation."""
    return _fill(tensor, _generator().normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> Tensor:
    """Normal, but only the part between a and b: what falls outside is drawn again.

    a and b are values, not multiples of std (as in PyTorch).  Raises ValueError where less than
    1 % of the distribution lies between them: drawing would hardly end.
    """
    if not std > 0:
        raise ValueError(f"trunc_normal_: std must be positive, got {std}")

    def cumulative(x):
        return 0.5 * (1 + math.erf((x - mean) / (std * math.sqrt(2))))

    inside = cumulative(b) - cumulative(a)
    if not inside >= 0.01:
        raise ValueError(
            f"trunc_normal_: only {100 * inside:.2g} % of N({mean}, {std}^2) lies between a={a} "
            f"and b={b}; widen the interval, or use uniform_"
        )
    values = _generator().normal(mean, std, tensor.shape)
    while (outside := (values < a) | (values > b)).any():
        values[outside] = _generator().normal(mean, std, int(outside.sum()))
    return _fill(tensor, values)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every element is `val`."""
    tensor.data[...] = val
    return tensor


def zeros_(tensor: Tensor) -> Tensor:
    """Every element is 0."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Every element is 1."""
    return constant_(tensor, 1.0)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much weights must grow to make up for what a nonlinearity takes from the variance.

    relu: sqrt(2) (half of the signal is cut off); leaky_relu with slope `param` (0.01):
    sqrt(2 / (1 + slope^2)); tanh: 5/3; selu: 3/4; linear, conv1d, sigmoid: 1.
    """
    gains = {"linear": 1.0, "conv1d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "selu": 3 / 4}
    if nonlinearity == "relu":
        return math.sqrt(2)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in gains:
        raise ValueError(
            f"calculate_gain: unknown nonlinearity {nonlinearity!r}, expected one of "
            f"{', '.join([*gains, 'relu', 'leaky_relu'])}"
        )
    return gains[nonlinearity]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform in +-gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, equation 16)."""
    bound = gain * math.sqrt(6 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """N(0, std^2) with std = gain sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_fans(tensor))))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Uniform in +-gain sqrt(3 / fan), gain for the nonlinearity with slope a (He et al. 2015)."""
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """N(0, std^2) with std = gain / sqrt(fan) (He et al. 2015, equation 14)."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity))


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """A random matrix with orthonormal rows (or columns, whichever are fewer), times gain.

    tensor (out, ...), seen as the matrix (out, rest).  The Q of a normal matrix's QR decomposition
    is uniformly distributed once each column's sign is that of R's diagonal (Mezzadri 2007;
    Saxe et al. 2014 for the use in networks).
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: needs at least 2 axes, this tensor is {tensor.shape}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    normal = _generator().normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(normal)
    q *= np.sign(np.diag(r))
    if rows < columns:
        q = q.T
    return _fill(tensor, gain * q.reshape(tensor.shape))


def _fans(tensor: Tensor) -> tuple[int, int]:
    """How many inputs meet in one output, and how many outputs one input reaches.

    weight (out, in): (in, out); a convolution's (out, in, K): (in K, out K).
    """
    if tensor.ndim < 2:
        raise ValueError(
            f"a tensor of shape {tensor.shape} has no fan-in and fan-out: these rules are for "
            "weights with at least 2 axes, (out, in)"
        )
    taps = math.prod(tensor.shape[2:])
    return tensor.shape[1] * taps, tensor.shape[0] * taps


def _kaiming_std(tensor, a, mode, nonlinearity):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode={mode!r}: expected 'fan_in' or 'fan_out'")
    fan = _fans(tensor)[0 if mode == "fan_in" else 1]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)

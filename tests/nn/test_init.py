"""Initialisation: bounds, means and variances of large samples, orthogonality, one seed for all."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minillm
from minillm import nn
from minillm.nn import init

N = 40_000  # of N numbers with standard deviation s the mean is off by s / 200


def sample(fill, shape=(N,), **options):
    tensor = minillm.tensor(np.full(shape, np.nan, np.float64))
    assert fill(tensor, **options) is tensor
    return tensor.numpy()


def assert_moments(x, mean, std):
    assert abs(x.mean() - mean) < 4 * std / math.sqrt(x.size)
    assert abs(x.std() / std - 1) < 0.03


def test_uniform():
    x = sample(init.uniform_, a=-1.0, b=3.0)
    assert x.min() >= -1 and x.max() <= 3 and x.min() < -0.99 and x.max() > 2.99
    assert_moments(x, 1, 4 / math.sqrt(12))


def test_normal():
    x = sample(init.normal_, mean=2.0, std=0.5)
    assert_moments(x, 2, 0.5)
    assert 0.67 < np.mean(abs(x - 2) < 0.5) < 0.695  # 68.3 % within one standard deviation


def test_truncated_normal_is_the_normal_between_its_bounds():
    x = sample(init.trunc_normal_, mean=0.1, std=1.0, a=-0.9, b=1.1)
    assert x.min() >= -0.9 and x.max() <= 1.1
    # The variance of N(0, 1) between -1 and 1 is 1 - 2 phi(1) / (2 Phi(1) - 1) = 0.2911.
    assert_moments(x, 0.1, math.sqrt(0.2911))
    narrow = sample(init.trunc_normal_, std=0.02)  # a and b are values: nothing is cut off here
    assert_moments(narrow, 0, 0.02)


def test_truncated_normal_refuses_an_interval_that_it_would_hardly_hit():
    with pytest.raises(ValueError, match="only .* % of N.*use uniform_"):
        sample(init.trunc_normal_, a=5.0, b=6.0)
    with pytest.raises(ValueError, match="widen the interval"):
        sample(init.trunc_normal_, a=1.0, b=-1.0)
    with pytest.raises(ValueError, match="std must be positive, got 0"):
        sample(init.trunc_normal_, std=0.0)


def test_constants(device):
    x = minillm.tensor(np.zeros((2, 3)), device=device)
    assert (init.constant_(x, 2.5).numpy() == 2.5).all()
    assert (init.ones_(x).numpy() == 1).all()
    assert (init.zeros_(x).numpy() == 0).all()


@given(shape=st.sampled_from([(200, 100), (40, 60, 5)]))
def test_xavier_and_kaiming_have_the_published_scales(shape):
    taps = math.prod(shape[2:])
    fan_in, fan_out = shape[1] * taps, shape[0] * taps

    bound = 2 * math.sqrt(6 / (fan_in + fan_out))
    x = sample(init.xavier_uniform_, shape, gain=2.0)
    assert abs(x).max() <= bound and abs(x).max() > 0.99 * bound
    assert_moments(x, 0, bound / math.sqrt(3))

    assert_moments(sample(init.xavier_normal_, shape), 0, math.sqrt(2 / (fan_in + fan_out)))

    bound = math.sqrt(6 / fan_in)  # relu's gain is sqrt 2
    x = sample(init.kaiming_uniform_, shape, nonlinearity="relu")
    assert abs(x).max() <= bound and abs(x).max() > 0.99 * bound
    assert_moments(x, 0, bound / math.sqrt(3))

    x = sample(init.kaiming_normal_, shape, a=0.5, mode="fan_out")
    assert_moments(x, 0, math.sqrt(2 / (1 + 0.25)) / math.sqrt(fan_out))


@given(rows=st.integers(1, 8), columns=st.integers(1, 8), rest=st.sampled_from([(), (2,)]))
def test_orthogonal_rows_or_columns(rows, columns, rest):
    w = sample(init.orthogonal_, (rows, columns, *rest), gain=3.0).reshape(rows, -1)
    small = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(small, 9 * np.eye(len(small)), atol=1e-12)


def test_orthogonal_matrices_are_spread_evenly():
    """Of uniformly distributed rotations and reflections every entry is positive half of the time
    (without the sign of R's diagonal the first one never is)."""
    signs = np.mean([np.sign(sample(init.orthogonal_, (3, 3))) for _ in range(500)], axis=0)
    assert abs(signs).max() < 0.2


def test_gains():
    assert init.calculate_gain("linear") == init.calculate_gain("sigmoid") == 1
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))
    assert init.calculate_gain("leaky_relu", 1.0) == 1
    with pytest.raises(ValueError, match="unknown nonlinearity 'swish', expected one of linear"):
        init.calculate_gain("swish")


@pytest.mark.parametrize(
    "fill",
    [
        *(init.uniform_, init.normal_, init.trunc_normal_, init.xavier_uniform_),
        *(init.xavier_normal_, init.kaiming_uniform_, init.kaiming_normal_, init.orthogonal_),
    ],
)
def test_a_seed_gives_the_same_numbers_on_every_device_in_the_tensors_dtype(device, fill):
    here = minillm.tensor(np.zeros((3, 4), np.float32), device=device)
    there = minillm.tensor(np.zeros((3, 4), np.float32))
    for tensor in (here, there):
        minillm.manual_seed(7)
        storage = tensor.data
        fill(tensor)
        assert tensor.data is storage and tensor.dtype == np.float32
    np.testing.assert_array_equal(here.numpy(), there.numpy())
    assert here.numpy().std() > 0


def test_what_has_no_fans_is_refused():
    bias = minillm.tensor(np.zeros(3))
    for fill in (init.xavier_uniform_, init.kaiming_normal_):
        with pytest.raises(ValueError, match=r"shape \(3,\) has no fan-in"):
            fill(bias)
    with pytest.raises(ValueError, match="at least 2 axes"):
        init.orthogonal_(bias)
    with pytest.raises(ValueError, match="mode='fan': expected 'fan_in' or 'fan_out'"):
        init.kaiming_uniform_(minillm.tensor(np.zeros((2, 2))), mode="fan")


@pytest.mark.parametrize(
    ("module", "name", "bound"),
    [
        (lambda: nn.Linear(25, 400), "weight", 1 / 5),
        (lambda: nn.Linear(25, 4000), "bias", 1 / 5),
        (lambda: nn.Conv1d(20, 400, 5, groups=2), "weight", 1 / math.sqrt(50)),
        (lambda: nn.Conv1d(20, 4000, 5, groups=2), "bias", 1 / math.sqrt(50)),
        (lambda: nn.LSTM(10, 64), "weight_hh_l0", 1 / 8),
        (lambda: nn.LSTM(10, 1600), "bias_ih_l0", 1 / 40),
        (lambda: nn.RNN(100, 64, bidirectional=True), "weight_ih_l0_reverse", 1 / 8),
        (lambda: nn.MultiheadAttention(60, 4), "in_proj_weight", math.sqrt(6 / 240)),
        (lambda: nn.MultiheadAttention(64, 4), "out_proj.weight", 1 / 8),
    ],
)
def test_layers_start_uniform_within_pytorchs_bounds(module, name, bound):
    x = module().state_dict()[name]
    assert abs(x).max() <= bound * (1 + 1e-6) and abs(x).max() > 0.98 * bound
    assert abs(x.mean()) < 5 * bound / math.sqrt(3 * x.size)
    assert abs(x.std() * math.sqrt(3) / bound - 1) < 0.05


def test_layers_start_with_pytorchs_constants():
    attention = nn.MultiheadAttention(8, 2)
    assert (attention.in_proj_bias.data == 0).all() and (attention.out_proj.bias.data == 0).all()
    norm = nn.LayerNorm((2, 3))
    assert (norm.weight.data == 1).all() and (norm.bias.data == 0).all()
    table = nn.Embedding(2000, 20, padding_idx=-1).weight.data
    assert_moments(table[:-1], 0, 1)
    assert (table[-1] == 0).all()

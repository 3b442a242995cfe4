"""dropout: what it keeps, what it scales, and that forward and backward agree on it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import check_op, normal, seeds, shapes, to_host

import minillm
from minillm import functional as F


def seeded_dropout(x, p):
    """The same mask at each call, so that the factory can compare calls."""
    minillm.manual_seed(7)
    return F.dropout(x, p)


@given(shape=shapes(min_side=0), p=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), seed=seeds)
def test_dropout_passes_the_factory(device, shape, p, seed):
    x = normal(seed, shape)
    check_op(lambda x: seeded_dropout(x, p), x, device=device)


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
def test_an_element_is_dropped_with_probability_p_and_scaled_by_the_exact_inverse(device, p):
    n = 200_000
    y = F.dropout(minillm.tensor(np.ones(n), device=device), p).numpy()
    rounded = round(p * 256) / 256  # eight random bits decide
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / (1 - rounded), rtol=1e-12)
    deviation = 5 * np.sqrt(rounded * (1 - rounded) / n)  # five standard deviations
    assert abs((~kept).mean() - rounded) < deviation
    assert abs(y.mean() - 1) < deviation / (1 - rounded)  # the expectation of y is x


def test_forward_and_backward_use_one_mask(device):
    x = minillm.tensor(np.ones((50, 40)), requires_grad=True, device=device)
    y = F.dropout(x, 0.3)
    y.sum().backward()
    np.testing.assert_array_equal(to_host(x.grad), y.numpy())


def test_elements_and_calls_are_dropped_independently(device):
    x = minillm.tensor(np.ones((100, 100)), device=device)
    first, second = F.dropout(x, 0.5).numpy() > 0, F.dropout(x, 0.5).numpy() > 0
    for a, b in ((first, second), (first[1:], first[:-1]), (first[:, 1:], first[:, :-1])):
        assert abs((a & b).mean() - 0.25) < 0.03


@pytest.mark.parametrize("options", [{"p": 0.0}, {"p": 0.7, "training": False}])
def test_nothing_happens_with_p_0_or_outside_training(device, options):
    x = minillm.tensor(normal(0, (3, 4)), requires_grad=True, device=device)
    y = F.dropout(x, **options)
    np.testing.assert_array_equal(y.numpy(), x.numpy())
    y.sum().backward()
    np.testing.assert_array_equal(to_host(x.grad), np.ones((3, 4)))


def test_p_1_drops_everything(device):
    x = minillm.tensor(normal(0, (3, 4)), requires_grad=True, device=device)
    y = F.dropout(x, 1.0)
    y.sum().backward()
    np.testing.assert_array_equal(y.numpy(), np.zeros((3, 4)))
    np.testing.assert_array_equal(to_host(x.grad), np.zeros((3, 4)))


def test_a_tiny_p_is_not_rounded_to_none_and_a_large_one_not_to_all(device):
    x = minillm.tensor(np.ones(100_000), device=device)
    assert 300 < (F.dropout(x, 1e-4).numpy() == 0).sum() < 500  # 1 in 256
    assert 300 < (F.dropout(x, 0.9999).numpy() != 0).sum() < 500


def test_the_seed_decides(device):
    x = minillm.tensor(np.ones(1000), device=device)
    masks = [(minillm.manual_seed(seed), F.dropout(x, 0.5).numpy())[1] for seed in (1, 2, 1)]
    np.testing.assert_array_equal(masks[0], masks[2])
    assert (masks[0] != masks[1]).any()


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
@pytest.mark.parametrize("training", [True, False])
def test_a_probability_outside_0_to_1_is_named(device, p, training):
    with pytest.raises(ValueError, match=f"{p}.*between 0 and 1"):
        F.dropout(minillm.tensor([1.0], device=device), p, training)

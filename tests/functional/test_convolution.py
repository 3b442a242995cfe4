"""conv1d and max_pool1d: their definitions as loops, over every stride, padding and dilation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import assert_close, check_op, check_same, normal, seeds, to_host

import minillm
from minillm import functional as F


def convolution(x, weight, bias, stride, padding, dilation, groups):
    (N, _, L), (C_out, per_group, K) = x.shape, weight.shape
    L_out = (L + 2 * padding - dilation * (K - 1) - 1) // stride + 1
    y = np.zeros((N, C_out, L_out))
    for n, o, position in np.ndindex(*y.shape):
        group = o // (C_out // groups)
        for c, k in np.ndindex(per_group, K):
            place = position * stride + k * dilation - padding
            if 0 <= place < L:
                y[n, o, position] += weight[o, c, k] * x[n, group * per_group + c, place]
    return y if bias is None else y + bias[:, None]


@given(data=st.data(), seed=seeds)
def test_conv1d(device, data, seed):
    small = st.integers(1, 3)
    groups, stride, dilation, K = (data.draw(small) for _ in range(4))
    padding = data.draw(st.integers(0, 2))
    N, c_in, c_out = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2)), data.draw(small)
    shortest = max(1, dilation * (K - 1) + 1 - 2 * padding)
    L = data.draw(st.integers(shortest, shortest + 4))
    x, weight, bias = normal(
        seed, (N, c_in * groups, L), (c_out * groups, c_in, K), (c_out * groups,)
    )
    bias = bias if data.draw(st.booleans()) else None
    options = (stride, padding, dilation, groups)
    check_op(
        lambda x, w, b: F.conv1d(x, w, b, *options),
        *(x, weight, bias),
        device=device,
        expected=convolution(x, weight, bias, *options),
    )


def test_conv1d_is_linear_over_windows(device):
    """With kernel as wide as the input a convolution is one dot product."""
    check_same(
        lambda x, w: F.conv1d(x, w),
        lambda x, w: F.linear(x.reshape(2, 12), w.reshape(5, 12)).reshape(2, 5, 1),
        *normal(0, (2, 3, 4), (5, 3, 4)),
        device=device,
    )


def test_conv1d_keyword_arguments(device):
    x, weight = (minillm.tensor(a, device=device) for a in normal(0, (1, 4, 9), (2, 2, 3)))
    y = F.conv1d(x, weight, groups=2, dilation=2, padding=1, stride=2)
    expected = convolution(x.numpy(), weight.numpy(), None, 2, 1, 2, 2)
    assert_close(y.numpy(), expected)


@pytest.mark.parametrize(
    "x_shape, weight_shape, options, words",
    [
        ((1, 3, 5), (2, 4, 2), {}, r"\(1, 3, 5\).*\(2, 4, 2\)"),
        ((3, 5), (2, 3, 2), {}, r"\(3, 5\)"),
        ((1, 3, 5), (2, 3), {}, r"\(2, 3\)"),
        ((1, 4, 5), (3, 2, 2), {"groups": 2}, "groups 2"),
        ((1, 3, 5), (2, 3, 6), {}, "kernel of 6.*length of 5"),
        ((1, 3, 5), (2, 3, 2), {"stride": 0}, "stride 0"),
        ((1, 3, 5), (2, 3, 2), {"padding": -1}, "padding -1"),
        ((1, 3, 5), (2, 3, 2), {"dilation": 0}, "dilation 0"),
    ],
)
def test_conv1d_names_what_does_not_fit(device, x_shape, weight_shape, options, words):
    x = minillm.tensor(np.ones(x_shape), device=device)
    weight = minillm.tensor(np.ones(weight_shape), device=device)
    with pytest.raises(ValueError, match=words):
        F.conv1d(x, weight, **options)


def pooling(x, kernel_size, stride, padding):
    L = x.shape[-1]
    L_out = (L + 2 * padding - kernel_size) // stride + 1
    y = np.empty((*x.shape[:-1], L_out))
    for position in range(L_out):
        start = position * stride - padding
        y[..., position] = x[..., max(start, 0) : start + kernel_size].max(axis=-1)
    return y


@given(data=st.data(), seed=seeds)
def test_max_pool1d(device, data, seed):
    kernel_size, stride = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    padding = data.draw(st.integers(0, kernel_size // 2))
    L = data.draw(st.integers(max(1, kernel_size - padding), 9))
    x = normal(seed, (data.draw(st.integers(1, 2)), data.draw(st.integers(1, 3)), L))
    check_op(
        lambda x: F.max_pool1d(x, kernel_size, stride, padding),
        x,
        device=device,
        expected=pooling(x, kernel_size, stride, padding),
    )


def test_max_pool1d_strides_by_its_kernel_unless_told(device):
    x = minillm.tensor(normal(0, (1, 2, 7)), device=device)
    assert_close(F.max_pool1d(x, 3).numpy(), pooling(x.numpy(), 3, 3, 0))


def test_max_pool1d_sends_the_gradient_to_the_first_of_equal_values(device):
    x = minillm.tensor([[[2.0, 2.0, 1.0, 5.0, 5.0]]], requires_grad=True, device=device)
    y = F.max_pool1d(x, 2, stride=1)
    y.backward(minillm.tensor([[[1.0, 10.0, 100.0, 1000.0]]], device=device))
    np.testing.assert_array_equal(y.numpy(), [[[2, 2, 5, 5]]])
    np.testing.assert_array_equal(to_host(x.grad), [[[1, 10, 0, 1100, 0]]])


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((6,), "window of 6.*length of 5"),
        ((3, 1, 2), "padding 2.*half of 3"),
        ((2, 0), "stride 0"),
        ((2, 1, -1), "padding -1"),
        ((0,), "kernel_size 0"),
    ],
)
def test_max_pool1d_names_what_does_not_fit(device, arguments, words):
    with pytest.raises(ValueError, match=words):
        F.max_pool1d(minillm.tensor(np.ones((1, 2, 5)), device=device), *arguments)

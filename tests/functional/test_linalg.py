"""matmul and linear: sums of products, vectors, batches, broadcasting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes
from op_factory import assert_close, check_op, check_same, normal, seeds, shapes, to_host

import minillm
from minillm import functional as F

matrix_pairs = mutually_broadcastable_shapes(
    signature=np.matmul.signature, max_dims=2, min_side=1, max_side=3
)


def product(a, b):
    """sum_k a_ik b_kj, written as a sum over an axis."""
    A = a[None, :] if a.ndim == 1 else a
    B = b[:, None] if b.ndim == 1 else b
    c = (A[..., :, :, None] * B[..., None, :, :]).sum(axis=-2)
    c = c[..., 0] if b.ndim == 1 else c
    return c if a.ndim > 1 else c[..., 0, :] if b.ndim > 1 else c[..., 0]


@given(drawn=matrix_pairs, seed=seeds)
def test_matmul_over_vectors_matrices_and_broadcast_batches(device, drawn, seed):
    a, b = normal(seed, *drawn.input_shapes)
    check_op(F.matmul, a, b, device=device, expected=product(a, b))


def test_the_operator_takes_arrays_on_either_side(device):
    a, b = normal(0, (2, 3), (3, 4))
    A, B = minillm.tensor(a, device=device), minillm.tensor(b, device=device)
    for c in (A @ B, A.data @ B, A @ B.data, A.matmul(B)):
        assert isinstance(c, minillm.Tensor)
        assert_close(c.numpy(), product(a, b))


@pytest.mark.parametrize("shape_a, shape_b", [((2, 3), (2, 3)), ((3,), (2,)), ((4,), (2, 3, 5))])
def test_matmul_names_shapes_that_do_not_fit(device, shape_a, shape_b):
    a = minillm.tensor(np.ones(shape_a), device=device)
    b = minillm.tensor(np.ones(shape_b), device=device)
    with pytest.raises(ValueError, match=r"matmul: \(.*\) @ \(.*\)"):
        a @ b


def test_matmul_refuses_a_scalar(device):
    with pytest.raises(ValueError, match="1-d"):
        F.matmul(minillm.tensor(2.0, device=device), minillm.tensor([1.0], device=device))


@given(
    batch=shapes(max_dims=3, min_side=0),
    features=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    bias=st.booleans(),
    seed=seeds,
)
def test_linear(device, batch, features, bias, seed):
    n_in, n_out = features
    x, weight, b = normal(seed, (*batch, n_in), (n_out, n_in), (n_out,))
    expected = (x[..., None, :] * weight).sum(axis=-1)
    if bias:
        check_op(F.linear, x, weight, b, device=device, expected=expected + b)
    else:
        check_op(F.linear, x, weight, device=device, expected=expected)


def test_linear_equals_its_composition(device):
    x, weight, bias = normal(0, (2, 3, 4), (5, 4), (5,))
    check_same(F.linear, lambda x, w, b: x @ w.T + b, x, weight, bias, device=device)


def test_linear_gives_only_those_gradients_that_were_asked_for(device):
    x, weight, bias = normal(0, (3, 4), (5, 4), (5,))
    W = minillm.tensor(weight, requires_grad=True, device=device)
    F.linear(
        minillm.tensor(x, device=device), W, bias=minillm.tensor(bias, device=device)
    ).sum().backward()
    assert_close(to_host(W.grad), np.tile(x.sum(axis=0), (5, 1)))


def test_linear_names_shapes_that_do_not_fit(device):
    x, weight = normal(0, (2, 3), (5, 4))
    with pytest.raises(ValueError, match="3 features.*expects 4"):
        F.linear(minillm.tensor(x, device=device), minillm.tensor(weight, device=device))
    with pytest.raises(ValueError, match=r"bias.*\(4,\).*5"):
        F.linear(
            minillm.tensor(np.ones((2, 4)), device=device),
            minillm.tensor(weight, device=device),
            minillm.tensor(np.ones(4), device=device),
        )

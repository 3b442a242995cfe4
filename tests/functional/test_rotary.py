"""Rotary positions: turned as complex numbers; products know distances only."""

import cmath
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import assert_close, check_op, normal, seeds, shapes, to_host

import minillm
from minillm import functional as F
from minillm.backend import get_device


def turned(x, angles):
    """Column j and column j + D/2 are one complex number, multiplied by e^(i angle)."""
    half = x.shape[-1] // 2
    y = np.empty(x.shape)
    angles = np.broadcast_to(angles, (*x.shape[:-1], half))
    for *row, j in np.ndindex(*x.shape[:-1], half):
        row = tuple(row)
        z = complex(x[(*row, j)], x[(*row, j + half)]) * cmath.exp(1j * angles[(*row, j)])
        y[(*row, j)], y[(*row, j + half)] = z.real, z.imag
    return y


@given(batch=shapes(max_dims=2, max_side=3), L=st.integers(1, 3), half=st.integers(1, 3),
       shared=st.booleans(), seed=seeds)  # fmt: skip
def test_rotary_embedding(device, batch, L, half, shared, seed):
    x, angles = normal(seed, (*batch, L, 2 * half), (*(() if shared else batch), L, half))
    cos, sin = (get_device(device).from_numpy(f(angles)) for f in (np.cos, np.sin))
    check_op(
        lambda x: F.rotary_embedding(x, cos, sin), x, device=device, expected=turned(x, angles)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rotary_angles(device, dtype):
    positions = np.array([[0, 1, 2], [7, 1000, 3]])
    cos, sin = F.rotary_angles(get_device(device).from_numpy(positions), 6, 100.0, dtype)
    angles = [
        [[m * 100.0 ** (-2 * j / 6) for j in range(3)] for m in row] for row in positions.tolist()
    ]
    assert cos.dtype == sin.dtype == dtype
    assert_close(to_host(cos), np.cos(angles), 1e-6 if dtype == np.float32 else 1e-12)
    assert_close(to_host(sin), np.sin(angles), 1e-6 if dtype == np.float32 else 1e-12)


@given(m=st.integers(0, 50), n=st.integers(0, 50), shift=st.integers(0, 50), seed=seeds)
def test_products_of_turned_vectors_depend_on_the_distance_only(device, m, n, shift, seed):
    q, k = normal(seed, (1, 8), (1, 8))

    def at(x, position):
        positions = get_device(device).from_numpy(np.array([position]))
        angles = F.rotary_angles(positions, 8, 10_000.0, np.float64)
        return F.rotary_embedding(minillm.tensor(x, device=device), *angles).numpy()[0]

    here, there = at(q, m) @ at(k, n), at(q, m + shift) @ at(k, n + shift)
    assert math.isclose(here, there, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(at(q, m) @ at(q, m), float(q[0] @ q[0]), rel_tol=1e-9)  # a turn: no stretch


def test_shapes_that_do_not_fit_are_named(device):
    def ones(*shape):
        return minillm.tensor(np.ones(shape), device=device)

    with pytest.raises(ValueError, match=r"x \(2, 3\) needs an even last axis"):
        F.rotary_embedding(ones(2, 3), ones(2, 1).data, ones(2, 1).data)
    with pytest.raises(ValueError, match=r"cos \(2, 4\) .* half as many columns"):
        F.rotary_embedding(ones(2, 4), ones(2, 4).data, ones(2, 4).data)

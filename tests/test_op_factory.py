"""The factory itself: every bug that it exists to find, planted and found."""

import numpy as np
import pytest
from op_factory import check_op, normal

from minillm import functional as F
from minillm.autograd import differentiable


def doubled(backward=None, forward=None):
    """y = 2 x + w, with another backward or forward."""

    @differentiable
    def op(x, w):
        def right(dy):
            return dy * 2, dy

        y = (forward or (lambda x, w: 2 * x + w))(x, w)
        return y, (lambda dy: backward(dy, x, w)) if backward else right

    return op


def check(op):
    x, w = normal(0, (2, 3), (2, 3))
    check_op(op, x, w, device="cpu", expected=2 * x + w)


def test_a_right_function_passes():
    check(doubled())


def overwrite_dy(dy, x, w):
    dy *= 2
    return dy, dy / 2


def overwrite_input(dy, x, w):
    x[...] = 0
    return dy * 2, dy


def overwrite_input_forward(x, w):
    x *= 2
    return x + w


def one_array_for_both(dy, x, w):
    dx = dy * 2
    return dx, dx


kept = np.zeros((2, 3))


def an_array_from_outside(dy, x, w):
    kept[...] = dy * 2
    return kept, dy


BUGS = {
    "the value": doubled(forward=lambda x, w: 2 * x - w),
    "a gradient": doubled(lambda dy, x, w: (dy * 2.001, dy)),
    "no gradient": doubled(lambda dy, x, w: (dy * 2, None)),
    "dy overwritten": doubled(overwrite_dy),
    "input overwritten by backward": doubled(overwrite_input),
    "input overwritten by forward": doubled(forward=overwrite_input_forward),
    "one array as two gradients": doubled(one_array_for_both),
    "an array that outlives the call": doubled(an_array_from_outside),
    "the input as gradient": doubled(lambda dy, x, w: (dy * 2, w)),
    "float64 from float32": doubled(forward=lambda x, w: x * np.float64(2) + w.astype(float)),
    "the output's layout": doubled(lambda dy, x, w: (dy.ravel(order="K").reshape(2, 3) * 2, dy)),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_bug_is_found(bug):
    with pytest.raises((AssertionError, ValueError)):
        check(BUGS[bug])


def test_a_view_as_gradient_is_fine():
    """The tape copies it: such functions are allowed to be simple."""
    check_op(lambda x: F.reshape(x, (3, 2)), normal(0, (2, 3)), device="cpu")

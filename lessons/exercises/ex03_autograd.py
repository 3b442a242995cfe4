"""Exercises of lesson 03: the parts of an automatic differentiation, by hand.

Fill in the functions, in this order or any other; NumPy and the standard library are all you need.
Grade yourself with `python -m pytest tests/exercises -k ex03`. The lines after >>> can be typed
into Python as they stand.

Arrays go in and arrays come out. Never write into an array that was handed to you: the caller,
and often your own backward, still needs it. In this file `dy` is dL/dy, the gradient that arrives
from above, and `dx` is dL/dx, the one to send on.
"""

import numpy as np


def topological_order(graph, output):
    """The names of a graph in an order in which every name comes after its inputs.

    graph: a dict, name -> list of the names it was computed from (its inputs; [] for a leaf).
    output: a name. Returns a list that holds `output` and everything it was computed from, each
    name once, and nothing else. Any order is right in which no name stands before one of its
    inputs. The dict itself may be in any order. No path is longer than 100, so recursion is fine,
    but there may be millions of paths: visit each name once.

    Example: L is computed from x and a, and a from x. Only one order is possible:
        >>> topological_order({"x": [], "L": ["x", "a"], "a": ["x"]}, "L")
        ['x', 'a', 'L']

    Difficulty: 2 of 3. Lesson 03, section 2.
    """
    raise NotImplementedError("to do")


def backward_sweep(graph, output):
    """d output / d name for every name of a graph.

    graph: a dict, name -> list of pairs (input, local derivative). The pair ("x", 5.0) in the list
    of "L" says: x is an input of L, and a small step of x alone, all other inputs of L held still,
    changes L by 5.0 times as much. An input that is used twice (x * x) stands in two pairs.
    Returns a dict with every name of the graph: 1.0 for `output` itself, 0.0 for names that it
    doesn't depend on. The dict may be in any order. No path is longer than 100, but there may be
    millions of paths: send each name's gradient on once.

        d output / d x = sum over all uses of x: (d output / d user) * (local derivative)

    Example: L = x * a with a = x + 2, at x = 3. So a = 5, and L's local derivatives are 5 for x
    (the value of a) and 3 for a (the value of x):
        >>> backward_sweep({"L": [("x", 5.0), ("a", 3.0)], "x": [], "a": [("x", 1.0)]}, "L")
        {'L': 1.0, 'x': 8.0, 'a': 3.0}

    Indeed L = x^2 + 2x, whose derivative 2x + 2 is 8.

    Difficulty: 3 of 3. Lesson 03, section 2.
    """
    raise NotImplementedError("to do")


def unbroadcast(gradient, shape):
    """The gradient of an array of this shape that NumPy had repeated to gradient's shape.

    y = x + b with x (B, D) and b (D,) uses each b_d in B rows, and the gradient of a value that is
    used several times is the sum over its uses. `shape` is broadcast as NumPy does it: it lacks
    axes on the left, or has length 1 where `gradient` is longer, or both.

    gradient: an array; shape: a tuple -> an array of that shape.

    Example: a (3,) was repeated in two rows, a (2, 1) in three columns, a () everywhere:
        >>> gradient = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        >>> unbroadcast(gradient, (3,))
        array([5., 7., 9.])
        >>> unbroadcast(gradient, (2, 1))
        array([[ 6.],
               [15.]])
        >>> float(unbroadcast(gradient, ()))
        21.0

    Difficulty: 2 of 3. Lesson 03, section 3.
    """
    raise NotImplementedError("to do")


def softmax(x, axis=-1):
    """Positive numbers that sum to 1 along `axis`, in the proportions of e^x.

        softmax(x)_i = e^(x_i) / sum_j e^(x_j)

    The result doesn't change when a constant is added to all x_i. Use that: e^1000 is too large
    for a float, and x = [1000, 0] must give [1, 0], not nan.

    x: an array of any shape -> an array of the same shape.

    Example: e^(log 1), e^(log 2), e^(log 5) are 1, 2, 5, and their sum is 8:
        >>> softmax(np.log([1.0, 2.0, 5.0]))
        array([0.125, 0.25 , 0.625])

    Difficulty: 1 of 3. Lesson 03, section 4.
    """
    raise NotImplementedError("to do")


def softmax_backward(dy, y, axis=-1):
    """dL/dx of y = softmax(x), from dL/dy.

    Every x_j moves every y_i of its row: dy_i/dx_j = y_i ([i = j] - y_j). So

        dx_j = sum_i dy_i y_i ([i = j] - y_j) = y_j (dy_j - sum_i dy_i y_i)

    dy, y: arrays of the same shape -> dx, of that shape. The sum runs along `axis`.

    Example: sum_i dy_i y_i is 0.25, so dx = [0.25 * 0.75, 0.75 * (-0.25)]:
        >>> softmax_backward(np.array([1.0, 0.0]), np.array([0.25, 0.75]))
        array([ 0.1875, -0.1875])

    Difficulty: 2 of 3. Lesson 03, section 4.
    """
    raise NotImplementedError("to do")


def cross_entropy(logits, targets, ignore_index=-100):
    """The mean of -log softmax(logits)[target] over the rows that count.

    logits (N, C): a row of scores for each example; targets (N,): the right class of each, from 0
    to C - 1, or `ignore_index` for a row that doesn't count: neither in the sum nor in the number
    that the mean divides by (at least one row counts). Returns a float.

        -log softmax(z)_t = log(sum_j e^(z_j)) - z_t

    The logits may be as large as 1000 either way; the loss is finite all the same.

    Example: the softmax of the rows is [1/4, 3/4], (not needed) and [1/2, 1/2], so the loss is
    -(log 3/4 + log 1/2) / 2 = (0.287682 + 0.693147) / 2:
        >>> logits = np.log([[1.0, 3.0], [1.0, 1.0], [2.0, 2.0]])
        >>> loss = cross_entropy(logits, np.array([1, -100, 0]))
        >>> print(round(loss, 6))
        0.490415

    Difficulty: 2 of 3. Lesson 03, section 4.
    """
    raise NotImplementedError("to do")


def cross_entropy_backward(logits, targets, ignore_index=-100):
    """dL/dlogits, where L = cross_entropy(logits, targets, ignore_index).

    With p = softmax of a row, n the number of rows that count, and t the row's target:

        dlogits_c = (p_c - [c = t]) / n   in a row that counts,   0 in one that doesn't

    logits (N, C), targets (N,) as above -> an array (N, C).

    Example, with the rows of cross_entropy (n = 2):
        >>> logits = np.log([[1.0, 3.0], [1.0, 1.0], [2.0, 2.0]])
        >>> cross_entropy_backward(logits, np.array([1, -100, 0]))
        array([[ 0.125, -0.125],
               [ 0.   ,  0.   ],
               [-0.25 ,  0.25 ]])

    Difficulty: 2 of 3. Lesson 03, section 4.
    """
    raise NotImplementedError("to do")


def layer_norm(x, weight, bias, eps=1e-5):
    """Every row brought to mean 0 and variance 1, then scaled and shifted.

        xhat = (x - mean) / sqrt(var + eps)        y = xhat * weight + bias

    mean and var are those of the last axis; var is the plain average of (x - mean)^2.

    x (..., D); weight and bias (D,) -> y (..., D).

    Example, with an eps so large that you can see where it belongs: the mean is 4, var is 16, and
    sqrt(16 + 9) = 5, so xhat is [-4/5, 4/5]:
        >>> x, weight, bias = np.array([[0.0, 8.0]]), np.array([2.0, 3.0]), np.array([0.0, 1.0])
        >>> layer_norm(x, weight, bias, eps=9.0)
        array([[-1.6,  3.4]])

    Difficulty: 1 of 3. Lesson 03, section 4.
    """
    raise NotImplementedError("to do")


def layer_norm_backward(dy, x, weight, eps=1e-5):
    """(dx, dweight, dbias) of y = layer_norm(x, weight, bias, eps), from dL/dy.

    The mean and the variance move with every x of the row, so each of them adds a term. With
    g = dy * weight, rstd = 1 / sqrt(var + eps) and means over the last axis:

        dx = rstd * (g - mean(g) - xhat * mean(g * xhat))
        dweight = sum over all rows of dy * xhat        dbias = sum over all rows of dy

    dy, x (..., D); weight (D,) -> dx (..., D), dweight (D,), dbias (D,).

    Example: rstd is 1/5, xhat [-0.8, 0.8], g [2, 0], mean(g) 1 and mean(g * xhat) -0.8, so
    dx = [2 - 1 - 0.64, 0 - 1 + 0.64] / 5:
        >>> dy, x, weight = np.array([[1.0, 0.0]]), np.array([[0.0, 8.0]]), np.array([2.0, 3.0])
        >>> layer_norm_backward(dy, x, weight, eps=9.0)
        (array([[ 0.072, -0.072]]), array([-0.8,  0. ]), array([1., 0.]))

    Difficulty: 3 of 3. Lesson 03, section 4.
    """
    raise NotImplementedError("to do")


def numerical_gradient(function, x, h=1e-5):
    """The gradient of `function` at x by central differences, one element of x at a time.

        gradient_i = (f(x with x_i + h) - f(x with x_i - h)) / (2h)

    function: takes an array like x and returns a number. x: an array of any shape, of floats or of
    integers -> an array of floats of the same shape. x itself is unchanged in the end.

    Example: f(x) = x_1^3 + x_2^3 and a very large step h = 1. For the element 2 the difference is
    (3^3 - 1^3) / 2 = 13 (the true derivative is 12), for 0 it is (1 - (-1)) / 2 = 1:
        >>> numerical_gradient(lambda x: (x**3).sum(), np.array([2.0, 0.0]), h=1.0)
        array([13.,  1.])

    Difficulty: 2 of 3. Lesson 03, section 5.
    """
    raise NotImplementedError("to do")

"""Functions that an exercise may take as an argument: the grader writes `Named("square_sum")`.

A function can't travel to the process that runs the student's code, so its name does. Only NumPy is
imported here. A function that an exercise needs is added to this file.
"""

import numpy as np


def square_sum(x):
    """sum_i x_i^2, with the gradient 2 x."""
    return float(np.sum(np.asarray(x) ** 2))


def sine_sum(x):
    """sum_i sin(x_i), with the gradient cos(x)."""
    return float(np.sum(np.sin(x)))


def cube_sum(x):
    """sum_i x_i^3, with the gradient 3 x^2: its second derivative isn't constant."""
    return float(np.sum(np.asarray(x) ** 3))


def product(x):
    """prod_i x_i: the slope in one element depends on all the others."""
    return float(np.prod(x))


def mean(x):
    return float(np.mean(x))


def median(x):
    return float(np.median(x))


FUNCTIONS = {f.__name__: f for f in (square_sum, sine_sum, cube_sum, product, mean, median)}

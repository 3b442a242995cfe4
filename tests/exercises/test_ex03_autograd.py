"""Graders of lesson 03's exercises: the parts of an automatic differentiation."""

from contextlib import contextmanager

import numpy as np
from grading.answer import Named, Wrong, rng
from grading.solutions import ex03_autograd as solution


def _random_graph(random, names):
    """name -> inputs, every name computed from up to three earlier ones; the dict is shuffled."""
    names = list(names)
    graph = {}
    for i, name in enumerate(names):
        inputs = random.integers(0, i, size=random.integers(0, 4)) if i else []
        graph[name] = [names[j] for j in inputs]
    return {names[i]: graph[names[i]] for i in random.permutation(len(names))}


def _staircase(n):
    """Each name is computed from the two before it: 10^12 paths, but only n names."""
    return {f"n{i}": [f"n{j}" for j in (i - 1, i - 2) if j >= 0] for i in reversed(range(n))}


@contextmanager
def _too_slow(hint):
    """An answer that follows every single path is stopped: `hint` says what it does wrong."""
    try:
        yield
    except Wrong as wrong:
        wrong.likely = hint
        raise


def test_topological_order(answer):
    # Graphs with only one right order.
    answer.equals({"x": [], "L": ["x", "a"], "a": ["x"]}, "L")
    answer.equals({"x": []}, "x")
    answer.equals({"y": ["x", "x"], "x": []}, "y")
    answer.equals(
        {"a": ["x"], "x": [], "b": ["x"]}, "a", hint="`a` was not computed from `b`: leave it out"
    )
    answer.equals({"b": ["a"], "L": ["b"], "x": [], "a": ["x"]}, "L")
    # Graphs with many.
    random = rng("topological_order")
    for names in ("pqrs", "pqrs", "abcdef", "abcdefghij", "abcdefghijklmnopqrst"):
        graph = _random_graph(random, random.permutation(list(names)).tolist())
        for output in [max(graph, key=lambda n: len(solution.topological_order(graph, n))), "p"]:
            if output in graph:
                _check_order(answer, graph, output)
    # Every name is visited once, however many paths lead to it.
    with _too_slow("ask whether a name was visited before you visit its inputs, not afterwards"):
        answer.equals(_staircase(60), "n59")


def _check_order(answer, graph, output):
    order = answer(graph, output)
    right = solution.topological_order(graph, output)

    def require(condition, hint):
        answer.require(condition, hint, value=order, expected=right)

    require(
        isinstance(order, list | tuple) and all(isinstance(name, str) for name in order),
        "return a list of names",
    )
    for name in right:
        require(name in order, f"`{name}` is missing")
    for name in order:
        require(name in right, f"the output was not computed from `{name}`: leave it out")
        require(order.count(name) == 1, f"`{name}` stands several times")
        for source in graph[name]:
            require(
                order.index(source) < order.index(name),
                f"`{name}` stands before its input `{source}` (the expected order is one of many)",
            )


def test_backward_sweep(answer):
    answer.equals({"L": [("x", 5.0), ("a", 3.0)], "x": [], "a": [("x", 1.0)]}, "L")
    answer.equals({"x": []}, "x")
    answer.equals({"y": [("x", 3.0), ("x", 3.0)], "x": []}, "y")
    answer.equals({"y": [("x", 2.0)], "x": [], "z": [("y", 7.0)]}, "y")
    answer.equals({"b": [("a", 5.0)], "L": [("b", 2.0)], "x": [], "a": [("x", 3.0)]}, "L")
    # `a` is used by L and by b: its gradient is complete only when b has had its turn.
    for uses in ([("a", 2.0), ("b", 3.0)], [("b", 3.0), ("a", 2.0)]):
        answer.equals({"L": uses, "a": [("x", 7.0)], "b": [("a", 5.0)], "x": []}, "L")
    random = rng("backward_sweep")
    for names in ("pqrs", "abcdef", "abcdefghij", "abcdefghijklmnop"):
        graph = {
            name: [(source, float(random.integers(-3, 4))) for source in sources]
            for name, sources in _random_graph(random, random.permutation(list(names))).items()
        }
        for output in graph:
            answer.equals(graph, output)
    graph = {name: [(s, 0.5) for s in sources] for name, sources in _staircase(60).items()}
    with _too_slow("send a name's gradient on once, when it is complete, not path by path"):
        answer.equals(graph, "n59")


def test_unbroadcast(answer):
    gradient = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    for shape in [(3,), (2, 1), (), (2, 3), (1, 3), (1, 1)]:
        answer.equals(gradient, shape)
    random = rng("unbroadcast")
    for whole, shape in [
        ((2, 2), (2,)),
        ((2, 2, 2), (2, 1)),
        ((2, 2, 2), (1, 2)),
        ((2, 2, 2), (2, 1, 2)),
        ((2, 1, 3), (1, 3)),
        ((2, 3, 4), (3, 1)),
        ((2, 3, 4), (1, 3, 1)),
        ((2, 3, 4), (1,)),
        ((2, 1, 3, 2), (1, 1, 2)),
    ]:
        gradient = random.integers(-9, 10, size=whole).astype(float)
        summed = answer.equals(gradient, shape)
        answer.is_gradient(
            lambda b, whole=whole: np.broadcast_to(b, whole),
            [np.zeros(shape)],
            gradient,
            (summed,),
            names=["the repeated array"],
        )


def test_softmax(answer):
    answer.equals(np.log([1.0, 2.0, 5.0]))
    answer.equals(np.log([[1.0, 1.0], [1.0, 3.0]]))
    too_large = "subtract the maximum of each row before exp: e^1000 is too large for a float"
    answer.equals(np.array([1000.0, 0.0]), hint=too_large)
    answer.equals(np.array([-1000.0, -1000.0]), hint=too_large)
    answer.equals(np.array([[1000.0, 0.0], [0.0, 0.0]]), hint=too_large)
    answer.equals(np.log([[1.0, 2.0, 5.0], [3.0, 2.0, 15.0]]), axis=0)
    random = rng("softmax")
    for shape, axis in [((4,), 0), ((2, 3), -1), ((3, 2), 0), ((2, 3, 4), 1), ((2, 3, 4), -1)]:
        answer.equals(random.normal(0, 3, size=shape), axis=axis)


def test_softmax_backward(answer):
    answer.equals(np.array([1.0, 0.0]), np.array([0.25, 0.75]))
    random = rng("softmax_backward")
    for shape, axis in [((2,), -1), ((2, 2), -1), ((2, 3), 0), ((2, 3, 4), 1), ((2, 3, 4), -1)]:
        x, dy = random.normal(size=shape), random.normal(size=shape)
        dx = answer(dy, solution.softmax(x, axis), axis=axis)
        answer.is_gradient(
            lambda x, axis=axis: solution.softmax(x, axis), [x], dy, (dx,), names=["x"]
        )


def test_cross_entropy(answer):
    logits = np.log([[1.0, 3.0], [1.0, 1.0], [2.0, 2.0]])
    answer.equals(logits, np.array([1, -100, 0]))
    answer.equals(logits, np.array([1, 0, 1]))
    answer.equals(np.log([[1.0, 3.0, 4.0], [5.0, 2.0, 3.0]]), np.array([1, 0]), ignore_index=0)
    # First a target whose probability is 1, then one whose probability is 0.
    hint = "use log(sum_j e^(z_j)) - z_t with the row's maximum subtracted from all its z"
    answer.equals(np.array([[1000.0, 0.0]]), np.array([0]), hint=hint)
    answer.equals(np.array([[1000.0, 0.0]]), np.array([1]), hint=hint)
    answer.equals(np.array([[-1000.0, -1000.0], [0.0, 50.0]]), np.array([1, 0]), hint=hint)
    random = rng("cross_entropy")
    for N, C in [(1, 2), (3, 3), (6, 4), (20, 50)]:
        targets = random.integers(0, C, size=N)
        targets[1::3] = -100
        answer.equals(random.normal(0, 2, size=(N, C)), targets)


def test_cross_entropy_backward(answer):
    logits = np.log([[1.0, 3.0], [1.0, 1.0], [2.0, 2.0]])
    answer.equals(logits, np.array([1, -100, 0]))
    answer.equals(logits, np.array([1, 0, 1]))
    answer.equals(np.log([[1.0, 3.0, 4.0], [5.0, 2.0, 3.0]]), np.array([1, 0]), ignore_index=0)
    answer.equals(
        np.array([[1000.0, 0.0], [0.0, 1000.0]]),
        np.array([0, 0]),
        hint="subtract the maximum of each row before exp: e^1000 is too large for a float",
    )
    random = rng("cross_entropy_backward")
    for N, C, ignored in [(1, 3, -100), (4, 4, -100), (6, 3, 1), (10, 20, -1)]:
        logits, targets = random.normal(size=(N, C)), random.integers(0, C, size=N)
        targets[1::3] = ignored
        answer.is_gradient(
            lambda z, t=targets, ignored=ignored: solution.cross_entropy(z, t, ignored),
            [logits],
            1.0,
            (answer(logits, targets, ignore_index=ignored),),
            names=["the logits"],
        )


def test_layer_norm(answer):
    weight, bias = np.array([2.0, 3.0]), np.array([0.0, 1.0])
    answer.equals(np.array([[0.0, 8.0]]), weight, bias, eps=9.0)
    answer.equals(np.array([[0.0, 8.0], [1.0, 5.0]]), weight, bias, eps=9.0)
    answer.equals(
        np.array([[7.0, 7.0]]), weight, bias, hint="eps keeps a row without variance from 0 / 0"
    )
    random = rng("layer_norm")
    for shape in [(3,), (3, 3), (4, 2), (2, 2, 5)]:
        D = shape[-1]
        x, weight, bias = random.normal(2, 3, shape), random.normal(size=D), random.normal(size=D)
        answer.equals(x, weight, bias)


def test_layer_norm_backward(answer):
    answer.equals(np.array([[1.0, 0.0]]), np.array([[0.0, 8.0]]), np.array([2.0, 3.0]), eps=9.0)
    random = rng("layer_norm_backward")
    for shape, eps in [((2, 3), 1e-5), ((3, 3), 0.5), ((2, 2, 4), 1e-5), ((3,), 0.1)]:
        D = shape[-1]
        x, weight, bias = random.normal(2, 3, shape), random.normal(size=D), random.normal(size=D)
        dy = random.normal(size=shape)
        answer.is_gradient(
            lambda x, weight, bias, eps=eps: solution.layer_norm(x, weight, bias, eps),
            [x, weight, bias],
            dy,
            answer(dy, x, weight, eps=eps),
            names=["x", "weight", "bias"],
        )


def test_numerical_gradient(answer):
    answer.equals(Named("cube_sum"), np.array([2.0, 0.0]), h=1.0)
    answer.equals(Named("square_sum"), np.array([1.0, 2.0, 3.0]))
    answer.equals(
        Named("square_sum"),
        np.array([3, -1]),
        hint="an array of integers can't hold x + h: make a copy of floats",
    )
    # Here an element that was not put back shows in the slope of the others.
    answer.equals(
        Named("product"),
        np.array([1.0, 2.0, 4.0]),
        h=0.5,
        hint="put each element back (or take a fresh copy) before the next one moves",
    )
    random = rng("numerical_gradient")
    for name, shape in [("cube_sum", (2, 2)), ("product", (2, 3)), ("sine_sum", (2, 3, 2))]:
        answer.equals(Named(name), random.normal(size=shape), h=0.01)
        answer.equals(Named(name), random.normal(size=shape))

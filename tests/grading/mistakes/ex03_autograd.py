"""Planted mistakes in ex03_autograd: each must be caught, and called by its name."""

import numpy as np

from grading.mistakes import mistake

# ---- topological_order ----


@mistake(
    "topological_order",
    "the order in which a search meets the names is not topological: add a name once all "
    "its inputs are in",
)
def depth_first_on_the_way_in(graph, output):
    met = []

    def visit(name):
        if name not in met:
            met.append(name)
            for source in graph[name]:
                visit(source)

    visit(output)
    return met[::-1]


@mistake(
    "topological_order",
    "the order in which a search meets the names is not topological: add a name once all "
    "its inputs are in",
)
def breadth_first(graph, output):
    met = [output]
    for name in met:
        met += [source for source in dict.fromkeys(graph[name]) if source not in met]
    return met[::-1]


@mistake("topological_order", "a name stands several times: remember which ones you have had")
def without_visited_set(graph, output):
    order = []
    for source in graph[output]:
        order += without_visited_set(graph, source)
    if len(order) > 10_000:  # a mistake must end
        raise MemoryError
    return [*order, output]


@mistake(
    "topological_order",
    "the output stands first: inputs come before what is computed from them",
)
def users_first(graph, output):
    order = []

    def visit(name):
        if name not in order:
            for source in graph[name]:
                visit(source)
            order.append(name)

    visit(output)
    return order[::-1]


@mistake("topological_order", "leave out what the output was not computed from")
def the_whole_graph(graph, output):
    order = []

    def visit(name):
        if name not in order:
            for source in graph[name]:
                visit(source)
            order.append(name)

    for name in [output, *graph]:
        visit(name)
    return order


@mistake("topological_order", "the order of the dict says nothing: follow the inputs")
def in_order_of_the_dict(graph, output):
    return list(graph)


@mistake("topological_order", "the order of the dict says nothing: follow the inputs")
def in_reversed_order_of_the_dict(graph, output):
    return list(graph)[::-1]


@mistake("topological_order", "the output itself is missing at the end")
def without_the_output(graph, output):
    order = []

    def visit(name):
        for source in graph[name]:
            if source not in order:
                visit(source)
                order.append(source)

    visit(output)
    return order


@mistake("topological_order", "a leaf (a name without inputs) belongs into the order, too")
def without_leaves(graph, output):
    order = []

    def visit(name):
        if name not in order and graph[name]:
            for source in graph[name]:
                visit(source)
            order.append(name)

    visit(output)
    return order


# ---- backward_sweep ----


def _sorted(graph, output):
    order = []

    def visit(name):
        if name not in order:
            for source, _ in graph[name]:
                visit(source)
            order.append(name)

    visit(output)
    return order


@mistake(
    "backward_sweep",
    "a gradient was assigned where it must be added up: each use of a name adds its part",
)
def assigned(graph, output):
    gradients = {**dict.fromkeys(graph, 0.0), output: 1.0}
    for name in reversed(_sorted(graph, output)):
        for source, derivative in graph[name]:
            gradients[source] = gradients[name] * derivative
    return gradients


@mistake("backward_sweep", "only the first use of a name was counted: each use adds its part")
def first_use_only(graph, output):
    gradients = {output: 1.0}
    for name in reversed(_sorted(graph, output)):
        for source, derivative in graph[name]:
            if source not in gradients:
                gradients[source] = gradients[name] * derivative
    return dict.fromkeys(graph, 0.0) | gradients


@mistake("backward_sweep", "multiply the local derivative by the user's own gradient")
def without_chain_rule(graph, output):
    gradients = {**dict.fromkeys(graph, 0.0), output: 1.0}
    for name in reversed(_sorted(graph, output)):
        for source, derivative in graph[name]:
            gradients[source] += derivative
    return gradients


@mistake(
    "backward_sweep",
    "a gradient was sent on before it was complete: a name's turn comes after that of all "
    "its users",
)
def depth_first(graph, output):
    gradients = {**dict.fromkeys(graph, 0.0), output: 1.0}
    visited = set()

    def visit(name):
        if name not in visited:
            visited.add(name)
            for source, derivative in graph[name]:
                gradients[source] += gradients[name] * derivative
                visit(source)

    visit(output)
    return gradients


@mistake(
    "backward_sweep",
    "a gradient was sent on before it was complete: a name's turn comes after that of all "
    "its users",
)
def breadth_first_sweep(graph, output):
    gradients = {**dict.fromkeys(graph, 0.0), output: 1.0}
    queue = [output]
    for name in queue:
        for source, derivative in graph[name]:
            gradients[source] += gradients[name] * derivative
            if source not in queue:
                queue.append(source)
    return gradients


@mistake("backward_sweep", "a gradient was sent on twice: first complete, then once")
def complete_gradient_sent_on_again(graph, output):
    gradients = {**dict.fromkeys(graph, 0.0), output: 1.0}
    queue = [output]
    for name in queue:
        for source, derivative in graph[name]:
            gradients[source] += gradients[name] * derivative
            queue.append(source)
        if len(queue) > 10_000:  # a mistake must end
            raise MemoryError
    return gradients


@mistake(
    "backward_sweep",
    "an input that is used twice stands in two pairs, and both add their part",
)
def pairs_as_a_dict(graph, output):
    gradients = {**dict.fromkeys(graph, 0.0), output: 1.0}
    for name in reversed(_sorted(graph, output)):
        for source, derivative in dict(graph[name]).items():
            gradients[source] += gradients[name] * derivative
    return gradients


@mistake(
    "backward_sweep",
    "the order of the dict says nothing: a name's turn comes after that of all its users",
)
def swept_in_order_of_the_dict(graph, output):
    gradients = {**dict.fromkeys(graph, 0.0), output: 1.0}
    for name in graph:
        for source, derivative in graph[name]:
            gradients[source] += gradients[name] * derivative
    return gradients


@mistake("backward_sweep", "the output's own gradient is 1.0: d output / d output")
def without_the_seed(graph, output):
    gradients = assigned_sum(graph, output)
    gradients[output] = 0.0
    return gradients


@mistake("backward_sweep", "return the gradients of all names, not only the leaves")
def leaves_only(graph, output):
    return {name: g for name, g in assigned_sum(graph, output).items() if not graph[name]}


@mistake("backward_sweep", "return 0.0 for names that the output doesn't depend on")
def reached_names_only(graph, output):
    reached = _sorted(graph, output)
    return {name: g for name, g in assigned_sum(graph, output).items() if name in reached}


def assigned_sum(graph, output):
    gradients = {**dict.fromkeys(graph, 0.0), output: 1.0}
    for name in reversed(_sorted(graph, output)):
        for source, derivative in graph[name]:
            gradients[source] += gradients[name] * derivative
    return gradients


# ---- unbroadcast ----


@mistake("unbroadcast", "an axis of length 1 was repeated, too: sum over it")
def only_the_added_axes(gradient, shape):
    return gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))


@mistake("unbroadcast", "an axis of length 1 must stay when it is summed over: keepdims=True")
def without_keepdims(gradient, shape):
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    return gradient.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1))


@mistake("unbroadcast", "the gradient is the sum over the uses, not their mean")
def mean_for_sum(gradient, shape):
    gradient = gradient.mean(axis=tuple(range(gradient.ndim - len(shape))))
    return gradient.mean(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


@mistake("unbroadcast", "the gradient is the sum over all uses, not the first of them")
def first_use(gradient, shape):
    while gradient.ndim > len(shape):
        gradient = gradient[0]
    return gradient[tuple(slice(0, n) for n in shape)]


@mistake(
    "unbroadcast",
    "NumPy adds missing axes on the left: sum over the first axes, not the last",
)
def aligned_at_the_left(gradient, shape):
    gradient = gradient.sum(axis=tuple(range(len(shape), gradient.ndim)))
    return gradient.sum(
        axis=tuple(i for i, n in enumerate(shape) if n == 1 != gradient.shape[i]), keepdims=True
    )


@mistake("unbroadcast", "axis i of `shape` is axis i + (number of added axes) of the gradient")
def axes_not_shifted(gradient, shape):
    added = gradient.ndim - len(shape)
    axes = {*range(added), *(i for i, n in enumerate(shape) if n == 1)}
    total = gradient.sum(axis=tuple(axes), keepdims=True)
    return np.resize(total, shape)


@mistake("unbroadcast", "it depends on `shape` which axes are summed over, not always the first")
def always_the_first_axis(gradient, shape):
    return gradient.sum(axis=0).reshape(shape)


# ---- softmax ----


@mistake("softmax", "subtract the maximum before exp")
def without_maximum(x, axis=-1):
    with np.errstate(all="ignore"):
        e = np.exp(x)
        return e / e.sum(axis=axis, keepdims=True)


@mistake("softmax", "each row's own maximum, not that of the whole array")
def maximum_of_everything(x, axis=-1):
    with np.errstate(all="ignore"):
        e = np.exp(x - x.max())
        return e / e.sum(axis=axis, keepdims=True)


@mistake("softmax", "divide by the sum along `axis`, not of the whole array")
def sum_of_everything(x, axis=-1):
    e = np.exp(x - x.max())
    return e / e.sum()


@mistake("softmax", "`axis` is not used: maximum and sum must run along it")
def always_the_last_axis(x, axis=-1):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@mistake("softmax", "the default is the last axis, not the first")
def the_first_axis(x, axis=0):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@mistake("softmax", "the sums of the rows meet the columns: keepdims=True")
def softmax_without_keepdims(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis) if x.ndim < 3 else e / e.sum(axis=axis, keepdims=True)


@mistake("softmax", "divide by the sum, not by the largest")
def divided_by_the_maximum(x, axis=-1):
    return np.exp(x - x.max(axis=axis, keepdims=True))


@mistake("softmax", "in place")
def softmax_in_place(x, axis=-1):
    x -= x.max(axis=axis, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=axis, keepdims=True)
    return x


# ---- softmax_backward ----


@mistake(
    "softmax_backward",
    "y * (1 - y) is only the diagonal: x_j moves the other y_i of its row, too",
)
def diagonal_only(dy, y, axis=-1):
    return dy * y * (1 - y)


@mistake("softmax_backward", "the sum is missing: x_j moves the other y_i of its row, too")
def without_the_sum(dy, y, axis=-1):
    return dy * y


@mistake("softmax_backward", "the sum is that of dy * y, not of dy")
def sum_without_y(dy, y, axis=-1):
    return y * (dy - dy.sum(axis=axis, keepdims=True))


@mistake("softmax_backward", "the factor y is missing")
def without_the_factor(dy, y, axis=-1):
    return dy - (dy * y).sum(axis=axis, keepdims=True)


@mistake("softmax_backward", "the sum, not the mean")
def mean_of_the_row(dy, y, axis=-1):
    return y * (dy - (dy * y).mean(axis=axis, keepdims=True))


@mistake("softmax_backward", "the sum along `axis`, not over the whole array")
def whole_array(dy, y, axis=-1):
    return y * (dy - (dy * y).sum())


@mistake("softmax_backward", "`axis` is not used: the sum must run along it")
def backward_along_the_last_axis(dy, y, axis=-1):
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


@mistake("softmax_backward", "y is the softmax already: don't take it again")
def softmax_again(dy, y, axis=-1):
    e = np.exp(y)
    y = e / e.sum(axis=axis, keepdims=True)
    return y * (dy - (dy * y).sum(axis=axis, keepdims=True))


@mistake("softmax_backward", "in place")
def dy_in_place(dy, y, axis=-1):
    dy -= (dy * y).sum(axis=axis, keepdims=True)
    dy *= y
    return dy


# ---- cross_entropy ----


def _log_softmax(z, axis=1):
    z = z - z.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


def _rows(logits, targets, ignore_index):
    counted = targets != ignore_index
    return logits[counted], targets[counted]


def _losses(logits, targets):
    return -_log_softmax(logits)[np.arange(len(targets)), targets]


@mistake("cross_entropy", "the mean, not the sum")
def sum_for_mean(logits, targets, ignore_index=-100):
    return float(_losses(*_rows(logits, targets, ignore_index)).sum())


@mistake("cross_entropy", "divide by the number of rows that count, not by all rows")
def divided_by_all_rows(logits, targets, ignore_index=-100):
    return float(_losses(*_rows(logits, targets, ignore_index)).sum() / len(targets))


@mistake("cross_entropy", "the ignored rows are counted, as if their target were class 0")
def padding_counted(logits, targets, ignore_index=-100):
    return float(_losses(logits, np.where(targets == ignore_index, 0, targets)).mean())


@mistake("cross_entropy", "class 0 is a class like any other")
def class_zero_ignored(logits, targets, ignore_index=-100):
    counted = targets > 0
    if not counted.any():
        return 0.0
    return float(_losses(logits[counted], targets[counted]).mean())


@mistake("cross_entropy", "`ignore_index` is not used: it isn't always -100")
def always_minus_100(logits, targets, ignore_index=-100):
    return float(_losses(*_rows(logits, targets, -100)).mean())


@mistake("cross_entropy", "e^1000 overflows: subtract the maximum of each row before exp")
def unstable(logits, targets, ignore_index=-100):
    logits, targets = _rows(logits, targets, ignore_index)
    with np.errstate(all="ignore"):
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return float(-np.log(p[np.arange(len(targets)), targets]).mean())


@mistake(
    "cross_entropy",
    "a probability too small for a float becomes log(0): write log p = z - max - log(sum)",
)
def softmax_then_log(logits, targets, ignore_index=-100):
    logits, targets = _rows(logits, targets, ignore_index)
    with np.errstate(all="ignore"):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        return float(-np.log(p[np.arange(len(targets)), targets]).mean())


@mistake(
    "cross_entropy",
    "a small number added inside the logarithm hides a large loss: write log p = z - max - "
    "log(sum)",
)
def log_of_p_plus_a_bit(logits, targets, ignore_index=-100):
    logits, targets = _rows(logits, targets, ignore_index)
    p = np.exp(_log_softmax(logits))
    return float(-np.log(p[np.arange(len(targets)), targets] + 1e-7).mean())


@mistake("cross_entropy", "the softmax runs over the classes of a row, axis 1")
def softmax_over_the_batch(logits, targets, ignore_index=-100):
    logits, targets = _rows(logits, targets, ignore_index)
    return float(-_log_softmax(logits, axis=0)[np.arange(len(targets)), targets].mean())


@mistake("cross_entropy", "the minus is missing")
def without_the_minus(logits, targets, ignore_index=-100):
    return -float(_losses(*_rows(logits, targets, ignore_index)).mean())


@mistake("cross_entropy", "the mean is over all classes: divide by the number of rows alone")
def mean_over_the_matrix(logits, targets, ignore_index=-100):
    logits, targets = _rows(logits, targets, ignore_index)
    return float(_losses(logits, targets).mean() / logits.shape[1])


@mistake("cross_entropy", "the logarithm is missing")
def probability_for_logarithm(logits, targets, ignore_index=-100):
    return -float(np.exp(-_losses(*_rows(logits, targets, ignore_index))).mean())


@mistake("cross_entropy", "take the ignored rows out before their targets serve as an index")
def ignored_targets_as_an_index(logits, targets, ignore_index=-100):
    losses = _losses(logits, targets)
    return float(losses[targets != ignore_index].mean())


# ---- cross_entropy_backward ----


def _right_gradient(logits, targets, ignore_index=-100):
    counted = targets != ignore_index
    d = np.exp(_log_softmax(logits))
    d[counted, targets[counted]] -= 1
    d[~counted] = 0
    return d / counted.sum()


@mistake("cross_entropy_backward", "divide by n: the loss is a mean")
def gradient_of_the_sum(logits, targets, ignore_index=-100):
    return _right_gradient(logits, targets, ignore_index) * (targets != ignore_index).sum()


@mistake("cross_entropy_backward", "divide by the number of rows that count, not by all rows")
def gradient_divided_by_all_rows(logits, targets, ignore_index=-100):
    d = _right_gradient(logits, targets, ignore_index)
    return d * (targets != ignore_index).sum() / len(targets)


@mistake("cross_entropy_backward", "a row that doesn't count gets 0")
def ignored_rows_get_a_gradient(logits, targets, ignore_index=-100):
    counted = targets != ignore_index
    d = np.exp(_log_softmax(logits))
    d[counted, targets[counted]] -= 1
    return d / counted.sum()


@mistake("cross_entropy_backward", "`ignore_index` is not used: it isn't always -100")
def gradient_with_minus_100(logits, targets, ignore_index=-100):
    return _right_gradient(logits, targets, -100)


@mistake("cross_entropy_backward", "the 1 is subtracted at the target only")
def one_subtracted_everywhere(logits, targets, ignore_index=-100):
    counted = targets != ignore_index
    d = np.exp(_log_softmax(logits)) - 1
    d[~counted] = 0
    return d / counted.sum()


@mistake(
    "cross_entropy_backward",
    "subtract 1 at the target: p alone is the gradient of log(sum_j e^(z_j))",
)
def softmax_alone(logits, targets, ignore_index=-100):
    counted = targets != ignore_index
    return np.exp(_log_softmax(logits)) * counted[:, None] / counted.sum()


@mistake(
    "cross_entropy_backward",
    "the sign is wrong: p - onehot, since the loss falls when the target's logit grows",
)
def onehot_minus_p(logits, targets, ignore_index=-100):
    return -_right_gradient(logits, targets, ignore_index)


@mistake("cross_entropy_backward", "class 0 is a class like any other")
def no_gradient_for_class_zero(logits, targets, ignore_index=-100):
    return _right_gradient(logits, np.where(targets > 0, targets, ignore_index), ignore_index)


@mistake("cross_entropy_backward", "e^1000 overflows: subtract the maximum of each row before exp")
def unstable_gradient(logits, targets, ignore_index=-100):
    counted = targets != ignore_index
    with np.errstate(all="ignore"):
        d = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    d[counted, targets[counted]] -= 1
    d[~counted] = 0
    return d / counted.sum()


@mistake("cross_entropy_backward", "an ignored target is no class: don't subtract a 1 there")
def ignored_targets_subtracted(logits, targets, ignore_index=-100):
    d = np.exp(_log_softmax(logits))
    d[np.arange(len(targets)), targets] -= 1
    d[targets == ignore_index] = 0
    return d / (targets != ignore_index).sum()


# ---- layer_norm ----


def _normalized(x, eps=1e-5, axis=-1):
    mean, var = x.mean(axis=axis, keepdims=True), x.var(axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(var + eps)


@mistake("layer_norm", "eps belongs inside the root: sqrt(var + eps)")
def eps_outside_the_root(x, weight, bias, eps=1e-5):
    xhat = (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + eps)
    return xhat * weight + bias


@mistake("layer_norm", "divide by the root of var + eps")
def without_the_root(x, weight, bias, eps=1e-5):
    xhat = (x - x.mean(-1, keepdims=True)) / (x.var(-1, keepdims=True) + eps)
    return xhat * weight + bias


@mistake("layer_norm", "eps is not used, or another one: add the argument to var")
def without_eps(x, weight, bias, eps=1e-5):
    with np.errstate(all="ignore"):
        return _normalized(x, 0.0) * weight + bias


@mistake("layer_norm", "eps is not used, or another one: add the argument to var")
def eps_of_its_own(x, weight, bias, eps=1e-5):
    return _normalized(x, 1e-5) * weight + bias


@mistake("layer_norm", "this variance divides by D - 1, not by D (ddof=1)")
def unbiased_variance(x, weight, bias, eps=1e-5):
    xhat = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, ddof=1, keepdims=True) + eps)
    return xhat * weight + bias


@mistake(
    "layer_norm",
    "mean and variance belong to the last axis, not the first: each row for itself",
)
def normalized_over_the_batch(x, weight, bias, eps=1e-5):
    return _normalized(x, eps, axis=0) * weight + bias


@mistake("layer_norm", "each row's own mean and variance, not those of the whole array")
def normalized_over_everything(x, weight, bias, eps=1e-5):
    return _normalized(x, eps, axis=None) * weight + bias


@mistake("layer_norm", "the mean was not subtracted")
def mean_not_subtracted(x, weight, bias, eps=1e-5):
    return x / np.sqrt(x.var(-1, keepdims=True) + eps) * weight + bias


@mistake("layer_norm", "the bias comes after the weight: xhat * weight + bias")
def bias_before_weight(x, weight, bias, eps=1e-5):
    return (_normalized(x, eps) + bias) * weight


@mistake("layer_norm", "the weight is not used")
def weight_not_used(x, weight, bias, eps=1e-5):
    return _normalized(x, eps) + bias


@mistake("layer_norm", "in place")
def x_centred_in_place(x, weight, bias, eps=1e-5):
    x -= x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight + bias


@mistake("layer_norm", "the means of the rows meet the columns: keepdims=True")
def layer_norm_without_keepdims(x, weight, bias, eps=1e-5):
    return (x - x.mean(-1)) / np.sqrt(x.var(-1) + eps) * weight + bias


# ---- layer_norm_backward ----


def _parts(dy, x, weight, eps):
    rstd = 1 / np.sqrt(x.var(-1, keepdims=True) + eps)
    xhat = (x - x.mean(-1, keepdims=True)) * rstd
    rows = tuple(range(x.ndim - 1))
    return rstd, xhat, dy * weight, (dy * xhat).sum(axis=rows), dy.sum(axis=rows)


def _mean(a):
    return a.mean(axis=-1, keepdims=True)


@mistake(
    "layer_norm_backward",
    "the mean and the variance were taken for constants: both move with x",
)
def statistics_taken_for_constants(dy, x, weight, eps=1e-5):
    rstd, xhat, g, dweight, dbias = _parts(dy, x, weight, eps)
    return rstd * g, dweight, dbias


@mistake("layer_norm_backward", "the variance's term, xhat * mean(g * xhat), is missing")
def variance_taken_for_a_constant(dy, x, weight, eps=1e-5):
    rstd, xhat, g, dweight, dbias = _parts(dy, x, weight, eps)
    return rstd * (g - _mean(g)), dweight, dbias


@mistake("layer_norm_backward", "the mean's term, mean(g), is missing")
def mean_taken_for_a_constant(dy, x, weight, eps=1e-5):
    rstd, xhat, g, dweight, dbias = _parts(dy, x, weight, eps)
    return rstd * (g - xhat * _mean(g * xhat)), dweight, dbias


@mistake("layer_norm_backward", "the weight is missing in dx: g is dy * weight")
def weight_forgotten(dy, x, weight, eps=1e-5):
    rstd, xhat, g, dweight, dbias = _parts(dy, x, weight, eps)
    return rstd * (dy - _mean(dy) - xhat * _mean(dy * xhat)), dweight, dbias


@mistake("layer_norm_backward", "the factor rstd is missing")
def rstd_forgotten(dy, x, weight, eps=1e-5):
    rstd, xhat, g, dweight, dbias = _parts(dy, x, weight, eps)
    return g - _mean(g) - xhat * _mean(g * xhat), dweight, dbias


@mistake("layer_norm_backward", "dx takes means over the last axis, not sums")
def sums_for_means(dy, x, weight, eps=1e-5):
    rstd, xhat, g, dweight, dbias = _parts(dy, x, weight, eps)
    D = x.shape[-1]
    return rstd * (g - D * _mean(g) - xhat * D * _mean(g * xhat)), dweight, dbias


@mistake("layer_norm_backward", "dweight is the sum of dy * xhat")
def dweight_without_xhat(dy, x, weight, eps=1e-5):
    rstd, xhat, g, dweight, dbias = _parts(dy, x, weight, eps)
    return rstd * (g - _mean(g) - xhat * _mean(g * xhat)), dbias.copy(), dbias


@mistake("layer_norm_backward", "dweight takes xhat, not x")
def dweight_with_x(dy, x, weight, eps=1e-5):
    rstd, xhat, g, dweight, dbias = _parts(dy, x, weight, eps)
    dx = rstd * (g - _mean(g) - xhat * _mean(g * xhat))
    return dx, (dy * x).sum(axis=tuple(range(x.ndim - 1))), dbias


@mistake("layer_norm_backward", "dweight and dbias are sums over the rows, not means")
def means_over_the_rows(dy, x, weight, eps=1e-5):
    rstd, xhat, g, dweight, dbias = _parts(dy, x, weight, eps)
    n = x.size // x.shape[-1]
    return rstd * (g - _mean(g) - xhat * _mean(g * xhat)), dweight / n, dbias / n


@mistake("layer_norm_backward", "dweight and dbias are summed over all axes but the last")
def summed_over_the_first_axis(dy, x, weight, eps=1e-5):
    rstd, xhat, g, _, _ = _parts(dy, x, weight, eps)
    dx = rstd * (g - _mean(g) - xhat * _mean(g * xhat))
    return dx, (dy * xhat).sum(axis=0), dy.sum(axis=0)


@mistake("layer_norm_backward", "eps belongs inside the root: sqrt(var + eps)")
def backward_with_eps_outside(dy, x, weight, eps=1e-5):
    _, _, g, _, dbias = _parts(dy, x, weight, eps)
    rstd = 1 / (x.std(-1, keepdims=True) + eps)
    xhat = (x - _mean(x)) * rstd
    dweight = (dy * xhat).sum(axis=tuple(range(x.ndim - 1)))
    return rstd * (g - _mean(g) - xhat * _mean(g * xhat)), dweight, dbias


@mistake("layer_norm_backward", "three gradients: dx, dweight, dbias, in this order")
def dx_alone(dy, x, weight, eps=1e-5):
    rstd, xhat, g, _, _ = _parts(dy, x, weight, eps)
    return rstd * (g - _mean(g) - xhat * _mean(g * xhat))


# ---- numerical_gradient ----


def _differences(function, x, plus, minus, divisor):
    gradient = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = 1
        gradient[i] = (function(x + plus * step) - function(x - minus * step)) / divisor
    return gradient


@mistake(
    "numerical_gradient",
    "this is a one-sided difference: take f(x + h) - f(x - h), its error is far smaller",
)
def forward_difference(function, x, h=1e-5):
    return _differences(function, x, h, 0, h)


@mistake(
    "numerical_gradient",
    "this is a one-sided difference: take f(x + h) - f(x - h), its error is far smaller",
)
def backward_difference(function, x, h=1e-5):
    return _differences(function, x, 0, h, h)


@mistake("numerical_gradient", "the two points are 2h apart: divide by 2h")
def divided_by_h(function, x, h=1e-5):
    return _differences(function, x, h, h, h)


@mistake("numerical_gradient", "h is an argument: take the step that was asked for")
def step_of_its_own(function, x, h=1e-5):
    return _differences(function, x, 1e-5, 1e-5, 2e-5)


@mistake("numerical_gradient", "the sign is wrong: ahead minus behind")
def minus_first(function, x, h=1e-5):
    return -_differences(function, x, h, h, 2 * h)


@mistake("numerical_gradient", "move one element at a time, the others held still")
def all_at_once(function, x, h=1e-5):
    return np.full(x.shape, (function(x + h) - function(x - h)) / (2 * h))


@mistake("numerical_gradient", "move one element at a time, the others held still")
def row_by_row(function, x, h=1e-5):
    gradient = np.empty(x.shape)
    for i in range(len(x)):
        ahead, behind = x.astype(float), x.astype(float)
        ahead[i] += h
        behind[i] -= h
        gradient[i] = (function(ahead) - function(behind)) / (2 * h)
    return gradient


@mistake("numerical_gradient", "an element was not put back before the next one moved")
def not_put_back(function, x, h=1e-5):
    point, gradient = x.astype(float), np.empty(x.shape)
    for i in np.ndindex(x.shape):
        point[i] += h
        ahead = function(point)
        point[i] -= 2 * h
        gradient[i] = (ahead - function(point)) / (2 * h)
    return gradient


@mistake("numerical_gradient", "an array of integers can't hold x + h: make a copy of floats")
def integers_truncated(function, x, h=1e-5):
    gradient = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[i] += np.array(h).astype(x.dtype)
        behind[i] -= np.array(h).astype(x.dtype)
        gradient[i] = (function(ahead) - function(behind)) / (2 * h)
    return gradient


@mistake("numerical_gradient", "in place")
def x_moved_in_place(function, x, h=1e-5):
    gradient = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        x[i] += h
        ahead = function(x)
        x[i] -= 2 * h
        gradient[i] = (ahead - function(x)) / (2 * h)
    return gradient

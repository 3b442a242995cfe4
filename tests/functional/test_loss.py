"""Losses: the definitions as loops, every reduction, weight, smoothing and ignored target."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_factory import assert_close, check_op, check_same, normal, seeds, shapes, to_host

import minillm
from minillm import functional as F

reductions = st.sampled_from(["mean", "sum", "none"])


def constant(array, device):
    return None if array is None else minillm.backend.get_device(device).from_numpy(array)


# -------------------------------------------------------------------------------- cross-entropy


def cross_entropy(logits, targets, weight, ignore_index, reduction, smoothing):
    """-sum_c q_c log p_c, place by place; the mean divides by the targets' weights."""
    C = logits.shape[1 if logits.ndim > 1 else 0]
    lines = np.moveaxis(logits, 1, -1) if logits.ndim > 1 else logits
    losses, total_weight = [], 0.0
    for z, target in zip(lines.reshape(-1, C), targets.ravel(), strict=True):
        if target == ignore_index:
            losses.append(0.0)
            continue
        log_total = math.log(math.fsum(math.exp(v) for v in z))
        w = [1.0] * C if weight is None else weight.tolist()
        q = [smoothing / C * w[c] for c in range(C)]
        q[target] += (1 - smoothing) * w[target]
        losses.append(math.fsum(-q[c] * (z[c] - log_total) for c in range(C)))
        total_weight += w[target]
    if reduction == "none":
        return np.reshape(losses, targets.shape)
    return math.fsum(losses) / (total_weight if reduction == "mean" else 1)


@st.composite
def classification(draw):
    """(logits' shape, targets, ignore_index): (C,), (N, C) or (N, C, d1, ...)."""
    C = draw(st.integers(1, 5))
    batch = draw(shapes(max_dims=3, max_side=3))
    ignore_index = draw(st.sampled_from([-100, -1, 0]))
    count = math.prod(batch)
    classes = st.integers(0, C - 1)
    if draw(st.booleans()):
        classes = classes | st.just(ignore_index)
    targets = draw(st.lists(classes, min_size=count, max_size=count))
    targets = np.array(targets, draw(st.sampled_from([np.int64, np.int32]))).reshape(batch)
    return (*batch[:1], C, *batch[1:]), targets, ignore_index


@given(
    case=classification(),
    weighted=st.booleans(),
    reduction=reductions,
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    seed=seeds,
)
def test_cross_entropy(device, case, weighted, reduction, smoothing, seed):
    shape, targets, ignore_index = case
    C = shape[1] if len(shape) > 1 else shape[0]
    logits, weight = 2 * normal(seed, shape), np.abs(normal(seed + 1, (C,))) + 0.1
    weight = weight if weighted else None
    if reduction == "mean" and (targets == ignore_index).all():
        reduction = "sum"  # the mean over nothing has a test of its own
    options = (weight, ignore_index, reduction, smoothing)
    on_device = constant(weight, device)

    def op(logits, targets):
        w = on_device if on_device is None else on_device.astype(logits.dtype)
        return F.cross_entropy(logits, targets, w, *options[1:])

    expected = cross_entropy(logits, targets, *options)
    check_op(op, logits, targets, device=device, expected=np.asarray(expected))


@given(reduction=reductions, smoothing=st.sampled_from([0.0, 0.3]), seed=seeds)
def test_cross_entropy_equals_its_composition(device, reduction, smoothing, seed):
    N, C = 5, 4
    targets = np.random.default_rng(seed).integers(0, C, N)
    one_hot = (targets[:, None] == np.arange(C)) * (1 - smoothing) + smoothing / C
    q = minillm.tensor(one_hot, device=device)

    def composed(logits, targets):
        losses = -(q * F.log_softmax(logits)).sum(axis=1)
        return losses if reduction == "none" else getattr(losses, reduction)()

    check_same(
        lambda z, t: F.cross_entropy(z, t, reduction=reduction, label_smoothing=smoothing),
        composed,
        *(normal(seed, (N, C)), targets),
        device=device,
    )


def test_the_loss_of_an_ignorant_model_is_ln_V(device):
    V = 1000
    logits = minillm.tensor(np.zeros((7, V)), device=device)
    targets = minillm.tensor(np.arange(7), device=device)
    assert abs(F.cross_entropy(logits, targets).item() - math.log(V)) < 1e-12


def test_ignored_targets_get_no_gradient_and_do_not_count(device):
    logits = minillm.tensor(normal(0, (3, 4)), requires_grad=True, device=device)
    loss = F.cross_entropy(logits, minillm.tensor([1, -100, 2], device=device))
    loss.backward()
    assert (to_host(logits.grad)[1] == 0).all()
    kept = minillm.tensor(logits.numpy()[[0, 2]], device=device)
    assert_close(loss.item(), F.cross_entropy(kept, minillm.tensor([1, 2], device=device)).item())


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_the_mean_over_no_target_is_nan(device):
    logits = minillm.tensor(normal(0, (2, 4)), device=device)
    targets = minillm.tensor([-100, -100], device=device)
    assert math.isnan(F.cross_entropy(logits, targets).item())
    assert F.cross_entropy(logits, targets, reduction="sum").item() == 0


def test_cross_entropy_of_extreme_logits(device):
    logits = minillm.tensor([[1e4, -1e4], [1e4, -1e4]], requires_grad=True, device=device)
    loss = F.cross_entropy(logits, minillm.tensor([0, 1], device=device), reduction="none")
    np.testing.assert_array_equal(loss.numpy(), [0, 2e4])
    loss.sum().backward()
    np.testing.assert_array_equal(to_host(logits.grad), [[0, 0], [1, -1]])


def test_a_logit_of_minus_infinity_is_a_class_left_out(device):
    logits = minillm.tensor([[0.0, -math.inf, 0.0]], requires_grad=True, device=device)
    loss = F.cross_entropy(logits, minillm.tensor([0], device=device))
    assert abs(loss.item() - math.log(2)) < 1e-6
    loss.backward()
    assert_close(to_host(logits.grad), [[-0.5, 0, 0.5]], 1e-6)


def test_cross_entropy_names_what_does_not_fit(device):
    logits = minillm.tensor(normal(0, (2, 3)), device=device)

    def target(*values):
        return minillm.tensor(list(values), device=device)

    with pytest.raises(TypeError, match="integer.*float32"):
        F.cross_entropy(logits, target(0.0, 1.0))
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2,\).*\(3,\)"):
        F.cross_entropy(logits, target(0, 1, 2))
    with pytest.raises(ValueError, match=r"weight.*\(2,\).*\(3,\)"):
        F.cross_entropy(logits, target(0, 1), weight=target(1.0, 1.0))
    with pytest.raises(ValueError, match="'avg'.*'mean', 'sum' or 'none'"):
        F.cross_entropy(logits, target(0, 1), reduction="avg")
    with pytest.raises(ValueError, match="label_smoothing 1.5.*0 and 1"):
        F.cross_entropy(logits, target(0, 1), label_smoothing=1.5)
    if minillm.backend.get_device(device).checks_ids:
        with pytest.raises(IndexError, match="target.*3.*0 to 2"):
            F.cross_entropy(logits, target(0, 3))


# -------------------------------------------------------------------------- binary and squared


def reduced(losses, reduction):
    return losses if reduction == "none" else np.asarray(getattr(np, reduction)(losses))


@given(shape=shapes(), weighted=st.booleans(), reduction=reductions, seed=seeds)
def test_binary_cross_entropy(device, shape, weighted, reduction, seed):
    generator = np.random.default_rng(seed)
    p, t = (np.asarray(generator.uniform(0.05, 0.95, shape)) for _ in range(2))
    weight = np.asarray(generator.uniform(0.5, 2, shape)) if weighted else None
    losses = -(t * np.log(p) + (1 - t) * np.log(1 - p)) * (1 if weight is None else weight)
    t, weight = constant(t, device), constant(weight, device)

    def op(p):
        w = None if weight is None else weight.astype(p.dtype)
        return F.binary_cross_entropy(p, t.astype(p.dtype), w, reduction)

    check_op(op, p, device=device, expected=reduced(losses, reduction), tolerance32=1e-4)


def test_binary_cross_entropy_is_bounded_at_0_and_1(device):
    p = minillm.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True, device=device)
    t = minillm.tensor([0.0, 1.0, 1.0, 0.0], device=device)
    loss = F.binary_cross_entropy(p, t, reduction="none")
    np.testing.assert_array_equal(loss.numpy(), [0, 0, 100, 100])
    loss.sum().backward()
    assert np.isfinite(to_host(p.grad)).all()


@given(
    shape=shapes(),
    weighted=st.booleans(),
    positive=st.booleans(),
    reduction=reductions,
    seed=seeds,
)
def test_binary_cross_entropy_with_logits(device, shape, weighted, positive, reduction, seed):
    generator = np.random.default_rng(seed)
    z, t = 3 * normal(seed, shape), np.asarray(generator.uniform(0, 1, shape))
    weight = np.asarray(generator.uniform(0.5, 2, shape)) if weighted else None
    pos_weight = np.asarray(generator.uniform(0.5, 2, shape[-1:])) if positive else None
    p = 1 / (1 + np.exp(-z))
    losses = -(t * np.log(p) * (1 if pos_weight is None else pos_weight) + (1 - t) * np.log(1 - p))
    losses = losses * (1 if weight is None else weight)
    arrays = [constant(a, device) for a in (t, weight, pos_weight)]

    def op(z):
        t, w, pw = (a if a is None else a.astype(z.dtype) for a in arrays)
        return F.binary_cross_entropy_with_logits(z, t, w, reduction, pw)

    check_op(op, z, device=device, expected=reduced(losses, reduction), tolerance32=1e-4)


def test_binary_cross_entropy_with_logits_equals_its_composition(device):
    z, t = normal(0, (3, 4)), np.random.default_rng(0).uniform(0, 1, (3, 4))
    target = minillm.tensor(t, device=device)
    check_same(
        lambda z: F.binary_cross_entropy_with_logits(z, target),
        lambda z: F.binary_cross_entropy(F.sigmoid(z), target),
        z,
        device=device,
    )


def test_binary_cross_entropy_with_logits_of_extreme_logits(device):
    z = minillm.tensor([1e4, 1e4, -1e4, -1e4], requires_grad=True, device=device)
    t = minillm.tensor([1.0, 0.0, 1.0, 0.0], device=device)
    loss = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    np.testing.assert_array_equal(loss.numpy(), [0, 1e4, 1e4, 0])
    loss.sum().backward()
    np.testing.assert_array_equal(to_host(z.grad), [0, 1, -1, 0])


@given(shape=shapes(), reduction=reductions, seed=seeds)
def test_mse_loss(device, shape, reduction, seed):
    x, t = normal(seed, shape, shape)
    check_op(
        lambda x, t: F.mse_loss(x, t, reduction),
        *(x, t),
        device=device,
        expected=reduced((x - t) ** 2, reduction),
    )


LOSSES = [F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.mse_loss]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
def test_shapes_that_differ_and_unknown_reductions_are_named(device, loss):
    """No silent broadcasting: (3, 1) against (3,) would compare each with each."""
    x, t = (minillm.tensor(np.full(s, 0.5), device=device) for s in ((3, 1), (3,)))
    with pytest.raises(ValueError, match=r"\(3, 1\).*\(3,\)"):
        loss(x, t)
    with pytest.raises(ValueError, match="'average'.*'mean', 'sum' or 'none'"):
        loss(x, x, reduction="average")


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [np.int64, bool])
def test_targets_of_another_dtype_leave_the_loss_in_float32(device, loss, dtype):
    x = minillm.tensor([0.25, 0.5], requires_grad=True, device=device)
    y = loss(x, minillm.tensor(np.array([0, 1], dtype), device=device))
    assert y.dtype == np.float32
    reference = loss(x, minillm.tensor([0.0, 1.0], device=device))
    assert y.item() == reference.item()

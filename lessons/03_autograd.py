# %% [markdown]
# # Lesson 03: automatic differentiation
#
# In lesson 02 every gradient was derived on paper and typed in, for three models of three lines
# each. A transformer has a hundred lines, and whoever changes one of them would have to begin
# again. So we let the program do it: it writes down what it computes, and walks back over its
# notes.
#
# **You will learn** the chain rule as a program; what a tape is (forty lines); what changes when
# numbers become arrays; how the functions of lesson 02 look when each brings its own derivative;
# how a gradient is checked, and which mistakes the check can't see; and that the machine arrives
# at lesson 02's loss, to six digits.
#
# **Expectation card** (the default run and `--quick`)
#
# | what | expected |
# |---|---|
# | by hand, by the tape, by differences (sections 1, 2) | the same four digits, three times |
# | right gradients against differences | they agree to 8 digits or more |
# | differences in float64, in float32 | 11 digits at best; 5 at best, 2 at the usual step |
# | lesson 02's problem at step 1 | 6 ln 2 = 4.158883, whatever the text is |
# | ... at step 100 | near 3, and lesson 02's number to the last digit printed |
# | broken: the loss rises from the first step | a sign: the gradient points uphill |
# | broken: a value used twice gets too small a gradient | `=` where `+=` belongs |

# %%
import math
import time

import numpy as np

import minillm
from minillm import functional as F
from minillm import nn
from minillm.autograd import differentiable
from minillm.data.word_pairs import NegativeSampler, WordCounts, skip_gram_pairs, split_words
from minillm.evaluation.graph_picture import save_graph
from minillm.evaluation.pictures import pyplot
from minillm.lessons import arguments, pictures, say, some_texts, table
from minillm.text import clean_text

options = arguments("03_autograd", "Automatic differentiation, from one number to lesson 02.")
corpus = some_texts(options)
texts = list(corpus.first(200))  # for section 7; a wrong path should be known now
if options.device != "cpu":
    say("The functions of this lesson are written in plain NumPy: they run on the CPU.")

# %% [markdown]
# ## 1. The chain rule, with numbers
#
# One word vector of one number, $w = 0.5$, and one context vector of one number, $u = 2$. The
# model of lesson 02 says how sure it is that the pair is real, and the loss says how wrong that is:
#
# $$z = w u \qquad p = \sigma(z) = \frac{1}{1 + e^{-z}} \qquad L = -\ln p$$
#
# Each step has a derivative that is known by itself: $dL/dp = -1/p$, $dp/dz = p (1 - p)$,
# $dz/dw = u$, $dz/du = w$. The chain rule multiplies them along the way from the loss to the
# number that we ask about. We begin at the loss, because then the product so far is useful to
# everybody further back: $dL/dz$ is computed once, and both $w$ and $u$ take it from there.

# %%
w, u = 0.5, 2.0
z = w * u
p = 1 / (1 + math.exp(-z))
L = -math.log(p)

dL_dp = -1 / p
dL_dz = dL_dp * (p * (1 - p))
dL_dw = dL_dz * u
dL_du = dL_dz * w
table(
    [
        ("L = -ln p", f"{L:.4f}", "", "1"),
        ("p = sigmoid(z)", f"{p:.4f}", "dL/dp = -1/p", f"{dL_dp:.4f}"),
        ("z = w u", f"{z:.4f}", "dL/dz = dL/dp * p (1 - p)", f"{dL_dz:.4f}"),
        ("w", f"{w:.4f}", "dL/dw = dL/dz * u", f"{dL_dw:.4f}"),
        ("u", f"{u:.4f}", "dL/du = dL/dz * w", f"{dL_du:.4f}"),
    ],
    ("step", "value", "derivative", "so far"),
)


def loss_of(w, u):
    """The same loss as a function of both numbers."""
    return -math.log(1 / (1 + math.exp(-w * u)))


h = 1e-4
nudged = (loss_of(w + h, u) - loss_of(w - h, u)) / (2 * h)
say(
    f"Nudge w by {h:g} both ways, and the loss changes by {nudged:.4f} for each unit of w. The "
    f"chain rule says {dL_dw:.4f}. (And dL/dz = p - 1 = {p - 1:.4f}: the logarithm and the sigmoid "
    "cancel. You met that in lesson 02.)"
)

# %% [markdown]
# A number that is used in two places reaches the loss by two ways, and both count: the derivatives
# **add up**. For $y = x^2 + x = x \cdot x + x$ at $x = 3$, $x$ enters three times: twice in the
# product, each with the derivative 3, and once in the sum, with 1. Together 7, and indeed
# $2x + 1 = 7$. Remember this sum; forgetting it is the most frequent mistake in this lesson.
#
# ## 2. A tape
#
# What we did by hand was a walk backwards over a list. So let every operation write a line on a
# tape when it computes: the result, and for each input the derivative of this one step. A walk from
# the last line to the first then needs to know nothing about sigmoids or logarithms.
#
# Why backwards in the order of writing? When a line's turn comes, everything that used its result
# was written later, so it has been visited, and the line's gradient is complete. That is all that
# "topological order" means here.

# %%
tape = []  # lines: (result, [(input, d result / d input), ...])


class Number:
    """A number that writes on the tape how it was computed."""

    def __init__(self, value, inputs=()):
        self.value = value
        self.grad = 0.0
        if inputs:
            tape.append((self, inputs))

    def __add__(self, other):
        return Number(self.value + other.value, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        return Number(self.value * other.value, [(self, other.value), (other, self.value)])

    def __neg__(self):
        return Number(-self.value, [(self, -1.0)])

    def sigmoid(self):
        y = 1 / (1 + math.exp(-self.value))
        return Number(y, [(self, y * (1 - y))])

    def log(self):
        return Number(math.log(self.value), [(self, 1 / self.value)])


def backward(loss):
    """Fill in d loss / d number for every number on the tape, and start a new tape."""
    loss.grad = 1.0
    for result, inputs in reversed(tape):
        for number, slope in inputs:
            number.grad += result.grad * slope  # += : all ways count
    tape.clear()


w, u = Number(0.5), Number(2.0)
loss = -(w * u).sigmoid().log()
lines_on_tape = len(tape)
backward(loss)
say(
    f"The tape had {lines_on_tape} lines. It says L = {loss.value:.4f}, dL/dw = {w.grad:.4f}, "
    f"dL/du = {u.grad:.4f}: as by hand."
)

x = Number(3.0)
backward(x * x + x)
say(f"x * x + x at 3: the slope is {x.grad:g}. With `=` for `+=` in backward() it would be 3.")

# %% [markdown]
# That is enough to learn something. A neuron with three weights sees the four rows of "or", and
# walks downhill. The loss starts at $\ln 2$ (all weights zero: it is undecided), and falls.

# %%
rows = [((0, 0), 0), ((0, 1), 1), ((1, 0), 1), ((1, 1), 1)]
weights = [Number(0.0) for _ in range(3)]
history = []
for _ in range(201):
    total = Number(0.0)
    for (a, b), target in rows:
        z = weights[0] * Number(a) + weights[1] * Number(b) + weights[2]
        total = total + -(z if target else -z).sigmoid().log() * Number(1 / len(rows))
    for weight in weights:
        weight.grad = 0.0  # the sum would go on from the last step
    backward(total)
    for weight in weights:
        weight.value -= 1.0 * weight.grad
    history.append(total.value)
table(
    [(step, f"{history[step]:.4f}") for step in (0, 10, 50, 200)],
    ("step", "loss of a neuron that learns 'or'"),
)

# %% [markdown]
# ## 3. Arrays and broadcasting
#
# A tape with a line for each number is far too slow: Python spends a microsecond on each. Write
# one line for each *array* instead. What was "times the derivative" becomes, for a function
# $y = f(x)$ of arrays, a function that turns $dL/dy$ into $dL/dx$. On paper that is a product with
# a matrix of all derivatives $\partial y_j / \partial x_i$. Nobody stores that matrix: for a layer
# that turns 512 rows of 256 numbers into as many it has 17 billion entries, most of them zero. We
# write the product down instead, which is as short as the function:
#
# | y | dL/dx, with dy = dL/dy |
# |---|---|
# | `x * c` | `dy * c` |
# | `x @ W` | `dy @ W.T` (and for W: `x.T @ dy`) |
# | `x.sum()` | `dy` everywhere |
# | `x[rows]` | zeros, with dy added into those rows |
#
# So a gradient always has **the shape of the thing it belongs to**. One trap is left: NumPy
# *broadcasts*. A bias (3,) added to (2, 3) is used twice, once in each row. It is the sum rule
# again: sum the gradient over everything that was repeated. (`F.unbroadcast` does that for the
# whole library, in one place.)

# %%


def unbroadcast(gradient, shape):
    """Sum `gradient` over the axes along which an array of `shape` was repeated."""
    added = gradient.ndim - len(shape)  # axes that broadcasting put in front
    gradient = gradient.sum(axis=tuple(range(added)))
    stretched = tuple(axis for axis, n in enumerate(shape) if n == 1)
    return gradient.sum(axis=stretched, keepdims=True)


generator = np.random.default_rng(options.seed)
cases = []
for shape in ((2, 3), (3,), (1, 3), (2, 1), ()):
    a, b = generator.normal(size=(2, 3)), generator.normal(size=shape)
    leaf = minillm.tensor(b, requires_grad=True)
    F.sum(minillm.tensor(a) * leaf).backward()  # z = a * b, dz = 1, so db = a, summed
    agree = np.allclose(unbroadcast(a, shape), leaf.grad)
    cases.append((f"(2, 3) * {shape}", str(leaf.grad.shape), "yes" if agree else "NO"))
table(cases, ("product", "shape of db", "as minillm has it"))

# %% [markdown]
# ## 4. Five functions of lesson 02
#
# A differentiable function is written once, on plain arrays. It returns its value, and a function
# `backward` that turns the gradient of the value into the gradients of the inputs. The decorator
# writes the line on the tape. Here is everything that skip-gram, CBOW and GloVe need. Compare each
# `backward` with the gradient that you derived.

# %%


@differentiable
def lookup(vectors, ids):
    """y[...] = vectors[ids[...]]: a word that stands in many places gathers from all of them."""

    def backward(dy):
        dvectors = np.zeros_like(vectors)
        np.add.at(dvectors, ids, dy)  # not dvectors[ids] += dy, which counts a repeated word once
        return dvectors

    return vectors[ids], backward


@differentiable
def average(x, mask):
    """(B, C, d), (B, C) -> (B, d): the mean of the places where mask is 1 (CBOW's window)."""
    share = mask / mask.sum(axis=1, keepdims=True)  # (B, C)

    def backward(dy):
        return share[:, :, None] * dy[:, None, :]

    return (share[:, :, None] * x).sum(axis=1), backward


@differentiable
def dot(x, y):
    """z[b, k] = <x[b], y[b, k]>: one centre word against its contexts. (B, d), (B, K, d)."""

    def backward(dz):
        dx = (dz[:, :, None] * y).sum(axis=1)  # x[b] is used K times
        dy = dz[:, :, None] * x[:, None, :]
        return dx, dy

    return (x[:, None, :] * y).sum(axis=2), backward


@differentiable
def log_sigmoid(z):
    """ln(1 / (1 + e^-z)) = -softplus(-z); the derivative is 1 - sigmoid(z) = sigmoid(-z)."""

    def backward(dy):
        return dy * (0.5 - 0.5 * np.tanh(0.5 * z))

    return -np.logaddexp(0, -z), backward


@differentiable
def weighted_squares(error, weight):
    """sum_i weight_i error_i^2: GloVe's loss, with error = <w, u> + b + c - ln(count)."""

    def backward(dy):
        return dy * 2 * weight * error

    return (weight * error * error).sum(), backward


# %% [markdown]
# The three models are now three lines each, and no gradient is derived any more. The referee is
# the numerical check: it nudges all inputs along a random direction, both ways, and compares the
# change with what the gradients promise.

# %%


def skip_gram_loss(W, U, centers, targets, sign):
    """centers (B,); targets (B, K), the true context first; sign (K,) is +1 for it, else -1."""
    z = dot(lookup(W, centers), lookup(U, targets))
    return -F.mean(F.sum(log_sigmoid(z * sign), axis=1))


def cbow_loss(W, U, windows, mask, targets, sign):
    """windows (B, C): the words around; targets (B, K): the word in the middle, then negatives."""
    z = dot(average(lookup(W, windows), mask), lookup(U, targets))
    return -F.mean(F.sum(log_sigmoid(z * sign), axis=1))


def glove_loss(W, U, b, c, rows, columns, counts):
    """rows, columns (N,): which words; counts (N,): how often they stood together."""
    product = F.sum(lookup(W, rows) * lookup(U, columns), axis=1)
    error = product + lookup(b, rows) + lookup(c, columns) - np.log(counts)
    return weighted_squares(error, np.minimum((counts / 100) ** 0.75, 1))


def leaf(*shape):
    """A random float64 Tensor that wants a gradient."""
    return minillm.tensor(generator.normal(size=shape), requires_grad=True)


def disagreement(function, inputs):
    """|difference - prediction| / |prediction| along one random direction through all inputs."""
    for x in inputs:
        x.grad = None
    function(*inputs).backward()
    step = 1e-5
    directions = [generator.normal(size=x.shape) for x in inputs]
    predicted = sum(float((x.grad * v).sum()) for x, v in zip(inputs, directions, strict=True))

    def at(h):
        moved = [minillm.tensor(x.data + h * v) for x, v in zip(inputs, directions, strict=True)]
        return function(*moved).item()

    return abs((at(step) - at(-step)) / (2 * step) - predicted) / abs(predicted)


def ids(*shape):
    return generator.integers(0, 7, shape)  # of 7 words: many stand in several places


sign = np.array([1.0, -1.0, -1.0])
centers, targets, windows = ids(6), ids(6, 3), ids(6, 4)
mask = np.array([[1.0, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]] * 2)
rows, columns, counts = ids(9), ids(9), generator.integers(1, 200, 9)
checks = [
    ("skip-gram", lambda W, U: skip_gram_loss(W, U, centers, targets, sign), [(7, 4), (7, 4)]),
    ("CBOW", lambda W, U: cbow_loss(W, U, windows, mask, targets, sign), [(7, 4), (7, 4)]),
    (
        "GloVe",
        lambda W, U, b, c: glove_loss(W, U, b, c, rows, columns, counts),
        [(7, 4), (7, 4), (7,), (7,)],
    ),
]
result = []
for name, function, shapes in checks:
    inputs = [leaf(*shape) for shape in shapes]
    minillm.gradcheck(function, inputs)  # the library's referee; raises GradientError if not
    result.append((name, len(inputs), f"{disagreement(function, inputs):.0e}"))
table(result, ("model", "inputs", "relative disagreement with differences"))

# %% [markdown]
# Three more functions are in nearly every network that follows, and in the exercises. Each would
# be a chain of five or six small ones. Written as one, with the gradient worked out on paper once,
# it is faster, and it loses fewer digits:
#
# - **softmax**, $y_i = e^{x_i} / \sum_j e^{x_j}$. Raising $x_j$ raises $y_j$ and lowers all:
#   $\partial y_i / \partial x_j = y_i ([i = j] - y_j)$. Summed against dy, that is
#   $dx = y \cdot (dy - \sum_j dy_j \, y_j)$.
# - **cross-entropy**, $L = -\ln y_k$ for the right class $k$: its gradient by y is $-1/y_k$ in one
#   place, and through the softmax it becomes $dx = y - \text{onehot}(k)$. The division is gone.
# - **layer norm**, $\hat{x} = (x - \mu) / s$, $y = g \hat{x} + b$, with $\mu$ and $s$ the mean
#   and the standard deviation of the row. Each $x_i$ acts in three ways: itself, through $\mu$, and
#   through $s$; the sum rule gives three terms. With $d\hat{x} = g \, dy$:
#   $dx = (d\hat{x} - \text{mean}(d\hat{x}) - \hat{x} \, \text{mean}(d\hat{x} \, \hat{x})) / s$.

# %%
mixing = generator.normal(size=(3, 5))  # a sum would hide much: softmax always sums to 1
result = []
for name, function, shapes in (
    ("softmax", lambda x: F.sum(F.softmax(x) * mixing), [(3, 5)]),
    ("cross-entropy", lambda x: F.cross_entropy(x, np.array([0, 3, 1])), [(3, 5)]),
    (
        "layer norm",
        lambda x, g, b: F.sum(F.layer_norm(x, (5,), g, b) * mixing),
        [(3, 5), (5,), (5,)],
    ),
):
    inputs = [leaf(*shape) for shape in shapes]
    minillm.gradcheck(function, inputs)
    result.append((name, len(inputs), f"{disagreement(function, inputs):.0e}"))
table(result, ("function", "inputs", "relative disagreement with differences"))

# %% [markdown]
# ## 5. The numerical check and what it can't see
#
# The check measures $(L(x + h) - L(x - h)) / 2h$. How small should $h$ be? Two errors pull in
# opposite directions: the curve isn't straight (an error that grows with $h^2$), and the two losses
# are rounded to so many digits (divided by $h$: an error that grows as $h$ shrinks). The picture
# `numerical_check.png` shows both, and a one-sided difference, whose first error is worse. In
# float64 there is a good place in the middle, near 1e-5. In float32 the best place is elsewhere,
# and worse by a factor of some hundred thousand; the loss of a whole network is rounded more often
# than this one, so there it is worse still.

# %%
steps = 10.0 ** -np.arange(1, 12.5, 0.5)
points = generator.uniform(-3, 3, 500)
slopes = -1 / (1 + np.exp(points))  # of softplus(-z), the loss of one pair: p - 1


def loss_of_pair(z):
    return np.log1p(np.exp(-z))


def errors(kind, central=True):
    """For each step the typical relative error of the difference, computed in floats of `kind`."""
    found = []
    for step in steps:
        x, h = points.astype(kind), kind(step)
        low, span = (x - h, 2 * h) if central else (x, h)
        difference = (loss_of_pair(x + h) - loss_of_pair(low)) / span
        found.append(float(np.median(abs(difference / slopes - 1))))
    return found


curves = {
    "float64, both sides": errors(np.float64),
    "float64, one side": errors(np.float64, central=False),
    "float32, both sides": errors(np.float32),
}
plt = pyplot()
figure, axis = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
for (label, values), marker in zip(curves.items(), "os^", strict=True):
    axis.loglog(steps, values, marker=marker, markersize=4, label=label)
axis.axhline(1e-3, color="0.5", linestyle=":", linewidth=1)
axis.text(
    1.4e-12, 1.4e-3, "a gradient that is wrong by 0.1 %", ha="right", color="0.35", fontsize=8
)
axis.set(
    xlabel="h (large on the left, small on the right)",
    ylabel="relative error of the difference",
    title="How well a difference measures a slope",
    xlim=(0.2, 1e-12),
    ylim=(1e-13, 30),
)
axis.legend(loc="lower right")
figure.savefig(options.out / "numerical_check.png", dpi=110)
plt.close(figure)
pictures(options.out / "numerical_check.png")
table(
    [
        (
            label,
            f"{min(values):.0e}",
            f"{steps[int(np.argmin(values))]:.0e}",
            f"{values[int(np.argmin(abs(steps - 1e-5)))]:.0e}",
        )
        for label, values in curves.items()
    ],
    ("difference", "smallest error (relative)", "at h", "error at h = 1e-5"),
)

# %% [markdown]
# Now for what can go wrong with a check. It is a test like any other: who wants to trust it tries
# it on something broken first.
#
# 1. **A kink.** `relu` has no slope at 0. The difference there says 1/2 (half of the way up), the
#    program says 0, and both are "right". A check at a kink fails a correct function; a check that
#    stays away from it says nothing about it. Checks use random numbers, so that they miss kinks.
# 2. **A tolerance that hides a factor.** The loss is a mean over 10,000 examples, so each gradient
#    is tiny, and `abs(a - b) < 1e-3` is true for *anything* tiny, zeros included. A tolerance has
#    to be relative to the gradient itself.
# 3. **A rare place.** The mistake sits in one number of a thousand. Checking "a few numbers" will
#    miss it; one random direction through all numbers at once sees it.
# 4. **float32.** The gradient is right, but the referee has only two digits at the usual
#    step. minillm's check refuses such numbers.
# 5. **A wrong function.** `backward` is the true derivative of a forward that computes the wrong
#    thing. The check compares the two with each other, not with what you wanted.

# %%


@differentiable
def wrong_factor(x):
    """sum(x^2) / N with a gradient that is too large by 0.1 %."""
    return (x * x).mean(), lambda dy: dy * 2.002 * x / x.size


@differentiable
def zero_gradient(x):
    """sum(x^2) / N that says: nothing depends on x."""
    return (x * x).mean(), lambda dy: dy * 0 * x


@differentiable
def rare_mistake(x):
    """exp(x) whose gradient is wrong in the last of its numbers."""
    y = np.exp(x)

    def backward(dy):
        dx = dy * y
        dx[-1] = 0
        return dx

    return y, backward


@differentiable
def wrong_function(x):
    """Meant to be a softmax, but summed over the wrong axis; the gradient fits it perfectly."""
    e = np.exp(x - x.max(axis=0))
    y = e / e.sum(axis=0)
    return y, lambda dy: y * (dy - (dy * y).sum(axis=0))


def verdict(function, x):
    """What the library's check says."""
    try:
        minillm.gradcheck(function, [x])
    except minillm.GradientError:
        return "objects"
    except TypeError:
        return "refused"
    return "passes"


def careless(function, x, tolerance=1e-3):
    """The check as it is often written: one-sided, a few numbers, an absolute tolerance."""
    x.grad = None
    y = function(x)
    y.backward(np.ones_like(y.data))
    h = 1e-6
    for place in list(np.ndindex(x.shape))[:5]:
        moved = x.data.copy()
        moved[place] += h
        change = (function(minillm.tensor(moved)).data - y.data).sum() / h
        if not abs(change - x.grad[place]) < tolerance:
            return "objects"
    return "passes"


kink = minillm.tensor(np.zeros(3), requires_grad=True)
single = minillm.tensor(generator.normal(size=9).astype(np.float32), requires_grad=True)
trials = [
    ("relu away from its kink", "right", F.relu, leaf(1000)),
    ("relu at its kink", "right", F.relu, kink),
    ("too large by 0.1 %", "wrong", wrong_factor, leaf(10_000)),
    ("zeros for a gradient", "wrong", zero_gradient, leaf(10_000)),
    ("one number of 1000 wrong", "wrong", rare_mistake, leaf(1000)),
    ("exp in float32", "right", F.exp, single),
    ("the wrong function", "wrong", wrong_function, leaf(4, 4)),
]
table(
    [(name, truth, careless(f, x), verdict(f, x)) for name, truth, f, x in trials],
    ("what is checked", "it is", "careless check", "minillm.gradcheck"),
)
say(
    "The careless check lets every mistake pass, and objects to what is right. The good one "
    "objects at the kink, where there is no slope to be right about, and lets one mistake pass. "
    "Against that there is one remedy: compare the value, too, with a second way to compute it "
    "(a loop, a formula on paper, another library)."
)

# %% [markdown]
# ## 6. The graph as a picture
#
# A tape is a list; drawn with a line from each result to what used it, it is a graph. This network
# has two layers, and around the second one a *shortcut*: its input is added to its output. So `h1`
# has two lines going down. On the way back two gradients come up, and `h1` gets their sum.
#
# Open `graph_network.svg` in a browser. Green boxes are leaves: they want a gradient and keep it.
# Blue boxes are lines of the tape. The input `x` and the labels are missing, because nothing there
# wants a gradient. `graph_skip_gram.svg` is section 4's loss. Find the two lookups.

# %%
minillm.manual_seed(options.seed)
first, second, last = nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(5, 2)
x = minillm.tensor(generator.normal(size=(4, 3)).astype(np.float32))
h1 = F.tanh(first(x))
h2 = F.tanh(second(h1)) + h1
logits = last(h2)
loss = F.cross_entropy(logits, minillm.tensor(np.array([0, 1, 0, 1])))
names = {"h1": h1, "h2": h2, "logits": logits, "loss": loss}
for number, layer in enumerate((first, second, last), start=1):
    names |= {f"W{number}": layer.weight, f"b{number}": layer.bias}
save_graph(loss, options.out / "graph_network.svg", names)

W, U = leaf(7, 4), leaf(7, 4)
loss = skip_gram_loss(W, U, centers, targets, sign)
save_graph(loss, options.out / "graph_skip_gram.svg", {"W": W, "U": U, "loss": loss})
pictures(options.out / "graph_network.svg", options.out / "graph_skip_gram.svg")

# %% [markdown]
# ## 7. Lesson 02 again
#
# The skip-gram problem of lesson 02, section 3: the first 200 texts, a window of two words on each
# side at most, five negatives for each pair, vectors of 16 numbers, 512 pairs a step, plain
# gradient descent. The same random numbers are drawn in the same order. There the gradients were
# typed in; here there is `loss.backward()`.

# %%
sentences = [split_words(clean_text(text)) for text in texts]
vocabulary = WordCounts.count(sentences, min_count=5)
flat_ids, offsets = vocabulary.encode(sentences)
V, size, batch_size, rate = len(vocabulary.words), 16, 512, 20.0

generator = np.random.default_rng(options.seed)
centers, contexts = skip_gram_pairs(flat_ids, offsets, 2, generator)
if V < 2 or len(centers) == 0:
    raise ValueError(
        f"{corpus.name}: too little text: no two words that occur 5 times stand side by side"
    )
negatives = NegativeSampler(vocabulary.counts).sample((len(centers), 5), generator)
W = minillm.tensor(generator.uniform(-0.5, 0.5, (V, size)) / size, requires_grad=True)
U = minillm.tensor(np.zeros((V, size)), requires_grad=True)
order = generator.permutation(len(centers))

targets = np.column_stack([contexts, negatives])  # (P, 6): the true context in column 0
sign = np.array([1.0, -1, -1, -1, -1, -1])
losses = []
begun = time.perf_counter()
for step in range(100):
    batch = order[np.arange(step * batch_size, (step + 1) * batch_size) % len(order)]
    loss = skip_gram_loss(W, U, centers[batch], targets[batch], sign)
    losses.append(loss.item())
    W.grad = U.grad = None
    loss.backward()
    W.data -= rate * W.grad
    U.data -= rate * U.grad
seconds = time.perf_counter() - begun
say(f"{V:,} words, {len(centers):,} pairs, 100 steps in {seconds:.1f} seconds.")
table([(n, f"{losses[n - 1]:.6f}") for n in (1, 10, 25, 50, 100)], ("step", "loss"))
say(f"The loss of step 100: {losses[99]:.6f}")
say(
    "Run lesson 02 with the same --seed and --data: its table in section 3 has the same digits. "
    "Two programs, one by hand and one by a tape, that agree to six digits after a hundred steps "
    "are most likely both right."
)

# %% [markdown]
# ## Questions
#
# 1. In section 2, replace `+=` in `backward` by `=`. Which of the results change, and why does the
#    first one not?
# 2. Why does `backward` walk from the youngest line to the oldest? Draw a graph of four boxes for
#    which "follow each line as soon as you meet it" gives a wrong sum.
# 3. The tape multiplies from the loss towards the inputs. One could multiply the other way, from an
#    input towards the loss. For one loss and a million weights, what would that cost? And for one
#    input and a million outputs?
# 4. `lookup` uses `np.add.at`. Write `dvectors[ids] += dy` instead and run section 4. Which of the
#    three models notices?
# 5. All of `U` starts at zero. What is the gradient of `W` in the first step? Why does a check at
#    that very point tell us little about `W`?
# 6. `wrong_function` passes the check. Write the test that finds it, in one line.
#
# ## Exercise
#
# `lessons/exercises/ex03_autograd.py` asks for the pieces of this lesson: a softmax and its
# gradient, cross-entropy, `unbroadcast`, layer norm, a topological order, the sweep that
# accumulates, and the numerical check. `python -m pytest tests/exercises -k ex03` grades it.

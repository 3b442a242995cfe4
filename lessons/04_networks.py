# %% [markdown]
# # Lesson 04: networks, and what each is good at
#
# A gradient says in which direction a network gets better. This lesson is about everything around
# it: what "better" means (the loss), how far to go (the optimizer), where to begin (the
# initialisation), how not to learn by heart (dropout and L2), and above all which *shape* of
# network can find what you are looking for.
#
# **You will learn** one training step by hand beside the library's; three losses and when to use
# which; what a fully connected network, a convolution, an LSTM and self-attention each find easy
# and hard; why momentum and Adam exist; why deep networks used to die at birth; and how weights
# look that don't overfit.
#
# **Expectation card** (the default run; `--quick` is too short for the four tasks)
#
# | what | expected |
# |---|---|
# | one step by hand and by the library | equal to 12 digits or more |
# | a wrong, sure network (p = 0.0025) | repaired in 7 steps with cross-entropy, in 214 with MSE |
# | four tasks, four networks | a different winner in every column, above 95 % but for one |
# | order, brackets, read as a bag of words | guessing, however long it trains |
# | twelve tanh layers, weights too small | the gradient of layer 1 is below 1e-9, the loss stays |
# | 200 real reviews | all learn them by heart; about 72 % of others right, whatever the remedy |
# | ... the loss on others at the end | 0.62 without a remedy, 0.55 with dropout and L2 |
# | broken: all four networks at chance | labels shuffled apart from their examples |
# | broken: a loss that is nan after a few steps | the learning rate is far too large |

# %%
import itertools
import json
import time

import numpy as np

import minillm
from minillm import functional as F
from minillm import nn, optim
from minillm.autograd import differentiable
from minillm.data import stratified_sample
from minillm.data.word_pairs import WordCounts, split_words
from minillm.evaluation.pictures import pyplot
from minillm.lessons import arguments, labelled_data, labelled_options, pictures, say, table
from minillm.text import clean_text

options = arguments(
    "04_networks", "Losses, networks, optimizers, initialisation.", labelled_options
)
recipe = {
    "examples": 2000,  # section 3
    "others": 2000,  # examples to judge by
    "steps": 600,
    "draws": 3,
    "rates": 25,  # section 4: how many learning rates are tried
    "deep_steps": 150,  # section 5
    "reviews": 5000,  # section 6: four fifths to draw from, one fifth held out
    "review_draws": 3,
    "review_steps": 300,
}
if options.quick:
    recipe |= {"others": 300, "steps": 30, "draws": 1, "rates": 9, "deep_steps": 20}
    recipe |= {"reviews": 1000, "review_draws": 1, "review_steps": 50}
if options.device != "cpu":
    say("The networks of this lesson are so small that a GPU would only wait: they run on the CPU.")
reviews, test_reviews, how_split = labelled_data(options, recipe["reviews"])  # errors come early
minillm.manual_seed(options.seed)
generator = np.random.default_rng(options.seed)
plt = pyplot()
begun = time.perf_counter()

# %% [markdown]
# ## 1. One gradient step by hand
#
# Two numbers go in, three hidden numbers, two classes: $h = \tanh(x W_1^T + b_1)$,
# $z = h W_2^T + b_2$, $p = \text{softmax}(z)$, and the loss is the mean of $-\ln p_\text{label}$.
# Backwards, each line is the chain rule for one line above, in the shape of what it belongs to:

# %%
x = generator.normal(size=(4, 2))
y = np.array([0, 1, 1, 0])
W1, b1 = generator.normal(size=(3, 2)), np.zeros(3)
W2, b2 = generator.normal(size=(2, 3)), np.zeros(2)
rate, N = 0.5, len(x)

network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))
for parameter, start in zip(network.parameters(), (W1, b1, W2, b2), strict=True):
    parameter.data = start.copy()  # the same start for the library, in float64

# By hand, forwards ...
h = np.tanh(x @ W1.T + b1)  # (N, 3)
z = h @ W2.T + b2  # (N, 2)
p = np.exp(z - z.max(axis=1, keepdims=True))
p /= p.sum(axis=1, keepdims=True)
loss_by_hand = -np.log(p[np.arange(N), y]).mean()

# ... backwards ...
dz = (p - np.eye(2)[y]) / N  # softmax and logarithm together; 1/N from the mean
dW2 = dz.T @ h  # (2, N) (N, 3) -> (2, 3)
db2 = dz.sum(axis=0)  # the bias was broadcast to N rows
dh = dz @ W2  # (N, 3)
da = dh * (1 - h * h)  # through tanh
dW1 = da.T @ x  # (3, 2)
db1 = da.sum(axis=0)

# ... and one step downhill.
by_hand = [W1 - rate * dW1, b1 - rate * db1, W2 - rate * dW2, b2 - rate * db2]

# The library: the same in four lines.
optimizer = optim.SGD(network.parameters(), lr=rate)
loss = F.cross_entropy(network(minillm.tensor(x)), minillm.tensor(y))
loss.backward()
optimizer.step()

rows = []
for name, start, hand, (_, parameter) in zip(
    ("W1", "b1", "W2", "b2"),
    (W1, b1, W2, b2),
    by_hand,
    network.named_parameters(),
    strict=True,
):
    numbers = [f"{array.flat[0]:.6f}" for array in (start, hand, parameter.data)]
    rows.append((name, str(start.shape), *numbers, f"{abs(hand - parameter.data).max():.0e}"))
table(rows, ("", "shape", "first number", "by hand", "library", "largest difference of all"))
with minillm.no_grad():
    after = F.cross_entropy(network(minillm.tensor(x)), minillm.tensor(y)).item()
say(
    f"The loss by hand is {loss_by_hand:.6f}, the library's {loss.item():.6f}; after the step "
    f"it is {after:.6f}."
)

# %% [markdown]
# ## 2. Losses
#
# The loss is the question. Three of them are nearly all that this course needs:
#
# | question | the network gives | loss |
# |---|---|---|
# | which one of C classes? | C scores z, p = softmax(z) | cross-entropy, $-\ln p_\text{label}$ |
# | yes or no (or several such questions) | one score, p = sigmoid(z) | binary cross-entropy |
# | how much? | a number | mean squared error (MSE) |
#
# For two classes the first two are the same thing: softmax of (0, z) is (1 - p, p) with
# p = sigmoid(z).
#
# Why not MSE for the yes-or-no question? $(p - 1)^2$ is smallest at the right answer too. But its
# gradient is $2 (p - 1) \cdot p (1 - p)$: the slope of the sigmoid is a factor. Where the network
# is wrong *and sure of it* ("saturated"), that factor is nearly zero, and it learns nothing where
# it has most to learn. In cross-entropy the logarithm cancels the factor, and $p - 1$ is left: the
# more wrong, the larger. Picture: `losses.png`.

# %%
scores = np.array([-8.0, -6, -4, -2, 0, 2, 4])


def losses_and_slopes(scores):
    """For the answer "yes": p, and the loss and its derivative by z, for both losses."""
    z = minillm.tensor(scores, requires_grad=True)
    yes = minillm.tensor(np.ones_like(scores))
    found = [1 / (1 + np.exp(-scores))]
    for losses in (
        F.binary_cross_entropy_with_logits(z, yes, reduction="none"),
        F.mse_loss(F.sigmoid(z), yes, reduction="none"),
    ):
        z.grad = None
        losses.backward(np.ones_like(scores))
        found += [losses.numpy(), z.grad]
    return found


table(
    [
        (f"{z:g}", f"{p:.4f}", f"{bce:.4f}", f"{dbce:.4f}", f"{mse:.4f}", f"{dmse:.4f}")
        for z, p, bce, dbce, mse, dmse in zip(scores, *losses_and_slopes(scores), strict=True)
    ],
    ("score z", "p(yes)", "cross-entropy", "its slope", "MSE", "its slope"),
)

two_classes = F.cross_entropy(minillm.tensor(np.array([[0.0, -2.0]])), np.array([1])).item()
one_score = F.binary_cross_entropy_with_logits(
    minillm.tensor(np.array([-2.0])), minillm.tensor(np.ones(1))
).item()
say(f"Two classes, scores (0, -2): {two_classes:.6f}. One score, -2: {one_score:.6f}. The same.")


def steps_to_repair(which, start=-6.0):
    """How many steps of plain gradient descent (rate 1) until p(yes) is above one half."""
    z = np.array([start])
    for step in itertools.count():
        if z[0] > 0:
            return step
        _, _, dbce, _, dmse = losses_and_slopes(z)
        z = z - (dbce if which == "cross-entropy" else dmse)


repair = {which: steps_to_repair(which) for which in ("cross-entropy", "MSE")}
say(
    f"A network that says p(yes) = 0.0025 where the answer is yes: cross-entropy repairs it in "
    f"{repair['cross-entropy']} steps, MSE needs {repair['MSE']}."
)

dense = np.linspace(-8, 8, 200)
_, bce, dbce, mse, dmse = losses_and_slopes(dense)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for axis, curves, title in (
    (axes[0], (bce, mse), "the loss"),
    (axes[1], (-dbce, -dmse), "how hard it pushes z upwards"),
):
    axis.plot(dense, curves[0], label="cross-entropy")
    axis.plot(dense, curves[1], label="MSE of the sigmoid")
    axis.set(title=title, xlabel="score z (the answer is yes)")
    axis.legend()
axes[1].annotate("wrong and sure:\nMSE hardly moves", (-6, 0.02), (-7.8, 0.42), fontsize=8)
axes[1].annotate("", (-6, 0.03), (-6.3, 0.4), arrowprops={"arrowstyle": "->", "color": "0.4"})
figure.savefig(options.out / "losses.png", dpi=110)
plt.close(figure)
pictures(options.out / "losses.png")

# %% [markdown]
# ## 3. Four tasks, four networks
#
# No network is best at everything. Each one builds in an assumption about where the answer is to
# be found, and is quick to learn what fits the assumption. Four tasks, made so that the answer is
# in a different place each time. All are rows of 24 symbols.
#
# - **sum**: each of 40 words has a hidden weight, and the label says whether the weights of a row
#   add up to more than zero. Order means nothing: *a bag of words is enough*. (Much of telling a
#   good review from a bad one is like that.)
# - **order**: somewhere the words a, b, c stand side by side. In which of six orders? They also
#   stand elsewhere, one by one. A *local pattern*: three places decide, wherever they are.
# - **brackets**: eleven opening and eleven closing brackets. Does every one close an earlier one?
#   One has to *count*, and remember the count from one end to the other.
# - **recall**: eight boxes, each with a content from one to eight, scattered over the row; the last
#   symbol names a box. What is in it? *Copying from afar*, and from where depends on the question.
#
# The networks, each as wide as 5,000 parameters allow:
#
# - **fully connected**, on a bag of words: it sees how often each symbol occurs, and nothing else;
# - **CNN**: a convolution looks at three neighbours at a time, with the same weights everywhere,
#   and the maximum over the row says whether a pattern was seen anywhere (no matter where);
# - **LSTM**: reads from left to right and keeps a state;
# - **self-attention**: one layer; every place asks all places a question and gathers what answers.
#   What stands at the last place in the end is the result.

# %%
LENGTH = 24  # symbols of a row, the last one a question mark (in "recall": the question)


def with_last(symbols, last):
    return np.column_stack([symbols, np.broadcast_to(last, len(symbols))])


def sum_task(n, generator):
    """-> rows (n, LENGTH), labels (n,), how many symbols, how many classes."""
    hidden = np.random.default_rng(1).normal(size=40)  # the same words mean the same every time
    rows = generator.integers(0, 40, (n, LENGTH - 1))
    return with_last(rows, 40), (hidden[rows].sum(axis=1) > 0).astype(int), 41, 2


def order_task(n, generator):
    orders = np.array(list(itertools.permutations(range(3))))  # of a = 0, b = 1, c = 2
    labels = generator.integers(0, 6, n)
    rows = np.empty((n, LENGTH - 1), int)
    todo = np.arange(n)
    while len(todo):  # rows in which the three meet a second time by chance are drawn again
        drawn = generator.integers(0, 12, (len(todo), LENGTH - 1))
        place = generator.integers(0, LENGTH - 3, len(todo))
        drawn[np.arange(len(todo))[:, None], place[:, None] + np.arange(3)] = orders[labels[todo]]
        three = np.sort(np.lib.stride_tricks.sliding_window_view(drawn, 3, axis=1), axis=2)
        once = (three == np.arange(3)).all(axis=2).sum(axis=1) == 1
        rows[todo[once]] = drawn[once]
        todo = todo[~once]
    return with_last(rows, 12), labels, 13, 6


def bracket_task(n, generator):
    labels = generator.integers(0, 2, n)
    rows = np.empty((n, LENGTH - 2), int)
    todo = np.arange(n)
    while len(todo):  # draw until each row has the label it should have
        drawn = generator.permuted(np.tile([0, 1], (len(todo), LENGTH // 2 - 1)), axis=1)
        depth = np.cumsum(1 - 2 * drawn, axis=1)  # 0 opens, 1 closes
        good = (depth.min(axis=1) >= 0) == labels[todo]
        good &= (drawn[:, 0] == 0) & (drawn[:, -1] == 1)  # the ends don't give it away
        rows[todo[good]] = drawn[good]
        todo = todo[~good]
    return with_last(rows, 2), labels, 3, 2


def recall_task(n, generator):
    rows = np.full((n, LENGTH - 1), 72)  # 72 is a gap
    boxes = generator.permuted(np.tile(np.arange(8), (n, 1)), axis=1)  # every box once
    contents = generator.integers(0, 8, (n, 8))
    places = np.argsort(generator.random((n, LENGTH - 1)), axis=1)[:, :8]
    np.put_along_axis(rows, places, boxes * 8 + contents, axis=1)  # "box 3 holds 5" is one symbol
    asked = generator.integers(0, 8, n)
    pick = np.arange(n), asked
    return with_last(rows, 64 + boxes[pick]), contents[pick], 73, 8


class FullyConnected(nn.Module):
    def __init__(self, symbols, classes, width):
        super().__init__()
        self.symbols = symbols
        self.hidden = nn.Linear(symbols, width)
        self.output = nn.Linear(width, classes)

    def forward(self, rows):
        bag = np.eye(self.symbols, dtype=np.float32)[rows].sum(axis=1)  # (B, symbols): counts
        return self.output(F.relu(self.hidden(minillm.tensor(bag))))


class CNN(nn.Module):
    def __init__(self, symbols, classes, width):
        super().__init__()
        self.vectors = nn.Embedding(symbols, width)
        self.convolution = nn.Conv1d(width, 2 * width, kernel_size=3, padding=1)
        self.output = nn.Linear(2 * width, classes)

    def forward(self, rows):
        x = F.transpose(self.vectors(minillm.tensor(rows)), 1, 2)  # (B, width, L)
        return self.output(F.max(F.relu(self.convolution(x)), axis=2))  # the maximum over places


class LSTM(nn.Module):
    def __init__(self, symbols, classes, width):
        super().__init__()
        self.vectors = nn.Embedding(symbols, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.output = nn.Linear(width, classes)

    def forward(self, rows):
        _, (h, _) = self.lstm(self.vectors(minillm.tensor(rows)))
        return self.output(h[0])  # the state after the last symbol


class SelfAttention(nn.Module):
    def __init__(self, symbols, classes, width):
        super().__init__()
        self.vectors = nn.Embedding(symbols, width)
        self.places = nn.Embedding(LENGTH, width)  # attention itself doesn't know the order
        self.layer = nn.TransformerEncoderLayer(
            width, 1, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, classes)

    def forward(self, rows):
        places = minillm.tensor(np.arange(rows.shape[1]))
        x = self.vectors(minillm.tensor(rows)) + self.places(places)  # (B, L, width)
        return self.output(self.norm(self.layer(x)[:, -1]))  # what the last place gathered


def as_wide_as(kind, symbols, classes, budget=5000):
    """The widest network of this kind with at most `budget` parameters."""
    width = 4
    while kind(symbols, classes, width + 4).num_parameters() <= budget:
        width += 4
    return kind(symbols, classes, width)


def accuracy(model, rows, labels):
    with minillm.no_grad():
        return float((model(rows).numpy().argmax(axis=1) == labels).mean())


def learn(kind, task, seed):
    """Train on some examples -> (accuracies on others along the way, parameters)."""
    generator = np.random.default_rng([options.seed, seed])
    n = recipe["examples"]
    rows, labels, symbols, classes = task(n + recipe["others"], generator)
    minillm.manual_seed(1000 * options.seed + seed)
    model = as_wide_as(kind, symbols, classes)
    optimizer = optim.Adam(model.parameters(), lr=5e-3)
    course = [accuracy(model, rows[n:], labels[n:])]
    for step in range(1, recipe["steps"] + 1):
        batch = generator.integers(0, n, 64)
        loss = F.cross_entropy(model(rows[batch]), minillm.tensor(labels[batch]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % (recipe["steps"] // 10) == 0:
            course.append(accuracy(model, rows[n:], labels[n:]))
    return course, model.num_parameters()


tasks = {"sum": sum_task, "order": order_task, "brackets": bracket_task, "recall": recall_task}
networks = {
    "fully connected": FullyConnected,
    "CNN": CNN,
    "LSTM": LSTM,
    "self-attention": SelfAttention,
}
courses: dict = {}  # (network, task) -> (draws, 11)
sizes: dict = {}
say(
    f"{len(tasks) * len(networks)} trainings, {recipe['draws']} draw(s) each: "
    f"{recipe['examples']:,} examples, {recipe['steps']} steps of 64, Adam with rate 5e-3; judged "
    f"on {recipe['others']:,} other examples."
)
for task, network in itertools.product(tasks, networks):
    runs = [learn(networks[network], tasks[task], seed) for seed in range(recipe["draws"])]
    courses[network, task] = np.array([course for course, _ in runs])
    sizes.setdefault(network, []).append(runs[0][1])


def cell(network, task):
    """The mean over the draws, and the best network of the task with a star."""
    means = {other: courses[other, task][:, -1].mean() for other in networks}
    star = " *" if means[network] == max(means.values()) else "  "
    return f"{means[network]:.1%}{star}"


table(
    [
        (network, f"{min(sizes[network]):,}-{max(sizes[network]):,}")
        + tuple(cell(network, task) for task in tasks)
        for network in networks
    ]
    + [("guessing", "", "50.0%  ", "16.7%  ", "50.0%  ", "12.5%  ")],
    ("network", "parameters", *tasks),
)
spread = max(float(np.ptp(course[:, -1])) for course in courses.values())
say(f"(* the best of its column. The largest difference between draws is {spread:.1%}.)")

figure, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained", sharey=True)
for axis, task, chance in zip(axes, tasks, (1 / 2, 1 / 6, 1 / 2, 1 / 8), strict=True):
    for network in networks:
        steps = np.linspace(0, recipe["steps"], courses[network, task].shape[1])
        axis.plot(steps, courses[network, task].mean(axis=0), label=network)
    axis.axhline(chance, color="0.5", linestyle=":", linewidth=1)
    axis.set(title=task, xlabel="step", ylim=(0, 1.03))
axes[0].set_ylabel("accuracy on other examples")
axes[0].legend(loc="lower right", fontsize=8)
figure.savefig(options.out / "tasks.png", dpi=110)
plt.close(figure)
pictures(options.out / "tasks.png")

# %% [markdown]
# Read the table by columns.
#
# - **sum.** The bag throws the order away, and so doesn't have to find out that it means nothing:
#   40 weights are to be learned, and 2,000 examples are plenty. LSTM and attention *could* add up
#   as well, but they have to learn that from the same few examples. The CNN's maximum keeps the
#   strongest of the small groups it saw and forgets how many there were: it can't add.
# - **order.** A convolution with three places is the pattern itself, and the maximum takes it from
#   anywhere. The LSTM can also do it (remember the last two symbols, then keep the answer to the
#   end), but needs more steps: look at the picture. A bag has the same content for all six orders.
#   One layer of attention compares places by *what* and *where*, each by itself; "b directly after
#   a" would need a rule of its own for every place, too much for so few examples.
# - **brackets.** A count is a state, and a state is what an LSTM has. The bag sees eleven of each,
#   always. The CNN sees groups like `)))`, which make a false row likelier, no more. Attention sees
#   which places tend to close too early, which is most of the truth, but not the count.
# - **recall.** Attention asks all places at once: "who is box 3?", and the content is copied from
#   there, near or far. The LSTM must have kept all eight boxes in its state, because the question
#   comes last. The CNN would need the fact and the question within three places. The bag has all
#   the facts; but "box 3 holds 5 *and* box 3 is asked" is another hidden number for each of 64
#   pairs. (Why is nobody at 12.5 %? Who names the most frequent content of the row, whatever was
#   asked, is right in 32 % of them. So the bag's 37 % are not much of an answer.)
#
# Language needs all four, which is one reason why attention in *several* layers, which can imitate
# the others given enough data, took over. On real reviews the differences are much smaller (lesson
# 06): a review is mostly a sum, with some order in it ("not good").
#
# ## 4. Optimizers race down a valley
#
# A loss is seldom a round bowl. It is more like a valley: steep walls, and a floor that falls
# gently. The step that is right for the floor bounces between the walls. Four answers:
#
# - **SGD**: a small step straight downhill: $\theta \leftarrow \theta - \eta g$;
# - **momentum**: a ball: the pushes of the walls cancel, those of the floor add up;
# - **RMSprop**: divides each coordinate by how large its gradient usually is: steep directions take
#   smaller steps, flat ones larger;
# - **Adam**: both, and corrects the averages for having started at zero.
#
# The valley is $f = x^2/40 + 2 (y - \sin(x/2))^2$: it winds, with its lowest point at (0, 0). Each
# optimizer gets the best of many learning rates, judged after 60 steps. Picture: `valley.png`.

# %%


@differentiable
def sine(x):
    """Lesson 03: a function brings its own derivative."""
    return np.sin(x), lambda dy: dy * np.cos(x)


def valley(x, y):
    return x * x / 40 + 2 * (y - sine(x / 2)) ** 2


START, RACE = (-9.0, 0.2), 60
racers = {
    "SGD": lambda p, lr: optim.SGD(p, lr=lr),
    "momentum": lambda p, lr: optim.SGD(p, lr=lr, momentum=0.9),
    "RMSprop": lambda p, lr: optim.RMSprop(p, lr=lr, alpha=0.9),
    "Adam": lambda p, lr: optim.Adam(p, lr=lr),
}


def race(racer, lr):
    """The way down (RACE + 1, 2), and the height at each point."""
    place = [minillm.tensor(np.array(start), requires_grad=True) for start in START]
    optimizer = racers[racer](place, lr)
    way, heights = [], []
    for _ in range(RACE + 1):
        height = valley(*place)
        way.append([coordinate.item() for coordinate in place])
        heights.append(height.item())
        optimizer.zero_grad()
        height.backward()
        optimizer.step()
    return np.array(way), np.array(heights)


best = {}
for racer in racers:
    with np.errstate(all="ignore"):  # the largest rates fly away
        attempts = [(lr, *race(racer, lr)) for lr in np.geomspace(0.002, 0.6, recipe["rates"])]
    finite = [attempt for attempt in attempts if np.isfinite(attempt[2]).all()]
    best[racer] = min(finite, key=lambda attempt: attempt[2][-1])


def first_below(heights, level):
    below = np.flatnonzero(heights < level)
    return str(below[0]) if len(below) else "not yet"


table(
    [
        (racer, f"{lr:.3f}", first_below(f, 0.1), first_below(f, 0.01), f"{f[-1]:.1e}")
        for racer, (lr, _, f) in best.items()
    ],
    ("optimizer", "best rate", "steps to 0.1", "steps to 0.01", f"height after {RACE}"),
)

figure, axes = plt.subplots(2, 2, figsize=(11, 6.4), layout="constrained", sharex=True, sharey=True)
grid_x, grid_y = np.meshgrid(np.linspace(-10, 3, 260), np.linspace(-2.2, 2.2, 160))
f = grid_x**2 / 40 + 2 * (grid_y - np.sin(grid_x / 2)) ** 2
for axis, (racer, (lr, way, _)) in zip(axes.flat, best.items(), strict=True):
    axis.contour(
        grid_x, grid_y, f, levels=np.geomspace(0.02, 16, 14), colors="0.65", linewidths=0.7
    )
    axis.plot(*way.T, marker=".", markersize=5, linewidth=1, color="tab:red")
    axis.plot(*START, marker="o", color="tab:blue")
    axis.plot(0, 0, marker="*", markersize=13, color="tab:green")
    axis.set(title=f"{racer}, rate {lr:.3f}", xlim=(-10, 3), ylim=(-2.2, 2.2))
figure.savefig(options.out / "valley.png", dpi=110)
plt.close(figure)
pictures(options.out / "valley.png")

# %% [markdown]
# In the picture SGD finds the floor and then crawls: a larger rate would throw it out. Momentum
# rolls up the walls, and past the goal, but it gets there. RMSprop walks the floor with steps of
# one size; near the goal it can't make them smaller, and bounces. Adam does the same with a mean
# of the last gradients, in which the bounces cancel.
#
# Two things to keep in mind before you bet on a winner. The gradients here are exact; those of a
# network are estimates from a few examples. And the walls of this valley face mostly along y, as
# RMSprop and Adam like it: they divide each coordinate by itself.
#
# ## 5. Initialisation that dies and that doesn't
#
# Twelve layers, each $h \leftarrow \tanh(W h)$ with 100 numbers. Each output is a sum of 100
# products, so if the weights have the standard deviation $s$, a layer multiplies the size of what
# comes in by about $s \sqrt{100}$. Twelve layers multiply twelve times:
#
# - $s = 0.02$: by 0.2 each, to $10^{-9}$ in the end. All is nearly zero, and so is the gradient.
# - $s = 1$: tanh is pushed against its ends, ±1, where its slope is zero.
# - Xavier (Glorot and Bengio 2010): $s = \sqrt{2 / (n_\text{in} + n_\text{out}})$, here 0.1.
#   By 1 each.
# - ReLU throws half away, so the same rule halves the variance in each layer. He et al. (2015,
#   "Kaiming") make up for it: $s = \sqrt{2 / n_\text{in}}$.
#
# `initialisation.png` has the values in layers 1, 4, 8 and 12 before any training (the zeros of
# ReLU are only counted, not drawn), and the table says what some training makes of it.

# %%
DEPTH, WIDTH = 12, 100
starts = {
    "tanh, too small (0.02)": (F.tanh, lambda W: nn.init.normal_(W, std=0.02)),
    "tanh, too large (1)": (F.tanh, lambda W: nn.init.normal_(W, std=1.0)),
    "tanh, Xavier": (F.tanh, nn.init.xavier_normal_),
    "ReLU, Xavier": (F.relu, nn.init.xavier_normal_),
    "ReLU, Kaiming": (F.relu, lambda W: nn.init.kaiming_normal_(W, nonlinearity="relu")),
}
inputs = generator.normal(size=(512, WIDTH)).astype(np.float32)
labels = (inputs[:, 0] * inputs[:, 1] > 0).astype(int)  # both signs alike: not a linear question


def deep(start):
    """Layers initialised by one of the `starts`, the same random numbers for each."""
    minillm.manual_seed(options.seed)
    layers = [nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH)] + [nn.Linear(WIDTH, 2)]
    for layer in layers[:-1]:
        starts[start][1](layer.weight)
        nn.init.zeros_(layer.bias)
    nn.init.xavier_normal_(layers[-1].weight)  # the output layer is the same for all
    nn.init.zeros_(layers[-1].bias)
    return layers


def values(start, layers, x):
    """The output of every layer, the scores last."""
    h, found = minillm.tensor(x), []
    for layer in layers[:-1]:
        h = starts[start][0](layer(h))
        found.append(h)
    return [*found, layers[-1](h)]


rows = []
shown = (1, 4, 8, 12)
figure, axes = plt.subplots(
    len(starts), len(shown), figsize=(10, 9), layout="constrained", sharex="row"
)
for line, start in zip(axes, starts, strict=True):
    layers = deep(start)
    found = values(start, layers, inputs)
    F.cross_entropy(found[-1], minillm.tensor(labels)).backward()
    first_gradient = float(abs(layers[0].weight.grad).mean())
    for axis, number in zip(line, shown, strict=True):
        h = found[number - 1].numpy().ravel()
        title = f"layer {number}: std {h.std():.1g}"
        if start.startswith("tanh"):
            axis.hist(h, bins=60, range=(-1.05, 1.05), color="tab:blue")
        else:  # the zeros would hide the others
            axis.hist(h[h > 0], bins=60, range=(0, 3), color="tab:blue")
            title += f", {(h == 0).mean():.0%} zeros"
        axis.set_yticks([])
        axis.set_title(f"{start}\n{title}" if number == 1 else title, fontsize=9)
    optimizer = optim.SGD(
        [p for layer in layers for p in layer.parameters()], lr=0.02, momentum=0.9
    )
    for _ in range(recipe["deep_steps"]):
        loss = F.cross_entropy(values(start, layers, inputs)[-1], minillm.tensor(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    last = found[DEPTH - 1].numpy()
    ends = (abs(last) > 0.99).mean() if start.startswith("tanh") else (last == 0).mean()
    rows.append(
        (start, f"{last.std():.1e}", f"{ends:.0%}", f"{first_gradient:.0e}", f"{loss.item():.4f}")
    )
figure.savefig(options.out / "initialisation.png", dpi=100)
plt.close(figure)
pictures(options.out / "initialisation.png")
table(
    rows,
    (
        "start",
        "std in layer 12",
        "at the ends",
        "gradient in layer 1",
        f"loss after {recipe['deep_steps']} steps",
    ),
)
say(
    "('At the ends': tanh beyond 0.99, ReLU at zero. The gradient is the mean size of a number. "
    "The loss is that of the examples it was trained on; ln 2 = 0.6931 is guessing.)"
)

# %% [markdown]
# ## 6. Dropout and L2, on real words
#
# 200 real reviews, a bag of up to 2,000 words, and a network with 128,000 weights: it can learn all
# reviews by heart, and does. What counts is what it says about other reviews. Two remedies:
#
# - **L2** adds $\frac{\lambda}{2} \sum w^2$ to the loss: a weight has to be worth its size.
# - **Dropout** (Srivastava et al. 2014) removes half of the words and half of the hidden numbers at
#   random in each training step, and doubles the others; at the test everything is there. So no
#   number can rely on one certain other number.
#
# `overfitting.png` shows the loss on held-out reviews along the way, and the weights in the end.

# %%
FEW = 200
classes = len(reviews.label_names)
test_words = [split_words(clean_text(text)) for text in test_reviews.texts]
say(how_split)


def bags(sentences, vocabulary):
    """(N, V): 1 where a text has the word, divided by the root of how many it has."""
    bag = np.zeros((len(sentences), len(vocabulary)), np.float32)
    for row, words in zip(bag, sentences, strict=True):
        row[[vocabulary.index[word] for word in words if word in vocabulary]] = 1
    return bag / np.sqrt(np.maximum(bag.sum(axis=1, keepdims=True), 1))


class BagNetwork(nn.Module):
    def __init__(self, words, classes, dropout):
        super().__init__()
        self.hidden = nn.Linear(words, 64)
        self.output = nn.Linear(64, classes)
        self.dropout = dropout

    def forward(self, bag):
        bag = F.dropout(bag, self.dropout, self.training)
        h = F.dropout(F.relu(self.hidden(bag)), self.dropout, self.training)
        return self.output(h)


settings = {
    "nothing": (0.0, 0.0),
    "L2": (0.0, 2e-3),
    "dropout": (0.5, 0.0),
    "both": (0.5, 2e-3),
}  # (dropout, lambda)
outcome: dict = {name: [] for name in settings}
held_out_losses: dict = {name: [] for name in settings}
last_models = {}
for draw in range(recipe["review_draws"]):
    few = stratified_sample(reviews, min(FEW, len(reviews)), options.seed + draw)
    words = [split_words(clean_text(text)) for text in few.texts]
    vocabulary = WordCounts.count(words, min_count=2, max_vocab=2000)
    bag, test_bag = (minillm.tensor(bags(w, vocabulary)) for w in (words, test_words))
    few_labels, test_labels = (minillm.tensor(data.labels) for data in (few, test_reviews))
    for name, (dropout, l2) in settings.items():
        minillm.manual_seed(options.seed + draw)
        batches = np.random.default_rng([options.seed, draw])
        model = BagNetwork(len(vocabulary), classes, dropout)
        matrices = [p for p in model.parameters() if p.ndim == 2]  # biases may be as they like
        optimizer = optim.Adam(model.parameters(), lr=3e-3)
        course = []
        for step in range(recipe["review_steps"]):
            batch = batches.integers(0, len(few), 32)
            loss = F.cross_entropy(model(bag[batch]), few_labels[batch])
            if l2:
                for W in matrices:
                    loss = loss + 0.5 * l2 * F.sum(W * W)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 10 == 9:
                model.eval()
                with minillm.no_grad():
                    scores = model(test_bag)
                    course.append(F.cross_entropy(scores, test_labels).item())
                    trained = model(bag).numpy().argmax(axis=1)
                model.train()
        right = float((scores.numpy().argmax(axis=1) == test_reviews.labels).mean())
        W = model.hidden.weight.numpy()
        outcome[name].append(
            (
                float((trained == few.labels).mean()),
                right,
                course[-1],
                float(np.sqrt((W**2).mean())),
            )
        )
        held_out_losses[name].append(course)
        last_models[name] = model

averages = {name: np.mean(values, axis=0) for name, values in outcome.items()}
apart = max(float(np.ptp([right for _, right, *_ in values])) for values in outcome.values())
table(
    [
        (name, f"{train:.1%}", f"{test:.1%}", f"{loss:.3f}", f"{weight:.4f}")
        for name, (train, test, loss, weight) in averages.items()
    ],
    ("remedy", "training accuracy", "held-out accuracy", "held-out loss", "size of a weight"),
)
say(
    f"(Means over {recipe['review_draws']} draw(s) of {len(few)} training texts; "
    f"{len(test_reviews):,} held-out texts; between draws, the held-out accuracy of one remedy "
    f"differs by up to {apart:.1%}; a network of {model.num_parameters():,} parameters. "
    "The size of a weight is the root of the mean square in the first layer.)"
)

figure, (left, right_axis) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for name in settings:
    mean_course = np.mean(held_out_losses[name], axis=0)
    left.plot(10 * np.arange(1, len(mean_course) + 1), mean_course, label=name)
    W = last_models[name].hidden.weight.numpy().ravel()
    right_axis.hist(W, bins=120, range=(-0.3, 0.3), histtype="step", label=name)
left.axhline(np.log(classes), color="0.5", linestyle=":", linewidth=1)
left.set(xlabel="step", ylabel="loss on held-out texts", title="learning, and learning by heart")
left.legend()
right_axis.set(yscale="log", xlabel="weight", ylabel="how many", title="weights of the first layer")
right_axis.legend()
figure.savefig(options.out / "overfitting.png", dpi=110)
plt.close(figure)
pictures(options.out / "overfitting.png")

# %% [markdown]
# Read the left picture from left to right. In the end every network knows its 200 reviews by heart.
# Without a remedy the loss on other reviews turns after some 60 steps and climbs: not because more
# answers become wrong (the accuracy stays where it was), but because the network grows surer and
# surer of its wrong answers, as its weights grow. Dropout delays that, L2 puts a bound on the
# weights, and both together nearly stop it.
#
# Don't expect more of them here: the accuracy differs less between remedies than between draws of
# 200 reviews. Stopping after 60 steps would have done as well; lesson 06 shows how to choose such
# things without looking at the test. What speaks for each class, word by word:

# %%


def telling_words(model, n=10):
    """For each class the words that push its score most: through both layers, as if linear."""
    effect = model.output.weight.numpy() @ model.hidden.weight.numpy()  # (classes, words)
    effect = effect - effect.mean(axis=0)
    return [[vocabulary.words[i] for i in np.argsort(-row)[:n]] for row in effect]


for name in ("nothing", "both"):
    rows = zip(reviews.label_names, telling_words(last_models[name]), strict=True)
    say(f"With {name}, the words that speak most for each class:")
    table([(label, " ".join(words)) for label, words in rows], ("class", "words"))

# %%
seconds = time.perf_counter() - begun
(options.out / "results.json").write_text(
    json.dumps(
        {
            "repair": repair,
            "tasks": {
                task: {network: float(courses[network, task][:, -1].mean()) for network in networks}
                for task in tasks
            },
            "valley": {racer: float(f[-1]) for racer, (_, _, f) in best.items()},
            "remedies": {name: [float(v) for v in values] for name, values in averages.items()},
        },
        indent=2,
    )
    + "\n"
)
say(f"Saved: {options.out / 'results.json'}. All in {seconds:.0f} seconds.")

# %% [markdown]
# ## Questions
#
# 1. In section 1, leave `1/N` out of `dz`. By which factor must the rate change so that the step
#    is the same? What does that say about rates and batch sizes?
# 2. The slope of cross-entropy by the score is p - 1. What is it for the answer "no"?
# 3. Write down a CNN of three layers. How many places does one of its numbers see? How many layers
#    would "brackets" need for rows of 24, of 1,000?
# 4. Why does the bag reach exactly chance for "order", and more than chance for "recall"? What
#    would it need to be perfect there?
# 5. Turn the valley by 45 degrees (x + y and x - y in the place of x and y). Which optimizers mind?
# 6. Start all weights at zero. What do the hidden numbers of one layer have in common, then and
#    for ever after?
# 7. Dropout doubles what stays. What would happen at the test if it didn't?
#
# ## Exercise
#
# `lessons/exercises/ex04_networks.py` asks for the parts: a linear layer's gradient, binary
# cross-entropy, the maximum over places, an LSTM step, attention that doesn't look ahead, momentum,
# Adam, a schedule, an initialisation, dropout. It is graded by
# `python -m pytest tests/exercises -k ex04`.

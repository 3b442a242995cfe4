"""Pictures of classifiers (matplotlib, from the extra `lessons`)."""

import os
from collections.abc import Mapping, Sequence

import numpy as np

from minillm.evaluation.calibration import expected_calibration_error, reliability_bins
from minillm.evaluation.inputs import score_array
from minillm.evaluation.pictures import pyplot
from minillm.evaluation.ranking import auc, roc_curve


def _something(name: str, given: Mapping) -> None:
    if not given:
        raise ValueError(f"{name} is empty: nothing to draw")


def plot_confusion_matrix(
    matrix: np.ndarray, label_names: Sequence[str], path: str | os.PathLike
) -> None:
    """A row for each true class, a column a prediction; colour: the part of the row.

    matrix: (K, K) counts, as confusion_matrix gives them; label_names: K names.  Raises ValueError
    if their numbers differ.
    """
    matrix = np.asarray(matrix)
    K = len(label_names)
    if matrix.shape != (K, K):
        raise ValueError(f"matrix has the shape {matrix.shape} for {K} names: ({K}, {K}) expected")
    total = matrix.sum(axis=1, keepdims=True)
    part = matrix / np.where(total == 0, 1, total)
    plt = pyplot()
    size = max(3.6, 1.2 + 0.75 * K)
    figure, axis = plt.subplots(figsize=(size + 0.8, size), layout="constrained")
    image = axis.imshow(part, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axis, label="part of the true class", shrink=0.8)
    for row in range(K):
        for column in range(K):
            colour = "white" if part[row, column] > 0.5 else "black"
            text = f"{matrix[row, column]:,}\n{part[row, column]:.1%}"
            axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    axis.set_xticks(range(K), label_names, rotation=45 if K > 3 else 0)
    axis.set_yticks(range(K), label_names)
    axis.set(xlabel="predicted", ylabel="true")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_roc(
    y_true, y_scores: Mapping[str, Sequence], path: str | os.PathLike, pos_label=None
) -> None:
    """The ROC curve of each model, with its AUC; the diagonal is what guessing gives.

    y_true: (N,) labels of both classes; y_scores: model's name -> (N,) scores of pos_label.
    Raises ValueError where roc_curve does, and for one class.
    """
    _something("y_scores", y_scores)
    labels = np.unique(y_true)
    if len(labels) != 2:
        raise ValueError(f"y_true holds {labels.tolist()}: a ROC curve needs two classes")
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(5, 5), layout="constrained")
    axis.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    for name, scores in y_scores.items():
        fpr, tpr, _ = roc_curve(y_true, scores, pos_label=pos_label)
        axis.plot(fpr, tpr, label=f"{name}: AUC {auc(fpr, tpr):.3f}")
    axis.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axis.legend(loc="lower right")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_calibration(
    y_true,
    probabilities: Mapping[str, Sequence],
    path: str | os.PathLike,
    n_bins: int = 15,
    labels=None,
) -> None:
    """The reliability diagram: accuracy by confidence, and below how often each confidence occurs.

    y_true: (N,) labels; probabilities: model's name -> (N, C) or (N,); bins, labels and errors as
    in `reliability_bins`.  Below the diagonal a model is too sure of itself, above it too modest.
    """
    _something("probabilities", probabilities)
    bins = {
        name: reliability_bins(y_true, p, n_bins=n_bins, labels=labels)
        for name, p in probabilities.items()
    }
    plt = pyplot()
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(5, 6), height_ratios=(3, 1), sharex=True, layout="constrained"
    )
    upper.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    edges = np.linspace(0, 1, n_bins + 1)
    for name, (confidence, accuracy, rows) in bins.items():
        error = expected_calibration_error(
            y_true, probabilities[name], n_bins=n_bins, labels=labels
        )
        filled = rows > 0
        upper.plot(
            confidence[filled], accuracy[filled], marker="o", label=f"{name}: ECE {error:.3f}"
        )
        lower.stairs(rows / rows.sum(), edges)
    first = min(edges[np.flatnonzero(rows)[0]] for _, _, rows in bins.values())
    upper.set(ylabel="accuracy", title="calibration", ylim=(-0.02, 1.02))
    upper.legend(loc="lower right")
    lower.set(xlabel="confidence", ylabel="part of rows", xlim=(first - 0.02, 1.02))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_learning_curves(
    curves: Mapping[str, Sequence[tuple[float, float, float, float]]],
    path: str | os.PathLike,
    ylabel: str = "accuracy",
) -> None:
    """A line a model over the number of labelled examples (logarithmic), with intervals.

    curves: model's name -> [(examples, mean, low, high), ...].  Raises ValueError for a point that
    isn't finite or doesn't have low <= mean <= high, and for less than one example.
    """
    _something("curves", curves)
    checked = {}
    for name, points in curves.items():
        values = score_array(f"curves[{name!r}]", points, columns=True)
        if values.ndim != 2 or values.shape[1] != 4:
            raise ValueError(f"curves[{name!r}]: a list of (examples, mean, low, high) expected")
        for i, (n, mean, low, high) in enumerate(values.tolist()):
            if n < 1 or not low <= mean <= high:
                raise ValueError(
                    f"curves[{name!r}][{i}] is {(n, mean, low, high)}: (examples, mean, low, "
                    "high) with examples >= 1 and low <= mean <= high expected"
                )
        checked[name] = values[np.argsort(values[:, 0])].T
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    for name, (n, mean, low, high) in checked.items():
        (line,) = axis.plot(n, mean, marker="o", label=name)
        axis.fill_between(n, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        axis.errorbar(n, mean, (mean - low, high - mean), color=line.get_color(), capsize=3)
    axis.set_xscale("log")
    counts = np.unique(np.concatenate([values[0] for values in checked.values()]))
    axis.set_xticks(counts, [f"{n:,.0f}" for n in counts])
    axis.set_xticks([], minor=True)
    axis.set(xlabel="labelled examples", ylabel=ylabel)
    axis.grid(alpha=0.3)
    axis.legend(loc="best")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_fitting(
    runs: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
    path: str | os.PathLike,
    xlabel: str = "epoch",
    ylabel: str = "loss",
    best: str = "lowest",
) -> None:
    """Under- and over-fitting: a panel a run, on one scale, with its training and validation lines.

    runs: run's name -> {"training": [(x, y), ...], "validation": [(x, y), ...]} (other names for
    the lines, too).  A dotted line marks the best validation value, the "lowest" (a loss) or the
    "highest" (an accuracy): what is learned after it is learned by heart.  Raises ValueError for
    points that aren't finite.
    """
    if best not in ("lowest", "highest"):
        raise ValueError(f"best={best!r}: 'lowest' or 'highest' expected")
    _something("runs", runs)
    checked = {
        (run, name): score_array(f"runs[{run!r}][{name!r}]", points, columns=True)
        for run, lines in runs.items()
        for name, points in lines.items()
    }
    for (run, name), points in checked.items():
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"runs[{run!r}][{name!r}]: a list of (x, y) expected")
    plt = pyplot()
    figure, axes = plt.subplots(
        1,
        len(runs),
        figsize=(1 + 3.6 * len(runs), 3.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, run in zip(axes[0], runs, strict=True):
        for name in runs[run]:
            x, y = checked[run, name].T
            axis.plot(x, y, label=name)
            if name == "validation":
                place = y.argmin() if best == "lowest" else y.argmax()
                axis.axvline(x[place], color="0.5", linestyle=":", linewidth=1)
        axis.set(title=run, xlabel=xlabel)
        axis.legend(loc="best")
    axes[0, 0].set_ylabel(ylabel)
    figure.savefig(path, dpi=110)
    plt.close(figure)

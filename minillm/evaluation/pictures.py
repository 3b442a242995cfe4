"""Pictures of a run (matplotlib, from the extra `lessons`)."""

import os
from collections.abc import Sequence

import numpy as np


def pyplot():
    """matplotlib.pyplot, drawing into files; an ImportError that says how to get it."""
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'minillm[lessons]'") from error
    matplotlib.use("Agg")  # draw into files: no screen is needed
    from matplotlib import pyplot as module

    return module


def plot_pretraining(
    metrics: Sequence[dict],
    path: str | os.PathLike,
    levels: dict[str, float] | None = None,
) -> None:
    """The training loss by step, and the held-out accuracies beside the baselines' levels.

    metrics: what the trainer wrote: dicts with "step" and "loss", or "step" and "validation_...".
    levels: name -> accuracy, drawn as dashed lines.
    """
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    steps = [m["step"] for m in metrics if "loss" in m]
    losses = np.array([m["loss"] for m in metrics if "loss" in m])
    left.plot(steps, losses, color="0.8", linewidth=0.8, label="each step")
    if len(losses) >= 20:
        width = max(len(losses) // 40, 2)
        smooth = np.convolve(losses, np.ones(width) / width, mode="valid")
        left.plot(steps[width - 1 :], smooth, color="tab:blue", label=f"mean of {width}")
    left.set(xlabel="step", ylabel="training loss (nats)", title="loss")
    left.legend()
    for key, name, colour in (
        ("validation_mlm_accuracy", "masked words", "tab:blue"),
        ("validation_nsp_accuracy", "next sentence", "tab:orange"),
    ):
        points = [(m["step"], m[key]) for m in metrics if key in m]
        if points:
            right.plot(*zip(*points, strict=True), marker=".", color=colour, label=name)
    for (name, level), style in zip((levels or {}).items(), ("--", ":", "-.", "--"), strict=False):
        right.axhline(level, linestyle=style, color="0.4", linewidth=1)
        right.annotate(
            name, (0.01, level), xycoords=("axes fraction", "data"), va="bottom", fontsize=8
        )
    right.set(xlabel="step", ylabel="accuracy", title="held-out documents", ylim=(0, 1))
    right.legend(loc="upper left")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_attention(
    attentions: Sequence[np.ndarray], tokens: Sequence[str], path: str | os.PathLike
) -> None:
    """One map a layer and head: how much the token of each row looks at that of each column.

    attentions: for each layer an array (heads, L, L); tokens: the L labels.
    """
    plt = pyplot()
    layers, heads = len(attentions), len(attentions[0])
    size = max(2.2, 0.14 * len(tokens))
    figure, axes = plt.subplots(
        layers, heads, figsize=(size * heads, size * layers), squeeze=False, layout="constrained"
    )
    for layer, maps in enumerate(attentions):
        for head, weights in enumerate(maps):
            axis = axes[layer, head]
            axis.imshow(weights, cmap="Blues", vmin=0, vmax=1)
            axis.set_title(f"layer {layer + 1}, head {head + 1}", fontsize=8)
            axis.set_xticks(range(len(tokens)), tokens, rotation=90, fontsize=6)
            axis.set_yticks(range(len(tokens)), tokens, fontsize=6)
    figure.savefig(path, dpi=110)
    plt.close(figure)

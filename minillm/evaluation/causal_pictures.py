"""The picture of a run that learns to predict the next token (matplotlib, extra `lessons`)."""

import os
from collections.abc import Sequence

import numpy as np

from minillm.evaluation.pictures import pyplot


def plot_causal(
    metrics: Sequence[dict],
    path: str | os.PathLike,
    levels: dict[str, float] | None = None,
) -> None:
    """The loss by step, in training and on held-out text, beside the levels of other models.

    metrics: what the trainer wrote: dicts with "step" and "loss", some with "validation_loss".
    levels: name -> loss in nats a token, drawn as dashed lines; on the right their perplexity.
    """
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    steps = [m["step"] for m in metrics]
    losses = np.array([m["loss"] for m in metrics])
    axis.plot(steps, losses, color="0.8", linewidth=0.8, label="each step")
    width = max(len(losses) // 40, 1)
    if width > 1:
        smooth = np.convolve(losses, np.ones(width) / width, mode="valid")
        axis.plot(steps[width - 1 :], smooth, color="tab:blue", label=f"mean of {width} steps")
    points = [(m["step"], m["validation_loss"]) for m in metrics if "validation_loss" in m]
    if points:
        axis.plot(*zip(*points, strict=True), marker="o", color="tab:orange", label="held out")
    for (name, level), style in zip((levels or {}).items(), ("--", "-.", ":", "--"), strict=False):
        axis.axhline(level, linestyle=style, color="0.4", linewidth=1)
        axis.annotate(
            f"{name} (perplexity {np.exp(level):,.0f})",
            (0.99, level),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8,
        )
    axis.set(xlabel="step", ylabel="loss (nats a token)")
    axis.legend(loc="upper center")
    figure.savefig(path, dpi=110)
    plt.close(figure)

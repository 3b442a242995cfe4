"""Which parameters an optimizer treats alike: what decays, what learns more slowly, what is frozen.

A group is a dict {"params": [...], option: value, ...}; what it leaves out is as the Trainer says.
Besides the optimizer's options a group may have an "lr_scale": the scheduled learning rate is
multiplied by it.  A parameter with requires_grad=False (`module.requires_grad_(False)` freezes all
parameters of a module) is in no group: it gets no gradient, and stays as it is.
"""

import math
from collections.abc import Callable, Iterable

from minillm.nn import Module


def parameter_groups(model: Module, weight_decay: float) -> list[dict]:
    """Matrices decay; biases and LayerNorm weights (less than 2-d) don't.

    Decay pulls towards 0.  That makes a matrix simpler, but a norm's weight belongs near 1.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def layerwise_groups(
    model: Module,
    weight_decay: float,
    decay: float,
    layer_of: Callable[[str], int] | None = None,
) -> list[dict]:
    """Layer-wise learning rates for fine-tuning (Howard & Ruder 2018, "discriminative
    fine-tuning"; Sun et al. 2019, section 5.3.4).

        rate of depth d = decay^(top - d) * the scheduled rate

    The lower a layer, the more general is what pretraining has taught it, and the less should a
    few labelled examples change it.  With n encoder layers of depth 1 to n, the embeddings at 0
    and the head at top = n + 1: the head has the whole rate, the uppermost layer `decay` times
    it, the lowest decay^n, the embeddings decay^(n + 1).  decay = 1: the same rate everywhere.

    layer_of: from a parameter's name to its depth; the model's own method of this name if left
    out.  Within a depth, weight decay is for matrices only, as in `parameter_groups`.
    Raises ValueError for a decay outside (0, 1], or if nobody says how deep a parameter stands.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"decay={decay}, expected more than 0 and at most 1")
    layer_of = layer_of or getattr(model, "layer_of", None)
    if layer_of is None:
        raise ValueError(
            f"{type(model).__name__} has no method layer_of(name) that tells a parameter's depth: "
            "give layer_of=, a function from a parameter's name to 0 (lowest), 1, 2, ..."
        )
    depths = {name: layer_of(name) for name, _ in model.named_parameters()}
    top = max(depths.values())  # of all, so that freezing some changes no rate
    groups = []
    for depth in sorted(set(depths.values())):
        parameters = [
            p for name, p in model.named_parameters() if depths[name] == depth and p.requires_grad
        ]
        for kind, members, group_decay in (
            ("matrices", [p for p in parameters if p.ndim >= 2], weight_decay),
            ("vectors", [p for p in parameters if p.ndim < 2], 0.0),
        ):
            groups.append(
                {
                    "name": f"depth {depth}, {kind}",
                    "params": members,
                    "weight_decay": group_decay,
                    "lr_scale": decay ** (top - depth),
                }
            )
    return [group for group in groups if group["params"]]


def split_scales(model: Module, groups: Iterable[dict]) -> tuple[list[dict], list[float]]:
    """The groups without "lr_scale", as an optimizer understands them, and the scales.

    Raises ValueError if nothing is to be trained, a parameter that wants a gradient is in no
    group, a group brings a rate of its own, or a scale is negative or no number.
    """
    groups = [dict(group) for group in groups]
    scales = [float(group.pop("lr_scale", 1.0)) for group in groups]
    for group, scale in zip(groups, scales, strict=True):
        if "lr" in group:
            raise ValueError(
                f"a parameter group has lr={group['lr']}, but the rate follows the schedule: give "
                "the group an lr_scale, by which the scheduled rate is multiplied"
            )
        if not 0 <= scale < math.inf:
            raise ValueError(f"a parameter group has lr_scale={scale}, expected 0 or more")
        group["params"] = list(group["params"])
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError("nothing to train: all parameters of the model are frozen")
    grouped = {id(p) for group in groups for p in group["params"]}
    for name, p in model.named_parameters():
        if p.requires_grad and id(p) not in grouped:
            raise ValueError(
                f"the parameter {name} is in no group, so it would not be trained: put it into "
                "one, or freeze it with requires_grad_(False)"
            )
    return groups, scales


def describe_groups(groups: list[dict], scales: list[float]) -> list[dict]:
    """The groups in JSON-able form: their options (the rate of the moment left out), and how many
    parameters each has."""
    return [
        {name: value for name, value in group.items() if name != "lr"}
        | {"lr_scale": scale, "params": len(group["params"])}
        for group, scale in zip(groups, scales, strict=True)
    ]

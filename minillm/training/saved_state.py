"""What a checkpoint says of the optimizer and its companions, checked before any of it is believed.

Digests tell that a file is what somebody wrote, and not who wrote it.  So each entry must be of the
kind that this run's own state has in its place: numbers where numbers stand, arrays of the right
shape.  All of these functions raise ValueError, which names the entry, and change nothing.
"""

from collections.abc import Mapping
from typing import Any


def check_optimizer_state(saved: Mapping, own: Mapping) -> None:
    """saved: as `Optimizer.state_dict` gives it, from a file.  own: this optimizer's."""
    groups, steps = saved["groups"], saved["steps"]
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise ValueError(f"the optimizer's groups are {groups!r:.80}, expected a list of objects")
    if not isinstance(steps, list) or not all(_is_count(step) for step in steps):
        raise ValueError(f"the optimizer's steps are {steps!r:.80}, expected a list of counts")
    kinds, expected = ([_kinds(group) for group in all] for all in (groups, own["groups"]))
    for place, (found, wanted) in enumerate(zip(kinds, expected, strict=False)):
        for name in {**wanted, **found}:
            if found.get(name) != wanted.get(name):
                raise ValueError(
                    f"option {name!r:.80} of the optimizer's group {place} is "
                    f"{groups[place].get(name, 'missing')!r:.80}, here it is "
                    f"{own['groups'][place].get(name, 'unknown')!r:.80}"
                )
    for name, array in saved["state"].items():
        if array.dtype.kind != "f":
            raise ValueError(f"the optimizer's {name} is {array.dtype}, expected floating numbers")


def check_early_stopping_state(saved: Mapping, parameters: Mapping) -> None:
    """saved: as `EarlyStopping.state_dict` gives it.  parameters: {name: array} of the model."""
    for name in ("best_step", "waited"):
        if not _is_count(saved[name]):
            raise ValueError(f"early stopping's {name} is {saved[name]!r:.80}, expected a count")
    if saved["best_value"] is not None and _kind(saved["best_value"]) != "number":
        raise ValueError(f"early stopping's best_value is {saved['best_value']!r:.80}, no number")
    best = saved["parameters"]
    if best and best.keys() != parameters.keys():
        raise ValueError("the best parameters have other names than the model's")
    for name, array in best.items():
        if array.shape != parameters[name].shape or array.dtype.kind != "f":
            raise ValueError(
                f"the best {name} is {array.dtype} of shape {array.shape}, the model's of shape "
                f"{parameters[name].shape}"
            )


def check_scaler_state(saved: Any) -> None:
    """saved: as `GradScaler.state_dict` gives it."""
    if not isinstance(saved, dict) or any(_kind(v) != "number" for v in saved.values()):
        raise ValueError(f"the scaler's state is {saved!r:.80}, expected an object of numbers")
    if not 0 < saved["scale"] < float("inf") or not _is_count(saved["good_steps"]):
        raise ValueError(f"the scaler's state is {saved!r:.80}, expected positive numbers")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _kinds(group: Mapping) -> dict[str, Any]:
    return {name: value if name == "params" else _kind(value) for name, value in group.items()}


def _kind(value: Any) -> Any:
    """What a value is in JSON; of a list, what its elements are."""
    if isinstance(value, list | tuple):
        return [_kind(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return type(value).__name__

"""What all optimizers share: parameter groups, checks, and a state that can be saved.

A concrete optimizer is one formula, `update`, which moves one parameter's array in place.  Its
moments (running averages of the gradient) are arrays made once, at the parameter's first step.
"""

from abc import ABC, abstractmethod

from minillm import profiler
from minillm.autograd import Tensor
from minillm.backend import device_of


class Optimizer(ABC):
    """Base class.  params: Tensors, or groups {"params": [...], "lr": ..., ...} as in PyTorch.

    param_groups: a list of dicts with "params" and every option; what a group leaves out comes
    from `defaults`.  Change `group["lr"]` before a step to follow a schedule.
    """

    def __init__(self, params, defaults: dict):
        if isinstance(params, Tensor):
            raise TypeError("params must be a list of parameters or of groups, got one Tensor")
        groups = list(params)
        if not groups:
            raise ValueError("the list of parameters is empty: there is nothing to optimize")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        self.defaults = defaults
        self.param_groups: list[dict] = []
        # One entry for each parameter, in the order of the groups:
        self.moments: list[dict] = []  # {"exp_avg": array, ...}
        self.steps: list[int] = []  # how often it was updated
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, group: dict) -> None:
        """Add {"params": [...], options}.

        Raises ValueError for an unknown option or a parameter given twice, TypeError for what is
        no leaf Tensor.
        """
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        unknown = set(group) - set(self.defaults) - {"params", "name"}
        if unknown:
            raise ValueError(
                f"{type(self).__name__} has no option {', '.join(sorted(unknown))}: expected "
                f"{', '.join(self.defaults)} (or a name)"
            )
        known = {id(p) for _, p, _ in self._numbered()}
        for place, p in enumerate(params):
            if not isinstance(p, Tensor) or not p.is_leaf:
                what = type(p).__name__ if not isinstance(p, Tensor) else "a computed Tensor"
                raise TypeError(f"params[{place}] must be a leaf Tensor (a Parameter), got {what}")
            if id(p) in known:
                raise ValueError(
                    f"params[{place}], shape {p.shape}, was given before: it would be updated twice"
                )
            known.add(id(p))
        group = {**self.defaults, **group, "params": params}
        self.check_options(group)
        self.param_groups.append(group)
        self.moments += [{} for _ in params]
        self.steps += [0] * len(params)

    def check_options(self, options: dict) -> None:
        """Raise ValueError for options out of range."""
        for name in ("lr", "eps", "weight_decay", "momentum"):
            if not options.get(name, 0) >= 0:
                raise ValueError(f"{name} must not be negative, got {options[name]}")

    def zero_grad(self) -> None:
        """Forget all gradients (`.grad` becomes None)."""
        for _, p, _ in self._numbered():
            p.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient; the others stay as they are.

        Raises ValueError, before anything is changed, for a gradient that doesn't fit.
        """
        for index, p, _ in self._numbered():
            self._check(index, p)
        for index, p, group in self._numbered():
            if p.grad is not None:
                self.steps[index] += 1
                arguments = p.data, p.grad, self.moments[index], self.steps[index], group
                if profiler.active is None:
                    self.update(*arguments)
                else:
                    profiler.active.update(f"{type(self).__name__}.update", self.update, *arguments)

    @abstractmethod
    def update(self, p, g, moments: dict, step: int, options: dict) -> None:
        """Move the array p, whose gradient is g, in place: its update number `step` (from 1)."""

    def _numbered(self):
        """(index, parameter, group) over all groups."""
        index = 0
        for group in self.param_groups:
            for p in group["params"]:
                yield index, p, group
                index += 1

    def _check(self, index, p):
        g = p.grad
        if g is not None and (g.shape != p.shape or g.dtype != p.dtype):
            raise ValueError(
                f"parameter {index} is {p.dtype} of shape {p.shape}, but its gradient {g.dtype} of "
                f"shape {g.shape}"
            )
        for name, moment in self.moments[index].items():
            if moment.dtype != p.dtype or device_of(moment) is not device_of(p.data):
                raise ValueError(
                    f"parameter {index} is {p.dtype} on {p.device}, but its {name} {moment.dtype} "
                    f"on {device_of(moment).name}: make the optimizer after module.to(...)"
                )

    # -------------------------------------------------------------------------------- state_dict

    def state_dict(self) -> dict:
        """{"groups": options, "steps": a number for each parameter, "state": {"0.exp_avg": array}}.

        "groups" (in each, "params" are the parameters' numbers) and "steps" go into JSON, "state"
        into a file of arrays.  The arrays are the optimizer's own: later steps change them.
        """
        groups, start = [], 0
        for group in self.param_groups:
            stop = start + len(group["params"])
            groups.append({**group, "params": list(range(start, stop))})
            start = stop
        state = {
            f"{index}.{name}": moment
            for index, moments in enumerate(self.moments)
            for name, moment in moments.items()
        }
        return {"groups": groups, "steps": list(self.steps), "state": state}

    def load_state_dict(self, state_dict: dict) -> None:
        """Continue from a `state_dict`: options, step numbers, and copies of the moments.

        Raises ValueError, before anything is changed, if it belongs to other parameters.
        """
        groups, steps, state = (state_dict[key] for key in ("groups", "steps", "state"))
        sizes = [len(group["params"]) for group in self.param_groups]
        given = [len(group["params"]) for group in groups]
        if given != sizes or len(steps) != sum(sizes):
            raise ValueError(
                f"the optimizer's state is for groups of {given} parameters, this optimizer has "
                f"groups of {sizes}"
            )
        parameters = [p for _, p, _ in self._numbered()]
        moments: list[dict] = [{} for _ in parameters]
        for key, array in state.items():
            number, _, name = key.partition(".")
            if not number.isdecimal() or not name or int(number) >= len(parameters):
                raise ValueError(f"the optimizer's state has an unknown entry {key!r}")
            p = parameters[int(number)]
            if array.shape != p.shape:
                raise ValueError(
                    f"the optimizer's state {key} is {array.shape}, its parameter {p.shape}"
                )
            array = Tensor(array).to(p.device, p.dtype).data
            moments[int(number)][name] = array.copy()
        options = []
        for group in groups:  # JSON turns tuples into lists
            options.append({k: tuple(v) if isinstance(v, list) else v for k, v in group.items()})
            self.check_options(options[-1])
        for group, loaded in zip(self.param_groups, options, strict=True):
            group.update({k: v for k, v in loaded.items() if k != "params"})
        self.moments, self.steps = moments, list(steps)

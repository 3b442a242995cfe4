"""Early stopping: keep the parameters that were best on held-out data, not the last ones.

A network that is trained long enough learns its examples by heart: the training loss goes on
falling while the held-out loss rises again (Prechelt 1998, "Early stopping - but when?").  So each
validation gives one number by which the parameters of that step are judged.  A copy of the best
ones is kept, and when a better one hasn't come for a while, training ends.
"""

from collections.abc import Mapping

from minillm.nn import Module


class EarlyStopping:
    """Judges the model after each validation.

    monitor: a name that the validation returns.  More is better ("accuracy"); with a minus sign
        before the name, less is better ("-loss").  Of equals the earlier is kept.
    patience: stop after so many validations in a row that weren't better than the best before
        them; None: never, only keep the best.
    best_step: how many updates the best model has seen; 0 before the first validation.
    best_value: its `monitor`, as the validation returned it.
    """

    def __init__(self, monitor: str, patience: int | None = None):
        self.monitor, self.patience = monitor, patience
        self.best_step = 0
        self.best_value: float | None = None
        self.best_parameters: dict = {}  # a state_dict of copies
        self.waited = 0  # validations since the best one

    def update(self, step: int, values: Mapping[str, float], model: Module) -> None:
        """Take note of a validation after `step` updates; nan is never better.

        Raises ValueError if `values` doesn't hold what is to be monitored.
        """
        name = self.monitor.removeprefix("-")
        if name not in values:
            raise ValueError(
                f"monitor={self.monitor!r}: validate returned no {name!r}, only "
                f"{', '.join(map(repr, values)) or 'an empty dict'}"
            )
        value = values[name]
        if self._better(value):
            self.best_step, self.best_value, self.waited = step, value, 0
            self.best_parameters = {n: array.copy() for n, array in model.state_dict().items()}
        else:
            self.waited += 1

    def _better(self, value: float) -> bool:
        if self.best_value is None:
            return value == value  # anything but nan
        less_is_better = self.monitor.startswith("-")
        return value < self.best_value if less_is_better else value > self.best_value

    @property
    def stop(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.waited >= self.patience

    def restore(self, model: Module) -> None:
        """Give `model` the best parameters, if there was any validation."""
        if self.best_parameters:
            model.load_state_dict(self.best_parameters)

    def __str__(self):
        if self.best_value is None:
            return f"no validation gave a number as {self.monitor.removeprefix('-')}"
        name = self.monitor.removeprefix("-")
        return f"the best {name}, {self.best_value:.4g}, was after step {self.best_step:,}"

    def state_dict(self) -> dict:
        """ "parameters" goes into a file of arrays, the rest into JSON (see checkpoint.py)."""
        return {
            "best_step": self.best_step,
            "best_value": self.best_value,
            "waited": self.waited,
            "parameters": self.best_parameters,
        }

    def load_state_dict(self, state: Mapping) -> None:
        """Go on where a `state_dict` was made."""
        self.best_step, self.best_value = state["best_step"], state["best_value"]
        self.waited = state["waited"]
        self.best_parameters = dict(state["parameters"])

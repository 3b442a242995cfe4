"""Training in float16: the loss is scaled so that small gradients don't vanish (Micikevicius et al.
2018, section 3.2).

    scaler = GradScaler()
    for batch in batches:
        with minillm.autocast(minillm.float16):     # autocast.py: what is float16, what isn't
            loss = model(**batch).loss
        scaler.scale(loss).backward()               # gradients of scale * loss
        scaler.unscale_(optimizer)                  # gradients of the loss again, in float32
        clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)                      # unless a gradient is inf or nan
        scaler.update()
        optimizer.zero_grad()

(`Trainer(..., precision="float16")` does this.)  float16 has nothing between 0 and 6e-8, and many
gradients of activations are smaller than that.  The chain rule is linear: with scale * loss all of
them are `scale` times as large.  Too large a scale drives the largest ones beyond 65,504, to inf;
then the step is not made, and the scale is halved.  After `growth_interval` good steps in a row it
is doubled, to find out whether there is room.  So it follows the gradients, which become smaller
while a network learns.  Powers of two only: dividing by them again is exact.

Clipping comes after unscaling, and accumulated gradients are unscaled once, after the last: all
micro batches of a step have the same scale.
"""

import contextlib
from typing import Any

import numpy as np

from minillm import functional as F
from minillm.autograd import Tensor
from minillm.backend import array_module

PRECISIONS = ("float32", "float16")


def scale_loss(loss: Tensor, scale: float) -> Tensor:
    """loss * scale, in float32 at least."""
    if scale == 1:
        return loss
    loss = loss.to(np.float32) if loss.dtype == np.float16 else loss
    return F.multiply(loss, scale)


class GradScaler:
    """Dynamic loss scaling; PyTorch's torch.amp.GradScaler, without the device's name.

    init_scale: the first scale.  growth_factor, backoff_factor: what it is multiplied by after
    growth_interval good steps in a row, and after a bad one.  enabled=False: nothing is scaled,
    every step is made.  Raises ValueError for a factor on the wrong side of 1.
    """

    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        if not (init_scale > 0 and growth_factor > 1 > backoff_factor > 0 and growth_interval >= 1):
            raise ValueError(
                f"init_scale={init_scale}, growth_factor={growth_factor}, backoff_factor="
                f"{backoff_factor}, growth_interval={growth_interval}: expected a positive scale, "
                "growth above 1, backoff between 0 and 1, and an interval of at least 1 step"
            )
        self.growth_factor, self.backoff_factor = growth_factor, backoff_factor
        self.growth_interval, self.enabled = growth_interval, enabled
        self._scale, self._good_steps = float(init_scale), 0
        self._all_finite: Any = None  # whether the gradients are; None: not unscaled yet

    def get_scale(self) -> float:
        """By what the loss is multiplied; 1 if not enabled."""
        return self._scale if self.enabled else 1.0

    def scale(self, loss: Tensor) -> Tensor:
        """loss * scale, in float32 at least."""
        return scale_loss(loss, self.get_scale())

    def unscale_(self, optimizer) -> None:
        """Divide the gradients of the optimizer's parameters by the scale, in place.

        Raises RuntimeError if that was done since the last `update`.
        """
        if not self.enabled:
            return
        if self._all_finite is not None:
            raise RuntimeError("unscale_: the gradients were unscaled already since update()")
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        finite = []
        for p in parameters:
            if p.grad is not None:
                p.grad *= 1 / self._scale
                finite.append(array_module(p.grad).isfinite(p.grad).all())
        # One array, which stays on the device until `step` needs to know.
        self._all_finite = array_module(finite[0]).stack(finite).all() if finite else True

    def step(self, optimizer) -> bool:
        """optimizer.step(), unless a gradient is inf or nan; returns whether it was made."""
        if not self.enabled:
            optimizer.step()
            return True
        if self._all_finite is None:
            self.unscale_(optimizer)
        self._all_finite = bool(self._all_finite)  # a GPU is waited for here, and nowhere else
        if self._all_finite:
            optimizer.step()
        return self._all_finite

    def update(self) -> None:
        """Fit the scale to what was found; once a step, at its end."""
        if not self.enabled:
            return
        if self._all_finite is None:
            raise RuntimeError("update: no gradients were unscaled; call step(optimizer) before")
        self._good_steps += 1
        if not self._all_finite:
            self._scale, self._good_steps = self._scale * self.backoff_factor, 0
        elif self._good_steps == self.growth_interval:
            self._scale, self._good_steps = self._scale * self.growth_factor, 0
        self._all_finite = None

    @contextlib.contextmanager
    def overflow_expected(self):
        """Within this block NumPy says nothing of numbers beyond float16: `step` will find them."""
        if not self.enabled:
            yield
            return
        with np.errstate(over="ignore", invalid="ignore"):
            yield

    def state_dict(self) -> dict:
        """What a run needs to go on with the same scale: numbers, for JSON."""
        return {"scale": self._scale, "good_steps": self._good_steps}

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on from a `state_dict`."""
        self._scale = float(state_dict["scale"])
        self._good_steps = int(state_dict["good_steps"])

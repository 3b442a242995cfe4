"""When the loss is no longer a number: stop at once, and find who computed the first nan.

One nan in a gradient makes every parameter nan in the next update, and nothing after that tells
where it came from.  So the update is not made, and the step, which is the same whenever it is run,
is run again with every intermediate value inspected.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from minillm.grad_mode import detect_anomaly


class TrainingDiverged(RuntimeError):
    """The loss or the gradient is no longer a finite number; the last checkpoint is intact."""


def diagnose(compute_gradient: Callable[[], object], where: str, saved: Path | None) -> str:
    """The message: `where`, the function at fault, what may help, and the last checkpoint."""
    try:
        with detect_anomaly(), np.errstate(all="ignore"):
            compute_gradient()
        fault = "every gradient is finite, but the sum of their squares is not"
    except FloatingPointError as error:
        fault = str(error)
    checkpoint = f"the last checkpoint, {saved}, is intact" if saved else "there is no checkpoint"
    return (
        f"training diverged in {where}. First fault: {fault}. A lower learning rate or a longer "
        f"warm-up may help; {checkpoint}"
    )

"""Clipping gradients by their common norm (Pascanu, Mikolov & Bengio 2013, algorithm 1)."""

from minillm.autograd import Tensor
from minillm.backend import array_module
from minillm.creation import tensor


def clip_grad_norm_(parameters, max_norm: float, *, error_if_nonfinite: bool = False) -> Tensor:
    """Scale all gradients in place so that their norm together is at most `max_norm`.

        norm = sqrt(sum over all parameters and elements of g^2)
        g = g * min(1, max_norm / (norm + 1e-6))

    The direction of the step stays; only its length is cut, so one odd batch can't throw the
    weights far away.  Returns the norm before clipping, a 0-d Tensor on the gradients' device
    (0 without any gradient); nothing waits for a GPU.  With error_if_nonfinite a norm that is nan
    or infinite raises RuntimeError, before anything is changed.
    """
    if not max_norm >= 0:
        raise ValueError(f"max_norm must not be negative, got {max_norm}")
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return tensor(0.0)
    xp = array_module(gradients[0])
    norm = xp.sqrt(xp.stack([xp.vdot(g, g) for g in gradients]).sum())
    if error_if_nonfinite and not bool(xp.isfinite(norm)):
        raise RuntimeError(f"the norm of the gradients is {float(norm)}: no clipping can mend that")
    scale = xp.minimum(max_norm / (norm + 1e-6), 1)
    for g in gradients:
        g *= scale.astype(g.dtype)
    return Tensor(xp.asarray(norm))

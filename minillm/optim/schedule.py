"""Learning-rate schedules: pure functions of the step.

`step` counts the updates made so far, so the first update runs with the rate at step 0.  Nothing
is remembered between calls: a resumed run asks for the same rates as one that never stopped.

    for group in optimizer.param_groups:
        group["lr"] = linear_warmup_decay(step, peak=1e-3, warmup=100, total=1000)
"""

import math


def constant(step: int, peak: float, warmup: int = 0) -> float:
    """peak * step / warmup during warm-up (0 at step 0), then `peak`."""
    _check(step, warmup)
    return peak * step / warmup if step < warmup else peak


def linear_warmup_decay(
    step: int, peak: float, warmup: int, total: int, final: float = 0.0
) -> float:
    """Up to `peak` in a line, down to `final` in a line (Devlin et al. 2019, appendix A.2).

    0 at step 0 (`peak` if warmup is 0), `peak` at step warmup, `final` at step total and after.
    """
    _check(step, warmup, total)
    if step < warmup:
        return peak * step / warmup
    return final + (peak - final) * _left(step, warmup, total)


def cosine_warmup_decay(
    step: int, peak: float, warmup: int, total: int, final: float = 0.0
) -> float:
    """Up to `peak` in a line, down to `final` along half a cosine (Loshchilov & Hutter 2017).

    0 at step 0 (`peak` if warmup is 0), `peak` at step warmup, half-way between `peak` and `final`
    in the middle of the decay, `final` at step total and after.
    """
    _check(step, warmup, total)
    if step < warmup:
        return peak * step / warmup
    done = 1 - _left(step, warmup, total)
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * done))


def exponential_decay(step: int, peak: float, gamma: float) -> float:
    """peak * gamma^step: `peak` at step 0, multiplied by gamma at every step."""
    _check(step)
    return peak * gamma**step


def step_decay(step: int, peak: float, step_size: int, gamma: float = 0.1) -> float:
    """peak * gamma^(step // step_size): `peak` at step 0, times gamma every step_size steps."""
    _check(step)
    if step_size < 1:
        raise ValueError(f"step_size must be a positive integer, got {step_size}")
    return peak * gamma ** (step // step_size)


def _left(step, warmup, total) -> float:
    """Which part of the decay lies ahead: 1 at step warmup, 0 at step total and after."""
    return (total - step) / (total - warmup) if step < total else 0.0


def _check(step, warmup=0, total=None):
    if step < 0:
        raise ValueError(f"step must not be negative, got {step}")
    if total is None and warmup < 0:
        raise ValueError(f"warmup {warmup} must not be negative")
    if total is not None and not 0 <= warmup <= total:
        raise ValueError(f"warmup {warmup} must lie between 0 and the total of steps, {total}")

"""When training has gone wrong: a pure function of the losses so far."""

import math
from collections.abc import Sequence
from statistics import fmean, median

_RECENT_STEPS = 5
_EARLIER_STEPS = 50


def why_diverged(losses: Sequence[float], first_loss: float, grad_norm: float, max_ratio: float) -> str | None:
    """Why the last of ``losses`` (nats a token) or its gradient says that training diverged, or None.

    It has where the mean of five steps is above ``max_ratio`` times the median of the fifty before, or times the first
    step's loss if that is less: a run that explodes at once has no calm steps to be compared with.
    """
    if not math.isfinite(losses[-1]):
        return f"the loss is {losses[-1]}"
    if not math.isfinite(grad_norm):
        return f"the gradient's norm is {grad_norm}"
    recent, earlier = losses[-_RECENT_STEPS:], losses[-_RECENT_STEPS - _EARLIER_STEPS : -_RECENT_STEPS]
    if not earlier:
        return None
    limit = max_ratio * max(1.0, min(median(earlier), first_loss))
    if fmean(recent) > limit:
        return f"the loss, {fmean(recent):.2f} over {_RECENT_STEPS} steps, is above {limit:.2f} (train.max_loss_ratio)"
    return None

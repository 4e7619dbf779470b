"""From what a gateway saw to what is tested: one binary outcome per unit and metric, 1 = bad."""

from dataclasses import dataclass

from serin.core.params import RolloutParams
from serin.rollout.eprocess import Arm


@dataclass(frozen=True, slots=True)
class Exposure:
    """A unit's first request in a rollout. Times are Unix seconds; ``weight`` is the canary's at assignment."""

    unit: str
    request: str
    arm: Arm
    weight: float
    assigned_t: float
    error: bool
    ttft_s: float | None


@dataclass(frozen=True, slots=True)
class Observation:
    """One row of evidence, keyed (rollout, unit, metric). Guesses and order are by ``batch``."""

    unit: str
    metric: str
    arm: Arm
    weight: float
    y: int
    assigned_t: float
    batch: int


def bad_in(
    metric: str, exposure: Exposure, score: float | None, params: RolloutParams, ttft_threshold_s: float | None
) -> int:
    """Whether an exposure is bad in ``metric``, as 1 or 0. ``score`` is its feedback within the horizon, or None.

    error     the request failed; a failover is the canary's failure (intention to treat)
    ttft      no token came by stable's threshold, which is longer by the tolerance for the canary
    feedback  the request failed, or its score is below ``feedback_bad_below``; silence is good

    Raises:
        ValueError: another metric, or ttft without a threshold.
    """
    if metric == "error":
        return int(exposure.error)
    if metric == "feedback":
        return int(exposure.error or (score is not None and score < params.feedback_bad_below))
    if metric == "ttft" and ttft_threshold_s is not None:
        tolerance = params.ttft_tolerance if exposure.arm == "canary" else 0.0
        return int(exposure.ttft_s is None or exposure.ttft_s > ttft_threshold_s * (1 + tolerance))
    raise ValueError(f"metric {metric!r} with ttft threshold {ttft_threshold_s}: expected error, ttft or feedback")

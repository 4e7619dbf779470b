"""From what a gateway saw to what is tested: one binary outcome per unit and metric, 1 = bad.

Intention to treat: every unit has an outcome in every metric. Nothing that happens after the assignment (an error, a
cancellation, an answer too short to time) takes a unit out, or a canary could leave the comparison by failing at it.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from serin.core.params import RolloutParams
from serin.rollout.eprocess import Arm

ARMS: tuple[Arm, ...] = ("stable", "canary")
"""Of a rollout; those of an experiment are ``stable`` and revisions."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """A unit's first request. Times are Unix seconds; ``weight`` is the canary's at assignment, in an experiment the arm's."""

    unit: str
    request: str
    arm: str
    weight: float
    assigned_t: float
    error: bool
    ttft_s: float | None
    """None where the assigned arm sent no token."""
    tpot_s: float | None = None
    """Mean time per output token after the first; None where there was no second one."""
    tokens: int = 0
    """Output tokens that reached the client from the assigned arm."""
    kind: str | None = None
    """Of the error, in the gateway's words."""


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


def exposure_of(record: Mapping[str, Any], arms: Collection[str] = ARMS) -> Exposure:
    """An outcome as a gateway logs it; ``tpot_s``, ``tokens`` and ``kind`` may be absent, as in logs of older gateways.

    Raises:
        KeyError: a field is missing.
        TypeError: a field is of another type.
        ValueError: a field is out of its range.
    """
    arm, weight = record["arm"], float(record["weight"])
    if arm not in arms:
        raise ValueError(f"arm {arm!r}")
    if not 0 <= weight <= 1:
        raise ValueError(f"weight {weight!r}")
    kind = record.get("kind")
    return Exposure(
        unit=str(record["unit"]),
        request=str(record["request"]),
        arm=str(arm),
        weight=weight,
        assigned_t=_finite("assigned_t", record["assigned_t"]),
        error=bool(int(record["error"])),
        ttft_s=_duration("ttft_s", record["ttft_s"]),
        tpot_s=_duration("tpot_s", record.get("tpot_s")),
        tokens=int(record.get("tokens") or 0),
        kind=None if kind is None else str(kind),
    )


def bad_in(
    metric: str,
    exposure: Exposure,
    score: float | None,
    params: RolloutParams,
    ttft_threshold_s: float | None,
    tpot_threshold_s: float | None = None,
) -> int:
    """Whether an exposure is bad in ``metric``, as 1 or 0. ``score`` is its feedback within the horizon, or None.

    error     the request failed; a failover is the canary's failure
    ttft      no token came by stable's threshold, which is longer by the tolerance for the canary
    tpot      the request failed, its time per output token is above stable's threshold, likewise longer for the canary,
              or there was none, since fewer than two tokens came: where one token is a good answer, that costs both
              arms alike, and a canary that stops after one does not pass for a fast one
    feedback  the request failed, or its score is below ``feedback_bad_below``; silence is good

    Raises:
        ValueError: another metric, or one of latency without its threshold.
    """
    canary = exposure.arm == "canary"
    if metric == "error":
        return int(exposure.error)
    if metric == "feedback":
        return int(exposure.error or (score is not None and score < params.feedback_bad_below))
    if metric == "ttft" and ttft_threshold_s is not None:
        return int(_slow(exposure.ttft_s, ttft_threshold_s, params.ttft_tolerance if canary else 0.0))
    if metric == "tpot" and tpot_threshold_s is not None:
        slow = _slow(exposure.tpot_s, tpot_threshold_s, params.tpot_tolerance if canary else 0.0)
        return int(exposure.error or slow)
    raise ValueError(
        f"metric {metric!r} with thresholds ttft {ttft_threshold_s} and tpot {tpot_threshold_s}: expected error, "
        "feedback, or ttft or tpot with its threshold"
    )


def _slow(taken_s: float | None, threshold_s: float, tolerance: float) -> bool:
    return taken_s is None or taken_s > threshold_s * (1 + tolerance)


def _duration(name: str, value: Any) -> float | None:
    if value is None:
        return None
    seconds = _finite(name, value)
    if seconds < 0:
        raise ValueError(f"{name} {seconds!r}")
    return seconds


def _finite(name: str, value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} {number!r}")
    return number

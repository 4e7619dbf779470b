"""Whether the canary has the replicas for a step: users must not pay for a canary that is too small, nor its latency."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capacity:
    """Replicas that are ready now."""

    stable: int
    canary: int


def replicas_needed(weight: float, stable: int, full: int) -> int:
    """Ready canary replicas that ``weight`` needs, beside ``stable`` ready ones; ``full`` carried all traffic before.

    Users fall on the arms at random, so at any moment the load of a replica is the arm's share over its replicas. It is
    at most stable's where canary/stable replicas are at least weight/(1-weight), and never more than stable bore alone
    where there are ``full`` of them, which is thus enough for every weight.
    """
    if weight >= 1:
        return max(1, full)
    equal = math.ceil(round(stable * weight / (1 - weight), 9))
    return max(1, min(equal, full))

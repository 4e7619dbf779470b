"""Jobs that the API server does not take: why, and when it is asked again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from serin.clients.kubernetes import AbsentError, ForbiddenError, InvalidError
from serin.controller.actions import CreateJob
from serin.controller.observed import Fault
from serin.core.task import Stage

FIRST_S = 10.0
LONGEST_S = 300.0
"""A quota may become free and a webhook may be mended, but nobody has to be asked all the time."""
_JOBSET_0_10 = "onJobFailureMessagePatterns"
"""The field of a JobSet that tells a preemption from a failure, which JobSet has from 0.10 on (KEP-262)."""

Refused = AbsentError | ForbiddenError | InvalidError


@dataclass(frozen=True, slots=True)
class _Refusal:
    fault: Fault
    tries: int
    again_at: float


class Refusals:
    """What was refused to this process; a new one begins to ask anew. One FineTune is looked at by one thread at a time.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._refused: dict[str, dict[Stage, _Refusal]] = {}

    def of(self, name: str) -> Mapping[Stage, Fault]:
        """The stages of a FineTune whose Job is refused, and why."""
        return {stage: refusal.fault for stage, refusal in self._refused.get(name, {}).items()}

    def waits(self, name: str, stage: Stage) -> bool:
        """Whether it is too early to ask again."""
        refusal = self._refused.get(name, {}).get(stage)
        return refusal is not None and self._clock() < refusal.again_at

    def again_s(self, name: str) -> float | None:
        """In how many seconds to ask again; None where nothing is refused."""
        times = [refusal.again_at for refusal in self._refused.get(name, {}).values()]
        return max(0.0, min(times) - self._clock()) if times else None

    def add(self, name: str, action: CreateJob, error: Refused) -> bool:
        """It was refused: the next try is twice as late as the last one; whether the words are others than before."""
        of = self._refused.setdefault(name, {})
        known = of.get(action.stage)
        tries = known.tries if known else 0
        again_s = min(LONGEST_S, FIRST_S * 2.0 ** min(tries, 16))
        refusal = _Refusal(_fault(action, error), tries + 1, self._clock() + again_s)
        of[action.stage] = refusal
        return known is None or known.fault != refusal.fault

    def drop(self, name: str, stage: Stage) -> None:
        """It was taken."""
        self._refused.get(name, {}).pop(stage, None)

    def forget(self, name: str) -> None:
        """The FineTune is gone."""
        self._refused.pop(name, None)


def _fault(action: CreateJob, error: Refused) -> Fault:
    what = f"{action.kind} {action.name} cannot be created: {error}"
    again = f"it is tried again, at last every {LONGEST_S / 60:g} minutes"
    if action.kind == "JobSet" and isinstance(error, AbsentError):
        here = "this cluster has no JobSet: install 0.10 or newer, or set placement.nodes = 1 in a new run"
        return Fault("JobSetMissing", f"{what}. {here}; {again}")
    if action.kind == "JobSet" and _JOBSET_0_10 in str(error):
        here = (
            "this cluster's JobSet is older than 0.10 and cannot tell a preemption from a failure: upgrade it, or set "
            "placement.nodes = 1 in a new run"
        )
        return Fault("JobSetTooOld", f"{what}. {here}; {again}")
    return Fault("JobRefused", f"{what}; {again}")

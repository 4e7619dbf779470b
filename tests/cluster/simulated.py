"""The stand-in as a back end: its hands are its own parts, in this process."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from serin.clients.kubernetes.kinds import FINE_TUNES, JOB_SETS, WORKLOADS
from serin.core.task import Stage

from .backend import Need
from .standin import StandIn


class Simulated:
    """``Backend`` of a stand-in."""

    def __init__(self, standin: StandIn) -> None:
        self.pods = standin.pods
        self.queues = _Queues(standin)
        self.placement: Mapping[str, Any] = {}
        self.made: Counter[tuple[str, Stage]] = Counter()
        self._standin = standin
        standin.store.on_change.append(self._count)

    def has(self, need: Need) -> bool:
        """Everything, but what it was made without."""
        optional = {"jobset": JOB_SETS.group, "kueue": WORKLOADS.group}
        return need not in optional or optional[need] in self._standin.groups

    def pass_time(self, seconds: float) -> None:
        """Put its clock forward."""
        self._standin.clock.advance(seconds)

    def _count(self, _: Any, change: Any) -> None:
        if change.type == "ADDED":
            self.made.update(stages_of(change.now.object))


class _Queues:
    """Its Kueue has no quota: it is told what to do."""

    def __init__(self, standin: StandIn) -> None:
        self._standin = standin

    def make(self, name: str) -> None:
        """A LocalQueue."""
        self._standin.queue(name)

    def take_back(self, job: str) -> None:
        """Evict, and admit nothing more."""
        self._standin.kueue.hold()
        self._standin.kueue.preempt(job)

    def give_again(self) -> None:
        """Admit again."""
        self._standin.kueue.free()


def stages_of(found: Mapping[str, Any]) -> list[tuple[str, Stage]]:
    """The FineTune and the stage that an object is the Job or JobSet of; none where it is neither, or a part of a JobSet."""
    metadata = found["metadata"]
    owners, labels = metadata.get("ownerReferences") or (), metadata.get("labels") or {}
    is_one = found.get("kind") in ("Job", "JobSet") and any(owner["kind"] == FINE_TUNES.kind for owner in owners)
    return [(labels["serin.dev/finetune"], labels["serin.dev/stage"])] if is_one else []

"""Which evidence no rollout needs any more: old enough, and from before everything that is under way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from serin.clients.evidence.folder import OldFiles, old_files, remove_files
from serin.clients.evidence.removal import Outdated, outdated, remove
from serin.clients.evidence.shipped import DEAD_S
from serin.clients.serving_state import FolderState
from serin.clients.storage import FolderStorage, Storage
from serin.core.errors import InputError
from serin.rollout.engine import BEFORE_S
from serin.rollout.experiment.store import Experiments
from serin.rollout.store import PREFIX, Rollouts

SHORTEST_GRACE = timedelta(days=1)
"""A rollout that begins meanwhile looks back by minutes, and clocks differ by less."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A rollout that is not decided, or an experiment that is not stopped."""

    name: str
    started_t: float
    noun: str = "rollout"


@dataclass(frozen=True, slots=True)
class EvidencePlan:
    """What would go of the evidence of one place, and what keeps more of it from going."""

    place: str
    old: Outdated | OldFiles
    before: datetime | None
    """Until when what goes was written, at the most, UTC; None where nothing may go."""
    holder: str | None
    """Why that is not later, in words; None where it is only its age."""
    doubts: tuple[str, ...] = ()
    """Rollouts that cannot be read, for which everything stays."""

    def remove(self, storage: Storage) -> None:
        """Remove it. Raises StorageError; call it again then."""
        if isinstance(self.old, OldFiles):
            remove_files(self.old)
        else:
            remove(self.old, storage)


def plan_shipped(storage: Storage, now: datetime, grace: timedelta) -> EvidencePlan:
    """What would be removed of what gateways of a cluster ship; nothing is written.

    Args:
        storage: that gateways and rollouts of a cluster share.
        now: UTC.
        grace: how old evidence has to be; less than ``SHORTEST_GRACE`` counts as that.

    Raises:
        StorageError: storage does not answer.
    """
    running, doubts = _under_way(Rollouts(storage, PREFIX))
    if doubts:
        return EvidencePlan("storage", Outdated(()), None, None, tuple(doubts))
    until_t, holder = horizon(running, now.timestamp(), grace)
    return EvidencePlan("storage", outdated(storage, until_t), datetime.fromtimestamp(until_t, now.tzinfo), holder)


def plan_here(state: FolderState, now: datetime, grace: timedelta) -> EvidencePlan:
    """What would be removed of a serving state of this machine; nothing is written.

    Its rollouts and experiments are looked for beside it; one that the split names and that is not there holds everything.

    Args:
        state: whose gateways wrote it.
        now: UTC.
        grace: how old evidence has to be; less than ``SHORTEST_GRACE`` counts as that.
    """
    beside = state.folder.absolute().parent
    rollouts = Rollouts(FolderStorage(beside / "rollouts"))
    experiments = Experiments(FolderStorage(beside / "experiments"))
    running, doubts = _under_way(rollouts)
    for places, name in ((rollouts, state.weights().rollout), (experiments, state.weights().experiment)):
        if name is not None and name not in places.ids():
            doubts.append(f"{places.noun} {name} is not in {beside}")
    more, unread = _under_way(experiments)
    doubts += unread
    if doubts:
        return EvidencePlan(state.name, OldFiles(0.0, (), 0), None, None, tuple(doubts))
    until_t, holder = horizon([*running, *more], now.timestamp(), grace)
    before = datetime.fromtimestamp(until_t, now.tzinfo)
    return EvidencePlan(state.name, old_files(state.evidence_folder, until_t), before, holder)


def _under_way(places: Rollouts | Experiments) -> tuple[list[UnderWay], list[str]]:
    """Those that are, and why some cannot be read."""
    running: list[UnderWay] = []
    doubts: list[str] = []
    for name in places.ids():
        try:
            newest = places.of(name).newest()
        except InputError as error:
            doubts.append(str(error))
            continue
        if newest is not None and newest.state.decision == "running":
            running.append(UnderWay(name, newest.state.started_t, places.noun))
    return running, doubts


def horizon(running: Sequence[UnderWay], now: float, grace: timedelta) -> tuple[float, str | None]:
    """Pure: the time (Unix seconds) before which nobody needs evidence, and the rollout under way that it is due to, if any."""
    until_t = now - max(grace, SHORTEST_GRACE).total_seconds()
    oldest = min(running, key=lambda each: each.started_t, default=None)
    if oldest is not None and oldest.started_t - BEFORE_S - DEAD_S < until_t:
        return oldest.started_t - BEFORE_S - DEAD_S, f"{oldest.noun} {oldest.name} is under way"
    return until_t, None

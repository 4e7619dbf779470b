"""Which evidence in storage no rollout needs any more: old enough, and from before everything that is under way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from serin.clients.evidence.removal import Outdated, outdated
from serin.clients.evidence.shipped import DEAD_S
from serin.clients.storage import Storage
from serin.core.errors import InputError
from serin.rollout.engine import BEFORE_S
from serin.rollout.store import PREFIX, Rollouts

SHORTEST_GRACE = timedelta(days=1)
"""A rollout that begins meanwhile looks back by minutes, and clocks differ by less."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A rollout that is not decided."""

    name: str
    started_t: float


@dataclass(frozen=True, slots=True)
class EvidencePlan:
    """What would go of the evidence, and what keeps more of it from going."""

    old: Outdated
    before: datetime | None
    """Until when what goes was written, at the most, UTC; None where nothing may go."""
    holder: str | None
    """Why that is not later, in words; None where it is only its age."""
    doubts: tuple[str, ...] = ()
    """Rollouts that cannot be read, for which everything stays."""


def plan(storage: Storage, now: datetime, grace: timedelta) -> EvidencePlan:
    """What would be removed; nothing is written.

    Args:
        storage: that gateways and rollouts of a cluster share.
        now: UTC.
        grace: how old evidence has to be; less than ``SHORTEST_GRACE`` counts as that.

    Raises:
        StorageError: storage does not answer.
    """
    running: list[UnderWay] = []
    doubts: list[str] = []
    rollouts = Rollouts(storage, PREFIX)
    for name in rollouts.ids():
        try:
            newest = rollouts.of(name).newest()
        except InputError as error:
            doubts.append(str(error))
            continue
        if newest is not None and newest.state.decision == "running":
            running.append(UnderWay(name, newest.state.started_t))
    if doubts:
        return EvidencePlan(Outdated(()), None, None, tuple(doubts))
    until_t, holder = horizon(running, now.timestamp(), grace)
    return EvidencePlan(outdated(storage, until_t), datetime.fromtimestamp(until_t, now.tzinfo), holder)


def horizon(running: Sequence[UnderWay], now: float, grace: timedelta) -> tuple[float, str | None]:
    """Pure: the time (Unix seconds) before which nobody needs evidence, and the rollout under way that it is due to, if any."""
    until_t = now - max(grace, SHORTEST_GRACE).total_seconds()
    oldest = min(running, key=lambda each: each.started_t, default=None)
    if oldest is not None and oldest.started_t - BEFORE_S - DEAD_S < until_t:
        return oldest.started_t - BEFORE_S - DEAD_S, f"rollout {oldest.name} is under way"
    return until_t, None

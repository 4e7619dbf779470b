"""The crash matrix: every scenario, told again for every point at which the controller can die.

A controller that is killed remembers nothing, so what it does after its restart depends on the cluster and on storage alone. Two
points with the same cluster behind them are therefore one: before a request that changes nothing and after it, and so on. What
is left is one point before the first request of each turn, and one after each write, when the server has acted and the answer has
not come back.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serin.clients.kubernetes import Cluster
from serin.clients.kubernetes.kinds import FINE_TUNES
from serin.core.task import Stage

from .direct import DirectTransport, Killed, When
from .memory import MemoryStorage
from .scenarios import Scenario
from .simulated import Simulated
from .standin import StandIn
from .stepped import Process
from .world import World

_TURNS = 200
_PASSING = {
    "started",
    "finished",
    "lastTransitionTime",
    "gpuSeconds",
    "gpuSecondsBefore",
    "pod",
    "job",
    "jobUid",
    "message",
    "secondsLeft",
    "tokensPerS",
}
"""What differs from one telling to the next, with or without a crash: times, and names with the uid in them."""


@dataclass(frozen=True)
class Point:
    """A moment in the life of the controller: before or after its n-th request."""

    number: int
    when: When
    request: str
    """For people."""


@dataclass(frozen=True)
class End:
    """How a scenario ended. Equal ends are the same for whoever looks."""

    statuses: Mapping[str, Any]
    jobs: Sequence[tuple[str, str, tuple[str, ...]]]
    """Of each Job: its FineTune, stage and conditions."""
    made: Mapping[tuple[str, Stage], int]


@dataclass
class Told:
    """A telling: its end, and every point at which it could have died."""

    end: End
    points: Sequence[Point]
    killed: int


class Mortal:
    """A controller that dies at one point, and is started again."""

    def __init__(self, standin: StandIn, storage: MemoryStorage, dies: Point | None) -> None:
        self.points: list[Point] = []
        self.killed = 0
        self._standin = standin
        self._storage = storage
        self._dies = dies
        self._number = 0
        self._steps = 0
        self._behind: set[tuple[int, int]] = set()
        self._process = self._born()

    def turn(self) -> None:
        """A turn of the controller, dead or alive, and a step of the cluster."""
        try:
            self._process.turn()
        except Killed:
            self.killed += 1
            self._process = self._born()
        self._standin.step()
        self._standin.clock.advance(1.0)  # so that what happened later has a later time
        self._steps += 1

    def _born(self) -> Process:
        cluster = Cluster(DirectTransport(self._standin, strike=self._strike), self._standin.namespace)  # type: ignore[arg-type]
        return Process(cluster, self._storage, self._standin.clock.now)

    def _strike(self, verb: str, resource: str, when: When) -> None:
        self._number += when == "before"
        behind = (self._standin.store.version, self._steps)
        if behind not in self._behind:
            self._behind.add(behind)
            self.points.append(Point(self._number, when, f"{verb} {resource}"))
        if not self.killed and self._dies is not None and (self._number, when) == (self._dies.number, self._dies.when):
            raise Killed


def tell(scenario: Scenario, dies: Point | None = None) -> Told:
    """Tell a scenario, with a controller that dies once."""
    storage = MemoryStorage()
    with StandIn(auto=False, served=False, storage_of=lambda _: storage) as standin:
        user = Cluster(DirectTransport(standin), standin.namespace)  # type: ignore[arg-type]
        controller = Mortal(standin, storage, dies)
        params = {"url": "s3://serin/cluster"}
        world = World(user, Simulated(standin), storage, params, controller, turns=_TURNS)
        scenario.tell(world)
        world.rest(3)
        assert not standin.jobs.violations, standin.jobs.violations
        return Told(_end(world, scenario, user), controller.points, controller.killed)


def _end(world: World, scenario: Scenario, user: Cluster) -> End:
    statuses = {}
    jobs = []
    for name in scenario.names:
        found = user.get(FINE_TUNES, name)
        statuses[name] = None if found is None else _lasting(found.get("status"))
        for job in world.jobs(name):
            held = tuple(
                sorted(c["type"] for c in job.get("status", {}).get("conditions", ()) if c["status"] == "True")
            )
            jobs.append((name, str(job["metadata"]["labels"]["serin.dev/stage"]), held))
    return End(statuses, sorted(jobs), Counter(world.made))


def _lasting(value: Any) -> Any:
    """A status without what passes. Of attempts there is only their number: how a pod ended that was removed while the
    controller was dead, nobody can tell any more."""
    if isinstance(value, dict):
        lasting = {name: _lasting(child) for name, child in value.items() if name not in _PASSING}
        return {name: len(child) if name == "attempts" else child for name, child in lasting.items()}
    return [_lasting(child) for child in value] if isinstance(value, list) else value

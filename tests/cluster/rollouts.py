"""ModelRollouts on the stand-in: its API server, storage in memory, users and gateways; the controller may die at any write."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from serin.clients.evidence.shipped import StorageReader
from serin.clients.kubernetes import Cluster
from serin.clients.kubernetes.events import Events
from serin.clients.kubernetes.kinds import EVENTS, MODEL_ROLLOUTS, RAY_SERVICES
from serin.clients.serving_state import Weights
from serin.clients.serving_state.cluster import ClusterState
from serin.rollout.cluster.loop import RolloutLoop
from serin.rollout.cluster.reconcile import Reconciler, rollout_of
from serin.rollout.store import PREFIX, RolloutStore, Step

from ..unit.rollout.traffic import CANARY, PARAMS, STABLE, Killed, Production, Strikes
from .direct import DirectTransport, When
from .standin import StandIn

WRITES = {"create", "patch", "apply", "update", "delete"}


class Served:
    """The weights as gateways read them."""

    def __init__(self, state: ClusterState) -> None:
        self.state = state

    @property
    def present(self) -> Weights:
        """Now, with a salt that is the same in every telling: a uid, and so the rollout's own, is not."""
        return replace(self.state.weights(), salt="salt")


class ClusterProduction(Production):
    """Users and gateways as in ``Production``, whose evidence goes to storage, and a controller that looks every second."""

    def __init__(self, standin: StandIn, folder: Path, bad: float = 0.05, strikes: Strikes | None = None) -> None:
        self.standin = standin
        self.user = Cluster(DirectTransport(standin), standin.namespace)  # type: ignore[arg-type]
        super().__init__(folder, "storage", bad, strikes or Strikes())

    def __post_init__(self) -> None:
        super().__post_init__()
        self.storage.held.clear()
        self.strikes.writes = 0
        state = ClusterState(self.user, "serin-serve", self.folder)
        self.serving = Served(state)  # type: ignore[assignment]
        state.change_weights(lambda _: Weights(stable=STABLE))
        service = {"apiVersion": "ray.io/v1", "kind": "RayService", "metadata": {"name": "serin-serve"}, "spec": {}}
        self.user.create(RAY_SERVICES, service)
        self.loop = self.new_loop()

    def new_loop(self) -> RolloutLoop:
        """What a controller that starts now knows: nothing."""
        struck = Cluster(DirectTransport(self.standin, strike=self._strike), self.standin.namespace)  # type: ignore[arg-type]
        reconciler = Reconciler(
            cluster=struck,
            serving_of=lambda name: ClusterState(struck, name, self.folder),
            storage_of=lambda _: self.storage,  # type: ignore[arg-type, return-value]
            reader_of=lambda storage: StorageReader(storage, now=lambda: self.t),
            events=Events(struck, "controller-0"),
            now=lambda: self.t,
        )
        return RolloutLoop(reconciler, struck, lambda: True)

    def submit(self, paused: bool = False) -> None:
        """A user creates the rollout."""
        params = PARAMS.model_dump(mode="json")
        run = {"stable": STABLE, "canary": CANARY, "params": params, "storage": {"url": "s3://bucket/prefix"}}
        body = {
            "apiVersion": MODEL_ROLLOUTS.api_version,
            "kind": MODEL_ROLLOUTS.kind,
            "metadata": {"name": "law"},
            "spec": {"paused": paused, "run": run},
        }
        self.user.create(MODEL_ROLLOUTS, body)

    def patch(self, **spec: Any) -> None:
        """A user changes its spec."""
        self.user.patch(MODEL_ROLLOUTS, "law", {"spec": spec})

    def look(self) -> None:
        """The controller's look; where it is killed, a new one looks."""
        try:
            self.loop.look()
        except Killed:
            self.loop = self.new_loop()
            self.loop.look()

    def second(self) -> None:
        """Users, gateways, and a look."""
        self.pass_second()
        self.look()

    def until(self, phase: str, seconds: int = 120) -> None:
        """Second by second, until the status says so."""
        for _ in range(seconds):
            if self.status().get("phase") == phase:
                return
            self.second()
        raise AssertionError(f"it never was {phase}: {self.status()}")

    def status(self) -> dict[str, Any]:
        """Of the rollout; empty where it is gone."""
        found = self.user.get(MODEL_ROLLOUTS, "law")
        return {} if found is None else found.get("status", {})

    def condition(self, sort: str) -> tuple[str, str]:
        """Status and reason."""
        for each in self.status().get("conditions", ()):
            if each["type"] == sort:
                return each["status"], each["reason"]
        return "", ""

    def events(self) -> set[tuple[str, str]]:
        """Type and reason of what was told."""
        return {(each["type"], each["reason"]) for each in self.user.list(EVENTS)[0]}

    def steps(self) -> list[Step]:
        """As storage has them."""
        found = self.user.get(MODEL_ROLLOUTS, "law")
        assert found is not None
        store = RolloutStore(self.storage, rollout_of(found), PREFIX)  # type: ignore[arg-type]
        return [step for step, _ in store.steps()]

    def end(self) -> Any:
        """How it ended: equal where nothing was lost or done twice. Steps that counted nobody are left out: of an object that
        is gone, a controller that starts anew does not know where its steps are."""
        weights = asdict(self.serving.present)
        units = [data.splitlines()[1:] for key, data in sorted(self.storage.held.items()) if "/steps/" in key]
        return _without_names(self.status()), _without_names(weights), [rows for rows in units if rows]

    def _strike(self, verb: str, resource: str, when: When) -> None:
        del resource
        if verb not in WRITES:
            return
        if when == "before":
            self.strikes.writes += 1
        if self.strikes.armed and self.strikes.at == (self.strikes.writes, when):
            self.strikes.armed = False
            raise Killed


def _without_names(value: dict[str, Any]) -> dict[str, Any]:
    """Without what an object's uid is in, and the number of writes."""
    return {name: each for name, each in value.items() if name not in ("version", "rollout", "salt")}

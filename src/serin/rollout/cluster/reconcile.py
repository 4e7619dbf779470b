"""One look at one ModelRollout: do what its spec asks for, take a turn of the engine, and mirror its state."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from serin.clients.evidence import EvidenceReader
from serin.clients.kubernetes import AbsentError, Cluster, Object
from serin.clients.kubernetes.events import Event, Events
from serin.clients.kubernetes.kinds import MODEL_ROLLOUTS, RAY_SERVICES
from serin.clients.serving_state import ServingState, Weights
from serin.clients.storage import Storage
from serin.core.errors import InputError, StorageError, UsageError
from serin.core.params import StorageParams
from serin.core.resources.rollout import ModelRolloutSpec, ModelRolloutStatus
from serin.rollout.cluster.status import Fact, status_of
from serin.rollout.engine import NEVER_BEGAN, Engine, capacity_of, open_traffic
from serin.rollout.manual import Verb, do_by_hand
from serin.rollout.policy import decide_by_hand
from serin.rollout.state import RolloutState, new_rollout
from serin.rollout.store import PREFIX, Rollouts, RolloutStore, Step

_LOG = logging.getLogger(__name__)
_OURS = "modelrollout-"
_MANAGER = "serin-rollouts"
_SILENT_S = 120.0
_DONE = ("Promoted", "Aborted")
_ACCEPTED = Fact("Accepted", True, "Accepted", "the rollout has its traffic")


@dataclass
class Reconciler:
    """Looks at one ModelRollout after another.

    Args:
        cluster: where they are.
        serving_of: from a RayService's name to its state.
        storage_of: from params to storage.
        reader_of: from storage to the gateways' evidence in it.
        events: where news go.
        now: Unix seconds.
    """

    cluster: Cluster
    serving_of: Callable[[str], ServingState]
    storage_of: Callable[[StorageParams], Storage]
    reader_of: Callable[[Storage], EvidenceReader]
    events: Events
    now: Callable[[], float]
    _engines: dict[str, Engine] = field(default_factory=dict)

    def reconcile(self, found: Object) -> None:
        """Bring a ModelRollout one step further.

        Raises:
            SerinError: the API server does not take something; look again later.
        """
        rollout = rollout_of(found)
        before = _status_in(found)
        try:
            spec = ModelRolloutSpec.model_validate(found["spec"])
        except ValidationError as error:
            return self._write(found, before, None, [Fact("Accepted", False, "Invalid", str(error))])
        serving = self.serving_of(spec.run.rayservice)
        if before.phase in _DONE and serving.weights().rollout != rollout:
            return None
        engine = self._engines.get(rollout)
        if engine is None:
            storage = self.storage_of(spec.run.storage)
            store = Rollouts(storage, PREFIX).of(rollout)
            engine = self._engines[rollout] = Engine(store, self.reader_of(storage), serving)
        try:
            state, facts = self._moved(engine, spec, person_of(found))
        except (StorageError, InputError, OSError) as error:
            # What is known stays known; nothing moves until it can be read again.
            fact = Fact("EvidenceArrives", False, "Unreadable", str(error))
            kept = [_ACCEPTED] if before.phase != "Pending" else []
            conditions = status_of(None, [*kept, fact], before, before.observed_generation, self.now()).conditions
            return self._put(found, before, before.model_copy(update={"conditions": conditions}))
        self._write(found, before, state, facts)
        if state is not None and state.decision != "running":
            self._engines.pop(rollout, None)
        return None

    def forget_all_but(self, alive: Collection[str]) -> None:
        """Send everybody back to stable whose rollout's object is gone: a deletion in mid-way is an abort.

        Args:
            alive: rollouts whose objects are there.

        Raises:
            SerinError: the API server does not answer.
        """
        for rollout in [rollout for rollout in self._engines if rollout not in alive]:
            store = self._engines.pop(rollout).store
            self._record_deletion(store)
        try:
            services, _ = self.cluster.list(RAY_SERVICES)
        except AbsentError:
            return  # the cluster has no KubeRay, so nothing is served
        for service in services:
            serving = self.serving_of(str(service["metadata"]["name"]))
            held = serving.weights().rollout
            if held is not None and held.startswith(_OURS) and held not in alive:
                serving.change_weights(lambda present, held=held: _back(present, held))  # type: ignore[misc]
                _LOG.info("a rollout was deleted: everybody is back with stable", extra={"rollout": held})

    def _record_deletion(self, store: RolloutStore) -> None:
        try:
            newest = store.newest()
            if newest is not None and newest.state.decision == "running":
                now = self.now()
                ended, decision = decide_by_hand(newest.state, "aborted", "its ModelRollout was deleted", now)
                store.append(Step(number=newest.number + 1, t=now, action="abort", reason=decision.reason, state=ended))
        except (StorageError, InputError) as error:
            _LOG.warning("a deletion is not recorded", extra={"rollout": store.id, "error": str(error)})

    def _moved(self, engine: Engine, spec: ModelRolloutSpec, person: str) -> tuple[RolloutState | None, list[Fact]]:
        now, store, serving = self.now(), engine.store, engine.serving
        newest = store.newest() or self._declared(store, spec, now)
        if spec.action == "abort" and newest.state.decision == "running":
            newest, _ = do_by_hand("abort", store, serving, spec.reason or "", person, now)
        if spec.paused and newest.number == 0:
            return None, [Fact("Accepted", True, "Paused", "it begins once spec.paused is false")]
        if newest.number == 0:
            newest = self._opened(engine, newest, now)
        verb = _asked_for(spec, newest.state)
        if verb is not None:
            do_by_hand(verb, store, serving, spec.reason or "spec.paused", person, now)
        newest = engine.turn(now, capacity_of(newest.state, serving))
        return newest.state, [_accepted(newest.state), _arrival(engine, newest, now), _decision(newest.state)]

    def _opened(self, engine: Engine, declared: Step, now: float) -> Step:
        try:
            return open_traffic(engine.store, declared, engine.serving, now)
        except UsageError:
            return engine.store.newest() or declared  # it ended, with the refusal as its reason

    def _declared(self, store: RolloutStore, spec: ModelRolloutSpec, now: float) -> Step:
        run = spec.run
        state = new_rollout(store.id, run.stable, run.canary, store.id, run.params, now)
        step = Step(number=0, t=now, action="create", state=state)
        store.append(step)
        return store.newest() or step

    def _write(self, found: Object, before: ModelRolloutStatus, state: RolloutState | None, facts: list[Fact]) -> None:
        generation = int(found["metadata"].get("generation") or 0)
        after = status_of(state, facts, before, generation, self.now())
        self._put(found, before, after)

    def _put(self, found: Object, before: ModelRolloutStatus, after: ModelRolloutStatus) -> None:
        """Write status where it differs, and then tell the news."""
        if after == before and found.get("status"):
            return
        metadata = found["metadata"]
        body = {
            "metadata": {"uid": metadata["uid"]},
            "status": after.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        try:
            self.cluster.apply_status(MODEL_ROLLOUTS, str(metadata["name"]), body, _MANAGER)
        except AbsentError:
            return  # deleted meanwhile
        for event in _news(before, after):
            self.events.tell(found, event, datetime.fromtimestamp(self.now(), UTC))


def rollout_of(found: Mapping[str, Any]) -> str:
    """The id of a ModelRollout's rollout; another object of the same name has another one."""
    metadata = found["metadata"]
    return f"{_OURS}{metadata['name']}-{str(metadata['uid'])[:8]}"


def person_of(found: Mapping[str, Any]) -> str:
    """Who wrote spec last, as far as Kubernetes tells: the field manager, such as ``kubectl-patch``."""
    entries = [
        entry
        for entry in found["metadata"].get("managedFields") or []
        if not entry.get("subresource") and entry.get("manager") != _MANAGER
    ]
    entries.sort(key=lambda entry: str(entry.get("time") or ""))
    return str(entries[-1]["manager"]) if entries else ""


def _asked_for(spec: ModelRolloutSpec, state: RolloutState) -> Verb | None:
    """What spec wants by hand that the state does not have yet."""
    if state.decision != "running":
        return None
    if spec.action is not None:
        return spec.action
    if spec.paused != state.paused:
        return "pause" if spec.paused else "resume"
    return None


def _accepted(state: RolloutState) -> Fact:
    began = state.decision == "running" or NEVER_BEGAN not in state.reason
    return _ACCEPTED if began else Fact("Accepted", False, "Refused", state.reason)


def _arrival(engine: Engine, newest: Step, now: float) -> Fact:
    heard_t = max(newest.t, engine.heard_t or 0.0)
    if newest.state.decision == "running" and now - heard_t > _SILENT_S:
        message = f"no gateway has told of a request for {now - heard_t:.0f} s: check that there is traffic"
        return Fact("EvidenceArrives", False, "Silent", message)
    return Fact("EvidenceArrives", True, "Read", "the gateways' evidence is read")


def _decision(state: RolloutState) -> Fact:
    if state.decision == "running":
        return Fact("Decided", False, "Running", "")
    return Fact("Decided", True, state.decision.capitalize(), state.reason)


def _news(before: ModelRolloutStatus, after: ModelRolloutStatus) -> list[Event]:
    news = []
    if after.phase != before.phase:
        told = after.reason or after.phase
        news.append(Event("Warning" if after.phase == "Aborted" else "Normal", after.phase, told))
    elif after.step != before.step and after.step is not None:
        news.append(Event("Normal", "Advanced", f"step {after.step} of {after.steps}, canary weight {after.weight:g}"))
    known = {each.type: each.status for each in before.conditions}
    for each in after.conditions:
        if each.status == "False" and each.type != "Decided" and known.get(each.type) != "False":
            news.append(Event("Warning", each.reason, each.message))
    return news


def _back(present: Weights, rollout: str) -> Weights:
    if present.rollout != rollout:
        return present
    return replace(present, rollout=None, canary=None, canary_weight=0.0)


def _status_in(found: Mapping[str, Any]) -> ModelRolloutStatus:
    try:
        return ModelRolloutStatus.model_validate(found.get("status") or {})
    except ValidationError:
        return ModelRolloutStatus()  # of another version of serin; it is written anew

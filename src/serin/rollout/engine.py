"""One turn of a rollout: observe, decide, store, apply. It may be killed at any point, and two may run at once.

A turn stores at most one step, and only what is stored is applied. Whoever finds the newest step makes the weights what
it says, again and again, so that it does not matter who stored it, nor whether that process lived to apply it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from serin.clients.evidence import EvidenceReader
from serin.clients.serving_state import ServingState, Weights
from serin.core.errors import InputError, UsageError
from serin.rollout.capacity import Capacity
from serin.rollout.evidence import Closed, Evidence, observations_of
from serin.rollout.policy import Decision, begin_counting, decide_by_hand, step
from serin.rollout.state import RolloutState
from serin.rollout.store import Action, RolloutStore, Step

NEVER_BEGAN = "it never began"
"""In the reason of a rollout that was refused its traffic."""
BEFORE_S = 600.0
"""How long before the start stable's answers tell what is slow."""
_ACTIONS: Mapping[Literal["hold", "advance", "promote", "abort"], Action] = {
    "hold": "count",
    "advance": "advance",
    "promote": "promote",
    "abort": "abort",
}


class Engine:
    """Takes a rollout from step to step.

    Args:
        store: its steps.
        reader: where the gateways' evidence is.
        serving: whose weights it moves.
    """

    def __init__(self, store: RolloutStore, reader: EvidenceReader, serving: ServingState) -> None:
        self.store = store
        self.reader = reader
        self.serving = serving
        self.heard_t: float | None = None
        """When evidence was read last; None where none was, in the life of this process."""
        self._evidence: Evidence | None = None
        self._newest: Step | None = None

    def turn(self, now: float, capacity: Capacity | None = None) -> Step:
        """Bring the rollout as far as the evidence up to ``now`` allows; its newest step.

        Raises:
            UsageError: it was declared, and the weights are not free or stable is another revision by now.
            InputError: its steps or the evidence are damaged.
            StorageError: storage does not answer; nothing is lost, call again.
            OSError: likewise of a folder, such as one on a full disk.
        """
        newest, evidence = self._caught_up()
        if newest.number == 0:
            newest = open_traffic(self.store, newest, self.serving, now)
            self._caught_up()
        if newest.state.decision == "running":
            newest = self._observed(newest, evidence, now, capacity)
        apply(newest.state, self.serving)
        return newest

    def _caught_up(self) -> tuple[Step, Evidence]:
        """The newest step, whoever stored it, and what has not been counted up to it."""
        closed: list[str] = []
        for found, units in self.store.steps(0 if self._newest is None else self._newest.number + 1):
            self._newest = found
            closed += [each.unit for each in units]
        if self._newest is None:
            raise InputError(f"rollout {self.store.id} has no steps: see 'serin rollout history'")
        if self._evidence is None:
            self._evidence = Evidence(self.store.id, self._newest.state.stable, self._newest.positions)
        self._evidence.settle(closed)
        return self._newest, self._evidence

    def _observed(self, newest: Step, evidence: Evidence, now: float, capacity: Capacity | None) -> Step:
        state = newest.state
        for chunk in self.reader.read(evidence.positions, state.started_t - BEFORE_S):
            evidence.take_in(chunk, state.params.horizon_s)
            self.heard_t = now
        counting = begin_counting(state, evidence.stable_ttfts_s(), now, evidence.stable_tpots_s())
        closed = evidence.due(counting, now)
        new, decision = self._decided(counting, closed, now, capacity)
        if new == state:
            return newest
        following = Step(
            number=newest.number + 1,
            t=now,
            action=_ACTIONS[decision.action],
            reason=decision.reason,
            positions=evidence.resume_from(counting, now),
            state=new,
        )
        if not self.store.append(following, closed):
            return self._caught_up()[0]  # another process, or a person, was first; what is due stays due
        self._newest = following
        evidence.settle(each.unit for each in closed)
        evidence.forget_before(counting, now)
        return following

    def _decided(
        self, state: RolloutState, closed: list[Closed], now: float, capacity: Capacity | None
    ) -> tuple[RolloutState, Decision]:
        if self.serving.weights().rollout != state.id:
            reason = "the weights no longer belong to this rollout: somebody else changed them"
            return decide_by_hand(state, "aborted", reason, now)
        return step(state, observations_of(closed), now, capacity)


def open_traffic(store: RolloutStore, declared: Step, serving: ServingState, now: float) -> Step:
    """Give a rollout that was only declared its first share of units; its newest step.

    Raises:
        UsageError: the weights belong to another rollout or an experiment, or stable is another revision by now. The
            rollout ends with that as its reason.
    """
    state = declared.state.model_copy(update={"started_t": now, "step_started_t": now})

    def claimed(present: Weights) -> Weights:
        if present.rollout == state.id:
            return present
        if present.rollout is not None or present.experiment is not None:
            raise UsageError(
                f"{present.rollout or present.experiment} splits the traffic now: wait until it has ended, or end it"
            )
        if present.stable != state.stable:
            raise UsageError(
                f"stable is {present.stable or 'no revision'} and not {state.stable}: start another rollout"
            )
        if state.canary in present.retiring:
            raise UsageError(f"{state.canary} is being removed: deploy it again, and start another rollout")
        return _split(state, replace(present, rollout=state.id))

    try:
        serving.change_weights(claimed)
    except UsageError as refused:
        ended, decision = decide_by_hand(state, "aborted", f"{NEVER_BEGAN}: {refused}", now)
        store.append(Step(number=1, t=now, action="abort", reason=decision.reason, state=ended))
        raise
    started = Step(number=1, t=now, action="start", reason=f"step 1 of {len(state.params.steps)}", state=state)
    if not store.append(started):
        return store.newest() or started
    return started


def apply(state: RolloutState, serving: ServingState) -> Weights:
    """Make the weights what a state says; those of another rollout are left alone. Again changes nothing."""
    return serving.change_weights(lambda present: weights_of(state, present))


def weights_of(state: RolloutState, present: Weights) -> Weights:
    """The split that a state stands for; ``present`` where it is not this rollout's to change."""
    if present.rollout != state.id:
        return present
    if state.decision == "running":
        return _split(state, present)
    stable = state.canary if state.decision == "promoted" else state.stable
    return replace(present, rollout=None, stable=stable, canary=None, canary_weight=0.0)


def capacity_of(state: RolloutState, serving: ServingState) -> Capacity | None:
    """What is ready of both revisions; None where nobody says how stable is."""
    seen = serving.status()
    if state.stable not in seen:
        return None
    ready = {name: int(entry.state == "ready") for name, entry in seen.items()}
    return Capacity(stable=ready[state.stable], canary=ready.get(state.canary, 0))


def _split(state: RolloutState, present: Weights) -> Weights:
    return replace(present, salt=state.salt, stable=state.stable, canary=state.canary, canary_weight=state.weight)

"""What stands in a ModelRollout's status: a rollout as users of kubectl read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from serin.core.params import Metric
from serin.core.resources.condition import Condition
from serin.core.resources.rollout import MetricStatus, ModelRolloutStatus, RolloutPhase, Users
from serin.rollout.state import RolloutState
from serin.rollout.status import Phase, metric_view, view_of

_PHASES: dict[Phase, RolloutPhase] = {
    "warming up": "WarmingUp",
    "running": "Running",
    "paused": "Paused",
    "promoted": "Promoted",
    "aborted": "Aborted",
}
_DECIDERS: dict[str, Literal["Evidence", "Person", "Time"]] = {
    "evidence": "Evidence",
    "split": "Evidence",
    "person": "Person",
    "time": "Time",
}
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Fact:
    """A condition without its times."""

    type: Literal["Accepted", "EvidenceArrives", "Decided"]
    holds: bool
    reason: str
    message: str


def status_of(
    state: RolloutState | None, facts: Sequence[Fact], before: ModelRolloutStatus, generation: int, now: float
) -> ModelRolloutStatus:
    """The status of a rollout; ``state`` is None before it has begun."""
    conditions = _conditions(facts, before.conditions, generation, now)
    if state is None:
        refused = next((fact.message for fact in facts if not fact.holds), None)
        told = refused[:_LONGEST] if refused else None
        return ModelRolloutStatus(observed_generation=generation, conditions=conditions, reason=told)
    view = view_of(state, now)
    return ModelRolloutStatus(
        observed_generation=generation,
        phase=_PHASES[view.phase],
        weight=view.weight,
        step=view.step,
        steps=view.steps,
        step_units=view.step_units,
        users=Users(stable=view.stable_units, canary=view.canary_units),
        metrics=[_metric(state, name) for name in state.params.metrics],
        unproven=state.unproven(),
        e_split=view.split.e,
        ttft_threshold_s=view.ttft_threshold_s,
        tpot_threshold_s=view.tpot_threshold_s,
        started=written(view.started_t),
        counted_from=None if state.counted_from is None else written(state.counted_from),
        ended=None if view.ended_t is None else written(view.ended_t),
        decided_by=_DECIDERS.get(view.decided_by or ""),
        reason=(view.waits_for or view.reason)[:_LONGEST] or None,
        conditions=conditions,
    )


def written(t: float) -> str:
    """RFC 3339 in UTC, as Kubernetes writes times."""
    return f"{datetime.fromtimestamp(t, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _metric(state: RolloutState, name: Metric) -> MetricStatus:
    view = metric_view(state, name)
    return MetricStatus(
        name=name,
        stable_bad=view.stable_bad,
        canary_bad=view.canary_bad,
        e_abort=view.worse.e,
        abort_at=view.worse.needed,
        e_promote=view.not_worse.e,
        promote_at=view.not_worse.needed,
        proven=view.not_worse.proven,
    )


def _conditions(facts: Sequence[Fact], before: Sequence[Condition], generation: int, now: float) -> list[Condition]:
    known = {each.type: each for each in before}
    found = []
    for fact in facts:
        status: Literal["True", "False"] = "True" if fact.holds else "False"
        old = known.get(fact.type)
        since = old.last_transition_time if old is not None and old.status == status else written(now)
        found.append(
            Condition(
                type=fact.type,
                status=status,
                reason=fact.reason,
                message=fact.message,
                last_transition_time=since,
                observed_generation=generation,
            )
        )
    return found

"""What rollouts did, as rows for a table."""

from datetime import UTC, datetime
from typing import Any

from serin.rollout.status import duration
from serin.rollout.store import Rollouts, RolloutStore, Step


def rollout_rows(rollouts: Rollouts) -> list[dict[str, Any]]:
    """One row a rollout, oldest first."""
    rows = []
    for rollout in rollouts.ids():
        newest = rollouts.of(rollout).newest()
        if newest is not None:
            rows.append(_row_of(newest))
    return rows


def step_rows(store: RolloutStore, every: bool) -> list[dict[str, Any]]:
    """One row a step of a rollout, without those that only counted unless ``every`` is set."""
    return [
        {
            "time": written(step.t),
            "step": step.state.step + 1,
            "action": step.action,
            "weight": step.state.weight,
            "stable users": step.state.units["stable"],
            "canary users": step.state.units["canary"],
            "by": step.person or _decided_by(step),
            "why": step.reason,
        }
        for step, _ in store.steps()
        if every or step.action != "count"
    ]


def written(t: float) -> str:
    """A time for people, in UTC."""
    return f"{datetime.fromtimestamp(t, UTC):%Y-%m-%d %H:%M:%S}Z"


def _decided_by(step: Step) -> str:
    if step.action in ("promote", "abort"):
        return step.state.decided_by or ""
    return "evidence" if step.action in ("count", "advance") else ""


def _row_of(newest: Step) -> dict[str, Any]:
    state = newest.state
    began = newest.number > 0
    decision = state.decision if state.decision != "running" else ("running" if began else "never began")
    return {
        "rollout": state.id,
        "canary": state.canary,
        "decision": decision,
        "started": written(state.started_t),
        "took": "" if state.ended_t is None else duration(max(0.0, state.ended_t - state.started_t)),
        "stable users": state.units["stable"],
        "canary users": state.units["canary"],
        "by": state.person or state.decided_by or "",
        "why": state.reason,
    }

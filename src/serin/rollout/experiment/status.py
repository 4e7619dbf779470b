"""An experiment in the words of those who wait for it: what was seen of each arm, who wins, or what it still takes."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from serin.core.params.experiment import Goal
from serin.rollout.experiment.forecast import units_to_prove
from serin.rollout.experiment.intervals import Interval, difference, mean_interval
from serin.rollout.experiment.state import STABLE, ExperimentState
from serin.rollout.status import METRIC_NAMES, duration, short

Column = Literal["error", "feedback", "ttft", "score"]


class Estimate(BaseModel):
    """A mean of one arm. Both intervals hold for all arms at once and at any time, with an error of at most alpha."""

    model_config = ConfigDict(frozen=True)

    units: int
    mean: float | None
    """None where nothing was seen."""
    interval: Interval
    difference: Interval | None
    """From stable; None for stable itself."""


class ArmView(BaseModel):
    """One arm of an experiment."""

    model_config = ConfigDict(frozen=True)

    arm: str
    revision: str
    share: float
    units: int
    estimates: dict[Column, Estimate]
    """By metric; ``score`` is the mean score of those who rated."""
    beats: dict[Goal, list[str]]
    """Arms that are proven worse than this one, by metric."""


class ExperimentView(BaseModel):
    """What ``serin experiment status --output json`` prints. Times are Unix seconds."""

    model_config = ConfigDict(frozen=True)

    id: str
    stable: str
    phase: Literal["warming up", "running", "stopped"]
    goal: Goal
    alpha: float
    margin: float
    units: int
    arms: list[ArmView]
    winner: str | None
    """The arm that is proven to beat all others in the goal."""
    leader: str | None
    """The arm with the smallest share of bad outcomes in the goal; it may be chance. None before anything was counted."""
    units_more: int | None
    """About how many more units it takes until the leader is proven to win; None where no number of them would."""
    time_more_s: float | None
    """The same as time, at the traffic so far."""
    split_is_broken: bool
    conclusion: str
    started_t: float
    ended_t: float | None
    reason: str
    person: str
    chosen: str | None


def view_of(state: ExperimentState, now: float) -> ExperimentView:
    """An experiment as it stands."""
    columns: list[Column] = [*state.params.metrics, "score"]
    of_arms = {column: _estimates(state, column) for column in columns}
    arms = [
        ArmView(
            arm=arm,
            revision=state.revision_of(arm),
            share=share,
            units=state.counts[arm].units,
            estimates={column: of_arms[column][arm] for column in columns},
            beats={metric: state.beaten_by(metric, arm) for metric in state.params.metrics},
        )
        for arm, share in state.weights.items()
    ]
    leader = leading(state)
    units_more = math.inf if leader is None else _units_more(state, leader)
    counting_s = max(0.0, (state.ended_t or now) - state.params.horizon_s - state.counted_from)
    known = math.isfinite(units_more)
    return ExperimentView(
        id=state.id,
        stable=state.stable,
        phase=_phase(state, now),
        goal=state.params.goal,
        alpha=state.params.alpha,
        margin=state.params.margin,
        units=state.units,
        arms=arms,
        winner=state.winner,
        leader=leader,
        units_more=math.ceil(units_more) if known else None,
        time_more_s=units_more * counting_s / state.units if known and state.units else None,
        split_is_broken=state.split_is_broken,
        conclusion=_conclusion(state, leader, units_more, counting_s),
        started_t=state.started_t,
        ended_t=state.ended_t,
        reason=state.reason,
        person=state.person,
        chosen=state.chosen,
    )


def leading(state: ExperimentState) -> str | None:
    """The arm with the smallest share of bad outcomes in the goal; None while an arm has no unit."""
    goal = state.params.goal
    if not all(each.units for each in state.counts.values()):
        return None
    return min(state.arms, key=lambda arm: state.counts[arm].bad.get(goal, 0) / state.counts[arm].units)


def lines(view: ExperimentView) -> list[str]:
    """The view as text."""
    names = {"score": "mean score", **METRIC_NAMES}
    columns = list(view.arms[0].estimates)
    rows = [["arm", "share", "users", *(names[column] for column in columns)]]
    for arm in view.arms:
        name = f"{short(arm.revision)} (stable)" if arm.arm == STABLE else short(arm.revision)
        shown = [_estimate(arm.estimates[column], column) for column in columns]
        rows.append([name, f"{arm.share:.1%}", f"{arm.units:,}", *shown])
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    found = [f"experiment {view.id}: {view.phase}{_ending(view)}", "", *table, ""]
    for arm in view.arms[1:]:
        gap = arm.estimates[view.goal].difference
        if gap is not None and arm.units:
            between = f"{100 * gap.low:+.1f} and {100 * gap.high:+.1f} points"
            found.append(f"{METRIC_NAMES[view.goal]}, {short(arm.revision)} minus stable: between {between}")
    return [
        *found,
        f"In brackets: where the true value lies; in each column all of them hold at once, and however often one looks, "
        f"except in at most {view.alpha:.0%} of experiments.",
        "",
        view.conclusion,
    ]


def _estimates(state: ExperimentState, column: Column) -> dict[str, Estimate]:
    alpha = state.params.alpha / len(state.weights)
    seen = {}
    for arm, counts in state.counts.items():
        n, total = (counts.rated, counts.score) if column == "score" else (counts.units, counts.bad.get(column, 0))
        seen[arm] = (n, total, mean_interval(n, min(total, float(n)), alpha))
    return {
        arm: Estimate(
            units=n,
            mean=total / n if n else None,
            interval=interval,
            difference=None if arm == STABLE else difference(interval, seen[STABLE][2]),
        )
        for arm, (n, total, interval) in seen.items()
    }


def _units_more(state: ExperimentState, leader: str) -> float:
    """Of all arms, until the leader is proven better than every other."""
    return max(
        units_to_prove(pair, state.weights, state.params.margin, state.log_needed)
        for pair in state.pairs
        if (pair.metric, pair.better) == (state.params.goal, leader)
    )


def _phase(state: ExperimentState, now: float) -> Literal["warming up", "running", "stopped"]:
    if state.decision == "stopped":
        return "stopped"
    return "warming up" if now < state.counted_from else "running"


def _conclusion(state: ExperimentState, leader: str | None, units_more: float, counting_s: float) -> str:
    goal = METRIC_NAMES[state.params.goal]
    if state.split_is_broken:
        return "Nothing can be concluded: users did not fall on the arms as declared."
    if state.winner is not None:
        name = _named(state.winner)
        by = f" by more than {state.params.margin:.1%}" if state.params.margin else ""
        caveats = "".join(
            f" But it is proven to have more users with {METRIC_NAMES[metric]} than {_named(other)}."
            for metric in state.params.metrics
            for other in state.arms
            if state.winner in state.beaten_by(metric, other)
        )
        return (
            f"{name} wins: it has fewer users with {goal} than every other arm{by}. Such a claim is wrong in at most "
            f"{state.params.alpha:.0%} of experiments, however often one looks.{caveats}"
        )
    if leader is None:
        return "No winner yet: some arm has no counted user."
    if state.decision != "running":
        return f"No winner: it was stopped before any arm was proven better than every other. {_named(leader)} led."
    if not math.isfinite(units_more):
        return f"No winner yet, and none in sight: at what was seen so far the best arms have equally many users with {goal}."
    time = f" ({duration(units_more * counting_s / state.units)} at the traffic so far)" if counting_s else ""
    return (
        f"No winner yet. {_named(leader)} leads, which may be chance; if all arms go on as they did, about "
        f"{math.ceil(units_more):,} more users{time} prove it."
    )


def _named(arm: str) -> str:
    return "stable" if arm == STABLE else short(arm)


def _ending(view: ExperimentView) -> str:
    if view.phase != "stopped":
        return ""
    by = f" by {view.person}" if view.person else ""
    return f"{by}: {view.reason}; everybody is with stable"


def _estimate(estimate: Estimate, column: Column) -> str:
    if estimate.mean is None:
        return "–"
    low, high = estimate.interval
    if column == "score":
        return f"{estimate.mean:.2f} [{low:.2f}, {high:.2f}] of {estimate.units:,} ratings"
    return f"{estimate.mean:.1%} [{low:.1%}, {high:.1%}]"

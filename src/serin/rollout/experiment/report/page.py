"""The page: what was compared, what was seen of each arm, who wins and how sure that is."""

import math
from collections.abc import Sequence
from typing import Any

from serin.rollout.experiment.report.charts import bands, forest
from serin.rollout.experiment.state import STABLE, CountedUnit, ExperimentState
from serin.rollout.experiment.status import ArmView, ExperimentView, view_of
from serin.rollout.history import written
from serin.rollout.report.templates import load_template
from serin.rollout.status import METRIC_NAMES, duration, short

_NAMES = {**METRIC_NAMES, "score": "mean score"}
_BAD = {
    "error": "The request failed, or stable had to answer instead.",
    "feedback": "The answer was rated badly, or the request failed; who rated nothing counts as content.",
    "ttft": "The first token came later than is allowed, or not at all.",
    "score": "The mean of the ratings from 0 to 100 %, of those who rated; here more is better.",
}


def render_report(state: ExperimentState, units: Sequence[CountedUnit], now: float) -> str:
    """The page about an experiment and the units that it counted; the same arguments give the same page."""
    view = view_of(state, now)
    end_t = state.ended_t or now
    return load_template("experiment/report/experiment.html.jinja").render(
        view=view,
        title=_title(view),
        good=view.winner is not None,
        names={arm.arm: _name(arm) for arm in view.arms},
        labels=_NAMES,
        bad=_BAD,
        forests={
            column: forest({arm.arm: arm.estimates[column] for arm in view.arms}, STABLE)
            for column in view.arms[0].estimates
        },
        bands=bands(state, units, state.params.goal, STABLE, max(end_t, state.counted_from + 1.0)),
        claims=_claims(state, view),
        stable=STABLE,
        took=duration(max(0.0, end_t - state.started_t)),
        started=written(state.started_t),
        written=written(now),
        facts=_facts(state),
    )


def _title(view: ExperimentView) -> str:
    if view.split_is_broken:
        return "The split is broken"
    if view.winner is not None:
        return "Stable wins" if view.winner == STABLE else f"{short(view.winner)} wins"
    return "No winner yet" if view.phase != "stopped" else "No winner"


def _name(arm: ArmView) -> str:
    return f"{short(arm.revision)} (stable)" if arm.arm == STABLE else short(arm.revision)


def _claims(state: ExperimentState, view: ExperimentView) -> list[dict[str, Any]]:
    """How far the leader's way is to being proven better than each other arm."""
    leader = view.winner or view.leader
    names = {arm.arm: _name(arm) for arm in view.arms}
    return [
        {
            "better": names[pair.better],
            "worse": names[pair.worse],
            "share": min(1.0, max(0.0, pair.log_e / state.log_needed)),
            "proven": pair.log_e >= state.log_needed,
            "times": math.exp(min(pair.log_e, 690.0)),
            "needed": math.exp(state.log_needed),
        }
        for pair in state.pairs
        if (pair.metric, pair.better) == (state.params.goal, leader)
    ]


def _facts(state: ExperimentState) -> list[tuple[str, str]]:
    params = state.params
    found = [
        ("Compared by", METRIC_NAMES[params.goal]),
        ("Chance of naming a wrong winner", f"at most {params.alpha:.1%}"),
        ("The winner is better by more than", f"{params.margin:.1%}" if params.margin else "nothing"),
        ("Warm-up, not counted", duration(params.warmup_s)),
        ("A user's outcome is final after", duration(params.horizon_s)),
        ("A rating is bad below", f"{params.feedback_bad_below:g}"),
    ]
    if params.slow_after_s is not None:
        found.append(("A first token is slow after", f"{params.slow_after_s:g} s"))
    return found

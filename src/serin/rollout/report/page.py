"""The page: what was tried, on whom, what was concluded and how sure that is."""

from collections.abc import Mapping, Sequence
from typing import Any

from serin.rollout.eprocess import SPLIT_ALPHA
from serin.rollout.history import written
from serin.rollout.report.charts import evidence_plot, split_plot
from serin.rollout.report.templates import load_template
from serin.rollout.state import RolloutState
from serin.rollout.status import METRIC_NAMES, MetricView, RolloutView, duration, short, view_of
from serin.rollout.store import Step

_BAD = {
    "error": "The request failed.",
    "ttft": "The first token came later than nearly all of stable's do.",
    "tpot": "The tokens came more slowly than nearly all of stable's do, or the request failed.",
    "feedback": "The answer was rated badly, or the request failed.",
}
_MOST_STEPS = 200


def render_report(steps: Sequence[Step], now: float) -> str:
    """The page about a rollout's steps, of which there is at least one; the same arguments give the same page."""
    newest = steps[-1]
    state = newest.state
    began = [step for step in steps if step.action != "create"] or list(steps)
    end_t = max(began[-1].t, state.ended_t or now)
    view = view_of(state, now)
    shown = [step for step in began if step.action != "count"]
    return load_template("report/rollout.html.jinja", rate=_rate, percent=_percent).render(
        view=view,
        stable=short(view.stable),
        canary=short(view.canary),
        title=_title(view),
        good=view.phase == "promoted",
        summary=_summary(view),
        sure=_how_sure(state),
        counted=view.stable_units + view.canary_units,
        took=duration(max(0.0, end_t - began[0].t)),
        started=written(began[0].t),
        written=written(now),
        left=None if view.time_left_s is None else duration(view.time_left_s),
        split=split_plot(began, end_t),
        metrics=[
            {
                "view": metric,
                "bad": _BAD.get(metric.name, ""),
                "reads": _reads(metric),
                "plot": evidence_plot(began, metric.name, (metric.worse.needed, metric.not_worse.needed), end_t),
            }
            for metric in view.metrics
        ],
        steps=[_row(step, began[0].t) for step in shown[-_MOST_STEPS:]],
        left_out=max(0, len(shown) - _MOST_STEPS),
        params=_facts(state),
    )


def _title(view: RolloutView) -> str:
    name = short(view.canary)
    if view.phase == "promoted":
        return f"{name} took over"
    if view.phase == "aborted":
        return f"{name} was sent back"
    return f"{name} is on trial" + (", and paused" if view.phase == "paused" else "")


def _summary(view: RolloutView) -> str:
    """What happened, in one or two sentences."""
    who = f" {view.person} decided so" if view.person else " A person decided so"
    if view.phase == "promoted":
        everybody = f"Everybody is with {short(view.canary)} now."
        if view.decided_by == "person":
            return f"{everybody}{who}: {_own_words(view)}."
        if view.decided_by == "time":
            return f"{everybody} It was {view.reason}."
        return f"{everybody} In everything that was compared it is not worse than {short(view.stable)} by the margin allowed."
    if view.phase == "aborted":
        everybody = f"Everybody is back with {short(view.stable)}."
        if view.decided_by == "person":
            return f"{everybody}{who}: {_own_words(view)}."
        return f"{everybody} The new one was {view.reason}." if view.decided_by == "time" else _aborted(view, everybody)
    going = f"{view.weight:.0%} of the users get its answers; step {view.step} of {view.steps}."
    return f"{going} It waits: {view.waits_for}."


def _aborted(view: RolloutView, everybody: str) -> str:
    worse = [metric.words for metric in view.metrics if metric.worse.proven]
    if not worse:
        return f"{everybody} {view.reason[:1].upper()}{view.reason[1:]}."
    return f"{everybody} The new one is worse than allowed: it has more {' and '.join(worse)}."


def _own_words(view: RolloutView) -> str:
    return view.reason.partition(": ")[2] or view.reason


def _how_sure(state: RolloutState) -> str:
    """The error bound of what was concluded, in words; bounds hold however often somebody looked."""
    params = state.params
    if state.decision == "running":
        return (
            "Nothing is decided yet. The evidence may be looked at as often as one likes: the chance of a wrong decision is "
            f"bounded all the same, at {_percent(params.alpha_abort)} for sending back a revision that is no worse than "
            f"allowed, and at {_percent(params.alpha_promote)} for letting through one that is worse by the margin or more."
        )
    if state.decided_by == "person":
        return "This was a person's decision, so it rests on no error bound; below stands what the evidence said until then."
    if state.decided_by == "time":
        return (
            "The evidence was not enough for either conclusion: that the revisions are equal is as possible as a small "
            "difference. More users, or more time, would tell."
        )
    if state.decided_by == "split":
        return (
            "Users did not fall on the two revisions as declared, so no comparison of them can be trusted. A sound split is "
            f"called broken in at most {_percent(SPLIT_ALPHA)} of rollouts."
        )
    if state.decision == "promoted":
        return (
            f"A revision that is worse by the margin or more in anything compared is let through in at most "
            f"{_percent(params.alpha_promote)} of such rollouts, however often one looks."
        )
    return (
        f"A revision that is no worse than allowed is sent back in at most {_percent(params.alpha_abort)} of such rollouts, "
        "all comparisons together and however often one looks."
    )


def _reads(metric: MetricView) -> str:
    """What one metric's evidence says, in a sentence."""
    margin = _percent(metric.delta)
    if metric.worse.proven:
        return f"Proven: the new revision is worse by more than the {margin} allowed."
    if metric.not_worse.proven:
        return f"Proven: the new revision is not worse by {margin}."
    if not metric.canary_units:
        return "No user has been counted yet."
    return (
        f"Not decided: {metric.not_worse.share:.0%} of the way to proving that it is not worse by {margin}, "
        f"{metric.worse.share:.0%} of the way to proving that it is."
    )


def _row(step: Step, start_t: float) -> Mapping[str, Any]:
    units = step.state.units
    return {
        "at": duration(max(0.0, step.t - start_t)),
        "time": written(step.t),
        "action": {"start": "started", "abort": "sent back", "promote": "took over"}.get(step.action, step.action),
        "weight": f"{step.state.weight:.0%}",
        "users": f"{units['stable'] + units['canary']:,}",
        "who": step.person,
        "why": step.reason,
    }


def _facts(state: RolloutState) -> list[tuple[str, str]]:
    params = state.params
    found = [
        ("Shares of users", ", ".join(f"{weight:.0%}" for weight in params.weights)),
        ("Least users of the new revision at each", f"{params.min_units:,}"),
        ("Warm-up, not counted", duration(params.warmup_s)),
        ("A user's outcome is final after", duration(params.horizon_s)),
        ("Longest time", duration(params.max_time_s)),
    ]
    if state.ttft_threshold_s is not None:
        found.append(("A first token is slow after", f"{state.ttft_threshold_s:.3g} s"))
    if state.tpot_threshold_s is not None:
        found.append(("Tokens are slow above", f"{state.tpot_threshold_s:.3g} s each"))
    margins = ", ".join(f"{METRIC_NAMES.get(name, name)} {_percent(m.delta)}" for name, m in params.metrics.items())
    return [*found, ("Margins", margins)]


def _rate(bad: int, units: int) -> str:
    return _percent(bad / units) if units else "–"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"

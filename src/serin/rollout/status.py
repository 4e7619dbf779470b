"""A rollout in the words of those who wait for it: how far it is, how strong its evidence is, and what it waits for."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from serin.core.revision import SHORT, Revision
from serin.rollout.capacity import Capacity
from serin.rollout.eprocess import SPLIT_ALPHA, MetricEvidence, threshold
from serin.rollout.policy import step
from serin.rollout.state import RolloutState

Phase = Literal["warming up", "running", "paused", "promoted", "aborted"]
METRIC_NAMES = {
    "error": "failed requests",
    "ttft": "slow first tokens",
    "tpot": "slow tokens",
    "feedback": "bad feedback",
}


class Proof(BaseModel):
    """How far the evidence for one claim is."""

    model_config = ConfigDict(frozen=True)

    e: float
    """The e-value: how many times more the data speak for the claim than against it; the largest so far."""
    needed: float
    """The e-value at which the claim counts as proven."""
    proven: bool
    share: float
    """How much of the way is gone, in [0, 1]: evidence multiplies, so the way is measured in logarithms."""


class MetricView(BaseModel):
    """One metric of a rollout."""

    model_config = ConfigDict(frozen=True)

    name: str
    words: str
    """What a bad outcome is."""
    delta: float
    stable_units: int
    stable_bad: int
    canary_units: int
    canary_bad: int
    worse: Proof
    """That the canary is worse than delta allows."""
    not_worse: Proof
    """That it is not worse by delta."""


class RolloutView(BaseModel):
    """What ``serin rollout status --output json`` prints. Times are Unix seconds."""

    model_config = ConfigDict(frozen=True)

    id: str
    stable: str
    canary: str
    phase: Phase
    weight: float
    """The canary's share of units."""
    step: int
    """Counted from 1."""
    steps: int
    step_units: int
    min_units: int
    stable_units: int
    canary_units: int
    metrics: list[MetricView]
    split: Proof
    """That units do not fall on the arms as the weights say."""
    ttft_threshold_s: float | None
    tpot_threshold_s: float | None
    waits_for: str
    """Empty where it is decided."""
    time_left_s: float | None
    """Until an undecided rollout ends; None where it is decided or paused."""
    started_t: float
    ended_t: float | None
    decided_by: str | None
    person: str
    """Who decided or paused it by hand."""
    reason: str
    loop_runs: bool | None
    """Whether the loop that moves it lives; None where that is not known here."""


def view_of(
    state: RolloutState, now: float, capacity: Capacity | None = None, loop_runs: bool | None = None
) -> RolloutView:
    """A rollout as it stands."""
    running = state.decision == "running"
    params = state.params
    # A step without new observations is pure: it tells what the next one waits for.
    waits_for = step(state, [], now, capacity)[1].reason if running else ""
    left_s = params.max_time_s - state.running_s(now)
    return RolloutView(
        id=state.id,
        stable=state.stable,
        canary=state.canary,
        phase=_phase(state),
        weight=state.weight,
        step=state.step + 1,
        steps=len(params.steps),
        step_units=state.step_units,
        min_units=params.min_units,
        stable_units=state.units["stable"],
        canary_units=state.units["canary"],
        metrics=[metric_view(state, name) for name in state.metrics],
        split=split_view(state),
        ttft_threshold_s=state.ttft_threshold_s,
        tpot_threshold_s=state.tpot_threshold_s,
        waits_for=waits_for,
        time_left_s=max(0.0, left_s) if running and not state.paused else None,
        started_t=state.started_t,
        ended_t=state.ended_t,
        decided_by=state.decided_by,
        person=state.person or state.paused_by,
        reason=state.reason or state.paused_because,
        loop_runs=loop_runs if running else None,
    )


def metric_view(state: RolloutState, name: str) -> MetricView:
    """One metric of a rollout as it stands."""
    evidence: MetricEvidence = state.metrics[name]
    return MetricView(
        name=name,
        words=METRIC_NAMES.get(name, name),
        delta=next(params.delta for each, params in state.params.metrics.items() if each == name),
        stable_units=evidence.stable_units,
        stable_bad=evidence.stable_bad,
        canary_units=evidence.canary_units,
        canary_bad=evidence.canary_bad,
        worse=proof_of(evidence.peak_abort, state.alpha_abort),
        not_worse=proof_of(evidence.peak_promote, state.params.alpha_promote),
    )


def split_view(state: RolloutState) -> Proof:
    """The evidence that the split is broken."""
    return proof_of(state.split.peak, SPLIT_ALPHA)


def proof_of(log_e: float, alpha: float) -> Proof:
    """A claim whose largest evidence is e to the ``log_e``, at level ``alpha``."""
    needed = threshold(alpha)
    share = min(1.0, max(0.0, log_e / math.log(needed)))
    return Proof(e=math.exp(min(log_e, 690.0)), needed=needed, proven=log_e >= math.log(needed), share=share)


def lines(view: RolloutView) -> list[str]:
    """The view as text."""
    found = [
        f"rollout    {view.id}",
        f"stable     {view.stable}",
        f"canary     {view.canary}",
        f"state      {_state_in_words(view)}",
    ]
    if view.waits_for:
        found.append(f"waits for  {view.waits_for}")
    if view.time_left_s is not None:
        found.append(f"time left  {duration(view.time_left_s)}, then what is undecided ends")
    found.append(f"counted    {view.stable_units:,} users with stable, {view.canary_units:,} with the canary")
    found += [f"slow       above {seconds:.3g} s, {what}" for what, seconds in _thresholds(view)]
    found.append("")
    for metric in view.metrics:
        bad = f"stable {_rate(metric.stable_bad, metric.stable_units)}, canary {_rate(metric.canary_bad, metric.canary_units)}"
        found += [
            f"{metric.words}: {bad}",
            f"  worse by more than {metric.delta:.1%}?  {_proof(metric.worse)}",
            f"  not worse by {metric.delta:.1%}?        {_proof(metric.not_worse)}",
        ]
    found.append(f"split as declared? {'no: it is broken' if view.split.proven else 'nothing speaks against it'}")
    if view.loop_runs is False:
        found += ["", f"Its loop is gone, so nothing moves: 'serin rollout start {view.canary}' goes on with it."]
    return found


def duration(seconds: float) -> str:
    """In the two largest units: ``2 d 3 h``, ``4 min 5 s``."""
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((n for n, (value, _) in enumerate(parts) if value), len(parts) - 1)
    return " ".join(f"{value} {unit}" for value, unit in parts[first : first + 2])


def short(revision: str) -> str:
    """A revision as people name it: ``law-qa@3f9a1c20``."""
    parsed = Revision.parse(revision)
    return f"{parsed.name}@{parsed.digest[:SHORT]}"


def _phase(state: RolloutState) -> Phase:
    if state.decision != "running":
        return state.decision
    if state.paused:
        return "paused"
    return "warming up" if state.counted_from is None else "running"


def _state_in_words(view: RolloutView) -> str:
    by = f", by hand ({view.person})" if view.person and view.decided_by == "person" else ""
    if view.phase == "promoted":
        return f"promoted{by}: {view.reason}; everybody is with {view.canary}"
    if view.phase == "aborted":
        return f"aborted{by}: {view.reason}; everybody is with {view.stable}"
    return f"{view.phase}, step {view.step} of {view.steps}: {view.weight:.0%} of the users are with the canary"


def _thresholds(view: RolloutView) -> list[tuple[str, float]]:
    both = (
        ("from a request to its first token", view.ttft_threshold_s),
        ("from one token to the next", view.tpot_threshold_s),
    )
    return [(what, seconds) for what, seconds in both if seconds is not None]


def _rate(bad: int, units: int) -> str:
    return f"{bad:,} of {units:,}" + (f" ({bad / units:.1%})" if units else "")


def _proof(proof: Proof) -> str:
    bar = "█" * round(20 * proof.share)
    state = "proven" if proof.proven else f"{proof.share:.0%} of the way"
    return f"{bar:·<20} {state} (evidence {_times(proof.e)}, proven at {_times(proof.needed)})"


def _times(value: float) -> str:
    return f"{value:,.0f}" if 100 <= value < 1e6 else f"{value:.3g}"

"""The policy of a rollout: a pure function from what is known to what is done.

warm-up ─▶ steps[0] ─▶ steps[1] ─▶ … ─▶ last step below 1 ─▶ promoted   every metric's promotion is proven
   └───────────┴───────────┴───────────────────┴───────────▶ aborted    a metric is proven worse, the split is broken,
                                                                        a person says so, or time is up
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from serin.core.params import RolloutParams
from serin.rollout.eprocess import (
    SPLIT_ALPHA,
    MetricEvidence,
    Outcome,
    SplitEvidence,
    e_value,
    fold,
    fold_split,
    threshold,
)
from serin.rollout.outcomes import Observation

BATCH_S = 1.0
"""Length of a batch, by assignment time; guesses are frozen within one."""
MIN_TTFTS = 50
"""Stable answers that a threshold of time to first token needs."""

Decided = Literal["running", "promoted", "aborted"]


class RolloutState(BaseModel):
    """Everything that a rollout is, as a value; times are Unix seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: str
    stable: str
    canary: str
    salt: str
    params: RolloutParams
    started_t: float
    step: int = 0
    """Index into ``params.steps``."""
    step_started_t: float
    step_units: int = 0
    """Canary units with closed outcomes that were assigned at this step's weight."""
    counted_from: float | None = None
    """Units assigned earlier are warm-up, for both arms; None until the warm-up is over."""
    ttft_threshold_s: float | None = None
    """Frozen from stable's answers before ``counted_from``."""
    batches: int = 0
    """Batches folded in; an observation of an earlier batch has been counted already."""
    metrics: dict[str, MetricEvidence]
    split: SplitEvidence = SplitEvidence()
    decision: Decided = "running"
    reason: str = ""
    manual: bool = False
    """Whether a person decided, and not the evidence."""
    ended_t: float | None = None

    @property
    def weight(self) -> float:
        """The canary's share of units now."""
        if self.decision == "running":
            return self.params.steps[self.step]
        return 1.0 if self.decision == "promoted" else 0.0

    @property
    def units(self) -> dict[str, int]:
        """Counted units in each arm; every metric has the same ones."""
        evidence = next(iter(self.metrics.values()))
        return {"stable": evidence.stable_units, "canary": evidence.canary_units}

    @property
    def alpha_abort(self) -> float:
        """The abort level of one metric: the total, split evenly (union bound)."""
        return self.params.alpha_abort / len(self.metrics)

    def proven_worse(self) -> list[str]:
        """Metrics in which the canary is worse than its delta allows."""
        limit = math.log(threshold(self.alpha_abort))
        return [name for name, evidence in self.metrics.items() if evidence.peak_abort >= limit]

    def unproven(self) -> list[str]:
        """Metrics that do not yet allow promotion.

        Each is tested at the whole of ``alpha_promote``: all must reject, so a wrong promotion needs a wrong rejection
        in a metric that is truly worse (intersection-union test, Berger 1982).
        """
        limit = math.log(threshold(self.params.alpha_promote))
        return [name for name, evidence in self.metrics.items() if evidence.peak_promote < limit]


@dataclass(frozen=True, slots=True)
class Decision:
    """What ``step`` decided: to hold at ``weight``, to advance to it, to promote or to abort, and why."""

    action: Literal["hold", "advance", "promote", "abort"]
    weight: float
    reason: str


def new_rollout(rollout: str, stable: str, canary: str, salt: str, params: RolloutParams, now: float) -> RolloutState:
    """A rollout at its first step."""
    return RolloutState(
        id=rollout,
        stable=stable,
        canary=canary,
        salt=salt,
        params=params,
        started_t=now,
        step_started_t=now,
        metrics={name: MetricEvidence() for name in params.metrics},
    )


def begin_counting(state: RolloutState, stable_ttfts_s: Sequence[float], now: float) -> RolloutState:
    """End the warm-up once its time is over and, where latency counts, stable's threshold can be frozen."""
    if state.counted_from is not None or now < state.started_t + state.params.warmup_s:
        return state
    if "ttft" not in state.metrics:
        return state.model_copy(update={"counted_from": now})
    if len(stable_ttfts_s) < MIN_TTFTS:
        return state
    ranked = sorted(stable_ttfts_s)
    frozen = ranked[math.ceil(state.params.ttft_quantile * len(ranked)) - 1]
    return state.model_copy(update={"counted_from": now, "ttft_threshold_s": frozen})


def step(state: RolloutState, observations: Sequence[Observation], now: float) -> tuple[RolloutState, Decision]:
    """Take in closed observations, batch by batch, and decide. A decided rollout stays as it is.

    Observations of batches that were folded before change nothing, so that a repeated call counts nothing twice.
    """
    if state.decision != "running":
        return state, Decision("hold", state.weight, state.reason)
    state = _folded(state, observations)
    worse = state.proven_worse()
    if worse:
        return _ended(state, "aborted", f"worse than delta allows in {', '.join(worse)}", now)
    if state.split.peak >= math.log(threshold(SPLIT_ALPHA)):
        return _ended(state, "aborted", "the split is broken: units do not fall on the arms as the weights say", now)
    unproven = state.unproven()
    waits = _waits_for(state, now)
    last = len(state.params.steps) < 2 or state.params.steps[state.step + 1] == 1.0
    if not waits and not (last and unproven):
        if last:
            return _ended(state, "promoted", f"not worse by delta in {', '.join(state.metrics)}", now)
        state = state.model_copy(update={"step": state.step + 1, "step_started_t": now, "step_units": 0})
        return state, Decision("advance", state.weight, f"step {state.step + 1} of {len(state.params.steps)}")
    if now - state.started_t >= state.params.max_time_s:
        missing = f"not proven in {', '.join(unproven)}" if unproven else waits
        return _ended(state, "aborted", f"undecided after {state.params.max_time_s:g} s ({missing})", now)
    return state, Decision("hold", state.weight, waits or f"waits for proof in {', '.join(unproven)}")


def decide_by_hand(
    state: RolloutState, decided: Literal["promoted", "aborted"], reason: str, now: float
) -> tuple[RolloutState, Decision]:
    """A person's decision, recorded as such. A decided rollout stays as it is."""
    if state.decision != "running":
        return state, Decision("hold", state.weight, state.reason)
    ended, decision = _ended(state, decided, f"by hand: {reason}", now)
    return ended.model_copy(update={"manual": True}), decision


def least_units(params: RolloutParams, most: int = 100_000) -> dict[str, int | None]:
    """For each metric, the canary units after which it can promote if every outcome of both arms is good.

    Found by running the e-process at the schedule's weights, ``min_units`` at each step but the last below 1; None
    where ``most`` units are not enough. More are needed where canary outcomes are bad.
    """
    limit = math.log(threshold(params.alpha_promote))
    weights = [w for w in params.steps if w < 1] or [1.0]
    found: dict[str, int | None] = {}
    for name, metric in params.metrics.items():
        evidence = MetricEvidence()
        stable_due = 0.0
        while evidence.peak_promote < limit and evidence.canary_units < most and weights[0] < 1:
            weight = weights[min(evidence.canary_units // params.min_units, len(weights) - 1)]
            stable_due += (1 - weight) / weight
            batch = [Outcome("canary", weight, 0), *[Outcome("stable", weight, 0)] * int(stable_due)]
            stable_due -= int(stable_due)
            evidence = fold(evidence, batch, metric.delta)
        found[name] = evidence.canary_units if evidence.peak_promote >= limit else None
    return found


def history_line(state: RolloutState, decision: Decision, now: float) -> dict[str, Any]:
    """What a step leaves for people and plots: one line of ``history.jsonl``."""
    return {
        "t": now,
        "elapsed_s": round(now - state.started_t, 3),
        "step": state.step,
        "weight": state.weight,
        "units": state.units,
        "metrics": {
            name: {
                "e_abort": evidence.e_abort,
                "e_promote": evidence.e_promote,
                "abort_at": threshold(state.alpha_abort),
                "promote_at": threshold(state.params.alpha_promote),
                "stable_bad": evidence.stable_bad,
                "canary_bad": evidence.canary_bad,
            }
            for name, evidence in state.metrics.items()
        },
        "e_split": e_value(state.split.log_e),
        "action": decision.action,
        "reason": decision.reason,
        "decision": state.decision,
    }


def _folded(state: RolloutState, observations: Sequence[Observation]) -> RolloutState:
    """Fold whole batches in order; stops after the first one that proves the canary worse."""
    fresh = sorted((o for o in observations if o.batch >= state.batches), key=lambda o: (o.batch, o.assigned_t, o.unit))
    for batch, rows_of_batch in groupby(fresh, key=lambda o: o.batch):
        rows = list(rows_of_batch)
        of_metric = {
            name: [Outcome(o.arm, o.weight, o.y) for o in rows if o.metric == name] for name in state.params.metrics
        }
        units = next(iter(of_metric.values()))
        metrics = {
            name: fold(state.metrics[name], outcomes, state.params.metrics[name].delta)
            for name, outcomes in of_metric.items()
        }
        at_step = sum(o.arm == "canary" and math.isclose(o.weight, state.weight) for o in units)
        state = state.model_copy(
            update={
                "metrics": metrics,
                "split": fold_split(state.split, [(o.arm, o.weight) for o in units]),
                "step_units": state.step_units + at_step,
                "batches": batch + 1,
            }
        )
        if state.proven_worse():
            break
    return state


def _waits_for(state: RolloutState, now: float) -> str:
    """Why the present step is not over, or an empty string."""
    if state.counted_from is None:
        return "warming up" if "ttft" not in state.metrics else "warming up, and measuring stable's first tokens"
    if now - state.step_started_t < state.params.hold_s:
        return f"holds for {state.params.hold_s:g} s"
    if state.step_units < state.params.min_units:
        return f"{state.step_units} of {state.params.min_units} canary units at this step"
    return ""


def _ended(
    state: RolloutState, decided: Literal["promoted", "aborted"], reason: str, now: float
) -> tuple[RolloutState, Decision]:
    ended = state.model_copy(update={"decision": decided, "reason": reason, "ended_t": now})
    if decided == "promoted":
        ended = ended.model_copy(update={"step": len(state.params.steps) - 1})
    return ended, Decision("promote" if decided == "promoted" else "abort", ended.weight, reason)

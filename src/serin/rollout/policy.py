"""The policy of a rollout: a pure function from what is known to what is done.

warm-up ─▶ steps[0] ─▶ steps[1] ─▶ … ─▶ last step below 1 ─▶ promoted   every metric's promotion is proven
   └───────────┴───────────┴───────────────────┴───────────▶ aborted    a metric is proven worse, the split is broken,
                                                                        a person says so, or time is up
A pause holds the weight anywhere on the upper line: evidence goes on and an abort acts, but no step, no promotion and no
clock of the rollout does.

Who keeps the state calls ``begin_counting`` and ``step`` over and over, stores the state that came back, and only then
makes the weights what it says. Both are pure: the same state, rows and time give the same answer, and rows that were
counted change nothing, so a caller may be killed, doubled or replaced between any two calls.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from serin.rollout.capacity import Capacity, replicas_needed
from serin.rollout.eprocess import SPLIT_ALPHA, Outcome, fold, fold_split, threshold
from serin.rollout.outcomes import Observation
from serin.rollout.state import DecidedBy, RolloutState

MIN_LATENCIES = 50
"""Stable answers that a threshold of latency needs."""
_MEASURED = {"ttft": "first tokens", "tpot": "time per token"}


@dataclass(frozen=True, slots=True)
class Decision:
    """What ``step`` decided: to hold at ``weight``, to advance to it, to promote or to abort, and why."""

    action: Literal["hold", "advance", "promote", "abort"]
    weight: float
    reason: str


def begin_counting(
    state: RolloutState, stable_ttfts_s: Sequence[float], now: float, stable_tpots_s: Sequence[float] = ()
) -> RolloutState:
    """End the warm-up once its time is over and, where latency counts, stable's thresholds can be frozen."""
    if state.counted_from is not None or now < state.started_t + state.params.warmup_s:
        return state
    frozen: dict[str, float] = {"counted_from": now}
    if "ttft" in state.metrics:
        if len(stable_ttfts_s) < MIN_LATENCIES:
            return state
        frozen["ttft_threshold_s"] = _quantile(stable_ttfts_s, state.params.ttft_quantile)
    if "tpot" in state.metrics:
        if len(stable_tpots_s) < MIN_LATENCIES:
            return state
        frozen["tpot_threshold_s"] = _quantile(stable_tpots_s, state.params.tpot_quantile)
    return state.model_copy(update=frozen)


def step(
    state: RolloutState, observations: Sequence[Observation], now: float, capacity: Capacity | None = None
) -> tuple[RolloutState, Decision]:
    """Take in closed observations, batch by batch, and decide. A decided rollout stays as it is.

    Observations of batches that were folded before change nothing, so that a repeated call counts nothing twice.
    ``capacity`` is what is ready now; None where nobody knows, and then no step waits for it.
    """
    if state.decision != "running":
        return state, Decision("hold", state.weight, state.reason)
    state = _folded(state, observations)
    if capacity is not None and capacity.stable > state.full_replicas:
        state = state.model_copy(update={"full_replicas": capacity.stable})
    worse = state.proven_worse()
    if worse:
        return _ended(state, "aborted", "evidence", f"worse than delta allows in {', '.join(worse)}", now)
    if state.split.peak >= math.log(threshold(SPLIT_ALPHA)):
        reason = "the split is broken: units do not fall on the arms as the weights say"
        return _ended(state, "aborted", "split", reason, now)
    if state.paused:
        return state, Decision("hold", state.weight, state.pause_in_words)
    unproven = state.unproven()
    waits = _waits_for(state, now, capacity)
    following = state.params.weights[state.step + 1]
    if not waits and following < 1:
        state = state.model_copy(update={"step": state.step + 1, "step_started_t": now, "step_units": 0})
        return state, Decision("advance", state.weight, f"step {state.step + 1} of {len(state.params.steps)}")
    if not waits and not unproven:
        return _ended(state, "promoted", "evidence", f"not worse by delta in {', '.join(state.metrics)}", now)
    if state.running_s(now) >= state.params.max_time_s:
        return _out_of_time(state, f"not proven in {', '.join(unproven)}" if unproven else waits, now, capacity)
    return state, Decision("hold", state.weight, waits or f"waits for proof in {', '.join(unproven)}")


def decide_by_hand(
    state: RolloutState, decided: Literal["promoted", "aborted"], reason: str, now: float, person: str = ""
) -> tuple[RolloutState, Decision]:
    """A person's decision, recorded as such. A decided rollout stays as it is."""
    if state.decision != "running":
        return state, Decision("hold", state.weight, state.reason)
    by = f"by hand ({person})" if person else "by hand"
    ended, decision = _ended(state, decided, "person", f"{by}: {reason}", now)
    return ended.model_copy(update={"person": person}), decision


def _folded(state: RolloutState, observations: Sequence[Observation]) -> RolloutState:
    """Fold whole batches in order; stops after the first one that proves the canary worse."""
    once: dict[tuple[str, str], Observation] = {}  # by the key of the rows, should a caller give one twice
    for row in sorted(observations, key=lambda o: (o.batch, o.assigned_t, o.unit)):
        if row.batch >= state.batches:
            once.setdefault((row.unit, row.metric), row)
    for batch, rows_of_batch in groupby(once.values(), key=lambda o: o.batch):
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


def _waits_for(state: RolloutState, now: float, capacity: Capacity | None) -> str:
    """Why the present step is not over, or an empty string."""
    params = state.params
    if state.counted_from is None:
        measured = " and ".join(_MEASURED[name] for name in state.metrics if name in _MEASURED)
        return f"warming up, and measuring stable's {measured}" if measured else "warming up"
    if now - state.step_started_t < params.hold_at_s(state.step):
        return f"holds for {params.hold_at_s(state.step):g} s"
    if state.step_units < params.min_units:
        return f"{state.step_units} of {params.min_units} canary units at this step"
    following = params.weights[state.step + 1]
    if following == 1 and state.running_s(now) < params.min_time_s:
        return f"promotes no earlier than after {params.min_time_s:g} s"
    return _lacks_capacity(state, following, capacity)


def _lacks_capacity(state: RolloutState, weight: float, capacity: Capacity | None) -> str:
    if capacity is None:
        return ""
    needed = replicas_needed(weight, capacity.stable, state.full_replicas)
    if capacity.canary >= needed:
        return ""
    return f"{capacity.canary} of {needed} canary replicas that a weight of {weight:g} needs are ready"


def _out_of_time(
    state: RolloutState, missing: str, now: float, capacity: Capacity | None
) -> tuple[RolloutState, Decision]:
    """Undecided: back to stable, or on to a canary that had its least exposure and has the replicas, if params say so."""
    undecided = f"undecided after {state.params.max_time_s:g} s ({missing})"
    exposed = state.units["canary"] >= state.params.min_units and not _lacks_capacity(state, 1.0, capacity)
    if state.params.undecided == "promote" and exposed:
        return _ended(state, "promoted", "time", f"{undecided}, and not proven worse: params say promote", now)
    return _ended(state, "aborted", "time", undecided, now)


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


def _ended(
    state: RolloutState, decided: Literal["promoted", "aborted"], by: DecidedBy, reason: str, now: float
) -> tuple[RolloutState, Decision]:
    over = {"decision": decided, "decided_by": by, "reason": reason, "ended_t": now}
    ended = state.model_copy(update={**over, "paused_t": None, "paused_by": "", "paused_because": ""})
    if decided == "promoted":
        ended = ended.model_copy(update={"step": len(state.params.steps) - 1})
    return ended, Decision("promote" if decided == "promoted" else "abort", ended.weight, reason)

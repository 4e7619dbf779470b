"""Many rollouts as arrays are the rollouts that production runs: same evidence, same decisions, at the same time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.core.params import Metric, RolloutParams
from serin.rollout.eprocess import Arm, MetricEvidence, Outcome, fold
from serin.rollout.fleet import ABORTED, PROMOTED, Counts, Fleet, FleetEvidence, fold_many
from serin.rollout.outcomes import Observation
from serin.rollout.policy import step
from serin.rollout.state import new_rollout

ROLLOUTS = 5
NAMES = {0: "running", PROMOTED: "promoted", ABORTED: "aborted"}


def counts(draw: np.random.Generator, size: int, stable_bad: float, canary_bad: float, share: float) -> Counts:
    canary = draw.binomial(size, share, ROLLOUTS)
    stable = size - canary
    parts = (stable, draw.binomial(stable, stable_bad), canary, draw.binomial(canary, canary_bad))
    return Counts(*(part.astype(float) for part in parts))


def outcomes(batch: Counts, of: int, weight: float) -> list[Outcome]:
    arms: tuple[tuple[Arm, Any, Any], ...] = (
        ("stable", batch.stable, batch.stable_bad),
        ("canary", batch.canary, batch.canary_bad),
    )
    return [
        Outcome(arm, weight, int(n < bad[of])) for arm, units, bad in arms for n in range(int(units[of]))
    ]  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.01, 0.3]), st.floats(0, 1), st.floats(0, 1))
def test_evidence_is_the_same_as_row_by_row(seed: int, delta: float, stable_bad: float, canary_bad: float) -> None:
    draw = np.random.default_rng(seed)
    many = FleetEvidence.empty(ROLLOUTS)
    single = [MetricEvidence() for _ in range(ROLLOUTS)]
    for _ in range(4):
        weight = draw.choice([0.05, 0.25, 0.5], ROLLOUTS)
        batch = counts(draw, int(draw.integers(0, 40)), stable_bad, canary_bad, 0.3)
        many = fold_many(many, batch, weight, delta)
        single = [fold(one, outcomes(batch, n, float(weight[n])), delta) for n, one in enumerate(single)]
    for n, one in enumerate(single):
        for name, value in one.model_dump().items():
            assert getattr(many, name)[n] == pytest.approx(value, abs=1e-9), name


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 10**6),
    st.sampled_from([(0.05, 0.05), (0.02, 0.4), (0.5, 0.05)]),
    st.sampled_from([0.25, 0.6]),
    st.sampled_from(["back", "promote"]),
    st.sampled_from([0.0, 25.0]),
)
def test_decisions_are_the_policy_s(
    seed: int, bad: tuple[float, float], share: float, undecided: str, min_time_s: float
) -> None:
    params = RolloutParams.model_validate(
        {
            "steps": [{"weight": 0.2, "hold_s": 3}, 0.25, 1.0],
            "hold_s": 2,
            "min_units": 8,
            "min_time_s": min_time_s,
            "max_time_s": 40,
            "undecided": undecided,
            "metrics": {"error": {"delta": 0.1}, "feedback": {"delta": 0.05}},
        }
    )
    draw = np.random.default_rng(seed)
    fleet = Fleet.start(params, ROLLOUTS)
    states = [
        new_rollout("r", "m@a", "m@b", "s", params, 0.0).model_copy(update={"counted_from": 0.0})
        for _ in range(ROLLOUTS)
    ]
    for batch in range(45):
        weight = fleet.weight
        errors = counts(draw, 20, *bad, share if seed % 3 == 0 else 0.22)
        silence = Counts(errors.stable, np.zeros(ROLLOUTS), errors.canary, np.zeros(ROLLOUTS))
        seen: dict[Metric, Counts] = {"error": errors, "feedback": silence}
        fleet.take_in(seen, weight)
        fleet.decide(batch + 1.0)
        for n, state in enumerate(states):
            states[n], _ = step(state, observed(seen, n, float(weight[n]), batch), batch + 1.0)
        assert [NAMES[d] for d in fleet.decision] == [state.decision for state in states]
        assert [int(s) for s, state in zip(fleet.step, states, strict=True) if state.decision == "running"] == [
            state.step for state in states if state.decision == "running"
        ]
    assert all(state.decision != "running" for state in states)
    assert [bool(late) for late in fleet.by_time] == [state.decided_by == "time" for state in states]
    assert [float(t) for t in fleet.ended_s] == [state.ended_t for state in states]
    assert [int(units) for units in fleet.units[1]] == [state.units["canary"] for state in states]


def observed(seen: dict[Metric, Counts], of: int, weight: float, batch: int) -> list[Observation]:
    return [
        Observation(f"{batch}-{n}", metric, o.arm, o.weight, o.y, float(batch), batch)
        for metric, counted in seen.items()
        for n, o in enumerate(outcomes(counted, of, weight))
    ]

"""Rollouts replayed on simulated users: what is promoted, what is aborted, and how often by mistake."""

import random

import pytest

from serin.core.params import RolloutParams
from serin.rollout.outcomes import Observation
from serin.rollout.policy import RolloutState, decide_by_hand, least_units, new_rollout, step

PARAMS = RolloutParams()
USERS_A_SECOND = 20


def replay(stable_bad: float, canary_bad: float, seed: int, params: RolloutParams = PARAMS) -> RolloutState:
    """A rollout to its end: each user is assigned at the weight of that second, and rates badly at the given rates."""
    draw = random.Random(seed)
    state = new_rollout("r", "m@a", "m@b", "salt", params, now=0.0).model_copy(update={"counted_from": 0.0})
    for second in range(int(params.max_time_s) + 1):
        rows = []
        for user in range(USERS_A_SECOND):
            arm = "canary" if draw.random() < state.weight else "stable"
            bad = draw.random() < (canary_bad if arm == "canary" else stable_bad)
            rows += [
                Observation(f"{second}-{user}", metric, arm, state.weight, y, second, second)  # type: ignore[arg-type]
                for metric, y in (("error", 0), ("feedback", int(bad)))
            ]
        state, _ = step(state, rows, float(second))
        if state.decision != "running":
            break
    return state


@pytest.mark.parametrize(("stable", "canary", "decision"), [(0.9, 0.1, "promoted"), (0.1, 0.9, "aborted")])
def test_a_better_canary_is_promoted_and_a_worse_one_aborted(stable: float, canary: float, decision: str) -> None:
    assert [replay(stable, canary, seed).decision for seed in range(10)] == [decision] * 10


def test_identical_revisions_are_seldom_proven_worse() -> None:
    ended = [replay(0.3, 0.3, seed) for seed in range(20)]
    assert sum(state.reason.startswith("worse") for state in ended) <= 1


def test_observations_that_come_twice_count_once() -> None:
    state = new_rollout("r", "m@a", "m@b", "salt", PARAMS, now=0.0).model_copy(update={"counted_from": 0.0})
    rows = [Observation("u", metric, "canary", 0.05, 1, 0.0, 0) for metric in ("error", "feedback")]
    once, _ = step(state, rows, 0.5)
    twice, _ = step(once, rows, 0.5)
    assert once.units == {"stable": 0, "canary": 1}
    assert twice == once


def test_no_rollout_promotes_before_the_least_number_of_units() -> None:
    least = max(units or 0 for units in least_units(PARAMS).values())
    promoted = replay(0.0, 0.0, 1)
    assert promoted.decision == "promoted"
    assert promoted.units["canary"] >= least > 1


def test_a_decision_by_hand_is_recorded_as_one_and_is_final() -> None:
    state = new_rollout("r", "m@a", "m@b", "salt", PARAMS, now=0.0)
    aborted, decision = decide_by_hand(state, "aborted", "a customer complained", 1.0)
    assert (aborted.decision, aborted.manual, decision.weight) == ("aborted", True, 0.0)
    assert decide_by_hand(aborted, "promoted", "never mind", 2.0)[0] == aborted

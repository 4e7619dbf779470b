"""Rollouts replayed on simulated users: what is promoted, what is aborted, and how often by mistake."""

import random
from typing import Any

import pytest

from serin.core.params import RolloutParams
from serin.rollout.capacity import Capacity
from serin.rollout.eprocess import Arm
from serin.rollout.outcomes import Observation
from serin.rollout.pauses import pause, resume
from serin.rollout.planning import least_units
from serin.rollout.policy import MIN_LATENCIES, begin_counting, decide_by_hand, step
from serin.rollout.state import RolloutState, new_rollout

PARAMS = RolloutParams.model_validate(
    {
        "min_units": 10,
        "hold_s": 5,
        "warmup_s": 2,
        "horizon_s": 5,
        "max_time_s": 600,
        "alpha_abort": 0.05,
        "metrics": {"error": {"delta": 0.05}, "feedback": {"delta": 0.1}},
    }
)
USERS_A_SECOND = 20


def replay(stable_bad: float, canary_bad: float, seed: int, params: RolloutParams = PARAMS) -> RolloutState:
    """A rollout to its end: each user is assigned at the weight of that second, and rates badly at the given rates."""
    draw = random.Random(seed)
    state = new_rollout("r", "m@a", "m@b", "salt", params, now=0.0).model_copy(update={"counted_from": 0.0})
    for second in range(int(params.max_time_s) + 1):
        rows: list[Observation] = []
        for user in range(USERS_A_SECOND):
            arm: Arm = "canary" if draw.random() < state.weight else "stable"
            bad = draw.random() < (canary_bad if arm == "canary" else stable_bad)
            rows += [
                Observation(f"{second}-{user}", metric, arm, state.weight, y, second, second)
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
    assert step(state, [*rows, *rows], 0.5)[0] == once
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


def started(**params: Any) -> RolloutState:
    """A rollout on errors alone, whose warm-up is over."""
    usual = {
        "steps": [0.1, 0.5, 1.0],
        "min_units": 2,
        "hold_s": 10,
        "metrics": {"error": {"delta": 0.1}},
        "max_time_s": 100,
    }
    given = RolloutParams.model_validate({**usual, **params})
    state = new_rollout("r", "m@a", "m@b", "salt", given, now=0.0)
    return state.model_copy(update={"counted_from": 0.0})


def rows(state: RolloutState, count: int, arm: Arm, y: int, batch: int) -> list[Observation]:
    return [
        Observation(f"{batch}-{arm}-{n}", metric, arm, state.weight, y, float(batch), batch)
        for n in range(count)
        for metric in state.metrics
    ]


def test_a_pause_holds_the_weight_and_none_of_its_time_counts() -> None:
    state = started()
    state, _ = step(state, rows(state, 5, "canary", 0, 0), 5.0)
    state, decision = pause(state, "a release next door", 6.0, "ann")
    assert decision.reason == "paused by ann: a release next door"
    state, decision = step(state, [], 5000.0)
    assert (state.decision, decision.action, state.weight) == ("running", "hold", 0.1)
    assert pause(state, "again", 5000.0, "bob")[0] == state

    state, _ = resume(state, 5006.0)
    assert not state.paused
    assert resume(state, 5007.0)[0] == state
    assert state.running_s(5010.0) == 10.0
    assert step(state, [], 5009.0)[1].reason == "holds for 10 s"
    assert step(state, [], 5010.5)[1].action == "advance"


def test_evidence_goes_on_in_a_pause_and_an_abort_acts() -> None:
    state, _ = pause(started(), "lunch", 1.0)
    state, _ = step(state, rows(state, 50, "stable", 0, 0), 2.0)
    assert state.units == {"stable": 50, "canary": 0}
    state, decision = step(state, rows(state, 30, "canary", 1, 1), 3.0)
    assert (decision.action, state.decided_by, state.paused, state.weight) == ("abort", "evidence", False, 0.0)


def test_no_promotion_in_a_pause() -> None:
    state, _ = pause(started(steps=[0.5, 1.0]), "lunch", 1.0)
    for batch in range(10):
        both = [*rows(state, 20, "canary", 0, batch), *rows(state, 20, "stable", 0, batch)]
        state, _ = step(state, both, 50.0)
    assert state.unproven() == []
    assert state.decision == "running"
    state, _ = resume(state, 60.0)
    assert step(state, [], 120.0)[0].decision == "promoted"


def test_a_step_waits_until_the_canary_has_the_replicas() -> None:
    state = started()
    state, _ = step(state, rows(state, 5, "canary", 0, 0), 20.0, Capacity(stable=4, canary=1))
    assert state.step == 0
    held, decision = step(state, [], 21.0, Capacity(stable=4, canary=3))
    assert decision.reason == "3 of 4 canary replicas that a weight of 0.5 needs are ready"
    advanced, decision = step(held, [], 22.0, Capacity(stable=4, canary=4))
    assert (decision.action, advanced.weight) == ("advance", 0.5)
    assert step(started(), rows(state, 5, "canary", 0, 0), 20.0)[1].action == "advance"


def test_each_step_may_hold_for_its_own_time() -> None:
    state = started(steps=[{"weight": 0.1, "hold_s": 30}, 0.5, 1.0])
    state, decision = step(state, rows(state, 5, "canary", 0, 0), 20.0)
    assert decision.reason == "holds for 30 s"
    assert step(state, [], 31.0)[1].action == "advance"


def test_no_promotion_before_the_least_time() -> None:
    state = started(steps=[0.5, 1.0], min_time_s=50)
    for batch in range(10):
        both = [*rows(state, 20, "canary", 0, batch), *rows(state, 20, "stable", 0, batch)]
        state, decision = step(state, both, 40.0)
    assert decision.reason == "promotes no earlier than after 50 s"
    assert step(state, [], 50.0)[0].decision == "promoted"


@pytest.mark.parametrize(
    ("undecided", "units", "decision"),
    [("back", 5, "aborted"), ("promote", 5, "promoted"), ("promote", 1, "aborted")],
)
def test_undecided_in_time_ends_as_params_say_if_anybody_saw_the_canary(
    undecided: str, units: int, decision: str
) -> None:
    state = started(undecided=undecided)
    state, _ = step(state, rows(state, units, "canary", 0, 0), 100.0)
    state, _ = step(state, [], 101.0)
    state, _ = step(state, [], 112.0)
    assert (state.decision, state.decided_by) == (decision, "time")
    assert "undecided after 100 s" in state.reason


def test_a_broken_split_ends_the_rollout() -> None:
    state = started()
    state, _ = step(state, [*rows(state, 60, "canary", 0, 0), *rows(state, 60, "stable", 0, 0)], 1.0)
    assert (state.decision, state.decided_by) == ("aborted", "split")


def test_a_decision_by_hand_says_who() -> None:
    ended, _ = decide_by_hand(started(), "promoted", "seen enough", 1.0, "ann")
    assert (ended.decided_by, ended.person, ended.reason) == ("person", "ann", "by hand (ann): seen enough")


def test_latency_counts_once_stable_has_shown_what_is_usual() -> None:
    both = {"ttft": {"delta": 0.05}, "tpot": {"delta": 0.05}}
    params = RolloutParams.model_validate({"metrics": both, "warmup_s": 0, "ttft_quantile": 0.9, "tpot_quantile": 0.5})
    state = new_rollout("r", "m@a", "m@b", "salt", params, now=0.0)
    usual = [n / 100 for n in range(1, MIN_LATENCIES + 51)]
    assert begin_counting(state, usual, 1.0, usual[: MIN_LATENCIES - 1]).counted_from is None
    assert "first tokens and time per token" in step(state, [], 1.0)[1].reason
    counting = begin_counting(state, usual, 2.0, usual)
    assert (counting.counted_from, counting.ttft_threshold_s, counting.tpot_threshold_s) == (2.0, 0.9, 0.5)
    assert begin_counting(counting, [9.0] * 99, 3.0, [9.0] * 99) == counting


def test_how_rows_are_cut_into_calls_changes_no_evidence() -> None:
    state = started(hold_s=1000)
    draw = random.Random(4)
    batches = []
    for batch in range(30):
        arms: list[Arm] = ["canary" if draw.random() < 0.1 else "stable" for _ in range(10)]
        batches.append([
            Observation(f"{batch}-{n}", "error", arm, 0.1, int(draw.random() < 0.2), float(batch), batch)
            for n, arm in enumerate(arms)
        ])  # fmt: skip
    everything = [row for batch in batches for row in batch]
    at_once, _ = step(state, draw.sample(everything, len(everything)), 30.0)
    in_turn = state
    for n in range(30):
        in_turn, _ = step(in_turn, [row for batch in batches[: n + 1] for row in batch], 30.0)
    assert in_turn == at_once


def test_a_state_survives_being_stored() -> None:
    state, _ = pause(started(steps=[{"weight": 0.1, "hold_s": 30}, 1.0]), "lunch", 1.0, "ann")
    assert RolloutState.model_validate_json(state.model_dump_json()) == state

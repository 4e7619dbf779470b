"""What makes an e-value one: its mean under the hypothesis, by going through every outcome; and what moves it which way."""

import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.rollout.eprocess import (
    BETTER,
    SPLIT_ODDS_RATIOS,
    WORSE,
    Arm,
    MetricEvidence,
    Outcome,
    SplitEvidence,
    fold,
    fold_split,
    guesses,
    log_e,
    threshold,
)

LONG = settings(deadline=None)
"""A busy machine makes no example wrong."""
ARMS: tuple[Arm, Arm] = ("stable", "canary")
rates = st.floats(0.001, 0.999)
weights = st.floats(0.01, 0.99)
deltas = st.floats(0.0, 0.5)


def expectation(of: Callable[[Outcome], float], weight: float, stable: float, canary: float) -> float:
    """The mean over arm and y where a unit is in the canary with probability ``weight``."""
    total = 0.0
    for arm, y in itertools.product(ARMS, (0, 1)):
        bad = canary if arm == "canary" else stable
        chance = (weight if arm == "canary" else 1 - weight) * (bad if y else 1 - bad)
        total += chance * of(Outcome(arm, weight, y))
    return total


def at_margin(stable: float, delta: float) -> float:
    """The canary's rate on the border of the hypothesis."""
    return stable + (1 - stable) * delta


@LONG
@given(weights, rates, deltas, st.integers(0, 50), st.integers(0, 500))
def test_on_the_border_of_the_hypothesis_every_guess_has_mean_one(
    weight: float, stable: float, delta: float, bad: int, good: int
) -> None:
    moved, worse, better = guesses(bad, bad + good, delta)
    for canary in (*worse, *better):
        mean = expectation(
            lambda o, c=canary: math.exp(log_e(o, moved, c, delta)),  # type: ignore[misc]  # the loop's own value
            weight,
            stable,
            at_margin(stable, delta),
        )
        assert mean == pytest.approx(1.0, abs=1e-9)


@LONG
@given(weights, rates, rates, deltas, st.integers(0, 50), st.integers(0, 500))
def test_inside_the_hypothesis_the_mean_is_at_most_one(
    weight: float, stable: float, other: float, delta: float, bad: int, good: int
) -> None:
    moved, worse, better = guesses(bad, bad + good, delta)
    border = at_margin(stable, delta)
    of_abort, of_promotion = min(other, border), max(other, border)
    for canaries, actual in ((worse, of_abort), (better, of_promotion)):
        for canary in canaries:
            mean = expectation(
                lambda o, c=canary: math.exp(log_e(o, moved, c, delta)),  # type: ignore[misc]  # the loop's own value
                weight,
                stable,
                actual,
            )
            assert mean <= 1 + 1e-9


@pytest.mark.parametrize("delta", [0.0, 0.02])
def test_the_mean_over_every_course_of_three_batches_is_at_most_one(delta: float) -> None:
    """Guesses that follow the data, weights that move and a base rate that drifts: still a supermartingale."""
    course = ((0.05, 0.3), (0.25, 0.1), (0.5, 0.02))
    total = {"abort": 0.0, "promote": 0.0}
    for seen in itertools.product(itertools.product(ARMS, (0, 1)), repeat=len(course)):
        evidence, chance = MetricEvidence(), 1.0
        for (arm, y), (weight, stable) in zip(seen, course, strict=True):
            rate = at_margin(stable, delta) if arm == "canary" else stable
            chance *= (weight if arm == "canary" else 1 - weight) * (rate if y else 1 - rate)
            evidence = fold(evidence, [Outcome(arm, weight, y)], delta)
        total["abort"] += chance * evidence.e_abort
        total["promote"] += chance * evidence.e_promote
    assert total == {"abort": pytest.approx(1.0), "promote": pytest.approx(1.0)}


outcomes = st.lists(
    st.builds(Outcome, st.sampled_from(ARMS), st.sampled_from([0.05, 0.25, 0.5]), st.integers(0, 1)), max_size=30
)


@LONG
@given(outcomes, outcomes, st.sampled_from([0.0, 0.01, 0.1]))
def test_a_bad_canary_outcome_speaks_for_an_abort_and_against_promotion(
    before: list[Outcome], batch: list[Outcome], delta: float
) -> None:
    evidence = fold(MetricEvidence(), before, delta)
    good = fold(evidence, [*batch, Outcome("canary", 0.25, 0)], delta)
    bad = fold(evidence, [*batch, Outcome("canary", 0.25, 1)], delta)
    assert bad.e_abort > good.e_abort
    assert bad.e_promote <= good.e_promote


@LONG
@given(outcomes, outcomes, st.sampled_from([0.0, 0.01, 0.1]))
def test_a_bad_stable_outcome_speaks_the_other_way(before: list[Outcome], batch: list[Outcome], delta: float) -> None:
    evidence = fold(MetricEvidence(), before, delta)
    good = fold(evidence, [*batch, Outcome("stable", 0.25, 0)], delta)
    bad = fold(evidence, [*batch, Outcome("stable", 0.25, 1)], delta)
    assert bad.e_abort < good.e_abort
    assert bad.e_promote >= good.e_promote


@LONG
@given(st.data(), outcomes)
def test_the_order_within_a_batch_changes_nothing(data: st.DataObject, batch: list[Outcome]) -> None:
    shuffled = data.draw(st.permutations(batch))
    assert fold(MetricEvidence(), shuffled, 0.01) == fold(MetricEvidence(), batch, 0.01)


@LONG
@given(outcomes, st.sampled_from([0.0, 0.02]))
def test_a_batch_is_worth_the_product_of_its_rows(batch: list[Outcome], delta: float) -> None:
    evidence = MetricEvidence(stable_units=40, stable_bad=3)
    moved, worse, better = guesses(3, 40, delta)
    folded = fold(evidence, batch, delta)
    for logs, canaries in ((folded.log_abort, worse), (folded.log_promote, better)):
        rows = [math.fsum(log_e(outcome, moved, canary, delta) for outcome in batch) for canary in canaries]
        assert logs == pytest.approx(rows, abs=1e-9)


@LONG
@given(st.integers(0, 10**7), st.integers(0, 10**7), deltas, weights)
def test_no_history_makes_an_outcome_impossible_to_value(bad: int, good: int, delta: float, weight: float) -> None:
    every = [Outcome(arm, weight, y) for arm in ARMS for y in (0, 1)]
    folded = fold(MetricEvidence(stable_units=bad + good, stable_bad=bad), every, delta)
    assert all(math.isfinite(value) for value in (*folded.log_abort, *folded.log_promote, folded.peak_abort))


@LONG
@given(weights)
def test_a_sound_split_has_mean_one_for_every_alternative(weight: float) -> None:
    canary = fold_split(SplitEvidence(), [("canary", weight)]).log_e
    stable = fold_split(SplitEvidence(), [("stable", weight)]).log_e
    for n in range(len(SPLIT_ODDS_RATIOS)):
        assert weight * math.exp(canary[n]) + (1 - weight) * math.exp(stable[n]) == pytest.approx(1.0)


def test_a_split_that_sends_the_canary_twice_its_share_is_called_broken() -> None:
    units: list[tuple[Arm, float]] = [("canary" if n % 5 == 0 else "stable", 0.1) for n in range(500)]
    assert fold_split(SplitEvidence(), units).e > threshold(0.001)
    sound: list[tuple[Arm, float]] = [("canary" if n % 10 == 0 else "stable", 0.1) for n in range(500)]
    assert fold_split(SplitEvidence(), sound).e < 1


def test_what_was_proven_once_stays_proven() -> None:
    evidence = fold(MetricEvidence(), [Outcome("stable", 0.5, 0)] * 200, 0.0)
    failed = fold(evidence, [Outcome("canary", 0.5, 1)] * 5, 0.0)
    recovered = fold(failed, [Outcome("canary", 0.5, 0)] * 500, 0.0)
    assert recovered.e_abort < failed.e_abort
    assert recovered.peak_abort == failed.peak_abort


def test_the_shares_of_the_guesses_are_one_whole() -> None:
    assert sum(guess.share for guess in WORSE) == pytest.approx(1.0)
    assert sum(guess.share for guess in BETTER) == pytest.approx(1.0)

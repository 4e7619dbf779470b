"""What is concluded of pairs: no arm wins wrongly more often than promised, and a better one is found."""

import math
import random
from collections.abc import Callable, Mapping

import pytest

from serin.rollout.eprocess import WORSE
from serin.rollout.experiment.pairs import Pair, Tally, all_pairs, beaten_by, fold_pair, log_needed, winner

WEIGHTS = {"stable": 0.5, "x": 0.3, "y": 0.2}


def play(draw: random.Random, units: int, bad: Callable[[str, int], float], margin: float = 0.0) -> list[Pair]:
    """Ten units a batch."""
    pairs = all_pairs(["error"], list(WEIGHTS))
    for first in range(0, units, 10):
        batch: dict[str, Tally] = {}
        for n in range(first, first + 10):
            arm = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            seen = batch.get(arm, Tally(0, 0))
            batch[arm] = Tally(seen.units + 1, seen.bad + int(draw.random() < bad(arm, n)))
        pairs = [fold_pair(pair, batch, WEIGHTS, margin) for pair in pairs]
    return pairs


def mean_growth(pair: Pair, rates: Mapping[str, float]) -> list[float]:
    """E[e] of one unit of a pair, for each guess, by enumeration."""
    both = WEIGHTS[pair.worse] + WEIGHTS[pair.better]
    means = [0.0] * len(WORSE)
    for arm in (pair.worse, pair.better):
        for bad in (0, 1):
            chance = WEIGHTS[arm] / both * (rates[arm] if bad else 1 - rates[arm])
            after = fold_pair(pair, {arm: Tally(1, bad)}, WEIGHTS, 0.0)
            grown = zip(after.evidence.log_abort, pair.evidence.log_abort, strict=True)
            means = [total + chance * math.exp(new - old) for total, (new, old) in zip(means, grown, strict=True)]
    return means


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.3, 0.9])
def test_the_evidence_of_a_pair_that_is_equal_has_mean_one_whatever_the_rate_and_the_past(rate: float) -> None:
    started = play(random.Random(1), 100, lambda _arm, _n: 0.2)
    for pair in started:
        assert mean_growth(pair, dict.fromkeys(WEIGHTS, rate)) == pytest.approx([1.0] * len(WORSE))
        better = {**dict.fromkeys(WEIGHTS, 0.5), pair.worse: 0.4}
        assert max(mean_growth(pair, better)) < 1.0


def test_among_equals_that_drift_together_somebody_wins_hardly_ever() -> None:
    alpha, wrong, found = 0.3, 0, 0
    needed = log_needed(3, alpha)
    for seed in range(120):
        pairs = play(random.Random(seed), 600, lambda _arm, n: 0.05 + 0.4 * (n > 200) * (n < 300))
        wrong += any(pair.log_e >= needed for pair in pairs)
        found += winner(pairs, "error", list(WEIGHTS), alpha) is not None
    assert wrong <= 120 * alpha
    assert found <= wrong


def test_the_best_arm_is_found_and_named_over_the_others() -> None:
    pairs = play(random.Random(2), 3000, lambda arm, _n: 0.1 if arm == "y" else 0.25)
    assert winner(pairs, "error", list(WEIGHTS), 0.05) == "y"
    assert beaten_by(pairs, "error", "y", log_needed(3, 0.05)) == ["stable", "x"]
    assert winner(pairs, "error", list(WEIGHTS), 1e-300) is None


def test_with_a_margin_a_small_lead_does_not_win() -> None:
    pairs = play(random.Random(2), 3000, lambda arm, _n: 0.1 if arm == "y" else 0.25, margin=0.2)
    assert winner(pairs, "error", list(WEIGHTS), 0.05) is None


def test_units_of_other_arms_change_nothing() -> None:
    pair = Pair(metric="error", worse="x", better="y")
    assert fold_pair(pair, {"stable": Tally(5, 3)}, WEIGHTS, 0.0) is pair


def test_two_arms_that_beat_each_other_are_no_winner() -> None:
    pairs = [
        pair.model_copy(update={"evidence": pair.evidence.model_copy(update={"peak_abort": 99.0})})
        for pair in all_pairs(["error"], ["a", "b"])
    ]
    assert winner(pairs, "error", ["a", "b"], 0.05) is None


@pytest.mark.parametrize(("arms", "claims"), [(2, 2), (3, 6), (5, 20)])
def test_alpha_is_shared_by_every_claim_there_could_be(arms: int, claims: int) -> None:
    names = [str(n) for n in range(arms)]
    assert len(all_pairs(["error"], names)) == claims
    assert claims * math.exp(-log_needed(arms, 0.05)) == pytest.approx(0.05)

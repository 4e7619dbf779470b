"""The intervals hold: by enumeration of every sequence, exactly for all stopping times, and in simulation."""

import itertools
import math
import random

import pytest

from serin.rollout.experiment.intervals import Interval, difference, log_m, mean_interval

SCORES = (0.0, 0.25, 0.5, 0.75, 1.0)


@pytest.mark.parametrize("p", [0.01, 0.3, 0.5, 0.97])
def test_for_coins_the_mixture_has_mean_one_exactly(p: float) -> None:
    for n in range(1, 12):
        mean = math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) * math.exp(log_m(n, k, p)) for k in range(n + 1))
        assert mean == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    "chances",
    [(0.2, 0.2, 0.2, 0.2, 0.2), (0.0, 0.0, 1.0, 0.0, 0.0), (0.5, 0.0, 0.0, 0.0, 0.5), (0.1, 0.0, 0.6, 0.3, 0.0)],
)
def test_for_scores_it_has_at_most_that_after_each_number_of_them(chances: tuple[float, ...]) -> None:
    p = math.fsum(chance * score for chance, score in zip(chances, SCORES, strict=True))
    means = []
    for n in range(1, 7):
        means.append(
            math.fsum(
                math.prod(chances[i] for i in drawn) * math.exp(log_m(n, math.fsum(SCORES[i] for i in drawn), p))
                for drawn in itertools.product(range(len(SCORES)), repeat=n)
            )
        )
    assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise([1.0, *means]))


@pytest.mark.parametrize(("p", "alpha"), [(0.02, 0.05), (0.3, 0.05), (0.5, 0.2)])
def test_the_chance_that_any_of_the_first_thousand_intervals_misses_is_at_most_alpha(p: float, alpha: float) -> None:
    """Exact: the distribution of the sum is carried along, and what an interval misses is taken out of it."""
    alive, missed = {0: 1.0}, 0.0
    for n in range(1, 1001):
        grown: dict[int, float] = {}
        for k, chance in alive.items():
            grown[k] = grown.get(k, 0.0) + chance * (1 - p)
            grown[k + 1] = grown.get(k + 1, 0.0) + chance * p
        alive = {}
        for k, chance in grown.items():
            if log_m(n, k, p) >= math.log(1 / alpha):
                missed += chance
            elif chance > 1e-14:
                alive[k] = chance
    assert alpha / 10 < missed <= alpha


@pytest.mark.parametrize(("n", "total"), [(1, 0), (1, 1), (7, 2.5), (1000, 10), (100_000, 33_333.3), (3, 3)])
def test_the_edges_are_where_the_evidence_against_a_mean_reaches_its_threshold(n: int, total: float) -> None:
    low, high = mean_interval(n, total, 0.05)
    assert low <= total / n <= high
    for edge in (low, high):
        if 0 < edge < 1:
            assert log_m(n, total, edge) == pytest.approx(math.log(20), rel=1e-6)
    assert (low == 0.0) == (total == 0)
    assert (high == 1.0) == (total == n)


def test_what_always_scores_the_same_is_covered_at_every_moment_in_most_simulations() -> None:
    draw = random.Random(3)
    missed = 0
    for _ in range(300):
        total = 0.0
        for n in range(1, 301):
            total += draw.betavariate(3, 1)
            if log_m(n, total, 0.75) >= math.log(1 / 0.1):
                missed += 1
                break
    assert missed <= 30


def test_nothing_seen_says_nothing_and_impossible_sums_are_refused() -> None:
    assert mean_interval(0, 0, 0.05) == Interval(0.0, 1.0)
    for n, total, alpha in ((3, 4, 0.05), (3, -1, 0.05), (3, 1, 0.0), (3, 1, 1.0)):
        with pytest.raises(ValueError, match="expected"):
            mean_interval(n, total, alpha)


def test_a_difference_lies_between_the_extremes() -> None:
    assert difference(Interval(0.2, 0.3), Interval(0.1, 0.4)) == pytest.approx((-0.2, 0.2))

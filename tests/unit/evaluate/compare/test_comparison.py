"""Gains, intervals and tests: figures known by hand, and how often they are right over many draws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.evaluate.compare.comparison import Pairs, compare


def each_alone(count: int) -> list[str]:
    return [str(i) for i in range(count)]


def test_the_gain_is_the_mean_difference_and_lies_in_its_interval() -> None:
    gain = compare(Pairs([0.9, 0.4, 0.8, 0.6], [0.2, 0.5, 0.1, 0.3], each_alone(4)), 0.95, 500, 1)
    assert (gain.candidate, gain.reference, gain.gain) == pytest.approx((0.675, 0.275, 0.4))
    assert gain.ci_low <= gain.gain <= gain.ci_high


def test_a_model_against_itself_gains_nothing_and_chance_explains_it() -> None:
    same = compare(Pairs([0.3, 0.7, 0.1], [0.3, 0.7, 0.1], each_alone(3)), 0.95, 500, 1)
    assert (same.gain, same.ci_low, same.ci_high, same.p) == (0, 0, 0, 1)


def test_phrasings_of_one_fact_are_one_observation() -> None:
    values, none = [1.0, 0.0] * 12, [0.0] * 24
    apart = compare(Pairs([0.9 * v for v in values], none, each_alone(24)), 0.95, 2000, 1)
    facts = [str(i // 8) for i in range(24)]
    whole = [0.9] * 8 + [0.0] * 8 + [0.9] * 8
    together = compare(Pairs(whole, none, facts), 0.95, 2000, 1)
    assert together.groups == 3
    assert together.ci_high - together.ci_low > 2 * (apart.ci_high - apart.ci_low)
    assert together.p > 0.2 > apart.p


def test_a_share_that_never_differs_is_not_certain() -> None:
    """Of 60 questions none unsafe, the true share may still be some percent."""
    gain = compare(Pairs([0.0] * 60, [0.0] * 60, each_alone(60)), 0.95, 500, 1)
    assert gain.gain == 0
    assert 0.02 < gain.ci_high < 0.05
    assert gain.ci_low == pytest.approx(-gain.ci_high)
    few = compare(Pairs([0.0] * 6, [0.0] * 6, each_alone(6)), 0.95, 500, 1)
    assert few.ci_high > 0.2


def test_logarithms_are_told_as_relative_change_and_weighted_by_tokens() -> None:
    nats = Pairs([1.0, 2.0], [1.0, 2.0 + math.log(2)], each_alone(2), weights=[30.0, 10.0], is_log=True)
    gain = compare(nats, 0.95, 500, 1)
    assert gain.candidate == pytest.approx(math.exp((30 * 1.0 + 10 * 2.0) / 40))
    assert gain.gain == pytest.approx(2 ** (-10 / 40) - 1)


def test_the_interval_holds_the_truth_as_often_as_it_says_and_the_test_errs_as_seldom() -> None:
    random = np.random.default_rng(3)
    held = rejected = 0
    draws = 300
    for draw in range(draws):
        effect = np.repeat(random.normal(0, 0.3, 40), 3)  # of a fact, on its three phrasings
        difference = 0.1 + effect + random.normal(0, 0.2, 120)
        groups = [str(i // 3) for i in range(120)]
        gain = compare(Pairs(list(difference), [0.0] * 120, groups), 0.9, 300, draw)
        held += gain.ci_low <= 0.1 <= gain.ci_high
        rejected += compare(Pairs(list(difference - 0.1), [0.0] * 120, groups), 0.9, 300, draw).p < 0.1
    assert 0.84 < held / draws < 0.95
    assert 0.05 < rejected / draws < 0.16


def test_the_smallest_effect_is_seen_in_four_of_five_draws() -> None:
    random = np.random.default_rng(4)
    effect = compare(Pairs(list(random.normal(0, 1, 100)), [0.0] * 100, each_alone(100)), 0.95, 500, 1).smallest_effect
    seen = sum(
        compare(Pairs(list(random.normal(effect, 1, 100)), [0.0] * 100, each_alone(100)), 0.95, 200, i).ci_low > 0
        for i in range(200)
    )
    assert 0.7 < seen / 200 < 0.9


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30), st.integers(0, 5))
def test_changing_sides_changes_the_sign_and_nothing_else(values: list[tuple[float, float]], seed: int) -> None:
    candidate, reference = (list(column) for column in zip(*values, strict=True))
    groups = each_alone(len(values))
    one = compare(Pairs(candidate, reference, groups), 0.9, 200, seed)
    other = compare(Pairs(reference, candidate, groups), 0.9, 200, seed)
    assert other.gain == pytest.approx(-one.gain)
    assert (other.ci_low, other.ci_high) == pytest.approx((-one.ci_high, -one.ci_low), abs=1e-9)
    assert other.p == one.p


def test_chance_is_told_also_where_no_draw_comes_as_far() -> None:
    """Else a correction for five hundred gains would find nothing in any of them."""
    clear = compare(Pairs([0.9] * 60, [0.1] * 60, each_alone(60)), 0.95, 500, 1)
    assert 2 * 0.5**60 <= clear.p < 1e-10
    few = compare(Pairs([0.9] * 5, [0.1] * 5, each_alone(5)), 0.95, 500, 1)
    assert few.p >= 2 * 0.5**5


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the same number"):
        Pairs([], [], [])
    with pytest.raises(ValueError, match="expected the same number"):
        Pairs([1.0], [1.0, 0.0], ["a"])


def test_many_questions_do_not_take_memory_for_every_draw() -> None:
    import tracemalloc

    count = 20_000
    values = list(np.random.default_rng(0).random(count))
    tracemalloc.start()
    compare(Pairs(values, [0.5] * count, each_alone(count)), 0.95, 1000, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200e6

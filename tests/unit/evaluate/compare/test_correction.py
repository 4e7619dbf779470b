"""Holm's correction."""

import numpy as np
import pytest

from serin.evaluate.compare.correction import holm


def test_values_are_those_of_the_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_one_value_stays_and_none_passes_one() -> None:
    assert holm([0.2]) == [0.2]
    assert max(holm([0.9, 0.8, 0.7])) == 1.0
    assert holm([]) == []


def test_with_nothing_there_any_is_found_as_seldom_as_promised() -> None:
    random = np.random.default_rng(1)
    found = sum(min(holm(list(random.random(20)))) < 0.05 for _ in range(2000))
    assert found / 2000 < 0.065

"""The controller dies at every point of every scenario, is started again, and nothing is different in the end."""

import pytest

from . import crashes
from .scenarios import SCENARIOS, Scenario

MATRIX = [scenario for scenario in SCENARIOS if scenario.matrix]


@pytest.mark.parametrize("scenario", MATRIX, ids=[scenario.name for scenario in MATRIX])
def test_a_controller_that_dies_anywhere_ends_the_same(scenario: Scenario) -> None:
    unharmed = crashes.tell(scenario)
    assert unharmed.end.made == scenario.made
    assert len(unharmed.points) > 5
    for point in unharmed.points:
        told = crashes.tell(scenario, point)
        assert told.killed == 1, point
        assert told.end == unharmed.end, point

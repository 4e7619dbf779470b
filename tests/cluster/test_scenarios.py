"""Every scenario against the controller without threads: the same way every time, and quick."""

import pytest

from . import crashes
from .scenarios import SCENARIOS, Scenario


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_scenario(scenario: Scenario) -> None:
    told = crashes.tell(scenario)
    assert told.end.made == scenario.made

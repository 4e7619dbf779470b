"""Which shares are accepted, and which revision a person names."""

import pytest

from serin.core.errors import UsageError
from serin.core.params import ExperimentParams
from serin.rollout.experiment.choice import chosen_arm
from serin.rollout.experiment.start import shares_of
from serin.rollout.experiment.state import new_experiment

X, Y = "law@" + "1" * 64, "law@" + "2" * 64


def test_shares_are_given_for_all_or_equal_with_stable() -> None:
    assert shares_of([f"{X}=0.2", f"{Y}=0.3"]) == {X: 0.2, Y: 0.3}
    assert shares_of([X, Y]) == {X: pytest.approx(1 / 3), Y: pytest.approx(1 / 3)}


@pytest.mark.parametrize(
    "wanted", [[f"{X}=0.2", Y], [f"{X}=0.5", f"{Y}=0.5"], [f"{X}=nan"], [f"{X}=-1"], [f"{X}=a"], [X, X], [f"{X}=0.001"]]
)
def test_other_shares_are_refused_with_what_to_do(wanted: list[str]) -> None:
    with pytest.raises(UsageError, match=r"share|once"):
        shares_of(wanted)


def test_a_revision_is_named_by_its_first_digits() -> None:
    state = new_experiment("e", "law@" + "a" * 64, {"stable": 0.5, X: 0.3, Y: 0.2}, ExperimentParams(), 0.0)
    assert chosen_arm(state, "law@22222222") == Y
    for wrong in ("law@aaaaaaaa", "law@33333333"):
        with pytest.raises(UsageError, match="is no variant of experiment e"):
            chosen_arm(state, wrong)

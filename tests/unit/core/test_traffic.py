import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.core.traffic import assign, unit_position


@given(st.text(), st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_unit_in_the_canary_stays_there_when_its_share_grows(unit: str, salt: str, a: float, b: float) -> None:
    low, high = sorted((a, b))
    if assign(unit, salt, {"stable": 1 - low, "canary": low}) == "canary":
        assert assign(unit, salt, {"stable": 1 - high, "canary": high}) == "canary"


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_the_canary_gets_its_share(share: float) -> None:
    units = 20_000
    got = sum(assign(f"user-{i}", "salt", {"stable": 1 - share, "canary": share}) == "canary" for i in range(units))
    assert abs(got / units - share) < 4 * (share * (1 - share) / units) ** 0.5


def test_another_salt_is_another_draw() -> None:
    one = [unit_position(str(i), "a") < 0.5 for i in range(1000)]
    two = [unit_position(str(i), "b") < 0.5 for i in range(1000)]
    assert 400 < sum(x == y for x, y in zip(one, two, strict=True)) < 600


def test_the_assignment_is_the_same_on_every_machine() -> None:
    assert [assign(u, "s", {"stable": 0.5, "canary": 0.5}) for u in ("ann", "bo", "cy", "di")] == [
        "stable" if unit_position(u, "s") >= 0.5 else "canary" for u in ("ann", "bo", "cy", "di")
    ]
    assert unit_position("ann", "s") == pytest.approx(0.7582502789481851)


def test_nobody_gets_an_arm_of_weight_zero() -> None:
    assert {assign(str(i), "s", {"stable": 1.0, "canary": 0.0}) for i in range(500)} == {"stable"}


@pytest.mark.parametrize("weights", [{}, {"stable": 0.5, "canary": 0.6}, {"stable": 1.5, "canary": -0.5}])
def test_weights_that_are_no_split_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        assign("u", "s", weights)

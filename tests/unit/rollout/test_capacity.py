"""How many replicas a canary needs before it gets more users."""

import pytest

from serin.rollout.capacity import replicas_needed


@pytest.mark.parametrize(
    ("weight", "stable", "full", "needed"),
    [
        (0.05, 10, 10, 1),
        (0.25, 10, 10, 4),
        (0.5, 10, 10, 10),
        (0.9, 10, 10, 10),
        (1.0, 10, 10, 10),
        (0.5, 1, 1, 1),
        (1.0, 0, 0, 1),
    ],
)
def test_a_replica_of_the_canary_bears_no_more_than_one_of_stable_does_or_did(
    weight: float, stable: int, full: int, needed: int
) -> None:
    assert replicas_needed(weight, stable, full) == needed


def test_stable_that_was_scaled_down_does_not_lower_what_promotion_needs() -> None:
    assert replicas_needed(1.0, stable=2, full=10) == 10

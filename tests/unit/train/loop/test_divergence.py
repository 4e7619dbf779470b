import math

import pytest

from serin.train.loop.divergence import why_diverged

CALM = [2.0 - i / 100 for i in range(60)]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_divergence(loss: float) -> None:
    assert why_diverged([loss], loss, 1.0, 8.0) == f"the loss is {loss}"


def test_a_gradient_that_is_no_number_is_divergence() -> None:
    assert why_diverged([1.0], 1.0, math.inf, 8.0) == "the gradient's norm is inf"


def test_an_exploding_loss_is_divergence_and_one_bad_batch_is_not() -> None:
    assert why_diverged(CALM, 2.0, 1.0, 8.0) is None
    assert why_diverged([*CALM, 30.0], 2.0, 1.0, 8.0) is None
    why = why_diverged([*CALM, *[30.0] * 5], 2.0, 1.0, 8.0)
    assert why is not None
    assert "30.00 over 5 steps, is above 1" in why


def test_a_loss_near_zero_may_rise_to_what_is_still_small() -> None:
    assert why_diverged([0.01] * 50 + [0.5] * 5, 3.0, 1.0, 8.0) is None


def test_a_run_that_explodes_at_once_is_compared_with_its_first_step() -> None:
    losses = [5.0, 60.0, 90.0, 80.0, 85.0, 95.0]
    assert why_diverged(losses[:5], 5.0, 1.0, 8.0) is None  # five steps are too few
    assert why_diverged(losses, 5.0, 1.0, 8.0) is not None
    assert why_diverged([85.0] * 60, 5.0, 1.0, 8.0) is not None

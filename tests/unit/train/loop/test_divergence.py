import math

import pytest

from serin.train.loop.divergence import why_diverged

CALM = [2.0 - i / 100 for i in range(60)]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_divergence(loss: float) -> None:
    assert why_diverged([loss], 1.0, 8.0) == f"the loss is {loss}"


def test_a_gradient_that_is_no_number_is_divergence() -> None:
    assert why_diverged([1.0], math.inf, 8.0) == "the gradient's norm is inf"


def test_an_exploding_loss_is_divergence_and_one_bad_batch_is_not() -> None:
    assert why_diverged(CALM, 1.0, 8.0) is None
    assert why_diverged([*CALM, 30.0], 1.0, 8.0) is None
    why = why_diverged([*CALM, *[30.0] * 5], 1.0, 8.0)
    assert why is not None
    assert "30.00 over 5 steps, is above 1" in why


def test_a_loss_near_zero_may_rise_to_what_is_still_small() -> None:
    assert why_diverged([0.01] * 50 + [0.5] * 5, 1.0, 8.0) is None


def test_the_first_steps_are_not_judged_by_too_few_others() -> None:
    assert why_diverged([1.0, 1.0, 50.0, 50.0, 50.0, 50.0, 50.0], 1.0, 8.0) is None

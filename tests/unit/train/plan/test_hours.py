import pytest

from serin.core.params import TrainParams, ValidationParams
from serin.train.data.order import Order
from serin.train.plan.devices import Device
from serin.train.plan.hours import Pace, hours_from_pace, hours_from_table, validations_of
from serin.train.plan.memory import Estimate, Memory

GPU = Device("G", 1 << 30, tflops=100.0)
NOTHING = Memory({}, 0)


def test_a_large_model_waits_for_arithmetic() -> None:
    hours = hours_from_table(GPU, Estimate(NOTHING, 4e9, operations=1), tokens=36_000_000, micro_batches=1)
    # 4e9 x 36e6 operations at 45 and at 10 of 100 TFLOP/s
    assert (hours.low, hours.high) == pytest.approx((3200 / 3600, 14400 / 3600))
    assert "10% to 45% of the 100 TFLOP/s of G" in hours.how


def test_a_small_model_waits_for_dispatching() -> None:
    hours = hours_from_table(GPU, Estimate(NOTHING, 1.0, operations=10_000), tokens=1000, micro_batches=3600)
    assert (hours.low, hours.high) == pytest.approx((0.03, 0.15))


def test_a_measured_pace_is_carried_over_to_the_whole_run() -> None:
    pace = Pace(
        start_up_s=10.0,
        seconds=(9.0, 1.0, 1.0, *[1.0, 2.0] * 10),
        tokens=(100, 100, 100, *[100, 200] * 10),
        validation_s=5.0,
        checkpoint_s=0.5,
    )
    hours = hours_from_pace(pace, tokens=30_000, steps=200, validations=2, checkpoints=4)
    # 11 s of the first three steps, 29,700 tokens at a hundredth of a second, and what stands beside
    assert hours.low * 3600 == pytest.approx(hours.high * 3600) == pytest.approx(10 + 11 + 297 + 10 + 2)
    assert "23 steps measured here, of 200" in hours.how


def test_steps_that_vary_give_a_range_around_their_mean() -> None:
    pace = Pace(0.0, (1.0, 1.0, 1.0, *[0.5, 1.5] * 20), (100,) * 43, 0.0, 0.0)
    hours = hours_from_pace(pace, tokens=100_000, steps=1000, validations=0, checkpoints=0)
    assert 0.8 < hours.low * 3.6 < 0.99 < 1.01 < hours.high * 3.6 < 1.2


@pytest.mark.parametrize(("every", "expected"), [(None, 3), (4, 3), (100, 1)])
def test_evaluations_are_counted_as_the_loop_makes_them(every: int | None, expected: int) -> None:
    params = TrainParams(validation=ValidationParams(every_steps=every))
    assert validations_of(params, Order(examples=16, batch_size=4, steps=9, seed=0)) == expected

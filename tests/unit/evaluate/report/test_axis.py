"""Places on a line of numbers."""

import math

from hypothesis import given
from hypothesis import strategies as st

from serin.evaluate.report.axis import axis_over, round_step

NUMBERS = st.lists(st.floats(-1e9, 1e9).map(lambda x: 0.0 if abs(x) < 1e-9 else x), max_size=6)


@given(NUMBERS)
def test_every_value_and_zero_stand_on_the_axis_in_their_order(values: list[float]) -> None:
    axis = axis_over(values)
    places = [axis.place(value) for value in sorted([0.0, *values])]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
    assert 1 <= len(axis.ticks) <= 7
    assert 0.0 in axis.ticks
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)


def test_without_values_or_with_infinite_ones_there_is_an_axis_too() -> None:
    assert axis_over([]).place(0) == 50
    axis = axis_over([math.inf, math.nan, 0.5])
    assert axis.place(math.inf) == 100
    assert axis.place(-math.inf) == 0
    assert axis.place(math.nan) == 0


@given(st.floats(1e-6, 1e12))
def test_a_step_is_round_and_neither_too_fine_nor_too_coarse(width: float) -> None:
    step = round_step(width)
    assert 1.9 <= width / step <= 5.001
    assert round(step / 10 ** math.floor(math.log10(step) + 1e-9), 6) in (1, 2, 5)

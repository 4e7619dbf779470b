"""A line of numbers laid out for drawing: every place is a percentage of its width, so that it can be drawn at any width."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

_MOST_STEPS = 5
_MARGIN = 0.04
_SMALLEST = 1e-9
"""A width below this is no width."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From ``low`` to ``high``, with round values to label in between."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Where a value stands, in percent of the width; what lies outside stands at the edge."""
        if math.isnan(value):
            return 0.0
        return round(min(100.0, max(0.0, 100 * (value - self.low) / (self.high - self.low))), 3)


def axis_over(values: Iterable[float]) -> Axis:
    """An axis that holds all finite values and 0, with a little room at both ends."""
    finite = [0.0, *(value for value in values if math.isfinite(value))]
    low, high = min(finite), max(finite)
    if high - low < _SMALLEST:
        low, high = -1.0, 1.0
    margin = _MARGIN * (high - low)
    step = round_step(high - low)
    first, last = math.ceil((low - margin) / step), math.floor((high + margin) / step)
    return Axis(low - margin, high + margin, tuple(n * step for n in range(first, last + 1)))


def round_step(width: float) -> float:
    """The smallest of 1, 2, 5, times a power of ten, that divides a width into at most five steps."""
    width = max(width, _SMALLEST)
    power = 10.0 ** math.floor(math.log10(width / _MOST_STEPS))
    return next(n * power for n in (1, 2, 5, 10) if width / (n * power) <= _MOST_STEPS * (1 + 1e-9))

"""Places on a plot, in percent of its width and height, so that it can be drawn at any size; and the labels of its axes."""

import math
from dataclasses import dataclass

from serin.rollout.status import duration

_MOST_TICKS = 6
_TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of an axis, and where it stands."""

    place: float
    label: str


def from_left(share: float) -> float:
    """Percent from the left, of a share of the width; what lies outside is drawn at the edge."""
    return round(100 * min(1.0, max(0.0, share)), 3)


def from_top(share: float) -> float:
    """Percent from the top, of a share of the height from the bottom; what lies outside is drawn at the edge."""
    return round(100 * (1 - min(1.0, max(0.0, share))), 3)


def time_axis(width_s: float) -> tuple[Tick, ...]:
    """Round times since the start, as many as can be read."""
    step_s = next(
        (s for s in _TICKS_S if width_s / s <= _MOST_TICKS), math.ceil(width_s / _MOST_TICKS / 604800) * 604800
    )
    return tuple(
        Tick(from_left(n * step_s / width_s), duration(n * step_s) if n else "start")
        for n in range(int(width_s // step_s) + 1)
    )

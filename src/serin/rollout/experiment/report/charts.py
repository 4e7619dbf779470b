"""What the page draws: the arms on one scale, and each over time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from serin.core.params.experiment import Goal
from serin.rollout.experiment.intervals import Interval, mean_interval
from serin.rollout.experiment.state import ArmCounts, CountedUnit, ExperimentState
from serin.rollout.experiment.status import Estimate
from serin.rollout.report.axes import Tick, from_left, from_top, time_axis

_POINTS = 120
_STEPS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0)
_MOST_TICKS = 5
_ROOM = 1.05


@dataclass(frozen=True, slots=True)
class Whisker:
    """A mean and where it may lie, in percent from the left."""

    low: float
    high: float
    mean: float | None


@dataclass(frozen=True, slots=True)
class Forest:
    """One metric: a whisker an arm on one scale. ``stable`` is stable's mean, in percent from the left."""

    whiskers: Mapping[str, Whisker]
    ticks: tuple[Tick, ...]
    stable: float | None


@dataclass(frozen=True, slots=True)
class Band:
    """One arm over time: the points of SVG of its interval's outline and of its mean."""

    arm: str
    outline: str
    mean: str
    words: str


@dataclass(frozen=True, slots=True)
class Bands:
    """All arms on one scale. ``stable`` is stable's mean at the end, in percent from the top."""

    bands: tuple[Band, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    stable: float | None


def forest(estimates: Mapping[str, Estimate], stable: str) -> Forest:
    """The estimates of one metric, by arm."""
    high = _ceiling([each.interval for each in estimates.values() if each.mean is not None])
    whiskers = {
        arm: Whisker(
            from_left(each.interval.low / high),
            from_left(each.interval.high / high),
            None if each.mean is None else from_left(each.mean / high),
        )
        for arm, each in estimates.items()
    }
    ticks = tuple(Tick(from_left(value / high), label) for value, label in _scale(high))
    return Forest(whiskers, ticks, whiskers[stable].mean)


def bands(state: ExperimentState, units: Sequence[CountedUnit], goal: Goal, stable: str, end_t: float) -> Bands:
    """The interval of each arm in one metric, as those saw it who looked at each moment."""
    start_t = state.counted_from
    width_s = max(1.0, end_t - start_t)
    found = _over_time([unit for unit in units if unit.y], state, goal, start_t, width_s)
    high = _ceiling([interval for series in found.values() for _, _, interval in series[len(series) // 10 :]])
    drawn = []
    for arm, series in found.items():
        lower = [f"{x},{from_top(interval.low / high)}" for x, _, interval in series]
        upper = [f"{x},{from_top(interval.high / high)}" for x, _, interval in reversed(series)]
        line = " ".join(f"{x},{from_top(mean / high)}" for x, mean, _ in series)
        words = "nobody was counted"
        if series:
            _, mean, (least, most) = series[-1]
            words = f"{mean:.1%}, and with its interval {least:.1%} to {most:.1%}"
        drawn.append(Band(arm, " ".join([*lower, *upper]), line, words))
    last = found[stable][-1][1] if found[stable] else None
    up = tuple(Tick(from_top(value / high), label) for value, label in _scale(high))
    return Bands(tuple(drawn), time_axis(width_s), up, None if last is None else from_top(last / high))


def _over_time(
    units: Sequence[CountedUnit], state: ExperimentState, goal: Goal, start_t: float, width_s: float
) -> dict[str, list[tuple[float, float, Interval]]]:
    """By arm: percent from the left, mean and interval. A unit is there once its horizon is over."""
    horizon_s = state.params.horizon_s
    ordered = sorted(units, key=lambda unit: unit.assigned_t)
    edges = [start_t + width_s * n / _POINTS for n in range(_POINTS + 1)]
    counts = {arm: ArmCounts() for arm in state.weights}
    series: dict[str, list[tuple[float, float, Interval]]] = {arm: [] for arm in state.weights}
    position = 0
    for _, edge in pairwise(edges):
        first = position
        while position < len(ordered) and ordered[position].assigned_t + horizon_s <= edge:
            position += 1
        for arm, seen in counts.items():
            counts[arm] = seen.with_units([unit for unit in ordered[first:position] if unit.arm == arm])
        for arm, seen in counts.items():
            if seen.units:
                bad = seen.bad.get(goal, 0)
                interval = mean_interval(seen.units, bad, state.params.alpha / len(state.weights))
                series[arm].append((from_left((edge - start_t) / width_s), bad / seen.units, interval))
    return series


def _ceiling(intervals: Sequence[Interval]) -> float:
    """The top of a scale from 0 that shows all of these."""
    return min(1.0, max((interval.high for interval in intervals), default=1.0) * _ROOM)


def _scale(high: float) -> list[tuple[float, str]]:
    step = next((each for each in _STEPS if high / each <= _MOST_TICKS), 1.0)
    digits = max(0, math.ceil(-math.log10(100 * step) - 1e-9))
    return [(n * step, f"{100 * n * step:.{digits}f} %") for n in range(int(high / step + 1e-9) + 1)]

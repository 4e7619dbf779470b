"""What the page draws: the split over time, and the evidence for both claims about a metric."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from serin.rollout.report.axes import Tick, from_left, from_top, time_axis
from serin.rollout.status import duration
from serin.rollout.store import Step

_MOST_POINTS = 400
_MOST_POWERS = 6
_FLOOR = 0.01
"""Evidence below this is drawn here: how far a refuted claim falls tells nobody anything."""
_CEILING = 100.0
"""Evidence above so many times what was needed is drawn here, lest it press the rest of the plot flat."""
_ROOM = 1.6
_LARGEST_IN_FULL = 5
"""Larger powers of ten are written as such."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a plot. ``points`` are those of SVG."""

    points: str
    kind: Literal["worse", "not-worse", "weight"]


@dataclass(frozen=True, slots=True)
class Limit:
    """A threshold: the line of the same kind decides where it reaches it."""

    place: float
    kind: Literal["worse", "not-worse"]
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment at which something was done."""

    place: float
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines over the time since the start; 0 % is left, and at the top."""

    lines: tuple[Line, ...]
    limits: tuple[Limit, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    words: str
    """For those who cannot see it."""


def split_plot(steps: Sequence[Step], end_t: float) -> Plot:
    """The canary's share of users over time, and who changed it."""
    start_t, width_s = _span(steps, end_t)
    corners: list[tuple[float, float]] = []
    for step in steps:
        if corners and corners[-1][1] != step.state.weight:
            corners.append((step.t, corners[-1][1]))
        if not corners or corners[-1][1] != step.state.weight:
            corners.append((step.t, step.state.weight))
    corners.append((end_t, corners[-1][1]))
    points = " ".join(f"{from_left((t - start_t) / width_s)},{from_top(weight)}" for t, weight in corners)
    marks = tuple(
        Mark(from_left((step.t - start_t) / width_s), f"{step.action}, {duration(step.t - start_t)}", step.action)
        for step in steps
        if step.action not in ("create", "start", "count", "advance")
    )
    shares = " to ".join(f"{weight:.0%}" for weight in dict.fromkeys(step.state.weight for step in steps))
    ticks = tuple(Tick(from_top(share), f"{share:.0%}") for share in (0.0, 0.5, 1.0))
    return Plot(
        (Line(points, "weight"),), (), time_axis(width_s), ticks, marks, f"The canary's share of users: {shares}."
    )


def evidence_plot(steps: Sequence[Step], metric: str, needed: tuple[float, float], end_t: float) -> Plot:
    """Both claims about one metric over time, on a logarithmic scale; ``needed`` is for worse and for not worse."""
    start_t, width_s = _span(steps, end_t)
    kept = _thinned(steps)
    both: dict[Literal["worse", "not-worse"], list[float]] = {
        "worse": [step.state.metrics[metric].e_abort for step in kept],
        "not-worse": [step.state.metrics[metric].e_promote for step in kept],
    }
    low = max(_FLOOR, min(1.0, *both["worse"], *both["not-worse"]) / _ROOM)
    high = min(_CEILING * max(needed), max(*needed, *both["worse"], *both["not-worse"])) * _ROOM

    def height(value: float) -> float:
        value = min(high, max(low, value))
        return from_top((math.log(value) - math.log(low)) / (math.log(high) - math.log(low)))

    across = [from_left((step.t - start_t) / width_s) for step in kept]
    lines = tuple(
        Line(" ".join(f"{x},{height(value)}" for x, value in zip(across, values, strict=True)), kind)
        for kind, values in both.items()
    )
    limits = (
        Limit(height(needed[0]), "worse", f"worse: proven at {needed[0]:,.0f}"),
        Limit(height(needed[1]), "not-worse", f"not worse: proven at {needed[1]:,.0f}"),
    )
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    every = max(1, math.ceil(len(powers) / _MOST_POWERS))
    up = tuple(Tick(height(10.0**power), _power(power)) for power in powers if power % every == 0)
    last = {kind: values[-1] for kind, values in both.items()}
    words = (
        f"Evidence that it is worse: {last['worse']:.3g} of {needed[0]:,.0f}; that it is not worse: "
        f"{last['not-worse']:.3g} of {needed[1]:,.0f}."
    )
    return Plot(lines, limits, time_axis(width_s), up, (), words)


def _span(steps: Sequence[Step], end_t: float) -> tuple[float, float]:
    start_t = steps[0].t
    return start_t, max(1.0, end_t - start_t)


def _thinned(steps: Sequence[Step]) -> list[Step]:
    """As many steps as can be told apart, with the last one and those at which something was done."""
    stride = max(1, len(steps) // _MOST_POINTS)
    last = len(steps) - 1
    return [step for n, step in enumerate(steps) if n % stride == 0 or n == last or step.action != "count"]


def _power(power: int) -> str:
    if power > _LARGEST_IN_FULL:
        return f"10^{power}"
    return f"{10**power:,}" if power >= 0 else f"1/{10**-power:,}"

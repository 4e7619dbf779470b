"""A histogram laid out for drawing: every place is a percentage of the plot, so that it can be drawn at any size."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from serin.prepare.report.wording import number

_MOST_LINES = 5
_MOST_TICKS = 8
_TICK_EVERY = (1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128, 200, 256, 500, 512, 1000)
_MARKED = {"0.5": "median", "0.95": "95 % are within"}


@dataclass(frozen=True, slots=True)
class Bar:
    """One bin: its left side, width and height, and what it holds in words."""

    x: float
    width: float
    height: float
    says: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A value that is pointed at, and the row above the plot (0 is the lowest) where its label has room."""

    x: float
    label: str
    row: int
    is_limit: bool


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bars, grid lines (height, label), ticks (place, label) and marks."""

    bars: tuple[Bar, ...]
    lines: tuple[tuple[float, str], ...]
    ticks: tuple[tuple[float, str], ...]
    marks: tuple[Mark, ...]


def lay_out(
    histogram: Mapping[str, Sequence[Any]], quantiles: Mapping[str, Any], limit: int | None
) -> Histogram | None:
    """Lay out ``edges`` and ``counts``; None where there is nothing to draw.

    Bins are drawn equally wide, whatever their widths are, and values stand in proportion within their bin. The limit
    is marked where it lies between the edges.
    """
    edges, counts = histogram.get("edges", ()), histogram.get("counts", ())
    if not counts or max(counts) <= 0:
        return None
    step = _round_step(max(counts))
    top = step * math.ceil(max(counts) / step)
    width = 100 / len(counts)
    bars = [
        Bar(width * n, width, 100 * count / top, f"{number(low)} to {number(high)} tokens: {number(count)}")
        for n, (low, high, count) in enumerate(zip(edges, edges[1:], counts, strict=False))
    ]
    every = next((n for n in _TICK_EVERY if len(counts) / n <= _MOST_TICKS), len(counts))
    values = [
        (f"{label} {number(quantiles[key])}", quantiles[key]) for key, label in _MARKED.items() if key in quantiles
    ]
    marks = [Mark(_place(value, edges), label, row, False) for row, (label, value) in enumerate(values)]
    if limit is not None and edges[0] <= limit <= edges[-1]:
        marks.append(Mark(_place(limit, edges), f"max_tokens {number(limit)}", len(marks), True))
    return Histogram(
        bars=tuple(bars),
        lines=tuple((100 * n * step / top, number(n * step)) for n in range(top // step + 1)),
        ticks=tuple((width * n, number(edges[n])) for n in range(0, len(edges), every)),
        marks=tuple(marks),
    )


def _place(value: float, edges: Sequence[float]) -> float:
    width = 100 / (len(edges) - 1)
    for n, (low, high) in enumerate(pairwise(edges)):
        if value <= high:
            return width * (n + max(0.0, (value - low) / (high - low)))
    return 100.0


def _round_step(largest: int) -> int:
    """The smallest of 1, 2, 5, 10, 20 … that divides up to ``largest`` into at most five steps."""
    power = int(10 ** max(0, math.floor(math.log10(largest / _MOST_LINES))))
    return next(power * n for n in (1, 2, 5, 10) if largest / (power * n) <= _MOST_LINES)

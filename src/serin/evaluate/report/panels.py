"""Gains as a forest plot shows them: a panel for each metric, a row for each slice, a line for each model compared with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from serin.evaluate.report.axis import Axis, axis_over
from serin.evaluate.report.wording import (
    METRICS,
    Scale,
    Words,
    in_order,
    p_value,
    percent,
    scale_of,
    slice_name,
    words_of,
)

Reading = Literal["better", "worse", "different", "unclear"]
"""What a gain tells; ``unclear``: chance alone can explain it."""

REFERENCES = ("base", "production")
_FIELDS = ("all", "language", "expect", "topic", "category", "length")
_FOLDED = 3
"""From this place in ``_FIELDS`` on, slices are shown on demand."""
_LENGTHS = ("length=short", "length=medium", "length=long")


@dataclass(frozen=True, slots=True)
class Line:
    """The gain over one model in one slice: places in percent of the plot's width, and figures in words."""

    over: str
    low: float
    at: float
    high: float
    reading: Reading
    gain: str
    interval: str
    p: str
    p_adjusted: str
    smallest_effect: str
    questions: int
    groups: int | None
    asked: int | None = None
    """Where only a part was measured: of how many questions ``questions`` are."""


@dataclass(frozen=True, slots=True)
class Row:
    """One slice; without lines it was not measured."""

    name: str
    lines: tuple[Line, ...]
    unknown: str | None = None
    """The share of tokens that the encoder does not know."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One metric on one set of questions, its rows on one axis."""

    metric: str
    words: Words
    better: str
    scale: Scale
    zero: float
    ticks: tuple[tuple[float, str], ...]
    rows: tuple[Row, ...]
    """The whole set and its main slices."""
    more: tuple[Row, ...]
    """Finer slices."""

    @property
    def tells(self) -> bool:
        """Whether any of its gains is more than chance."""
        return any(line.reading != "unclear" for line in every_gain([self]))


def panels_of(metrics: Mapping[str, Any], questions: str) -> list[Panel]:
    """A panel for each metric that was compared, or could not be measured, on this set of questions."""
    gains = {over: metrics["gains"].get(over, {}).get(questions, {}) for over in REFERENCES}
    partly = metrics.get("partly_measured", {})
    unknown = metrics["unknown"].get(questions, {})
    names = {name for by_metric in (*gains.values(), unknown) for name, parts in by_metric.items() if parts}
    found = []
    for name in in_order(METRICS, names):
        by_over = {over: by_metric[name] for over, by_metric in gains.items() if by_metric.get(name)}
        asked = {over: partly.get(over, {}).get(questions, {}).get(name, {}) for over in by_over}
        found.append(_panel(metrics, questions, name, by_over, unknown.get(name, {}), asked))
    return found


def scale_on(metrics: Mapping[str, Any], questions: str, metric: str) -> Scale:
    """How one metric's figures on one set of questions are written."""
    by_model = metrics["means"].values()
    return scale_of(metric, (m for means in by_model for m in means.get(questions, {}).get(metric, {}).values()))


def slice_order(part: str) -> tuple[int, int, str]:
    """For sorting: the whole set, languages, finer slices; lengths by length."""
    field = part.partition("=")[0]
    rank = _FIELDS.index(field) if field in _FIELDS else len(_FIELDS)
    return rank, _LENGTHS.index(part) if part in _LENGTHS else 0, part


def is_main(part: str) -> bool:
    """Whether a slice is always shown: the whole set, a language, or what is expected of an answer."""
    return slice_order(part)[0] < _FOLDED


def reading_of(gain: Mapping[str, Any], better: str, confidence: float) -> Reading:
    """Better or worse only where the corrected p-value and the interval both say so."""
    if gain["p_adjusted"] > 1 - confidence or gain["ci_low"] <= 0 <= gain["ci_high"]:
        return "unclear"
    if better == "neither":
        return "different"
    return "better" if (gain["gain"] > 0) == (better == "higher") else "worse"


def _panel(
    metrics: Mapping[str, Any],
    questions: str,
    metric: str,
    by_over: Mapping[str, Mapping[str, Any]],
    unknown: Mapping[str, float],
    partly: Mapping[str, Mapping[str, Mapping[str, int]]],
) -> Panel:
    better = metrics["better"].get(metric, "neither")
    # A gain on facts that nobody could learn is nothing to praise.
    side = "neither" if questions == "control" else better
    scale = scale_on(metrics, questions, metric)
    axis = axis_over(
        gain[end] for parts in by_over.values() for gain in parts.values() for end in ("ci_low", "ci_high")
    )

    def row(part: str) -> Row:
        gains = [(over, parts[part]) for over, parts in by_over.items() if part in parts]
        lines = tuple(
            replace(
                _line(over, gain, axis, scale, reading_of(gain, side, metrics["confidence"])),
                asked=partly[over].get(part, {}).get("asked"),
            )
            for over, gain in gains
        )
        return Row(slice_name(part), lines, percent(round(unknown[part], 3)) if part in unknown else None)

    measured = {part for parts in by_over.values() for part in parts if not _is_whole(parts, part)}
    parts = sorted({*measured, *unknown}, key=slice_order)
    return Panel(
        metric=metric,
        words=words_of(METRICS, metric),
        better=better,
        scale=scale,
        zero=axis.place(0),
        ticks=_ticks(axis, scale),
        rows=tuple(row(part) for part in parts if is_main(part)),
        more=tuple(row(part) for part in parts if not is_main(part)),
    )


def _is_whole(parts: Mapping[str, Any], part: str) -> bool:
    """Whether a slice holds every question of its set, and so says nothing new."""
    return part != "all" and "all" in parts and parts[part]["questions"] == parts["all"]["questions"]


def _line(over: str, gain: Mapping[str, Any], axis: Axis, scale: Scale, reading: Reading) -> Line:
    return Line(
        over=over,
        low=axis.place(gain["ci_low"]),
        at=axis.place(gain["gain"]),
        high=axis.place(gain["ci_high"]),
        reading=reading,
        gain=scale.gain(gain["gain"]),
        interval=f"{scale.gain(gain['ci_low'])} to {scale.gain(gain['ci_high'])}",
        p=p_value(gain["p"]),
        p_adjusted=p_value(gain["p_adjusted"]),
        smallest_effect=scale.size(gain["smallest_effect"]),
        questions=gain["questions"],
        groups=gain.get("groups"),
    )


def _ticks(axis: Axis, scale: Scale) -> tuple[tuple[float, str], ...]:
    factor = 1 if scale.gain_unit == "" else 100
    return tuple((axis.place(tick), tick_label(factor * tick)) for tick in axis.ticks)


def tick_label(value: float) -> str:
    """A round value with its sign."""
    return f"{value:+.6g}".replace("-", "\N{MINUS SIGN}") if abs(value) > 1e-12 else "0"


def compared(metrics: Mapping[str, Any]) -> list[str]:
    """The models that the candidate was compared with."""
    return [over for over in REFERENCES if metrics["gains"].get(over)]


def every_gain(panels: Iterable[Panel]) -> list[Line]:
    """All lines of some panels."""
    return [line for panel in panels for row in (*panel.rows, *panel.more) for line in row.lines]

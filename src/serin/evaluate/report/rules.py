"""The verdict's rules in words, each with the figure that it looked at drawn against its limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serin.core.verdict import Rule
from serin.evaluate.report.axis import axis_over
from serin.evaluate.report.panels import scale_on
from serin.evaluate.report.wording import METRICS, MODELS, SETS, percent, slice_name, words_of

_LOOKS_AT = {
    "ci_low": "lower end of the {level} interval of its gain over {over}",
    "ci_high": "upper end of the {level} interval of its gain over {over}",
    "gain": "its gain over {over}",
    None: "its gain over {over}",
}


@dataclass(frozen=True, slots=True)
class Strip:
    """The figure and its limit on one line, in percent of its width; without an interval, both ends are the figure."""

    low: float
    at: float
    high: float
    limit: float


@dataclass(frozen=True, slots=True)
class ShownRule:
    """One rule as a reader sees it."""

    name: str
    looks_at: str
    found: str
    limit: str
    missed_by: str | None
    passed: bool
    strip: Strip | None
    shortfall: str | None = None
    """Where it was measured on too few questions: on how many of how many."""


def shown_rules(metrics: Mapping[str, Any], verdict: Mapping[str, Any]) -> list[ShownRule]:
    """The rules in the order of the verdict, those that were missed first."""
    return [_shown(metrics, rule) for rule in sorted(verdict["rules"], key=lambda rule: bool(rule["passed"]))]


def _shown(metrics: Mapping[str, Any], rule: Mapping[str, Any]) -> ShownRule:
    questions, metric, part, over = rule["on"], rule["metric"], rule["slice"], rule["over"]
    scale = scale_on(metrics, questions, metric)
    where = [slice_name(part)] if part != "all" else []
    where = [words_of(SETS, questions).name, *where] if questions != "test" or not where else where
    level = percent(metrics["confidence"])
    if over is None:
        looks_at = "its mean"
        written, size = scale.mean, scale.mean
    else:
        gain = metrics["gains"].get(over, {}).get(questions, {}).get(metric, {}).get(part, {})
        end = next((key for key in ("ci_low", "ci_high", "gain") if gain and gain[key] == rule["found"]), None)
        looks_at = _LOOKS_AT[end].format(level=level, over=words_of(MODELS, over).name)

        def written(value: float | None) -> str:
            return scale.gain(value, unit=True)

        size = scale.size
    missed_by = rule["missed_by"]
    parsed = Rule.model_validate(rule)
    return ShownRule(
        name=f"{words_of(METRICS, metric).name}, {', '.join(where)}",
        looks_at=looks_at,
        found="not measured" if rule["found"] is None else written(rule["found"]),
        limit=f"{rule['side']} {written(rule['limit'])}",
        missed_by=None if missed_by is None else size(missed_by),
        passed=rule["passed"],
        strip=_strip(metrics, rule),
        shortfall=parsed.shortfall if parsed.is_short else None,
    )


def _strip(metrics: Mapping[str, Any], rule: Mapping[str, Any]) -> Strip | None:
    if rule["found"] is None:
        return None
    by_set = metrics["gains"].get(rule["over"], {}).get(rule["on"], {})
    gain = by_set.get(rule["metric"], {}).get(rule["slice"]) if rule["over"] else None
    low, at, high = (gain[key] for key in ("ci_low", "gain", "ci_high")) if gain else (rule["found"],) * 3
    axis = axis_over((low, at, high, rule["limit"]))
    return Strip(axis.place(low), axis.place(at), axis.place(high), axis.place(rule["limit"]))

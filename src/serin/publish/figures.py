"""Reading what the stages measured and were told: nested values of manifests and ``metrics.json`` as rows."""

from collections.abc import Iterator, Mapping
from typing import Any

_OF_A_GAIN = ("gain", "ci_low", "ci_high", "p_adjusted", "smallest_effect", "questions")


def gains_over(metrics: Mapping[str, Any], reference: str) -> Iterator[dict[str, Any]]:
    """Every gain over a model (``base``, ``production``), with its place and the means that it comes from."""
    means = metrics.get("means", {})
    for (on, metric, part), gain in places(metrics.get("gains", {}).get(reference, {})):
        candidate, compared = (
            means.get(model, {}).get(on, {}).get(metric, {}).get(part) for model in ("candidate", reference)
        )
        yield {
            **{"set": on, "metric": metric, "slice": part, "candidate": candidate, "reference": compared},
            **{word: gain.get(word) for word in _OF_A_GAIN},
        }


def places(nested: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str, str], Any]]:
    """(Set of questions, metric, slice) and what stands there."""
    for on, by_metric in nested.items():
        for metric, by_slice in by_metric.items():
            for part, value in by_slice.items():
                yield (on, metric, part), value


def flatten(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of everything that is no mapping itself; an empty mapping counts as a value."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value

"""What the command line tells of an evaluation: the gains on the test questions, and the verdict with every rule."""

from collections.abc import Iterator, Mapping
from typing import Any

from serin.core.verdict import Verdict
from serin.evaluate.compare.slices import ALL

_SHOWN = "test"


def summary(metrics: Mapping[str, Any], verdict: Verdict, called: str) -> Iterator[str]:
    """Lines, from the content of ``metrics.json``: all test questions and each language. The page has the other sets."""
    for over, sets in metrics["gains"].items():
        yield f"{'':<24}{over:>11}{'candidate':>11}{'gain':>9}   {metrics['confidence']:.0%} interval"
        for metric, by_slice in sets[_SHOWN].items():
            for part in _shown(by_slice):
                yield _line(metrics, over, metric, part)
    yield f"verdict on {called}: {'passed' if verdict.passed else 'not passed'}"
    for rule in verdict.rules:
        yield f"  {'yes' if rule.passed else 'no '}  {rule}"
    for skipped in verdict.skipped:
        yield f"  --   {skipped}"


def _shown(by_slice: Mapping[str, Any]) -> list[str]:
    languages = sorted(part for part in by_slice if part.startswith("language="))
    return [ALL, *languages] if ALL in by_slice else languages


def _line(metrics: Mapping[str, Any], over: str, metric: str, part: str) -> str:
    gain = metrics["gains"][over][_SHOWN][metric][part]
    means = [metrics["means"][model].get(_SHOWN, {}).get(metric, {}).get(part) for model in (over, "candidate")]
    where = "" if part == ALL else f" {part.partition('=')[2]}"
    shown = "".join(f"{'' if mean is None else format(mean, '.3f'):>11}" for mean in means)
    interval = f"[{gain['ci_low']:+.3f}, {gain['ci_high']:+.3f}]"
    return f"{f'{metric}{where}':<24}{shown}{gain['gain']:>+9.3f}   {interval}"

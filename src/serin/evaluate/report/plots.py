"""Tables for ``dvc plots``, in ``plots/`` of an evaluation: its built-in templates draw them, of several revisions together too.

A table holds one metric on the test questions, and only what was measured: an empty cell would be drawn as a 0.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from serin.evaluate.report.panels import compared, is_main, slice_order
from serin.evaluate.report.questions import Answer, in_set, score_of
from serin.evaluate.report.wording import METRICS, MODELS, SETS, in_order

_FIGURES = ("gain", "ci_low", "ci_high", "p", "p_adjusted", "smallest_effect", "questions")
_ON = "test"
_MOST_POINTS = 999


def write_plots(metrics: Mapping[str, Any], answers: Sequence[Answer], folder: Path) -> None:
    """Write ``plots/`` into the folder of an evaluation.

    - ``gains.tsv``: every gain of every metric, set and slice, with its interval.
    - ``METRIC/means.tsv``: ``of`` (language and model) and ``mean``, for the template ``bar_horizontal``.
    - ``METRIC/gains.tsv``: ``of`` (language, and over which model), ``gain``, ``ci_low``, ``ci_high``, for the same.
    - ``METRIC/over_MODEL.tsv``: the candidate's score minus the model's, from the lowest to the highest: ``share`` of the
      questions up to there, and ``difference``, for ``simple``; at most 1,000 of them. Of perplexity in nats a token.
    """
    plots = folder / "plots"
    _write(plots / "gains.tsv", ("set", "metric", "slice", "over", *_FIGURES), _every_gain(metrics))
    test = in_set(answers, _ON)
    for metric in metrics["means"].get("candidate", {}).get(_ON, {}):
        of_metric = plots / metric
        _write(of_metric / "means.tsv", ("of", "mean"), _means(metrics, metric))
        _write(of_metric / "gains.tsv", ("of", "gain", "ci_low", "ci_high"), _gains(metrics, metric))
        for over in compared(metrics):
            rows = _differences(test, metric, over)
            if rows:
                _write(of_metric / f"over_{over}.tsv", ("share", "difference"), rows)


def _every_gain(metrics: Mapping[str, Any]) -> Iterable[tuple[Any, ...]]:
    for over in compared(metrics):
        by_set = metrics["gains"][over]
        for questions in in_order(SETS, by_set):
            for metric in in_order(METRICS, by_set[questions]):
                for part, gain in _by_slice(by_set[questions][metric]):
                    yield questions, metric, part, over, *(gain[key] for key in _FIGURES)


def _means(metrics: Mapping[str, Any], metric: str) -> Iterable[tuple[Any, ...]]:
    for model in in_order(MODELS, metrics["means"]):
        for part, mean in _main(metrics["means"][model].get(_ON, {}).get(metric, {})):
            yield f"{part} {model}", mean


def _gains(metrics: Mapping[str, Any], metric: str) -> Iterable[tuple[Any, ...]]:
    for over in compared(metrics):
        for part, gain in _main(metrics["gains"][over].get(_ON, {}).get(metric, {})):
            yield f"{part} over {over}", gain["gain"], gain["ci_low"], gain["ci_high"]


def _differences(test: Sequence[Answer], metric: str, over: str) -> list[tuple[float, float]]:
    found = sorted(
        mine - theirs
        for answer in test
        if (mine := score_of(answer, "candidate", metric)) is not None
        and (theirs := score_of(answer, over, metric)) is not None
    )
    stride = max(1, -(-len(found) // _MOST_POINTS))
    shown = [n for n in range(len(found)) if n % stride == 0 or n == len(found) - 1]
    return [(round((n + 1) / len(found), 6), found[n]) for n in shown]


def _by_slice(parts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(part, parts[part]) for part in sorted(parts, key=slice_order)]


def _main(parts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(part, value) for part, value in _by_slice(parts) if is_main(part)]


def _write(path: Path, head: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(head)
        table.writerows(rows)

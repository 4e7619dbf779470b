"""``evaluation.html``: one self-contained page with the verdict, every figure behind it, and the answers that explain them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serin.evaluate.report.panels import Panel, compared, every_gain, panels_of, scale_on, slice_order
from serin.evaluate.report.questions import Answer, Bin, Difference, Tally, differences, headline, in_set, spread, tally
from serin.evaluate.report.rules import shown_rules
from serin.evaluate.report.safety import refusals_and_unsafe, refused_though_harmless, unsafe_answers
from serin.evaluate.report.templates import load_template
from serin.evaluate.report.wording import (
    METRICS,
    MODELS,
    PAIRWISE,
    SETS,
    Words,
    in_order,
    revision_name,
    slice_name,
    words_of,
)

_WORST, _BEST = 6, 4


@dataclass(frozen=True, slots=True)
class About:
    """What the page tells beside the figures."""

    candidate: str
    """``name@digest``, or what else the candidate is called."""
    base: str
    """What it was tuned from: a hub id or a folder."""
    judge: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Where a judge was asked: its counts (``Judged.as_dict()``), by the model that the candidate was compared with."""
    human: Mapping[str, Any] | None = None
    """Where people rated answers of this candidate: the content of ``human.json``."""


@dataclass(frozen=True, slots=True)
class Against:
    """The candidate beside one other model, question by question, on the metric that matters most."""

    over: str
    tallies: tuple[tuple[str, Tally], ...]
    """By metric."""
    bars: tuple[tuple[Bin, float], ...]
    """Bins of the differences, and each one's height in percent of the highest."""
    worst: tuple[Difference, ...]
    best: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Means:
    """One metric's means on one set of questions."""

    words: Words
    better: str
    whole: tuple[str, ...]
    """The mean of every model over all questions; a dash where it was not measured."""
    slices: tuple[tuple[str, tuple[str, ...]], ...]
    """And in each slice."""


def render_evaluation(
    metrics: Mapping[str, Any],
    verdict: Mapping[str, Any],
    answers: Sequence[Answer],
    params: Mapping[str, Any],
    about: About,
) -> str:
    """The page, from the content of ``metrics.json``, ``verdict.json``, ``answers.jsonl`` and the section ``evaluate``.

    The same arguments give the same page.
    """
    sets = in_order(SETS, {*(answer["set"] for answer in answers), *_sets_with_figures(metrics)})
    panels = {questions: panels_of(metrics, questions) for questions in sets}
    sizes = _sizes(metrics, answers, sets)
    models = in_order(MODELS, metrics["means"])
    main = headline(metrics, verdict)
    template = load_template("evaluation.html.jinja")
    return template.render(
        about=about,
        candidate=revision_name(about.candidate),
        against=revision_name(verdict["against"]) if verdict["against"] else None,
        confidence=metrics["confidence"],
        verdict=verdict,
        rules=shown_rules(metrics, verdict),
        ruled={(rule["on"], rule["metric"]) for rule in verdict["rules"]},
        sizes=sizes,
        groups={questions: _groups(panels[questions], sizes[questions]) for questions in sets},
        panels=panels,
        models=models,
        compared=compared(metrics),
        means={questions: _means(metrics, questions, models) for questions in sets},
        headline=main,
        scale=None if main is None else scale_on(metrics, "test", main),
        opinions=_opinions(about.human),
        against_each=[_against(metrics, answers, over, main) for over in compared(metrics)],
        counted=refusals_and_unsafe(answers, models),
        unsafe=unsafe_answers(answers),
        over_refused=refused_though_harmless(answers),
        params=params,
        tested=max((_count(by_set) for by_set in metrics["gains"].values()), default=0),
    )


def _sizes(metrics: Mapping[str, Any], answers: Sequence[Answer], sets: Sequence[str]) -> dict[str, int]:
    told: Mapping[str, int] = metrics.get("questions", {})
    return {questions: told.get(questions, len(in_set(answers, questions))) for questions in sets}


def _count(by_set: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> int:
    return sum(len(parts) for by_metric in by_set.values() for parts in by_metric.values())


def _sets_with_figures(metrics: Mapping[str, Any]) -> set[str]:
    return {questions for by_set in metrics["means"].values() for questions in by_set}


def _groups(panels: Sequence[Panel], size: int) -> int | None:
    """How many groups the questions of a set are in; tasks of a harness have documents of their own."""
    lines = [line for line in every_gain(panels) if line.groups is not None and line.questions <= size]
    return max((line.groups for line in lines if line.groups is not None), default=None)


def _means(metrics: Mapping[str, Any], questions: str, models: Sequence[str]) -> list[Means]:
    of_models = {model: metrics["means"][model].get(questions, {}) for model in models}
    found = []
    for metric in in_order(METRICS, {name for of_model in of_models.values() for name in of_model} - PAIRWISE):
        scale = scale_on(metrics, questions, metric)
        parts = sorted({part for of_model in of_models.values() for part in of_model.get(metric, {})}, key=slice_order)
        by_part = {
            part: tuple(scale.mean(of_models[m].get(metric, {}).get(part)) for m in models) for part in ("all", *parts)
        }
        whole = by_part.pop("all")
        slices = tuple((slice_name(part), values) for part, values in by_part.items())
        found.append(Means(words_of(METRICS, metric), metrics["better"].get(metric, "neither"), whole, slices))
    return found


def _opinions(human: Mapping[str, Any] | None) -> list[tuple[str, Mapping[str, Any]]]:
    """What people said, by the name of the slice."""
    slices: Mapping[str, Mapping[str, Any]] = human["slices"] if human else {}
    return [(slice_name(part), slices[part]) for part in sorted(slices, key=slice_order)]


def _against(metrics: Mapping[str, Any], answers: Sequence[Answer], over: str, main: str | None) -> Against:
    test = in_set(answers, "test")
    better: Mapping[str, str] = metrics["better"]
    measured = {metric for metric, parts in metrics["gains"][over].get("test", {}).items() if "all" in parts}
    sided = [metric for metric in in_order(METRICS, measured) if better.get(metric, "neither") != "neither"]
    by_metric = {metric: differences(test, metric, over, better[metric]) for metric in sided}
    of_main = by_metric.get(main, []) if main else []
    bins = spread(of_main)
    highest = max((each.questions for each in bins), default=1)
    return Against(
        over=over,
        tallies=tuple((words_of(METRICS, metric).name, tally(found)) for metric, found in by_metric.items() if found),
        bars=tuple((each, 100 * each.questions / highest) for each in bins),
        worst=tuple(difference for difference in of_main[:_WORST] if difference.by < 0),
        best=tuple(difference for difference in reversed(of_main[-_BEST:]) if difference.by > 0),
    )

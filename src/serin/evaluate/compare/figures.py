"""All figures of an evaluation: means of each model, and gains of the candidate, by set of questions, metric and slice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from serin.core.conversation import Conversation
from serin.core.params.evaluation import EvaluateParams
from serin.evaluate.compare.comparison import Gain, Pairs, compare
from serin.evaluate.compare.correction import holm
from serin.evaluate.compare.slices import members, slices_of
from serin.evaluate.metrics.metric import Better, Scores

MOST_UNKNOWN = 0.05
"""An encoder that does not know more of a slice's tokens than this share does not measure it."""

Place = tuple[str, str, str]
"""Set of questions, metric, slice."""


@dataclass(frozen=True, slots=True)
class ScoredSet:
    """One set of questions, and the scores of each model by metric."""

    questions: Sequence[Conversation]
    scores: Mapping[str, Mapping[str, Scores]]
    """By model (``candidate``, ``base``, ``production``), then by metric."""
    pairwise: Mapping[str, Mapping[str, tuple[Scores, Scores]]] = field(default_factory=dict)
    """Of metrics that only compare: by the model compared with, then by metric, the candidate's scores and its."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """On how many questions of a slice something was measured."""

    measured: int
    asked: int
    """Of these: all that the metric is meant for."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured."""

    confidence: float
    means: Mapping[str, Mapping[Place, float]]
    """By model."""
    gains: Mapping[str, Mapping[Place, Gain]]
    """Of the candidate, by the model that it is compared with."""
    adjusted: Mapping[str, Mapping[Place, float]]
    """p-values by the same keys, corrected for all gains over that model together."""
    unknown: Mapping[Place, float] = field(default_factory=dict)
    """What was not measured, and the share of tokens that the encoder does not know."""
    better: Mapping[str, Better] = field(default_factory=dict)
    """By metric, which way is better."""
    coverage: Mapping[str, Mapping[Place, Coverage]] = field(default_factory=dict)
    """What gains rest on, by the model that the candidate is compared with, and under ``candidate`` what its means do."""

    def as_dict(self) -> dict[str, Any]:
        """The content of ``metrics.json``: nested by set, metric and slice, so that figures of two versions can be compared."""
        gains = {
            over: _nested({place: _told(gain, self.adjusted[over][place]) for place, gain in by_place.items()})
            for over, by_place in self.gains.items()
        }
        return {
            "confidence": self.confidence,
            "better": dict(self.better),
            "means": {model: _nested(by_place) for model, by_place in self.means.items()},
            "gains": gains,
            "unknown": _nested(self.unknown),
            "partly_measured": {over: _nested(by) for over, places in self.coverage.items() if (by := _partly(places))},
        }


def measure(sets: Sequence[tuple[str, ScoredSet]], params: EvaluateParams, better: Mapping[str, Better]) -> Figures:
    """Every mean and gain of the metrics that have a value for at least one question of a slice.

    Several of ``sets`` may have one name, with other metrics.
    """
    means: dict[str, dict[Place, float]] = {}
    gains: dict[str, dict[Place, Gain]] = {}
    unknown: dict[Place, float] = {}
    coverage: dict[str, dict[Place, Coverage]] = {}
    for name, scored in sets:
        parts = members(slices_of(scored.questions, fields_of(name, params)))
        for over, metric, candidate, reference in _compared(scored):
            for part, rows in parts.items():
                place = (name, metric, part)
                share = max(_unknown_share(scores, rows) for scores in (candidate, reference))
                if share > MOST_UNKNOWN:
                    unknown[place] = max(share, unknown.get(place, 0.0))
                    continue
                pairs = _pairs(scored.questions, candidate, reference, rows)
                if covered := _coverage(candidate, reference, rows):
                    coverage.setdefault(over, {})[place] = covered
                    coverage.setdefault("candidate", {}).setdefault(place, covered)
                if pairs is None:
                    continue
                gain = compare(pairs, params.confidence, params.resamples, params.seed)
                gains.setdefault(over, {})[place] = gain
                if metric not in scored.pairwise.get(over, {}):
                    means.setdefault("candidate", {}).setdefault(place, gain.candidate)
                    means.setdefault(over, {})[place] = gain.reference
    adjusted = {over: dict(zip(by, holm([g.p for g in by.values()]), strict=True)) for over, by in gains.items()}
    return Figures(params.confidence, means, gains, adjusted, unknown, better, coverage)


def fields_of(name: str, params: EvaluateParams) -> list[str]:
    """By what the questions of a set are sliced."""
    return [*params.slices, *(("category", "expect") if name == "red_team" else ())]


def _compared(scored: ScoredSet) -> Iterator[tuple[str, str, Scores, Scores]]:
    """The model compared with, the metric, the candidate's scores, and that model's."""
    for over, by_metric in scored.scores.items():
        if over != "candidate":
            for metric, candidate in scored.scores["candidate"].items():
                if metric in by_metric:
                    yield over, metric, candidate, by_metric[metric]
    for over, by_both in scored.pairwise.items():
        for metric, (candidate, reference) in by_both.items():
            yield over, metric, candidate, reference


def _pairs(
    questions: Sequence[Conversation], candidate: Scores, reference: Scores, rows: Sequence[int]
) -> Pairs | None:
    """The questions that both models have a value for."""
    both = [
        (c, r, _group_of(questions[i]), 1.0 if candidate.weights is None else candidate.weights[i])
        for i in rows
        if (c := candidate.values[i]) is not None and (r := reference.values[i]) is not None
    ]
    if not both:
        return None
    candidates, references, groups, weights = zip(*both, strict=True)
    pairs = Pairs(candidates, references, groups, is_log=candidate.is_log)
    return pairs if candidate.weights is None else replace(pairs, weights=weights)


def _coverage(candidate: Scores, reference: Scores, rows: Sequence[int]) -> Coverage | None:
    """A value of one model alone is a miss of the other: what a metric is meant for does not depend on who answered."""
    both = one = neither = 0
    for i in rows:
        found = (candidate.values[i] is not None) + (reference.values[i] is not None)
        both += found == 2
        one += found == 1
        neither += not found and (i in candidate.missing or i in reference.missing)
    asked = both + one + neither
    return Coverage(both, asked) if asked else None


def _group_of(question: Conversation) -> str:
    return str(question.meta.get("group", question.id))


def _unknown_share(scores: Scores, rows: Sequence[int]) -> float:
    if scores.unknown is None:
        return 0.0
    unknown, tokens = (sum(scores.unknown[i][k] for i in rows) for k in (0, 1))
    return unknown / tokens if tokens else 0.0


def _told(gain: Gain, adjusted: float) -> dict[str, float | int]:
    told = asdict(gain)
    del told["candidate"], told["reference"]  # they stand among the means
    return {**told, "p_adjusted": adjusted}


def _partly(by_place: Mapping[Place, Coverage]) -> dict[Place, dict[str, int]]:
    return {place: asdict(covered) for place, covered in by_place.items() if covered.measured < covered.asked}


def _nested(by_place: Mapping[Place, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    nested: dict[str, dict[str, dict[str, Any]]] = {}
    for (name, metric, part), value in by_place.items():
        nested.setdefault(name, {}).setdefault(metric, {})[part] = value
    return nested

"""Question by question: who wins, how far apart two models are, and where the candidate is worst and best."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from serin.evaluate.report.axis import round_step
from serin.evaluate.report.wording import METRICS, PAIRWISE, words_of

Answer = Mapping[str, Any]
"""A line of ``answers.jsonl``."""

_BINS_A_SIDE = 10


@dataclass(frozen=True, slots=True)
class Tally:
    """Questions on which the candidate is better, as good, and worse."""

    wins: int
    ties: int
    losses: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.wins + self.ties + self.losses


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better (above 0) or worse the candidate answers one question than the other model."""

    answer: Answer
    candidate: float
    reference: float
    by: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Questions whose difference is in a range; the bin of ties holds exactly 0."""

    low: float
    high: float
    questions: int

    @property
    def side(self) -> Literal["better", "worse", "tie"]:
        """Of 0."""
        return "tie" if self.low == self.high else "better" if self.high > 0 else "worse"


def in_set(answers: Sequence[Answer], questions: str) -> list[Answer]:
    """The answers to one set of questions."""
    return [answer for answer in answers if answer["set"] == questions]


def score_of(answer: Answer, model: str, metric: str) -> float | None:
    """What a metric gave one model's answer; None where it says nothing, or the model was not asked."""
    found = answer["models"].get(model, {}).get("scores", {}).get(metric)
    return None if found is None or math.isnan(found) else float(found)


def differences(answers: Sequence[Answer], metric: str, over: str, better: str) -> list[Difference]:
    """Of each question that both models have a score for, the worst first, and by id where they are equal."""
    sign = -1 if better == "lower" else 1
    found = []
    for answer in answers:
        mine, theirs = score_of(answer, "candidate", metric), score_of(answer, over, metric)
        if mine is not None and theirs is not None:
            found.append(Difference(answer, mine, theirs, sign * (mine - theirs)))
    return sorted(found, key=lambda difference: (difference.by, str(difference.answer["id"])))


def tally(found: Sequence[Difference]) -> Tally:
    """Count them."""
    signs = Counter((difference.by > 0) - (difference.by < 0) for difference in found)
    return Tally(wins=signs[1], ties=signs[0], losses=signs[-1])


def spread(found: Sequence[Difference]) -> list[Bin]:
    """Differences in equal bins on both sides of 0, ties in a bin of their own; nothing where there is nothing to count."""
    finite = [difference.by for difference in found if math.isfinite(difference.by)]
    if not finite:
        return []
    largest = max(abs(by) for by in finite) or 1.0
    width = round_step(largest * 4 / _BINS_A_SIDE)
    bins = max(1, math.ceil(largest / width - 1e-9))
    counts: Counter[int] = Counter()
    for by in finite:
        counts[0 if by == 0 else int(math.copysign(min(bins, max(1, math.ceil(abs(by) / width - 1e-9))), by))] += 1
    return [
        Bin(
            low=0.0 if n == 0 else (n if n < 0 else n - 1) * width,
            high=0.0 if n == 0 else (n + 1 if n < 0 else n) * width,
            questions=counts[n],
        )
        for n in range(-bins, bins + 1)
    ]


def headline(metrics: Mapping[str, Any], verdict: Mapping[str, Any]) -> str | None:
    """The metric that matters most: that of the first rule over a model on the test questions, else the first with a side.

    Never one whose values of single questions mean little to a reader: logarithms as of perplexity, or of two models together.
    """
    sided = {metric for metric, better in metrics["better"].items() if better != "neither"} - PAIRWISE
    sided = {metric for metric in sided if words_of(METRICS, metric).unit != "change"}
    for rule in verdict["rules"]:
        if rule["over"] and rule["on"] == "test" and rule["metric"] in sided:
            return str(rule["metric"])
    compared = {metric for by_set in metrics["gains"].values() for metric in by_set.get("test", {})}
    return next((metric for metric in ("token_f1", *sorted(compared)) if metric in compared & sided), None)

"""Scores of one model's answers, by metric: which metrics a set of questions gets."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serin.core.conversation import Conversation
from serin.core.errors import ConfigError
from serin.core.params import RuleParams
from serin.evaluate.metrics.metric import Better, Exchange, Metric, Scores
from serin.lm.generate import Answer
from serin.lm.score import Likelihood

PERPLEXITY = "perplexity"
PREFERENCE = "preference"


@dataclass(frozen=True, slots=True)
class Answered:
    """What one model said to one set of questions."""

    questions: Sequence[Conversation]
    answers: Sequence[Answer]
    likelihoods: Sequence[Likelihood | None]
    """Of the references; None where there is none, or where the model could not tell."""

    @property
    def exchanges(self) -> list[Exchange]:
        """Questions with their answers."""
        return [Exchange(q, a) for q, a in zip(self.questions, self.answers, strict=True)]


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics of each set of questions."""

    by_set: Mapping[str, Sequence[Metric]]

    def better(self) -> dict[str, Better]:
        """Which way each metric is better."""
        found: dict[str, Better] = {
            metric.name: metric.better for metrics in self.by_set.values() for metric in metrics
        }
        return {**found, PERPLEXITY: "lower", PREFERENCE: "higher"}

    def score_all(self, name: str, by_model: Mapping[str, Answered]) -> dict[str, dict[str, Scores]]:
        """The scores of each model on the set ``name``, by metric."""
        return {model: self.score(name, answered) for model, answered in by_model.items()}

    def score(self, name: str, answered: Answered) -> dict[str, Scores]:
        """The scores of one model on the set ``name``, by metric."""
        exchanges = answered.exchanges
        scores = {metric.name: metric.score(exchanges) for metric in self.by_set[name]}
        told = perplexity(answered.likelihoods)
        return scores if told is None else {**scores, PERPLEXITY: told}

    def refuse_unknown(self, rules: Sequence[RuleParams], also: Mapping[str, Sequence[str]]) -> None:
        """Raises ConfigError where a rule names a metric that its set does not have; ``also`` holds more names by set."""
        faults = []
        for number, rule in enumerate(rules):
            known = sorted({*(m.name for m in self.by_set.get(rule.questions, ())), *also.get(rule.questions, ())})
            if rule.metric not in known:
                told = ", ".join(known) if known else "nothing, for it has no questions"
                faults.append(
                    f"evaluate.rules.{number}.metric = {rule.metric!r}: on {rule.questions} is measured {told}"
                )
        if faults:
            raise ConfigError("\n".join([*faults, "mend the names, or add the metric to evaluate.metrics"]))


def perplexity(likelihoods: Sequence[Likelihood | None]) -> Scores | None:
    """Nats a reference token, which weighs as many tokens as it has: the mean's exponential is the perplexity."""
    if not any(likelihoods):
        return None
    values = tuple(found.nll / found.tokens if found is not None and found.tokens else None for found in likelihoods)
    weights = tuple(float(found.tokens) if found is not None else math.nan for found in likelihoods)
    return Scores(values, weights, is_log=True)
